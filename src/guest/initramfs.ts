// The initial RAM file system that `xlat86 guest linux` boots: busybox, a link for each of its applets, three device nodes and an /init of a few lines.

import { gzipSync } from "node:zlib";
import { type ArchiveEntry, writeCpioArchive } from "./cpio.ts";

/** The line /init prints when the shell is about to start; tests and the bench wait for it. */
export const LINUX_READY_LINE = "Linux is ready.";

// setsid + cttyhack give the shell a controlling terminal (the serial line behind /dev/console), so that Ctrl-C and job control work. Leaving the shell
// powers the machine off: -f asks the kernel directly, because there is no init daemon to ask.
const INIT_SCRIPT = `#!/bin/busybox sh
export PATH=/bin HOME=/root PS1='\\w # ' TERM=\${TERM:-linux}
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
cd /root
echo
echo "$(uname -srm), busybox shell on the serial line; leave with 'exit'."
echo "${LINUX_READY_LINE}"
setsid cttyhack sh
echo "The shell has ended: power-off."
poweroff -f
`;

const APPLET_TABLE_START = "[\0[[\0";

/**
 * The applet names inside a busybox binary, read from its own table (NUL-separated names in order, ended by an empty one): the binary is a guest's, so it
 * cannot be asked by running it on every host.
 */
export function busyboxApplets(busybox: Uint8Array): string[] {
  const text = Buffer.from(busybox.buffer, busybox.byteOffset, busybox.byteLength).toString("latin1");
  const start = text.indexOf(APPLET_TABLE_START);
  if (start < 0) throw new Error("busybox: no applet table in the binary (expected its names to begin with '[' and '[[')");
  const end = text.indexOf("\0\0", start);
  return text.slice(start, end).split("\0");
}

/** What the file system holds, parents first. */
export function initramfsEntries(busybox: Uint8Array): ArchiveEntry[] {
  const entries: ArchiveEntry[] = ["bin", "dev", "proc", "sys", "root", "tmp", "etc"].map((path) => ({ kind: "directory", path }));
  entries.push(
    { kind: "file", path: "init", data: new TextEncoder().encode(INIT_SCRIPT), permissions: 0o755 },
    { kind: "file", path: "bin/busybox", data: busybox, permissions: 0o755 },
    // The kernel opens /dev/console for /init before /init can mount devtmpfs.
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    { kind: "character-device", path: "dev/null", major: 1, minor: 3, permissions: 0o666 },
    { kind: "character-device", path: "dev/ttyS0", major: 4, minor: 64 },
  );
  for (const applet of busyboxApplets(busybox)) {
    if (applet !== "busybox") entries.push({ kind: "symlink", path: `bin/${applet}`, target: "busybox" });
  }
  return entries;
}

/** The gzip-compressed archive to hand to the kernel. */
export function buildInitramfs(busybox: Uint8Array): Uint8Array {
  return gzipSync(writeCpioArchive(initramfsEntries(busybox)), { level: 9 });
}
