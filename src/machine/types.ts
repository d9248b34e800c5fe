/** What a machine reports to the outside. Plain values throughout. */

/** Why `run` returned. */
export type ExitInfo =
  /** The guest powered off through ACPI. */
  | { readonly reason: "power-off" }
  /** The guest asked for a reset (keyboard controller, port 92h, port CF9h, ACPI). */
  | { readonly reason: "reset" }
  /** The guest wrote `value` to port F4h; `code` is the exit code of QEMU's isa-debug-exit, (value << 1) | 1. */
  | { readonly reason: "debug-exit"; readonly value: number; readonly code: number }
  /** An exception while delivering a double fault; `state` is the CPU at that moment, as text. */
  | { readonly reason: "triple-fault"; readonly state: string }
  /** The time given to `run` is over; the machine can go on. */
  | { readonly reason: "timeout" }
  /** `pause` was called; the machine can go on. */
  | { readonly reason: "paused" }
  | { readonly reason: "destroyed" };

/** VM exits for one reason, counted by the ring the guest was in. */
export interface VmExitCount {
  /** A sensitive instruction, as its table names it (docs/SENSITIVE.md); "external interrupt"; or "exception #PF" and so on. */
  readonly reason: string;
  readonly kind: "instruction" | "interrupt" | "exception";
  /** Times at CPL 0, 1, 2 and 3. */
  readonly byRing: readonly [number, number, number, number];
  readonly total: number;
}

/** Executions of IN, OUT and elements of INS, OUTS at one port. */
export interface PortCount {
  readonly port: number;
  readonly accesses: number;
}

export interface MachineStats {
  readonly engine: "translate" | "interpret";
  readonly clock: "host" | "virtual";
  /** What x87 registers hold. */
  readonly x87: "exact" | "double";
  /** Guest instructions retired. */
  readonly instructions: number;
  /** Optimisations that are off, by name (translator/contract/optimisations.ts). */
  readonly disabled: readonly string[];
  /** Of the instructions, about how many tier 0 executed; the rest ran in regions. */
  readonly tierZeroInstructions: number;
  /** Times the dispatcher entered a region. */
  readonly regionEntries: number;
  /** Instruction shapes that tier 0 has a handler for. */
  readonly shapes: number;
  /** Basic blocks decoded and prepared for tier 0. */
  readonly blocks: number;
  /** Regions translated to JavaScript. */
  readonly regions: number;
  /** Host seconds spent making regions on the guest's thread: translation, and V8's parsing of the result. */
  readonly regionSeconds: number;
  /** Of the regions, those made on the thread beside it, and host seconds that it spent, also with what it made for practice or in vain. */
  readonly backgroundRegions: number;
  readonly backgroundSeconds: number;
  /** Decoded code of tier 0 in use, bytes of its array; how many there are; how often it was full and everything forgotten. */
  readonly codeCacheBytes: number;
  readonly codeCacheCapacity: number;
  readonly codeCacheFlushes: number;
  /** Regions in place, and their JavaScript text, characters. */
  readonly regionsLive: number;
  readonly regionTextLength: number;
  /** Blocks and regions dropped because their bytes were written; of these the regions. */
  readonly invalidations: number;
  readonly regionInvalidations: number;
  /** Regions dropped because they were hardly entered any more, or because all of them took too much of the host's memory. */
  readonly regionsEvicted: number;
  /** Hardware interrupts delivered. */
  readonly interrupts: number;
  /** Exceptions delivered. */
  readonly faults: number;
  /** Most frequent first. */
  readonly exits: readonly VmExitCount[];
  /** Busiest first. */
  readonly ports: readonly PortCount[];
  readonly tlbMisses: number;
  /** Times an access of a region asked its site in vain (translator/contract/sites.ts). */
  readonly siteMisses: number;
  /** Times a region left an instruction to tier 0, for its accesses could not be made in line together. */
  readonly givenUp: number;
  readonly tlbFlushes: number;
  /** Host seconds spent in `run`, and of those the ones asleep while the guest was halted, or waited in a loop. */
  readonly hostSeconds: number;
  readonly idleSeconds: number;
  /** Times the guest was found to wait in a loop without HLT. */
  readonly idleLoops: number;
  /** Guest time since power-on. */
  readonly guestSeconds: number;
}

/** JavaScript that stands in for a block and what follows it. */
export interface RegionInfo {
  /** Guest instructions it was made from. */
  readonly instructions: number;
  /** Offsets, in the block's page, of the code it may leave to. */
  readonly exits: readonly number[];
  readonly text: string;
}

/** A block that was decoded or translated. */
export interface BlockInfo {
  /** Guest-physical address of its first byte. */
  readonly address: number;
  /** Mode bits it was translated for (translator/contract/mode-key.ts). */
  readonly mode: number;
  /** Guest bytes it was made from. */
  readonly length: number;
  /** Guest instructions in it. */
  readonly instructions: number;
  /** Times it ran in tier 0; a block that heads a region is not counted any more. */
  readonly executions: number;
  readonly tier: "cold" | "region";
  readonly region?: RegionInfo;
}

export interface MachineEvents {
  /** Bytes the guest sent on serial port 0. */
  serial: Uint8Array;
  /** `run` is about to return. */
  exit: ExitInfo;
  /** The guest reset the machine, or its CPU shut down, and it starts again (option `onReset`). */
  reset: ExitInfo;
  /** About once a second of host time while running. */
  stats: MachineStats;
  /** Something about the guest that a person may want to know: a driver that broke a device's rules, and which the device does not answer any more. */
  warning: string;
}
