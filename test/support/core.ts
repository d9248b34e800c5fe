/**
 * The execution core without a machine around it: CPU, memory, dispatcher and translator on a board of test doubles, with the tables of a small protected-mode
 * system at fixed places. Every vector's handler is one HLT in ring 0, so that an exception ends `run` with the guest's own view of it on the stack.
 *
 * Two tiers to compare: `cold` is tier 0 alone; `hot` makes a region of every block as soon as it has run.
 */
import { spillAll, statusWord } from "../../runtime/callouts/x87/registers.ts";
import type { RegionLimits } from "../../runtime/code/eviction.ts";
import type { RegionThread } from "../../runtime/code/region-thread.ts";
import type { Region } from "../../runtime/code/regions.ts";
import { Cpu, type CpuBoard } from "../../runtime/cpu/cpu.ts";
import { getEflags, setEflags } from "../../runtime/cpu/flags.ts";
import { updateMode } from "../../runtime/cpu/mode.ts";
import { Dispatcher } from "../../runtime/execute/dispatcher.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { mode as modes } from "../../translator/contract/mode-key.ts";
import { segment, slot } from "../../translator/contract/slots.ts";
import type { Translator } from "../../translator/contract/translator.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import type { Program } from "./assembler.ts";

/** Physical addresses; linear ones are the same unless a test maps otherwise. */
export const place = {
  pageDirectory: 0x1000,
  pageTable: 0x2000,
  gdt: 0x4000,
  idt: 0x5000,
  tss: 0x6000,
  handlers: 0x7000,
  stack0: 0xa000,
  code: 0x10000,
  data: 0x20000,
  stack: 0x30000,
} as const;
export const selector = { code0: 0x08, data0: 0x10, code3: 0x1b, data3: 0x23, tss: 0x28 } as const;
/** Page table entry bits. */
export const pte = { present: 1, writable: 2, user: 4, accessed: 32, dirty: 64, global: 256 } as const;

/** Bytes of device memory behind RAM, for tests that show it somewhere. */
export const deviceMemory = 0x4000;

const errorCodeVectors = new Set([8, 10, 11, 12, 13, 14, 17]);

/** What ended a run. */
export interface Stop {
  /** "exception": a handler was entered; "halted": HLT in the program itself; "limit": the instructions asked for have run. */
  readonly kind: "exception" | "halted" | "limit" | "shutdown";
  readonly vector: number;
  readonly errorCode: number;
  readonly eip: number;
  readonly eflags: number;
  readonly cr2: number;
}

export interface CoreOptions {
  readonly hot?: boolean;
  /** Hot: instructions between two rounds of making regions, at first; later rounds are longer. */
  readonly step?: number;
  readonly memory?: number;
  readonly slice?: number;
  /** Executions after which a block's instructions are fused; as they are decoded unless told. */
  readonly fuseThreshold?: number;
  readonly translator?: Translator;
  /** Executions after which a block found running at a slice's end gets a region; none do unless told. */
  readonly regionThreshold?: number;
  /** Makes regions. */
  readonly regionThread?: RegionThread;
  /** Beyond which regions are dropped. */
  readonly regionLimits?: Partial<RegionLimits>;
  /** Optimisations that the dispatcher leaves out. */
  readonly disabled?: ReadonlySet<string>;
  /** Nanoseconds between looks around, for all of them. */
  readonly betweenPolls?: number;
}

export class Core {
  readonly physical: PhysicalMemory;
  readonly cpu: Cpu;
  readonly dispatcher: Dispatcher;
  readonly translator: Translator;
  readonly hot: boolean;
  readonly step: number;
  /** The interrupt controller: INTR level and the vector it answers with; `acknowledged` counts. */
  readonly interrupts = { pending: false, vector: 0x20, acknowledged: 0 };
  readonly portWrites: { port: number; size: number; value: number }[] = [];
  portRead: (port: number, size: number) => number = () => -1;
  portWrite: (port: number, size: number, value: number) => void = () => {};
  /** Called at each of the dispatcher's looks around. */
  poll: () => void = () => {};
  now = 0;

