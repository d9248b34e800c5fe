/**
 * One guest CPU: its state slots, its linear memory, and the way a guest exception leaves the middle of an instruction. All that a
 * CPU owns hangs off this instance; a machine with two of them has two instances.
 */
import { aesTableWords, fillAesTable } from "../../translator/contract/aes.ts";
import { x87Doubles } from "../../translator/contract/callouts/x87.ts";
import { exitCounters } from "../../translator/contract/exits.ts";
import { mode as modeImported } from "../../translator/contract/mode-key.ts";
import { attention as attentionImported, slot as slotImported, vector as vectorImported } from "../../translator/contract/slots.ts";
import { SimdUnit } from "../callouts/simd/unit.ts";
import { forgetPairs, nearestHighs } from "../callouts/x87/registers.ts";
import type { Clock, SavedState } from "../devices/device.ts";
import { FloatUnit } from "../float/unit.ts";
import { LinearMemory } from "../memory/linear.ts";
import { PageWalker } from "../memory/page-walk.ts";
import type { PhysicalMemory } from "../memory/physical.ts";
import { checkDataBreakpoints } from "./debug.ts";
import { resetCpu } from "./reset.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const mode = modeImported;
const attention = attentionImported;
const slot = slotImported;
const vector = vectorImported;

/** Thrown to abandon an instruction because of a guest exception. One object per CPU, so that raising allocates nothing. */
export class GuestFault {
  vector = 0;
  /** -1: the exception pushes none. */
  errorCode = -1;
}

/** The bus side of IN and OUT. */
export interface PortSpace {
  read(port: number, size: 1 | 2 | 4): number;
  write(port: number, size: 1 | 2 | 4, value: number): void;
  /** Many reads, or writes, of one port at once (`RegisterBank.readBlock`); returns bytes, 0 where that is not possible. */
  readBlock?(port: number, size: 2 | 4, into: Uint8Array): number;
  writeBlock?(port: number, size: 2 | 4, from: Uint8Array): number;
}

/** The CPU's interrupt pins as the board connects them. */
export interface InterruptController {
  /** INTR is high. */
  readonly pending: boolean;
  /** The INTA cycle: the vector to deliver. */
  acknowledge(): number;
  /** NMI has risen and was not taken yet. */
  readonly nmi?: boolean;
  /** The CPU takes the NMI. */
  acknowledgeNmi?(): void;
}

/** What a CPU has of its local APIC beside the page of registers. */
export interface LocalApicPort {
  readonly initialId: number;
  /** The global enable of IA32_APIC_BASE, which CPUID shows. */
  readonly isEnabled: boolean;
  /** IA32_APIC_BASE. */
  readonly baseLow: number;
  readonly baseHigh: number;
  /** False: a reserved bit is set. */
  writeBase(low: number, high: number): boolean;
}

export interface CpuBoard {
  readonly physical: PhysicalMemory;
  readonly ports: PortSpace;
  readonly clock: Clock;
  readonly interrupts: InterruptController;
  /** Absent: a CPU without one. */
  readonly apic?: LocalApicPort;
  /** Time-stamp counter ticks per nanosecond of guest time. */
  readonly tscPerNanosecond: number;
  /** CPUID's last basic leaf, if not the last that there is. */
  readonly cpuidLevel?: number;
  /** FERR#: an unmasked x87 exception with CR0.NE clear. */
  setFerr(high: boolean): void;
}

export type EventObserver = (number: number, kind: number, errorCode: number) => void;

export class Cpu {
  readonly R: Int32Array<ArrayBuffer>;
  /** The same slots as doubles, for SSE: element slot / 2. */
  readonly F: Float64Array<ArrayBuffer>;
  readonly fault = new GuestFault();
  /**
   * [1]: a guest exception is noted in `fault` instead of thrown (`note`). [0] and [2] are the WebAssembly tier's: the place of the instruction under way when generated
   * code last called something, and the same when the exception was noted.
   */
  readonly noted: Int32Array<ArrayBuffer>;
  /** What generated code asks before it goes on without the dispatcher (`attention`): not 0 means no. Not state: the dispatcher keeps it. */
  readonly attention: Int32Array<ArrayBuffer>;
  /** x87 arithmetic: operands, rounding and result of the operation under way. */
  readonly float = new FloatUnit();
  readonly board: CpuBoard;
  readonly walker: PageWalker;
  readonly memory: LinearMemory;
  /** Views and working registers of MMX and SSE. */
  readonly simd: SimdUnit;
  /** TSC value at guest time 0, adjusted by WRMSR. */
  tscOffset = 0;
  /** Model-specific registers that are storage only, by number. */
  readonly msrs = new Map<number, number>();
  /** DR6 bits of breakpoints met by the current instruction; looked at after it. */
  pendingDebug = 0;
  /** True while an event is being delivered: a fault then is a contributory one (double fault logic). -1 = none, else the vector. */
  deliveringVector = -1;
  /** The instruction just run delivered an interrupt (INT n): the trap flag it began with is spent. */
  deliveredInterrupt = false;
  /** An NMI is being handled: the next waits for IRET (SDM vol. 3, 6.7.1). */
  nmiBlocked = false;
  /** Set when a triple fault shut the CPU down. */
  shutdown = false;
  /** The descriptor read last (cpu/descriptors.ts): its two words and its linear address. Scratch, not state. */
  descriptorLow = 0;
  descriptorHigh = 0;
  descriptorAddress = 0;
  /** VM exits by reason and ring (contract/exits.ts): exitCounts[reason * ringCount + CPL]. Statistics, not state. */
  readonly exitCounts: Float64Array;
  /** Constants of the contract. */
  readonly x87Doubles: Float64Array;
  /** See contract/aes.ts. */
  readonly aesTable: Int32Array;
  /** Port accesses by port, statistics too: each is one of the exits counted for IN, OUT, INS and OUTS. */
  readonly portCounts = new Float64Array(0x10000);
  /** Told of every interrupt and exception just before it is delivered, for debuggers. */
  get eventObserver(): EventObserver | undefined {
    return this.observer;
  }
  set eventObserver(observer: EventObserver | undefined) {
    this.observer = observer;
    this.attention[attention.observed] = observer === undefined ? 0 : 1;
  }
  private observer: EventObserver | undefined = undefined;

