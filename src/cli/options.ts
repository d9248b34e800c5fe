/**
 * The command line as data: every command and every option is a row, from which the parser, the help texts and the "did you mean"
 * are made. QEMU's one-dash spellings are aliases in the same rows.
 */

import { debugCategories } from "../machine/options.ts";

export interface OptionRow {
  readonly name: string;
  /** Where the help puts it. */
  readonly group: OptionGroup;
  /** The commands whose option this row is, when a name means different things; absent: all that take it. */
  readonly of?: readonly string[];
  /** Other spellings, dashes included. */
  readonly aliases?: readonly string[];
  /** The value's name in the help; absent: a switch. */
  readonly value?: string;
  /** A switch that may carry a value after "=" only (--stats, --stats=json). */
  readonly optionalValue?: readonly string[];
  readonly choices?: readonly string[];
  readonly many?: true;
  /** No text at all is a value, too. */
  readonly mayBeEmpty?: true;
  readonly help: string;
}

export const optionGroups = {
  kernel: "A kernel, booted directly",
  drives: "Drives and the BIOS that boots from them",
  console: "Screen, keyboard and serial line",
  machine: "The machine",
  look: "What to look at",
  observe: "Watching it",
} as const;
export type OptionGroup = keyof typeof optionGroups;

export const optionRows = [
  { name: "kernel", group: "kernel", aliases: ["-kernel"], value: "FILE", help: "Linux bzImage or Multiboot 1 kernel (told apart by content)" },
  { name: "initrd", group: "kernel", aliases: ["-initrd"], value: "FILE", help: "initial RAM disk (for a Multiboot kernel: its first module)" },
  { name: "append", group: "kernel", aliases: ["-append"], value: "STRING", mayBeEmpty: true, help: "kernel command line" },
  {
    name: "module",
    group: "kernel",
    value: "FILE",
    many: true,
    help: 'Multiboot module; more than one may be given; "FILE ARGUMENTS" passes the kernel a string',
  },
  {
    name: "hda",
    group: "drives",
    aliases: ["-hda"],
    value: "FILE",
    help: "disk image, raw or qcow2, as the first IDE drive; also FILE,readonly FILE,snapshot FILE,format=raw and https://ADDRESS",
  },
  { name: "hdb", group: "drives", aliases: ["-hdb"], value: "FILE", help: "the second IDE drive" },
  { name: "hdc", group: "drives", aliases: ["-hdc"], value: "FILE", help: "the third, where --cdrom is" },
  { name: "hdd", group: "drives", aliases: ["-hdd"], value: "FILE", help: "the fourth" },
  { name: "cdrom", group: "drives", aliases: ["-cdrom"], value: "FILE", mayBeEmpty: true, help: "ISO image in a CD drive; '' for an empty drive" },
  {
    name: "fda",
    group: "drives",
    aliases: ["-fda"],
    value: "FILE",
    mayBeEmpty: true,
    help: "floppy image, 360K to 2.88M, in drive A; '' for an empty drive",
  },
  { name: "fdb", group: "drives", aliases: ["-fdb"], value: "FILE", mayBeEmpty: true, help: "the same in drive B" },
  { name: "virtio", group: "drives", value: "FILE", many: true, help: "disk image as a virtio drive; more than one may be given" },
  {
    name: "drive",
    group: "drives",
    aliases: ["-drive"],
    value: "file=FILE,...",
    many: true,
    help: "any of these, as QEMU writes it: if=ide|virtio|floppy,index=N,media=cdrom,format=raw,readonly=on,snapshot=on",
  },
  { name: "fresh", group: "drives", help: "debian: forget what was changed on the kept disk, and begin with a new one" },
  { name: "bus", group: "drives", value: "BUS", choices: ["ide", "virtio"], help: "debian: how the disk is connected (default ide)" },
  { name: "snapshot", group: "drives", aliases: ["-snapshot"], help: "keep what the guest writes in memory; the images stay as they are" },
  {
    name: "boot",
    group: "drives",
    aliases: ["-boot"],
    value: "ORDER",
    help: "what to boot from: c disk, d CD, a floppy, n network (default cda), or order=dc,menu=on,splash-time=MS",
  },
  { name: "bios", group: "drives", aliases: ["-bios"], value: "FILE", help: "the BIOS (default: SeaBIOS from Debian's package, fetched once)" },
  { name: "vga-bios", group: "drives", value: "FILE", help: "the graphics adapter's BIOS (default: the one that goes with SeaBIOS)" },
  {
    name: "display",
    group: "console",
    aliases: ["-display"],
    value: "KIND",
    choices: ["text", "web", "none"],
    help: "text: the text screen in this terminal; web: on a page in the browser, whose address is printed (default: text for drives at a terminal)",
  },
  { name: "web-port", group: "console", value: "N", help: "where --display web listens (default: a port that is free)" },
  { name: "web-host", group: "console", value: "HOST", help: "address it listens at (default 127.0.0.1: this machine only; 0.0.0.0: all)" },
  { name: "nographic", group: "console", aliases: ["-nographic"], help: "no screen, serial port 0 at the terminal" },
  {
    name: "serial",
    group: "console",
    aliases: ["-serial"],
    value: "stdio|none|file:PATH",
    help: "where serial port 0 goes (default stdio; none where the terminal shows the screen)",
  },
  {
    name: "type",
    of: ["run"],
    group: "console",
    value: "TEXT",
    many: true,
    help: "type this; \\n is Enter; {F12}, {Esc}, {Ctrl-Alt-Delete} are keys",
  },
  {
    name: "after",
    of: ["run"],
    group: "console",
    value: "TEXT",
    many: true,
    help: "... once this (or /RegExp/) is on the screen; pairs of --type and --after follow one another",
  },
  { name: "screenshot", group: "console", value: "FILE.png", help: "write a picture of the screen at exit, or as --at says" },
  { name: "screen-text", group: "console", value: "FILE", help: "the same with the text of a text screen; - is stdout" },
  { name: "at", of: ["run"], group: "console", value: "SECONDS", help: "when to write --screenshot and --screen-text; the guest goes on" },
  { name: "memory", group: "machine", aliases: ["-m"], value: "SIZE", help: "guest memory, as 64M or 1G; a bare number is MiB (default 256M)" },
  {
    name: "engine",
    group: "machine",
    value: "ENGINE",
    choices: ["translate", "interpret"],
    help: "translate hot code, or stay in tier 0 (default translate)",
  },
  {
    name: "clock",
    group: "machine",
    value: "CLOCK",
    choices: ["host", "virtual"],
    help: "guest time: the host's, or counted in instructions (default host)",
  },
  {
    name: "x87",
    group: "machine",
    value: "WHAT",
    choices: ["exact", "double"],
    help: "x87 arithmetic: exact, as hardware; double: in IEEE doubles, faster, but results DIFFER FROM HARDWARE in the last bits (default exact)",
  },
  {
    name: "cpuid-level",
    group: "machine",
    value: "N",
    help: "CPUID's last basic leaf, 1 to 22: old systems that cannot live with more than they know, as Windows NT 4, want 2 (default 22)",
  },
  {
    name: "opt",
    group: "machine",
    value: "LIST",
    help: "optimisations: -NAME[,-NAME] does without, none,+NAME with these alone; help lists them (default all)",
  },
  { name: "against", group: "machine", value: "LIST", help: "what to compare --opt with, written the same way (default none: tier 0 alone)" },
  { name: "no-reboot", group: "machine", aliases: ["-no-reboot"], help: "end when the guest resets (a kernel booted directly always does)" },
  { name: "timeout", group: "machine", value: "SECONDS", help: "stop after this much host time, with exit code 124" },
  {
    name: "symbols",
    group: "observe",
    value: "FILE",
    many: true,
    help: "names of guest code: an ELF file (vmlinux), System.map or kallsyms; an ELF kernel's own are known",
  },
  { name: "profile", group: "observe", value: "FILE", help: "write a profile of the guest (.cpuprofile) that opens in Chrome's DevTools" },
  { name: "stats", group: "observe", optionalValue: ["json"], help: "print statistics at exit on stderr, as a table or as JSON" },
  {
    name: "debug",
    group: "observe",
    aliases: ["-d"],
    value: "LIST",
    help: `log ${debugCategories.join(",")} (any of them, comma-separated)`,
  },
  { name: "debug-file", group: "observe", aliases: ["-D"], value: "PATH", help: "write the debug log here instead of stderr" },
  {
    name: "at",
    of: ["dump"],
    group: "look",
    value: "ADDRESS",
    help: "show the block at this linear address (physical, where the guest has mapped nothing)",
  },
  {
    name: "hot",
    group: "look",
    value: "N",
    help: "run the kernel (until it ends, or for --after or --timeout, default 10 seconds), then show the N hottest blocks",
  },
  {
    name: "after",
    of: ["dump", "bisect"],
    group: "look",
    value: "SECONDS|COUNTi",
    help: "let the kernel run this long, or this many guest instructions, before looking",
  },
] as const satisfies readonly OptionRow[];

