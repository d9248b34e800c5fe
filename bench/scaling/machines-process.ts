// What the child processes with several machines share. All machines are built, then started together; the process marks the beginning, and the end when the
// last guest is done:
//
//   BEGIN machines 0
//   END machines 0 <resident bytes> <results of all guests, each distinct one once>

import { writeSync } from "node:fs";
import { TextWatch } from "../peers/guest-process.ts";

/** The guests' last text; the kernels of bench/kernels print it. */
const LAST_TEXT = "ALL DONE";

/** Builds a machine whose output goes to `onOutput`; the function returned starts it. */
export type MachineBuilder = (onOutput: (bytes: Uint8Array) => void) => Promise<() => Promise<void>>;

export async function reportMachines(count: number, build: MachineBuilder): Promise<void> {
  const results = new Set<string>();
  const starts: (() => Promise<void>)[] = [];
  const ends: Promise<void>[] = [];
  for (let i = 0; i < count; i++) {
    const watch = new TextWatch(LAST_TEXT);
    let text = "";
    let ended = () => {};
    ends.push(
      new Promise<void>((done) => {
        ended = done;
      }),
    );
    const start = await build((bytes) => {
      text += Buffer.from(bytes).toString("latin1");
      if (!watch.seen(bytes)) return;
      for (const match of text.matchAll(/^END \S+ \d+ (.*)$/gm)) results.add(match[1].trim());
      ended();
    });
    starts.push(start);
  }
  writeSync(1, "BEGIN machines 0\n");
  for (const start of starts) start().catch((error: unknown) => writeSync(2, `${String(error)}\n`));
  await Promise.all(ends);
  writeSync(1, `END machines 0 ${process.memoryUsage().rss} ${[...results].join(",")}\nALL DONE\n`);
  process.exit(0);
}
