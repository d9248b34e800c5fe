/**
 * Regions in place: a translated region takes over the block at its entry by replacing that block's first words with the `region` pseudo-instruction, and gives it back
 * when any byte it was made from is overwritten. Links to the block need not change either way.
 */
import { mode as modes } from "../../translator/contract/mode-key.ts";
import { changedByte, type RegionSnapshot, rangesOf } from "../../translator/contract/region-snapshot.ts";
import { faultPlace } from "../../translator/contract/slots.ts";
import type { RegionCode, RegionFacts, RegionPage, RegionRequest, Translator } from "../../translator/contract/translator.ts";
import type { WasmImport, WasmLayout } from "../../translator/contract/wasm.ts";
import { type CodeCache, modeMask, shapeBits } from "./code-cache.ts";
import { compile, type HostNames } from "./compile.ts";
import { Doubts } from "./doubts.ts";
import { type Evictable, Eviction, type RegionLimits } from "./eviction.ts";
import { Losses } from "./losses.ts";
import { wrapping } from "./pseudo-shapes.ts";
import { includes, overlaps, type RangesByPage, rangesByPage, without } from "./ranges.ts";
import { type AskedFor, RegionJobs } from "./region-jobs.ts";
import type { RegionTargets } from "./region-targets.ts";
import type { RegionAnswer, RegionThread } from "./region-thread.ts";

export type RegionFunction = (p: number) => number;

export interface Region extends Evictable {
  readonly code: RegionCode;
  readonly run: RegionFunction;
  /** Header of the block it stands in for, and what of that block it replaced: instruction count, first shape number. */
  readonly header: number;
  readonly instructions: number;
  readonly firstShape: number;
  /** What that block's counter of executions was, and how many of these tier 0 did for which no earlier region accounts. */
  readonly executions: number;
  readonly coldExecutions: number;
  /** Its own shape number. */
  readonly shape: number;
  /** Physical addresses that its static exits lead to, with their page offsets relative to the entry's page. */
  readonly exitTo: ReadonlyMap<number, number>;
  /** Functions called were taken in. */
  readonly isDeep: boolean;
  /** How often it was made anew with more in it. */
  readonly growth: number;
  /** Headers of the functions with regions of their own that it was to take in all the same. */
  readonly takesIn: readonly number[];
  /** How often it was made anew because it gave up often. */
  readonly doubted: number;
  /** Bytes it was made from, by physical page number: pairs of page offset and length. */
  readonly ranges: RangesByPage;
  /** Of these, the ones that must stay what they are: it reads the others when it comes to them. */
  readonly fixed: RangesByPage;
  /** What was written of the block that it stands in for, by page offsets: it is to be renewed before it runs again. */
  readonly written: (readonly [number, number])[];
  readonly mode: number;
}

/** What the dispatcher lends. */
export interface RegionHost {
  /** Shape numbers for regions: each is the handler of its own shape. */
  readonly firstShape: number;
  readonly lastShape: number;
  readonly handlers: ((p: number) => number)[];
  /** Where regions find each other. */
  readonly targets: RegionTargets;
  /** Guest instructions that a region must have. */
  readonly smallestRegion: number;
  /** Regions call regions. */
  readonly callsSubroutines: boolean;
  /** Executions of the code behind a CALL from which on it is taken in with the caller. */
  readonly hotCall: number;
  readonly regionLimits?: Partial<RegionLimits> | undefined;
  readonly addStub: (link: number, offset: number, page: number, wraps: number) => void;
}

/** Functions for the table of handlers, by shape number (execute/wasm-tier.ts). */
export interface RegionCompiler {
  /** What code is made for. */
  readonly layout: WasmLayout;
  addRegion(code: RegionCode, links: number, shape: number): RegionFunction | undefined;
  addCompiled(module: WebAssembly.Module, imports: readonly WasmImport[], name: string, shape: number): RegionFunction;
  addRegionInJavaScript(run: RegionFunction, shape: number): void;
  removeRegion(shape: number): void;
}

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

/** What a region is to be beside its code. */
interface RegionKind extends Pick<Region, "isDeep" | "growth" | "takesIn" | "doubted"> {
  /** The region in whose place it comes. */
  readonly replaces?: Region;
  /** Header of the block for whose sake it is made anew: it belongs into it. */
  readonly wantedBy?: number;
}

