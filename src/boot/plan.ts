/**
 * What a boot loader is here: a pure function from files and a memory map to a `BootPlan` - bytes to write to physical memory and
 * the registers to start with. Nothing is written until the whole plan stands, so a bad image leaves nothing half done.
 */
import type { MemoryRange } from "./memory-map.ts";

/** A guest file: its name is for messages, its bytes are never changed. */
export interface GuestFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface BootRequest {
  readonly kernel: GuestFile;
  readonly initrd?: GuestFile;
  /** Kernel command line. */
  readonly append: string;
  /** Multiboot modules, each with the string the kernel gets for it. */
  readonly modules: readonly { readonly file: GuestFile; readonly commandLine: string }[];
  /** RAM in bytes. */
  readonly memorySize: number;
  readonly memoryMap: readonly MemoryRange[];
  /** Guest-physical address of the ACPI RSDP, where the machine has one. */
  readonly rsdp?: number;
  /** There is a VGA, in text mode 3 (80 x 25). */
  readonly hasTextScreen?: boolean;
}

/** A descriptor as the CPU caches it; `access` holds descriptor bits 8-15 and 20-23 of the high word in place. */
export interface SegmentState {
  readonly selector: number;
  readonly base: number;
  /** Last valid offset, granularity applied (unsigned). */
  readonly limit: number;
  readonly access: number;
}

export interface DescriptorTable {
  readonly base: number;
  readonly limit: number;
}

export interface InitialCpuState {
  readonly eax: number;
  readonly ecx: number;
  readonly edx: number;
  readonly ebx: number;
  readonly esp: number;
  readonly ebp: number;
  readonly esi: number;
  readonly edi: number;
  readonly eip: number;
  readonly eflags: number;
  readonly cr0: number;
  readonly gdt: DescriptorTable;
  readonly idt: DescriptorTable;
  readonly segments: Readonly<Record<"es" | "cs" | "ss" | "ds" | "fs" | "gs" | "ldtr" | "tr", SegmentState>>;
}

export interface BootPlan {
  readonly protocol: "linux" | "multiboot";
  /** In order; never overlapping. `what` is for people. */
  readonly writes: readonly { readonly address: number; readonly bytes: Uint8Array; readonly what: string }[];
  readonly cpu: InitialCpuState;
  /** Things the kernel asked for that the platform lacks, and that it can live without. */
  readonly warnings: readonly string[];
}
