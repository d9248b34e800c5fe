/**
 * Generated code as WebAssembly: no warm-up, no feedback. Each shape's handler becomes a function in a table, made with all others that are new when it is first run; the
 * commonest then become cases of tier 0's loop itself, which is made anew as the profile tells them. A region is a function in the same table. Where the translator has
 * handlers prepared, all that is known before the guest is comes in one module: the helpers, those handlers, and a loop with the commonest of them in line.
 *
 * What WebAssembly cannot do is done by JavaScript: the dispatcher's own instructions, the few shapes and regions that are refused. A guest exception in a function of
 * the host is told by a word, `place[1]`, whether the function notes it there itself (`Cpu.note`) or throws it and is guarded; `place[0]` says where it was.
 */
import { slot } from "../../translator/contract/slots.ts";
import type { RegionCode, Translator } from "../../translator/contract/translator.ts";
import { type HostHandler, loopCase as loopCaseImported, type WasmImport, type WasmLayout, type WasmModule } from "../../translator/contract/wasm.ts";
import { type CodeCache, shapeBits as shapeBitsImported } from "../code/code-cache.ts";
import { compile, type HostNames, instantiate, moduleOf, wrapper } from "../code/compile.ts";
import { faultBlock, firstRegionShape, firstShape, type Handler, pseudo, stopBlock } from "../code/pseudo-shapes.ts";
import type { RegionTargets } from "../code/region-targets.ts";
import type { Cpu } from "../cpu/cpu.ts";
import type { EventKind } from "../cpu/interrupts.ts";
import { dispatchHandler, eventCallouts, eventHelpers } from "./event-helpers.ts";
import type { JumpCache } from "./jump-cache.ts";
import { calloutHelpersFor, elsewhere, helperTexts } from "./wasm-helpers.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const shapeBits = shapeBitsImported;
const loopCase = loopCaseImported;
const { page, tlbHalf } = slot;

type Run = (p: number) => number;
type HostFunction = (...args: unknown[]) => number;

/** Callouts and the slow paths of memory: what may raise a guest exception, and is no way back into the dispatcher. */
const mayFault = /^(v_\w+|ldw?[124]|st[124]|sg[124]|checkSegment|findPlace)$/;
/** Functions that yield doubles. */
const doubles = new Set(["readDouble", "readSingle", "doubleLimit", "singleLimit", "readRam"]);

/** Handlers in line in the loop, at most. */
const mostInLine = 400;
/** Of these, those that were met lately and were not in line, at most. */
const mostNew = 150;
/** Slices that end in tier 0 between two looks at what it executes, at first and at most: each loop made is to run longer than the one before. */
const firstWindow = 64;
const longestWindow = 1024;
/** When a new loop is worth making: instructions seen, and the share of them that are not in line. */
const worthMaking = { seen: 1, share: 1 / 8 };
/**
 * Instead of a prepared one, whose handlers' trees are yet to be made, and which is fast already: a new one is V8's baseline code until that is optimised, and what is hot will have regions by
 * then.
 */
const worthReplacing = { seen: 1024, share: 1 / 2 };

/** The dispatcher's own instructions that are met often (pseudo-handlers.ts). */
const hostHandlers: readonly HostHandler[] = [
  { number: pseudo.fall, text: "(p) => { return C[p + 1]; }" },
  {
    number: pseudo.crossPage,
    text: `(p) => {
      const eip = (R[${page}] + C[p + 1]) | 0;
      const T = TX[R[${tlbHalf}] + (eip >>> 12)];
      if ((T & 1) !== 0 || ((T ^ eip) & -4096) !== C[p + 3]) return slow(p);
      R[${page}] = eip & -4096;
      return ~C[p + 4];
    }`,
  },
  dispatchHandler,
];

export interface WasmTierHost {
  /** That of everything below. */
  readonly memory: WebAssembly.Memory;
  readonly cache: CodeCache;
  /** The handlers in JavaScript, by shape number. */
  readonly H: readonly Handler[];
  readonly names: HostNames;
  /** Functions that take the place of some of `names`: they note guest exceptions (`Cpu.note`), so they need no guard. */
  readonly noting: HostNames;
  readonly jumps: JumpCache;
  readonly targets: RegionTargets;
  /** What regions know of their callers (contract/slots.ts, jsCall). */
  readonly J: Int32Array;
  /** One for each shape number (`WasmLayout.cases`). */
  readonly cases: Uint16Array;
  /** The slice is used up at a header: the one to go on at. */
  readonly attend: (p: number) => number;
  /** Whether the host's WebAssembly has tail calls and vectors: without, regions cannot go on into each other, and are left to JavaScript. */
  readonly tailCalls: boolean;
  /** What is hot is not tier 0's for long. */
  readonly hasRegions: boolean;
  /** Somebody looks at the callouts: all are to be called. */
  readonly observesCallouts: boolean;
  /** Words of a shape by number. */
  readonly sizes: readonly number[];
}

