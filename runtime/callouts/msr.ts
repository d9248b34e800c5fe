/** Callouts of RDMSR, WRMSR, RDTSC and RDPMC: one row a register (SDM vol. 4). An MSR that is not listed does not exist: #GP(0). */
import { cr4bit as cr4bitImported, slot as slotImported, vector } from "../../translator/contract/slots.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { requireSupervisor } from "./place.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const cr4bit = cr4bitImported;
const slot = slotImported;

const efer = { nxe: 1 << 11 } as const;

/** The time-stamp counter as a whole number below 2^53. */
function timeStamp(cpu: Cpu): number {
  return Math.floor(cpu.board.clock.counter() * cpu.board.tscPerNanosecond) + cpu.tscOffset;
}

interface MsrRow {
  readonly name: string;
  /** Low word; the high word through `readHigh`, otherwise 0. */
  readonly read: (cpu: Cpu) => number;
  readonly readHigh?: (cpu: Cpu) => number;
  /** Absent: read-only, #GP(0). May raise. */
  readonly write?: (cpu: Cpu, low: number, high: number) => void;
}

const constant = (name: string, value: number): MsrRow => ({ name, read: () => value });
/** Keeps what is written, and does nothing else. */
const storage = (name: string, number: number, initial: number): MsrRow => ({
  name,
  read: (cpu) => cpu.msrs.get(number) ?? initial,
  write: (cpu, low) => void cpu.msrs.set(number, low),
});
const inSlot = (name: string, index: number): MsrRow => ({
  name,
  read: (cpu) => cpu.R[index],
  write: (cpu, low) => {
    cpu.R[index] = low;
  },
});
/** Accepts writes, reads as 0. */
const ignored = (name: string): MsrRow => ({ name, read: () => 0, write: () => {} });

/** Without a local APIC: the base with the bootstrap-processor bit, and the enable bit clear. */
const apicBase = 0xfee00100 | 0;
const fastStrings = 1;

const modelSpecificRegisters: ReadonlyMap<number, MsrRow> = new Map<number, MsrRow>([
  [0x00, ignored("IA32_P5_MC_ADDR")],
  [0x01, ignored("IA32_P5_MC_TYPE")],
  [
    0x10,
    {
      name: "IA32_TIME_STAMP_COUNTER",
      read: (cpu) => timeStamp(cpu) | 0,
      readHigh: (cpu) => Math.floor(timeStamp(cpu) / 2 ** 32) | 0,
      write: (cpu, low, high) => {
        cpu.tscOffset += (high >>> 0) * 2 ** 32 + (low >>> 0) - timeStamp(cpu);
      },
    },
  ],
  [0x17, constant("IA32_PLATFORM_ID", 0)],
  [
    0x1b,
    {
      name: "IA32_APIC_BASE",
      read: (cpu) => cpu.board.apic?.baseLow ?? cpu.msrs.get(0x1b) ?? apicBase,
      readHigh: (cpu) => cpu.board.apic?.baseHigh ?? 0,
      write: (cpu, low, high) => {
        const { apic } = cpu.board;
        if (apic === undefined) cpu.msrs.set(0x1b, low);
        else if (!apic.writeBase(low, high)) cpu.raise(vector.gp, 0);
      },
    },
  ],
  [0x2a, constant("EBL_CR_POWERON", 0)],
  [0x79, ignored("IA32_BIOS_UPDT_TRIG")],
  // Software clears it, executes CPUID and reads the revision back (SDM vol. 3, 9.11.7): no update is loaded.
  [0x8b, ignored("IA32_BIOS_SIGN_ID")],
  [0x174, inSlot("IA32_SYSENTER_CS", slot.sysenterCs)],
  [0x175, inSlot("IA32_SYSENTER_ESP", slot.sysenterEsp)],
  [0x176, inSlot("IA32_SYSENTER_EIP", slot.sysenterEip)],
  [0x1a0, storage("IA32_MISC_ENABLE", 0x1a0, fastStrings)],
  [0x1d9, ignored("IA32_DEBUGCTL")],
  [
    0xc0000080,
    {
      name: "IA32_EFER",
      read: (cpu) => cpu.R[slot.efer],
      write: (cpu, low, high) => {
        if (low & ~efer.nxe || high !== 0) cpu.raise(vector.gp, 0);
        if (low !== cpu.R[slot.efer]) cpu.memory.flush(true);
        cpu.R[slot.efer] = low;
      },
    },
  ],
]);

function readMsr(cpu: Cpu): void {
  requireSupervisor(cpu);
  const R = cpu.R;
  const row = modelSpecificRegisters.get(R[slot.ecx] >>> 0);
  if (row === undefined) return cpu.raise(vector.gp, 0);
  const low = row.read(cpu);
  R[slot.edx] = row.readHigh?.(cpu) ?? 0;
  R[slot.eax] = low;
}

function writeMsr(cpu: Cpu): void {
  requireSupervisor(cpu);
  const R = cpu.R;
  const row = modelSpecificRegisters.get(R[slot.ecx] >>> 0);
  if (row?.write === undefined) return cpu.raise(vector.gp, 0);
  row.write(cpu, R[slot.eax], R[slot.edx]);
}

function readTimeStamp(cpu: Cpu): void {
  const R = cpu.R;
  if (R[slot.cr4] & cr4bit.tsd && R[slot.cpl] !== 0) cpu.raise(vector.gp, 0);
  const ticks = timeStamp(cpu);
  R[slot.eax] = ticks | 0;
  R[slot.edx] = Math.floor(ticks / 2 ** 32) | 0;
}

/** There are no performance counters, so ECX never names one. */
function readPerformanceCounter(cpu: Cpu): void {
  cpu.raise(vector.gp, 0);
}

export const msrImplementations = { readMsr, writeMsr, readTimeStamp, readPerformanceCounter };
