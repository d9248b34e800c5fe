/** What statements do with vector operands: which words they read and write, and in which form. Callouts outside the table work on the state array by themselves. */
import { type CalloutName, type CalloutRow, callouts } from "../../contract/callouts.ts";
import { slot } from "../../contract/slots.ts";
import { slotNumber } from "../../ir/block.ts";
import { type Statement, type Value, wordsOfType } from "../../ir/micro.ts";

/** The number formats of floating-point instructions. */
export type Format = "f64" | "f32";

export interface Access {
  /** Slot of the first word. */
  readonly at: number;
  readonly words: number;
  /** As numbers of a format; as words; as either, whichever the place keeps; or by a callout, in the state array. */
  readonly kind: Format | "words" | "any" | "memory";
  readonly reads: boolean;
  readonly writes: boolean;
}

/** The same for an argument of a callout. */
interface ArgumentAccess extends Omit<Access, "at"> {
  readonly argument: number;
}

interface Row {
  readonly accesses: readonly ArgumentAccess[];
  /** The expansion asks MXCSR's limit for this format. */
  readonly limit?: Format;
}

/** All vector places: a staging area, the registers, another staging area. */
const firstSlot = slot.scratch;
const endSlot = slot.scratch2 + 4;
export const isVectorSlot = (n: number): boolean => n >= firstSlot && n < endSlot;
/** A vector place by the slot of its first word. */
export const placeOf = (n: number): number => n & ~3;
export const vectorPlaces: readonly number[] = Object.freeze(Array.from({ length: (endSlot - firstSlot) / 4 }, (_, k) => firstSlot + 4 * k));
export const isStaging = (n: number): boolean => n < slot.xmm || n >= slot.scratch2;

const from = (argument: number, kind: Access["kind"], words: number): ArgumentAccess => ({ argument, kind, words, reads: true, writes: false });
const to = (argument: number, kind: Access["kind"], words: number): ArgumentAccess => ({ argument, kind, words, reads: false, writes: true });
const both = (argument: number, kind: Access["kind"], words: number): ArgumentAccess => ({ argument, kind, words, reads: true, writes: true });

const suffixes = { sd: ["f64", 2], pd: ["f64", 4], ss: ["f32", 1], ps: ["f32", 4] } as const;

/** (target, source) for each format. */
function each(names: readonly string[], row: (format: Format, words: number) => Row): Record<string, Row> {
  return Object.fromEntries(
    names.flatMap((name) => Object.entries(suffixes).map(([suffix, [format, words]]) => [name + suffix, row(format, words)])),
  );
}

const load = (words: number): Row => ({ accesses: [to(1, "any", words)] });
const store = (words: number): Row => ({ accesses: [from(1, "any", words)] });
const copy = (words: number): Row => ({ accesses: [to(0, "any", words), from(1, "any", words)] });
const compare = (format: Format, words: number): Row => ({ accesses: [from(0, format, words), from(1, format, words)] });
const toInteger = (format: Format, words: number): Row => ({ accesses: [from(0, format, words)], limit: format });

const table: Readonly<Record<string, Row | undefined>> = Object.freeze({
  load64: load(2),
  load128: load(4),
  load128Aligned: load(4),
  store64: store(2),
  store128: store(4),
  store128Aligned: store(4),
  storePair: { accesses: [] },
  copy64: copy(2),
  copy128: copy(4),
  shiftLeftBytes: { accesses: [both(0, "words", 4)] },
  shiftRightBytes: { accesses: [both(0, "words", 4)] },
  ...each(["add", "sub", "mul", "div"], (format, words) => ({ accesses: [both(0, format, words), from(1, format, words)], limit: format })),
  ...each(["sqrt"], (format, words) => ({ accesses: [to(0, format, words), from(1, format, words)], limit: format })),
  ...each(["min", "max", "cmp"], (format, words) => ({ accesses: [both(0, format, words), from(1, format, words)] })),
  comisd: compare("f64", 2),
  ucomisd: compare("f64", 2),
  comiss: compare("f32", 1),
  ucomiss: compare("f32", 1),
  cvtsi2sd: { accesses: [to(0, "f64", 2)] },
  cvtsi2ss: { accesses: [to(0, "f32", 1)], limit: "f32" },
  cvttsd2si: toInteger("f64", 2),
  cvtsd2si: toInteger("f64", 2),
  cvttss2si: toInteger("f32", 1),
  cvtss2si: toInteger("f32", 1),
  cvtss2sd: { accesses: [to(0, "f64", 2), from(1, "f32", 1)] },
  cvtsd2ss: { accesses: [to(0, "f32", 1), from(1, "f64", 2)], limit: "f32" },
  cvtdq2pd: { accesses: [to(0, "f64", 4), from(1, "words", 2)] },
});

export const isExpanded = (callout: CalloutName): boolean => table[callout] !== undefined;
export const limitOf = (callout: CalloutName): Format | undefined => table[callout]?.limit;

/** Of whole registers; undefined: it works on no such numbers. */
export function packedFormatOf(callout: CalloutName): Format | undefined {
  const kind = table[callout]?.accesses.find(({ words }) => words === 4)?.kind;
  return kind === "f64" || kind === "f32" ? kind : undefined;
}

/** An argument that is a constant, be it still a sum (the place of an upper half); -1 for any other. */
export function numberOf(v: Value): number {
  if (v.kind === "constant") return v.value;
  return v.kind === "pure" && v.op === "add" && v.args.every((a) => a.kind === "constant") ? numberOf(v.args[0]) + numberOf(v.args[1]) : -1;
}

/** Whether a statement may have vector operands: what most regions need to be asked. */
export function mayAccessVectors(s: Statement): boolean {
  if (s.kind === "get" || s.kind === "set") return isVectorSlot(slotNumber(s.slot));
  if (s.kind !== "call") return false;
  const row: CalloutRow = callouts[s.callout];
  return row.slots !== undefined || isExpanded(s.callout);
}

const none: readonly never[] = Object.freeze([]);

/** The vector operands of an instantiated statement, reads first. @param isWhole packed numbers are taken from whole registers, and not one by one */
export function accessesOf(s: Statement, isWhole = false): readonly Access[] {
  if (s.kind === "get" || s.kind === "set") {
    const at = slotNumber(s.slot);
    if (!isVectorSlot(at)) return none;
    const isZero = s.kind === "set" && s.value.kind === "constant" && s.value.value === 0;
    const kind = s.type === "f64" ? "memory" : isZero ? "any" : "words";
    return [{ at, words: wordsOfType[s.type], kind, reads: s.kind === "get", writes: s.kind === "set" }];
  }
  if (s.kind !== "call") return none;
  const row: CalloutRow = callouts[s.callout];
  const accesses = table[s.callout]?.accesses ?? row.slots?.map((argument) => both(argument, "memory", 4));
  if (accesses === undefined || accesses.length === 0) return none;
  return accesses
    .map(({ argument, ...access }) => {
      const at = numberOf(s.args[argument]);
      const isPacked = isWhole && access.words === 4 && (access.kind === "f64" || access.kind === "f32");
      return { ...access, at, words: access.kind === "memory" ? 4 - (at & 3) : access.words, kind: isPacked ? "words" : access.kind };
    })
    .filter(({ at }) => isVectorSlot(at))
    .sort((a, b) => Number(a.writes) - Number(b.writes));
}
