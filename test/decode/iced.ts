/**
 * iced-x86 as the judge of the decoder: its view of an instruction in the decoder's own terms. Nothing here looks at the decoder's tables;
 * an operand is compared field by field with what iced says about the same bytes.
 */
import { Decoder, DecoderOptions, Instruction, MemorySizeExt, OpKind, Register } from "iced-x86";
import { type DecodedInstruction, type Operand, operandKind } from "../../translator/decode/instruction.ts";

/** Bytes per case in a batch: more than the longest instruction. */
export const slotLength = 16;

/** Registers as kind, size and number. */
const registerFacts: { kind: number; size: number; reg: number }[] = [];
function describe(first: Register, count: number, kind: number, size: number): void {
  for (let n = 0; n < count; n++) registerFacts[first + n] = { kind, size, reg: n };
}
describe(Register.AL, 8, operandKind.register, 1);
describe(Register.AX, 8, operandKind.register, 2);
describe(Register.EAX, 8, operandKind.register, 4);
describe(Register.ES, 6, operandKind.segmentRegister, 0);
describe(Register.CR0, 8, operandKind.controlRegister, 4);
describe(Register.DR0, 8, operandKind.debugRegister, 4);
describe(Register.ST0, 8, operandKind.st, 10);
describe(Register.MM0, 8, operandKind.mmx, 0);
describe(Register.XMM0, 8, operandKind.xmm, 0);

/** Decodes slots of a batch. Two decoders: with reserved NOPs (0F 0D, 0F 18-1F as P6 decodes them) and without (0F 18's prefetches by name). */
export class IcedBatch {
  private readonly plain: Decoder;
  private readonly reservedNop: Decoder;
  private readonly bytes: Uint8Array;
  readonly instruction = new Instruction();

  constructor(bytes: Uint8Array, code32: boolean) {
    // As before TZCNT, LZCNT and WBNOINVD: F3 before BSF, BSR and WBINVD is ignored.
    const options = DecoderOptions.NoMPFX_0FBC | DecoderOptions.NoMPFX_0FBD | DecoderOptions.NoWbnoinvd;
    this.bytes = bytes;
    this.plain = new Decoder(code32 ? 32 : 16, bytes, options);
    this.reservedNop = new Decoder(code32 ? 32 : 16, bytes, options | DecoderOptions.ForceReservedNop);
  }

  decode(slot: number, opcodeAt: number): Instruction {
    const at = slot * slotLength;
    const second = this.bytes[at + opcodeAt] === 0x0f ? this.bytes[at + opcodeAt + 1] : 0;
    const decoder = second > 0x18 && second < 0x20 ? this.reservedNop : this.plain;
    decoder.position = at;
    decoder.decodeOut(this.instruction);
    return this.instruction;
  }

  free(): void {
    this.plain.free();
    this.reservedNop.free();
    this.instruction.free();
  }
}

const signed16 = (value: number) => (value << 16) >> 16;

