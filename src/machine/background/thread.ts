/** The thread that makes regions, seen from the guest's. */
import type { RegionAnswer, RegionJob, RegionThread } from "../../../runtime/code/region-thread.ts";
import type { WasmLayout } from "../../../translator/contract/wasm.ts";
import { type NodePort, type NodeWorker, workerThreads } from "./node.ts";
import type { RegionMakerOptions } from "./region-maker.ts";
import { forgottenMost, words } from "./worker-data.ts";

/** From source, and as the build has it: beside whatever it put this module into. Asked for in Node alone: where others bundle this, a module may have no address. */
function script(): URL {
  const { url } = import.meta;
  return new URL(url.endsWith(".ts") ? "./worker.ts" : "./region-worker.js", url);
}

/** Regions that the guest's thread makes before this one begins: to begin takes as long as some of them, on the core that V8's compiler wants for those. */
const fewRegions = 8;
/** Answers after which it is no longer learning. */
const lessons = 4;

/** Ends threads whose machines were forgotten. */
const forgotten = new FinalizationRegistry<NodeWorker>((worker) => void worker.terminate());

export class BackgroundThread implements RegionThread {
  private readonly options: Omit<RegionMakerOptions, "layout">;
  private readonly shared = new Int32Array(new SharedArrayBuffer(4 * words.count));
  private worker: NodeWorker | undefined;
  private port: NodePort | undefined;
  /** Messages with answers, and answers of the last ones that nobody has taken yet. */
  private received = 0;
  private readonly answers: RegionAnswer[] = [];
  private madeElsewhere = 0;

  constructor(options: Omit<RegionMakerOptions, "layout">) {
    this.options = options;
  }

  get state(): RegionThread["state"] {
    if (this.shared[words.isReady] === 0) return "absent";
    return this.received < lessons ? "learning" : "ready";
  }

  madeHere(layout: WasmLayout): void {
    if (++this.madeElsewhere === fewRegions) this.begin(layout);
  }

  private begin(layout: WasmLayout): void {
    if (workerThreads === undefined) return;
    const { port1, port2 } = new workerThreads.MessageChannel();
    const { shared, options } = this;
    const workerData = { ...options, layout, port: port2, shared };
    const worker = new workerThreads.Worker(script(), { workerData, transferList: [port2], name: "xlat86 regions" });
    // Regions are made on the guest's thread then: slower, but the guest does not notice.
    worker.on("error", () => Atomics.store(shared, words.isReady, 0));
    worker.unref();
    this.worker = worker;
    this.port = port1;
    forgotten.register(this, worker, this);
  }

  send(job: RegionJob): void {
    this.port?.postMessage(job);
  }

  forget(id: number): void {
    Atomics.store(this.shared, words.forgotten + (id % forgottenMost), id);
  }

  receive(): RegionAnswer | undefined {
    const { answers } = this;
    if (answers.length === 0 && this.shared[words.answers] !== this.received && this.port !== undefined) {
      this.received++;
      answers.push(...(workerThreads?.receiveMessageOnPort<RegionAnswer[]>(this.port)?.message ?? []));
    }
    return answers.shift();
  }

  /** For good. */
  close(): void {
    this.shared[words.isReady] = 0;
    forgotten.unregister(this);
    void this.worker?.terminate();
    this.port?.close();
    this.worker = undefined;
    this.port = undefined;
  }
}
