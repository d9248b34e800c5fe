/**
 * The dispatcher: finds the block at EIP, runs it and whatever it links to, and deals with everything that is not straight execution: time, interrupts, guest
 * faults, single-stepping, code that was overwritten, a full code cache.
 *
 * Terms. A *slice* is a number of guest instructions after which the dispatcher looks around; `R[budget]` counts it down, block by block. A *stub* is a block of no
 * guest instructions that stands in for one not yet decoded: it decodes it, links it and goes there. *Shape numbers* below `firstShape` are the dispatcher's own
 * pseudo-instructions (stubs, poison, page-straddle check); the translator's follow.
 *
 * What must always hold: between instructions all architectural state but EIP is in the slots; EIP is R[pageSlot] + the page offset stored with the instruction at
 * index p, except where `Entry.eipIsCurrent` says that R[eipSlot] itself is right.
 */
import type { CalloutName } from "../../translator/contract/callouts.ts";
import { exitReason as exitReasonImported, ringCount as ringCountImported } from "../../translator/contract/exits.ts";
import { linearCode as linearCodeImported, type ModeKey, mode, modeWidth as modeWidthImported } from "../../translator/contract/mode-key.ts";
import {
  eflag as eflagImported,
  faultPlace,
  jsCall as jsCallImported,
  segment as segmentImported,
  slot as slotImported,
  vector as vectorImported,
} from "../../translator/contract/slots.ts";
import type { Translator } from "../../translator/contract/translator.ts";
import { calloutImplementations } from "../callouts/index.ts";
import { BlockBuilder } from "../code/block-builder.ts";
import { CodeCache, modeMask as modeMaskImported, shapeBits as shapeBitsImported } from "../code/code-cache.ts";
import { hasTailCallsAndVectors } from "../code/compile.ts";
import { Coverage } from "../code/coverage.ts";
import type { RegionLimits } from "../code/eviction.ts";
import {
  dispatchBlock as dispatchBlockImported,
  faultBlock as faultBlockImported,
  firstRegionShape as firstRegionShapeImported,
  firstShape as firstShapeImported,
  fixedWords as fixedWordsImported,
  type Handler,
  maximumBlockInstructions,
  pseudo as pseudoImported,
  stopBlock as stopBlockImported,
} from "../code/pseudo-shapes.ts";
import { RegionTargets } from "../code/region-targets.ts";
import type { RegionThread } from "../code/region-thread.ts";
import { Regions } from "../code/regions.ts";
import { attention as attentionImported, type Cpu } from "../cpu/cpu.ts";
import { instructionBreakpoints } from "../cpu/debug.ts";
import {
  deliverDebugException,
  deliverException,
  deliverHardwareInterrupt,
  eventKind as eventKindImported,
  isFault,
  noteDebugCauses,
} from "../cpu/interrupts.ts";
import { usualCodeWords } from "../memory/host-memory.ts";
import { Entry } from "./entry.ts";
import { GuardedStores } from "./guarded-stores.ts";
import { type Callout, hostNames, notingNames } from "./host-names.ts";
import { JumpCache, jumpCacheWords, sharedJumpWords } from "./jump-cache.ts";
import { Links } from "./links.ts";
import { Promotion } from "./promotion.ts";
import { regionCalls } from "./region-calls.ts";
import { WasmTier } from "./wasm-tier.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const { offsetBits: faultOffsetBits, unexecutedShift } = faultPlace;
const eflag = eflagImported;
const segment = segmentImported;
const jsCall = jsCallImported;
const attention = attentionImported;
const eventKind = eventKindImported;
const slot = slotImported;
const { budget, page: pageSlot, tlbHalf, mode: modeSlot, eip: eipSlot } = slot;
const { singleStep } = mode;
const linearCode = linearCodeImported;
const modeWidth = modeWidthImported;
const modeMask = modeMaskImported;
const csBase = slot.segmentBase + segment.cs;
const csLimit = slot.segmentLimit + segment.cs;
const exitReason = exitReasonImported;
const ringCount = ringCountImported;
const vector = vectorImported;
const pseudo = pseudoImported;
const stopBlock = stopBlockImported;
const dispatchBlock = dispatchBlockImported;
const faultBlock = faultBlockImported;
const fixedWords = fixedWordsImported;
const firstShape = firstShapeImported;
const firstRegionShape = firstRegionShapeImported;
const shapeBits = shapeBitsImported;

