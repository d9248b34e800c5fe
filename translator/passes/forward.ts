/**
 * Forwards state inside a block: a read of a slot becomes the value last written to it, or the first read of it. This is what joins instructions: a
 * compare's flag words meet the branch that tests them, an address meets the arithmetic that made it.
 *
 * Where fields are not known yet (instructions fused for tier 0), a register named by a field is any register.
 */
import { type CalloutName, type CalloutRow, callouts } from "../contract/callouts.ts";
import { slot } from "../contract/slots.ts";
import { type MicroBlock, type MicroStatement, slotNumberIfKnown, ValueMapper } from "../ir/block.ts";
import { type ResultStatement, type Value, wordsOfType } from "../ir/micro.ts";

/** A slot that holds the constant already. */
function isKnown(held: Value | undefined, value: Value): boolean {
  return held?.kind === "constant" && value.kind === "constant" && held.value === value.value;
}

function isRepeatedCheck(callout: CalloutName, checked: Set<CalloutName>): boolean {
  const row: CalloutRow = callouts[callout];
  if (row.slots === undefined && row.oncePerBlock !== true) for (const name of checked) if (isOnX87State(name)) checked.delete(name);
  if (row.oncePerBlock !== true) return false;
  if (checked.has(callout)) return true;
  checked.add(callout);
  return false;
}

export function forward(block: MicroBlock): MicroBlock {
  /** What a slot holds now, as a value of this block. */
  const known = new Map<number, Value>();
  /** Replacement of dropped reads. */
  const replaced = new Map<ResultStatement, Value>();
  const mapper = new ValueMapper((v) => (v.kind === "result" ? replaced.get(v.statement) : undefined));
  const out: MicroStatement[] = [];
  const checked = new Set<CalloutName>();
  for (const statement of block.statements) {
    const { s, instruction } = statement;
    if (s.kind === "get" && s.type === "i32") {
      const n = slotNumberIfKnown(s.slot);
      const value = known.get(n);
      if (value !== undefined) {
        replaced.set(s, value);
        continue;
      }
      const mapped = mapper.statement(s) as ResultStatement;
      if (n >= 0) known.set(n, { kind: "result", statement: mapped });
      out.push(mapped === s ? statement : { s: mapped, instruction });
      continue;
    }
    const mapped = mapper.statement(s);
    if (mapped.kind === "call" && isRepeatedCheck(mapped.callout, checked)) continue;
    if (mapped.kind === "set" && mapped.type === "i32" && isKnown(known.get(slotNumberIfKnown(mapped.slot)), mapped.value)) continue;
    out.push(mapped === s ? statement : { s: mapped, instruction });
    if (mapped.kind === "set") {
      const n = slotNumberIfKnown(mapped.slot);
      if (n < 0) {
        for (const k of known.keys()) if (!isFlagWord(k)) known.delete(k);
      } else if (mapped.type !== "i32") for (let k = 0; k < wordsOfType[mapped.type]; k++) known.delete(n + k);
      else known.set(n, mapped.value);
    } else if (mapped.kind === "call") {
      const row: CalloutRow = callouts[mapped.callout];
      if (row.slots !== undefined && row.writesMemory === false) forgetOperands(known, mapped.args, row.slots);
      else for (const n of known.keys()) if (row.general !== false || n > slot.flagCarry) known.delete(n);
    }
  }
  return { ...block, statements: out, terminator: block.terminator && mapper.terminator(block.terminator) };
}

function isOnX87State(callout: CalloutName): boolean {
  const row: CalloutRow = callouts[callout];
  return row.onX87State === true;
}

/** A callout on vector operands changes those, and MXCSR at most. */
function forgetOperands(known: Map<number, Value>, args: readonly Value[], slots: readonly number[]): void {
  for (const k of slots) {
    const arg = args[k];
    const first = arg.kind === "constant" ? arg.value & ~3 : slot.scratch;
    const end = arg.kind === "constant" ? first + 4 : slot.scratch2 + 4;
    for (let n = first; n < end; n++) known.delete(n);
  }
  known.delete(slot.mxcsr);
}

function isFlagWord(n: number): boolean {
  return n === slot.flagZero || n === slot.flagSign || n === slot.flagCarry;
}