export class WasmTier {
  /** Executes the block at a header and all that follows, until it is told to stop. */
  run: Run;
  private readonly host: WasmTierHost;
  private readonly translator: Translator;
  private readonly memory: WebAssembly.Memory;
  private readonly table: WebAssembly.Table;
  /** The loop that is there before anything is known of the guest, and the translator's numbers of those in line in it. */
  private readonly firstRun: Run;
  private readonly firstInLine: readonly number[];
  /** Shapes of the translator below this one have their functions from the beginning. */
  readonly preparedShapes: number;
  /** 1 for each number of the host that is in line in the loop that runs. */
  private readonly inLine = new Uint8Array(shapeBits + 1);
  private readonly helpers: Record<string, WebAssembly.ExportValue> = {};
  private readonly deliver: (exception: number, kind: EventKind, errorCode: number) => number;
  private readonly names: HostNames;
  private readonly place: Int32Array;
  private readonly cases: Uint16Array;
  /** What code is made for. */
  readonly layout: WasmLayout;
  private readonly bound = new Map<string, WebAssembly.ImportValue>();
  /** Shape numbers of the host that have no function yet. */
  private readonly pending = new Set<number>();
  /** Looks at tier 0 so far, in this window; instructions seen; and those that are functions of the table. */
  private slices = 0;
  private seen = 0;
  private seenElsewhere = 0;
  private readonly elsewhere = new Map<number, number>();
  private window = firstWindow;
  /** What modules of regions export. */
  private readonly regionFunctions = new WeakMap<WebAssembly.Module, Readonly<Record<string, unknown>>>();
  private readonly worth: typeof worthMaking;

  constructor(cpu: Cpu, translator: Translator, host: WasmTierHost) {
    this.translator = translator;
    this.host = host;
    const { memory } = cpu;
    const { physical } = memory;
    this.memory = host.memory;
    this.place = cpu.noted;
    this.cases = host.cases;
    const { C } = host.cache;
    this.names = {
      ...host.names,
      attend: (p: number) => {
        this.endOfSlice(p);
        return host.attend(p);
      },
      slow: (p: number) => this.slow(p),
      W: this.place,
    };
    const words = (a: Int32Array) => ({ kind: "i32", offset: a.byteOffset }) as const;
    const plain = [...helperTexts, ...eventHelpers];
    const helpers = host.observesCallouts ? plain : [...plain, { ...calloutHelpersFor(host.tailCalls), ...eventCallouts }];
    const functions = [
      ...Object.keys(this.names).filter((name) => typeof this.names[name] === "function"),
      ...helpers.flatMap((group) => Object.keys(group).flatMap((name) => [name, name + elsewhere])),
    ];
    this.layout = {
      pages: physical.host.pages,
      arrays: {
        C: words(C),
        KP: words(host.cache.coverage.owners),
        KB: words(host.cache.coverage.frames),
        R: words(cpu.R),
        TR: words(memory.TR),
        TW: words(memory.TW),
        TX: words(memory.TX),
        SW: words(memory.sites.SW),
        SL: words(memory.sites.SL),
        F: { kind: "f64", offset: cpu.F.byteOffset },
        JW: words(host.jumps.words),
        JP: words(host.jumps.shared),
        RJ: words(host.targets.jumps),
        RG: words(host.targets.regions),
        X: { kind: "f64", offset: cpu.exitCounts.byteOffset },
        K: { kind: "f64", offset: cpu.x87Doubles.byteOffset },
        AT: words(cpu.aesTable),
        J: words(host.J),
        EV: words(cpu.attention),
        U16: { kind: "i16", offset: physical.base, isBytewise: true },
        U32: { kind: "i32", offset: physical.base, isBytewise: true },
        S: { kind: "f32", offset: cpu.R.byteOffset },
        M8: { kind: "i8", offset: physical.base, isAligned: true },
        M16: { kind: "i16", offset: physical.base, isAligned: true },
        M32: { kind: "i32", offset: physical.base, isAligned: true },
        MS: { kind: "f32", offset: physical.base, isAligned: true },
        M64: { kind: "f64", offset: physical.base, isAligned: true },
      },
      place: this.place.byteOffset,
      faulted: this.place.byteOffset + 4,
      faultBlock,
      mayFault: new Set(functions.filter((name) => mayFault.test(name))),
      cases: this.cases.byteOffset,
      firstShape,
      tableSize: shapeBits + 1,
      stopBlock,
      tailCalls: host.tailCalls,
      functions: new Set(functions),
      doubles,
      helpers: new Set(helpers.flatMap((group) => Object.keys(group))),
    };
    this.table = new WebAssembly.Table({ initial: shapeBits + 1, maximum: shapeBits + 1, element: "anyfunc" });
    const prepared = translator.prepared({ layout: this.layout, helpers, own: hostHandlers });
    if (prepared === undefined) {
      for (const group of helpers) Object.assign(this.helpers, this.make(translator.helpers(group, this.layout)));
      this.firstRun = this.make(translator.loop([], hostHandlers, this.layout)).run as Run;
    } else {
      const { run, ...others } = this.make(prepared);
      Object.assign(this.helpers, others);
      this.firstRun = run as Run;
    }
    this.deliver = this.helpers.enterHandler as typeof this.deliver;
    this.preparedShapes = prepared?.shapeCount ?? 0;
    this.firstInLine = prepared?.inLine ?? [];
    this.worth = prepared === undefined || !host.hasRegions ? worthMaking : worthReplacing;
    this.run = this.firstRun;
    this.forget();
  }

