// Debian's 686-pae kernel and userland on an ext4 disk: the time to root's prompt, and the disk's speed as the guest sees it, on every peer and over both buses. Clock: the
// harness's, when the guest's lines arrive.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DebianBus, fetchDebianDisk } from "../../src/guest/debian-disk.ts";
import { progressBar } from "../../src/guest/progress.ts";
import { measure, passesOf, type Run } from "../measure.ts";
import { builtCommand } from "../peers/package.ts";
import { firmwareDirectory } from "../peers/peers.ts";
import { ratioTable, type ValueRow } from "../report.ts";
import { median } from "../statistics.ts";
import type { SuiteContext, SuiteResult } from "../suite.ts";
import { DISK_DONE, type DiskJob } from "./disk-child.ts";
import { bootJob, DISK_PASSES, DISK_WORK, type DiskWork, workJob } from "./disk-guest.ts";

const TIMEOUT_SECONDS = 600;
/** For a child process to end its emulator by itself. */
const GRACE_SECONDS = 5;

const scripts: Readonly<Record<string, string>> = { xlat86: "disk-xlat86.ts", v86: "disk-v86.ts", qemu: "disk-qemu.ts" };
/** v86 has no virtio-blk. */
const buses: readonly (readonly [bus: DebianBus, name: string, peers: readonly string[]])[] = [
  ["ide", "IDE", ["xlat86", "v86", "qemu"]],
  ["virtio", "virtio", ["xlat86", "qemu"]],
];
const works = Object.keys(DISK_WORK) as DiskWork[];

export async function measureDisk({ options, peers, log }: SuiteContext): Promise<SuiteResult> {
  const disk = await fetchDebianDisk({ onProgress: progressBar(process.stderr) });
  const seconds = options.timeoutSeconds ?? TIMEOUT_SECONDS;
  const limits = { seconds, v86Firmware: await firmwareDirectory() };
  const folder = mkdtempSync(join(tmpdir(), "xlat86-disk-bench-"));
  const boots: ValueRow[] = [];
  const speeds: ValueRow[] = [];
  const problems: string[] = [];
  const start = async (script: string, job: DiskJob): Promise<Run> => {
    const command = await builtCommand(fileURLToPath(new URL(script, import.meta.url)), job);
    return measure(command, { lastText: DISK_DONE, reportsStats: false, timeoutSeconds: seconds + GRACE_SECONDS });
  };
  try {
    for (const [bus, busName, able] of buses) {
      const boot: ValueRow = { name: `Debian on ${busName} to root's prompt`, values: {} };
      const rows = works.map((work): ValueRow => ({ name: `${busName}: ${DISK_WORK[work]}`, values: {} }));
      const results = new Map<string, string>();
      for (const { name: peer } of peers) {
        const script = scripts[peer];
        if (script === undefined || !able.includes(peer)) continue;
        const booted = await start(script, bootJob(disk, bus, limits));
        const line = booted.lines.find(({ text }) => text === DISK_DONE);
        log(`guests/disk  ${peer}  ${bus}: boot ${line ? `${line.at.toFixed(1)} s` : booted.failure}`);
        if (line) boot.values[peer] = line.at;
        else problems.push(`guests/disk: ${peer}, ${bus}: boot: ${booted.failure}`);

        const worked = await start(script, workJob(disk, bus, limits, folder));
        if (worked.failure !== null) problems.push(`guests/disk: ${peer}, ${bus}: ${worked.failure}`);
        for (const [n, work] of works.entries()) {
          const passes = passesOf(worked.lines, work);
          if (passes.length !== DISK_PASSES) continue;
          rows[n].values[peer] = median(passes.map((pass) => pass.seconds));
          for (const { result } of passes) {
            const expected = results.get(work) ?? result;
            results.set(work, expected);
            if (result !== expected) problems.push(`guests/disk: ${peer}, ${bus}: ${work}: ${result}, another peer or pass found ${expected}`);
          }
          log(`guests/disk  ${peer}  ${rows[n].name}: ${rows[n].values[peer].toFixed(3)} s`);
        }
      }
      boots.push(boot);
      speeds.push(...rows);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const columns = peers.map(({ name }) => name);
  const bootText = `Debian's disk, from the start of the process to the prompt:\n\n${ratioTable(boots, columns, { unit: "s", digits: 1 })}`;
  const speedText = `The disk's speed in the guest, median of ${DISK_PASSES} passes:\n\n${ratioTable(speeds, columns, { unit: "s", digits: 3 })}`;
  return { text: `${bootText}\n\n${speedText}`, data: { boots, speeds }, problems };
}
