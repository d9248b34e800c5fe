/**
 * The dispatcher: finds the block at EIP, runs it and whatever it links to, and deals with everything that is not straight execution: time, interrupts, guest
 * faults, single-stepping, code that was overwritten, a full code cache.
 *
 * Terms. A *slice* is a number of guest instructions after which the dispatcher looks around; `R[budget]` counts it down, block by block. A *stub* is a block of no
 * guest instructions that stands in for one not yet decoded: it decodes it, links it and goes there. *Shape numbers* below `firstShape` are the dispatcher's own
 * pseudo-instructions (stubs, poison, page-straddle check); the translator's follow.
 *
 * What must always hold: between instructions all architectural state but EIP is in the slots; EIP is R[pageSlot] + the page offset stored with the instruction at
 * index p, except where `eipIsCurrent` says that R[eipSlot] itself is right.
 */
import type { CalloutName } from "../../translator/contract/callouts.ts";
import { exitReason, ringCount } from "../../translator/contract/exits.ts";
import { type ModeKey, mode } from "../../translator/contract/mode-key.ts";
import { eflag as eflagImported, segment as segmentImported, slot as slotImported, vector } from "../../translator/contract/slots.ts";
import { decodeFailure, type Translator } from "../../translator/contract/translator.ts";
import { calloutImplementations } from "../callouts/index.ts";
import { CodeCache, shapeBits } from "../code/code-cache.ts";
import { compile, type HostNames } from "../code/compile.ts";
import { Regions } from "../code/regions.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { instructionBreakpoints } from "../cpu/debug.ts";
import { deliverDebugException, deliverException, deliverHardwareInterrupt, noteDebugCauses } from "../cpu/interrupts.ts";
import { mulhs, mulhu } from "../cpu/multiply.ts";
import { checkSegment } from "../cpu/segments.ts";
import { walkFlag } from "../memory/page-walk.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const eflag = eflagImported;
const segment = segmentImported;
const slot = slotImported;

// Bound in this module: V8 folds a module's own constants, not those it imports.
const { budget, page: pageSlot, tlbHalf, mode: modeSlot, eip: eipSlot } = slot;
const { flat, singleStep } = mode;

/** Pseudo-shapes. */
const pseudo = { stop: 0, dispatch: 1, poison: 2, stub: 3, crossPage: 4, fall: 5, straddle: 6, undefinedOpcode: 7, tooLong: 8 } as const;
const firstShape = 9;
/** From here on shape numbers are regions: a region is the one handler of its own shape, so that entering it is one indirect call. */
const firstRegionShape = 1 << 14;
/** Shapes of instructions to keep: some 20 KiB of host memory each. What a region or a block adds beyond has room below `firstRegionShape`. */
const maximumShapes = 1 << 13;

/** Fixed blocks at the start of the code array (header indices). */
const stopBlock = 8;
const dispatchBlock = 16;
const fixedWords = 24;

/** Words of a stub: header pair, shape word, page offset of the target, index of the link word to patch (in the cross-page
 * form: physical page and header of the target), own physical page. */
const stubWords = 8;

const jumpEntries = 1 << 12;

const maximumBlockInstructions = 48;

export type StopReason = "halted" | "shutdown" | "slice" | "requested";

export interface DispatcherOptions {
  /** Words of the code array. */
  readonly codeWords?: number;
  /** Guest instructions between two looks at time. */
  readonly sliceInstructions?: number;
  /** Executions after which a block found running at a slice's end is worth a region; Infinity: tier 0 alone. */
  readonly regionThreshold?: number;
  /** Guest instructions a region must have to be worth it (3); tests that want every instruction in a region say 1. */
  readonly smallestRegion?: number;
  /** Runs before each look at interrupts: expires timers that are due. */
  readonly poll: () => void;
  /** The VMM's functions, if they are not to be the plain ones: a debugger's wrap them. */
  readonly callouts?: Readonly<Record<CalloutName, Callout>>;
  /** Told of each block, and of each instruction executed singly, before it runs. Makes every block the end of a slice: for debugging, without regions. */
  readonly traceBlock?: (eip: number, mode: ModeKey) => void;
}

