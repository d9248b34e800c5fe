/**
 * The SDM's operand codes (vol. 2, appendix A.2.1 and A.2.2) and how each is read from an instruction's bytes.
 *
 * A code such as `Ev` is an addressing method (E: general register or memory by ModRM) and a type (v: word or doubleword by
 * operand size). Here each code is one row: the reader of its addressing method and its sizes in bytes. Codes the SDM writes
 * in words get a name in the same spirit: `Zv` (general register in the opcode's low three bits), `sIb` (byte immediate,
 * sign-extended to the operand size), `Rv/Mw` (register by operand size, but memory always a word), `Mt` (ten bytes), `Menv` and
 * `Mstate` (x87 environment and state), `M` (an address without a size).
 *
 * A reader writes every field of its operand, so that an instruction decoded twice gives equal values whatever was there before.
 */
import { type DecodedInstruction, type Operand, type OperandKind, operandKind } from "./instruction.ts";
import { readMemory } from "./memory-operand.ts";

/** What a reader is given: the operand to fill, its code, the instruction so far, and where displacement and immediate lie. */
type OperandReader = (
  operand: Operand,
  code: OperandCode,
  instruction: DecodedInstruction,
  bytes: Uint8Array,
  displacementAt: number,
  immediateAt: number,
) => void;

export interface OperandCode {
  readonly read: OperandReader;
  /** Bytes with a 16-bit and with a 32-bit operand size; the memory sizes differ from the register's only for `Rv/Mw` and its like. */
  readonly size16: number;
  readonly size32: number;
  readonly memory16: number;
  readonly memory32: number;
  /** Register file a register operand belongs to. */
  readonly kind: OperandKind;
  /** Register number where the code itself names the register, the constant where it names a value; otherwise 0. */
  readonly number: number;
  /** Offset from the start of the instruction's immediate bytes to this operand's (ENTER alone has two). */
  readonly immediateOffset: number;
  /** Takes a ModRM byte; which of its forms are valid. */
  readonly modrm: "none" | "any" | "memory" | "register" | "mod ignored";
  /** Bytes taken after ModRM, SIB and displacement, by operand and address size. */
  readonly immediateBytes: (operandSize: 2 | 4, addressSize: 2 | 4) => number;
}

const segmentES = 0;
const segmentDS = 3;

function fill(operand: Operand, kind: OperandKind, size: number, reg: number, value: number): void {
  operand.kind = kind;
  operand.size = size;
  operand.reg = reg;
  operand.value = value;
  operand.selector = 0;
  operand.segment = 0;
  operand.base = -1;
  operand.index = -1;
  operand.scale = 0;
  operand.displacement = 0;
}

function fillAddress(operand: Operand, size: number, segment: number, base: number, displacement: number): void {
  fill(operand, operandKind.memory, size, 0, 0);
  operand.segment = segment;
  operand.base = base;
  operand.displacement = displacement;
}

const sizeOf = (code: OperandCode, i: DecodedInstruction) => (i.operandSize === 4 ? code.size32 : code.size16);
const memorySizeOf = (code: OperandCode, i: DecodedInstruction) => (i.operandSize === 4 ? code.memory32 : code.memory16);

const little16 = (bytes: Uint8Array, at: number) => bytes[at] | (bytes[at + 1] << 8);
const little32 = (bytes: Uint8Array, at: number) => bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
const signedByte = (bytes: Uint8Array, at: number) => (bytes[at] << 24) >> 24;