  constructor(options: CoreOptions = {}) {
    this.hot = options.hot ?? false;
    this.step = options.step ?? 20;
    this.physical = new PhysicalMemory(options.memory ?? 1 << 20, deviceMemory);
    this.translator = options.translator ?? new JavaScriptTranslator();
    const { interrupts } = this;
    const board: CpuBoard = {
      physical: this.physical,
      ports: {
        read: (port, size) => this.portRead(port, size),
        write: (port, size, value) => {
          this.portWrites.push({ port, size, value });
          this.portWrite(port, size, value);
        },
      },
      clock: { now: () => this.now, counter: () => this.now, timer: () => ({ at() {}, cancel() {}, deadline: Infinity }) },
      interrupts: {
        get pending() {
          return interrupts.pending;
        },
        acknowledge: () => {
          interrupts.pending = false;
          interrupts.acknowledged++;
          return interrupts.vector;
        },
      },
      tscPerNanosecond: 1,
      setFerr() {},
    };
    this.cpu = new Cpu(board);
    this.dispatcher = new Dispatcher(this.cpu, this.translator, {
      poll: () => this.poll(),
      codeWords: 1 << 20,
      smallestRegion: 1,
      fuseThreshold: options.fuseThreshold ?? 0,
      regionThread: options.regionThread,
      ...(options.disabled === undefined ? {} : { disabled: options.disabled }),
      ...(options.regionLimits === undefined ? {} : { regionLimits: options.regionLimits }),
      ...(options.regionThreshold === undefined ? {} : { regionThreshold: options.regionThreshold }),
      ...(options.betweenPolls === undefined ? {} : { betweenPolls: () => options.betweenPolls as number }),
      ...(options.slice === undefined ? {} : { sliceInstructions: options.slice }),
    });
  }

  /** As after construction: power-on state, memory zeroed, no translated code. Cheaper than a new one. */
  reset(): this {
    this.dispatcher.forget();
    this.physical.u8.fill(0);
    this.cpu.reset();
    Object.assign(this.interrupts, { pending: false, vector: 0x20, acknowledged: 0 });
    this.portWrites.length = 0;
    this.portRead = () => -1;
    this.portWrite = () => {};
    this.poll = () => {};
    this.now = 0;
    return this;
  }

  get R(): Int32Array {
    return this.cpu.R;
  }
  get eip(): number {
    return this.R[slot.eip] >>> 0;
  }
  get eflags(): number {
    return getEflags(this.R);
  }
  set eflags(value: number) {
    setEflags(this.R, value);
    updateMode(this.cpu);
  }
  reg(name: "eax" | "ecx" | "edx" | "ebx" | "esp" | "ebp" | "esi" | "edi"): number {
    return this.R[slot[name]] >>> 0;
  }

  /** Code or data, as a loader or a DMA device would put it there. */
  load(program: Program): this {
    this.physical.writeBytes(program.origin, program.bytes);
    return this;
  }
  bytes(address: number, length: number): number[] {
    return [...this.physical.readBytes(address, length)];
  }

  // ---- modes