export type Callout = (cpu: Cpu, ...args: number[]) => number | void;

type Handler = (p: number) => number;

/** Stands for a shape whose code was not made yet; never run. */
const missing: Handler = () => {
  throw new Error("a shape without a handler");
};

export class Dispatcher {
  readonly cache: CodeCache;
  readonly regions: Regions;
  private readonly threshold: number;
  private readonly cpu: Cpu;
  private readonly translator: Translator;
  private readonly host: HostNames;
  private readonly C: Int32Array;
  private readonly TX: Int32Array;
  /** Jump cache for computed targets: EIP and header, direct-mapped. A hit is checked against the block itself, so nothing need be flushed but with the code cache. */
  private readonly jumps = new Int32Array(2 * jumpEntries).fill(stopBlock);
  /** Handlers by shape number. Filled at full length from the start: an array that grew by gaps would be a dictionary. */
  private readonly H: Handler[] = new Array<Handler>(shapeBits + 1).fill(missing);
  private readonly sizes: number[] = [];
  private readonly poll: () => void;
  private readonly sliceInstructions: number;
  private readonly traceBlock: DispatcherOptions["traceBlock"];
  private eipIsCurrent = false;
  /** A single instruction is under way in `step`. */
  private stepping = false;
  private stopping: StopReason | undefined;
  /** A region left at a store that it must not make itself: tier 0 makes it next. */
  private storeRefused = false;
  /** Retired instructions before the current slice, plus all of the slice: minus R[budget] = retired now. */
  private issued = 0;
  private deadline = 0;
  /** `retired` when an exception or interrupt was last delivered. */
  private lastEvent = -1;
  private readonly straddleBytes = new Uint8Array(32);
  faults = 0;
  interruptsDelivered = 0;

  constructor(cpu: Cpu, translator: Translator, options: DispatcherOptions) {
    this.cpu = cpu;
    this.translator = translator;
    this.poll = options.poll;
    this.traceBlock = options.traceBlock;
    this.sliceInstructions = this.traceBlock === undefined ? (options.sliceInstructions ?? 16384) : 0;
    this.cache = new CodeCache(options.codeWords ?? 1 << 23, fixedWords);
    this.C = this.cache.C;
    this.TX = cpu.memory.TX;
    this.host = this.makeHost(options.callouts ?? calloutImplementations);
    this.threshold = options.regionThreshold ?? Infinity;
    this.regions = new Regions(this.cache, translator, this.host, {
      firstShape: firstRegionShape,
      lastShape: shapeBits,
      handlers: this.H,
      smallestRegion: options.smallestRegion ?? 3,
      addStub: (link, offset, at, page) => this.addStub(link, offset, at, page),
    });
    this.cache.regionsWritten = (page, from, to) => this.regions.invalidate(page, from, to);
    this.cache.regionRanges = (page) => this.regions.rangesOn(page);
    this.makePseudoShapes();
    this.cache.sizeOf = (shape) => this.sizes[shape];
    this.cache.poison = pseudo.poison;
    const { physical } = cpu.board;
    this.cache.pageHasCode = (page, has) => {
      physical.codePages[page] = has ? 1 : 0;
      if (has) cpu.memory.protectPhysicalPage(page << 12);
    };
    physical.codeWritten = (address, length) => this.codeWritten(address, length);
    this.C[stopBlock + 2] = pseudo.stop;
    this.C[dispatchBlock + 2] = pseudo.dispatch;
  }

  /** Guest instructions retired since power-on (whole blocks at a time while one is running). */
  get retired(): number {
    return this.issued - this.cpu.budgetHeldBack - this.cpu.R[budget];
  }

  /** Makes `run` return soon; callable from devices and callouts. */
  stop(reason: StopReason = "requested"): void {
    this.stopping = reason;
    this.cpu.requestAttention();
  }

