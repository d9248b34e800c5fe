/**
 * The register stack as expansions of x87 instructions see it, and how its state is written.
 *
 * Tier 0 has it an instruction at a time: everything is read, and stored where the fast path ends (instruction.ts). In a region registers are locals, and what is known
 * statically of TOP and the tags goes along with the flow of control (region-stack.ts). Either way an instruction that the fast path does not cover is its callout, with
 * the state array up to date.
 */
import type { X87Double } from "../../contract/callouts/x87.ts";
import { slot } from "../../contract/slots.ts";
import type { Expression, Statement } from "../estree.ts";
import * as js from "../estree.ts";

/** What the emitter of statements lends. */
export interface Emitting {
  push(...statements: Statement[]): void;
  free(name: string): void;
  name(hint: string): string;
}

/** What the printer of the function lends. */
export interface X87Site {
  /** Registers hold plain doubles: see double.ts. */
  readonly inDoubles: boolean;
  /** The register stack, for statements that go to `emit`. */
  stack(emit: Emitting): X87Stack;
}

export interface Place {
  /** In a region: which position, relative to TOP at the start; undefined in tier 0, where the number of a register is not known. */
  readonly at: number | undefined;
  /** The physical register. */
  readonly index: Expression;
}

export interface Pair {
  readonly h: Expression;
  /** `noLow` when it is known to be a double. */
  readonly l: Expression;
  /** Known not to be in integers. */
  readonly isSure?: boolean;
}

/** The low part of a double: see runtime/callouts/x87/registers.ts. */
export const noLow: Expression = Object.freeze(js.literal(-0));

/** The rounding of an operation: the residue and what it belongs to. */
export interface Rounding {
  readonly r: Expression;
  readonly s: Expression;
}

/** What an instruction does on the fast path. */
export interface Effects {
  /** For the last-instruction registers; control instructions leave those alone. */
  readonly info?: Expression;
  /** Linear address of its memory operand. */
  readonly operand?: Expression;
  /** New values. */
  readonly values?: readonly (readonly [Place, Pair])[];
  /** They are other places' values, in whatever form. */
  readonly copies?: boolean;
  /** C1 and PE; absent: C1 cleared; "kept": C1 stays. */
  readonly rounding?: Rounding | "kept";
  /** Places that become empty or valid. */
  readonly tags?: readonly (readonly [Place, isEmpty: boolean])[];
  /** Added to TOP. */
  readonly pops?: number;
  /** More to do. */
  readonly statements?: readonly Statement[];
  /** Where the condition does not hold: values of the same places in another case that needs no callout. */
  readonly otherwise?: { readonly condition: Expression; readonly values: readonly (readonly [Place, Pair])[]; readonly rounding: Rounding };
  /** The instruction has more statements (EFLAGS): it cannot be left before them. */
  readonly goesOn?: boolean;
}

/** Which of the environment's demands an instruction makes. */
export type Demand = "available" | "rounds" | "computes" | "roundsToInteger";

export interface X87Stack {
  /** Registers hold plain doubles. */
  readonly inDoubles: boolean;
  readonly constants: Readonly<Record<X87Double, Expression>>;
  /** The least magnitude of a result of `finish`; NaN, which nothing is above, if the environment is not one that "computes" and `test` has not said so. */
  readonly least: Expression;
  /** Holds where the environment is one that "computes"; undefined: `test` has asked for it. */
  readonly computes: Expression | undefined;
  /** ST(i). */
  st(i: Expression | number): Place;
  isSame(a: Place, b: Place): boolean;
  /** The value; of copies of one value the same object. */
  pair(place: Place): Pair;
  /** Whether the tag of a place is known, or need not be: tier 0 stores tags without knowing them. */
  isTagKnown(place: Place): boolean;
  /** Holds when the environment is as demanded, and the places are as they should be; undefined: nothing is to be asked. */
  test(demand: Demand, valid: readonly Place[], empty?: readonly Place[]): Expression | undefined;
  /** The status word as FNSTSW shows it. */
  statusWord(): Expression;
  /** The control word was loaded. */
  controlLoaded(): void;
  /**
   * An instruction: if `condition` holds, `effects`; otherwise its callout.
   * @param condition undefined: it always does
   * @param callout the call, with what goes around it
   */
  commit(condition: Expression | undefined, effects: Effects, callout: Statement[]): void;
}

