/** What generated code may name: the contract's callouts as v_<name>, state, memory and its slow paths, and the ways back into the dispatcher. */
import type { CalloutName } from "../../translator/contract/callouts.ts";
import { vectorHelpers } from "../callouts/simd/host-names.ts";
import type { HostNames } from "../code/compile.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { divs, divu } from "../cpu/divide.ts";
import { mulhs, mulhu } from "../cpu/multiply.ts";
import { checkSegment } from "../cpu/segments.ts";
import type { RegionCalls } from "./region-calls.ts";

export type Callout = (cpu: Cpu, ...args: number[]) => number | void;

/** The dispatcher's entries for generated code. */
export interface Returns extends RegionCalls {
  /** A computed jump: the link to follow. */
  jump(eip: number): number;
  /** The same where EIP is not the linear address. */
  jumpSegmented(eip: number): number;
  /** R[eip] is current: the link to follow. */
  dispatch(): number;
  /** A guest exception was caught in a region, which has committed its state. */
  faulted(): number;
  /** A region has executed `used` instructions and its slice is over: instructions it may go on for, or a negative number if it must leave. */
  moreTime(used: number): number;
  /** A region's store off the fast path; true if it was refused. */
  guardedStore(A: number, size: 1 | 2 | 4, value: number): boolean;
}

/** The code array, the handlers and what regions know of their callers (contract/slots.ts, jsCall). */
export interface CodeArrays {
  readonly C: Int32Array;
  readonly H: readonly ((p: number) => number)[];
  readonly J: Int32Array;
}

export function hostNames(cpu: Cpu, { C, H, J }: CodeArrays, callouts: Readonly<Record<CalloutName, Callout>>, returns: Returns): HostNames {
  const { memory } = cpu;
  const { physical } = memory;
  return {
    ...Object.fromEntries(Object.entries(callouts).map(([name, f]) => [`v_${name}`, f])),
    ...vectorHelpers(cpu),
    cpu,
    mulhu,
    mulhs,
    divu,
    divs,
    R: cpu.R,
    F: cpu.F,
    S: cpu.simd.S,
    X: cpu.exitCounts,
    C,
    H,
    J,
    M8: physical.i8,
    M16: physical.i16,
    M32: physical.i32,
    M64: cpu.simd.ram64,
    MS: new Float32Array(physical.buffer, physical.base, physical.bytes / 4),
    TR: memory.TR,
    TW: memory.TW,
    TX: memory.TX,
    ld1: memory.ld1,
    ld2: memory.ld2,
    ld4: memory.ld4,
    ldw1: memory.ldw1,
    ldw2: memory.ldw2,
    ldw4: memory.ldw4,
    st1: memory.st1,
    st2: memory.st2,
    st4: memory.st4,
    checkSegment: (s: number, offset: number, size: number, isWrite: number) => checkSegment(cpu, s, offset, size, isWrite !== 0),
    jump: (eip: number) => returns.jump(eip),
    jumpSegmented: (eip: number) => returns.jumpSegmented(eip),
    dispatch: () => returns.dispatch(),
    follow: (link: number) => returns.follow(link),
    followTo: (eip: number) => returns.followTo(eip),
    returnTo: (eip: number) => returns.returnTo(eip),
    callee: (link: number) => returns.callee(link),
    calleeAt: (eip: number) => returns.calleeAt(eip),
    sg1: (A: number, value: number) => returns.guardedStore(A, 1, value),
    sg2: (A: number, value: number) => returns.guardedStore(A, 2, value),
    sg4: (A: number, value: number) => returns.guardedStore(A, 4, value),
    guestFault: (e: unknown) => {
      if (e !== cpu.fault) throw e;
    },
    moreTime: (used: number) => returns.moreTime(used),
    faulted: () => returns.faulted(),
  };
}
