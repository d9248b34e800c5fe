/**
 * A worker of the browser's that makes regions, begun by the program that has the machine. Nothing is shared, so that no page needs cross-origin isolation for it: answers come
 * when the event loop of the guest's thread has its turn, between slices of guest time.
 */
import type { RegionAnswer, RegionJob } from "../../../runtime/code/region-thread.ts";
import type { RegionWorker } from "../region-worker.ts";
import type { BeginThread, RegionChannel } from "./thread.ts";
import type { FromRegionWorker, ToRegionWorker } from "./web-messages.ts";

/** @param start begins a worker with the script web-worker.ts; where it throws, regions are made on the guest's thread */
export function webThread(start: () => RegionWorker): BeginThread {
  return (options) => {
    let worker: RegionWorker;
    try {
      worker = start();
    } catch {
      return undefined;
    }
    const channel = new WebChannel(worker);
    channel.post({ kind: "begin", options });
    return channel;
  };
}

class WebChannel implements RegionChannel {
  private readonly worker: RegionWorker;
  private readonly received: (readonly RegionAnswer[])[] = [];
  isOpen = false;

  constructor(worker: RegionWorker) {
    this.worker = worker;
    worker.addEventListener("message", ({ data }) => this.hear(data as FromRegionWorker));
    // Regions are made on the guest's thread then: slower, but the guest does not notice. A worker lives on after an error, in who knows what state.
    for (const type of ["error", "messageerror"] as const) {
      worker.addEventListener(type, (event) => {
        event.preventDefault();
        this.close();
      });
    }
  }

  private hear(message: FromRegionWorker): void {
    if (message.kind === "ready") this.isOpen = true;
    else this.received.push(message.answers);
  }

  post(message: ToRegionWorker): void {
    this.worker.postMessage(message);
  }

  send(job: RegionJob): void {
    this.post({ kind: "job", job });
  }

  forget(id: number): void {
    this.post({ kind: "forget", id });
  }

  receive(): readonly RegionAnswer[] | undefined {
    return this.received.shift();
  }

  close(): void {
    this.isOpen = false;
    this.worker.terminate();
  }
}
