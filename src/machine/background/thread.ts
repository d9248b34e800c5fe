/** The thread that makes regions, seen from the guest's. How threads are begun and talk is the host's matter: node-channel.ts, web-channel.ts. */
import type { RegionAnswer, RegionJob, RegionThread } from "../../../runtime/code/region-thread.ts";
import type { WasmLayout } from "../../../translator/contract/wasm.ts";
import type { RegionMakerOptions } from "./region-maker.ts";

/** A thread that was begun, and the way there and back. */
export interface RegionChannel {
  /** Whether the thread takes jobs: not before it listens, and not after it died. */
  readonly isOpen: boolean;
  send(job: RegionJob): void;
  forget(id: number): void;
  /** The answers to jobs that were done together, if some have come. */
  receive(): readonly RegionAnswer[] | undefined;
  /** Ends the thread. */
  close(): void;
}

/** Begins a thread. Undefined: the host has none to give. */
export type BeginThread = (options: RegionMakerOptions) => RegionChannel | undefined;

/** Regions that the guest's thread makes before this one begins: to begin takes as long as some of them, on the core that V8's compiler wants for those. */
const fewRegions = 8;
/** Answers after which it is no longer learning. */
const lessons = 4;

/** Ends threads whose machines were forgotten. */
const forgotten = new FinalizationRegistry<RegionChannel>((channel) => channel.close());

export class BackgroundThread implements RegionThread {
  private readonly options: Omit<RegionMakerOptions, "layout">;
  private readonly begin: BeginThread;
  private channel: RegionChannel | undefined;
  /** Messages with answers, and answers of the last ones that nobody has taken yet. */
  private received = 0;
  private readonly answers: RegionAnswer[] = [];
  private madeElsewhere = 0;

  constructor(options: Omit<RegionMakerOptions, "layout">, begin: BeginThread) {
    this.options = options;
    this.begin = begin;
  }

  get state(): RegionThread["state"] {
    if (this.channel?.isOpen !== true) return "absent";
    return this.received < lessons ? "learning" : "ready";
  }

  madeHere(layout: WasmLayout): void {
    if (++this.madeElsewhere !== fewRegions) return;
    this.channel = this.begin({ ...this.options, layout });
    if (this.channel !== undefined) forgotten.register(this, this.channel, this);
  }

  send(job: RegionJob): void {
    this.channel?.send(job);
  }

  forget(id: number): void {
    this.channel?.forget(id);
  }

  receive(): RegionAnswer | undefined {
    const { answers } = this;
    if (answers.length === 0) {
      const more = this.channel?.receive();
      if (more === undefined) return undefined;
      this.received++;
      answers.push(...more);
    }
    return answers.shift();
  }

  /** For good. */
  close(): void {
    forgotten.unregister(this);
    this.channel?.close();
    this.channel = undefined;
    // None is begun any more.
    this.madeElsewhere = Number.POSITIVE_INFINITY;
  }
}
