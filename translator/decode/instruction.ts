/**
 * What the decoder produces: one `DecodedInstruction`, filled in place so that decoding allocates nothing. The caller owns the
 * object and may decode into it again; `cloneInstruction` makes a copy to keep.
 */
import type { OpcodeRow } from "./opcode-row.ts";

/** Kinds of operand. A register operand's `size` says how wide it is; general byte registers come as reg8 (AL..BL, AH..BH by number). */
export const operandKind = {
  none: 0,
  /** General register: `reg` 0-7, `size` 1, 2 or 4 (size 1: 0-3 = AL CL DL BL, 4-7 = AH CH DH BH). */
  register: 1,
  /** Memory: `segment`, `base`, `index`, `scale`, `displacement`; `size` in bytes (0: no size, as LEA, INVLPG, or FXSAVE). */
  memory: 2,
  /** Immediate: `value`, already extended to the operand size as the instruction asks (sign or zero), as int32. Sizes 1 and 2 are held
   *  without a sign: PUSH -1 with a 16-bit operand size has size 2 and value 0xffff. */
  immediate: 3,
  /** Relative branch: `value` is the displacement from the end of the instruction. */
  relative: 4,
  /** Far pointer in the instruction: `value` = offset, `selector` = selector. */
  farPointer: 5,
  segmentRegister: 6,
  controlRegister: 7,
  debugRegister: 8,
  /** x87 ST(i). */
  st: 9,
  mmx: 10,
  xmm: 11,
} as const;
export type OperandKind = (typeof operandKind)[keyof typeof operandKind];

export interface Operand {
  kind: OperandKind;
  /** Bytes. For an MMX or XMM register: how many of its bytes the operand is, so that it equals the memory form's (MOVSS: 4). */
  size: number;
  /** Register number for every register kind. */
  reg: number;
  /** Immediate, relative displacement, or far offset; int32. */
  value: number;
  selector: number;
  /** Memory: segment number after defaults and override. */
  segment: number;
  /** Memory: base register 0-7 or -1; index register 0-7 or -1; scale shift 0-3; displacement int32 (sign-extended; 16-bit addressing: int16 range). */
  base: number;
  index: number;
  scale: number;
  displacement: number;
}

export const repeat = { none: 0, /** F3: REP, REPE */ rep: 1, /** F2: REPNE */ repne: 2 } as const;

export interface DecodedInstruction {
  row: OpcodeRow;
  /** Bytes, prefixes included; 1-15. For an invalid or truncated encoding: the bytes looked at. */
  length: number;
  /** Effective operand size in bytes, 2 or 4, after CS.D and 66h. */
  operandSize: 2 | 4;
  /** Effective address size in bytes, 2 or 4, after CS.D and 67h. */
  addressSize: 2 | 4;
  /** Segment override prefix, or -1. */
  segmentOverride: number;
  lock: boolean;
  repeat: number;
  /** ModRM byte, or -1 where the instruction has none. */
  modrm: number;
  /** The escape byte D8-DF of an x87 instruction, else 0: the FPU records it. */
  escape: number;
  operandCount: number;
  /** Always four objects; the first `operandCount` are meaningful. Explicit operands in Intel order, destination first. */
  operands: [Operand, Operand, Operand, Operand];
}

function newOperand(): Operand {
  return { kind: operandKind.none, size: 0, reg: 0, value: 0, selector: 0, segment: 0, base: -1, index: -1, scale: 0, displacement: 0 };
}

export function newInstruction(row: OpcodeRow): DecodedInstruction {
  return {
    row,
    length: 0,
    operandSize: 4,
    addressSize: 4,
    segmentOverride: -1,
    lock: false,
    repeat: 0,
    modrm: -1,
    escape: 0,
    operandCount: 0,
    operands: [newOperand(), newOperand(), newOperand(), newOperand()],
  };
}

export function cloneInstruction(i: DecodedInstruction): DecodedInstruction {
  const [a, b, c, d] = i.operands;
  return { ...i, operands: [{ ...a }, { ...b }, { ...c }, { ...d }] };
}