  constructor(board: CpuBoard) {
    this.board = board;
    const { host } = board.physical;
    this.R = host.int32(slot.count);
    this.noted = host.int32(3);
    this.attention = host.int32(4);
    this.exitCounts = host.float64(exitCounters);
    const doubles = Object.values(x87Doubles);
    this.x87Doubles = host.float64(doubles.length);
    this.x87Doubles.set(doubles);
    this.aesTable = host.int32(aesTableWords);
    fillAesTable(this.aesTable);
    this.F = new Float64Array(this.R.buffer, this.R.byteOffset, slot.count / 2);
    this.walker = new PageWalker(this.R, board.physical);
    this.memory = new LinearMemory(this, board.physical, this.walker);
    this.simd = new SimdUnit(this.R, board.physical.u8);
    board.physical.mappingChanged = () => this.mappingChanged();
    this.reset();
  }

  reset(): void {
    resetCpu(this);
  }

  /** Abandons the current instruction with a guest exception. `errorCode` only for vectors that push one. */
  raise(exception: number, errorCode = -1): never {
    this.fault.vector = exception;
    this.fault.errorCode = errorCode;
    throw this.fault;
  }

  /**
   * The same for functions that WebAssembly calls: it finds the instruction abandoned by `noted[1]`, and clears that. Whoever calls such a function from JavaScript asks
   * and clears by `raiseNoted`.
   */
  note(exception: number, errorCode = -1): void {
    const { fault, noted } = this;
    fault.vector = exception;
    fault.errorCode = errorCode;
    noted[1] = 1;
    noted[2] = noted[0];
  }

  notePageFault(linear: number, errorCode: number): void {
    this.R[slot.cr2] = linear;
    this.note(vector.pf, errorCode);
  }

  raiseNoted(): never {
    this.noted[1] = 0;
    throw this.fault;
  }

  /** #GP(selector & ~3) or another selector-carrying fault. */
  raiseSelector(exception: number, selector: number): never {
    return this.raise(exception, selector & 0xfffc);
  }

  watch(linear: number, size: number, isWrite: boolean): void {
    checkDataBreakpoints(this, linear, size, isWrite);
  }

  get isProtected(): boolean {
    return (this.R[slot.mode] & mode.protected) !== 0;
  }
  get isVirtual8086(): boolean {
    return (this.R[slot.mode] & mode.virtual8086) !== 0;
  }

  /** Other memory, or none, may answer at an address now, that of the running code included: the next block is looked up anew. */
  private mappingChanged(): void {
    this.memory.flush(true);
    this.R[slot.leave] = 1;
    this.requestAttention();
  }

  /** The dispatcher must look at interrupts and time before the next block. */
  requestAttention(): void {
    const R = this.R;
    if (R[slot.budget] < 0) return;
    // Keeps the sum of `sliceEnd - budget`, the count of retired instructions, what it was.
    this.budgetHeldBack += R[slot.budget] + 1;
    R[slot.budget] = -1;
  }
  /** Instructions of the running slice that `requestAttention` took out of `R[slot.budget]`. */
  budgetHeldBack = 0;

  save(): SavedState {
    return {
      slots: this.R.slice(),
      pdptr: this.walker.pdptr.slice(),
      a20Mask: this.walker.a20Mask,
      tscOffset: this.tscOffset,
      pendingDebug: this.pendingDebug,
      nmiBlocked: this.nmiBlocked,
      shutdown: this.shutdown,
      msrs: [...this.msrs].map(([number, value]) => [number, value]),
    };
  }

  restore(state: SavedState): void {
    // The budget belongs to the slice under way here, not to the state that comes in.
    const left = this.R[slot.budget];
    // A state saved before registers could be pairs has none.
    forgetPairs(this);
    this.R.set(state.slots as Int32Array);
    if (this.float.isDouble) nearestHighs(this);
    this.R[slot.budget] = left;
    this.walker.pdptr.set(state.pdptr as Int32Array);
    this.walker.a20Mask = state.a20Mask as number;
    this.tscOffset = state.tscOffset as number;
    this.pendingDebug = state.pendingDebug as number;
    this.nmiBlocked = state.nmiBlocked === true;
    this.shutdown = state.shutdown as boolean;
    this.msrs.clear();
    for (const [number, value] of state.msrs as [number, number][]) this.msrs.set(number, value);
    this.memory.checkAlignment();
    this.memory.flush(true);
  }
}