  /** Index in C of the instruction under way when a function of the host was called last. */
  get where(): number {
    return this.place[0];
  }

  /** Delivers an event if nothing about it is unusual (event-helpers.ts): whether it did. @param exception a fault, if it is an exception. @param errorCode -1: none */
  enterHandler(exception: number, kind: EventKind, errorCode: number): boolean {
    return this.deliver(exception, kind, errorCode) !== 0;
  }

  /** The fault block runs: index in C of the instruction that met the exception. */
  takeFault(): number {
    this.place[1] = 0;
    return this.place[2];
  }

  /** A shape (the host's number) has been met. */
  add(number: number): void {
    if (number >= firstShape + this.preparedShapes) this.pending.add(number);
  }

  /** A function for a region. @param links what L is in its text; @param shape its shape number */
  addRegion(code: RegionCode, links: number, shape: number): Handler | undefined {
    const { bytes, imports, shapes } = this.translator.regionsModule([{ code, links }], this.layout);
    return shapes.length === 0 ? undefined : this.addCompiled(moduleOf(bytes), imports, "r0", shape);
  }
  /** The same for one that is compiled already, perhaps with others. @param imports of the module; @param name what it exports the function as */
  addCompiled(module: WebAssembly.Module, imports: readonly WasmImport[], name: string, shape: number): Handler {
    let functions = this.regionFunctions.get(module);
    if (functions === undefined) {
      functions = this.instantiate(module, imports);
      this.regionFunctions.set(module, functions);
    }
    const run = functions[name] as Handler;
    this.table.set(shape, run);
    this.cases[shape] = loopCase.table;
    return run;
  }
  /** The same for one in JavaScript. */
  addRegionInJavaScript(run: Handler, shape: number): void {
    this.table.set(shape, instantiate(moduleOf(wrapper), { f: run }).f);
    this.cases[shape] = loopCase.slow;
  }
  removeRegion(shape: number): void {
    this.table.set(shape, null);
    this.cases[shape] = loopCase.slow;
  }

  /** All shapes are forgotten. Nothing of the guest is under way. */
  forget(): void {
    this.pending.clear();
    this.cases.fill(loopCase.slow);
    this.cases.fill(loopCase.table, firstShape, firstShape + this.preparedShapes);
    this.goOnIn(this.firstRun, this.firstInLine);
    this.window = firstWindow;
    this.beginWindow();
  }

  private beginWindow(): void {
    this.slices = 0;
    this.seen = 0;
    this.seenElsewhere = 0;
    this.elsewhere.clear();
  }

  /** An instruction without a function. If it gets one now, the loop goes on there: the index as it was. */
  private slow(p: number): number {
    const number = this.host.cache.C[p] & shapeBits;
    if (this.pending.has(number)) {
      this.makePending();
      if (this.cases[number] !== loopCase.slow) return p;
    }
    const handler = this.host.H[number];
    return handler(p);
  }

