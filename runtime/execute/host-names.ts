/**
 * What generated code may name: the contract's callouts as v_<name>, state, memory and its slow paths, and the ways back into the dispatcher. A guest exception is thrown
 * by these, and noted by what WebAssembly calls instead where exceptions are common.
 */
import type { CalloutName } from "../../translator/contract/callouts.ts";
import { calloutImplementations } from "../callouts/index.ts";
import { notingImplementations as noting } from "../callouts/integer.ts";
import { vectorHelpers } from "../callouts/simd/host-names.ts";
import { vectorOperations } from "../callouts/simd/vectors.ts";
import type { HostNames } from "../code/compile.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { divs, divu } from "../cpu/divide.ts";
import { mulhs, mulhu } from "../cpu/multiply.ts";
import { checkSegment, tryCheckSegment } from "../cpu/segments.ts";
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
  /** A region has left the instruction at R[eip] to tier 0. */
  gaveUp(): number;
  /** A region has executed `used` instructions and its slice is over: instructions it may go on for, or a negative number if it must leave. */
  moreTime(used: number): number;
  /** A region's store off the fast path; 1 if it was refused. Notes a guest exception (`Cpu.note`). */
  guardedStore(A: number, size: 1 | 2 | 4, value: number): 0 | 1;
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
  const raising = (refused: 0 | 1): boolean => {
    if (cpu.noted[1] !== 0) cpu.raiseNoted();
    return refused !== 0;
  };
  return {
    ...Object.fromEntries(Object.entries(callouts).map(([name, f]) => [`v_${name}`, f])),
    ...vectorHelpers(cpu),
    ...vectorOperations(cpu.R, new Uint8Array(physical.buffer, physical.base, physical.bytes)),
    cpu,
    mulhu,
    mulhs,
    divu,
    divs,
    R: cpu.R,
    F: cpu.F,
    S: cpu.simd.S,
    X: cpu.exitCounts,
    EV: cpu.attention,
    K: cpu.x87Doubles,
    AT: cpu.aesTable,
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
    // Regions in JavaScript find no others: each would be a call within the one before. They have no sites either; a tree that WebAssembly refused finds these empty, too.
    RJ: new Int32Array(0),
    RG: new Int32Array(0),
    SW: memory.sites.SW,
    isOnSite: () => 0,
    readSite: () => -1,
    writeSite: () => -1,
    findPlace: () => -1,
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
    sg1: (A: number, value: number) => raising(returns.guardedStore(A, 1, value)),
    sg2: (A: number, value: number) => raising(returns.guardedStore(A, 2, value)),
    sg4: (A: number, value: number) => raising(returns.guardedStore(A, 4, value)),
    guestFault: (e: unknown) => {
      if (e !== cpu.fault) throw e;
    },
    moreTime: (used: number) => returns.moreTime(used),
    faulted: () => returns.faulted(),
    gaveUp: () => returns.gaveUp(),
  };
}

/** Functions for WebAssembly alone, by the same names: they note a guest exception (`Cpu.note`) instead of throwing it. */
export function notingNames(cpu: Cpu, callouts: Readonly<Record<CalloutName, Callout>>, returns: Pick<Returns, "guardedStore">): HostNames {
  const { memory } = cpu;
  const plain: HostNames = {
    v_raiseException: (exception: number) => noting.raiseException(cpu, exception),
    v_divide: (size: number, divisor: number) => noting.divide(cpu, size, divisor),
    v_divideSigned: (size: number, divisor: number) => noting.divideSigned(cpu, size, divisor),
    v_checkDivide: (high: number, low: number, divisor: number) => noting.checkDivide(cpu, high, low, divisor),
    v_checkDivideSigned: (high: number, low: number, divisor: number) => noting.checkDivideSigned(cpu, high, low, divisor),
    v_movs: (size: number, addressSize: number, source: number, repeat: number) => noting.movs(cpu, size, addressSize, source, repeat),
    v_stos: (size: number, addressSize: number, repeat: number) => noting.stos(cpu, size, addressSize, repeat),
    v_probeWrite: (linear: number, size: number) => noting.probeWrite(cpu, linear, size),
  };
  return {
    ...(callouts === calloutImplementations ? plain : {}),
    ld1: memory.tryLd1,
    ld2: memory.tryLd2,
    ld4: memory.tryLd4,
    ldw1: memory.tryLdw1,
    ldw2: memory.tryLdw2,
    ldw4: memory.tryLdw4,
    st1: memory.trySt1,
    st2: memory.trySt2,
    st4: memory.trySt4,
    sg1: (A: number, value: number) => returns.guardedStore(A, 1, value),
    sg2: (A: number, value: number) => returns.guardedStore(A, 2, value),
    sg4: (A: number, value: number) => returns.guardedStore(A, 4, value),
    findPlace: (first: number, bytes: number, A: number, kind: number) => memory.findPlace(first, bytes, A, kind),
    checkSegment: (s: number, offset: number, size: number, isWrite: number) => tryCheckSegment(cpu, s, offset, size, isWrite !== 0),
  };
}
