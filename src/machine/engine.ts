/**
 * What executes guest code: the dispatcher with a translator injected, run in slices of guest instructions that take a few
 * milliseconds of host time.
 */
import { hasTailCallsAndVectors } from "../../runtime/code/compile.ts";
import type { Cpu } from "../../runtime/cpu/cpu.ts";
import { updateMode } from "../../runtime/cpu/mode.ts";
import type { MachineClock } from "../../runtime/devices/clock.ts";
import { Dispatcher, type StopReason } from "../../runtime/execute/dispatcher.ts";
import { mode } from "../../translator/contract/mode-key.ts";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { PreparedData } from "../../translator/prepared/data.ts";
import { hasSpareCore } from "./background/node.ts";
import { beginNodeThread } from "./background/node-channel.ts";
import { BackgroundThread } from "./background/thread.ts";
import { webThread } from "./background/web-channel.ts";
import { observeExecution, observeTranslator } from "./debug.ts";
import { wholeStringCallouts } from "./lockstep.ts";
import type { ResolvedOptions } from "./options.ts";
import { prepared } from "./prepared.ts";
import type { BlockInfo, MachineStats } from "./types.ts";
import { unpack } from "./unpack.ts";
import { portCounts, vmExits } from "./vm-exits.ts";

/** Under the virtual clock slices are a fixed number of instructions: where they end must not depend on the host's speed. */
const virtualSlice = 1 << 20;
const smallestSlice = 1 << 14;
const largestSlice = 1 << 26;
/** A slice that takes so many times as long as it should ends there: a guest that does nothing but take exceptions is a hundred times slower than one that computes. */
const patience = 4;
/** Milliseconds of a slice while a region is to come from a browser's worker: what that says is heard between slices. */
const waitingSlice = 2;
/** Executions of a block before it is worth a region. */
const hotExecutions = 16_000;

export class Engine {
  readonly #cpu: Cpu;
  readonly #clock: MachineClock;
  readonly #dispatcher: Dispatcher;
  readonly #adapts: boolean;
  readonly #options: ResolvedOptions;
  readonly #translator: JavaScriptTranslator;
  readonly #thread: BackgroundThread | undefined;
  #slice = virtualSlice;
  /** Guest time, which is the host's, at which the slice has taken too long. */
  #overdue = Number.POSITIVE_INFINITY;
  /** And from which on it ends if a region is waited for. */
  #turnDue = Number.POSITIVE_INFINITY;
  /** Guest time of the last poll, and since the one before. */
  #polledAt = 0;
  #betweenPolls = 0;

  /** @param inLockstep guest time stands still while the guest runs: see lockstep.ts */
  constructor(cpu: Cpu, clock: MachineClock, options: ResolvedOptions, inLockstep = false) {
    this.#cpu = cpu;
    this.#clock = clock;
    this.#options = options;
    this.#adapts = options.clock === "host";
    cpu.float.isDouble = options.x87 === "double";
    const translator = this.#translatorWith(options.disable.has("prepared") ? undefined : (options.prepared ?? builtIn()));
    this.#translator = translator;
    const observed = options.debug ? observeTranslator(translator, options.debug, () => cpu.R[slot.page]) : translator;
    const { sampler } = options;
    this.#thread = inLockstep ? undefined : this.#regionThread();
    this.#dispatcher = new Dispatcher(cpu, observed, {
      // To read the host's time costs more than to deliver an interrupt.
      poll: inLockstep ? () => {} : this.#adapts ? (hasTimePassed) => hasTimePassed && this.#poll() : () => clock.runDue(),
      ...(this.#adapts && !inLockstep ? { betweenPolls: () => this.#betweenPolls } : {}),
      regionThreshold: options.engine === "translate" && !options.debug?.categories.includes("exec") ? hotExecutions : Number.POSITIVE_INFINITY,
      disabled: options.disable,
      regionThread: this.#thread,
      ...(inLockstep ? { callouts: wholeStringCallouts() } : {}),
      ...(sampler ? { sliceEnded: (inRegion) => sampler.sliceEnded(cpu.R, inRegion, this.#dispatcher.retired) } : {}),
      ...(options.debug ? observeExecution(cpu, options.debug) : {}),
    });
  }

  /** Not where runs are to repeat themselves, nor for who watches how it is done. */
  #regionThread(): BackgroundThread | undefined {
    const { clock, debug, passes, disable, engine, x87, regionWorker } = this.#options;
    if (engine !== "translate" || clock !== "host" || debug || passes || disable.has("background") || !hasSpareCore()) return undefined;
    return new BackgroundThread({ disabled: [...disable], x87 }, regionWorker ? webThread(regionWorker) : beginNodeThread);
  }

  /** A translator like the engine's own, for a look at what it does. */
  newTranslator(): JavaScriptTranslator {
    return this.#translatorWith(undefined);
  }

  #translatorWith(ready: PreparedData | undefined): JavaScriptTranslator {
    const { debug, disable, passes, x87 } = this.#options;
    const disabledPasses = new Set<string>(disable);
    // In JavaScript, which is what regions are without tail calls, sites are never found: they would only be in the way.
    if (!hasTailCallsAndVectors()) disabledPasses.add("sites").add("simd");
    // Who wants to see the callouts wants to see all.
    if (debug?.categories.includes("callout")) disabledPasses.add("shortcuts");
    return new JavaScriptTranslator({ disabledPasses, x87, prepared: ready, ...(passes ? { passes } : {}) });
  }

