/**
 * ModRM and SIB: the length of an address and the parts of a memory operand (SDM vol. 2, 2.1.5, tables 2-1 to 2-3).
 * Nothing here reads beyond what `addressLength` counted; the caller has compared that with the bytes it has.
 */
import type { DecodedInstruction, Operand } from "./instruction.ts";

const segmentSS = 2;
const segmentDS = 3;

/** Bytes after ModRM that belong to the address, by ModRM; for 32-bit addressing with a SIB byte: with SIB, less a disp32 for base 5. */
function lengths(of: (mod: number, rm: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, modrm) => (modrm >= 0xc0 ? 0 : of(modrm >> 6, modrm & 7)));
}
const length16 = lengths((mod, rm) => (mod === 0 ? (rm === 6 ? 2 : 0) : mod));
const length32 = lengths((mod, rm) => (rm === 4 ? 1 : 0) + (mod === 0 ? (rm === 5 ? 4 : 0) : mod === 1 ? 1 : 4));

export const hasSib = (modrm: number, addressSize: 2 | 4): boolean => addressSize === 4 && modrm < 0xc0 && (modrm & 7) === 4;

/** Bytes of SIB and displacement; `sib` counts only where there is one. */
export function addressLength(modrm: number, addressSize: 2 | 4, sib: number): number {
  if (addressSize === 2) return length16[modrm];
  return length32[modrm] + (modrm < 0x40 && (modrm & 7) === 4 && (sib & 7) === 5 ? 4 : 0);
}

/** 16-bit addressing: base and index by r/m (BX 3, BP 5, SI 6, DI 7). */
const base16 = [3, 3, 5, 5, 6, 7, 5, 3];
const index16 = [6, 7, 6, 7, -1, -1, -1, -1];

/** Fill in the address of a memory operand from the instruction's ModRM byte; `at` is the byte after ModRM. */
export function readMemory(operand: Operand, i: DecodedInstruction, bytes: Uint8Array, at: number): void {
  const mod = i.modrm >> 6;
  const rm = i.modrm & 7;
  let base: number;
  if (i.addressSize === 4) {
    base = rm;
    if (rm === 4) {
      const sib = bytes[at++];
      base = sib & 7;
      const index = (sib >> 3) & 7;
      // Index 4 means none, and its scale means nothing.
      if (index !== 4) {
        operand.index = index;
        operand.scale = sib >> 6;
      }
    }
    if (mod === 0 && base === 5) base = -1;
    if (mod === 1) operand.displacement = (bytes[at] << 24) >> 24;
    else if (mod === 2 || base < 0) operand.displacement = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
  } else {
    base = mod === 0 && rm === 6 ? -1 : base16[rm];
    operand.index = index16[rm];
    if (mod === 1) operand.displacement = (bytes[at] << 24) >> 24;
    else if (mod === 2 || base < 0) operand.displacement = ((bytes[at] | (bytes[at + 1] << 8)) << 16) >> 16;
  }
  operand.base = base;
  // Addresses based on (E)BP or ESP are on the stack (SDM vol. 1, 3.7.4).
  operand.segment = i.segmentOverride >= 0 ? i.segmentOverride : base === 4 || base === 5 ? segmentSS : segmentDS;
}
