/**
 * The dispatcher: finds the block at EIP, runs it and whatever it links to, and deals with everything that is not straight execution: time, interrupts, guest
 * faults, single-stepping, code that was overwritten, a full code cache.
 *
 * Terms. A *slice* is a number of guest instructions after which the dispatcher looks around; `R[budget]` counts it down, block by block. A *stub* is a block of no
 * guest instructions that stands in for one not yet decoded: it decodes it, links it and goes there. *Shape numbers* below `firstShape` are the dispatcher's own
 * pseudo-instructions (stubs, poison, page-straddle check: pseudo-handlers.ts); the translator's follow.
 *
 * What must always hold: between instructions all architectural state but EIP is in the slots; EIP is R[pageSlot] + the page offset stored with the instruction at
 * index p, except where `Entry.eipIsCurrent` says that R[eipSlot] itself is right.
 */
import { exitReason as exitReasonImported, ringCount as ringCountImported } from "../../translator/contract/exits.ts";
import { linearCode as linearCodeImported, mode } from "../../translator/contract/mode-key.ts";
import {
  attention as attentionImported,
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
import {
  dispatchBlock as dispatchBlockImported,
  faultBlock as faultBlockImported,
  firstRegionShape as firstRegionShapeImported,
  fixedWords as fixedWordsImported,
  type Handler,
  pseudo as pseudoImported,
  stopBlock as stopBlockImported,
} from "../code/pseudo-shapes.ts";
import { RegionMaking } from "../code/region-making.ts";
import { RegionPolicy } from "../code/region-policy.ts";
import { RegionTargets } from "../code/region-targets.ts";
import { Regions } from "../code/regions.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { deliverDebugException, deliverException, deliverHardwareInterrupt, eventKind as eventKindImported, isFault } from "../cpu/interrupts.ts";
import { usualCodeWords } from "../memory/host-memory.ts";
import type { DispatcherOptions } from "./dispatcher-options.ts";
import { Entry } from "./entry.ts";
import { GuardedStores } from "./guarded-stores.ts";
import { hostNames, notingNames } from "./host-names.ts";
import { JumpCache, jumpCacheWords, sharedJumpWords } from "./jump-cache.ts";
import { Links } from "./links.ts";
import { PartialBlocks } from "./partial-blocks.ts";
import { Promotion } from "./promotion.ts";
import { definePseudoInstructions } from "./pseudo-handlers.ts";
import { regionCalls } from "./region-calls.ts";
import { SingleStep } from "./single-step.ts";
import { WasmTier } from "./wasm-tier.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const { offsetBits: faultOffsetBits, unexecutedShift } = faultPlace;
const eflag = eflagImported;
const segment = segmentImported;
const jsCall = jsCallImported;
const attention = attentionImported;
const eventKind = eventKindImported;
const slot = slotImported;
const { budget, page: pageSlot, mode: modeSlot, eip: eipSlot } = slot;
const { singleStep } = mode;
const linearCode = linearCodeImported;
const modeMask = modeMaskImported;
const csBase = slot.segmentBase + segment.cs;
const exitReason = exitReasonImported;
const ringCount = ringCountImported;
const vector = vectorImported;
const pseudo = pseudoImported;
const stopBlock = stopBlockImported;
const dispatchBlock = dispatchBlockImported;
const faultBlock = faultBlockImported;
const fixedWords = fixedWordsImported;
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

export class Dispatcher {
  readonly cache: CodeCache;
  readonly regions: Regions;
  readonly making: RegionMaking;
  readonly policy: RegionPolicy;
  readonly promotion: Promotion;
  readonly targets: RegionTargets;
  readonly stepper: SingleStep;
  private readonly cpu: Cpu;
  private readonly wasm: WasmTier | undefined;
  private readonly C: Int32Array;
  private readonly TX: Int32Array;
  private readonly jumps: JumpCache;
  private readonly links: Links;
  private readonly builder: BlockBuilder;
  private readonly entry: Entry;
  private readonly partial: PartialBlocks;
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
    this.stepper = new SingleStep(cpu, { C: this.C, H: this.H, entry: this.entry, links: this.links, traceBlock: this.traceBlock });
    this.partial = new PartialBlocks(cpu, this.C, this.builder, translator);
    this.regions = new Regions(this.cache, {
      firstShape: firstRegionShape,
      lastShape: shapeBits,
      handlers: this.H,
      targets: this.targets,
      regionLimits: options.regionLimits,
      addStub: (link, offset, page, wraps) => this.builder.addStub(link, offset, page, wraps),
    });
    this.making = new RegionMaking(this.cache, this.regions, translator, host, {
      hotCall: Math.min(hotCall, (options.regionThreshold ?? 0) / 4),
      callsSubroutines: options.disabled?.has("returns") !== true,
      smallestRegion: options.smallestRegion ?? 3,
    });
    this.policy = new RegionPolicy(this.cache, this.regions, this.making);
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
        this.making.thread = options.regionThread;
      }
    }
    if (options.fuseThreshold === 0) this.builder.fuseNext = (first, second) => translator.fuse(first, second);
    this.promotion = new Promotion(cpu, this.cache, this.builder, this.regions, this.making, this.policy, {
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
      this.making.died(header);
    };
    this.cache.repair = (header, from, to) => this.builder.repair(header, from, to);
    this.cache.renew = (header, from, to) => this.builder.renew(header, from, to) !== 0;
    this.cache.isUnderRegion = (header, from, to) => this.regions.standsOver(header, from, to);
    this.cache.regionsWritten = (page, from, to) => this.regions.invalidate(page, from, to);
    this.cache.regionRanges = (page) => this.regions.rangesOn(page);
    definePseudoInstructions(this.builder, cpu, {
      cache: this.cache,
      entry: this.entry,
      links: this.links,
      stepper: this.stepper,
      dispatch: () => ~this.dispatch(),
      fault: () => {
        this.takeFault((this.wasm as WasmTier).takeFault());
        return ~this.dispatch();
      },
    });
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
      this.stepper.step();
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
    if (!this.entry.eipIsCurrent) this.partial.leave(p);
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
      } else this.stepper.step();
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

  private forgetTooMany(): void {
    if (!this.hasTooManyShapes) return;
    this.hasTooManyShapes = false;
    this.builder.forgetShapes();
  }

  /** Drops all translated code. Nothing of it may go on running, except a region's own return. */
  forget(): void {
    this.cache.flush();
    this.regions.clear();
    this.making.clear();
    this.policy.clear();
    this.jumps.clear();
    this.entry.forget();
    this.promotion.clear();
    this.links.clear();
    this.builder.clear();
  }

  /** R[eip] is current: the block there, after a look around if the slice is over. */
  private dispatch(): number {
    const R = this.cpu.R;
    this.entry.eipIsCurrent = true;
    // `SingleStep.step` goes on from R[eip] by itself: one that looked around from inside the instruction would nest deeper with each.
    if (this.stepper.isUnderWay) return dispatchBlock;
    R[slot.leave] = 0;
    // One instruction alone: the block here may have a region too, which would refuse again.
    if (this.stores.takeRefused()) this.stepper.step();
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
      if (this.stepper.isUnderWay) this.cpu.raiseNoted();
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
      this.policy.noteEntered(header);
    }
    return ~header;
  }

  // ---- self-modifying code

  private codeWritten(address: number, length: number): void {
    const from = address & 0xfff;
    if (this.cache.invalidate(address >>> 12, from, from + length)) this.cpu.R[slot.leave] = 1;
  }
}
