/**
 * From a block to the region in its place: what the translator is asked, here and now or on the other thread; and what comes back from there, soon, late or not at all.
 * A region that was asked for is put in place if its block still lives and memory still holds the bytes that it was made from.
 */
import { mode as modes } from "../../translator/contract/mode-key.ts";
import { changedByte, type RegionSnapshot, rangesOf } from "../../translator/contract/region-snapshot.ts";
import { faultPlace } from "../../translator/contract/slots.ts";
import type { RegionCode, RegionFacts, RegionPage, RegionRequest, Translator } from "../../translator/contract/translator.ts";
import { type CodeCache, modeMask } from "./code-cache.ts";
import { compile, type HostNames } from "./compile.ts";
import { Doubts } from "./doubts.ts";
import { rangesByPage } from "./ranges.ts";
import { type AskedFor, RegionJobs } from "./region-jobs.ts";
import type { RegionAnswer, RegionThread } from "./region-thread.ts";
import type { Compiled, Region, RegionCompiler, RegionFunction, RegionKind, RegionPlace, Regions } from "./regions.ts";

/** Where the guest is when it wants a region. */
export interface Surroundings {
  /** EIP of the first byte of the entry's page. */
  readonly base: number;
  /** The page `k` pages behind that, if the instruction TLB leads to RAM there. */
  page(k: number): RegionPage | undefined;
  /** The read TLB's entry of most pages that it has in this mode, if there is one. */
  readonly usualEntry: number | undefined;
  /** Whether all memory lies below 2 GiB of the buffer. */
  readonly hasLowPlaces: boolean;
  /** The word at a linear address, if the data TLB leads there. */
  word(linear: number): number | undefined;
  segmentBase(s: number): number;
  /** Of an `edge` page: the offsets that lie in the code segment, from the first to before the second. */
  readonly within?: readonly [number, number] | undefined;
}

/** What is settled when the machine is put together. */
export interface MakingOptions {
  /** Guest instructions that a region must have. */
  readonly smallestRegion: number;
  /** Regions call regions. */
  readonly callsSubroutines: boolean;
  /** Executions of the code behind a CALL from which on it is taken in with the caller. */
  readonly hotCall: number;
}

/** Made anew so many times because it gave up often, a region does not give up at all any more. */
const mostDoubted = 2;
/**
 * Slices that end in code that the other thread has not made yet, until it is made here: by then the guest has lost about the time on tier 0 that making it takes. Before so many milliseconds that
 * thread is not late.
 */
const longestWait = { slices: 32, milliseconds: 20 } as const;
/** Instructions of a region up to which other regions may have its code too; and those that are entered very often: a loop with two of them in it would go from one to the other each time. */
const largestShared = 60;
const largestSharedDeep = 200;

/** Pages around the entry's that code is taken from. */
const maximumReach = (1 << (faultPlace.offsetBits - 13)) - 8;

export class RegionMaking {
  /** Of all regions, the ones made on the other thread. */
  madeBeside = 0;
  /** Host milliseconds spent translating and handing code to V8, on this thread and on the other one. */
  milliseconds = 0;
  backgroundMilliseconds = 0;
  /** Makes regions beside the guest. */
  thread: RegionThread | undefined;
  /** Instructions at which regions gave up often. */
  readonly doubts = new Doubts();

  private readonly cache: CodeCache;
  private readonly regions: Regions;
  private readonly translator: Translator;
  private readonly host: HostNames;
  private readonly options: MakingOptions;
  /** Blocks for which no region can be made: not tried again. */
  private readonly refused = new Set<number>();
  /** Blocks whose regions the other thread cannot make. */
  private readonly onlyHere = new Set<number>();
  private readonly jobs = new RegionJobs<RegionPlace>();

  constructor(cache: CodeCache, regions: Regions, translator: Translator, host: HostNames, options: MakingOptions) {
    this.cache = cache;
    this.regions = regions;
    this.translator = translator;
    this.host = host;
    this.options = options;
  }