/** What differs between an operand of ours and iced's, or "" when nothing does. */
export function compareOperand(ours: Operand, iced: Instruction, n: number, out: DecodedInstruction): string {
  const kind = iced.opKind(n);
  switch (kind) {
    case OpKind.Register: {
      const facts = registerFacts[iced.opRegister(n)];
      if (facts === undefined) return `register ${iced.opRegister(n)} is not of this CPU`;
      if (facts.kind !== ours.kind || facts.reg !== ours.reg) return `register ${facts.kind}:${facts.reg} for ${ours.kind}:${ours.reg}`;
      // iced gives vector and segment registers no size of their own.
      return facts.size !== 0 && facts.size !== ours.size ? `register size ${facts.size} for ${ours.size}` : "";
    }
    case OpKind.NearBranch16:
      return branch(ours, 2, signed16(iced.nearBranch16 - iced.nextIP32));
    case OpKind.NearBranch32:
      return branch(ours, 4, (iced.nearBranch32 - iced.nextIP32) | 0);
    case OpKind.FarBranch16:
      return farPointer(ours, 4, iced.farBranch16, iced.farBranchSelector);
    case OpKind.FarBranch32:
      return farPointer(ours, 6, iced.farBranch32 | 0, iced.farBranchSelector);
    case OpKind.Immediate8:
      return immediate(ours, 1, iced.immediate8);
    case OpKind.Immediate8_2nd:
      return immediate(ours, 1, iced.immediate8_2nd);
    case OpKind.Immediate16:
      return immediate(ours, 2, iced.immediate16);
    case OpKind.Immediate32:
      return immediate(ours, 4, iced.immediate32 | 0);
    case OpKind.Immediate8to16:
      return immediate(ours, 2, iced.immediate8to16 & 0xffff);
    case OpKind.Immediate8to32:
      return immediate(ours, 4, iced.immediate8to32 | 0);
    case OpKind.MemorySegSI:
    case OpKind.MemorySegESI:
      return memory(ours, iced, out, kind === OpKind.MemorySegSI ? 2 : 4, iced.memorySegment - Register.ES, 6, -1, 0, 0);
    case OpKind.MemoryESDI:
    case OpKind.MemoryESEDI:
      return memory(ours, iced, out, kind === OpKind.MemoryESDI ? 2 : 4, 0, 7, -1, 0, 0);
    case OpKind.Memory:
      return explicitMemory(ours, iced, out);
    default:
      return `operand kind ${kind} of iced`;
  }
}

function branch(ours: Operand, size: number, value: number): string {
  return ours.kind === operandKind.relative && ours.size === size && ours.value === value ? "" : `relative ${size}:${value}`;
}

function immediate(ours: Operand, size: number, value: number): string {
  return ours.kind === operandKind.immediate && ours.size === size && ours.value === value ? "" : `immediate ${size}:${value}`;
}

function farPointer(ours: Operand, size: number, offset: number, selector: number): string {
  const same = ours.kind === operandKind.farPointer && ours.size === size && ours.value === offset && ours.selector === selector;
  return same ? "" : `far pointer ${size} ${selector}:${offset}`;
}

function explicitMemory(ours: Operand, iced: Instruction, out: DecodedInstruction): string {
  const base = iced.memoryBase;
  const index = iced.memoryIndex;
  const word = base >= Register.AX && base <= Register.DI;
  const number = (r: Register) => (r === Register.None ? -1 : registerFacts[r].reg);
  // Without base and index iced tells the address size by the displacement's.
  const addressSize =
    base === Register.None && index === Register.None ? iced.memoryDisplSize : word || (index >= Register.AX && index <= Register.DI) ? 2 : 4;
  const low = Number(iced.memoryDisplacement & 0xffffffffn);
  const displacement = addressSize === 2 ? signed16(low) : low | 0;
  const scale = index === Register.None ? 0 : Math.log2(iced.memoryIndexScale);
  return memory(ours, iced, out, addressSize, iced.memorySegment - Register.ES, number(base), number(index), scale, displacement);
}

function memory(
  ours: Operand,
  iced: Instruction,
  out: DecodedInstruction,
  addressSize: number,
  segment: number,
  base: number,
  index: number,
  scale: number,
  displacement: number,
): string {
  if (ours.kind !== operandKind.memory) return "memory";
  if (out.addressSize !== addressSize) return `address size ${addressSize}`;
  if (ours.segment !== segment) return `segment ${segment} for ${ours.segment}`;
  if (ours.base !== base || ours.index !== index || ours.scale !== scale) return `address ${base}+${index}<<${scale}`;
  if (ours.displacement !== displacement) return `displacement ${displacement} for ${ours.displacement}`;
  const size = MemorySizeExt.size(iced.memorySize);
  return size === ours.size ? "" : `memory size ${size} for ${ours.size}`;
}
