/** Helpers of regions' code on vector registers (translator/javascript/simd): what it does too seldom to have it in line. */
import { slot as slotImported } from "../../../translator/contract/slots.ts";
import type { Cpu } from "../../cpu/cpu.ts";
import { allMasks, flag, roundingMask } from "./control.ts";
import { isOrdinaryDouble, isOrdinarySingle } from "./ranges.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const { mxcsr } = slotImported;
const circumstances = roundingMask | allMasks | flag.precision;
const usual = allMasks | flag.precision;
const largestSingle = (2 - 2 ** -23) * 2 ** 127;

export function vectorHelpers(cpu: Cpu): Readonly<Record<string, (a: number, b: number) => number | void>> {
  const { R, F } = cpu;
  const { S, ram64 } = cpu.simd;
  const { i32 } = cpu.memory.physical;
  const limit = (largest: number): number => {
    const control = R[mxcsr];
    return (control & circumstances) === usual ? largest : (control & roundingMask) === 0 ? 0 : -1;
  };
  return {
    /** The double at a slot if it is zero, normal or infinite, else NaN. */
    readDouble: (n) => (isOrdinaryDouble(F[n >> 1]) ? F[n >> 1] : Number.NaN),
    readSingle: (n) => (isOrdinarySingle(S[n]) ? S[n] : Number.NaN),
    /** The largest number of the format if MXCSR says nearest, all masked and precision recorded; 0 if it says nearest; else -1. */
    doubleLimit: () => limit(Number.MAX_VALUE),
    singleLimit: () => limit(largestSingle),
    /** Eight bytes of RAM at physical address 8 * p to slot n, or back, whatever they are. */
    readRam: (p, n) => {
      if (Number.isNaN(ram64[p])) {
        R[n] = i32[2 * p];
        R[n + 1] = i32[2 * p + 1];
      } else F[n >> 1] = ram64[p];
      return Number.NaN;
    },
    writeRam: (p, n) => {
      i32[2 * p] = R[n];
      i32[2 * p + 1] = R[n + 1];
    },
  };
}
