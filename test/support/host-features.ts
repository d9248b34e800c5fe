/**
 * What the CPU under the tests has of what is not on every one: where it lacks something, a test that asks the CPU says so and leaves that out, and fails in CI. Not for SHA, which many
 * servers' CPUs have not: hardware's answers that are committed (test/vectors) judge it there.
 */
import { readFileSync } from "node:fs";
import { CpuidFeature, type Instruction } from "iced-x86";

/** Linux's names. */
const flags: readonly (readonly [CpuidFeature, string])[] = [
  [CpuidFeature.SSE3, "pni"],
  [CpuidFeature.SSSE3, "ssse3"],
  [CpuidFeature.SSE4_1, "sse4_1"],
  [CpuidFeature.SSE4_2, "sse4_2"],
  [CpuidFeature.POPCNT, "popcnt"],
  [CpuidFeature.MOVBE, "movbe"],
  [CpuidFeature.AES, "aes"],
  [CpuidFeature.SHA, "sha_ni"],
];

/** Whether an instruction is one that this machine's CPU lacks. Throws in CI when there are such. @param what is left untested of them */
export function lackedHere(what: string): (iced: Instruction) => boolean {
  const present = new Set(/^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1].split(" "));
  const lacking = flags.filter(([, flag]) => !present.has(flag));
  if (lacking.length > 0) {
    const message = `NOT TESTED: ${what}: this machine's CPU lacks ${lacking.map(([, flag]) => flag).join(", ")}`;
    if (process.env.CI === "true" && lacking.some(([feature]) => feature !== CpuidFeature.SHA)) throw new Error(message);
    console.warn(message);
  }
  return (iced) => [...iced.cpuidFeatures()].some((feature) => lacking.some(([lacked]) => lacked === feature));
}
