/**
 * From a row of an opcode table to cases: every operand size, register and memory forms, several encodings each, several states
 * per encoding. Operand codes are the SDM's (vol. 2, appendix A.2) with a few of our own:
 *
 *   E G M R   general register or memory / register / memory only / register only (ModRM), sizes b w d v(16 and 32 bits)
 *   Z         register in the opcode's low three bits
 *   I         immediate: Ib (8 bits, sign-extended where the operation is wider), Iw, Iz (16 or 32 by operand size)
 *   O         memory by an offset in the instruction
 *   AL AX eAX CL DX 1   what they say
 *   P Q N     MMX register by reg / register or memory / register only by rm
 *   V W U     XMM likewise; the letters after P..U name the data: ps pd ss sd (floats) or b w d q dq (integers)
 */
import { layout } from "../layout.ts";
import { type CaseGroup, type Chunk, type CpuState, defaultState, fx } from "../state.ts";
import { littleEndian, type MemoryForm, memoryForm, operandOffset } from "./encoder.ts";
import { floatBytes } from "./floats.ts";
import { integer, type Random, registerValue } from "./random.ts";

/** What a row's `prepare` sees of the encoding. */
export interface Context {
  readonly r: Random;
  /** Effective operand size. */
  readonly size: number;
  readonly memory: boolean;
  /** Register numbers of the reg and rm fields, -1 without. */
  readonly reg: number;
  readonly rm: number;
  readonly immediate: number;
  /** Where the memory operand lies in this state. */
  offset: number;
}

export interface Row {
  name: string;
  /** Opcode bytes without prefixes. */
  opcode: number[];
  /** Mandatory prefixes (66, F2, F3) and any other fixed ones. */
  prefixes?: number[];
  /** Opcode extension in ModRM.reg. */
  digit?: number;
  operands: string[];
  lockable?: boolean;
  /** General registers used without being named: they get edge values too. */
  uses?: readonly number[];
  /** Bytes of the memory operand when the operand code does not tell. */
  memorySize?: number;
  align?: number;
  /** Sees each state last. Returns false to drop it. */
  prepare?(state: CpuState, context: Context): unknown;
  /** Chooses the immediate. */
  immediate?(r: Random, size: number): number;
  /** Multiplies the number of encodings. */
  weight?: number;
  branch?: boolean;
  /** x87, MMX or SSE state is compared. Implied by P Q N V W U. */
  usesFpu?: boolean;
  /** Only 16 or only 32 bits although an operand is `v`. */
  sizes?: readonly number[];
  /** Does not take edge flags: the initial ones stay. */
  plainFlags?: boolean;
}

/** "add 00 Eb,Gb" or "nop 0f1f/0 Ev": one row; prefixes before a colon ("66:0f58"). */
export function row(text: string, extra: Partial<Row> = {}): Row {
  const [name, code, operands = ""] = text.split(" ");
  const [prefixText, rest] = code.includes(":") ? code.split(":") : ["", code];
  const [opcode, digit] = rest.split("/");
  const bytes = (hex: string) => (hex.match(/../g) ?? []).map((h) => Number.parseInt(h, 16));
  return {
    name,
    opcode: bytes(opcode),
    prefixes: bytes(prefixText),
    digit: digit === undefined ? undefined : Number(digit),
    operands: operands ? operands.split(",") : [],
    ...extra,
  };
}

export interface Effort {
  /** Encodings per row, operand size and register/memory form. */
  encodings: number;
  /** States per encoding. */
  states: number;
}

const fixedOperands = new Set(["AL", "AX", "eAX", "CL", "DX", "1"]);
const sizeOf: Record<string, number> = { b: 1, w: 2, d: 4, q: 8, dq: 16, ps: 16, pd: 16, ss: 4, sd: 8, p: 6, t: 10 };
const arithmeticFlagBits = [0, 2, 4, 6, 7, 11];

export function randomFlags(r: Random): number {
  const bits = r.next();
  return arithmeticFlagBits.reduce((flags, bit, i) => ((bits >> i) & 1 ? flags | (1 << bit) : flags), 0x202);
}

/** Bytes of an operand of the given data type. */
export function dataBytes(r: Random, type: string): number[] {
  switch (type) {
    case "ps":
      return [0, 0, 0, 0].flatMap(() => floatBytes(r, 4));
    case "pd":
      return [0, 0].flatMap(() => floatBytes(r, 8));
    case "ss":
      return floatBytes(r, 4);
    case "sd":
      return floatBytes(r, 8);
    default: {
      const size = sizeOf[type] ?? 4;
      const lane = Math.min(size, r.pick([1, 2, 4]));
      return Array.from({ length: size / lane }, () => littleEndian(integer(r, lane), lane)).flat();
    }
  }
}

