/**
 * A *shape* is what instructions with the same meaning and the same generated text have in common: opcode row, sizes, operand kinds,
 * the mode bits that matter. What differs between instructions of one shape are its *fields*. A lift sees only the shape, so that it cannot
 * depend on a field's value.
 *
 * Order of fields: for each operand in turn
 *   register (2 or 4 bytes)   its number                     register (1 byte)  number of the 32-bit register that holds it
 *   memory                    base (if any), index and scale (if any), displacement
 *   immediate                 value                          far pointer        offset, selector
 *   relative                  page offset of the target      st, mmx            number
 *   xmm                       slot index of its first word
 * then the page offset of the next instruction, and for x87 instructions opcode and length. Segment, control and debug register numbers are part of the shape.
 */
import { isLinearCode, type ModeKey, mode } from "../contract/mode-key.ts";
import { slot } from "../contract/slots.ts";
import { type DecodedInstruction, type Operand, operandKind } from "../decode/instruction.ts";
import { rows } from "../decode/opcode-map.ts";
import type { OpcodeRow } from "../decode/opcode-row.ts";

export interface ShapeOperand {
  readonly kind: number;
  /** Bytes. */
  readonly size: number;
  /** First field of this operand. */
  readonly field: number;
  /** Byte register AH CH DH BH. */
  readonly high: boolean;
  /** Memory: which parts the address has; segment register number. */
  readonly hasBase: boolean;
  readonly hasIndex: boolean;
  readonly segment: number;
  /** Segment, control or debug register number. */
  readonly reg: number;
  /** The immediate of a shift that is 0 modulo 32: by nothing. */
  readonly isZeroCount: boolean;
  /** Relative: the target is on another page than the instruction. Not looked at where EIP is the linear address. */
  readonly leavesPage: boolean;
}

export interface Shape {
  readonly row: OpcodeRow;
  readonly operandSize: 2 | 4;
  readonly addressSize: 2 | 4;
  readonly repeat: number;
  readonly lock: boolean;
  readonly mode: ModeKey;
  readonly segmentOverride: number;
  readonly operands: readonly ShapeOperand[];
  /** Field that holds the next instruction's page offset. */
  readonly nextField: number;
  /** x87: field that holds what the FPU records of the instruction: opcode in bits 0-10, length in bits 11-14. -1 for others. */
  readonly x87Field: number;
}

/** Mode bits that alter a lift's result. Single-step blocks share their shapes with ordinary ones. */
export const shapeModeMask = mode.code32 | mode.stack32 | mode.flat | mode.protected | mode.virtual8086 | mode.wide | mode.edge;

/**
 * A number (below 2^53) that is equal for two instructions exactly when they have the same shape.
 * @param offset page offset of the instruction
 */
export function shapeKey(i: DecodedInstruction, key: ModeKey, offset: number): number {
  // Mode bits: code32 stack32 flat protected virtual8086 -> 5 bits; wide edge -> 2 more.
  let low = (key & 7) | ((key & 48) >>> 1) | ((key & 384) << 6);
  low |= (i.operandSize === 2 ? 32 : 0) | (i.addressSize === 2 ? 64 : 0) | (i.repeat << 7) | (i.lock ? 512 : 0) | ((i.segmentOverride + 1) << 10);
  // 15 bits used.
  let high = i.row.index;
  for (let k = 0; k < i.operandCount; k++) {
    const o = i.operands[k];
    high = high * 64 + (leavesPage(o, i, key, offset) ? 54 : isZeroCount(o, i.row) ? 53 : operandCode(o));
  }
  // row < 2^11, up to three operands of 6 bits (a fourth never varies), 2 bits, then 15 bits: 46 bits; sizes of memory are in the row or operandSize,
  // except where the row alone decides.
  return (high * 4 + i.operandCount) * 32768 + low;
}

function leavesPage(o: Operand, i: DecodedInstruction, key: ModeKey, offset: number): boolean {
  return o.kind === operandKind.relative && !isLinearCode(key) && (offset + i.length + o.value) >> 12 !== offset >> 12;
}

const shifts: ReadonlySet<string> = new Set(["shl", "shr", "sar", "rol", "ror", "rcl", "rcr", "shld", "shrd"]);
const isShift = Uint8Array.from(rows, ({ name }) => (shifts.has(name) ? 1 : 0));

/** Whether a row's immediate is how far to shift. */
export function countsShifts(row: OpcodeRow): boolean {
  return isShift[row.index] !== 0;
}

function isZeroCount(o: Operand, row: OpcodeRow): boolean {
  return o.kind === operandKind.immediate && (o.value & 31) === 0 && countsShifts(row);
}

function operandCode(o: Operand): number {
  switch (o.kind) {
    case operandKind.register:
      return o.size === 1 ? (o.reg < 4 ? 1 : 2) : o.size === 2 ? 3 : 4;
    case operandKind.memory:
      return 8 + (o.base >= 0 ? 1 : 0) + (o.index >= 0 ? 2 : 0) + 4 * o.segment;
    case operandKind.segmentRegister:
    case operandKind.controlRegister:
    case operandKind.debugRegister:
      return 40 + o.reg;
    case operandKind.immediate:
      return 5;
    case operandKind.relative:
      return 6;
    case operandKind.farPointer:
      return 7;
    case operandKind.st:
      return 50;
    case operandKind.mmx:
      return 51;
    case operandKind.xmm:
      return 52;
    default:
      return 0;
  }
}

