/**
 * CPUID: a 32-bit processor of Intel's family 6 with MMX, SSE to SSE4.2, AES and SHA, and nothing that is not implemented (SDM vol. 2, CPUID). A leaf is
 * four registers EAX, EBX, ECX, EDX.
 */
import { slot as slotImported } from "../../translator/contract/slots.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { processorSignature } from "../cpu/reset.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;

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

/** Bits of leaf 1's ECX. */
const laterFeature = {
  sse3: 1 << 0,
  ssse3: 1 << 9,
  sse41: 1 << 19,
  sse42: 1 << 20,
  movbe: 1 << 22,
  popcnt: 1 << 23,
  aes: 1 << 25,
} as const;
const laterFeatures = Object.values(laterFeature).reduce((all, bit) => all | bit, 0);
/** Of leaf 7's EBX: SHA. */
const structuredFeatures = 1 << 29;
const structuredLeaf = 7;

/** Shown while the local APIC is enabled (SDM vol. 3, 11.4.3). */
const onChipApic = 1 << 9;
const initialApicIdShift = 24;
/** Leaf 1's EAX and EDX as firmware sees them, for tables that name the processor. */
export const processorIdentity = { signature: processorSignature, features: features | onChipApic } as const;

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

const none = [0, 0, 0, 0];

/** Leaves of the time-stamp counter's frequency and the processor's; the latter is the last basic one. */
const timeStampLeaf = 0x15;
const frequencyLeaf = 0x16;
/** What the last basic leaf may be: all that there are, or fewer for old systems. */
export const cpuidLevels = { least: 1, most: frequencyLeaf } as const;
/** Frequency of the core crystal, which the local APIC's timer counts (devices/apic/apic-timer.ts). */
const crystalHz = 1e9;
const ratioDenominator = 1000;
const busMHz = 100;

const basicLeaves: readonly (readonly number[])[] = [
  [0, text("Genu"), text("ntel"), text("ineI")],
  [processorSignature, lineSize, laterFeatures, features],
  cacheDescriptors,
];
const extendedLeaves: readonly (readonly number[])[] = [
  [0x80000004 | 0, 0, 0, 0],
  [0, 0, 0, executeDisable],
  brandLeaf(0),
  brandLeaf(1),
  brandLeaf(2),
];

/**
 * A leaf beyond the last of either range answers as the last basic one does (SDM vol. 2, CPUID, "INPUT EAX"). An operating system that is told the frequencies need not measure
 * them, which takes Linux a quarter of a second of waiting.
 */
function leafOf(cpu: Cpu, leaf: number): readonly number[] {
  if (leaf >= 0x80000000 && leaf - 0x80000000 < extendedLeaves.length) return extendedLeaves[leaf - 0x80000000];
  const last = cpu.board.cpuidLevel ?? cpuidLevels.most;
  if (leaf > last) return leafOf(cpu, last);
  if (leaf === 0) return [last, ...basicLeaves[0].slice(1)];
  if (leaf === structuredLeaf) return [0, (cpu.R[slot.ecx] | 0) === 0 ? structuredFeatures : 0, 0, 0];
  // What the others to 14h describe there is not.
  if (leaf < timeStampLeaf) return basicLeaves[leaf] ?? none;
  const { tscPerNanosecond } = cpu.board;
  // TSC frequency = ECX * EBX / EAX.
  if (leaf === timeStampLeaf) return [ratioDenominator, Math.round(((tscPerNanosecond * 1e9) / crystalHz) * ratioDenominator), crystalHz, 0];
  const processorMHz = Math.round(tscPerNanosecond * 1000);
  return [processorMHz, processorMHz, busMHz, 0];
}

function cpuid(cpu: Cpu): void {
  const R = cpu.R;
  const found = leafOf(cpu, R[slot.eax] >>> 0);
  const [eax, ebx, ecx, edx] = found;
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