  /** Runs until the CPU halts, shuts down, is told to stop, or about `instructions` have retired. */
  run(instructions: number): StopReason {
    const { C, H, cpu } = this;
    const R = cpu.R;
    this.stopping = undefined;
    this.deadline = this.retired + instructions;
    this.lastEvent = -1;
    let p = -1;
    for (;;) {
      try {
        if (p < 0) {
          this.eipIsCurrent = true;
          p = this.look();
        }
        for (;;) {
          C[p + 1]++;
          if ((R[budget] -= C[p]) < 0) {
            p = this.attend(p);
            if (p === stopBlock) return this.stopping ?? "slice";
          }
          p += 2;
          do {
            // Two steps, so that the array is not passed as `this`.
            const handler = H[C[p] & shapeBits];
            p = handler(p);
          } while (p >= 0);
          p = ~p;
        }
      } catch (e) {
        if (e !== cpu.fault) throw e;
        this.takeFault(p);
        p = -1;
      }
    }
  }

  /** A guest exception left the instruction at index `p` (or the delivery or fetch at R[eip]). */
  private takeFault(p: number): void {
    const { cpu } = this;
    this.faults++;
    cpu.exitCounts[(exitReason.exception + cpu.fault.vector) * ringCount + cpu.R[slot.cpl]]++;
    if (!this.eipIsCurrent) {
      cpu.R[eipSlot] = (cpu.R[pageSlot] + (this.C[p] >>> 16)) | 0;
      cpu.R[budget] += this.unexecuted(p);
    }
    cpu.R[slot.interruptShadow] = 0;
    deliverException(cpu, cpu.fault.vector, cpu.fault.errorCode);
    this.passTime();
  }

  /**
   * An event was delivered. If no instruction ran since the one before it, it takes an instruction's time itself: a handler that cannot be fetched, or
   * an interrupt that comes again and again, would otherwise stop the clock and never let `run` return.
   */
  private passTime(): void {
    if (this.retired === this.lastEvent) this.cpu.R[budget]--;
    this.lastEvent = this.retired;
  }

  /** Instructions of a block from the one at word `p` on: its header took them off the budget, but they did not run. */
  private unexecuted(p: number): number {
    const { C, sizes } = this;
    let count = 0;
    for (let at = p; (C[at] & shapeBits) !== pseudo.fall; at += sizes[C[at] & shapeBits]) {
      const shape = C[at] & shapeBits;
      if (shape === pseudo.poison || shape === pseudo.stub) break;
      if (shape !== pseudo.straddle) count++;
      if (shape < firstShape ? shape === pseudo.undefinedOpcode || shape === pseudo.tooLong : this.translator.shape(shape - firstShape).endsBlock)
        break;
    }
    return count;
  }

  /** The slice is used up at the header `p` of a block not yet begun: look around, then go on somewhere. */
  private attend(p: number): number {
    const { C } = this;
    const R = this.cpu.R;
    if (p === stopBlock) return p;
    // A stub first finds its block, which then attends; the budget stays negative meanwhile.
    if (C[p] === 0 && (C[p + 2] & shapeBits) < firstRegionShape) return p;
    R[budget] += C[p];
    C[p + 1]--;
    if (C[p + 1] >= this.threshold && C[p] !== 0) this.heat(p);
    R[eipSlot] = (R[pageSlot] + (C[p + 2] >>> 16)) | 0;
    this.eipIsCurrent = true;
    const next = this.look();
    if (next !== stopBlock) {
      R[budget] -= C[next];
      C[next + 1]++;
      this.traceBlock?.((R[pageSlot] + (C[next + 2] >>> 16)) | 0, C[next - 2] & 0xff);
    }
    return next;
  }

  /** The end of a slice samples the profile: the block at `header` was about to run again. */
  private heat(header: number): void {
    const { C, cpu } = this;
    if (this.cache.isFull || (C[header - 2] & singleStep) !== 0) return;
    const page = (C[header - 3] & ~0xfff) >>> 0;
    const { physical } = cpu.board;
    if (!physical.isRam(page) || C[header + 1] < this.threshold * this.regions.patience(page >>> 12)) return;
    this.regions.make(header, physical.u8.subarray(page, page + 0x1000), (cpu.R[pageSlot] + (C[header + 2] >>> 16)) | 0);
  }

