/**
 * Runs one x87 instruction on our side from the same records that hardware.c reads: table row -> lift -> callouts, on state slots. Decoder, code
 * generator and paging stay out of it: the row is found by its encoding, and the lift's statements are evaluated directly.
 */

import type { X87Host } from "../../runtime/callouts/x87/host.ts";
import { x87Implementations } from "../../runtime/callouts/x87.ts";
import { FloatUnit } from "../../runtime/float/unit.ts";
import { mode } from "../../translator/contract/mode-key.ts";
import { arithmeticFlags, slot } from "../../translator/contract/slots.ts";
import { operandKind } from "../../translator/decode/instruction.ts";
import { x87Rows } from "../../translator/decode/tables/x87.ts";
import type { Statement, Value } from "../../translator/ir/micro.ts";
import { pureOps } from "../../translator/ir/pure-ops.ts";
import { Builder } from "../../translator/lift/builder.ts";
import type { Shape, ShapeOperand } from "../../translator/lift/shape.ts";
import { x87Lifts } from "../../translator/lift/x87.ts";

export const inputSize = 132;
export const outputSize = 136;
const memoryBase = 0x1000;

export class GuestException extends Error {
  readonly vector: number;
  constructor(vector: number) {
    super(`guest exception ${vector}`);
    this.vector = vector;
  }
}

/** A CPU as far as x87 callouts see one: state slots and a flat page of memory at 0x1000. */
export class TestHost implements X87Host {
  readonly R = new Int32Array(slot.count);
  readonly float = new FloatUnit();
  readonly bytes = new DataView(new ArrayBuffer(4096));
  /** Accesses at or beyond this linear address fault. */
  limit = memoryBase + 4096;
  ferr: boolean[] = [];
  readonly board = { setFerr: (high: boolean): void => void this.ferr.push(high) };
  readonly memory = {
    ld1: (a: number): number => this.bytes.getUint8(this.at(a, 1)),
    ld2: (a: number): number => this.bytes.getUint16(this.at(a, 2), true),
    ld4: (a: number): number => this.bytes.getInt32(this.at(a, 4), true),
    st1: (a: number, v: number): void => this.bytes.setUint8(this.at(a, 1), v),
    st2: (a: number, v: number): void => this.bytes.setUint16(this.at(a, 2), v, true),
    st4: (a: number, v: number): void => this.bytes.setInt32(this.at(a, 4), v, true),
    probeWrite: (a: number, size: number): void => void this.at(a, size),
  };
  raise(vector: number): never {
    throw new GuestException(vector);
  }
  private at(address: number, size: number): number {
    if (address < memoryBase || address + size > this.limit) throw new GuestException(14);
    return address - memoryBase;
  }
}

type Step = (cpu: TestHost, fields: readonly number[], results: Map<Statement, number>) => void;

const pureFunctions = new Map<string, (...args: number[]) => number>();
for (const [name, row] of Object.entries(pureOps) as [string, { parameters: string; js: string }][]) {
  pureFunctions.set(name, new Function(...row.parameters.split(" "), `return ${row.js};`) as (...args: number[]) => number);
}

function evaluate(value: Value, fields: readonly number[], results: Map<Statement, number>): number {
  switch (value.kind) {
    case "constant":
      return value.value;
    case "field":
      return fields[value.index];
    case "result":
      return results.get(value.statement) as number;
    case "pure":
      return pureFunctions.get(value.op)!(...value.args.map((a) => evaluate(a, fields, results)));
    default:
      throw new Error(`no ${value.kind} in an x87 lift`);
  }
}

function compileStatement(s: Statement): Step {
  switch (s.kind) {
    case "get":
      return (cpu, fields, results) => void results.set(s, cpu.R[evaluate(s.slot.base, fields, results) + s.slot.offset]);
    case "set":
      return (cpu, fields, results) => {
        cpu.R[evaluate(s.slot.base, fields, results) + s.slot.offset] = evaluate(s.value, fields, results);
      };
    case "call": {
      const callout = (x87Implementations as unknown as Record<string, (cpu: X87Host, ...args: number[]) => number | undefined>)[s.callout];
      return (cpu, fields, results) => {
        const args = s.args.map((a) => evaluate(a, fields, results));
        results.set(s, callout(cpu, ...args) ?? 0);
      };
    }
    default:
      throw new Error(`no ${s.kind} in an x87 lift`);
  }
}

export interface Instruction {
  readonly name: string;
  readonly operands: string;
  run(cpu: TestHost): void;
}

const operandSizes: Record<string, number> = { Md: 4, Mq: 8, Mw: 2, Mt: 10, Menv: 0, Mstate: 0 };

function operandOf(code: string, field: number): ShapeOperand {
  const memory = code.startsWith("M");
  return {
    kind: memory ? operandKind.memory : code === "AX" ? operandKind.register : operandKind.st,
    size: operandSizes[code] ?? 0,
    field,
    high: false,
    hasBase: false,
    hasIndex: false,
    segment: 3,
    reg: 0,
    isZeroCount: false,
  };
}

const cache = new Map<number, Instruction | undefined>();

/** The instruction `escape modrm` as the tables, lifts and callouts have it; memory forms address the 16 bytes at 0x1000. */
export function instructionFor(esc: number, modrm: number): Instruction | undefined {
  const key = esc * 256 + modrm;
  if (!cache.has(key)) cache.set(key, buildInstruction(esc, modrm));
  return cache.get(key);
}