/** What V8 makes of a region. */
interface Compiled {
  /** As `Evictable` has it. */
  readonly module: WebAssembly.Module | undefined;
  /** Makes the function, for a shape number. */
  run(shape: number): RegionFunction;
}

/** Where a region begins. */
interface RegionPlace extends RegionKind {
  readonly header: number;
  /** Of the block there, physical. */
  readonly address: number;
  readonly mode: number;
  /** The page `k` pages behind the entry's. */
  readonly page: (k: number) => RegionPage | undefined;
}

/** Times a CALL is seen at the ends of slices until its function is taken in; instructions of that function's region, and such functions in a region, at most. */
const oftenCalled = 256;
const largestTakenIn = 120;
const mostTakenIn = 4;

const maximumGrowth = 1;
/** Instructions above which a region is not made anew for more. */
const largestGrowing = 200;
/** Made anew so many times because it gave up often, a region does not give up at all any more. */
const mostDoubted = 2;
const insidePatience = 16;
const mostDropped = 5;
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

/** Places in a block that are renewed one by one. */
const mostWritten = 16;

/** In place of a region that is no more; nothing leads there. */
const gone: RegionFunction = () => {
  throw new Error("a region that is gone was entered");
};

export class Regions {
  /** Live regions by shape number. */
  readonly live = new Map<number, Region>();
  /** Blocks that computed jumps went to: a bit for each word of the code array, set at their headers. */
  private readonly entered: Int32Array;
  translated = 0;
  /** Of these, the ones made on the other thread. */
  madeBeside = 0;
  invalidated = 0;
  evicted = 0;
  /** Times a region left an instruction to tier 0. */
  givenUp = 0;
  /** Of regions that are no more: times entered, and guest instructions that tier 0 executed in the blocks at their head before. */
  private entriesBefore = 0;
  private executedBefore = 0;
  /** Host milliseconds spent translating and handing code to V8, on this thread and on the other one. */
  milliseconds = 0;
  backgroundMilliseconds = 0;
  /** Makes regions beside the guest. */
  thread: RegionThread | undefined;
  /** Makes WebAssembly functions of regions, where the host has it. */
  wasm: RegionCompiler | undefined;
  /** Called with each region made, for debuggers and the inspector. */
  made: (region: Region) => void = () => {};

  private readonly cache: CodeCache;
  private readonly translator: Translator;
  private readonly host: HostNames;
  private readonly lent: RegionHost;
  private nextShape: number;
  /** Characters of the live regions' text. */
  private textLength = 0;
  /** Shape numbers below `nextShape` whose region is gone. */
  private readonly freeShapes: number[] = [];
  private readonly byPage = new Map<number, Region[]>();
  /** Regions by the physical addresses that their static exits lead to. */
  private readonly byExit = new Map<number, Region[]>();
  private readonly eviction: Eviction<Region>;
  /** How often a block's region was dropped for being idle, up to so many times: the next one must be earned by twice as many executions each time. */
  private readonly dropped = new Map<number, number>();
  private readonly losses = new Losses();
  private readonly doubts = new Doubts();
  /** Blocks for which no region can be made: not tried again. */
  private readonly refused = new Set<number>();
  /** Blocks whose regions the other thread cannot make. */
  private readonly onlyHere = new Set<number>();
  private readonly jobs = new RegionJobs<RegionPlace>();
  /** How often CALLs of regions were seen at the ends of slices, by their physical addresses. */
  private readonly timesCalled = new Map<number, number>();

  constructor(cache: CodeCache, translator: Translator, host: HostNames, lent: RegionHost) {
    this.cache = cache;
    this.translator = translator;
    this.host = host;
    this.lent = lent;
    this.eviction = new Eviction(lent.regionLimits, (region) => this.executions(region));
    this.nextShape = lent.firstShape;
    this.entered = new Int32Array((cache.C.length >>> 5) + 1);
  }

  /** A computed jump went to the block at `header`. */
  noteEntered(header: number): void {
    this.entered[header >>> 5] |= 1 << header;
  }

