/**
 * The CPU state both boot protocols hand a kernel: 32-bit protected mode, flat 4 GiB segments, paging and interrupts off (Linux
 * boot.rst "32-bit Boot Protocol"; Multiboot 0.6.96, 3.2). Linux requires code at selector 0x10 and data at 0x18; Multiboot does
 * not care, so both get the same table.
 */
import { cr0bit } from "../../translator/contract/slots.ts";
import type { InitialCpuState, SegmentState } from "./plan.ts";

const codeSelector = 0x10;
const dataSelector = 0x18;
const flat = { base: 0, limit: 0xffffffff };
// G, D/B, present, and an accessed code (execute/read) or data (read/write) type: SDM vol. 3, 3.4.5.
const codeAccess = 0x00c09b00;
const dataAccess = 0x00c09300;

/** Two unused entries, flat code, flat data. */
export function flatGdt(): Uint8Array {
  const table = new DataView(new ArrayBuffer(32));
  for (const [selector, access] of [
    [codeSelector, codeAccess],
    [dataSelector, dataAccess],
  ] as const) {
    table.setUint32(selector, 0x0000ffff, true);
    table.setUint32(selector + 4, access | 0x000f0000, true);
  }
  return new Uint8Array(table.buffer);
}

type GeneralRegister = "eax" | "ecx" | "edx" | "ebx" | "esp" | "ebp" | "esi" | "edi";

export function flatProtectedMode(entry: number, gdtAddress: number, registers: Partial<Record<GeneralRegister, number>>): InitialCpuState {
  const data: SegmentState = { selector: dataSelector, ...flat, access: dataAccess };
  return {
    eax: 0,
    ecx: 0,
    edx: 0,
    ebx: 0,
    esp: 0,
    ebp: 0,
    esi: 0,
    edi: 0,
    ...registers,
    eip: entry,
    eflags: 0x2,
    cr0: cr0bit.pe | cr0bit.et,
    gdt: { base: gdtAddress, limit: flatGdt().length - 1 },
    // No interrupt table: the first fault before the kernel loads its own is a triple fault, as on hardware.
    idt: { base: 0, limit: 0 },
    segments: {
      cs: { selector: codeSelector, ...flat, access: codeAccess },
      ds: data,
      es: data,
      ss: data,
      fs: data,
      gs: data,
      // As after reset (SDM vol. 3, table 10-1): an empty LDT, a busy TSS nobody switches from.
      ldtr: { selector: 0, base: 0, limit: 0xffff, access: 0x8200 },
      tr: { selector: 0, base: 0, limit: 0xffff, access: 0x8b00 },
    },
  };
}