// ---- how the state is written

/** An element of a row of doubles. */
export const element = (row: number, index: Expression): Expression =>
  js.index("F", index.type === "Literal" ? js.literal(row / 2 + (index.value as number)) : js.binary("+", index, js.literal(row / 2)));
export const state = (n: number): Expression => js.index("R", js.literal(n));
export const double = (n: number): Expression => js.index("F", js.literal(n / 2));
export const bitOf = (index: Expression): Expression => js.binary("<<", js.literal(1), index);
export const or = (list: readonly Expression[]): Expression => list.reduce((a, b) => js.binary("|", a, b));
export const isLiteral = (e: Expression): e is Expression & { type: "Literal"; value: number } => e.type === "Literal";

/** Zero when CR0.EM and TS are clear and no exception is pending. */
export const unavailable = (): Expression =>
  js.binary("|", js.binary("&", state(slot.cr0), js.literal(12)), js.binary("&", state(slot.fpuStatus), js.literal(0x80)));
/** Zero when the control word asks for rounding to nearest and precision is masked; and for 64 bits, if that `computes`. */
export function controlTest(computes: boolean): Expression {
  return computes ? controlDiffers(0xf20, 0x320) : controlDiffers(0xc20, 0x20);
}
/** Zero when it asks for rounding to nearest or towards zero and precision is masked. */
export const notToInteger = (): Expression =>
  js.binary(
    "|",
    controlDiffers(0x20, 0x20),
    js.binary("&", js.binary("^", state(slot.fpuControl), js.binary("<<", state(slot.fpuControl), js.literal(1))), js.literal(0x800)),
  );
function controlDiffers(mask: number, wanted: number): Expression {
  return js.binary("&", js.binary("^", state(slot.fpuControl), js.literal(wanted)), js.literal(mask));
}

/**
 * The status word from its parts.
 * @param x sum of residues @param rounding undefined: C1 is clear
 */
export function statusWordOf(top: Expression, x: Expression, rounding: Rounding | undefined): Expression {
  const parts = [state(slot.fpuStatus), js.binary("<<", top, js.literal(11)), js.binary("<<", js.binary("!==", x, js.literal(0)), js.literal(5))];
  if (rounding !== undefined) {
    const { r, s } = rounding;
    const isAway = js.binary("^", js.binary("<", r, js.literal(0)), js.binary("<", s, js.literal(0)));
    parts.push(js.binary("<<", js.binary("&", js.binary("!==", r, js.literal(0)), isAway), js.literal(9)));
  }
  return or(parts);
}

export const magnitude = (r: Expression): Expression => js.method("Math", "abs", [r]);

export function storePair(index: Expression, { h, l }: Pair): Statement[] {
  return [js.set(element(slot.fpuPairHigh, index), h), js.set(element(slot.fpuPairLow, index), l)];
}

/** Bits of `info`. */
export const part = (info: Expression, shift: number, mask: number): Expression =>
  isLiteral(info)
    ? js.literal((info.value >>> shift) & mask)
    : js.binary("&", shift === 0 ? info : js.binary(">>>", info, js.literal(shift)), js.literal(mask));
const rowElement = (row: number, at: Expression): Expression =>
  isLiteral(at) ? state(row + at.value) : js.index("R", js.binary("+", at, js.literal(row)));

/** The instruction's address, which FIP shows, or its page offset. @param next of what is behind it */
export const addressOf = (info: Expression, next: Expression | number): Expression => {
  const length = part(info, 11, 15);
  if (typeof next === "number") return isLiteral(length) ? js.literal(next - length.value) : addressOf(info, js.literal(next));
  return js.toInt32(js.binary("-", next, length));
};

/** FOP, FIP and FCS. */
export function storeRecord(opcode: Expression, eip: Expression): Statement[] {
  return [js.set(state(slot.fpuOpcode), opcode), js.set(state(slot.fpuIp), eip), js.set(state(slot.fpuCs), state(slot.selector + 1))];
}

/** FDP and FDS. */
export function storeOperand(segment: Expression, linear: Expression): Statement[] {
  return [
    js.set(state(slot.fpuDp), js.toInt32(js.binary("-", linear, rowElement(slot.segmentBase, segment)))),
    js.set(state(slot.fpuDs), rowElement(slot.selector, segment)),
  ];
}