function buildInstruction(esc: number, modrm: number): Instruction | undefined {
  const hex = (n: number): string => n.toString(16).toUpperCase().padStart(2, "0");
  const encodings = modrm < 0xc0 ? [`${hex(esc)} /${(modrm >>> 3) & 7} mem`] : [`${hex(esc)} ${hex(modrm)}`, `${hex(esc)} ${hex(modrm & ~7)}+i`];
  const found = x87Rows.find(([encoding]) => encodings.includes(encoding));
  if (found === undefined) return undefined;
  const [, name, operandCodes] = found;
  const fields: number[] = [];
  const operands = (operandCodes === "" ? [] : operandCodes.split(",")).map((code) => {
    const operand = operandOf(code, fields.length);
    if (code !== "AX") fields.push(operand.kind === operandKind.memory ? memoryBase : code === "STi" ? modrm & 7 : 0);
    return operand;
  });
  const shape: Shape = {
    row: { index: 0, name, operands: operandCodes, lockable: false, endsBlock: false },
    operandSize: 4,
    addressSize: 4,
    repeat: 0,
    lock: false,
    mode: mode.code32 | mode.stack32 | mode.flat | mode.protected,
    segmentOverride: -1,
    operands,
    nextField: fields.length,
    x87Field: fields.length + 1,
  };
  fields.push(0, ((esc & 7) << 8) | modrm | (2 << 11));
  const builder = new Builder(shape);
  x87Lifts[name](builder, shape);
  const steps = builder.finish().statements.map(compileStatement);
  return {
    name,
    operands: operandCodes,
    run(cpu) {
      const results = new Map<Statement, number>();
      for (const step of steps) step(cpu, fields, results);
    },
  };
}

/** Sets the x87 state, memory and arithmetic flags of an input record. */
export function loadRecord(cpu: TestHost, record: DataView): void {
  const R = cpu.R;
  R.fill(0);
  R[slot.cr0] = 0x31;
  R[slot.eip] = 0x402;
  R[slot.fpuControl] = (record.getUint16(0, true) & 0x1f3f) | 0x40;
  const word = record.getUint16(4, true);
  const top = (word >>> 11) & 7;
  R[slot.fpuTop] = top;
  // FRSTOR makes ES and B agree with the exceptions.
  R[slot.fpuStatus] = (word & 0x477f) | ((word & ~R[slot.fpuControl] & 0x3f) !== 0 ? 0x8080 : 0);
  const tags = record.getUint16(8, true);
  for (let r = 0; r < 8; r++) if (((tags >>> (2 * r)) & 3) === 3) R[slot.fpuEmpty] |= 1 << r;
  for (let i = 0; i < 8; i++) {
    const r = (top + i) & 7;
    R[slot.fpuMantissaLow + r] = record.getInt32(28 + 10 * i, true);
    R[slot.fpuMantissaHigh + r] = record.getInt32(32 + 10 * i, true);
    R[slot.fpuSignExponent + r] = record.getUint16(36 + 10 * i, true);
  }
  for (let i = 0; i < 16; i++) cpu.bytes.setUint8(i, record.getUint8(108 + i));
  const flags = record.getInt32(124, true);
  R[slot.flagZero] = (flags & 0x40) !== 0 ? 0 : 1;
  R[slot.flagSign] = ((flags & 4) !== 0 ? 0 : 1) | ((flags & 0x80) !== 0 ? 1 << 31 : 0);
  const carry = (flags & 1) !== 0;
  const overflow = (flags & 0x800) !== 0;
  R[slot.flagCarry] = (carry ? 1 << 31 : 0) | (carry !== overflow ? 1 << 30 : 0) | ((flags & 0x10) !== 0 ? 8 : 0);
}

function flagsOf(R: Int32Array): number {
  const c = R[slot.flagCarry];
  const low = R[slot.flagSign] & 255;
  let parity = low ^ (low >>> 4);
  parity ^= parity >>> 2;
  parity ^= parity >>> 1;
  return (
    (c < 0 ? 1 : 0) |
    ((parity & 1) === 0 ? 4 : 0) |
    (c & 8 ? 0x10 : 0) |
    (R[slot.flagZero] === 0 ? 0x40 : 0) |
    (R[slot.flagSign] < 0 ? 0x80 : 0) |
    ((c ^ (c << 1)) < 0 ? 0x800 : 0)
  );
}

/** Runs the record's instruction and writes an output record as hardware.c does, except for the last-instruction registers. */
export function runRecord(cpu: TestHost, record: DataView, output: DataView): void {
  const instruction = instructionFor(record.getUint8(128), record.getUint8(129));
  if (instruction === undefined) throw new Error("not an x87 instruction of the tables");
  loadRecord(cpu, record);
  for (let i = 0; i < outputSize; i += 4) output.setInt32(i, 0, true);
  let trapped = false;
  try {
    instruction.run(cpu);
  } catch (e) {
    if (!(e instanceof GuestException) || e.vector !== 16) throw e;
    trapped = true;
  }
  const R = cpu.R;
  for (let i = 0; i < 16; i++) output.setUint8(108 + i, cpu.bytes.getUint8(i));
  if (trapped) {
    output.setInt32(132, 1, true);
    return;
  }
  output.setInt32(124, R[slot.eax], true);
  output.setInt32(128, flagsOf(R) & arithmeticFlags, true);
  const memory = cpu.memory;
  x87Implementations.fnsave(cpu, memoryBase + 64, 4);
  for (let i = 0; i < 108; i += 2) output.setUint16(i, memory.ld2(memoryBase + 64 + i), true);
}
