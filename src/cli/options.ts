/**
 * The command line as data: every command and every option is a row, from which the parser, the help texts and the "did you mean"
 * are made. QEMU's one-dash spellings are aliases in the same rows.
 */

export interface OptionRow {
  readonly name: string;
  /** Other spellings, dashes included. */
  readonly aliases?: readonly string[];
  /** The value's name in the help; absent: a switch. */
  readonly value?: string;
  /** A switch that may carry a value after "=" only (--stats, --stats=json). */
  readonly optionalValue?: readonly string[];
  readonly choices?: readonly string[];
  readonly many?: true;
  readonly help: string;
}

export const optionRows = [
  { name: "kernel", aliases: ["-kernel"], value: "FILE", help: "Linux bzImage or Multiboot 1 kernel (told apart by content)" },
  { name: "initrd", aliases: ["-initrd"], value: "FILE", help: "initial RAM disk (for a Multiboot kernel: its first module)" },
  { name: "append", aliases: ["-append"], value: "STRING", help: "kernel command line" },
  { name: "module", value: "FILE", many: true, help: 'Multiboot module; more than one may be given; "FILE ARGUMENTS" passes the kernel a string' },
  { name: "memory", aliases: ["-m"], value: "SIZE", help: "guest memory, as 64M or 1G; a bare number is MiB (default 256M)" },
  { name: "serial", aliases: ["-serial"], value: "stdio|none|file:PATH", help: "where serial port 0 goes (default stdio)" },
  { name: "engine", value: "ENGINE", choices: ["translate", "interpret"], help: "translate hot code, or stay in tier 0 (default translate)" },
  { name: "clock", value: "CLOCK", choices: ["host", "virtual"], help: "guest time: the host's, or counted in instructions (default host)" },
  { name: "opt", value: "LIST", help: "optimisations: -NAME[,-NAME] does without, none,+NAME with these alone; help lists them (default all)" },
  { name: "against", value: "LIST", help: "what to compare --opt with, written the same way (default none: tier 0 alone)" },
  {
    name: "symbols",
    value: "FILE",
    many: true,
    help: "names of guest code: an ELF file (vmlinux), System.map or kallsyms; an ELF kernel's own are known",
  },
  { name: "profile", value: "FILE", help: "write a profile of the guest (.cpuprofile) that opens in Chrome's DevTools" },
  { name: "stats", optionalValue: ["json"], help: "print statistics at exit on stderr, as a table or as JSON" },
  { name: "timeout", value: "SECONDS", help: "stop after this much host time, with exit code 124" },
  { name: "debug", aliases: ["-d"], value: "LIST", help: "log in_asm,ir,js,exec,int,callout (any of them, comma-separated)" },
  { name: "debug-file", aliases: ["-D"], value: "PATH", help: "write the debug log here instead of stderr" },
  { name: "at", value: "ADDRESS", help: "show the block at this linear address (physical, where the guest has mapped nothing)" },
  {
    name: "hot",
    value: "N",
    help: "run the kernel (until it ends, or for --after or --timeout, default 10 seconds), then show the N hottest blocks",
  },
  { name: "after", value: "SECONDS|COUNTi", help: "let the kernel run this long, or this many guest instructions, before looking" },
] as const satisfies readonly OptionRow[];

export type OptionName = (typeof optionRows)[number]["name"];

export interface CommandRow {
  readonly name: string;
  /** Words after the command's name. */
  readonly operands?: string;
  readonly options: readonly OptionName[];
  readonly summary: string;
  readonly detail: string;
}

const machineOptions = ["memory", "serial", "engine", "clock", "opt", "stats", "profile", "symbols", "timeout", "debug", "debug-file"] as const;
const kernelOptions = ["kernel", "initrd", "append", "module"] as const;

export const commandRows = [
  {
    name: "run",
    options: [...kernelOptions, ...machineOptions],
    summary: "boot a kernel of your own",
    detail: "Boots a Linux bzImage or a Multiboot 1 kernel. Serial port 0 is the terminal; Ctrl-A X leaves, Ctrl-A H lists the other keys.",
  },
  {
    name: "demo",
    options: machineOptions,
    summary: "run the embedded guest (the default command)",
    detail: "Runs the small kernel that comes with xlat86 and prints a summary. With a terminal it ends in a prompt; type help there.",
  },
  {
    name: "guest",
    operands: "linux",
    options: ["append", ...machineOptions],
    summary: "fetch Debian's i386 kernel and busybox, and boot them to a shell",
    detail:
      "Fetches Debian 12's i386 kernel and busybox with apt-get download (no root needed), keeps them in .cache, makes an initramfs, and boots it\nto a shell. --append adds to the kernel command line.",
  },
  {
    name: "dump",
    options: [...kernelOptions, "memory", "engine", "clock", "opt", "timeout", "at", "hot", "after"],
    summary: "show what the translator makes of a block",
    detail:
      "Per block: address, mode, bytes, disassembly with the sensitive instructions marked, micro-ops before and after each pass, tier 0's handlers, and\nthe region's JavaScript. The guest runs on tier 0, where every block is counted, unless --engine translate says otherwise.",
  },
  {
    name: "bisect",
    options: [...kernelOptions, "memory", "opt", "against", "after", "timeout", "symbols"],
    summary: "find the block and the optimisation by which two configurations part",
    detail:
      "Runs the kernel twice side by side, with --opt and with --against, until registers, devices or memory differ, and shows the block that did it, what\ndiffers, and without which optimisations it does not. Guest time is virtual, input is none. --after COUNTi stops after so many instructions.\nExit code: 0 if there is no difference, 1 if there is one.",
  },
] as const satisfies readonly CommandRow[];

export type CommandName = (typeof commandRows)[number]["name"];

/** Exit codes other than a value the guest chose itself. */
export const exitCode = { success: 0, different: 1, usage: 2, tripleFault: 3, timeout: 124, internal: 70 } as const;