  /** Guest instructions retired since power-on. */
  get instructions(): number {
    return this.#dispatcher.retired;
  }

  #poll(): void {
    const now = this.#clock.runDue();
    this.#betweenPolls = now - this.#polledAt;
    this.#polledAt = now;
    if (now > this.#overdue) this.#dispatcher.stop();
    else if (now > this.#turnDue && this.#dispatcher.making.isWaiting) this.#dispatcher.stop("slice");
  }

  /** Runs for about `milliseconds` of host time, and not much more than `instructions`. */
  run(milliseconds: number, instructions: number): StopReason {
    const started = performance.now();
    const before = this.instructions;
    this.#overdue = this.#clock.now() + patience * milliseconds * 1e6;
    if (this.#options.regionWorker) this.#turnDue = this.#clock.now() + waitingSlice * 1e6;
    const reason = this.#dispatcher.run(Math.min(this.#slice, instructions));
    const now = performance.now();
    const isOverdue = now - started > patience * milliseconds;
    if (this.#adapts && (reason === "slice" || isOverdue)) {
      const wanted = ((this.instructions - before) * milliseconds) / Math.max(now - started, 0.1);
      // Half way each time: one slice with a large decode in it should not make the next ones tiny.
      this.#slice = Math.min(largestSlice, Math.max(smallestSlice, Math.round((this.#slice + wanted) / 2)));
    }
    this.#overdue = this.#turnDue = Number.POSITIVE_INFINITY;
    return reason;
  }

  /** Runs for `instructions`, and to the end of the block under way; 0 only delivers what is due. */
  runExactly(instructions: number): StopReason {
    return this.#dispatcher.run(instructions);
  }

  /** Executes one instruction, a repeated string instruction as far as its callout goes, or delivers the exception it raises. */
  stepAsIs(): StopReason {
    return this.#dispatcher.runOneInstruction();
  }

  /** Executes exactly one instruction, or delivers the exception it raises. */
  step(): StopReason {
    // A block of one instruction, whatever the mode says; the next instruction computes the mode anew.
    this.#cpu.R[slot.mode] |= mode.singleStep;
    const reason = this.#dispatcher.runOneInstruction();
    updateMode(this.#cpu);
    return reason;
  }

  /** Makes `run` return after the current block. */
  stop(): void {
    this.#dispatcher.stop();
  }

  /** Forgets all code. */
  reset(): void {
    this.#dispatcher.forget();
  }

  /** Forgets all code for good. */
  close(): void {
    this.reset();
    this.#thread?.close();
  }

  blocks(): BlockInfo[] {
    const { cache, regions } = this.#dispatcher;
    const installed = new Map([...regions.live.values()].map((region) => [region.header, region] as const));
    const { physical } = this.#cpu.board;
    const blocks = [...cache.live()].map(({ header, address: offset, mode, length, instructions, executions }): BlockInfo => {
      const address = physical.addressOf(offset);
      const region = installed.get(header);
      if (region === undefined) return { address, mode, length, instructions, executions, tier: "cold" };
      // A region's block keeps its own words aside.
      const { code } = region;
      const info = {
        instructions: code.instructions,
        exits: code.exits,
        get text(): string {
          return code.text;
        },
      };
      return { address, mode, length, instructions: region.instructions, executions, tier: "region", region: info };
    });
    return blocks.sort((a, b) => b.executions - a.executions);
  }

  stats(): Omit<
    MachineStats,
    "engine" | "clock" | "x87" | "tlbMisses" | "siteMisses" | "tlbFlushes" | "hostSeconds" | "idleSeconds" | "idleLoops" | "guestSeconds"
  > {
    const { cache, regions, making, policy } = this.#dispatcher;
    const live = [...regions.live.values()];
    return {
      disabled: [...this.#options.disable],
      instructions: this.instructions,
      // Blocks that did not run to their end were counted in full.
      tierZeroInstructions: Math.min(this.instructions, cache.executed + regions.tierZeroInstructions),
      regionEntries: regions.entries,
      shapes: this.#translator.shapeCount,
      blocks: cache.blocks,
      regions: regions.translated,
      regionSeconds: making.milliseconds / 1000,
      backgroundRegions: making.madeBeside,
      backgroundSeconds: making.backgroundMilliseconds / 1000,
      codeCacheBytes: cache.used * 4,
      codeCacheCapacity: cache.C.length * 4,
      codeCacheFlushes: cache.flushes,
      regionsLive: live.length,
      regionTextLength: live.reduce((sum, region) => sum + region.code.size, 0),
      invalidations: cache.invalidatedBlocks + regions.invalidated,
      regionInvalidations: regions.invalidated,
      regionsEvicted: regions.evicted,
      givenUp: policy.givenUp,
      interrupts: this.#dispatcher.interruptsDelivered,
      faults: this.#dispatcher.faults,
      exits: vmExits(this.#cpu.exitCounts),
      ports: portCounts(this.#cpu.portCounts),
    };
  }
}

/** What the build has prepared. */
function builtIn(): PreparedData | undefined {
  if (prepared === undefined) return undefined;
  return new PreparedData(unpack(prepared.text, prepared.size));
}
