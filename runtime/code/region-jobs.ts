/** Regions that another thread was asked for and has not answered. */
import type { RegionSnapshot } from "../../translator/contract/region-snapshot.ts";
import { includes, type RangesByPage } from "./ranges.ts";

/** @typeParam Place what the asker must know to put the region in place */
export interface AskedFor<Place> {
  readonly id: number;
  readonly place: Place;
  readonly snapshot: RegionSnapshot;
  /** Index of the first of its links in the code array. */
  readonly links: number;
  readonly ranges: RangesByPage;
  /** Host time (`performance.now()`) when it was asked for, and slices that ended in its code since. */
  readonly since: number;
  waits: number;
}

export class RegionJobs<Place extends { readonly header: number }> {
  private readonly byId = new Map<number, AskedFor<Place>>();
  private readonly byHeader = new Map<number, AskedFor<Place>>();
  /** By each physical page that they have bytes on, in the order they were asked for: hundreds may wait, and each end of a slice asks. */
  private readonly byPage = new Map<number, AskedFor<Place>[]>();
  private lastId = 0;

  get isEmpty(): boolean {
    return this.byId.size === 0;
  }

  /** @returns its number, which is no other's ever */
  add(wanted: Omit<AskedFor<Place>, "id" | "since" | "waits">): number {
    const id = ++this.lastId;
    const job = { id, ...wanted, since: performance.now(), waits: 0 };
    this.byId.set(id, job);
    this.byHeader.set(job.place.header, job);
    for (const page of job.ranges.keys()) {
      const others = this.byPage.get(page);
      if (others === undefined) this.byPage.set(page, [job]);
      else others.push(job);
    }
    return id;
  }

  /** What that number was for; it is asked for no more. Undefined: everything was forgotten meanwhile. */
  take(id: number): AskedFor<Place> | undefined {
    const job = this.byId.get(id);
    if (job === undefined) return undefined;
    this.byId.delete(id);
    this.byHeader.delete(job.place.header);
    for (const page of job.ranges.keys()) {
      const left = (this.byPage.get(page) ?? []).filter((other) => other !== job);
      if (left.length === 0) this.byPage.delete(page);
      else this.byPage.set(page, left);
    }
    return job;
  }

  /** What was asked for from the block at `header` on. */
  at(header: number): AskedFor<Place> | undefined {
    return this.byHeader.get(header);
  }

  /** The first of those that a byte belongs to. */
  around(page: number, offset: number): AskedFor<Place> | undefined {
    return this.byPage.get(page)?.find(({ ranges }) => includes(ranges, page, offset));
  }

  clear(): void {
    this.byId.clear();
    this.byHeader.clear();
    this.byPage.clear();
  }
}