  /** With R[eip] current: time, interrupts, reasons to stop; then the block to run. */
  private look(): number {
    const { cpu } = this;
    const R = cpu.R;
    R[slot.leave] = 0;
    for (;;) {
      this.poll();
      if (cpu.shutdown) return this.stopAt("shutdown");
      if (R[slot.halted] !== 0) {
        if (!this.interruptReady()) return this.stopAt("halted");
        R[slot.halted] = 0;
      }
      if (this.stopping !== undefined) return this.stopAt(this.stopping);
      if (cpu.pendingDebug !== 0 && R[slot.interruptShadow] === 0 && (R[modeSlot] & singleStep) === 0) {
        // The T flag of a TSS just switched to: a trap before the task's first instruction.
        const causes = cpu.pendingDebug;
        cpu.pendingDebug = 0;
        deliverDebugException(cpu, causes);
        continue;
      }
      if (R[slot.interruptShadow] === 0 && this.interruptReady()) {
        this.interruptsDelivered++;
        cpu.exitCounts[exitReason.externalInterrupt * ringCount + R[slot.cpl]]++;
        deliverHardwareInterrupt(cpu, cpu.board.interrupts.acknowledge());
        this.passTime();
        continue;
      }
      const retired = this.retired;
      if (retired >= this.deadline) return this.stopAt("slice");
      this.issued = retired;
      cpu.budgetHeldBack = 0;
      R[budget] = Math.min(this.sliceInstructions, this.deadline - retired);
      this.issued += R[budget];
      if (R[slot.interruptShadow] === 0 && (R[modeSlot] & singleStep) === 0) return this.enter();
      this.step();
    }
  }

  private stopAt(reason: StopReason): number {
    this.stopping = reason;
    // The run loop only looks at what block it got when the budget is spent.
    this.cpu.requestAttention();
    return stopBlock;
  }

  private interruptReady(): boolean {
    return (this.cpu.R[slot.eflags] & eflag.if) !== 0 && this.cpu.board.interrupts.pending;
  }

  /** Executes exactly one instruction at R[eip], with its traps; R[eip] is current before and after. */
  step(): void {
    const { cpu } = this;
    const R = cpu.R;
    this.traceBlock?.(R[eipSlot], R[modeSlot]);
    const start = R[eipSlot];
    const shadow = R[slot.interruptShadow];
    const trap = (R[slot.eflags] & eflag.tf) !== 0;
    const resume = (R[slot.eflags] & eflag.rf) !== 0;
    if ((shadow & 2) === 0) cpu.pendingDebug = 0;
    cpu.deliveredInterrupt = false;
    if ((R[slot.dr7] & 0xff) !== 0 && !resume && (shadow & 2) === 0) {
      const met = instructionBreakpoints(cpu, (R[eipSlot] + R[slot.segmentBase + segment.cs]) | 0);
      if (met !== 0) {
        noteDebugCauses(R, met);
        cpu.raise(vector.db);
      }
    }
    const header = this.enter(singleStep);
    R[budget] -= 1;
    this.settle(this.runOne(header + 2));
    if (R[slot.interruptShadow] === shadow) R[slot.interruptShadow] = 0;
    // A string instruction between two iterations keeps it.
    if (resume && R[eipSlot] !== start) R[slot.eflags] &= ~eflag.rf;
    // MOV SS and POP SS hold debug traps off until after the next instruction.
    if ((R[slot.interruptShadow] & 2) === 0) this.debugTraps(trap && !cpu.deliveredInterrupt);
    cpu.deliveredInterrupt = false;
  }

  /** Runs the single instruction at word `at` (and the check before it, if it straddles pages); a fault in it finds R[eip] current. */
  private runOne(at: number): number {
    const { C, H, cpu } = this;
    this.stepping = true;
    try {
      if ((C[at] & shapeBits) !== pseudo.straddle) return H[C[at] & shapeBits](at);
      const q = H[pseudo.straddle](at);
      // The page behind changed: nothing was executed yet.
      return q < 0 ? this.runOne(this.enter(singleStep) + 2) : H[C[q] & shapeBits](q);
    } catch (e) {
      if (e === cpu.fault && !this.eipIsCurrent) cpu.R[eipSlot] = (cpu.R[pageSlot] + (C[at] >>> 16)) | 0;
      this.eipIsCurrent = true;
      throw e;
    } finally {
      this.stepping = false;
    }
  }

