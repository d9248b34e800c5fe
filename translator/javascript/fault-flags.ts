/**
 * Flags that nothing sees but a fault. Between two instructions that set them there is often a load or store, which mostly does not fault; the first one's are then computed in its slow
 * path, where that costs nothing. Only what takes an operation of its own is treated so: a copy of a result is free.
 */
import { slot } from "../contract/slots.ts";
import { type MicroStatement, slotNumber } from "../ir/block.ts";
import type { SetStatement, Value } from "../ir/micro.ts";
import { operandsOf } from "../ir/micro.ts";
import type { PureOp } from "../ir/pure-ops.ts";
import { needsVector } from "./lazy-carry.ts";

/** Farther statements than this are not looked at. */
const farthest = 60;
/** Operands and operations, written out, of what is worth computing in each slow path. */
const largest = 60;

/**
 * @param usesOf how often an operation's meaning names each of its operands
 * @returns for each such set of a flag word the last statement that may fault before it is set again */
export function flagsForFaults(statements: readonly MicroStatement[], usesOf: (op: PureOp) => readonly number[]): ReadonlyMap<SetStatement, number> {
  const found = new Map<SetStatement, number>();
  let computed: ReadonlySet<Value> | undefined;
  let called = -1;
  for (let k = 0; k < statements.length; k++) {
    const { s, instruction } = statements[k];
    if (s.kind === "call") called = instruction;
    // Behind an instruction with a callout the region may be left.
    if (s.kind !== "set" || !isFlagWord(s) || called === instruction) continue;
    const last = lastFault(statements, k);
    if (last < 0) continue;
    computed ??= computedAnyway(statements);
    const isFree = slotNumber(s.slot) === slot.flagCarry ? !needsVector(s.value) : s.value.kind !== "pure" || computed.has(s.value);
    if (!isFree && sizeOf(s.value, usesOf) <= largest && !readsFlags(s.value)) found.set(s, last);
  }
  return found;
}

/** Stops counting behind `largest`. */
function sizeOf(v: Value, usesOf: (op: PureOp) => readonly number[]): number {
  if (v.kind !== "pure") return 1;
  const uses = usesOf(v.op);
  let size = 1;
  for (let k = 0; k < v.args.length && size <= largest; k++) size += uses[k] * sizeOf(v.args[k], usesOf);
  return size;
}

/** Whether a value comes from flags as they were before the block: a slow path may have set them already, and come to it again. */
function readsFlags(v: Value): boolean {
  if (v.kind === "result") return v.statement.kind === "get" && isFlagSlot(slotNumber(v.statement.slot));
  return v.kind === "pure" && v.args.some(readsFlags);
}

const isFlagSlot = (n: number): boolean => n >= slot.flagZero && n <= slot.flagCarry;

function isFlagWord(s: SetStatement): boolean {
  return s.type === "i32" && isFlagSlot(slotNumber(s.slot));
}

/** The last statement that may fault between a set and the next of its slot; -1: there is none, or something else may see it. */
function lastFault(statements: readonly MicroStatement[], from: number): number {
  const n = slotNumber((statements[from].s as SetStatement).slot);
  let last = -1;
  for (let k = from + 1; k < Math.min(statements.length, from + farthest); k++) {
    const { s } = statements[k];
    if (s.kind === "call") return -1;
    if (s.kind === "set" && slotNumber(s.slot) === n) return last;
    if (s.kind === "get" && slotNumber(s.slot) === n) return -1;
    if (s.kind === "load" || s.kind === "store" || s.kind === "segment") last = k;
  }
  return -1;
}

/** What other statements than those that set flags take as a whole. */
function computedAnyway(statements: readonly MicroStatement[]): ReadonlySet<Value> {
  const found = new Set<Value>();
  for (const { s } of statements) {
    if (s.kind === "set" && isFlagWord(s)) continue;
    for (const v of operandsOf(s)) found.add(v);
  }
  return found;
}
