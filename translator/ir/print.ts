/**
 * Micro-ops as text, for people and goldens: one statement a line, slots by name, `t` for what has several users.
 *
 *     t0 = load32 [ebp - 8]
 *     t1 = sub(t0, ecx)
 *     set eax = t1
 *
 * A state read stands as the slot's name where it is used, unless the slot may be written before its last use: then it gets a line of its own, as does a
 * value with more than one user. Fields of a template, which have no value yet, are $name.
 */
import { type CalloutRow, callouts } from "../contract/callouts.ts";
import { segment, slot } from "../contract/slots.ts";
import type { MicroBlock } from "./block.ts";
import type { GetStatement, MicroTemplate, ResultStatement, SetStatement, SlotRef, Statement, Terminator, Value } from "./micro.ts";
import { operandsOf, operandsOfTerminator, wordsOfType } from "./micro.ts";

export interface PrintedStatement {
  /** Index of the instruction it belongs to; 0 in a template. */
  readonly instruction: number;
  readonly text: string;
}

/** The micro-ops of one shape. @param fieldNames what its fields are (describeFields in lift/shape.ts) */
export function printTemplate(template: MicroTemplate, fieldNames: readonly string[] = []): string[] {
  const statements = template.statements.map((s) => ({ s, instruction: 0 }));
  return new Printer(statements, template.terminator, (index) => `$${fieldNames[index] ?? index}`).print().map(({ text }) => text);
}

/** The micro-ops of a block, its terminator last. */
export function printBlock(block: MicroBlock): PrintedStatement[] {
  return new Printer(block.statements, block.terminator, (index) => `$${index}`, block.instructions.length - 1).print();
}

/** Slots that are rows: how many elements an entry has, and what names an element. */
const rowElements: Readonly<Record<string, (k: number) => string>> = (() => {
  const segments = new Map(Object.entries(segment).map(([name, n]) => [n as number, name]));
  const bySegment = (k: number): string => `.${segments.get(k) ?? k}`;
  const byWord = (k: number): string => `[${k}]`;
  return Object.freeze({
    selector: bySegment,
    segmentBase: bySegment,
    segmentLimit: bySegment,
    segmentAccess: bySegment,
    segmentChecked: bySegment,
    fpuMantissaLow: byWord,
    fpuMantissaHigh: byWord,
    fpuSignExponent: byWord,
    fpuPairHigh: (k: number) => `[${k >> 1}]`,
    fpuPairLow: (k: number) => `[${k >> 1}]`,
    scratch: byWord,
    scratch2: byWord,
    xmm: (k: number) => `${k >> 2}[${k & 3}]`,
  });
})();

const slotStarts = Object.entries(slot)
  .filter(([name]) => name !== "count")
  .map(([name, number]) => ({ name, number }))
  .sort((a, b) => a.number - b.number);

/** "eax", "segmentBase.fs", "xmm1[2]". */
export function slotName(number: number): string {
  const row = slotStarts.findLast((s) => s.number <= number);
  if (row === undefined) return `slot ${number}`;
  const element = number - row.number;
  return rowElements[row.name] === undefined && element === 0 ? row.name : `${row.name}${(rowElements[row.name] ?? ((k) => `+${k}`))(element)}`;
}

const smallest = 10;
const bitOps = new Set(["and", "or", "xor", "blend"]);

function literal(value: number, isBits = false): string {
  if (value < 0 && (isBits || value < -0xffff)) return `0x${(value >>> 0).toString(16)}`;
  const digits = Math.abs(value) < smallest ? `${Math.abs(value)}` : `0x${Math.abs(value).toString(16)}`;
  return value < 0 ? `-${digits}` : digits;
}

class Printer {
  private readonly lines: PrintedStatement[] = [];
  private readonly statements: MicroBlock["statements"];
  private readonly tail: Terminator | undefined;
  private readonly field: (index: number) => string;
  /** Instruction that the terminator belongs to. */
  private readonly last: number;
  private readonly uses = new Map<Value | ResultStatement, number>();
  /** Statement number of the last user, direct or not. */
  private readonly lastUse = new Map<ResultStatement, number>();
  private readonly names = new Map<Value | ResultStatement, string>();
  private temporaries = 0;
  private instruction = 0;

  constructor(statements: MicroBlock["statements"], tail: Terminator | undefined, field: (index: number) => string, last = 0) {
    this.last = last;
    this.statements = statements;
    this.tail = tail;
    this.field = field;
  }

  print(): PrintedStatement[] {
    const seen = new Set<Value>();
    this.statements.forEach(({ s }, k) => {
      for (const v of operandsOf(s)) this.count(v, k, seen);
    });
    if (this.tail !== undefined) for (const v of operandsOfTerminator(this.tail)) this.count(v, this.statements.length, seen);
    this.statements.forEach(({ s, instruction }, k) => {
      this.instruction = instruction;
      this.statement(s, k);
    });
    this.instruction = this.last;
    if (this.tail !== undefined) this.line(this.terminator(this.tail));
    return this.lines;
  }

  private line(text: string): void {
    this.lines.push({ instruction: this.instruction, text });
  }

  private count(v: Value, at: number, seen: Set<Value>): void {
    this.uses.set(v, (this.uses.get(v) ?? 0) + 1);
    if (v.kind === "result") this.lastUse.set(v.statement, at);
    if (v.kind === "result") this.uses.set(v.statement, (this.uses.get(v.statement) ?? 0) + 1);
    const parts = v.kind === "pure" ? v.args : v.kind === "codeAddress" ? [v.offset] : [];
    // A shared value is computed at its first use: what it reads is needed no longer than that.
    if (seen.has(v)) return;
    seen.add(v);
    for (const part of parts) this.count(part, at, seen);
  }

