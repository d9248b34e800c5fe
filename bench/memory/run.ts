// Child process: one machine that runs the guest for a time. Every so often a line of JSON, `SAMPLE {...}`, with what the process holds.
//
// All of the guest's RAM is touched first: pages that the guest uses for the first time are no growth of ours. `live` is V8's heap after a collection that is asked
// for (--expose-gc), `resident` what the operating system counts.

import { writeSync } from "node:fs";
import { createMachine } from "../../src/index.ts";
import { childJob, loadGuest } from "../peers/guest-process.ts";
import { ROUND_TEXT } from "./guest.ts";

const job = childJob();
const guest = loadGuest(job.guest);
const seconds = Number(job.settings.seconds);
const every = Number(job.settings.every);

const machine = createMachine({ kernel: guest.kernel, initrd: guest.initrd, append: guest.commandLine, memory: guest.memoryBytes });
for (let page = 0; page < machine.memory.size; page += 4096) machine.memory.writePhysical(page, machine.memory.readPhysical(page, 1));

let rounds = 0;
let partial = "";
machine.on("serial", (bytes) => {
  partial += Buffer.from(bytes).toString("latin1");
  const lines = partial.split("\n");
  partial = lines.pop() ?? "";
  for (const line of lines) {
    if (line.startsWith(ROUND_TEXT)) rounds = Number.parseInt(line.slice(ROUND_TEXT.length), 10);
    else if (line.trim() !== "") writeSync(1, `${line.trim()}\n`);
  }
});

const started = performance.now();
const sample = (): void => {
  const at = (performance.now() - started) / 1000;
  const before = process.memoryUsage();
  (globalThis as { gc?: () => void }).gc?.();
  const after = process.memoryUsage();
  const { instructions, shapes, blocks, regions, regionsLive, regionsEvicted, regionTextLength, codeCacheBytes, codeCacheFlushes, invalidations } =
    machine.stats();
  const counters = {
    instructions,
    shapes,
    blocks,
    regions,
    regionsLive,
    regionsEvicted,
    regionTextLength,
    codeCacheBytes,
    codeCacheFlushes,
    invalidations,
  };
  const memory = { resident: before.rss, heap: before.heapUsed, live: after.heapUsed, external: after.external + after.arrayBuffers };
  writeSync(1, `SAMPLE ${JSON.stringify({ at, rounds, ...memory, ...counters })}\n`);
};
setInterval(sample, every * 1000);
setTimeout(() => {
  sample();
  process.exit(0);
}, seconds * 1000);
await machine.run();
writeSync(2, "the guest ended by itself\n");
process.exit(1);
