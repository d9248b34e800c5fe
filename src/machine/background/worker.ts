/** The script of the thread that makes regions in Node. */
import type { RegionJob } from "../../../runtime/code/region-thread.ts";
import { workerThreads, yieldToOthers } from "./node.ts";
import { mostTogether, RegionMaker } from "./region-maker.ts";
import { forgottenMost, words } from "./worker-data.ts";

/** The guest goes first where cores are few: V8's compiler needs one, too. */
const niceness = 10;

const data = workerThreads?.workerData;
if (data != null) {
  yieldToOthers(niceness);
  const { port, shared } = data;
  const maker = new RegionMaker(data);
  // Numbers begin with 1: what is for practice has none.
  const isForgotten = ({ id }: RegionJob): boolean => id !== 0 && Atomics.load(shared, words.forgotten + (id % forgottenMost)) === id;
  // Not `onmessage`: for its MessageEvent, Node loads its whole fetch (20 ms of the core that V8 compiles the first regions on).
  port.on<RegionJob>("message", (first) => {
    const jobs = [first];
    while (jobs.length < mostTogether) {
      const next = workerThreads?.receiveMessageOnPort<RegionJob>(port);
      if (next === undefined) break;
      jobs.push(next.message);
    }
    const wanted = jobs.filter((job) => !isForgotten(job));
    if (wanted.length === 0) return;
    port.postMessage(maker.make(wanted));
    // Behind the message: who sees the number finds it.
    Atomics.add(shared, words.answers, 1);
  });
  Atomics.store(shared, words.isReady, 1);
}