const readers = {
  /** ModRM.reg names a register. */
  reg: (o, code, i) => fill(o, code.kind, sizeOf(code, i), (i.modrm >> 3) & 7, 0),

  /** ModRM.mod and r/m name a register or memory. */
  rm: (o, code, i, bytes, displacementAt) => {
    if (i.modrm >= 0xc0) fill(o, code.kind, sizeOf(code, i), i.modrm & 7, 0);
    else {
      fill(o, operandKind.memory, memorySizeOf(code, i), 0, 0);
      readMemory(o, i, bytes, displacementAt);
    }
  },

  /** ModRM.r/m names a register whatever mod says (MOV to and from control and debug registers). */
  rmRegister: (o, code, i) => fill(o, code.kind, sizeOf(code, i), i.modrm & 7, 0),

  /** The code itself, or the opcode's low bits, name the register. */
  named: (o, code, i) => fill(o, code.kind, sizeOf(code, i), code.number, 0),

  /** The operand is this value. */
  constant: (o, code) => fill(o, operandKind.immediate, code.size32, 0, code.number),

  /** Byte or word immediate, zero-extended. */
  byte: (o, code, _i, bytes, _d, at) => fill(o, operandKind.immediate, 1, 0, bytes[at + code.immediateOffset]),
  word: (o, code, _i, bytes, _d, at) => fill(o, operandKind.immediate, 2, 0, little16(bytes, at + code.immediateOffset)),

  /** Immediate of the operand size. */
  full: (o, _code, i, bytes, _d, at) =>
    fill(o, operandKind.immediate, i.operandSize, 0, i.operandSize === 4 ? little32(bytes, at) : little16(bytes, at)),

  /** Byte immediate, sign-extended to the operand size. */
  signExtended: (o, code, i, bytes, _d, at) => {
    const value = signedByte(bytes, at + code.immediateOffset);
    fill(o, operandKind.immediate, i.operandSize, 0, i.operandSize === 4 ? value : value & 0xffff);
  },

  /** Branch displacement; its size is the operand size, because that is what EIP is truncated to. */
  shortBranch: (o, _code, i, bytes, _d, at) => fill(o, operandKind.relative, i.operandSize, 0, signedByte(bytes, at)),
  nearBranch: (o, _code, i, bytes, _d, at) => {
    const value = i.operandSize === 4 ? little32(bytes, at) : (little16(bytes, at) << 16) >> 16;
    fill(o, operandKind.relative, i.operandSize, 0, value);
  },

  farPointer: (o, _code, i, bytes, _d, at) => {
    const wide = i.operandSize === 4;
    fill(o, operandKind.farPointer, wide ? 6 : 4, 0, wide ? little32(bytes, at) : little16(bytes, at));
    o.selector = little16(bytes, at + i.operandSize);
  },

  /** Memory at an absolute offset of the address size (MOV AL,Ob and its like). */
  offset: (o, code, i, bytes, _d, at) => {
    const displacement = i.addressSize === 4 ? little32(bytes, at) : (little16(bytes, at) << 16) >> 16;
    fillAddress(o, sizeOf(code, i), i.segmentOverride < 0 ? segmentDS : i.segmentOverride, -1, displacement);
  },

  /** DS:(E)SI, the segment overridable, and ES:(E)DI, which is not (SDM vol. 1, 7.3.9). */
  stringSource: (o, code, i) => fillAddress(o, sizeOf(code, i), i.segmentOverride < 0 ? segmentDS : i.segmentOverride, 6, 0),
  stringDestination: (o, code, i) => fillAddress(o, sizeOf(code, i), segmentES, 7, 0),
} as const satisfies Record<string, OperandReader>;

type Sizes = number | readonly [with16: number, with32: number];

function code(read: OperandReader, size: Sizes, rest: Partial<OperandCode> & { memory?: Sizes } = {}): OperandCode {
  const [size16, size32] = typeof size === "number" ? [size, size] : size;
  const memory = rest.memory ?? size;
  const [memory16, memory32] = typeof memory === "number" ? [memory, memory] : memory;
  return {
    read,
    size16,
    size32,
    memory16,
    memory32,
    kind: rest.kind ?? operandKind.register,
    number: rest.number ?? 0,
    immediateOffset: rest.immediateOffset ?? 0,
    modrm: rest.modrm ?? "none",
    immediateBytes: rest.immediateBytes ?? (() => 0),
  };
}

/** A code as one form uses it: the register number in the opcode and the place among the immediate bytes are settled when the map is built. */
export function place(c: OperandCode, number: number, immediateOffset: number): OperandCode {
  return code(c.read, [c.size16, c.size32], { ...c, memory: [c.memory16, c.memory32], number, immediateOffset });
}

const v: Sizes = [2, 4];
const { controlRegister, debugRegister, segmentRegister, mmx, xmm, st } = operandKind;

