// Outside judges and fetched guests may be missing on a machine. Then a test says so loudly and skips; where CI=true it fails, because there the judge is
// part of the promise. Tests that take minutes are for `npm run test:guests` alone, and are named where they are left out.

import { execFileSync } from "node:child_process";

export type Availability = { available: true } | { available: false; reason: string };

/** Whether a host program runs at all. */
export function hostProgram(name: string, install: string): Availability {
  try {
    execFileSync(name, ["--version"], { stdio: "ignore" });
    return { available: true };
  } catch {
    return { available: false, reason: `${name} is not installed (Debian: ${install})` };
  }
}

/** Call first in a test: true when the test must stop here, after having said why. Fails instead when CI=true. */
export function mustSkip(what: string, state: Availability): boolean {
  if (state.available) return false;
  const message = `NOT TESTED: ${what}: ${state.reason}`;
  if (process.env.CI === "true" || process.env.CI === "1") throw new Error(message);
  console.warn(`\n*** ${message} ***\n`);
  return true;
}

/** Whether the tests are wanted that take minutes: `npm run test:guests`. */
export const isWhole = process.env.XLAT86_GUESTS === "all";

/** For a test file's head: says loudly what of it is not run, and why. */
export function sayWhatIsLeftOut(what: string): void {
  if (isWhole) return;
  console.warn(`\n*** NOT RUN: ${what}: minutes of booting each; npm run test:guests (XLAT86_GUESTS=all) runs them ***\n`);
}

/** How far a test of minutes has come. */
export function progress(text: string): void {
  if (isWhole) console.info(`${new Date().toISOString().slice(11, 19)} ${text}`);
}