export function shapeOf(i: DecodedInstruction, key: ModeKey, offset: number): Shape {
  let field = 0;
  const operands: ShapeOperand[] = [];
  for (let k = 0; k < i.operandCount; k++) {
    const o = i.operands[k];
    operands.push({
      kind: o.kind,
      size: o.size,
      field,
      high: o.kind === operandKind.register && o.size === 1 && o.reg >= 4,
      hasBase: o.base >= 0,
      hasIndex: o.index >= 0,
      segment: o.segment,
      reg: o.reg,
      isZeroCount: isZeroCount(o, i.row),
      leavesPage: leavesPage(o, i, key, offset),
    });
    field += fieldCountOf(o);
  }
  return {
    row: i.row,
    operandSize: i.operandSize,
    addressSize: i.addressSize,
    repeat: i.repeat,
    lock: i.lock,
    mode: key & shapeModeMask,
    segmentOverride: i.segmentOverride,
    operands,
    nextField: field,
    x87Field: i.escape === 0 ? -1 : field + 1,
  };
}

export function fieldCountOf(o: Operand): number {
  switch (o.kind) {
    case operandKind.memory:
      return (o.base >= 0 ? 1 : 0) + (o.index >= 0 ? 2 : 0) + 1;
    case operandKind.farPointer:
      return 2;
    case operandKind.segmentRegister:
    case operandKind.controlRegister:
    case operandKind.debugRegister:
    case operandKind.none:
      return 0;
    default:
      return 1;
  }
}

/**
 * Writes the field values of `i` to `out` from index `at` on and returns the index after the last.
 * @param offset page offset of the instruction's first byte
 */
export function writeFields(i: DecodedInstruction, offset: number, out: Int32Array | number[], at: number): number {
  const next = offset + i.length;
  for (let k = 0; k < i.operandCount; k++) {
    const o = i.operands[k];
    switch (o.kind) {
      case operandKind.register:
        out[at++] = o.size === 1 ? o.reg & 3 : o.reg;
        break;
      case operandKind.memory:
        if (o.base >= 0) out[at++] = o.base;
        if (o.index >= 0) {
          out[at++] = o.index;
          out[at++] = o.scale;
        }
        out[at++] = o.displacement;
        break;
      case operandKind.immediate:
        out[at++] = o.value;
        break;
      case operandKind.relative:
        out[at++] = (next + o.value) | 0;
        break;
      case operandKind.farPointer:
        out[at++] = o.value;
        out[at++] = o.selector;
        break;
      case operandKind.st:
      case operandKind.mmx:
        out[at++] = o.reg;
        break;
      case operandKind.xmm:
        out[at++] = slot.xmm + 4 * o.reg;
        break;
    }
  }
  out[at++] = next;
  if (i.escape !== 0) out[at++] = ((i.escape & 7) << 8) | i.modrm | (i.length << 11);
  return at;
}

const operandNames: Record<number, string> = {
  [operandKind.immediate]: "imm",
  [operandKind.relative]: "rel",
  [operandKind.farPointer]: "far",
  [operandKind.segmentRegister]: "sreg",
  [operandKind.controlRegister]: "cr",
  [operandKind.debugRegister]: "dr",
  [operandKind.st]: "st",
  [operandKind.mmx]: "mm",
  [operandKind.xmm]: "xmm",
};

/** For people: "add r32, m32[base+disp]". */
export function describeShape(shape: Shape): string {
  const prefix = `${shape.lock ? "lock " : ""}${["", "rep ", "repne "][shape.repeat]}`;
  const operands = shape.operands.map((o) => {
    if (o.kind === operandKind.register) return `r${o.size * 8}${o.high ? "h" : ""}`;
    if (o.kind === operandKind.memory) return `m${o.size * 8}[${o.hasBase ? "base+" : ""}${o.hasIndex ? "index+" : ""}disp]`;
    return operandNames[o.kind] ?? "?";
  });
  return `${prefix}${shape.row.name} ${operands.join(", ")}`.trim();
}

const fieldNames: Record<number, string> = {
  [operandKind.register]: "reg",
  [operandKind.immediate]: "imm",
  [operandKind.relative]: "target",
  [operandKind.st]: "st",
  [operandKind.mmx]: "mm",
  [operandKind.xmm]: "xmm",
};

/** What each field of a shape is, by index: "reg", "base", "disp", "imm", ...; a second one of a kind is numbered. */
export function describeFields(shape: Shape): string[] {
  const names: string[] = [];
  for (const o of shape.operands) {
    if (o.kind === operandKind.memory) names.push(...(o.hasBase ? ["base"] : []), ...(o.hasIndex ? ["index", "scale"] : []), "disp");
    else if (o.kind === operandKind.farPointer) names.push("offset", "selector");
    else if (fieldNames[o.kind] !== undefined) names.push(fieldNames[o.kind]);
  }
  names.push("next", ...(shape.x87Field < 0 ? [] : ["x87"]));
  return names.map((name, k) => {
    const earlier = names.slice(0, k).filter((other) => other === name).length;
    return earlier === 0 ? name : `${name}${earlier + 1}`;
  });
}