/** What people bring along from QEMU's command lines, and why there is nothing of the kind. */
export const notFromQemu: Readonly<Record<string, string>> = {
  ...{ smp: "the machine has one CPU", cpu: "there is one kind of CPU", machine: "there is one kind of machine", M: "there is one kind of machine" },
  ...{ accel: "guest code is always translated", "enable-kvm": "guest code is always translated", vga: "there is one graphics adapter" },
  ...{ net: "there is no network adapter", nic: "there is no network adapter", netdev: "there is no network adapter" },
  ...{ device: "the devices are those of the help", usb: "there is no USB", audiodev: "there is no sound", soundhw: "there is no sound" },
  ...{
    nodefaults: "there is nothing but what you name",
    monitor: "Ctrl-A C at the terminal is what there is of a monitor",
    s: "there is no gdb server",
    S: "the guest starts at once",
  },
};

export type OptionName = (typeof optionRows)[number]["name"];

export interface CommandRow {
  readonly name: string;
  /** Words after the command's name. */
  readonly operands?: string;
  readonly options: readonly OptionName[];
  readonly summary: string;
  readonly detail: string;
}

const machineOptions = [
  "memory",
  "serial",
  "engine",
  "clock",
  "x87",
  "cpuid-level",
  "opt",
  "stats",
  "profile",
  "symbols",
  "timeout",
  "debug",
  "debug-file",
] as const;
const kernelOptions = ["kernel", "initrd", "append", "module"] as const;
/** Options that name a drive. */
export const driveOptions = ["hda", "hdb", "hdc", "hdd", "cdrom", "fda", "fdb", "virtio", "drive"] as const;
const pcOptions = [
  ...[...driveOptions, "snapshot", "boot", "bios", "vga-bios", "no-reboot"],
  ...["display", "web-port", "web-host", "nographic", "type", "after", "screenshot", "screen-text", "at"],
] as const;