  /** After a single instruction returned `q`: makes R[eip] current. */
  private settle(q: number): void {
    const { C } = this;
    const R = this.cpu.R;
    this.eipIsCurrent = true;
    if (q >= 0) {
      // Falls through: the pseudo-instruction after it, or poison if it overwrote itself, knows the offset.
      R[eipSlot] = (R[pageSlot] + (C[q] >>> 16)) | 0;
      return;
    }
    const header = ~q;
    const shape = C[header + 2] & shapeBits;
    if (shape === pseudo.dispatch || shape === pseudo.stop) return;
    const offset = shape === pseudo.stub || shape === pseudo.crossPage ? C[header + 3] : C[header + 2] >>> 16;
    R[eipSlot] = (R[pageSlot] + offset) | 0;
  }

  private debugTraps(trap: boolean): void {
    const { cpu } = this;
    if (!trap && cpu.pendingDebug === 0) return;
    noteDebugCauses(cpu.R, cpu.pendingDebug | (trap ? 1 << 14 : 0));
    cpu.pendingDebug = 0;
    cpu.raise(vector.db);
  }

  /** The block at R[eip] under the current mode: found or decoded. Raises #PF or #GP of the fetch, at R[eip]. */
  private enter(extraMode: ModeKey = 0): number {
    const { cpu } = this;
    const R = cpu.R;
    const key = R[modeSlot] | extraMode;
    const linear = (R[eipSlot] + R[slot.segmentBase + segment.cs]) | 0;
    this.eipIsCurrent = true;
    if ((key & flat) === 0 && R[eipSlot] >>> 0 > R[slot.segmentLimit + segment.cs] >>> 0) cpu.raise(vector.gp, 0);
    const address = cpu.memory.translateFetch(linear);
    R[pageSlot] = (R[eipSlot] - (linear & 0xfff)) | 0;
    let header = this.cache.find(address, key);
    if (header === 0) header = this.decodeBlock(linear, address, key);
    if ((key & flat) === 0 && this.endsBeyondLimit(header)) {
      // The first instruction alone, which may end before the limit; if it does not, it faults.
      if ((key & singleStep) !== 0) cpu.raise(vector.gp, 0);
      return this.enter(singleStep);
    }
    this.eipIsCurrent = false;
    return header;
  }

  /** Whether the block at R[eip] runs past the end of CS. */
  private endsBeyondLimit(header: number): boolean {
    const R = this.cpu.R;
    const length = this.C[header - 2] >>> 8;
    return (R[eipSlot] >>> 0) + length - 1 > R[slot.segmentLimit + segment.cs] >>> 0;
  }

  /** Drops all translated code. Nothing of it may go on running, except a region's own return. */
  forget(): void {
    this.cache.flush();
    this.regions.clear();
    this.jumps.fill(stopBlock);
  }

  /** The same, and the shapes with it: a guest has a few thousand, one that means harm (or chance) can have every combination of prefixes there is. */
  private forgetShapes(): void {
    this.forget();
    this.translator.forgetShapes();
    this.H.fill(missing, firstShape, firstRegionShape);
    this.sizes.length = firstShape;
  }

  // ---- decoding

