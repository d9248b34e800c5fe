/** The script of the thread that makes regions. */
import type { RegionJob } from "../../../runtime/code/region-thread.ts";
import { workerThreads, yieldToOthers } from "./node.ts";
import { RegionMaker } from "./region-maker.ts";
import { forgottenMost, words } from "./worker-data.ts";

/** The guest goes first where cores are few: V8's compiler needs one, too. */
const niceness = 10;

const data = workerThreads?.workerData;
if (data != null) {
  yieldToOthers(niceness);
  const { port, shared } = data;
  const maker = new RegionMaker(data);
  port.onmessage = ({ data: job }: MessageEvent<RegionJob>) => {
    // Numbers begin with 1: what is for practice has none.
    if (job.id !== 0 && Atomics.load(shared, words.forgotten + (job.id % forgottenMost)) === job.id) return;
    port.postMessage(maker.make(job));
    // Behind the message: who sees the number finds it.
    Atomics.add(shared, words.answers, 1);
  };
  Atomics.store(shared, words.isReady, 1);
}
