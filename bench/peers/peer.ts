// A peer is something that runs the bench's guests: this project, another emulator, or the bare processor. It is started as a process of its own, one for
// each run, with a task; it writes what the guest prints to its standard output and lives until it is killed or the guest ends. Nothing else is asked of it:
// the clock is the harness's, which notes when each marker line arrives.

/** What is run: one bench kernel for some passes, or the Linux boot up to the shell. */
export type Task = { kind: "kernel"; name: string; passes: number } | { kind: "linux" };

/** The files a task needs; the Linux guest only when it is part of the run. */
export interface GuestFiles {
  kernels: string;
  linux?: { kernel: string; initrd: string; commandLine: string };
}

export interface Command {
  program: string;
  args: string[];
}

export interface Peer {
  /** The column's name. */
  name: string;
  /** What stands in the way of running it here, in words; null when nothing does. */
  missing(): Promise<string | null>;
  /** Its version, for the report. */
  version(): string;
  /** Whether later passes are faster than the first, so that a warm-up is worth its time. */
  warmsUp: boolean;
  /** Whether it ends by itself with a line of counters (MachineStats). */
  reportsStats: boolean;
  /** The command for a task, or null when it cannot do it (no native Linux boot). */
  command(task: Task, files: GuestFiles): Command | null;
}

/** The kernel command line of a bench task. */
export function kernelCommandLine(task: { name: string; passes: number }): string {
  return `kernel=${task.name} passes=${task.passes}`;
}

/** Guest memory in MiB for a task, the same for every peer. */
export function memoryMiB(task: Task): number {
  return task.kind === "linux" ? 256 : 64;
}