  /** Makes a region of the code from the block at `header` on, here and now, or asks the other thread for it. */
  make(header: number, around: Surroundings, kind: RegionKind): Region | "asked for" | undefined {
    if (this.jobs.at(header) !== undefined) return "asked for";
    if (this.refused.has(header) || this.regions.isFull) return undefined;
    const { C } = this.cache;
    const started = performance.now();
    const pages = new Map<number, RegionPage | undefined>();
    const page = (k: number): RegionPage | undefined => {
      if (!pages.has(k)) pages.set(k, Math.abs(k) > maximumReach ? undefined : around.page(k));
      return pages.get(k);
    };
    const place: RegionPlace = { ...kind, header, address: C[header - 3], mode: C[header - 2] & modeMask, page };
    const request = this.requestFor(place, around);
    const { state = "absent" } = this.thread ?? {};
    if (state === "learning") this.practise(request);
    const thread = state === "ready" && !this.onlyHere.has(header) ? this.thread : undefined;
    const made = thread === undefined ? this.translator.region(request) : this.translator.snapshot(request);
    // Whether code in a snapshot can be called is yet to be seen.
    if (made === undefined || made.instructions < this.least(!("isCallable" in made) || made.isCallable)) {
      this.refused.add(header);
      return undefined;
    }
    const { cache } = this;
    const links = cache.top;
    let region: Region | undefined;
    if (thread !== undefined) {
      const snapshot = made as RegionSnapshot;
      cache.top += snapshot.mostExits;
      const ranges = rangesByPage(rangesOf(snapshot), page);
      // What the guest maps later is another matter.
      const id = this.jobs.add({ place: { ...place, page: (k) => pages.get(k) }, snapshot, links, ranges });
      thread.send({ id, snapshot, links });
    } else {
      const code = made as RegionCode;
      cache.top += code.exits.length;
      region = this.regions.install(place, code, links, { module: undefined, run: (shape) => this.compiled(code, links, shape) });
      code.release();
      const { wasm } = this.regions;
      if (wasm !== undefined) this.thread?.madeHere(wasm.layout);
    }
    this.milliseconds += performance.now() - started;
    return region ?? "asked for";
  }

  /**
   * Whether the other thread was asked for the region of the hot block at `header`, at which a slice ended. That thread may have much to do, or a busy host no time for it: what slices keep
   * ending in is made here.
   */
  isOnItsWay(header: number): boolean {
    const address = this.cache.C[header - 3];
    const job = this.jobs.at(header) ?? this.jobs.around(address >>> 12, address & 0xfff);
    if (job === undefined) return false;
    const { id, place, snapshot, links } = job;
    const started = ++job.waits < longestWait.slices ? job.since : performance.now();
    if (started - job.since > longestWait.milliseconds && place.replaces === undefined) {
      this.thread?.forget(id);
      this.jobs.take(id);
      const code = this.translator.regionFrom(snapshot);
      if (code === undefined) this.onlyHere.add(place.header);
      else this.putInPlace(job, code, { module: undefined, run: (shape) => this.compiled(code, links, shape) });
      code?.release();
      this.milliseconds += performance.now() - started;
    }
    return place.header === header;
  }

  /** Has the other thread make what nobody waits for. */
  private practise(request: RegionRequest): void {
    const snapshot = this.translator.snapshot(request);
    if (snapshot !== undefined) this.thread?.send({ id: 0, snapshot, links: 0 });
  }

  private requestFor({ header, address, mode, isDeep, takesIn, doubted, page }: RegionPlace, around: Surroundings): RegionRequest {
    const own = [header, ...takesIn];
    const heats = new Map<number, ReadonlyMap<number, number>>();
    return {
      page,
      entry: address & 0xfff,
      mode,
      name: `f_${((around.base + (address & 0xfff)) >>> 0).toString(16)}`,
      base: around.base,
      usualEntry: around.usualEntry,
      hasLowPlaces: around.hasLowPlaces,
      heat: (offset) => {
        const k = offset >> 12;
        let onPage = heats.get(k);
        if (onPage === undefined) {
          onPage = this.heatsOn(page(k), own, isDeep ? largestSharedDeep : largestShared);
          heats.set(k, onPage);
        }
        return onPage.get(offset & 0xfff) ?? 0;
      },
      word: around.word,
      isPatched: (offset) => {
        const there = page(offset >> 12);
        return there !== undefined && this.regions.losses.isPatched(there.address >>> 12, offset & 0xfff);
      },
      isDoubtful: (offset) => {
        const there = page(offset >> 12);
        return doubted >= mostDoubted || (there !== undefined && this.doubts.has(there.address + (offset & 0xfff)));
      },
      segmentBase: around.segmentBase,
      within: around.within,
      followsCalls: isDeep,
      takesIn: (offset) => {
        const there = page(offset >> 12);
        return there !== undefined && takesIn.some((wanted) => this.cache.C[wanted - 3] === ((there.address + (offset & 0xfff)) | 0));
      },
      hotCall: this.options.hotCall,
    };
  }

  /**
   * Executions of the live blocks of a page, of the kind of the one at the first of `own`, by the page offset they begin at. -1 for the entry of a large region other than `own`: leaving
   * for it costs less than having its code once more.
   * @param largest instructions of a region that is not large
   */
  private heatsOn(page: RegionPage | undefined, own: readonly number[], largest: number): ReadonlyMap<number, number> {
    const [entry] = own;
    const heats = new Map<number, number>();
    if (page === undefined) return heats;
    const { C } = this.cache;
    const mode = C[entry - 2] & modeMask;
    const number = page.address >>> 12;
    for (const b of this.cache.liveOn(number)) {
      if ((C[b - 2] & modeMask) !== mode || C[b - 3] >>> 12 !== number) continue;
      if ((mode & modes.edge) !== 0 && (C[b - 4] !== C[entry - 4] || C[b - 5] !== C[entry - 5])) continue;
      const instructions = own.includes(b) ? 0 : this.instructionsOf(b);
      this.regions.settle(b);
      heats.set(C[b - 3] & 0xfff, instructions > largest ? -1 : C[b + 1]);
    }
    return heats;
  }

