/** docs/SENSITIVE.md, made from the rows of translator/lift/sensitive.ts. */
import { renderSensitiveTable, sensitiveRows } from "../../translator/lift/sensitive.ts";

export function sensitiveDocument(): string {
  const count = (traps: "always" | "conditional" | "never"): number => sensitiveRows.filter((row) => row.traps === traps).length;
  return `# Sensitive instructions

This page is generated from \`translator/lift/sensitive.ts\`; \`npx vitest run test/inspector -u\` writes it anew.

An instruction is *sensitive* when it reads or changes the state of the machine rather than of the program: a virtual machine monitor must not let a guest
execute it as it is. Popek and Goldberg's criterion (1974) asks that every sensitive instruction be privileged, that is, that it trap in user mode; then a
monitor can run the guest's system deprivileged and act on the traps. On x86 ${count("never")} of the ${sensitiveRows.length} instructions below never trap and ${count("conditional")} only sometimes, as Robin and
Irvine showed for the Pentium (2000): they silently do something else, or show what they should hide. So xlat86 does not wait for traps. It scans every
block of guest code before it runs and patches each sensitive instruction into a call of the monitor, its *callout*, whatever ring the guest is in.

Each execution counts as a VM exit, by row and ring: \`--stats\` prints the counts, together with those of external interrupts and of exceptions by vector.
\`xlat86 dump\` marks the instructions in its listing, and \`--debug callout\` writes a line for every call.
Hot code does CLI, STI, PUSHF and POPF in line where nothing but IF changes and no interrupt waits (\`translator/javascript/shortcuts.ts\`); they count all the same, and are called where every call is to be written.
Outside protected mode a segment register holds a sixteenth of its base and no privilege: loading and reading those (but for MOV and POP to SS, which hold interrupts off)
and far jumps, calls and returns are translated in line there, and not counted.

"Traps at CPL 3" says what a processor does with the instruction at CPL 3 and IOPL 0.

${renderSensitiveTable()}`;
}
