/**
 * Runs of x87 instructions, with some integer ones, short jumps and at times a loop among them, on this CPU and on a guest CPU in both tiers: what generated code keeps in
 * locals from one instruction to the next must come out where an instruction, a fault or the end of a region looks for it. As input records of hardware.c.
 */
import { loadStatusWord, writeIntegers } from "../../runtime/callouts/x87/registers.ts";
import { x87Implementations } from "../../runtime/callouts/x87.ts";
import type { X87Arithmetic } from "../../translator/contract/callouts/x87.ts";
import { arithmeticFlags, slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { Core, place } from "../support/core.ts";
import { Random } from "./cases.ts";
import { sequenceRecord as at } from "./hardware.ts";

/** [EDI + a displacement of one byte]; EDI points to the middle of the memory. */
const memory = (opcode: number, reg: number, offset: number): number[] => [opcode, 0x47 | (reg << 3), (offset - middle) & 0xff];
const middle = 128;

const doubles = { from: 0, step: 8, count: 12 };
const floats = { from: 96, step: 4, count: 8 };
const integers = { from: 128, step: 4, count: 8 };
const quads = { from: 160, step: 8, count: 4 };
const controls = { from: 192, step: 2, count: 8 };
const results = { from: 208, step: 8, count: 5 };
/** Doubles where V8 finds no element of an array of them. */
const misaligned = { from: 52, step: 8, count: 2 };

type Area = typeof doubles;
const somewhere = (r: Random, area: Area): number => area.from + area.step * r.below(area.count);

/** Bytes of one instruction, and what becomes of the depth of the stack. */
type Form = readonly [weight: number, needs: number, change: number, make: (r: Random, depth: number) => number[]];

const other = (r: Random, depth: number): number => 1 + r.below(Math.max(1, Math.min(depth - 1, 6)));
const arithmetic = (r: Random): number => r.pick([0, 0, 1, 1, 4, 5, 6, 7]);
const forms: readonly Form[] = [
  [8, 0, 1, (r) => memory(0xdd, 0, somewhere(r, r.below(8) === 0 ? misaligned : doubles))],
  [4, 0, 1, (r) => memory(0xd9, 0, somewhere(r, floats))],
  [3, 0, 1, (r) => memory(0xdb, 0, somewhere(r, integers))],
  [2, 0, 1, (r) => memory(0xdf, 5, somewhere(r, quads))],
  [1, 0, 1, (r) => memory(0xdf, 0, somewhere(r, integers))],
  [3, 0, 1, (r) => [0xd9, r.pick([0xe8, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee])]],
  [6, 1, 1, (r, depth) => [0xd9, 0xc0 | r.below(depth)]],
  [8, 2, 0, (r, depth) => [0xd9, 0xc8 | other(r, depth)]],
  [8, 2, 0, (r, depth) => [0xd8, 0xc0 | (arithmetic(r) << 3) | r.below(depth)]],
  [6, 2, 0, (r, depth) => [0xdc, 0xc0 | (arithmetic(r) << 3) | r.below(depth)]],
  [8, 2, -1, (r, depth) => [0xde, 0xc0 | (arithmetic(r) << 3) | other(r, depth)]],
  [6, 1, 0, (r) => memory(0xdc, arithmetic(r), somewhere(r, doubles))],
  [4, 1, 0, (r) => memory(0xd8, arithmetic(r), somewhere(r, floats))],
  [2, 1, 0, (r) => memory(0xda, arithmetic(r), somewhere(r, integers))],
  [3, 1, 0, (r) => [0xd9, r.pick([0xe0, 0xe1, 0xfa])]],
  [2, 1, 0, (r) => [0xd9, r.pick([0xe4, 0xe5, 0xfc, 0xfd, 0xf8, 0xd0])]],
  [3, 1, -1, (r) => memory(0xdd, 3, somewhere(r, results))],
  [2, 1, 0, (r) => memory(0xdd, 2, somewhere(r, results))],
  [2, 1, -1, (r) => memory(0xd9, 3, somewhere(r, results))],
  [2, 1, -1, (r) => memory(0xdb, 3, somewhere(r, results))],
  [1, 1, -1, (r) => memory(0xdf, 7, somewhere(r, results))],
  [1, 1, 0, (r) => memory(0xdf, 2, somewhere(r, results))],
  [1, 1, -1, (r) => memory(r.pick([0xdb, 0xdd, 0xdf]), 1, somewhere(r, results))],
  [4, 1, -1, (r, depth) => [0xdd, 0xd8 | r.below(depth)]],
  [2, 1, 0, (r, depth) => [0xdd, 0xd0 | r.below(depth + 1)]],
  [3, 2, -1, (r, depth) => [r.pick([0xdb, 0xdf]), r.pick([0xe8, 0xf0]) | other(r, depth)]],
  [2, 2, 0, (r, depth) => [0xdb, r.pick([0xe8, 0xf0]) | other(r, depth)]],
  [2, 2, -1, (r, depth) => [0xd8, 0xd8 | other(r, depth)]],
  [1, 2, -2, () => [0xde, 0xd9]],
  [2, 1, 0, (r) => memory(0xdc, 2, somewhere(r, doubles))],
  [2, 0, 0, () => [0xdf, 0xe0]],
  [1, 0, 0, (r) => memory(0xd9, 5, somewhere(r, controls))],
  [1, 0, 0, (r) => memory(0xd9, 7, somewhere(r, results))],
  [1, 2, 0, (r, depth) => [r.pick([0xda, 0xdb]), r.pick([0xc0, 0xc8, 0xd0, 0xd8]) | other(r, depth)]],
  // ADD EAX, imm; MOV ECX, memory; MOV memory, ECX; TEST EAX, EAX; a short jump.
  [2, 0, 0, (r) => [0x05, r.below(256), r.below(256), 0, 0]],
  [2, 0, 0, (r) => memory(0x8b, 1, somewhere(r, integers))],
  [1, 0, 0, (r) => memory(0x89, 1, somewhere(r, results))],
  [3, 0, 0, (r) => [0x70 | r.below(16), 0]],
];
const totalWeight = forms.reduce((sum, [weight]) => sum + weight, 0);

function choose(r: Random, depth: number): Form {
  for (;;) {
    let n = r.below(totalWeight);
    const form = forms.find(([weight]) => (n -= weight) < 0) as Form;
    // Now and then an instruction that overflows or underflows the stack.
    if ((form[1] <= depth && depth + form[2] <= 8) || r.below(150) === 0) return form;
  }
}

const distance = (to: number, from: number): number[] => [0, 8, 16, 24].map((bits) => ((to - from) >> bits) & 0xff);

function writeCode(r: Random, record: Uint8Array, depth: number): void {
  const count = 3 + r.below(28);
  const code: number[] = [];
  const starts: number[] = [];
  // Some of it two to four times: MOV EDX, n before everything; DEC EDX, JNZ.
  const first = r.below(count);
  const last = r.below(2) === 0 ? -1 : Math.min(count, first + r.below(14));
  if (last >= 0) code.push(0xba, 2 + r.below(3), 0, 0, 0);
  for (let k = 0; k < count; k++) {
    if (k === last) code.push(0xff, 0xca, 0x0f, 0x85, ...distance(starts[first] ?? code.length, code.length + 8));
    const [, , change, make] = choose(r, depth);
    starts.push(code.length);
    code.push(...make(r, Math.max(1, depth)));
    depth = Math.max(0, Math.min(8, depth + change));
  }
  starts.push(code.length);
  for (const [k, start] of starts.entries()) {
    if ((code[start] & 0xf0) !== 0x70 || start === code.length) continue;
    const to = starts[Math.min(starts.length - 1, k + 1 + r.below(4))];
    code[start + 1] = to - start - 2;
  }
  // A NOP: the last instruction may end in the byte that is RET.
  code.push(0x90);
  record.fill(0xc3, at.code, at.code + at.codeSize);
  record.set(code, at.code);
}

function number(r: Random): number {
  switch (r.below(10)) {
    case 0:
      return r.pick([0, -0, 1, -1, 2, 0.5, 3, 10]);
    case 1:
      return r.pick([Infinity, NaN, 5e-324, 1e-310, 1e300, -1e300, 2 ** 52, 2 ** -899]);
    case 2:
      return (r.next() >> r.below(31)) * r.pick([1, 0.5, 2 ** 20, 2 ** -20]);
    case 3:
      return r.next() * 2 ** -31 * 2 ** (r.below(1200) - 600);
    default:
      return (r.next() + r.next() * 2 ** -32) * 2 ** -(28 + r.below(6));
  }
}

export function makeSequences(seed: number, count: number): Uint8Array {
  const r = new Random(seed);
  const bytes = new Uint8Array(count * at.size);
  for (let n = 0; n < count; n++) {
    const record = bytes.subarray(n * at.size, (n + 1) * at.size);
    const view = new DataView(record.buffer, record.byteOffset, at.size);
    const controlWord = (): number => (r.below(4) === 0 ? 0x7f | (r.below(16) << 8) : r.pick([0x37f, 0x37f, 0x37f, 0x27f, 0xf7f]));
    view.setUint32(0, 0xffff0000 | (r.below(8) === 0 ? controlWord() : 0x37f), true);
    const depth = r.below(5);
    const top = (8 - depth) & 7;
    view.setUint32(4, 0xffff0000 | (top << 11) | (r.below(4) === 0 ? r.next() & 0x4700 : 0), true);
    let tags = 0;
    for (let i = depth; i < 8; i++) tags |= 3 << (2 * ((top + i) & 7));
    view.setUint32(8, 0xffff0000 | tags, true);
    for (let i = 0; i < 8; i++) {
      view.setInt32(28 + 10 * i, r.below(3) === 0 ? 0 : r.next(), true);
      view.setInt32(32 + 10 * i, r.next() | -0x80000000, true);
      view.setUint16(36 + 10 * i, (r.below(2) << 15) | (0x3fff + r.below(20) - 10), true);
    }
    view.setUint32(at.eax, r.next(), true);
    view.setUint32(at.flags, 0x202 | (r.next() & arithmeticFlags), true);
    writeCode(r, record, depth);
    const put = (area: Area, write: (offset: number) => void): void => {
      for (let k = 0; k < area.count; k++) write(at.memory + area.from + area.step * k);
    };
    put(doubles, (o) => view.setFloat64(o, number(r), true));
    put(floats, (o) => view.setFloat32(o, number(r), true));
    put(integers, (o) => view.setInt32(o, r.next() >> r.below(32), true));
    put(quads, (o) => view.setBigInt64(o, BigInt.asIntN(64, (BigInt(r.next()) << 32n) | BigInt(r.next() >>> 0)) >> BigInt(r.below(64)), true));
    put(controls, (o) => view.setUint16(o, controlWord(), true));
  }
  return bytes;
}

/** A guest CPU that runs the records. */
export class SequenceCore {
  private readonly core: Core;

  constructor(x87: X87Arithmetic = "exact") {
    this.core = new Core({ hot: true, translator: new JavaScriptTranslator({ x87 }) });
    this.core.cpu.float.isDouble = x87 === "double";
  }

  /** The record after its code has run. @param hot as regions, made of the blocks that the same record has gone through before */
  run(record: Uint8Array, hot: boolean): Uint8Array {
    const { core } = this;
    const view = new DataView(record.buffer, record.byteOffset, at.size);
    if (!hot) core.reset();
    core.protectedMode(0);
    const { R, physical, cpu, dispatcher } = core;
    if (!hot) {
      physical.u8.set(record.subarray(at.code, at.code + at.codeSize), place.code);
      for (let k = 0; k < at.codeSize; k++)
        if (physical.u8[place.code + k] === 0xc3 && this.isBehindCode(record, k)) physical.u8[place.code + k] = 0xf4;
    } else core.promote();
    physical.u8.set(record.subarray(at.memory, at.memory + at.memorySize), place.data);
    R[slot.fpuControl] = view.getUint16(0, true);
    loadStatusWord(cpu, view.getUint16(4, true));
    const tags = view.getUint16(8, true);
    R[slot.fpuEmpty] = 0;
    for (let k = 0; k < 8; k++) if (((tags >>> (2 * k)) & 3) === 3) R[slot.fpuEmpty] |= 1 << k;
    for (let i = 0; i < 8; i++) {
      const o = 28 + 10 * i;
      writeIntegers(cpu, (R[slot.fpuTop] + i) & 7, view.getInt32(o, true), view.getInt32(o + 4, true), view.getUint16(o + 8, true));
    }
    R[slot.eax] = view.getInt32(at.eax, true);
    R[slot.edi] = place.data + middle;
    core.eflags = view.getUint32(at.flags, true);
    const reason = dispatcher.run(1000);
    if (reason !== "halted") throw new Error(`the guest ended with ${reason}`);
    const result = record.slice();
    const out = new DataView(result.buffer);
    out.setInt32(at.eax, R[slot.eax], true);
    out.setInt32(at.flags, core.eflags, true);
    result.set(physical.u8.subarray(place.data, place.data + at.memorySize), at.memory);
    x87Implementations.fnsave(cpu, place.data + 0x800, 4);
    result.set(physical.u8.subarray(place.data + 0x800, place.data + 0x800 + 108), 0);
    return result;
  }

  /** Nothing but RET from here on. */
  private isBehindCode(record: Uint8Array, k: number): boolean {
    return record.subarray(at.code + k, at.code + at.codeSize).every((b) => b === 0xc3);
  }
}

/** Where two results differ, or "". Last-instruction registers are addresses; bits of EFLAGS are the arithmetic ones. */
export function sequenceDifference(truth: Uint8Array, ours: Uint8Array): string {
  const parts: string[] = [];
  const [a, b] = [truth, ours].map((bytes) => new DataView(bytes.buffer, bytes.byteOffset, at.size));
  const note = (name: string, x: number, y: number): void => {
    if (x !== y) parts.push(`${name} ${x.toString(16)} ours ${y.toString(16)}`);
  };
  for (const [name, offset] of [
    ["control", 0],
    ["status", 4],
    ["tags", 8],
  ] as const)
    note(name, a.getUint16(offset, true), b.getUint16(offset, true));
  for (let i = 0; i < 8; i++) {
    for (const [name, o] of [
      ["low", 28],
      ["high", 32],
    ] as const)
      note(`st${i} ${name}`, a.getUint32(o + 10 * i, true), b.getUint32(o + 10 * i, true));
    note(`st${i} exponent`, a.getUint16(36 + 10 * i, true), b.getUint16(36 + 10 * i, true));
  }
  note("eax", a.getUint32(at.eax, true), b.getUint32(at.eax, true));
  note("flags", a.getUint32(at.flags, true) & arithmeticFlags, b.getUint32(at.flags, true) & arithmeticFlags);
  for (let k = 0; k < at.memorySize; k += 4) note(`memory ${k}`, a.getUint32(at.memory + k, true), b.getUint32(at.memory + k, true));
  return parts.join(", ");
}

/** "dd 47 08 de c1 ..." up to the return. */
export function sequenceText(record: Uint8Array): string {
  const code = Array.from(record.subarray(at.code, at.code + at.codeSize));
  const end = code.findLastIndex((b) => b !== 0xc3) + 1;
  return code
    .slice(0, end)
    .map((b) => b.toString(16).padStart(2, "0"))
    .join(" ");
}