/** Adds the parts of a chunk that lie within the data pages. */
export function addChunk(state: CpuState, offset: number, bytes: ArrayLike<number>): void {
  const start = Math.max(0, -offset);
  const end = Math.min(bytes.length, layout.dataSize - offset);
  if (end <= start) return;
  state.memory.push({ offset: offset + start, bytes: Uint8Array.from(Array.from(bytes).slice(start, end)) } satisfies Chunk);
}

interface Operand {
  kind: "gpr" | "mmx" | "xmm" | "memory";
  n: number;
  type: string;
  size: number;
}

function setOperand(state: CpuState, operand: Operand, r: Random): void {
  if (operand.kind === "gpr") {
    const n = operand.size === 1 ? operand.n & 3 : operand.n;
    state.gpr[n] = registerValue(r, operand.size);
  } else if (operand.kind === "mmx") state.fpu.set(dataBytes(r, operand.type), fx.st + 16 * operand.n);
  else if (operand.kind === "xmm") {
    // A scalar leaves the lanes above it alone: they stay the default's.
    state.fpu.set(dataBytes(r, operand.type), fx.xmm + 16 * operand.n);
  }
}

function currentValue(state: CpuState, operand: Operand): number[] | undefined {
  if (operand.kind === "gpr") {
    const v = operand.size === 1 ? state.gpr[operand.n & 3] >>> (operand.n & 4 ? 8 : 0) : state.gpr[operand.n];
    return littleEndian(v, operand.size);
  }
  if (operand.kind === "memory") return undefined;
  const at = (operand.kind === "mmx" ? fx.st : fx.xmm) + 16 * operand.n;
  return Array.from(state.fpu.subarray(at, at + operand.size));
}