export const commandRows = [
  {
    name: "run",
    options: [...kernelOptions, ...pcOptions, ...machineOptions],
    summary: "boot a disk image, a CD, a floppy, or a kernel of your own",
    detail: `Boots a PC from its drives through a BIOS, or a Linux bzImage or Multiboot 1 kernel directly. With a drive, the terminal shows the
PC's text screen; with a kernel, it is serial port 0. Ctrl-A X leaves, Ctrl-A H lists the other keys. What the guest writes goes into
the images, unless --snapshot keeps it in memory.

  xlat86 run --hda disk.qcow2 --snapshot
  xlat86 run --cdrom install.iso --hda new.img --boot d
  xlat86 run --kernel bzImage --initrd initrd.gz --append "console=ttyS0"
  xlat86 run --hda disk.img --type "root\\n" --after "login:" --screenshot after.png --timeout 60`,
  },
  {
    name: "demo",
    options: machineOptions,
    summary: "run the embedded guest (the default command)",
    detail: "Runs the small kernel that comes with xlat86 and prints a summary. With a terminal it ends in a prompt; type help there.",
  },
  {
    name: "guest",
    operands: "linux|debian",
    options: ["append", "fresh", "bus", "snapshot", ...machineOptions],
    summary: "fetch Debian's i386 kernel with busybox, or a whole Debian on a disk, and boot it to a shell",
    detail: `linux: fetches Debian 12's i386 kernel and busybox with apt-get download (no root needed), keeps them, makes an initramfs, and boots
it to a shell.
debian: fetches about 130 packages, makes a disk of them with mke2fs (no root needed), and boots it to a login on the serial line. The disk
is kept with what you change on it; poweroff ends. --append adds to the kernel command line.
They are kept in $XLAT86_CACHE; without it in ~/.cache/xlat86, and in .cache of a checkout of xlat86.

  xlat86 guest linux
  xlat86 guest debian --bus virtio
  xlat86 guest debian --fresh`,
  },
  {
    name: "dump",
    options: [...kernelOptions, "memory", "engine", "clock", "x87", "opt", "timeout", "at", "hot", "after"],
    summary: "show what the translator makes of a block",
    detail:
      "Per block: address, mode, bytes, disassembly with the sensitive instructions marked, micro-ops before and after each pass, tier 0's handlers, and\nthe region's JavaScript. The guest runs on tier 0, where every block is counted, unless --engine translate says otherwise.",
  },
  {
    name: "bisect",
    options: [...kernelOptions, "memory", "x87", "opt", "against", "after", "timeout", "symbols"],
    summary: "find the block and the optimisation by which two configurations part",
    detail:
      "Runs the kernel twice side by side, with --opt and with --against, until registers, devices or memory differ, and shows the block that did it, what\ndiffers, and without which optimisations it does not. Guest time is virtual, input is none. --after COUNTi stops after so many instructions.\nExit code: 0 if there is no difference, 1 if there is one.",
  },
] as const satisfies readonly CommandRow[];

export type CommandName = (typeof commandRows)[number]["name"];

/** Exit codes other than a value the guest chose itself. */
export const exitCode = { success: 0, different: 1, usage: 2, tripleFault: 3, timeout: 124, internal: 70 } as const;