  /**
   * By how much the threshold of executions is raised for the block at `header`: doubled with each region lost on its page, and by more for code in the middle of a
   * region, which tier 0 only runs until it meets a region's entry. What leads into that code (a return site, a region's exit) should get the region instead.
   */
  patience(header: number): number {
    const address = this.cache.C[header - 3];
    const page = address >>> 12;
    const losses = this.losses.patience(page) * 2 ** (this.dropped.get(header) ?? 0);
    if (this.byExit.has(address) || (this.entered[header >>> 5] & (1 << header)) !== 0) return losses;
    const offset = address & 0xfff;
    const isInside =
      this.jobs.around(page, offset) !== undefined || (this.byPage.get(page) ?? []).some(({ ranges }) => includes(ranges, page, offset));
    return isInside ? insidePatience * losses : losses;
  }

  /**
   * The block at `header` is hot: translates the code from it on. If a deep region leaves to it, that one is made anew instead, for what was cold when it was made
   * belongs to it; two regions would share most of their code.
   */
  make(header: number, around: Surroundings, isDeep = false): void {
    const { C } = this.cache;
    const address = C[header - 3];
    for (const region of this.byExit.get(address) ?? []) {
      // An `edge` region has no other pages around it.
      if (
        region.mode !== (C[header - 2] & modeMask) ||
        around.within !== undefined ||
        !region.isDeep ||
        region.growth === maximumGrowth ||
        region.code.instructions > largestGrowing
      )
        continue;
      const exit = region.exitTo.get(address) as number;
      const shift = exit >> 12;
      // Another mapping of the same code, with other pages around it?
      if (around.page(-shift)?.address !== (C[region.header - 3] & ~0xfff) >>> 0) continue;
      const base = (around.base + (address & 0xfff) - exit) | 0;
      const others = { ...around, base, page: (k: number) => around.page(k - shift) };
      const grown = this.makeFrom(region.header, others, {
        isDeep: true,
        growth: region.growth + 1,
        takesIn: region.takesIn,
        doubted: region.doubted,
        replaces: region,
        wantedBy: header,
      });
      if (grown === undefined || (grown !== "asked for" && grown.exitTo.has(address))) break;
      return;
    }
    this.makeFrom(header, around, { isDeep, growth: 0, takesIn: [], doubted: 0 });
  }

  /** The region at `header` is entered so often that the calls it makes are worth taking in: makes it anew, deep. */
  deepen(header: number, around: () => Surroundings): void {
    const region = this.live.get(this.cache.C[header + 2] & shapeBits);
    if (region === undefined || region.isDeep) return;
    this.makeFrom(header, around(), { isDeep: true, growth: 0, takesIn: [], doubted: region.doubted, replaces: region });
  }

  /**
   * The region at `header` was about to be entered by a CALL when a slice ended. Where that is seen often, the caller's region takes the function in, although it has a region of its own, or would not be
   * worth it with all the others that the caller calls.
   * @param call page offset of the CALL in physical page `page`; @param around of an entry, for where the CALL is relative to the entry's page
   */
  called(header: number, page: number, call: number, around: (header: number, offset: number) => Surroundings | undefined): void {
    const callee = this.live.get(this.cache.C[header + 2] & shapeBits);
    if (callee === undefined || callee.code.instructions > largestTakenIn) return;
    const place = page * 0x1000 + call;
    const times = (this.timesCalled.get(place) ?? 0) + 1;
    this.timesCalled.set(place, times);
    if (times !== oftenCalled) return;
    const callers = (this.byPage.get(page) ?? []).filter(
      (region) => region !== callee && region.mode === callee.mode && includes(region.ranges, page, call),
    );
    const [caller] = callers.sort((a, b) => this.executions(b) - this.executions(a));
    if (caller === undefined || caller.takesIn.length === mostTakenIn) return;
    // On which of its pages the CALL is: where its entry's page is then.
    const distances = new Set(caller.code.ranges.map(([offset]) => offset & ~0xfff));
    const found = [...distances].map((distance) => around(caller.header, distance + call)).find((at) => at !== undefined);
    if (found === undefined) return;
    this.makeFrom(caller.header, found, {
      isDeep: caller.isDeep,
      growth: caller.growth,
      takesIn: [...caller.takesIn, header],
      doubted: caller.doubted,
      replaces: caller,
    });
  }

