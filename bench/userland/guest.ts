// The guest of the userland suite: Debian's kernel as `xlat86 guest linux` boots it, and an initial RAM file system of three cpio archives one after the other,
// which the kernel unpacks as one tree: Debian's userland (packages.ts), busybox for /init, and the workloads with their data.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ArchiveEntry, writeCpioArchive } from "../../src/guest/cpio.ts";
import { defaultGuestCache, fetchLinuxGuest, LINUX_COMMAND_LINE } from "../../src/guest/debian.ts";
import { progressBar } from "../../src/guest/progress.ts";
import type { Guest } from "../peers/peer.ts";
import { fetchUserland, replaceFile } from "./packages.ts";
import { benchText, KEY_FILE, newSigningKey, TEXT_FILE, userlandWorkloads, type Workload } from "./workloads.ts";

const MEMORY_MIB = 512;
export const LAST_TEXT = "ALL DONE";

// The kernel hands words of its command line that it does not know to /init as environment variables: `workloads` (names with commas between), `passes` (of each
// workload, one after the other) and `turns` (of all the workloads).
// Fixed hash seeds make Python and Perl do the same every time. Reading /dev/random once waits until the kernel's generator is seeded, so that no workload does.
export const INIT_SCRIPT = `#!/bin/busybox sh
export PATH=/usr/bin:/bin HOME=/root LC_ALL=C PYTHONHASHSEED=0 PERL_HASH_SEED=0
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox dd if=/dev/random of=/dev/null bs=1 count=1 2>/dev/null
echo "BOOTED"
turn=0
while [ $turn -lt \${turns:-1} ]; do
  for name in $(echo $workloads | busybox tr , ' '); do
    cd /bench/$name
    pass=0
    while [ $pass -lt \${passes:-1} ]; do
      echo "BEGIN $name $pass"
      dash script > /tmp/result 2>&1
      last=
      while read -r line; do last=$line; done < /tmp/result
      echo "END $name $pass $last"
      pass=$((pass + 1))
    done
  done
  turn=$((turn + 1))
done
echo "${LAST_TEXT}"
busybox poweroff -f
`;

export interface UserlandGuest {
  workloads: Workload[];
  packages: string[];
  /** The guest that does these workloads, each `passes` times; `inTurns`: all of them once, then all of them again. */
  guest(names: readonly string[], passes: number, inTurns?: boolean): Guest;
}

function benchEntries(workloads: readonly Workload[], busybox: Uint8Array, text: Uint8Array, key: string): ArchiveEntry[] {
  const encoder = new TextEncoder();
  const directories = ["dev", "proc", "sys", "tmp", "root", "bin", "bench", ...workloads.map(({ name }) => `bench/${name}`)];
  return [
    ...directories.map((path): ArchiveEntry => ({ kind: "directory", path })),
    { kind: "file", path: "init", data: encoder.encode(INIT_SCRIPT), permissions: 0o755 },
    { kind: "file", path: "bin/busybox", data: busybox, permissions: 0o755 },
    { kind: "symlink", path: "bin/sh", target: "dash" },
    // The kernel opens /dev/console for /init before /init can mount devtmpfs.
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: `bench/${TEXT_FILE}`, data: text },
    { kind: "file", path: `bench/${KEY_FILE}`, data: encoder.encode(key) },
    ...workloads.flatMap(({ name, script, files }): ArchiveEntry[] => [
      { kind: "file", path: `bench/${name}/script`, data: encoder.encode(`${script}\n`) },
      { kind: "symlink", path: `bench/${name}/${TEXT_FILE}`, target: `../${TEXT_FILE}` },
      { kind: "symlink", path: `bench/${name}/${KEY_FILE}`, target: `../${KEY_FILE}` },
      ...Object.entries(files ?? {}).map(
        ([file, content]): ArchiveEntry => ({
          kind: "file",
          path: `bench/${name}/${file}`,
          data: encoder.encode(content),
        }),
      ),
    ]),
  ];
}

/** Fetches what is not in the cache and writes the initramfs. Errors: `GuestFetchError`. */
export async function userlandGuest(): Promise<UserlandGuest> {
  const onProgress = progressBar(process.stderr);
  const cacheDir = defaultGuestCache();
  const linux = await fetchLinuxGuest({ onProgress });
  const userland = await fetchUserland({ onProgress });
  const text = benchText();
  const key = await signingKey(join(cacheDir, "userland-key.pem"));
  const workloads = userlandWorkloads(text, key);
  const busybox = await readFile(join(dirname(linux.kernel), "busybox"));
  const bench = writeCpioArchive(benchEntries(workloads, busybox, text, key));
  // Uncompressed: unpacking is not what is measured, and takes a translator as long as several workloads.
  const whole = Buffer.concat([await readFile(userland.archive), bench]);
  const initrd = join(cacheDir, "userland-initrd.cpio");
  await mkdir(cacheDir, { recursive: true });
  if (!existsSync(initrd) || sha256(await readFile(initrd)) !== sha256(whole)) await replaceFile(initrd, whole);
  return {
    workloads,
    packages: userland.packages,
    guest: (names, passes, inTurns = false) => ({
      boot: "linux",
      kernel: linux.kernel,
      initrd,
      commandLine: `${LINUX_COMMAND_LINE} quiet workloads=${names.join(",")} ${inTurns ? "turns" : "passes"}=${passes}`,
      memoryMiB: MEMORY_MIB,
      lastText: LAST_TEXT,
    }),
  };
}

async function signingKey(file: string): Promise<string> {
  if (existsSync(file)) return readFile(file, "utf8");
  const key = newSigningKey();
  await replaceFile(file, Buffer.from(key));
  return key;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
