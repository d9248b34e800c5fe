// Kernels in 16-bit code, in real mode and in 16-bit protected mode (kernels.s).

import { benchTask } from "../kernels/suite.ts";
import type { Guest } from "../peers/peer.ts";
import { costTable, type Row, table } from "../report.ts";
import { type Suite, withoutPrefix } from "../suite.ts";
import { expectedChecksums, REAL_MODE_IMAGE } from "./build.ts";

const expected = expectedChecksums();

/** As many as the other kernels have would take a quarter of an hour: v86 needs up to half a second a pass. */
const MOST_PASSES = 16;

/** The guest of "real/sieve" and its like for a number of passes. */
export function realModeGuest(name: string, passes: number): Guest {
  const commandLine = `kernel=${name} passes=${passes}`;
  return { boot: "multiboot", kernel: REAL_MODE_IMAGE, commandLine, memoryMiB: 64, lastText: "ALL DONE" };
}

export const realModeSuite: Suite = {
  name: "16-bit",
  parts: Object.keys(expected).map((name) => `16-bit/${name}`),
  peers: ["xlat86", "v86", "xlat86-tier0", "qemu"],
  async run(parts, context) {
    const problems: string[] = [];
    const rows: Row[] = [];
    const options = { ...context.options, passes: Math.min(context.options.passes, MOST_PASSES) };
    for (const name of parts.map(withoutPrefix)) {
      rows.push(await benchTask(name, (passes) => realModeGuest(name, passes), expected[name], { ...context, options }, problems));
    }
    const peers = context.peers.map((peer) => peer.name);
    const text = `16-bit code, seconds a pass (each kernel 32 times), warm:\n\n${table(rows, peers)}\n\nNanoseconds for one guest instruction:\n\n${costTable(rows, peers)}`;
    return { text, data: rows, problems };
  },
};
