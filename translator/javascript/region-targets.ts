/**
 * How a region finds the region that a call, a jump or a return leads to (contract/region-targets.ts), without a function of the host's:
 *
 *     const g = RJ[hash of A], T = TX[half + (A >>> 12)];
 *     if ((~(RG[g << 2] ^ (T ^ A)) | (RG[(g << 2) + 1] ^ R[mode]) | (T & 1)) === 0 && R[budget] >= 0) {
 *       R[page] = A & -4096;
 *       RG[(g << 2) + 2] = RG[(g << 2) + 2] + 1 | 0;
 *       ...                                                 // its function is H[g + first]
 *     }
 *
 * One branch for all of it, so that no load waits for another's comparison. The budget is looked at because whoever goes on to other regions never meets the dispatcher otherwise.
 */
import { firstRegionShape, rowShift, rowWords, targetMask, targetShift } from "../contract/region-targets.ts";
import { slot } from "../contract/slots.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";

export interface RegionTarget {
  /** What is computed before it is known whether there is one. */
  readonly before: readonly Statement[];
  /** Whether there is one, and time for it. */
  readonly isFound: Expression;
  /** R[page] is its page, and it has been entered once more. */
  readonly enter: readonly Statement[];
  /** Its shape number. */
  readonly shape: Expression;
}

/** The names of the host's that this is made with. */
export const targetNames = ["RJ", "RG", "TX"] as const;

/** @param address a name or number: EIP, which is the linear address; @param half first entry of the TLB's half, if that is not 0; @param name makes a name from a hint */
export function regionTarget(address: Expression, half: Expression | undefined, name: (hint: string) => string): RegionTarget {
  const [g, T] = [name("g"), name("T")];
  const { binary, identifier, index, literal } = js;
  const register = (n: number): Expression => index("R", literal(n));
  const or = (a: Expression, b: Expression): Expression => binary("|", a, b);
  const page = binary(">>>", address, literal(12));
  const hash = binary("&", binary("^", address, binary(">>>", address, literal(targetShift))), literal(targetMask));
  const row = binary("<<", identifier(g), literal(rowShift));
  const inRow = (word: number): Expression => index("RG", binary("+", row, literal(word)));
  const differences = [
    js.unary("~", binary("^", index("RG", row), binary("^", identifier(T), address))),
    binary("^", inRow(rowWords.mode), register(slot.mode)),
    binary("&", identifier(T), literal(1)),
  ].reduce(or);
  const isThere = js.mostly(binary("===", differences, literal(0)), true);
  return {
    before: [js.declare("const", g, index("RJ", hash)), js.declare("const", T, index("TX", half === undefined ? page : binary("+", half, page)))],
    isFound: js.mostly(js.logical("&&", isThere, binary(">=", register(slot.budget), literal(0))), true),
    enter: [
      js.expressionStatement(js.assign(index("R", literal(slot.page)), binary("&", address, literal(-4096)))),
      js.expressionStatement(js.assign(inRow(rowWords.entered) as never, js.toInt32(binary("+", inRow(rowWords.entered), literal(1))))),
    ],
    shape: js.toInt32(binary("+", identifier(g), literal(firstRegionShape))),
  };
}
