/** Node's thread that makes regions: answers are taken while the guest runs. */
import type { RegionAnswer, RegionJob } from "../../../runtime/code/region-thread.ts";
import { type NodePort, type NodeWorker, type WorkerThreads, workerThreads } from "./node.ts";
import type { RegionMakerOptions } from "./region-maker.ts";
import type { RegionChannel } from "./thread.ts";
import { forgottenMost, words } from "./worker-data.ts";

/** From source, and as the build has it: beside whatever it put this module into. Asked for in Node alone: where others bundle this, a module may have no address. */
function script(): URL {
  const { url } = import.meta;
  return new URL(url.endsWith(".ts") ? "./worker.ts" : "./region-worker.js", url);
}

export function beginNodeThread(options: RegionMakerOptions): RegionChannel | undefined {
  return workerThreads === undefined ? undefined : new NodeChannel(workerThreads, options);
}

class NodeChannel implements RegionChannel {
  private readonly threads: WorkerThreads;
  private readonly shared = new Int32Array(new SharedArrayBuffer(4 * words.count));
  private readonly worker: NodeWorker;
  private readonly port: NodePort;
  /** Messages with answers. */
  private received = 0;

  constructor(threads: WorkerThreads, options: RegionMakerOptions) {
    this.threads = threads;
    const { port1, port2 } = new threads.MessageChannel();
    const { shared } = this;
    const workerData = { ...options, port: port2, shared };
    const worker = new threads.Worker(script(), { workerData, transferList: [port2], name: "xlat86 regions" });
    // Regions are made on the guest's thread then: slower, but the guest does not notice.
    worker.on("error", () => Atomics.store(shared, words.isReady, 0));
    worker.unref();
    this.worker = worker;
    this.port = port1;
  }

  get isOpen(): boolean {
    return this.shared[words.isReady] !== 0;
  }

  send(job: RegionJob): void {
    this.port.postMessage(job);
  }

  forget(id: number): void {
    Atomics.store(this.shared, words.forgotten + (id % forgottenMost), id);
  }

  /** Asks the port only when there is something in it: that takes a microsecond. */
  receive(): readonly RegionAnswer[] | undefined {
    if (this.shared[words.answers] === this.received) return undefined;
    this.received++;
    return this.threads.receiveMessageOnPort<RegionAnswer[]>(this.port)?.message ?? [];
  }

  close(): void {
    this.shared[words.isReady] = 0;
    void this.worker.terminate();
    this.port.close();
  }
}
