/**
 * Where a region is left. Exit numbers: k >= 0, the static exit whose link word is C[L + k]; below, see `leaving`. Code that leaves sets x, and t where EIP is not known from that, and breaks out of
 * block X; what is done then depends on x alone (`epilogue`).
 *
 * The budget: each block takes its instructions off `n`, a back edge looks at it; leaving in the middle gives back what was not executed.
 */
import { jsCall, slot } from "../contract/slots.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";
import type { RegionScope } from "./region-scope.ts";
import { type RegionState, register } from "./region-state.ts";

/** Exits other than to a link. */
export const leaving = {
  /** jump to EIP t */ computed: -1,
  /** to EIP t by RET */ returned: -2,
  /** R[eip] = t is set below; go on there through the dispatcher */ dispatchAt: -3,
  /** R[eip] is right */ dispatch: -4,
  fault: -5,
  /** R[eip] = t is set below; tier 0 is to execute the instruction there */ gaveUp: -6,
} as const;

const [n, t, x] = ["n", "t", "x"].map(js.identifier);

export class RegionExits {
  /** Page offsets that static exits lead to, by number; and those of them whose EIP is taken modulo 64 KiB. */
  readonly offsets: number[] = [];
  readonly wrapping = new Set<number>();
  private readonly leavesBy = new Set<number>();
  private readonly scope: RegionScope;
  private readonly state: RegionState;
  private readonly marks: () => Statement[];

  /** @param marks what x87 registers in locals need done before the region is left */
  constructor(scope: RegionScope, state: RegionState, marks: () => Statement[]) {
    this.scope = scope;
    this.state = state;
    this.marks = marks;
  }

  /** Regions may call it, for it may return. */
  get isCallable(): boolean {
    return this.leavesBy.has(leaving.returned) || this.leavesBy.has(leaving.computed);
  }

  /** Number of the static exit to a page offset. */
  numberOf(target: number, wraps = false): number {
    let k = this.offsets.findIndex((other, at) => other === target && this.wrapping.has(at) === wraps);
    if (k < 0) k = this.offsets.push(target) - 1;
    if (wraps) this.wrapping.add(k);
    return k;
  }
  leaveTo(target: number, wraps: boolean): Statement[] {
    return this.leaveBy(this.numberOf(target, wraps));
  }

  leaveBy(exit: number): Statement[] {
    this.leavesBy.add(exit);
    const mark = this.marks();
    const loads = this.state.loadHome().map(js.expressionStatement);
    // Where a link leads is looked for as well.
    const eip = exit >= 0 && this.scope.findsTargets ? [js.set(t, this.scope.codeAddress(js.literal(this.offsets[exit])))] : [];
    return [...mark, ...loads, ...eip, js.set(x, js.literal(exit)), js.breakTo("X")];
  }

  /** @param unexecuted instructions of the block that were paid for in advance */
  leaveAt(eip: Expression, unexecuted: number, exit: number = leaving.dispatchAt): Statement[] {
    const paidBack = unexecuted === 0 ? [] : [js.set(n, js.toInt32(js.binary("+", n, js.literal(unexecuted))))];
    return [...paidBack, js.set(t, eip), ...this.leaveBy(exit)];
  }

  /** The slice is used up: another one at once if nothing waits for the dispatcher. */
  outOfTime(leave: Statement[]): Statement {
    this.scope.freeNames.add("moreTime");
    const isOver = js.binary("<", n, js.literal(0));
    const more = js.call("moreTime", [js.toInt32(js.binary("-", this.state.budgetNoted, n))]);
    return js.ifStatement(js.mostly(isOver, false), [js.set(n, more), this.state.noteBudget(), js.ifStatement(isOver, leave)]);
  }

  /** Behind block X, with all state in R. */
  epilogue(): Statement[] {
    const out: Statement[] = [];
    const { freeNames, isLinear } = this.scope;
    const when = (exit: number, ...then: Statement[]): void => {
      out.push(js.ifStatement(js.binary("===", x, js.literal(exit)), then));
    };
    const leavesBy = (exit: number): boolean => this.leavesBy.has(exit);
    if (leavesBy(leaving.returned)) {
      // The caller mostly waits for just this: `returnTo` would say so, too.
      freeNames.add("J");
      const word = (k: number): Expression => js.index("J", js.literal(k));
      const isAwaited = js.logical("&&", js.binary("===", word(jsCall.returnTo), t), js.binary("!==", word(jsCall.depth), js.literal(0)));
      when(leaving.returned, js.ifStatement(js.mostly(isAwaited, true), [js.returnStatement(js.literal(jsCall.returned))]));
    }
    if (this.offsets.length > 0 || this.isCallable) out.push(...this.goOnInRegion());
    if (this.offsets.length > 0) {
      const link = js.index("C", js.binary("+", js.identifier("L"), x));
      if (isLinear) freeNames.add("follow");
      const exit = js.returnStatement(isLinear ? js.call("follow", [link]) : link);
      out.push(js.ifStatement(js.binary(">=", x, js.literal(0)), [exit]));
    }
    const helpers = [
      [leaving.computed, isLinear ? "followTo" : "jumpSegmented"],
      [leaving.returned, "returnTo"],
    ] as const;
    for (const [exit, name] of helpers) {
      if (!leavesBy(exit)) continue;
      freeNames.add(name);
      when(exit, js.returnStatement(js.call(name, [t])));
    }
    freeNames.add("faulted");
    freeNames.add("dispatch");
    when(leaving.fault, js.returnStatement(js.call("faulted", [])));
    if (leavesBy(leaving.gaveUp)) {
      freeNames.add("gaveUp");
      when(leaving.gaveUp, js.set(register(slot.eip), t), js.returnStatement(js.call("gaveUp", [])));
    }
    when(leaving.dispatchAt, js.set(register(slot.eip), t));
    out.push(js.returnStatement(js.call("dispatch", [])));
    return out;
  }

  /** Where the region is left for EIP t: on at the region there, if there is one. */
  private goOnInRegion(): Statement[] {
    const target = this.scope.target(t);
    if (target === undefined) return [];
    const e = this.scope.name("e");
    this.scope.freeNames.add("H");
    const go = [...target.enter, js.declare("const", e, js.index("H", target.shape)), js.returnStatement(js.call(e, []))];
    const isToEip = js.binary(">=", x, js.literal(leaving.returned));
    return [js.ifStatement(isToEip, [...target.before, js.ifStatement(target.isFound, go)])];
  }
}