  /** Flat 32-bit protected mode, all segments flat, at `place.code`; paging on with an identity map of RAM unless told otherwise. */
  protectedMode(ring: 0 | 3, paging = true): this {
    const { physical, R } = this;
    this.cpu.reset();
    const entry = (at: number, access: number, flags: number, base = 0, limit = 0xfffff): void => {
      physical.write4(at, (limit & 0xffff) | (base << 16));
      physical.write4(at + 4, ((base >>> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (flags << 20) | (base & 0xff000000));
    };
    entry(place.gdt + selector.code0, 0x9b, 0xc);
    entry(place.gdt + selector.data0, 0x93, 0xc);
    entry(place.gdt + (selector.code3 & ~3), 0xfb, 0xc);
    entry(place.gdt + (selector.data3 & ~3), 0xf3, 0xc);
    entry(place.gdt + selector.tss, 0x8b, 0, place.tss, 0x67);
    physical.write4(place.tss + 4, place.stack0);
    physical.write4(place.tss + 8, selector.data0);
    for (let v = 0; v < 256; v++) {
      const handler = place.handlers + 16 * v;
      // Interrupt gates; software may use INT3, INTO and everything from 80h on.
      physical.write4(place.idt + 8 * v, (selector.code0 << 16) | (handler & 0xffff));
      physical.write4(place.idt + 8 * v + 4, (handler & 0xffff0000) | (v === 3 || v === 4 || v >= 0x80 ? 0xee00 : 0x8e00));
      physical.write1(handler, 0xf4);
    }
    const all = pte.present | pte.writable | pte.user;
    physical.write4(place.pageDirectory, place.pageTable | all);
    physical.u8.fill(0, place.pageTable, place.pageTable + 0x1000);
    for (let page = 0; page < this.physical.size; page += 0x1000) physical.i32[(place.pageTable >>> 2) + (page >>> 12)] = page | all;
    R[slot.cr0] = paging ? 0x80010031 | 0 : 0x31;
    R[slot.cr3] = place.pageDirectory;
    R[slot.cr4] = 0x600;
    R[slot.gdtBase] = place.gdt;
    R[slot.gdtLimit] = 0x2f;
    R[slot.idtBase] = place.idt;
    R[slot.idtLimit] = 0x7ff;
    R[slot.selector + segment.tr] = selector.tss;
    R[slot.segmentBase + segment.tr] = place.tss;
    R[slot.segmentLimit + segment.tr] = 0x67;
    R[slot.segmentAccess + segment.tr] = 0x8b00;
    this.enterRing(ring);
    R[slot.fpuControl] = 0x37f;
    R[slot.fpuEmpty] = 0xff;
    R[slot.esp] = place.stack;
    R[slot.eip] = place.code;
    this.eflags = 0x202;
    this.cpu.memory.flush(true);
    return this;
  }

  private enterRing(ring: number): void {
    const { R } = this;
    for (let s = 0; s < 6; s++) {
      R[slot.selector + s] = s === segment.cs ? (ring === 3 ? selector.code3 : selector.code0) : ring === 3 ? selector.data3 : selector.data0;
      R[slot.segmentBase + s] = 0;
      R[slot.segmentLimit + s] = -1;
      R[slot.segmentAccess + s] = (s === segment.cs ? 0x9b00 : 0x9300) | (ring << 13) | 0xc00000;
    }
    R[slot.cpl] = ring;
  }

  /** Real mode, all segments at 0, at `place.code` (as 1000:0000). Vectors are one HLT each at 0:0600. */
  realMode(): this {
    const { R, physical } = this;
    this.cpu.reset();
    for (let v = 0; v < 256; v++) {
      physical.write4(4 * v, 0x600 + v);
      physical.write1(0x600 + v, 0xf4);
    }
    R[slot.selector + segment.cs] = place.code >>> 4;
    R[slot.segmentBase + segment.cs] = place.code;
    R[slot.eip] = 0;
    R[slot.esp] = 0xf000;
    this.eflags = 0x202;
    return this;
  }

  /** Sets the page table entry of `linear` (below 4 MiB); the caller flushes, unless the entry was not present. */
  map(linear: number, physicalPage: number, bits: number): void {
    this.physical.write4(place.pageTable + (linear >>> 12) * 4, (physicalPage & ~0xfff) | bits);
  }
  flush(): void {
    this.cpu.memory.flush(true);
  }
  /** Gives `vector` an interrupt gate to `handler`. */
  handler(vector: number, handler: number): void {
    this.physical.write4(place.idt + 8 * vector, (selector.code0 << 16) | (handler & 0xffff));
    this.physical.write4(place.idt + 8 * vector + 4, (handler & 0xffff0000) | 0xee00);
  }

  // ---- running

  /** Makes a region of every block that has run and has none, if `choose` says so. */
  promote(choose: () => boolean = () => true): void {
    const { cache } = this.dispatcher;
    for (const { header, address, mode, executions } of [...cache.live()]) {
      if (cache.C[header] === 0 || executions === 0 || (mode & modes.singleStep) !== 0 || cache.isFull || !choose()) continue;
      // An earlier region of this round cannot have changed what the list says: making one kills no block.
      this.dispatcher.promotion.makeRegion(header, address & ~0xfff, true);
    }
    // Where another thread makes them.
    this.dispatcher.making.receive();
  }

  /** The region made of the code at a linear address, which has run. */
  makeRegion(address: number): Region {
    const { cache, promotion, regions } = this.dispatcher;
    const header = cache.find(address, this.R[slot.mode]);
    if (header <= 0) throw new Error(`no block at ${address.toString(16)}`);
    promotion.makeRegion(header, address & ~0xfff);
    const region = [...regions.live.values()].find((r) => r.header === header);
    if (region === undefined) throw new Error(`no region at ${address.toString(16)}`);
    return region;
  }

  run(limit = 100_000): Stop {
    if (!this.hot) return this.stopFor(this.dispatcher.run(limit));
    let step = this.step;
    const end = this.dispatcher.retired + limit;
    for (let round = 0; ; round++) {
      const reason = this.dispatcher.run(Math.min(step, end - this.dispatcher.retired));
      if (reason !== "slice" || this.dispatcher.retired >= end) return this.stopFor(reason);
      this.promote();
      if (round >= 6) step *= 2;
    }
  }

  /** What a return of the dispatcher's `run` means. */
  stopFor(reason: string): Stop {
    const { R } = this;
    const eip = this.eip;
    const none = { vector: -1, errorCode: -1, eip, eflags: this.eflags, cr2: R[slot.cr2] >>> 0 };
    if (reason === "shutdown") return { kind: "shutdown", ...none };
    if (reason !== "halted") return { kind: "limit", ...none };
    const base = this.cpu.isProtected ? place.handlers : 0x600;
    const isWide = this.cpu.isProtected;
    const vector = isWide ? (eip - 1 - base) >> 4 : eip - 1 - base;
    if (eip <= base || vector > 255 || R[slot.cpl] !== 0) return { kind: "halted", ...none };
    const sp = R[slot.segmentBase + segment.ss] + (isWide ? R[slot.esp] : R[slot.esp] & 0xffff);
    const at = (n: number): number => (isWide ? this.read4(sp + 4 * n) : this.physical.read2(sp + 2 * n));
    const hasCode = isWide && errorCodeVectors.has(vector);
    const first = hasCode ? 1 : 0;
    return { kind: "exception", vector, errorCode: hasCode ? at(0) : -1, eip: at(first), eflags: at(first + 2), cr2: R[slot.cr2] >>> 0 };
  }

  private read4(linear: number): number {
    const address = this.cpu.memory.peekTranslate(linear);
    return address < 0 ? -1 : this.physical.read4(address) >>> 0;
  }

  /** Returns from the handler that `run` ended in, as IRET would, to `eip` or where the exception was. */
  resume(eip?: number): void {
    const { R } = this;
    const sp = R[slot.esp];
    const stop = this.stopFor("halted");
    if (stop.kind !== "exception") throw new Error("no handler to return from");
    const at = stop.errorCode >= 0 ? sp + 4 : sp;
    const ring = this.read4(at + 4) & 3;
    const outer = this.read4(at + 12);
    R[slot.esp] = ring === 3 ? outer : at + 12;
    this.enterRing(ring);
    R[slot.eip] = eip ?? stop.eip;
    R[slot.halted] = 0;
    this.eflags = stop.eflags & ~0x10000;
  }

  // ---- comparing

  /** Architectural state as named numbers. */
  state(): Record<string, number> {
    const { R } = this;
    spillAll(this.cpu);
    const out: Record<string, number> = {};
    for (const { name, at } of stateSlots) out[name] = R[at] >>> 0;
    out["fpuStatus"] = statusWord(this.cpu);
    out["eflags"] = this.eflags;
    return out;
  }
}

const stateSlots: readonly { name: string; at: number }[] = [
  ...(["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "cr0", "cr2", "cr3", "cr4", "dr6", "dr7", "cpl", "mxcsr"] as const).map(
    (name) => ({
      name,
      at: slot[name],
    }),
  ),
  ...["es", "cs", "ss", "ds", "fs", "gs"].map((name, s) => ({ name, at: slot.selector + s })),
  ...(["fpuControl", "fpuStatus", "fpuTop", "fpuEmpty", "fpuOpcode", "fpuIp", "fpuCs", "fpuDp", "fpuDs"] as const).map((name) => ({
    name,
    at: slot[name],
  })),
  ...Array.from({ length: 8 }, (_, i) => [
    { name: `x87[${i}].low`, at: slot.fpuMantissaLow + i },
    { name: `x87[${i}].high`, at: slot.fpuMantissaHigh + i },
    { name: `x87[${i}].exponent`, at: slot.fpuSignExponent + i },
  ]).flat(),
  ...Array.from({ length: 32 }, (_, i) => ({ name: `xmm${i >> 2}[${i & 3}]`, at: slot.xmm + i })),
];

/** "eax 1 != 2, ..." or "" when equal. */
export function differences(a: Record<string, number>, b: Record<string, number>, ignore: readonly string[] = []): string {
  return Object.keys(a)
    .filter((name) => a[name] !== b[name] && !ignore.includes(name))
    .map((name) => `${name} ${a[name].toString(16)} != ${b[name].toString(16)}`)
    .join(", ");
}

export interface Tier {
  readonly name: string;
  readonly ring: 0 | 3;
  /** One core for all tests of a file, reset. */
  readonly core: () => Core;
}

function tier(name: string, ring: 0 | 3, options: CoreOptions): Tier {
  let core: Core | undefined;
  return { name: `${name}, ring ${ring}`, ring, core: () => (core = core?.reset() ?? new Core(options)) };
}

/** The tiers that every scenario runs on. */
export const tiers: readonly Tier[] = [
  tier("cold", 3, {}),
  tier("cold, slices of one", 0, { slice: 1 }),
  tier("cold, fused when it has run", 0, { slice: 1, fuseThreshold: 2 }),
  tier("hot, regions from the first steps on", 0, { hot: true, step: 3 }),
  tier("hot, regions after 25 instructions", 3, { hot: true, step: 25 }),
  tier("hot, regions after 150 instructions", 0, { hot: true, step: 150 }),
];