/** Returns to the code behind a CALL from which on it is taken in with its caller: each CALL costs the text of some twenty statements. */
const hotCall = 4000;
/** Executions of a block after which its instructions are worth handlers of their own. */
const fuseThreshold = 2000;
/** A region that loops leaves after so many slices. */
const slicesInLoop = 16;
/** Nanoseconds that a slice in a loop should take, if that is no more than so many slices: to look at the time costs as much as 500 instructions. */
const fineSlice = 20_000;
const longestSlice = 8;

export type StopReason = "halted" | "shutdown" | "slice" | "requested";

export interface DispatcherOptions {
  /** Words of the code array: the usual number (8 Mi) or fewer. */
  readonly codeWords?: number;
  /** Guest instructions between two looks at time. */
  readonly sliceInstructions?: number;
  /** Executions after which a block found running at a slice's end is worth a region; Infinity: tier 0 alone. */
  readonly regionThreshold?: number;
  /**
   * Executions after which a block found running at a slice's end has its instructions fused (2000; never where tier 0 is WebAssembly and there are regions); 0: every
   * block, as it is decoded. Where the translator has superinstructions prepared, those are used from the first.
   */
  readonly fuseThreshold?: number;
  /** Guest instructions a region must have to be worth it (3); tests that want every instruction in a region say 1. */
  readonly smallestRegion?: number;
  /** Beyond which regions are dropped, and when (code/eviction.ts). */
  readonly regionLimits?: Partial<RegionLimits>;
  /** Makes regions beside the guest; absent: it waits for them. */
  readonly regionThread?: RegionThread | undefined;
  /** Names of optimisations to leave out (contract/optimisations.ts). */
  readonly disabled?: ReadonlySet<string>;
  /** Told where the guest is, R[eip], whenever a slice has ended at a block not yet begun, and whether a region heads that block. */
  readonly sliceEnded?: (inRegion: boolean) => void;
  /**
   * Runs before each look at interrupts: expires timers that are due. @param hasTimePassed a slice was used up, or the guest waits: a look for another reason, an interrupt
   * mostly, comes within a slice of the one before
   */
  readonly poll: (hasTimePassed: boolean) => void;
  /** Nanoseconds from the last poll but one to the last, of those with `hasTimePassed`; absent: slices in loops are no longer than others. */
  readonly betweenPolls?: () => number;
  /** The VMM's functions, if they are not to be the plain ones: a debugger's wrap them. */
  readonly callouts?: Readonly<Record<CalloutName, Callout>>;
  /** Told of each block, and of each instruction executed singly, before it runs. Makes every block the end of a slice: for debugging, without regions. */
  readonly traceBlock?: (eip: number, mode: ModeKey) => void;
}

export class Dispatcher {
  readonly cache: CodeCache;
  readonly regions: Regions;
  readonly promotion: Promotion;
  readonly targets: RegionTargets;
  private readonly cpu: Cpu;
  private readonly wasm: WasmTier | undefined;
  private readonly translator: Translator;
  private readonly C: Int32Array;
  private readonly TX: Int32Array;
  private readonly jumps: JumpCache;
  private readonly links: Links;
  private readonly builder: BlockBuilder;
  private readonly entry: Entry;
  /** Handlers by shape number. */
  private readonly H: Handler[];
  /** What regions know of their callers (contract/slots.ts, jsCall). */
  private readonly J: Int32Array;
  private readonly poll: (hasTimePassed: boolean) => void;
  private readonly betweenPolls: () => number;
  private readonly sliceInstructions: number;
  private readonly traceBlock: DispatcherOptions["traceBlock"];
  private readonly sliceEnded: DispatcherOptions["sliceEnded"];
  private readonly keepsJumps: boolean;
  /** A single instruction is under way in `step`. */
  private stepping = false;
  private stopping: StopReason | undefined;
  private readonly stores: GuardedStores;
  private hasTooManyShapes = false;
  /** Retired instructions before the current slice, plus all of the slice: minus R[budget] = retired now. */
  private issued = 0;
  /** Slices that a region in a loop has had; how many it is given at a time. */
  private slices = 0;
  private longer = 1;
  private deadline = 0;
  /** `retired` when an exception or interrupt was last delivered. */
  private lastEvent = -1;
  faults = 0;
  interruptsDelivered = 0;

