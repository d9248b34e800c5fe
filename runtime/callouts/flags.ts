/** Callouts of PUSHF, POPF, CLI and STI. */
import { clearInterruptFlag, popFlags, readFlags, restoreFlags, setInterruptFlag, systemFlags } from "../cpu/eflags.ts";

export const flagImplementations = { systemFlags, restoreFlags, readFlags, popFlags, clearInterruptFlag, setInterruptFlag };
