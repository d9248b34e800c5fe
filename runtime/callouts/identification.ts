/**
 * CPUID: a 32-bit processor of Intel's family 6 with MMX, SSE and SSE2, and nothing that is not implemented (SDM vol. 2, CPUID). A leaf is four
 * registers EAX, EBX, ECX, EDX.
 */
import { slot as slotImported } from "../../translator/contract/slots.ts";
import type { Cpu } from "../cpu/cpu.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;

/** Family 6, model 7, stepping 3; also what EDX holds after reset. */
const signature = 0x673;
/** CLFLUSH works on lines of 8 quadwords; brand index 0: see the brand string. */
const lineSize = 8 << 8;

/** Bits of leaf 1's EDX. */
const feature = {
  fpu: 1 << 0,
  vme: 1 << 1,
  de: 1 << 2,
  pse: 1 << 3,
  tsc: 1 << 4,
  msr: 1 << 5,
  pae: 1 << 6,
  cx8: 1 << 8,
  sep: 1 << 11,
  pge: 1 << 13,
  cmov: 1 << 15,
  clfsh: 1 << 19,
  mmx: 1 << 23,
  fxsr: 1 << 24,
  sse: 1 << 25,
  sse2: 1 << 26,
} as const;
const features = Object.values(feature).reduce((all, bit) => all | bit, 0);

/** Shown while the local APIC is enabled (SDM vol. 3, 11.4.3). */
const onChipApic = 1 << 9;
const initialApicIdShift = 24;
/** Leaf 1's EAX and EDX as firmware sees them, for tables that name the processor. */
export const processorIdentity = { signature, features: features | onChipApic } as const;

/** Leaf 2: 4 KiB and 4 MiB page TLBs, 16 KiB first-level caches, 512 KiB second-level cache: descriptors of the same model. */
const cacheDescriptors = [0x03020101, 0, 0, 0x0c040843];
const executeDisable = 1 << 20;
const brand = "xlat86";

/** Registers of a leaf of the brand string, 16 characters each. */
function brandLeaf(index: number): readonly number[] {
  const word = (at: number) => [0, 1, 2, 3].reduce((sum, i) => sum | ((brand.charCodeAt(at + i) || 0) << (8 * i)), 0);
  return [0, 4, 8, 12].map((at) => word(16 * index + at));
}

function text(four: string): number {
  return four.charCodeAt(0) | (four.charCodeAt(1) << 8) | (four.charCodeAt(2) << 16) | (four.charCodeAt(3) << 24);
}

const basicLeaves: readonly (readonly number[])[] = [
  [2, text("Genu"), text("ntel"), text("ineI")],
  [signature, lineSize, 0, features],
  cacheDescriptors,
];
const extendedLeaves: readonly (readonly number[])[] = [
  [0x80000004 | 0, 0, 0, 0],
  [0, 0, 0, executeDisable],
  brandLeaf(0),
  brandLeaf(1),
  brandLeaf(2),
];

/** A leaf beyond the last of either range answers as the last basic one does (SDM vol. 2, CPUID, "INPUT EAX"). */
function cpuid(cpu: Cpu): void {
  const R = cpu.R;
  const leaf = R[slot.eax] >>> 0;
  const found = leaf >= 0x80000000 ? extendedLeaves[leaf - 0x80000000] : basicLeaves[leaf];
  const [eax, ebx, ecx, edx] = found ?? basicLeaves[basicLeaves.length - 1];
  R[slot.eax] = eax;
  R[slot.ebx] = ebx;
  R[slot.ecx] = ecx;
  R[slot.edx] = edx;
  const { apic } = cpu.board;
  if (found === basicLeaves[1] && apic !== undefined) {
    R[slot.ebx] |= apic.initialId << initialApicIdShift;
    if (apic.isEnabled) R[slot.edx] |= onChipApic;
  }
}

export const identificationImplementations = { cpuid };
