/** A thread that makes regions, without a thread: what it is sent waits until it is told to go on. */
import type { RegionAnswer, RegionJob, RegionThread } from "../../runtime/code/region-thread.ts";
import { RegionMaker } from "../../src/machine/background/region-maker.ts";
import { usualRequest } from "../../src/machine/tier-request.ts";
import type { WasmLayout } from "../../translator/contract/wasm.ts";

export class HeldThread implements RegionThread {
  state: RegionThread["state"] = "ready";
  /** Jobs that wait. */
  readonly jobs: RegionJob[] = [];
  /** Regions that were made elsewhere. */
  madeElsewhere = 0;
  /** Where the code is to run. */
  layout: WasmLayout | undefined;
  private maker: RegionMaker | undefined;
  private readonly answers: RegionAnswer[] = [];
  private readonly isHeld: boolean;

  /** @param isHeld false: does at once what it is sent */
  constructor(isHeld = true) {
    this.isHeld = isHeld;
  }

  madeHere(): void {
    this.madeElsewhere++;
  }

  send(job: RegionJob): void {
    this.jobs.push(job);
    if (!this.isHeld) this.finish();
  }

  forget(id: number): void {
    const at = this.jobs.findIndex((job) => job.id === id);
    if (at >= 0) this.jobs.splice(at, 1);
  }

  receive(): RegionAnswer | undefined {
    return this.answers.shift();
  }

  /** Does all that waits. */
  finish(): void {
    this.maker ??= new RegionMaker({ disabled: [], x87: "exact", layout: this.layout ?? usualRequest().layout });
    const jobs = this.jobs.splice(0);
    if (jobs.length > 0) this.answers.push(...this.maker.make(jobs));
  }

  /** Says of all that waits that it cannot be done. */
  refuse(): void {
    for (const { id } of this.jobs.splice(0)) this.answers.push({ id, milliseconds: 0 });
  }
}
