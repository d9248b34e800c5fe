/**
 * VM exits: each time the guest leaves its own code for the VMM. They are counted by reason and ring in one Float64Array a CPU, `X` in generated code:
 * X[exitIndex + CPL]. A reason is a number: a callout's place in the contract, then external interrupts, then one number for each exception vector.
 */
import { type CalloutName, callouts } from "./callouts.ts";

/** Rings a reason is counted at. */
export const ringCount = 4;
/** Vectors of exceptions (the rest of the 256 are interrupts). */
export const exceptionCount = 32;

const calloutNames = Object.keys(callouts) as CalloutName[];

export const exitReason = { externalInterrupt: calloutNames.length, exception: calloutNames.length + 1 } as const;
/** Elements of `X`. */
export const exitCounters = (exitReason.exception + exceptionCount) * ringCount;

const calloutNumbers = Object.freeze(Object.fromEntries(calloutNames.map((name, k) => [name, k]))) as Readonly<Record<CalloutName, number>>;

/** Number of the reason "this callout was made". Only sensitive instructions' callouts are counted. */
export function calloutExit(name: CalloutName): number {
  return calloutNumbers[name];
}