const G = (size: Sizes) => code(readers.reg, size, { modrm: "any" });
const E = (size: Sizes, memory: Sizes = size) => code(readers.rm, size, { modrm: "any", memory });
const M = (size: Sizes) => code(readers.rm, size, { modrm: "memory" });
const Z = (size: Sizes) => code(readers.named, size);
const P = (size: number) => code(readers.reg, size, { kind: mmx, modrm: "any" });
const Q = (size: number) => code(readers.rm, size, { kind: mmx, modrm: "any" });
const N = (size: number) => code(readers.rm, size, { kind: mmx, modrm: "register" });
const V = (size: number) => code(readers.reg, size, { kind: xmm, modrm: "any" });
const W = (size: number) => code(readers.rm, size, { kind: xmm, modrm: "any" });
const U = (size: number) => code(readers.rm, size, { kind: xmm, modrm: "register" });
const named = (number: number, size: Sizes) => code(readers.named, size, { number });
const namedSegment = (number: number) => code(readers.named, v, { kind: segmentRegister, number });

export const operandCodes: Readonly<Record<string, OperandCode>> = {
  Gb: G(1),
  Gw: G(2),
  Gd: G(4),
  Gv: G(v),
  Eb: E(1),
  Ew: E(2),
  Ed: E(4),
  Ev: E(v),
  "Rv/Mw": E(v, 2),
  "Rd/Mw": E(4, 2),
  "Rd/Mb": E(4, 1),
  Zb: Z(1),
  Zv: Z(v),
  M: M(0),
  Mw: M(2),
  Mv: M(v),
  Md: M(4),
  Mq: M(8),
  Mt: M(10),
  Mps: M(16),
  Mpd: M(16),
  Mdq: M(16),
  Mp: M([4, 6]),
  Ma: M([4, 8]),
  Ms: M(6),
  Menv: M([14, 28]),
  Mstate: M([94, 108]),
  Rd: code(readers.rmRegister, 4, { modrm: "mod ignored" }),
  Sw: code(readers.reg, 2, { kind: segmentRegister, modrm: "any" }),
  Cd: code(readers.reg, 4, { kind: controlRegister, modrm: "mod ignored" }),
  Dd: code(readers.reg, 4, { kind: debugRegister, modrm: "mod ignored" }),

  Pq: P(8),
  Ppi: P(8),
  Pd: P(4),
  Qq: Q(8),
  Qpi: Q(8),
  Qd: Q(4),
  Nq: N(8),
  Vps: V(16),
  Vpd: V(16),
  Vdq: V(16),
  Vq: V(8),
  Vsd: V(8),
  Vss: V(4),
  Vd: V(4),
  Wps: W(16),
  Wpd: W(16),
  Wdq: W(16),
  Wq: W(8),
  Wsd: W(8),
  Wss: W(4),
  Wd: W(4),
  Ww: W(2),
  Ups: U(16),
  Upd: U(16),
  Udq: U(16),
  Uq: U(8),

  Ib: code(readers.byte, 1, { immediateBytes: () => 1 }),
  Iw: code(readers.word, 2, { immediateBytes: () => 2 }),
  Iz: code(readers.full, v, { immediateBytes: (operandSize) => operandSize }),
  Iv: code(readers.full, v, { immediateBytes: (operandSize) => operandSize }),
  sIb: code(readers.signExtended, v, { immediateBytes: () => 1 }),
  "1": code(readers.constant, 1, { number: 1 }),
  Jb: code(readers.shortBranch, v, { immediateBytes: () => 1 }),
  Jz: code(readers.nearBranch, v, { immediateBytes: (operandSize) => operandSize }),
  Ap: code(readers.farPointer, [4, 6], { immediateBytes: (operandSize) => operandSize + 2 }),
  Ob: code(readers.offset, 1, { immediateBytes: (_, addressSize) => addressSize }),
  Ov: code(readers.offset, v, { immediateBytes: (_, addressSize) => addressSize }),

  Xb: code(readers.stringSource, 1),
  Xv: code(readers.stringSource, v),
  Xz: code(readers.stringSource, v),
  Yb: code(readers.stringDestination, 1),
  Yv: code(readers.stringDestination, v),
  Yz: code(readers.stringDestination, v),

  AL: named(0, 1),
  CL: named(1, 1),
  AX: named(0, 2),
  DX: named(2, 2),
  eAX: named(0, v),
  ES: namedSegment(0),
  CS: namedSegment(1),
  SS: namedSegment(2),
  DS: namedSegment(3),
  FS: namedSegment(4),
  GS: namedSegment(5),
  ST0: code(readers.named, 10, { kind: st }),
  STi: code(readers.rm, 10, { kind: st, modrm: "any" }),
};