  private makePending(): void {
    const shapes = [...this.pending].map((number) => number - firstShape);
    this.pending.clear();
    const module = this.translator.handlers(shapes, this.layout);
    const handlers = this.make(module);
    module.shapes.forEach((shape, k) => {
      this.table.set(shape + firstShape, handlers[`h${k}`]);
      this.cases[shape + firstShape] = loopCase.table;
    });
  }

  /** Between blocks, at a header: a loop made now is the one to be run next. */
  private endOfSlice(header: number): void {
    const { C } = this.host.cache;
    // A stub.
    if (C[header] === 0) return;
    for (let p = header + 2; p < C[header - 1]; ) {
      const number = C[p] & shapeBits;
      if (number >= firstRegionShape) return;
      if (number >= firstShape) {
        this.seen++;
        if (this.inLine[number] === 0) {
          this.seenElsewhere++;
          this.elsewhere.set(number, (this.elsewhere.get(number) ?? 0) + 1);
        }
      }
      p += this.host.sizes[number] ?? 1;
    }
    if (++this.slices < this.window || this.seen < this.worth.seen) return;
    if (this.seenElsewhere > this.seen * this.worth.share) {
      if (this.window < longestWindow) this.window *= 2;
      this.makeLoop();
    }
    this.beginWindow();
  }

  private makeLoop(): void {
    const module = this.translator.loop(this.commonest(), hostHandlers, this.layout);
    this.goOnIn(this.make(module).run as Run, module.shapes);
  }

  /** Another loop, from the next `run` on. */
  private goOnIn(run: Run, shapes: readonly number[]): void {
    this.run = run;
    this.inLine.fill(0);
    for (const shape of shapes) this.inLine[shape + firstShape] = 1;
  }

  /** Shapes (the translator's numbers): the commonest of those that were met lately and were not in line, then the commonest of all by executions. */
  private commonest(): number[] {
    const { cache, sizes } = this.host;
    const { C } = cache;
    const counts = new Map<number, number>();
    for (const { header, executions } of cache.live()) {
      // A region's block has its own words elsewhere.
      if (executions < 16 || (C[header + 2] & shapeBits) >= firstRegionShape) continue;
      for (let p = header + 2; p < C[header - 1]; ) {
        const number = C[p] & shapeBits;
        if (this.cases[number] !== loopCase.slow && number >= firstShape && number < firstRegionShape)
          counts.set(number, (counts.get(number) ?? 0) + executions);
        p += sizes[number] ?? 1;
      }
    }
    const byCount = (those: Map<number, number>): number[] => [...those].sort((a, b) => b[1] - a[1]).map(([number]) => number);
    const lately = byCount(this.elsewhere).filter((number) => this.cases[number] !== loopCase.slow);
    const chosen = new Set([...lately.slice(0, mostNew), ...byCount(counts)]);
    return [...chosen].slice(0, mostInLine).map((number) => number - firstShape);
  }

  private make({ bytes, imports }: Pick<WasmModule, "bytes" | "imports">): WebAssembly.Exports {
    return this.instantiate(moduleOf(bytes), imports);
  }

  private instantiate(module: WebAssembly.Module, imports: readonly WasmImport[]): WebAssembly.Exports {
    const values: WebAssembly.ModuleImports = { memory: this.memory, table: this.table };
    for (const i of imports) values[i.key] = this.bind(i);
    return instantiate(module, values);
  }

  /** A function of the host without the CPU as its first argument. */
  private bind({ key, name, parameters }: WasmImport): WebAssembly.ImportValue {
    if (name in this.helpers) return this.helpers[name] as WebAssembly.ImportValue;
    let value = this.bound.get(key);
    if (value === undefined) {
      const own = name.endsWith(elsewhere) ? name.slice(0, -elsewhere.length) : name;
      const noting = this.host.noting[own] as HostFunction | undefined;
      value = noting ?? (mayFault.test(own) ? this.guarded(own, parameters) : (this.names[own] as HostFunction));
      this.bound.set(key, value);
    }
    return value;
  }

  /**
   * A function of the host that may raise a guest exception, which is caught and noted; a callout without its CPU. Each has code of its own: V8 would never learn which one
   * a shared closure calls.
   */
  private guarded(name: string, parameters: number): HostFunction {
    const list = Array.from({ length: parameters }, (_, k) => `a${k}`);
    const args = name.startsWith("v_") ? ["cpu", ...list] : list;
    const text = `function (${list.join(", ")}) {
      try { return ${name}(${args.join(", ")}); } catch (e) { guestFault(e); W[1] = 1; W[2] = W[0]; return 0; }
    }`;
    return compile(text, [name, "cpu", "guestFault", "W"], this.names);
  }
}
