/**
 * Runs one x87 instruction on our side from the same records that hardware.c reads: table row -> lift -> tier 0's JavaScript -> callouts where that calls them, on
 * state slots. Decoder, dispatcher and paging stay out of it: the row is found by its encoding, and one page of memory is where it is.
 */

import type { X87Host } from "../../runtime/callouts/x87/host.ts";
import { forgetPairs, loadStatusWord, writeIntegers } from "../../runtime/callouts/x87/registers.ts";
import { x87Implementations } from "../../runtime/callouts/x87.ts";
import { compile } from "../../runtime/code/compile.ts";
import { FloatUnit } from "../../runtime/float/unit.ts";
import { mode } from "../../translator/contract/mode-key.ts";
import { arithmeticFlags, slot } from "../../translator/contract/slots.ts";
import type { ShapeCode } from "../../translator/contract/translator.ts";
import { operandKind } from "../../translator/decode/instruction.ts";
import { extensionRows } from "../../translator/decode/tables/extensions.ts";
import { x87Rows } from "../../translator/decode/tables/x87.ts";
import { PureTemplates } from "../../translator/javascript/pure-templates.ts";
import { tierZeroCode } from "../../translator/javascript/tier0.ts";
import { lift } from "../../translator/lift/index.ts";
import type { Shape, ShapeOperand } from "../../translator/lift/shape.ts";
import { bodyOf } from "../../translator/passes/fuse.ts";

export const inputSize = 132;
export const outputSize = 136;
const memoryBase = 0x1000;
/** Every instruction is at offset 0 of its page. */
const instructionLength = 2;

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
  readonly F = new Float64Array(this.R.buffer);
  readonly float = new FloatUnit();
  readonly bytes = new DataView(new ArrayBuffer(4096));
  /** The TLBs: one page, while all of it may be accessed. */
  readonly T = new Int32Array(1 << 20).fill(1);
  /** Handlers of instructions, compiled for this host. */
  readonly handlers = new Map<ShapeCode, (p: number) => number>();
  private end = memoryBase + 4096;
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
    requireAlignment: (): void => undefined,
    wordsAt: (): number => -1,
    physical: { i32: new Int32Array(0) },
  };
  /** Accesses at or beyond this linear address fault. */
  get limit(): number {
    return this.end;
  }
  set limit(limit: number) {
    this.end = limit;
    this.T[memoryBase >>> 12] = limit === memoryBase + 4096 ? memoryBase : 1;
  }
  constructor() {
    this.limit = this.end;
  }
  raise(vector: number): never {
    throw new GuestException(vector);
  }
  /** Runs a handler on the fields in `code`. */
  run(shape: ShapeCode, code: Int32Array): void {
    let handler = this.handlers.get(shape);
    if (handler === undefined) {
      const { buffer } = this.bytes;
      handler = compile<(p: number) => number>(shape.text, [...new Set(["R", "F", "C", ...shape.freeNames])], {
        ...calloutNames,
        cpu: this,
        R: this.R,
        F: this.F,
        C: code,
        TR: this.T,
        TW: this.T,
        M16: new Int16Array(buffer),
        M32: new Int32Array(buffer),
        M64: new Float64Array(buffer),
        MS: new Float32Array(buffer),
      });
      this.handlers.set(shape, handler);
    }
    handler(0);
  }
  private at(address: number, size: number): number {
    if (address < memoryBase || address + size > this.end) throw new GuestException(14);
    return address - memoryBase;
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
    leavesPage: false,
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
  // FISTTP came later.
  const found = [...x87Rows, ...extensionRows].find(([encoding]) => encodings.includes(encoding));
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
  fields.push(instructionLength, ((esc & 7) << 8) | modrm | (instructionLength << 11));
  const template = lift(shape);
  const code = tierZeroCode(bodyOf(template, shape.nextField), templates, name);
  const words = Int32Array.from([0, ...code.layout.map((index) => fields[index])]);
  return {
    name,
    operands: operandCodes,
    run: (cpu) => cpu.run(code, words),
  };
}

const templates = new PureTemplates();
const calloutNames = Object.fromEntries(Object.entries(x87Implementations).map(([callout, f]) => [`v_${callout}`, f]));

/** Sets the x87 state, memory and arithmetic flags of an input record. */
export function loadRecord(cpu: TestHost, record: DataView): void {
  const R = cpu.R;
  R.fill(0);
  forgetPairs(cpu);
  R[slot.cr0] = 0x31;
  R[slot.page] = 0x400;
  R[slot.fpuControl] = (record.getUint16(0, true) & 0x1f3f) | 0x40;
  const word = record.getUint16(4, true);
  const top = (word >>> 11) & 7;
  // FRSTOR makes ES and B agree with the exceptions.
  loadStatusWord(cpu, (word & 0x7f7f) | ((word & ~R[slot.fpuControl] & 0x3f) !== 0 ? 0x8080 : 0));
  const tags = record.getUint16(8, true);
  for (let r = 0; r < 8; r++) if (((tags >>> (2 * r)) & 3) === 3) R[slot.fpuEmpty] |= 1 << r;
  for (let i = 0; i < 8; i++) {
    const r = (top + i) & 7;
    writeIntegers(cpu, r, record.getInt32(28 + 10 * i, true), record.getInt32(32 + 10 * i, true), record.getUint16(36 + 10 * i, true));
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