  constructor(cpu: Cpu, translator: Translator, options: DispatcherOptions) {
    this.cpu = cpu;
    this.translator = translator;
    this.poll = options.poll;
    this.betweenPolls = options.betweenPolls ?? (() => Number.POSITIVE_INFINITY);
    this.traceBlock = options.traceBlock;
    this.sliceEnded = options.sliceEnded;
    this.keepsJumps = options.disabled?.has("jumps") !== true;
    this.sliceInstructions = this.traceBlock === undefined ? (options.sliceInstructions ?? 16384) : 0;
    const { host: hostMemory } = cpu.board.physical;
    const jumpWords = hostMemory.int32(jumpCacheWords);
    const sharedWords = hostMemory.int32(sharedJumpWords);
    this.J = hostMemory.int32(2);
    const cases = hostMemory.uint16(shapeBits + 1);
    const coverage = new Coverage(hostMemory);
    this.targets = new RegionTargets(hostMemory);
    // The last one, for its length is an option: prepared code knows where everything is.
    this.cache = new CodeCache(hostMemory.int32(options.codeWords ?? usualCodeWords), fixedWords, coverage);
    this.C = this.cache.C;
    this.links = new Links(cpu, this.cache, () => this.dispatch(), options.disabled?.has("links") !== true);
    this.TX = cpu.memory.TX;
    this.jumps = new JumpCache(this.C, cpu.R, this.TX, jumpWords, sharedWords);
    this.H = new Array<Handler>(shapeBits + 1);
    const arrays = { C: this.C, H: this.H, J: this.J };
    const jump = (eip: number): number => this.jump(eip);
    const callouts = options.callouts ?? calloutImplementations;
    this.stores = new GuardedStores(cpu, this.cache, () => this.regions);
    const guardedStore = (A: number, size: 1 | 2 | 4, value: number) => this.stores.store(A, size, value);
    const host = hostNames(cpu, arrays, callouts, {
      ...regionCalls({ ...arrays, R: cpu.R, TX: this.TX, jumps: this.jumps, jump }),
      jump,
      jumpSegmented: (eip) => this.jumpSegmented(eip),
      // Called by another region, that one would take a fault met on the way for its own, and with it its own idea of the registers.
      dispatch: () => (this.isCalled() ? ~dispatchBlock : ~this.dispatch()),
      faulted: () => this.faulted(),
      gaveUp: () => this.gaveUp(),
      moreTime: (used) => this.moreTime(used),
      guardedStore,
    });
    this.builder = new BlockBuilder(this.cache, cpu.R, cpu.memory, translator, host, this.H, () => this.forget());
    this.entry = new Entry(cpu, this.cache, this.builder, this.keepsJumps ? this.jumps : undefined, () => this.forget());
    this.regions = new Regions(this.cache, translator, host, {
      firstShape: firstRegionShape,
      lastShape: shapeBits,
      handlers: this.H,
      targets: this.targets,
      hotCall: Math.min(hotCall, (options.regionThreshold ?? 0) / 4),
      callsSubroutines: options.disabled?.has("returns") !== true,
      smallestRegion: options.smallestRegion ?? 3,
      regionLimits: options.regionLimits,
      addStub: (link, offset, page, wraps) => this.builder.addStub(link, offset, page, wraps),
    });
    const region = options.disabled?.has("regions") === true ? Number.POSITIVE_INFINITY : (options.regionThreshold ?? Number.POSITIVE_INFINITY);
    const { memory } = hostMemory;
    if (memory !== undefined && options.disabled?.has("wasm") !== true) {
      const tailCalls = hasTailCallsAndVectors();
      this.wasm = new WasmTier(cpu, translator, {
        memory,
        cache: this.cache,
        H: this.H,
        names: host,
        noting: notingNames(cpu, callouts, { guardedStore }),
        J: this.J,
        cases,
        tailCalls,
        hasRegions: region !== Number.POSITIVE_INFINITY,
        observesCallouts: options.callouts !== undefined,
        jumps: this.jumps,
        targets: this.targets,
        attend: (p) => this.attend(p),
        sizes: this.builder.sizes,
      });
      this.builder.wasm = this.wasm;
      if (this.wasm.preparedShapes > 0) this.builder.fuseNext = (first, second) => translator.fusionOf(first, second);
      if (tailCalls && options.disabled?.has("wasmRegions") !== true) {
        this.regions.wasm = this.wasm;
        this.regions.thread = options.regionThread;
      }
    }
    if (options.fuseThreshold === 0) this.builder.fuseNext = (first, second) => translator.fuse(first, second);
    this.promotion = new Promotion(cpu, this.cache, this.builder, this.regions, {
      // What is hot becomes a region; new handlers for what is not cost more than they save, unless each is called as JavaScript.
      fuse: options.fuseThreshold ?? (this.wasm !== undefined && region !== Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : fuseThreshold),
      region,
    });
    this.builder.crowded = () => {
      this.hasTooManyShapes = true;
      cpu.requestAttention();
    };
    this.cache.blockDied = (header) => {
      this.builder.died(header);
      this.promotion.died(header);
      this.regions.died(header);
    };
    this.cache.repair = (header, from, to) => this.builder.repair(header, from, to);
    this.cache.renew = (header, from, to) => this.builder.renew(header, from, to) !== 0;
    this.cache.isUnderRegion = (header, from, to) => this.regions.standsOver(header, from, to);
    this.cache.regionsWritten = (page, from, to) => this.regions.invalidate(page, from, to);
    this.cache.regionRanges = (page) => this.regions.rangesOn(page);
    this.makePseudoShapes();
    this.cache.sizeOf = (shape) => this.builder.sizes[shape];
    this.cache.instructionsOf = (shape) => (shape === pseudo.straddle || shape === pseudo.fall ? 0 : this.builder.instructions[shape]);
    this.cache.poison = pseudo.poison;
    this.cache.poisonAtStart = pseudo.poisonAtStart;
    const { physical } = cpu.board;
    this.cache.pageHasCode = (page, has) => {
      physical.codePages[page] = has ? 1 : 0;
      if (has) cpu.memory.protectPhysicalPage(page << 12);
    };
    physical.codeWritten = (address, length) => this.codeWritten(address, length);
    this.C[stopBlock + 2] = pseudo.stop;
    this.C[dispatchBlock + 2] = pseudo.dispatch;
    this.C[faultBlock + 2] = pseudo.fault;
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
    const { wasm } = this;
    this.stopping = undefined;
    this.deadline = this.retired + instructions;
    this.endSlice();
    this.lastEvent = -1;
    let p = -1;
    run: for (;;) {
      try {
        if (p < 0) {
          this.forgetTooMany();
          this.entry.eipIsCurrent = true;
          p = this.look();
        }
        if (wasm !== undefined) {
          wasm.run(p);
          p = -1;
          if (this.hasTooManyShapes) continue;
          return this.stopping ?? "slice";
        }
        for (;;) {
          C[p + 1]++;
          if ((R[budget] -= C[p]) < 0) {
            p = this.attend(p);
            if (p === stopBlock) {
              p = -1;
              if (this.hasTooManyShapes) continue run;
              return this.stopping ?? "slice";
            }
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
        this.takeFault(wasm === undefined ? p : wasm.where);
        p = -1;
      }
    }
  }

  /** Delivers what is due, then executes exactly one instruction or delivers the exception it raises. R[eip] is current before and after. */
  runOneInstruction(): StopReason {
    const { cpu } = this;
    const R = cpu.R;
    try {
      this.stopping = undefined;
      this.forgetTooMany();
      this.deadline = this.retired;
      this.lastEvent = -1;
      this.entry.eipIsCurrent = true;
      this.look();
      if (this.stopping !== "slice") return this.stopping ?? "requested";
      this.stopping = undefined;
      this.issued = this.retired;
      cpu.budgetHeldBack = 0;
      R[budget] = 0;
      this.step();
    } catch (e) {
      if (e !== cpu.fault) throw e;
      this.takeFault(-1);
    }
    return this.stopping ?? "slice";
  }

  /** A guest exception left the instruction at index `p` (or the delivery or fetch at R[eip]). */
  private takeFault(p: number): void {
    const { cpu } = this;
    this.faults++;
    cpu.exitCounts[(exitReason.exception + cpu.fault.vector) * ringCount + cpu.R[slot.cpl]]++;
    if (!this.entry.eipIsCurrent) {
      const offset = this.faultingOffset(p);
      cpu.R[eipSlot] = (cpu.R[pageSlot] + offset) | 0;
      cpu.R[budget] += this.unexecuted(p, offset);
    }
    cpu.R[slot.interruptShadow] = 0;
    this.deliverException(cpu.fault.vector, cpu.fault.errorCode);
    this.passTime();
  }

  private deliverException(exception: number, errorCode: number): void {
    if (this.wasm !== undefined && isFault(exception) && this.wasm.enterHandler(exception, eventKind.exception, errorCode)) return;
    deliverException(this.cpu, exception, errorCode);
  }

  private deliverInterrupt(number: number): void {
    if (this.wasm?.enterHandler(number, eventKind.hardware, -1) !== true) deliverHardwareInterrupt(this.cpu, number);
  }

  /** `enter` met a guest exception. */
  private takeFetchFault(): void {
    this.cpu.noted[1] = 0;
    this.takeFault(-1);
  }

  /** A region caught a guest exception and committed its state; where it was is in R[faultOffset]. */
  private faulted(): number {
    const R = this.cpu.R;
    const place = R[slot.faultOffset];
    R[eipSlot] = (R[pageSlot] + ((place << (32 - faultOffsetBits)) >> (32 - faultOffsetBits))) | 0;
    R[budget] += place >>> unexecutedShift;
    this.entry.eipIsCurrent = true;
    this.takeFault(-1);
    return this.isCalled() ? ~dispatchBlock : ~this.dispatch();
  }

  /** A region left the instruction at R[eip] to tier 0, for it cannot be done in line. */
  private gaveUp(): number {
    this.entry.eipIsCurrent = true;
    this.stores.refuse();
    this.promotion.noteGivenUp();
    return this.isCalled() ? ~dispatchBlock : ~this.dispatch();
  }

  /** Whether the region that asks was called by another one, not by `run`. */
  private isCalled(): boolean {
    return this.J[jsCall.depth] !== 0;
  }

  /**
   * An event was delivered. If no instruction ran since the one before it, it takes an instruction's time itself: a handler that cannot be fetched, or
   * an interrupt that comes again and again, would otherwise stop the clock and never let `run` return.
   */
  private passTime(): void {
    if (this.retired === this.lastEvent) this.cpu.R[budget]--;
    this.lastEvent = this.retired;
  }

  /** Page offset of the instruction that faulted in the handler at word `p`. */
  private faultingOffset(p: number): number {
    return this.builder.instructions[this.C[p] & shapeBits] > 1 ? this.cpu.R[slot.faultOffset] : this.C[p] >>> 16;
  }

  /** Instructions of a block from the one at word `p`, or the part of it at page offset `offset`, on: its header took them off the budget, but they did not run. */
  private unexecuted(p: number, offset: number): number {
    const { C } = this;
    const { sizes, instructions } = this.builder;
    let count = 0;
    if (instructions[C[p] & shapeBits] > 1) {
      // The parts before the one at fault did run.
      this.translator.shape((C[p] & shapeBits) - firstShape).parts.forEach((word, k) => {
        if (word !== 0 && C[p + word] === offset) count = -1 - k;
      });
    }
    for (let at = p; (C[at] & shapeBits) !== pseudo.fall; at += sizes[C[at] & shapeBits]) {
      const shape = C[at] & shapeBits;
      if (shape >= pseudo.poisonAtStart && shape < firstShape) return count + shape - pseudo.poisonAtStart;
      if (shape >= pseudo.poison && shape < firstShape) return count + shape - pseudo.poison;
      if (shape === pseudo.stub) break;
      if (shape !== pseudo.straddle) count += instructions[shape];
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
    this.promotion.sample(p, this.retired);
    R[eipSlot] = (R[pageSlot] + (C[p + 2] >>> 16)) | 0;
    this.entry.eipIsCurrent = true;
    this.sliceEnded?.((C[p + 2] & shapeBits) >= firstRegionShape);
    const next = this.look();
    if (next !== stopBlock) {
      R[budget] -= C[next];
      C[next + 1]++;
      this.traceBlock?.((R[pageSlot] + (C[next + 2] >>> 16)) | 0, C[next - 2] & modeMask);
    }
    return next;
  }

  /** With R[eip] current: time, interrupts, reasons to stop; then the block to run. */
  private look(): number {
    const { cpu } = this;
    const R = cpu.R;
    R[slot.leave] = 0;
    for (;;) {
      if (this.hasTooManyShapes) {
        cpu.requestAttention();
        return stopBlock;
      }
      this.poll(this.sliceLeft < 0 || R[slot.halted] !== 0);
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
        this.deliverInterrupt(this.nmiReady() ? this.takeNmi() : cpu.board.interrupts.acknowledge());
        this.passTime();
        continue;
      }
      if (this.retired >= this.deadline) return this.stopAt("slice");
      this.nextSlice();
      if (R[slot.interruptShadow] === 0 && (R[modeSlot] & singleStep) === 0) {
        const header = this.entry.enterAgain();
        if (header !== 0) return header;
        this.takeFetchFault();
      } else this.step();
    }
  }

  /** At a back edge of a region that has used its slice up: what `look` does, as far as it needs no state that the region holds. */
  private moreTime(used: number): number {
    const { cpu } = this;
    const R = cpu.R;
    R[budget] -= used;
    this.poll(this.sliceLeft < 0);
    if (this.stopping !== undefined || R[slot.leave] !== 0 || cpu.pendingDebug !== 0) return R[budget];
    if (this.interruptReady() || this.retired >= this.deadline) return R[budget];
    // Now and then it is entered anew: V8 replaces code in the middle of a loop by code that is not quite as good.
    this.slices += this.longer;
    if (this.slices >= slicesInLoop) {
      this.slices = 0;
      this.longer = 1;
      return R[budget];
    }
    if (2 * this.betweenPolls() <= fineSlice && this.longer < longestSlice) this.longer *= 2;
    this.nextSlice(this.longer);
    return R[budget];
  }

  /** Instructions that the slice has left, whether or not attention was requested. */
  private get sliceLeft(): number {
    return this.cpu.R[budget] + this.cpu.budgetHeldBack;
  }

  /** Takes away what the slice has left: host time may have passed. */
  private endSlice(): void {
    const { retired } = this;
    this.cpu.budgetHeldBack = 0;
    this.cpu.R[budget] = -1;
    this.issued = retired - 1;
  }

  /** Grants the guest the rest of its slice, or the next one. @param times as long as usual */
  private nextSlice(times = 1): void {
    const { cpu } = this;
    const { retired, sliceLeft } = this;
    this.noteWaiting();
    cpu.budgetHeldBack = 0;
    if (sliceLeft >= 0) {
      cpu.R[budget] = sliceLeft;
      return;
    }
    cpu.R[budget] = Math.min(times * this.sliceInstructions, this.deadline - retired);
    this.issued = retired + cpu.R[budget];
  }

  /** What is to become true asks for attention; what is, and is held off, may be let in by an instruction. */
  private noteWaiting(): void {
    const { cpu } = this;
    const { interrupts } = cpu.board;
    const waits = interrupts.pending || interrupts.nmi === true || cpu.nmiBlocked || cpu.pendingDebug !== 0;
    cpu.attention[attention.look] = waits ? 1 : 0;
  }

  private stopAt(reason: StopReason): number {
    this.stopping = reason;
    // The run loop only looks at what block it got when the budget is spent.
    this.cpu.requestAttention();
    return stopBlock;
  }

  private interruptReady(): boolean {
    const { interrupts } = this.cpu.board;
    return ((this.cpu.R[slot.eflags] & eflag.if) !== 0 && interrupts.pending) || (interrupts.nmi === true && !this.cpu.nmiBlocked);
  }

  private nmiReady(): boolean {
    return this.cpu.board.interrupts.nmi === true && !this.cpu.nmiBlocked;
  }

  private takeNmi(): number {
    this.cpu.board.interrupts.acknowledgeNmi?.();
    this.cpu.nmiBlocked = true;
    this.cpu.attention[attention.look] = 1;
    return vector.nmi;
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
    const header = this.entry.enterOrRaise(singleStep);
    this.settle(this.runOne(header + 2));
    // Not before: an instruction that faults has not retired.
    R[budget] -= 1;
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
      return q < 0 ? this.runOne(this.entry.enterOrRaise(singleStep) + 2) : H[C[q] & shapeBits](q);
    } catch (e) {
      if (e === cpu.fault && !this.entry.eipIsCurrent) cpu.R[eipSlot] = (cpu.R[pageSlot] + (C[at] >>> 16)) | 0;
      this.entry.eipIsCurrent = true;
      throw e;
    } finally {
      this.stepping = false;
    }
  }

  /** After a single instruction returned `q`: makes R[eip] current. */
  private settle(q: number): void {
    const { C } = this;
    const R = this.cpu.R;
    this.entry.eipIsCurrent = true;
    if (q >= 0) {
      // Falls through: the pseudo-instruction after it, or poison if it overwrote itself, knows the offset.
      R[eipSlot] = (R[pageSlot] + (C[q] >>> 16)) | 0;
      return;
    }
    const header = ~q;
    const shape = C[header + 2] & shapeBits;
    if (shape === pseudo.dispatch || shape === pseudo.stop) return;
    if (shape === pseudo.stub || shape === pseudo.crossPage || shape === pseudo.crossSegmented) R[eipSlot] = this.links.target(header + 2);
    else R[eipSlot] = (R[pageSlot] + (C[header + 2] >>> 16)) | 0;
  }

  private debugTraps(trap: boolean): void {
    const { cpu } = this;
    if (!trap && cpu.pendingDebug === 0) return;
    noteDebugCauses(cpu.R, cpu.pendingDebug | (trap ? 1 << 14 : 0));
    cpu.pendingDebug = 0;
    cpu.raise(vector.db);
  }

  private forgetTooMany(): void {
    if (!this.hasTooManyShapes) return;
    this.hasTooManyShapes = false;
    this.builder.forgetShapes();
  }

  /** Drops all translated code. Nothing of it may go on running, except a region's own return. */
  forget(): void {
    this.cache.flush();
    this.regions.clear();
    this.jumps.clear();
    this.entry.forget();
    this.promotion.clear();
    this.links.clear();
    this.builder.clear();
  }

  // ---- pseudo-instructions

  private makePseudoShapes(): void {
    const { C, cpu } = this;
    const R = cpu.R;
    const { TX } = cpu.memory;
    const define = (number: number, size: number, handler: Handler): void => this.builder.define(number, size, handler);
    define(pseudo.stop, 1, () => ~stopBlock);
    define(pseudo.fault, 1, () => {
      this.takeFault((this.wasm as WasmTier).takeFault());
      return ~this.dispatch();
    });
    define(pseudo.dispatch, 1, () => ~this.dispatch());
    for (let left = 0; left <= maximumBlockInstructions; left++) {
      define(pseudo.poison + left, 1, (p) => {
        R[eipSlot] = (R[pageSlot] + (C[p] >>> 16)) | 0;
        R[budget] += left;
        return ~this.dispatch();
      });
      define(pseudo.poisonAtStart + left, 1, (p) => {
        R[budget] += left;
        return ~this.links.revive(p);
      });
    }
    define(pseudo.fall, 2, (p) => C[p + 1]);
    define(pseudo.stub, 6, (p) => ~this.links.arrive(p));
    define(pseudo.crossPage, 6, (p) => {
      const eip = (R[pageSlot] + C[p + 1]) | 0;
      const T = TX[R[tlbHalf] + (eip >>> 12)];
      if ((T & 1) !== 0 || ((T ^ eip) & ~0xfff) !== C[p + 3]) return ~this.links.relink(p);
      R[pageSlot] = (eip & ~0xfff) | 0;
      return ~C[p + 4];
    });
    define(pseudo.crossSegmented, 6, (p) => {
      // If EIP wraps around here, neither the page nor its place is the one that the link was made for.
      const eip = (R[pageSlot] + C[p + 1]) | 0;
      const linear = (eip + R[csBase]) | 0;
      const T = TX[R[tlbHalf] + (linear >>> 12)];
      const page = (eip - (linear & 0xfff)) | 0;
      if ((T & 1) !== 0 || ((T ^ linear) & ~0xfff) !== C[p + 3] || !this.entry.fits(C[p + 4], page)) return ~this.links.relink(p);
      R[pageSlot] = page;
      return ~C[p + 4];
    });
    define(pseudo.straddle, 2, (p) => {
      const eip = (R[pageSlot] + 0x1000) | 0;
      if ((R[modeSlot] & linearCode) !== linearCode) {
        // The straddling instruction is alone in its block.
        const last = (R[pageSlot] + (C[p] >>> 16) + (C[p - 4] >>> modeWidth) - 1) | 0;
        if (last >>> 0 > R[csLimit] >>> 0) cpu.raise(vector.gp, 0);
      }
      const next = cpu.memory.translateFetch((eip + R[csBase]) | 0);
      if ((next | 0) === C[p + 1]) return p + 2;
      // Another page follows now: decode again. Nothing of this block has run.
      R[eipSlot] = (R[pageSlot] + (C[p] >>> 16)) | 0;
      if (!this.stepping) R[budget] += C[p - 2];
      this.cache.invalidate(C[p - 2 - 3] >>> 12, C[p] >>> 16, (C[p] >>> 16) + 1);
      return ~this.dispatch();
    });
    define(pseudo.undefinedOpcode, 1, () => cpu.raise(vector.ud));
    define(pseudo.tooLong, 1, () => cpu.raise(vector.gp, 0));
  }

  /** R[eip] is current: the block there, after a look around if the slice is over. */
  private dispatch(): number {
    const R = this.cpu.R;
    this.entry.eipIsCurrent = true;
    // `step` goes on from R[eip] by itself: one that looked around from inside the instruction would nest deeper with each.
    if (this.stepping) return dispatchBlock;
    R[slot.leave] = 0;
    // One instruction alone: the block here may have a region too, which would refuse again.
    if (this.stores.takeRefused()) this.step();
    for (;;) {
      if (
        R[budget] < 0 ||
        (R[slot.interruptShadow] | R[slot.halted] | (R[modeSlot] & singleStep)) !== 0 ||
        this.interruptReady() ||
        this.cpu.pendingDebug !== 0 ||
        this.cpu.shutdown
      ) {
        return this.look();
      }
      // Interrupts and returns from them, mostly: to where they went before.
      if ((R[modeSlot] & linearCode) !== linearCode) {
        this.entry.eipIsCurrent = false;
        return ~this.jumpSegmented(R[eipSlot]);
      }
      const header = this.entry.enterAgain();
      if (header !== 0) return header;
      this.takeFetchFault();
    }
  }

  /** An indirect jump to `eip`: the mode is what it was. */
  private jump(eip: number): number {
    const header = this.jumps.find(eip);
    if (header === 0) return this.jumpSlowly(eip);
    this.cpu.R[pageSlot] = eip & ~0xfff;
    return ~header;
  }

  /** The same where EIP is not the linear address. */
  private jumpSegmented(eip: number): number {
    const { R } = this.cpu;
    const linear = (eip + R[csBase]) | 0;
    const page = (eip - (linear & 0xfff)) | 0;
    const header = this.jumps.findOnEdges(linear);
    if (header === 0 || !this.entry.fits(header, page)) return this.jumpSlowly(eip);
    R[pageSlot] = page;
    return ~header;
  }

  private jumpSlowly(eip: number): number {
    const { R } = this.cpu;
    R[eipSlot] = eip;
    this.entry.eipIsCurrent = true;
    if ((R[modeSlot] & singleStep) !== 0) return ~dispatchBlock;
    let header: number;
    try {
      header = this.entry.enter();
    } catch (e) {
      if (e !== this.cpu.fault || !this.isCalled()) throw e;
      // `run` meets the fault again, where no region is in between.
      return ~dispatchBlock;
    }
    if (header === 0) {
      if (this.stepping) this.cpu.raiseNoted();
      if (this.isCalled()) {
        this.cpu.noted[1] = 0;
        return ~dispatchBlock;
      }
      this.takeFetchFault();
      // Not `dispatch`, which may lead back here, and again, if the handler cannot be fetched either.
      return ~this.look();
    }
    if (this.keepsJumps) {
      this.jumps.note((eip + R[csBase]) | 0, header);
      this.regions.noteEntered(header);
    }
    return ~header;
  }

  // ---- self-modifying code

  private codeWritten(address: number, length: number): void {
    const from = address & 0xfff;
    if (this.cache.invalidate(address >>> 12, from, from + length)) this.cpu.R[slot.leave] = 1;
  }
}