  private decodeBlock(linear: number, address: number, key: ModeKey): number {
    const { C, cache, cpu, translator } = this;
    const { physical } = cpu.board;
    if (translator.shapeCount > maximumShapes) this.forgetShapes();
    if (cache.isFull) this.forget();
    const page = address & ~0xfff;
    const isRam = physical.isRam(address);
    const bytes = isRam ? physical.u8 : this.fetchOpenBus(address);
    const base = isRam ? page >>> 0 : -(address & 0xfff);
    const start = address & 0xfff;
    const limit = key & singleStep ? 1 : maximumBlockInstructions;
    const header = cache.begin();
    let at = header + 2;
    let offset = start;
    let count = 0;
    const exits: number[] = [];
    let secondPage = -1;
    let ended = false;
    while (count < limit && offset < 0x1000) {
      let shape = translator.decode(bytes, base + offset, base + 0x1000, key, offset);
      if (shape === decodeFailure.truncated) {
        if (count > 0) break;
        // The instruction goes on in the next page: fetch it now (which may fault, as the processor's fetch would).
        const next = cpu.memory.translateFetch(((linear & ~0xfff) + 0x1000) | 0);
        const tail = 0x1000 - offset;
        this.straddleBytes.set(physical.readBytes((page >>> 0) + offset, tail));
        this.straddleBytes.set(physical.readBytes(next, 16), tail);
        shape = translator.decode(this.straddleBytes, 0, tail + 16, key, offset);
        secondPage = next;
        C[at] = pseudo.straddle | (offset << 16);
        C[at + 1] = next;
        at += 2;
      }
      if (shape < 0) {
        C[at++] = (shape === decodeFailure.tooLong ? pseudo.tooLong : pseudo.undefinedOpcode) | (offset << 16);
        count++;
        offset += translator.length;
        ended = true;
        break;
      }
      const number = shape + firstShape;
      if (this.H[number] === missing) this.addShape(shape);
      const code = translator.shape(shape);
      C[at] = number | (offset << 16);
      const next = offset + translator.length;
      let q = at + 1;
      for (const field of code.layout) C[q++] = translator.fields[field];
      for (const exit of code.exits) {
        exits.push(q, exit.kind === "next" ? next : exit.kind === "self" ? offset : translator.fields[exit.field]);
        q++;
      }
      at = q;
      count++;
      offset = next;
      if (code.endsBlock) {
        ended = true;
        break;
      }
      if (secondPage >= 0) break;
    }
    if (!ended) {
      C[at] = pseudo.fall | ((offset & 0xffff) << 16);
      exits.push(at + 1, offset);
      at += 2;
    }
    const end = at;
    for (let k = 0; k < exits.length; k += 2) at = this.addStub(exits[k], exits[k + 1], at, page);
    cache.finish(header, end, address, key, offset - start, count);
    cache.top = at;
    if (secondPage >= 0 && physical.isRam(secondPage)) cache.coverSecondPage(secondPage >>> 12, header, offset - 0x1000);
    return header;
  }

  /** Code outside RAM (a jump into the void): what the bus answers, read byte by byte. Never cached as a code page. */
  private fetchOpenBus(address: number): Uint8Array {
    const bytes = new Uint8Array(0x1000);
    const { physical } = this.cpu.board;
    for (let k = 0; k < 0x1000 - (address & 0xfff); k++) bytes[(address & 0xfff) + k] = physical.read1(address + k);
    return bytes.subarray(address & 0xfff);
  }

  /** Writes a stub for page offset `offset` at word `at`, pointed to by the link word `link`; returns the word after it. */
  private addStub(link: number, offset: number, at: number, page: number): number {
    const { C } = this;
    C[at] = 0;
    C[at + 1] = 0;
    C[at + 2] = pseudo.stub;
    C[at + 3] = offset;
    C[at + 4] = link;
    C[at + 7] = page;
    C[link] = ~at;
    return at + stubWords;
  }

  private addShape(shape: number): void {
    const code = this.translator.shape(shape);
    const number = shape + firstShape;
    this.H[number] = compile<Handler>(code.text, ["R", "C", ...code.freeNames.filter((n) => n !== "R" && n !== "C")], this.host);
    this.sizes[number] = code.size;
  }

  // ---- pseudo-instructions

