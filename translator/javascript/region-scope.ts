/** What the text of a region is written with: names, addresses, and where to look what lies at an address. */
import { isLinearCode, mode } from "../contract/mode-key.ts";
import { segment, slot } from "../contract/slots.ts";
import type { Expression } from "./estree.ts";
import * as js from "./estree.ts";
import { LocalNames } from "./local-names.ts";
import type { RegionInput } from "./region-input.ts";
import { register } from "./region-state.ts";
import { type RegionTarget, regionTarget, targetNames } from "./region-targets.ts";

const { binary, identifier, index, literal } = js;

export class RegionScope {
  /** The host's, that it uses. */
  readonly freeNames = new Set<string>(["R", "C", "L", "guestFault"]);
  /** EIP is the linear address. */
  readonly isLinear: boolean;
  private readonly input: RegionInput;
  private readonly names = new LocalNames();

  constructor(input: RegionInput) {
    this.input = input;
    this.isLinear = isLinearCode(input.mode);
  }

  name(hint: string): string {
    return this.names.next(hint);
  }

  /** EIP at a page offset. */
  codeAddress(offset: Expression): Expression {
    return js.toInt32(binary("+", identifier("PB"), offset));
  }
  /** First entry of the TLB's half, if that is not 0. */
  tlbHalf(): Expression | undefined {
    return (this.input.mode & mode.user) !== 0 ? literal(1 << 20) : undefined;
  }

  /** Whether the page `k` pages behind the entry's is not the one that this was made from any more, or not in the TLB, or not in the code segment. */
  isAnotherPage(k: number): Expression {
    this.freeNames.add("TX");
    const eip = k === 0 ? identifier("PB") : this.codeAddress(literal(k << 12));
    const page = this.isLinear ? eip : js.toInt32(binary("+", eip, register(slot.segmentBase + segment.cs)));
    const number = binary(">>>", page, literal(12));
    const half = this.tlbHalf();
    const entry = index("TX", half === undefined ? number : binary("+", half, number));
    const isAnother = binary("!==", binary("^", entry, page), literal(this.input.pageAddress(k) | 0));
    if (this.isLinear) return isAnother;
    const unsigned = (value: Expression): Expression => binary(">>>", value, literal(0));
    return js.logical("||", binary(">=", unsigned(eip), unsigned(register(slot.codeEnd))), isAnother);
  }

  get findsTargets(): boolean {
    return this.input.hasTargets && this.isLinear;
  }
  /** The region at an address, a name or a number; undefined if it is not to be looked for. */
  target(address: Expression): RegionTarget | undefined {
    if (!this.findsTargets) return undefined;
    for (const name of targetNames) this.freeNames.add(name);
    return regionTarget(address, this.tlbHalf(), (hint) => this.name(hint));
  }
}
