/** The table of sites (runtime/memory/site-table.ts) against one that looks at every site each time. */
import { describe, expect, it } from "vitest";
import { HostMemory } from "../../runtime/memory/host-memory.ts";
import { SiteTable } from "../../runtime/memory/site-table.ts";
import { siteCount, siteList, siteTable, siteWords } from "../../translator/contract/sites.ts";

const half = 1 << 20;
const pages = [0x00400, 0x01400, 0x02400, 0xc0001, 0xc0002, 0xc1001];
const globals = new Set(pages.slice(3));
const places = [0x10, 0x11, 0x12, 0x13];

/** Pseudo-random numbers (Numerical Recipes). */
function* numbers(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 8;
  }
}

class Model {
  readonly TR = new Int32Array(2 * half).fill(-1);
  readonly TW = new Int32Array(2 * half).fill(-1);
  readonly table: SiteTable;
  /** What each site that remembers something has: table, page, place. */
  readonly sites = new Map<number, { readonly page: number; readonly place: number }>();

  constructor() {
    this.table = new SiteTable(new HostMemory(0x10000), this.TR, this.TW);
  }
  index(site: number, page: number): [Int32Array, number] {
    const which = Math.trunc(site / siteTable);
    return [(which & 1) === 0 ? this.TR : this.TW, (which < 2 ? 0 : half) + page];
  }
  setEntries(page: number, place: number | undefined): void {
    for (const T of [this.TR, this.TW]) for (const at of [page, half + page]) T[at] = place === undefined ? -1 : (place ^ page) << 12;
  }
  /** As the helpers in WebAssembly do it (execute/wasm-helpers.ts). */
  fill(site: number, page: number): void {
    const [T, at] = this.index(site, page);
    if ((T[at] & 1) !== 0) return;
    const { SW, SL } = this.table;
    const k = site * siteWords;
    const place = (T[at] >>> 12) ^ page;
    if ((SL[siteList.state + site] & siteList.listed) === 0) {
      SL[0]++;
      SL[SL[0]] = k;
      SL[siteList.state + site] |= siteList.listed;
    }
    SL[siteList.marks + (page & siteList.markMask)] = 1;
    SW[k] = page << 12;
    SW[k + 1] = 0;
    SW[k + 2] = (place << 12) - (page << 12);
    this.sites.set(site, { page, place });
  }
  empty(which: (page: number, place: number) => boolean): void {
    for (const [site, { page, place }] of this.sites) if (which(page, place)) this.sites.delete(site);
  }
  remembered(): number[] {
    const { SW } = this.table;
    return Array.from({ length: siteCount }, (_, site) => site).filter((site) => SW[site * siteWords + 1] === 0);
  }
}

describe("the table of sites", () => {
  it.each([1, 2, 3, 4, 5, 6])("random fills, flushes and INVLPGs, seed %i", (seed) => {
    const random = numbers(seed);
    const pick = <T>(list: readonly T[]): T => list[(random.next().value as number) % list.length];
    const model = new Model();
    // A few sites of each table, so that they are filled again and again.
    const all = [0, 1, 2, 3].flatMap((which) => [5, 6, 4095].map((site) => which * siteTable + site));
    for (let step = 0; step < 3000; step++) {
      const kind = pick(["map", "fill", "fill", "fill", "fill", "flush", "invlpg", "place", "all"]);
      const page = pick(pages);
      if (kind === "map") {
        // Only what the TLB does not have.
        if (model.TR[page] === -1) model.setEntries(page, pick(places));
      } else if (kind === "fill") model.fill(pick(all), page);
      else if (kind === "flush") {
        for (const other of pages) if (!globals.has(other)) model.setEntries(other, undefined);
        model.table.emptyForgotten();
        model.empty((other) => !globals.has(other));
      } else if (kind === "invlpg") {
        model.setEntries(page, undefined);
        model.table.emptyOnPage((page << 12) | 0x123);
        model.empty((other) => other === page);
      } else if (kind === "place") {
        const place = pick(places);
        model.table.emptyAtPlace(place << 12);
        model.empty((_, other) => other === place);
      } else if (pick([0, 0, 0, 0, 0, 0, 0, 1]) === 1) {
        for (const other of pages) model.setEntries(other, undefined);
        model.table.empty();
        model.empty(() => true);
      }
      if (step % 10 === 0) expect(model.remembered()).toEqual([...model.sites.keys()].sort((a, b) => a - b));
    }
  });

  it("however often sites are filled and emptied, the lists do not run over", () => {
    const model = new Model();
    for (let round = 0; round < 3; round++) {
      model.setEntries(pages[3], 0x10);
      for (let site = 0; site < siteCount; site++) model.fill(site, pages[3]);
      model.table.emptyForgotten();
      for (let site = 0; site < siteCount; site++) model.fill(site, pages[3]);
      expect(model.table.SL[0]).toBe(siteCount);
      model.table.emptyForgotten();
      expect(model.remembered()).toHaveLength(siteCount);
      model.setEntries(pages[3], undefined);
      model.table.emptyOnPage(pages[3] << 12);
      expect(model.remembered()).toEqual([]);
    }
  });
});
