/**
 * Callouts: the functions of the runtime that generated code may call, by name. This file is the contract's centre: the lifts
 * name a callout, the code generator binds it, `runtime/callouts` implements it with the signature
 *
 *     (cpu: Cpu, ...args: number[]) => number | void      // int32 arguments and result
 *
 * A callout may raise a guest exception (cpu.raise throws). It must not have changed architectural state by then, so that the
 * instruction can be restarted. While it runs, R[slot.eip] holds the EIP of the *next* instruction (a fault rewinds it).
 */
import { integerCallouts } from "./callouts/integer.ts";
import { simdCallouts } from "./callouts/simd.ts";
import { systemCallouts } from "./callouts/system.ts";
import { x87Callouts } from "./callouts/x87.ts";

export interface CalloutRow {
  /** Number of int32 arguments after `cpu`. */
  readonly args: number;
  /** Returns an int32. */
  readonly returns?: true;
  /** May change EIP, the mode key or the interrupt state: the block ends here and the dispatcher goes on at R[slot.eip]. */
  readonly ends?: true;
  /** Neither reads nor writes general registers or the flag words: a region keeps them in locals across the call. */
  readonly general?: false;
  /** Looks at guest time, or lets a device do so. */
  readonly readsTime?: true;
  /** A check whose outcome cannot change inside a block: once in a block is enough. */
  readonly oncePerBlock?: true;
  /** The check looks at x87 state too: once is enough only until some callout may have changed that. */
  readonly onX87State?: true;
  /** Never raises a guest exception. */
  readonly neverFaults?: true;
  /** Writes no guest memory: no code can have been overwritten. */
  readonly writesMemory?: false;
  /** Numbers of the arguments that name vector operands by slot. */
  readonly slots?: readonly number[];
  /** Reads or writes XMM registers or MXCSR though no argument names them. */
  readonly vectors?: true;
}

export const callouts = { ...integerCallouts, ...systemCallouts, ...x87Callouts, ...simdCallouts } as const;
export type CalloutName = keyof typeof callouts;
