/**
 * Forwards state inside a block: a read of a slot becomes the value last written to it, or the first read of it. This is what joins instructions: a
 * compare's flag words meet the branch that tests them, an address meets the arithmetic that made it.
 */
import { type CalloutName, type CalloutRow, callouts } from "../contract/callouts.ts";
import { slot } from "../contract/slots.ts";
import { type MicroBlock, type MicroStatement, slotNumber, ValueMapper } from "../ir/block.ts";
import type { ResultStatement, Value } from "../ir/micro.ts";

function isRepeatedCheck(callout: CalloutName, checked: Set<CalloutName>): boolean {
  const row: CalloutRow = callouts[callout];
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
  for (const { s, instruction } of block.statements) {
    if (s.kind === "get" && s.type === "i32") {
      const n = slotNumber(s.slot);
      const value = known.get(n);
      if (value !== undefined) {
        replaced.set(s, value);
        continue;
      }
      const mapped = mapper.statement(s) as ResultStatement;
      known.set(n, { kind: "result", statement: mapped });
      out.push({ s: mapped, instruction });
      continue;
    }
    const mapped = mapper.statement(s);
    if (mapped.kind === "call" && isRepeatedCheck(mapped.callout, checked)) continue;
    out.push({ s: mapped, instruction });
    if (mapped.kind === "set") {
      const n = slotNumber(mapped.slot);
      if (mapped.type === "f64") {
        known.delete(n);
        known.delete(n + 1);
      } else known.set(n, mapped.value);
    } else if (mapped.kind === "call") {
      const row: CalloutRow = callouts[mapped.callout];
      for (const n of known.keys()) if (row.general !== false || n > slot.flagCarry) known.delete(n);
    }
  }
  return { ...block, statements: out, terminator: block.terminator && mapper.terminator(block.terminator) };
}
