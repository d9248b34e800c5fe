/** Micro-ops as text: one statement a line, results numbered in order, slots by name, fields with the value they have here. */
import { slot } from "../../translator/contract/slots.ts";
import type { MicroTemplate, SlotRef, Statement, Terminator, Value } from "../../translator/ir/micro.ts";

/** Slot names by number; a row of several slots (selector, xmm, ...) is named by its first with an index. */
const slotStarts = Object.entries(slot)
  .filter(([name]) => name !== "count")
  .map(([name, number]) => ({ name, number }))
  .sort((a, b) => a.number - b.number);

function slotName(number: number): string {
  const row = slotStarts.findLast((s) => s.number <= number);
  if (!row) return `slot ${number}`;
  return row.number === number ? row.name : `${row.name}[${number - row.number}]`;
}

function literal(value: number): string {
  return value > -10 && value < 10 ? `${value}` : `0x${(value >>> 0).toString(16)}`;
}

/** @param fields the values of one instruction; without them fields print as `field n` */
export function printMicroOps(template: MicroTemplate, fields?: ArrayLike<number>): string[] {
  const numbers = new Map<Statement, number>();
  const field = (index: number): string => (fields ? literal(fields[index]!) : `field ${index}`);

  const value = (v: Value): string => {
    switch (v.kind) {
      case "constant":
        return literal(v.value);
      case "field":
        return field(v.index);
      case "pure":
        return `${v.op}(${v.args.map(value).join(", ")})`;
      case "result":
        return `v${numbers.get(v.statement) ?? "?"}`;
      case "codeAddress":
        return `eip(${value(v.offset)})`;
    }
  };
  const place = (ref: SlotRef): string => {
    if (ref.base.kind === "constant") return slotName(ref.base.value + ref.offset);
    if (ref.base.kind === "field" && fields) return slotName(fields[ref.base.index]! + ref.offset);
    return `slot[${value(ref.base)}${ref.offset ? ` + ${ref.offset}` : ""}]`;
  };
  const statement = (s: Statement): string => {
    switch (s.kind) {
      case "get":
        return `get ${place(s.slot)}${s.type === "f64" ? " as f64" : ""}`;
      case "set":
        return `set ${place(s.slot)}${s.type === "f64" ? " as f64" : ""} = ${value(s.value)}`;
      case "load":
        return `load${8 * s.size}${s.forWrite ? " for write" : ""} [${value(s.address)}]`;
      case "store":
        return `store${8 * s.size} [${value(s.address)}] = ${value(s.value)}`;
      case "segment":
        return `linear ${["es", "cs", "ss", "ds", "fs", "gs"][s.segment] ?? s.segment}:${value(s.offset)}, ${s.size} bytes, ${s.isWrite ? "write" : "read"}`;
      case "call":
        return `call ${s.callout}(${s.args.map(value).join(", ")})`;
    }
  };
  const terminator = (t: Terminator): string => {
    switch (t.kind) {
      case "jump":
        return `jump ${value(t.target)}`;
      case "call":
        return `jump ${value(t.target)}, returns to ${value(t.returnTo)}`;
      case "branch":
        return `branch ${value(t.condition)} ? ${value(t.taken)} : ${value(t.fall)}`;
      case "indirect":
        return `${t.flavour} to eip ${value(t.target)}`;
      case "again":
        return `again while ${value(t.condition)}`;
      case "dispatch":
        return "dispatch";
    }
  };

  const lines = template.statements.map((s) => {
    const hasResult = s.kind !== "set" && s.kind !== "store";
    const text = statement(s);
    if (!hasResult) return text;
    const number = numbers.size;
    numbers.set(s, number);
    return `v${number} = ${text}`;
  });
  if (template.terminator) lines.push(terminator(template.terminator));
  return lines;
}