  private name(of: Value | ResultStatement): string {
    const name = `t${this.temporaries++}`;
    this.names.set(of, name);
    return name;
  }

  private statement(s: Statement, at: number): void {
    switch (s.kind) {
      case "get": {
        const text = s.type === "i32" ? this.place(s.slot) : `${s.type} ${this.place(s.slot)}`;
        if ((this.uses.get(s) ?? 0) === 0) this.line(`read ${text}`);
        else if (this.isStable(s, at)) this.names.set(s, text);
        else this.line(`${this.name(s)} = ${text}`);
        return;
      }
      case "set":
        return this.line(`set ${s.type === "i32" ? "" : `${s.type} `}${this.place(s.slot)} = ${this.value(s.value)}`);
      case "store": {
        const address = this.address(s.address);
        return this.line(`store${8 * s.size} [${address}] = ${this.value(s.value)}`);
      }
      case "load":
        return this.result(s, `load${8 * s.size}${s.forWrite ? "w" : ""} [${this.address(s.address)}]`);
      case "fetch":
        return this.result(s, `fetch${8 * s.size} [${s.place.toString(16)}]`);
      case "segment": {
        const name = Object.entries(segment).find(([, n]) => n === s.segment)?.[0] ?? s.segment;
        return this.line(`check ${name}:[${this.address(s.offset)}] ${s.isWrite ? "write" : "read"} ${s.size}${s.wide ? " of 64K" : ""}`);
      }
      case "call":
        return this.result(s, `call ${s.callout}(${s.args.map((a) => this.value(a)).join(", ")})`);
    }
  }

  private result(s: ResultStatement, text: string): void {
    if ((this.uses.get(s) ?? 0) === 0) this.line(text);
    else this.line(`${this.name(s)} = ${text}`);
  }

  /** Nothing between a state read and its last use may write the slot. */
  private isStable(s: GetStatement, from: number): boolean {
    const to = this.lastUse.get(s) ?? from;
    for (let k = from + 1; k < Math.min(to, this.statements.length); k++) {
      const { s: other } = this.statements[k];
      if (other.kind === "set" && mayOverlap(other, s)) return false;
      if (other.kind === "call") {
        const row: CalloutRow = callouts[other.callout];
        if (row.general !== false || s.slot.base.kind !== "constant" || s.slot.base.value + s.slot.offset > slot.flagCarry) return false;
      }
    }
    return true;
  }

  private place({ base, offset }: SlotRef): string {
    if (base.kind === "constant") return slotName(base.value + offset);
    return offset === 0 ? `R[${this.value(base)}]` : `R[${this.value(base)} + ${offset}]`;
  }

  private value(v: Value, isBits = false): string {
    const known = this.names.get(v.kind === "result" ? v.statement : v);
    if (known !== undefined) return known;
    switch (v.kind) {
      case "constant":
        return literal(v.value, isBits);
      case "field":
        return this.field(v.index);
      case "result":
        throw new Error(`a ${v.statement.kind} is used before its statement`);
      case "codeAddress":
        return `eip(${this.target(v.offset)})`;
      case "pure": {
        const text = `${v.op}(${v.args.map((a) => this.value(a, bitOps.has(v.op))).join(", ")})`;
        if ((this.uses.get(v) ?? 0) < 2) return text;
        this.line(`${this.name(v)} = ${text}`);
        return this.names.get(v) as string;
      }
    }
  }

  /** Sums as people write addresses. */
  private address(v: Value): string {
    const isShared = v.kind === "pure" && (this.uses.get(v) ?? 0) > 1;
    if (v.kind !== "pure" || this.names.has(v) || isShared) return this.value(v);
    const [a, b] = v.args;
    if (v.op === "add" && b.kind === "constant" && b.value < 0) return `${this.address(a)} - ${literal(b.value).replace(/^-/, "")}`;
    if (v.op === "add") return `${this.address(a)} + ${this.address(b)}`;
    if (v.op === "sub" && b.kind !== "pure") return `${this.address(a)} - ${this.value(b)}`;
    if (v.op === "shl" && b.kind === "constant") return `${this.value(a)}*${1 << (b.value & 31)}`;
    return this.value(v);
  }

  /** A page offset. */
  private target(v: Value): string {
    return v.kind === "constant" ? `page${v.value < 0 ? "-" : "+"}0x${Math.abs(v.value).toString(16)}` : this.value(v);
  }

  private terminator(t: Terminator): string {
    switch (t.kind) {
      case "jump":
        return `jump ${this.target(t.target)}`;
      case "call":
        return `call ${this.target(t.target)}, returns to ${this.target(t.returnTo)}`;
      case "branch":
        return `branch ${this.value(t.condition)} ? ${this.target(t.taken)} : ${this.target(t.fall)}`;
      case "indirect":
        return `${t.flavour} to eip ${this.value(t.target)}`;
      case "again":
        return `again while ${this.value(t.condition)}`;
      case "proceed":
        return `proceed unless ${this.value(t.unless)}`;
      case "dispatch":
        return "dispatch";
    }
  }
}

type Access = GetStatement | SetStatement;

function mayOverlap(a: Access, b: Access): boolean {
  if (a.slot.base.kind !== "constant" || b.slot.base.kind !== "constant") return true;
  const from = (access: Access): number => (access.slot.base as { value: number }).value + access.slot.offset;
  const words = (access: Access): number => wordsOfType[access.type];
  return from(a) < from(b) + words(b) && from(b) < from(a) + words(a);
}