/** One encoding of a row and its states. */
export function encodeRow(rw: Row, size: number, memory: boolean, r: Random, states: number): CaseGroup {
  const resolve = (type: string) => (type === "v" || type === "z" ? (size === 2 ? "w" : "d") : type || "d");
  const operands: Operand[] = [];
  const prefixes = [...(rw.prefixes ?? [])];
  const opcode = [...rw.opcode];
  const avoid = [...(rw.uses ?? [])];
  let reg = rw.digit ?? -1;
  let rm = -1;
  let tail: number[] = [];
  let immediate = 0;
  const immediateBytes: number[] = [];
  let hasModrm = rw.digit !== undefined;
  let memoryType = "";
  let memoryOperandSize = 0;
  const isMemory = (code: string) => code[0] === "M" || ("EQW".includes(code[0]) && memory);
  for (const code of rw.operands) {
    if (fixedOperands.has(code)) {
      const n = code === "CL" ? 1 : code === "DX" ? 2 : code === "1" ? -1 : 0;
      if (n < 0) continue;
      operands.push({ kind: "gpr", n, type: "d", size: code.endsWith("L") ? 1 : code === "eAX" ? size : 2 });
      avoid.push(n);
      continue;
    }
    const type = resolve(code.slice(1));
    const bytes = sizeOf[type];
    const letter = code[0];
    if (letter === "I") {
      immediate = rw.immediate ? rw.immediate(r, bytes) : integer(r, bytes);
      immediateBytes.push(...littleEndian(immediate, bytes));
    } else if (letter === "O") {
      memoryType = type;
      memoryOperandSize = bytes;
    } else if (letter === "Z") {
      reg = r.below(8);
      opcode[opcode.length - 1] += reg;
      operands.push({ kind: "gpr", n: reg, type, size: bytes });
      avoid.push(bytes === 1 ? reg & 3 : reg);
    } else if ("GPV".includes(letter)) {
      hasModrm = true;
      reg = r.below(8);
      operands.push({ kind: letter === "G" ? "gpr" : letter === "P" ? "mmx" : "xmm", n: reg, type, size: bytes });
      if (letter === "G") avoid.push(bytes === 1 ? reg & 3 : reg);
    } else {
      hasModrm = true;
      if (isMemory(code)) {
        memoryType = type;
        memoryOperandSize = rw.memorySize ?? bytes;
      } else {
        rm = r.below(8);
        operands.push({ kind: "ER".includes(letter) ? "gpr" : "QN".includes(letter) ? "mmx" : "xmm", n: rm, type, size: bytes });
        if ("ER".includes(letter)) avoid.push(bytes === 1 ? rm & 3 : rm);
      }
    }
  }
  let form: MemoryForm | undefined;
  const align = rw.align ?? Math.min(memoryOperandSize || 1, 4);
  const noSegments = rw.branch;
  if (memoryType && rw.operands.some((c) => c[0] === "O")) {
    const offset = operandOffset(r, memoryOperandSize, align);
    tail = littleEndian(layout.data + offset, 4);
    form = { prefixes: [], modrm: 0, tail, fixedOffset: offset, place: () => offset };
  } else if (memoryType) {
    form = memoryForm(r, { avoid, offset: operandOffset(r, memoryOperandSize, align, 2), noSegments });
    tail = [...form.tail];
  }
  if (size === 2 && rw.operands.some((c) => c.endsWith("v") || c.endsWith("z") || c === "eAX")) prefixes.unshift(0x66);
  if (form) prefixes.unshift(...form.prefixes);
  if (rw.lockable && memory && r.chance(12)) prefixes.unshift(0xf0);
  const modrm = hasModrm ? [((reg & 7) << 3) | (form ? form.modrm : 0xc0 | (rm & 7))] : [];
  const bytes = [...prefixes, ...opcode, ...modrm, ...tail, ...immediateBytes];
  const usesFpu = rw.usesFpu ?? rw.operands.some((code) => "PQNVWU".includes(code[0]));

  const result: CpuState[] = [];
  for (let i = 0; i < states; i++) {
    const state = defaultState();
    if (!rw.plainFlags) state.eflags = randomFlags(r);
    for (const n of rw.uses ?? []) state.gpr[n] = integer(r, 4);
    for (const operand of operands) setOperand(state, operand, r);
    let offset = 0;
    if (form) {
      const wanted = form.fixedOffset ?? operandOffset(r, memoryOperandSize, align);
      let data = dataBytes(r, memoryType);
      if (data.length !== memoryOperandSize) data = Array.from({ length: memoryOperandSize }, () => integer(r, 1));
      const twin = operands.length && r.chance(12) ? currentValue(state, operands[0]) : undefined;
      offset = form.place(state, wanted, r);
      addChunk(state, offset, twin && twin.length === data.length ? twin : data);
    } else if (operands.length > 1 && r.chance(12)) {
      const [a, b] = operands;
      if (a.kind === b.kind && a.kind === "gpr" && a.size === 4 && b.size === 4) state.gpr[b.n] = state.gpr[a.n];
      else if (a.kind === b.kind && a.kind !== "gpr") {
        const base = a.kind === "mmx" ? fx.st : fx.xmm;
        state.fpu.copyWithin(base + 16 * b.n, base + 16 * a.n, base + 16 * a.n + a.size);
      }
    }
    const keep = rw.prepare?.(state, { r, size, memory: form !== undefined, reg, rm, immediate, offset });
    if (keep !== false) result.push(state);
  }
  const shape = rw.operands.length
    ? ` ${rw.operands.join(",")}${rw.operands.some((c) => /[vz]$|eAX/.test(c)) ? `/${size * 8}` : ""}${rw.operands.some((c) => "EQW".includes(c[0])) ? (memory ? " memory" : " register") : ""}`
    : "";
  return { name: rw.name + shape, bytes, branch: rw.branch ?? false, usesFpu, states: result };
}

/** All groups of a row. */
export function* expandRow(rw: Row, r: Random, effort: Effort): Generator<CaseGroup> {
  const sized = rw.operands.some((c) => /^[A-Z].*[vz]$/.test(c) || c === "eAX");
  const sizes = rw.sizes ?? (sized ? [2, 4] : [4]);
  const either = rw.operands.some((c) => "EQW".includes(c[0]) && !fixedOperands.has(c));
  const memoryForms = either ? [false, true] : [rw.operands.some((c) => c[0] === "M" || c[0] === "O")];
  const fixed = rw.operands.every((c) => fixedOperands.has(c));
  const encodings = fixed ? 1 : Math.max(1, Math.round(effort.encodings * (rw.weight ?? 1)));
  const states = fixed ? effort.states * Math.max(1, Math.round(effort.encodings * (rw.weight ?? 1) * 0.5)) : effort.states;
  for (const size of sizes)
    for (const memory of memoryForms)
      for (let i = 0; i < encodings; i++) {
        const group = encodeRow(rw, size, memory, r, states);
        if (group.states.length) yield group;
      }
}
