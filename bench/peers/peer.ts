// A peer is something that runs the bench's guests: this project, another emulator, or the bare processor. It is started as a process of its own, one for
// each run, with a guest; it writes what the guest prints to its standard output and lives until it is killed or the guest ends. Nothing else is asked of
// it: the clock is the harness's, which notes when each marker line arrives.

/** What is run. */
export interface Guest {
  boot: "multiboot" | "linux";
  /** Paths. */
  kernel: string;
  initrd?: string;
  commandLine: string;
  /** Guest memory, the same for every peer. */
  memoryMiB: number;
  /** Once the guest has printed this, nothing more is wanted of it. */
  lastText: string;
  /** It uses the local APIC, which v86 has only beside ACPI. */
  usesApic?: boolean;
  /** The same work as arguments of the Linux program, where there is one. */
  native?: string[];
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
  /** The command for a guest, or null when it cannot do it (no native Linux boot). */
  command(guest: Guest): Command | null;
}
