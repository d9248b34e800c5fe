// How long each guest from boot media takes from the start of the process to a text on its screen, on every peer. The peer's process looks at its own screen (QEMU's
// is asked over its monitor) and prints a line when the text is there; the harness notes when that line arrives.

import { fileURLToPath } from "node:url";
import { fetchFirmware } from "../../src/guest/firmware.ts";
import { type BootMedia, fetchBootMedia } from "../../src/guest/media.ts";
import { progressBar } from "../../src/guest/progress.ts";
import { measure } from "../measure.ts";
import { builtCommand } from "../peers/package.ts";
import { firmwareDirectory } from "../peers/peers.ts";
import { ratioTable, type ValueRow } from "../report.ts";
import { median } from "../statistics.ts";
import { type Suite, type SuiteContext, type SuiteResult, withoutPrefix } from "../suite.ts";
import type { ScreenJob } from "./child.ts";
import { measureDisk } from "./disk.ts";
import { MEDIA_GUESTS, type MediaGuest, type MediaGuestName } from "./guests.ts";

const TIMEOUT_SECONDS = 300;
/** For a child process to end its emulator by itself. */
const GRACE_SECONDS = 5;
const LANDMARK = "LANDMARK";
/** The short form leaves the kernels out. */
const QUICK: readonly string[] = ["memtest86", "ipxe"];

/** Debian's disk: its boot and its speed. */
const DISK = "disk";

const names = Object.keys(MEDIA_GUESTS) as MediaGuestName[];
const scripts: Readonly<Record<string, string>> = { xlat86: "run-xlat86.ts", v86: "run-v86.ts", qemu: "run-qemu.ts" };

async function measureAll(wanted: readonly string[], media: BootMedia, context: SuiteContext): Promise<SuiteResult> {
  const { options, peers, log } = context;
  const firmware = await fetchFirmware();
  const v86Firmware = await firmwareDirectory();
  const timeout = options.timeoutSeconds ?? TIMEOUT_SECONDS;
  const seconds: Record<string, Record<string, number[]>> = {};
  const problems: string[] = [];
  for (const name of wanted) {
    const guest: MediaGuest = MEDIA_GUESTS[name as MediaGuestName];
    const { source } = guest.landmark;
    const { boot, memoryMiB } = guest;
    const job: ScreenJob = {
      drives: guest.drives(media),
      boot,
      memoryMiB,
      landmark: source,
      said: LANDMARK,
      seconds: timeout,
      firmware,
      v86Firmware,
    };
    for (let round = 0; round < (options.runs ?? 1); round++) {
      for (const { name: peer } of peers) {
        const script = scripts[peer];
        if (script === undefined) continue;
        const command = await builtCommand(fileURLToPath(new URL(script, import.meta.url)), job);
        const run = await measure(command, { lastText: LANDMARK, reportsStats: false, timeoutSeconds: timeout + GRACE_SECONDS });
        const line = run.lines.find(({ text }) => text.startsWith(LANDMARK));
        log(`guests/${name}  ${peer}  ${line ? `${line.at.toFixed(1)} s` : run.failure}`);
        if (line) ((seconds[name] ??= {})[peer] ??= []).push(line.at);
        else problems.push(`guests/${name}: ${peer}: ${run.failure}`);
      }
    }
  }
  const rows = wanted.map((name): ValueRow => {
    const values = Object.fromEntries(Object.entries(seconds[name] ?? {}).map(([peer, all]) => [peer, median(all)]));
    return { name: MEDIA_GUESTS[name as MediaGuestName].what, values };
  });
  const columns = peers.map(({ name }) => name);
  const text = `From the start of the process to the text on the screen, seconds:\n\n${ratioTable(rows, columns, { unit: "s", digits: 1 })}`;
  return { text, data: seconds, problems };
}

async function measureMedia(wanted: readonly string[], context: SuiteContext): Promise<SuiteResult> {
  let media: BootMedia;
  try {
    media = await fetchBootMedia({ onProgress: progressBar(process.stderr) });
  } catch (error) {
    return { text: "Guests from boot media: not measured.", data: null, problems: [`guests: the media could not be fetched: ${String(error)}`] };
  }
  return measureAll(wanted, media, context);
}

export const guestsSuite: Suite = {
  name: "guests",
  parts: [...names, DISK].map((name) => `guests/${name}`),
  peers: ["xlat86", "v86", "qemu"],
  async run(parts, context) {
    const isAll = parts.length === names.length + 1;
    const all = parts.map(withoutPrefix);
    const wanted = context.options.quick && isAll ? QUICK : all;
    const onMedia = wanted.filter((name) => name !== DISK);
    const results: SuiteResult[] = [];
    if (onMedia.length > 0) results.push(await measureMedia(onMedia, context));
    if (wanted.includes(DISK)) {
      try {
        results.push(await measureDisk(context));
      } catch (error) {
        results.push({ text: "Debian's disk: not measured.", data: null, problems: [`guests/disk: ${String(error)}`] });
      }
    }
    return {
      text: results.map(({ text }) => text).join("\n\n"),
      data: results.map(({ data }) => data),
      problems: results.flatMap(({ problems }) => problems),
    };
  },
};
