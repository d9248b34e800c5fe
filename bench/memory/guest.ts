// The guest whose host's memory is watched: Debian's kernel and busybox in a shell loop without end. Each round starts dozens of processes, sorts, compresses, hashes
// and edits text, and deletes all it made; the amounts and names differ from round to round.

import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type ArchiveEntry, writeCpioArchive } from "../../src/guest/cpio.ts";
import { defaultGuestCache, fetchLinuxGuest, LINUX_COMMAND_LINE } from "../../src/guest/debian.ts";
import { initramfsEntries } from "../../src/guest/initramfs.ts";
import { progressBar } from "../../src/guest/progress.ts";
import type { Guest } from "../peers/peer.ts";

/** Printed before the number of each round that is over. */
export const ROUND_TEXT = "ROUND ";

const INIT_SCRIPT = `#!/bin/busybox sh
export PATH=/bin HOME=/root
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o size=24m tmp /tmp
cd /tmp
n=0
while true; do
  n=$((n + 1))
  dd if=/bin/busybox of=part bs=16k count=$((8 + n % 16)) skip=$((n % 40)) 2>/dev/null
  gzip -c part > part.gz && gunzip -c part.gz | cmp - part || echo "gzip: wrong"
  sha256sum part | cut -c1-8 > sum
  seq $n 7 $((n + 7000)) | sort -r | awk '{ s += $1 * NR % 97 } END { print s }' > sorted
  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do /bin/true; done
  mkdir -p tree/$n && tar cf tree/$n/a.tar part sum && tar tf tree/$n/a.tar > list
  strings part | grep -c e > words; sed 's/1/one/g' sorted | tr a-z A-Z > upper
  find /proc/sys/kernel -name 'p*' | xargs -n 4 echo > names
  i=0; while [ $i -lt 300 ]; do i=$((i + 1)); x="$i$x"; x=$(( $i * 3 )); done
  rm -rf tree part part.gz
  echo "${ROUND_TEXT}$n"
done
`;

/** Fetches the kernel and busybox if the cache does not hold them. Errors: `GuestFetchError`. */
export async function memoryGuest(): Promise<Guest> {
  const linux = await fetchLinuxGuest({ onProgress: progressBar(process.stderr) });
  const busybox = await readFile(join(dirname(linux.kernel), "busybox"));
  const init: ArchiveEntry = { kind: "file", path: "init", data: new TextEncoder().encode(INIT_SCRIPT), permissions: 0o755 };
  const entries = initramfsEntries(busybox).map((entry) => (entry.path === "init" ? init : entry));
  const initrd = join(defaultGuestCache(), "memory-initrd.gz");
  await writeFile(initrd, gzipSync(writeCpioArchive(entries)));
  return { boot: "linux", kernel: linux.kernel, initrd, commandLine: `${LINUX_COMMAND_LINE} quiet`, memoryMiB: 128, lastText: "never printed" };
}