  /**
   * A region gave up at the instruction at physical address `address` (contract/sites.ts). Where that happens often, those that have it are made anew.
   * @param around of an entry, for where the instruction is relative to the entry's page
   */
  gaveUp(address: number, around: (header: number, offset: number) => Surroundings | undefined): void {
    this.givenUp++;
    if (!this.doubts.add(address)) return;
    const page = address >>> 12;
    const at = address & 0xfff;
    for (const region of [...(this.byPage.get(page) ?? [])]) {
      if (!includes(region.ranges, page, at)) continue;
      const { header, isDeep, growth, takesIn, doubted, code } = region;
      const distances = new Set(code.ranges.map(([offset]) => offset & ~0xfff));
      for (const distance of distances) {
        const found = code.doubtful.has(distance + at) ? undefined : around(header, distance + at);
        if (found === undefined) continue;
        this.makeFrom(header, found, { isDeep, growth, takesIn, doubted: doubted + 1, replaces: region });
        break;
      }
    }
  }

  /** Makes a region of the code from the block at `header` on, here and now, or asks the other thread for it. */
  private makeFrom(header: number, around: Surroundings, kind: RegionKind): Region | "asked for" | undefined {
    if (this.jobs.at(header) !== undefined) return "asked for";
    if (this.refused.has(header) || (this.freeShapes.length === 0 && this.nextShape > this.lent.lastShape)) return undefined;
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
      region = this.install(place, code, links, { module: undefined, run: (shape) => this.compiled(code, links, shape) });
      code.release();
      if (this.wasm !== undefined) this.thread?.madeHere(this.wasm.layout);
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
        return there !== undefined && this.losses.isPatched(there.address >>> 12, offset & 0xfff);
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
      hotCall: this.lent.hotCall,
    };
  }

  /** One or two instructions without a loop: entering and leaving would cost more than they do, but for a caller that is a region. */
  private least(isCallable: boolean): number {
    return isCallable && this.lent.callsSubroutines ? 1 : this.lent.smallestRegion;
  }

  /** Whether regions that the other thread was asked for have not come. */
  get isWaiting(): boolean {
    return !this.jobs.isEmpty;
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
    const before = this.translated;
    const { module, imports, name } = made;
    this.putInPlace(job, code, { module, run: (shape) => (this.wasm as RegionCompiler).addCompiled(module, imports, name, shape) });
    this.madeBeside += this.translated - before;
    this.milliseconds += performance.now() - started;
  }

  /** What was asked for is made. @param compiled as `install` has it */
  private putInPlace({ place, snapshot, links }: AskedFor<RegionPlace>, code: RegionCode, compiled: Compiled): void {
    if (code.instructions < this.least(code.isCallable)) {
      this.refused.add(place.header);
      return;
    }
    if (!this.isWanted(place, snapshot, code)) return;
    if (code.exits.length > snapshot.mostExits) throw new Error(`${snapshot.name}: more exits than ${snapshot.mostExits}`);
    this.install(place, code, links, compiled);
  }

  /** Whether a region that was asked for can be put in place: its block lives, and memory is as it was. (A block that has been asked for gets no other region.) */
  private isWanted({ header, address, page }: RegionPlace, snapshot: RegionSnapshot, { soft }: RegionFacts): boolean {
    const { C } = this.cache;
    if (C[header - 3] !== address || this.cache.isFull || (this.freeShapes.length === 0 && this.nextShape > this.lent.lastShape)) return false;
    const changed = changedByte(snapshot, (k) => (page(k) as RegionPage).bytes, soft);
    if (changed === undefined) return true;
    const there = page(changed >> 12) as RegionPage;
    this.losses.add(there.address >>> 12, changed & 0xfff, (changed & 0xfff) + 1, address >>> 12);
    return false;
  }

  /** Puts a region in place. */
  private install(place: RegionPlace, code: RegionCode, links: number, compiled: Compiled): Region {
    const { C } = this.cache;
    const { header, address, mode, isDeep, growth, takesIn, doubted, page, replaces, wantedBy } = place;
    const before = replaces !== undefined && this.live.get(replaces.shape) === replaces ? replaces : undefined;
    if (before !== undefined) this.uninstall(before);
    code.exits.forEach((offset, k) => {
      this.lent.addStub(links + k, offset, address & ~0xfff, code.wrapping.has(k) ? wrapping : 0);
    });
    const shape = this.freeShapes.pop() ?? this.nextShape++;
    const run = compiled.run(shape);
    const ranges = rangesByPage(code.ranges, page);
    this.textLength += code.size;
    const executions = C[header + 1] >>> 0;
    const region: Region = {
      code,
      run,
      header,
      instructions: C[header],
      firstShape: C[header + 2] & shapeBits,
      executions,
      coldExecutions: before === undefined ? executions : 0,
      executionsSeen: executions,
      slices: 0,
      use: 0,
      idlePeriods: 0,
      module: compiled.module,
      shape,
      isDeep,
      growth,
      takesIn,
      doubted,
      exitTo: new Map(
        code.exits.flatMap((offset) =>
          page(offset >> 12) === undefined ? [] : [[((page(offset >> 12) as RegionPage).address + (offset & 0xfff)) | 0, offset] as const],
        ),
      ),
      ranges,
      fixed: code.soft.size === 0 ? ranges : rangesByPage(without(code.ranges, code.soft), page),
      written: before?.written ?? [],
      mode,
    };
    this.live.set(shape, region);
    this.evict(this.eviction.beyondLimit(this.live.values(), region, this.textLength));
    this.lent.handlers[shape] = run;
    this.lent.targets.add(shape, address, mode);
    // The region keeps the budget itself: the block counts as none.
    C[header] = 0;
    C[header + 2] = (C[header + 2] & ~shapeBits) | shape;
    for (const [number, ranges] of region.ranges) {
      const onPage = this.byPage.get(number);
      if (onPage === undefined) this.byPage.set(number, [region]);
      else onPage.push(region);
      for (const [offset, length] of ranges) this.cache.coverRange(number, offset, offset + length);
    }
    for (const exit of region.exitTo.keys()) {
      const others = this.byExit.get(exit);
      if (others === undefined) this.byExit.set(exit, [region]);
      else others.push(region);
    }
    this.translated++;
    // Known to have run, but to earn a region of its own it must be entered from elsewhere.
    if (wantedBy !== undefined && !region.exitTo.has(C[wantedBy - 3])) C[wantedBy + 1] = 1;
    this.made(region);
    return region;
  }

  /** Host memory hangs on regions. @param retired guest instructions */
  evictIdle(retired: number): void {
    const idle = this.eviction.idle(this.live.values(), retired, this.textLength);
    for (const { header } of idle) this.dropped.set(header, Math.min(mostDropped, 1 + (this.dropped.get(header) ?? 0)));
    this.evict(idle);
  }

  private evict(regions: readonly Region[]): void {
    for (const region of regions) this.giveBack(region);
    this.evicted += regions.length;
  }

  /** As WebAssembly if that can be. */
  private compiled(code: RegionCode, links: number, shape: number): RegionFunction {
    const made = this.wasm?.addRegion(code, links, shape);
    if (made !== undefined) return made;
    const run = compile<RegionFunction>(code.text, code.freeNames, Object.create(this.host, { L: { value: links } }));
    this.wasm?.addRegionInJavaScript(run, shape);
    return run;
  }

  /** Whether any of bytes [from, to) of a page must stay what it is for some region. */
  covers(page: number, from: number, to: number): boolean {
    const list = this.byPage.get(page);
    return list?.some(({ fixed }) => overlaps(fixed, page, from, to)) === true;
  }

  /** Bytes [from, to) of a page were written: gives the blocks back whose region cannot do with others. True if there were some. */
  invalidate(page: number, from: number, to: number): boolean {
    const list = this.byPage.get(page);
    if (list === undefined) return false;
    const lost = list.filter(({ fixed }) => overlaps(fixed, page, from, to));
    if (lost.length === 0) return false;
    for (const region of lost) this.remove(region);
    this.losses.add(page, from, to);
    return true;
  }

  /**
   * Whether a region that lives on stands in for the block at `header`, of which bytes [from, to), counted from the first of its page, were written: what the block has of them is renewed when
   * it is given back.
   */
  standsOver(header: number, from: number, to: number): boolean {
    const region = this.live.get(this.cache.C[header + 2] & shapeBits);
    if (region?.header !== header) return false;
    const { written } = region;
    if (!written.some(([offset, end]) => offset <= from && end >= to)) written.push([from, to]);
    if (written.length > mostWritten) {
      const whole = [Math.min(...written.map(([offset]) => offset)), Math.max(...written.map(([, end]) => end))] as const;
      written.splice(0, written.length, whole);
    }
    return true;
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
      this.settle(b);
      heats.set(C[b - 3] & 0xfff, instructions > largest ? -1 : C[b + 1]);
    }
    return heats;
  }

  /** Of the region that the block at `header` heads, or will head soon; 0: none. */
  private instructionsOf(header: number): number {
    return this.jobs.at(header)?.snapshot.instructions ?? this.live.get(this.cache.C[header + 2] & shapeBits)?.code.instructions ?? 0;
  }

  /** Byte ranges of the page's regions: they count as covered. */
  *rangesOn(page: number): IterableIterator<readonly [number, number]> {
    for (const region of this.byPage.get(page) ?? []) yield* region.ranges.get(page) ?? [];
  }

  /** Times a region was entered through the dispatcher's loop. */
  get entries(): number {
    let sum = this.entriesBefore;
    for (const region of this.live.values()) sum += this.executions(region) - region.executions;
    return sum;
  }

  /** A slice ended at `header`. If a region heads the block: brings the block's counter up to date, which other regions leave alone. */
  settle(header: number): void {
    const region = this.live.get(this.cache.C[header + 2] & shapeBits);
    if (region === undefined) return;
    this.executions(region);
    region.slices++;
  }

  private executions({ header, shape }: Region): number {
    const { C } = this.cache;
    C[header + 1] += this.lent.targets.takeEntries(shape);
    return C[header + 1] >>> 0;
  }

  /** Guest instructions that tier 0 executed in blocks that head regions now, or did. */
  get tierZeroInstructions(): number {
    let sum = this.executedBefore;
    for (const { instructions, coldExecutions } of this.live.values()) sum += instructions * coldExecutions;
    return sum;
  }

  private remove(region: Region): void {
    this.giveBack(region);
    this.invalidated++;
  }

  /** The block runs again, as one that never did: what was written of it meanwhile is decoded anew, or else it dies. */
  private giveBack(region: Region): void {
    const { header, written } = region;
    this.uninstall(region);
    this.cache.C[header + 1] = 0;
    if (written.length === 0 || this.cache.C[header - 3] === -1) return;
    if (written.every(([from, to]) => this.cache.renew(header, from, to))) this.cache.giveBack(header);
    else this.cache.kill(header);
  }

  /** Puts the words of the block back. */
  private uninstall(region: Region): void {
    const { C } = this.cache;
    const { header } = region;
    this.entriesBefore += this.executions(region) - region.executions;
    this.executedBefore += region.instructions * region.coldExecutions;
    this.live.delete(region.shape);
    for (const number of region.ranges.keys()) drop(this.byPage, number, region);
    for (const exit of region.exitTo.keys()) drop(this.byExit, exit, region);
    this.textLength -= region.code.size;
    // Guest code that keeps changing must not keep what was made of it alive. The region itself may be running: that is the host's stack's matter.
    this.lent.handlers[region.shape] = gone;
    this.lent.targets.remove(region.shape);
    this.wasm?.removeRegion(region.shape);
    this.freeShapes.push(region.shape);
    C[header] = region.instructions;
    C[header + 2] = (C[header + 2] & ~shapeBits) | region.firstShape;
  }

  /** The block at `header` is no more: what comes in its place is another matter. */
  died(header: number): void {
    this.refused.delete(header);
    this.dropped.delete(header);
    this.onlyHere.delete(header);
  }

  /** The code cache was flushed. */
  clear(): void {
    this.entriesBefore = this.entries;
    this.executedBefore = this.tierZeroInstructions;
    for (const shape of this.live.keys()) {
      this.lent.handlers[shape] = gone;
      this.lent.targets.remove(shape);
      this.wasm?.removeRegion(shape);
    }
    this.live.clear();
    this.textLength = 0;
    this.freeShapes.length = 0;
    this.nextShape = this.lent.firstShape;
    this.byPage.clear();
    this.byExit.clear();
    this.entered.fill(0);
    this.refused.clear();
    this.dropped.clear();
    this.onlyHere.clear();
    this.timesCalled.clear();
    this.jobs.clear();
    this.losses.clear();
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

function drop(map: Map<number, Region[]>, key: number, region: Region): void {
  const left = (map.get(key) ?? []).filter((other) => other !== region);
  if (left.length === 0) map.delete(key);
  else map.set(key, left);
}