  private makePseudoShapes(): void {
    const { C, cpu } = this;
    const R = cpu.R;
    const { TX } = cpu.memory;
    const define = (number: number, size: number, handler: Handler): void => {
      this.H[number] = handler;
      this.sizes[number] = size;
    };
    define(pseudo.stop, 1, () => ~stopBlock);
    define(pseudo.dispatch, 1, () => ~this.dispatch());
    define(pseudo.poison, 1, (p) => {
      R[eipSlot] = (R[pageSlot] + (C[p] >>> 16)) | 0;
      return ~this.dispatch();
    });
    define(pseudo.fall, 2, (p) => C[p + 1]);
    define(pseudo.stub, 6, (p) => ~this.link(p));
    define(pseudo.crossPage, 6, (p) => {
      const eip = (R[pageSlot] + C[p + 1]) | 0;
      const T = TX[R[tlbHalf] + (eip >>> 12)];
      if ((T & 1) !== 0 || ((T ^ eip) & ~0xfff) !== C[p + 3]) return ~this.relink(p);
      R[pageSlot] = (eip & ~0xfff) | 0;
      return ~C[p + 4];
    });
    define(pseudo.straddle, 2, (p) => {
      const eip = (R[pageSlot] + 0x1000) | 0;
      this.eipIsCurrent = true;
      R[eipSlot] = (R[pageSlot] + (C[p] >>> 16)) | 0;
      const next = cpu.memory.translateFetch((eip + R[slot.segmentBase + segment.cs]) | 0);
      this.eipIsCurrent = false;
      if (next === C[p + 1] >>> 0) return p + 2;
      // Another page follows now: decode again.
      this.cache.invalidate(C[p - 2 - 3] >>> 12, C[p] >>> 16, (C[p] >>> 16) + 1);
      return ~this.dispatch();
    });
    define(pseudo.undefinedOpcode, 1, () => cpu.raise(vector.ud));
    define(pseudo.tooLong, 1, () => cpu.raise(vector.gp, 0));
  }

  /** R[eip] is current: the block there, after a look around if the slice is over. */
  private dispatch(): number {
    const R = this.cpu.R;
    this.eipIsCurrent = true;
    // `step` goes on from R[eip] by itself: one that looked around from inside the instruction would nest deeper with each.
    if (this.stepping) return dispatchBlock;
    R[slot.leave] = 0;
    if (this.storeRefused) {
      // One instruction alone: the block here may have a region too, which would refuse again.
      this.storeRefused = false;
      this.step();
    }
    if (
      R[budget] < 0 ||
      (R[slot.interruptShadow] | R[slot.halted] | (R[modeSlot] & singleStep)) !== 0 ||
      this.interruptReady() ||
      this.cpu.pendingDebug !== 0
    ) {
      return this.look();
    }
    return this.enter();
  }

  /** An indirect jump to `eip`: the mode is what it was. */
  private jump(eip: number): number {
    const { R } = this.cpu;
    const { C, jumps } = this;
    const k = (eip ^ (eip >>> 10)) & (jumpEntries - 1);
    const header = jumps[2 * k + 1];
    if (jumps[2 * k] === eip && (C[header - 2] & 0xff) === R[modeSlot]) {
      // The page may have been remapped, or the block have died (address -1, which no translation yields), since.
      const T = this.TX[R[tlbHalf] + (eip >>> 12)];
      if ((T & 1) === 0 && (T ^ eip) === C[header - 3]) {
        R[pageSlot] = eip & ~0xfff;
        return ~header;
      }
    }
    return this.jumpSlowly(eip, k);
  }

  private jumpSlowly(eip: number, k: number): number {
    const { R } = this.cpu;
    R[eipSlot] = eip;
    this.eipIsCurrent = true;
    if ((R[modeSlot] & singleStep) !== 0) return ~dispatchBlock;
    const header = this.enter();
    // Only flat mode has EIP = linear address and no limit to check.
    if ((R[modeSlot] & flat) !== 0) {
      this.jumps[2 * k] = eip;
      this.jumps[2 * k + 1] = header;
    }
    return ~header;
  }

