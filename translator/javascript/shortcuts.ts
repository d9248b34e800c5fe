/**
 * Callouts that mostly have next to nothing to do, which regions then do in line (SDM vol. 2 under CLI, STI, PUSHF and POPF; runtime/cpu/eflags.ts has all of it). As VM exits they are
 * counted either way.
 */
import type { CalloutName } from "../contract/callouts.ts";
import { arithmeticFlags, attention, eflag, farFromSliceEnd, slot, userFlags, userFlags32 } from "../contract/slots.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";

export interface Shortcut {
  /** What the test and the statements need. */
  readonly before?: readonly Statement[];
  /** When the shortcut may be taken; absent: always. */
  readonly usual?: Expression;
  readonly instead: readonly Statement[];
  /** The callout's result, if it has one. */
  readonly result?: Expression;
}

/** What is at hand where the callout stands. */
interface Site {
  readonly args: readonly Expression[];
  slot(n: number): Expression;
  /** Instructions left in the slice: R[budget] is what it was when the region read it last, or negative. */
  readonly budget: Expression;
  name(hint: string): string;
  free(name: string): void;
}

const number = js.literal;
const and = (a: Expression, b: Expression): Expression => js.logical("&&", a, b);
const bits = (a: Expression, mask: number): Expression => js.binary("&", a, number(mask));
const equal = (a: Expression, b: number): Expression => js.binary("===", a, number(b));

/** CPL <= IOPL, as it always is in real mode. */
function isPrivileged({ slot: at }: Site): Expression {
  const iopl = bits(js.binary(">>>", at(slot.eflags), number(12)), 3);
  return js.binary(">=", iopl, at(slot.cpl));
}

/** No interrupt waits, nor can one come within so many instructions. */
function nothingComes(site: Site, instructions: number): Expression {
  site.free("EV");
  const isFar = and(js.binary(">", site.budget, number(instructions)), js.binary(">=", site.slot(slot.budget), number(0)));
  return and(equal(js.index("EV", number(attention.look)), 0), isFar);
}

const shortcuts: Readonly<Partial<Record<CalloutName, (site: Site) => Shortcut>>> = Object.freeze({
  systemFlags: ({ slot: at }) => ({
    instead: [],
    result: js.binary("|", bits(at(slot.eflags), ~(eflag.vm | eflag.rf)), number(2)),
  }),

  clearInterruptFlag: (site) => {
    const flags = site.slot(slot.eflags);
    return { usual: isPrivileged(site), instead: [js.set(flags, bits(flags, ~eflag.if))] };
  },

  setInterruptFlag: (site) => {
    const flags = site.slot(slot.eflags);
    return {
      usual: and(nothingComes(site, farFromSliceEnd), isPrivileged(site)),
      instead: [js.set(flags, js.binary("|", flags, number(eflag.if)))],
      result: number(0),
    };
  },

  /** Where nothing changes but IF, if at all. */
  restoreFlags: (site) => {
    const [image, size] = site.args;
    if (size.type !== "Literal") throw new Error("an operand size that is not known");
    const flags = site.slot(slot.eflags);
    // Those that POPF might change at ring 0. RF becomes 0 whatever the image has.
    const mask = ((size.value === 4 ? userFlags32 : userFlags) | eflag.if | eflag.iopl) & ~arithmeticFlags;
    const changed = js.identifier(site.name("d"));
    const difference = js.binary("^", bits(image, mask & ~eflag.rf), bits(flags, mask));
    const isFlagAlone = and(equal(changed, eflag.if), and(nothingComes(site, 0), isPrivileged(site)));
    return {
      before: [js.declare("const", changed.name, difference)],
      usual: js.logical("||", equal(changed, 0), isFlagAlone),
      instead: [js.set(flags, js.binary("^", flags, changed))],
      result: number(0),
    };
  },
});

/** Whether there is one. Then the callout has nothing to do with the x87 registers, which a region may hold as it likes at a place that is seldom come to. */
export const hasShortcut = (callout: CalloutName): boolean => shortcuts[callout] !== undefined;

/** What a region may do in the callout's place, if anything. */
export function shortcutOf(callout: CalloutName, site: Site): Shortcut | undefined {
  return shortcuts[callout]?.(site);
}
