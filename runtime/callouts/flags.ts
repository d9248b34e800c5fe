/** Callouts of PUSHF, POPF, CLI and STI. */
import { clearInterruptFlag, popFlags, readFlags, setInterruptFlag } from "../cpu/eflags.ts";

export const flagImplementations = { readFlags, popFlags, clearInterruptFlag, setInterruptFlag };