  /** Of the region that the block at `header` heads, or will head soon; 0: none. */
  private instructionsOf(header: number): number {
    return this.jobs.at(header)?.snapshot.instructions ?? this.regions.at(header)?.code.instructions ?? 0;
  }

  /** One or two instructions without a loop: entering and leaving would cost more than they do, but for a caller that is a region. */
  private least(isCallable: boolean): number {
    return isCallable && this.options.callsSubroutines ? 1 : this.options.smallestRegion;
  }

  /** Whether regions that the other thread was asked for have not come. */
  get isWaiting(): boolean {
    return !this.jobs.isEmpty;
  }

  /** Whether a region that was asked for has a byte of a physical page in it. */
  isAskedFor(page: number, offset: number): boolean {
    return this.jobs.around(page, offset) !== undefined;
  }

  /** Takes in what the other thread has made. */
  receive(): void {
    const { thread } = this;
    if (thread === undefined) return;
    for (let answer = thread.receive(); answer !== undefined; answer = thread.receive()) this.arrived(answer);
    // It died?
    if (!this.jobs.isEmpty && thread.state !== "ready") this.jobs.clear();
  }

  private arrived({ id, made, milliseconds }: RegionAnswer): void {
    const job = this.jobs.take(id);
    this.backgroundMilliseconds += milliseconds;
    // For practice, or the code cache was flushed meanwhile.
    if (job === undefined) return;
    if (made === undefined) {
      this.onlyHere.add(job.place.header);
      return;
    }
    const started = performance.now();
    const code = codeOf(made.facts, job.snapshot, this.translator);
    const before = this.regions.translated;
    const { module, imports, name } = made;
    this.putInPlace(job, code, { module, run: (shape) => (this.regions.wasm as RegionCompiler).addCompiled(module, imports, name, shape) });
    this.madeBeside += this.regions.translated - before;
    this.milliseconds += performance.now() - started;
  }

  /** What was asked for is made. @param compiled as `Regions.install` has it */
  private putInPlace({ place, snapshot, links }: AskedFor<RegionPlace>, code: RegionCode, compiled: Compiled): void {
    if (code.instructions < this.least(code.isCallable)) {
      this.refused.add(place.header);
      return;
    }
    if (!this.isWanted(place, snapshot, code)) return;
    if (code.exits.length > snapshot.mostExits) throw new Error(`${snapshot.name}: more exits than ${snapshot.mostExits}`);
    this.regions.install(place, code, links, compiled);
  }

  /** Whether a region that was asked for can be put in place: its block lives, and memory is as it was. (A block that has been asked for gets no other region.) */
  private isWanted({ header, address, page }: RegionPlace, snapshot: RegionSnapshot, { soft }: RegionFacts): boolean {
    const { C } = this.cache;
    if (C[header - 3] !== address || this.cache.isFull || this.regions.isFull) return false;
    const changed = changedByte(snapshot, (k) => (page(k) as RegionPage).bytes, soft);
    if (changed === undefined) return true;
    const there = page(changed >> 12) as RegionPage;
    this.regions.losses.add(there.address >>> 12, changed & 0xfff, (changed & 0xfff) + 1, address >>> 12);
    return false;
  }

  /** As WebAssembly if that can be. */
  private compiled(code: RegionCode, links: number, shape: number): RegionFunction {
    const { wasm } = this.regions;
    const made = wasm?.addRegion(code, links, shape);
    if (made !== undefined) return made;
    const run = compile<RegionFunction>(code.text, code.freeNames, Object.create(this.host, { L: { value: links } }));
    wasm?.addRegionInJavaScript(run, shape);
    return run;
  }

  /** The block at `header` is no more: what comes in its place is another matter. */
  died(header: number): void {
    this.refused.delete(header);
    this.onlyHere.delete(header);
  }

  /** The code cache was flushed. */
  clear(): void {
    this.refused.clear();
    this.onlyHere.clear();
    this.jobs.clear();
    this.doubts.clear();
  }
}

/** Of a region made elsewhere. A function of its own, for what is kept holds on to all that functions made beside it see. */
function codeOf(facts: RegionFacts, snapshot: RegionSnapshot, translator: Translator): RegionCode {
  return {
    ...facts,
    get text(): string {
      return translator.regionFrom(snapshot)?.text ?? "";
    },
    release() {},
  };
}