  /** First arrival at the stub whose shape word is at `p`. */
  private link(p: number): number {
    const { C } = this;
    const R = this.cpu.R;
    const offset = C[p + 1];
    const { epoch } = this.cache;
    const eip = (R[pageSlot] + offset) | 0;
    R[eipSlot] = eip;
    const header = this.dispatch();
    // Not a plain arrival (an interrupt came first, another epoch, segment limits to check each time): leave the stub as it is.
    const key = C[header - 2] & 0xff;
    if (header < fixedWords || this.cache.epoch !== epoch || (key & flat) === 0 || (key & singleStep) !== 0) return header;
    if (R[eipSlot] !== eip) return header;
    if (offset >= 0 && offset < 0x1000) {
      // The same linear page; if it was remapped meanwhile, the block came from another physical one.
      if (((C[header - 3] ^ C[p + 5]) & ~0xfff) === 0) C[C[p + 2]] = ~header;
    } else {
      C[p] = pseudo.crossPage;
      C[p + 3] = C[header - 3] & ~0xfff;
      C[p + 4] = header;
    }
    return header;
  }

  /** The page behind a cross-page link is another one now, or its translation is not at hand. */
  private relink(p: number): number {
    this.C[p] = pseudo.stub;
    return this.link(p);
  }

  // ---- self-modifying code

  private codeWritten(address: number, length: number): void {
    const from = address & 0xfff;
    if (this.cache.invalidate(address >>> 12, from, from + length)) this.cpu.R[slot.leave] = 1;
  }

  private refuseStore(): boolean {
    this.storeRefused = true;
    return true;
  }

  /**
   * The slow path of a store from a region. Refuses (true, nothing changed) a store over bytes that translated code was made from: the region could not go on
   * exactly after it.
   */
  private guardedStore(A: number, size: 1 | 2 | 4, value: number): boolean {
    const { memory } = this.cpu;
    const { physical } = memory;
    const address = memory.translate(A, walkFlag.write);
    const offset = A & 0xfff;
    if (
      address < physical.size &&
      physical.codePages[address >>> 12] !== 0 &&
      this.cache.covers(address >>> 12, offset, Math.min(offset + size, 0x1000))
    )
      return this.refuseStore();
    if (offset + size > 0x1000) {
      const next = memory.translate((A + size) & ~0xfff, walkFlag.write);
      if (next < physical.size && physical.codePages[next >>> 12] !== 0 && this.cache.covers(next >>> 12, 0, (offset + size) & 0xfff)) {
        return this.refuseStore();
      }
    }
    if (size === 1) memory.st1(A, value);
    else if (size === 2) memory.st2(A, value);
    else memory.st4(A, value);
    return false;
  }

  // ---- what generated code may name

  private makeHost(implementations: Readonly<Record<CalloutName, Callout>>): HostNames {
    const { cpu } = this;
    const { memory } = cpu;
    const { physical } = memory;
    const callouts = Object.fromEntries(Object.entries(implementations).map(([name, f]) => [`v_${name}`, f]));
    return {
      ...callouts,
      cpu,
      mulhu,
      mulhs,
      R: cpu.R,
      F: cpu.F,
      X: cpu.exitCounts,
      C: this.C,
      M8: physical.i8,
      M16: physical.i16,
      M32: physical.i32,
      TR: memory.TR,
      TW: memory.TW,
      ld1: memory.ld1,
      ld2: memory.ld2,
      ld4: memory.ld4,
      ldw1: memory.ldw1,
      ldw2: memory.ldw2,
      ldw4: memory.ldw4,
      st1: memory.st1,
      st2: memory.st2,
      st4: memory.st4,
      checkSegment: (s: number, offset: number, size: number, isWrite: number) => checkSegment(cpu, s, offset, size, isWrite !== 0),
      jump: (eip: number) => this.jump(eip),
      dispatch: () => ~this.dispatch(),
      sg1: (A: number, value: number) => this.guardedStore(A, 1, value),
      sg2: (A: number, value: number) => this.guardedStore(A, 2, value),
      sg4: (A: number, value: number) => this.guardedStore(A, 4, value),
      guestFault: (e: unknown) => {
        if (e !== cpu.fault) throw e;
      },
      faulted: () => {
        const place = cpu.R[slot.faultOffset];
        cpu.R[eipSlot] = (cpu.R[pageSlot] + (place & 0xfff)) | 0;
        cpu.R[budget] += place >>> 13;
        this.eipIsCurrent = true;
        this.takeFault(-1);
        return ~this.look();
      },
    };
  }
}
