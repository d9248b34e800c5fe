/**
 * What executes guest code: the dispatcher with a translator injected, run in slices of guest instructions that take a few
 * milliseconds of host time.
 */
import type { Cpu } from "../../runtime/cpu/cpu.ts";
import { updateMode } from "../../runtime/cpu/mode.ts";
import type { MachineClock } from "../../runtime/devices/clock.ts";
import { Dispatcher, type StopReason } from "../../runtime/execute/dispatcher.ts";
import { mode } from "../../translator/contract/mode-key.ts";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { observeExecution, observeTranslator } from "./debug.ts";
import type { ResolvedOptions } from "./options.ts";
import type { BlockInfo, MachineStats } from "./types.ts";
import { portCounts, vmExits } from "./vm-exits.ts";

/** Under the virtual clock slices are a fixed number of instructions: where they end must not depend on the host's speed. */
const virtualSlice = 1 << 20;
const smallestSlice = 1 << 14;
const largestSlice = 1 << 26;
/** Executions of a block before it is worth a region. */
const hotExecutions = 4000;

export class Engine {
  readonly #cpu: Cpu;
  readonly #dispatcher: Dispatcher;
  readonly #adapts: boolean;
  #slice = virtualSlice;

  constructor(cpu: Cpu, clock: MachineClock, options: ResolvedOptions) {
    this.#cpu = cpu;
    this.#adapts = options.clock === "host";
    const translator = new JavaScriptTranslator();
    const observed = options.debug ? observeTranslator(translator, options.debug, () => cpu.R[slot.page]) : translator;
    this.#dispatcher = new Dispatcher(cpu, observed, {
      poll: () => clock.runDue(),
      regionThreshold: options.engine === "translate" && !options.debug?.categories.includes("exec") ? hotExecutions : Number.POSITIVE_INFINITY,
      ...(options.debug ? observeExecution(cpu, options.debug) : {}),
    });
  }

  /** Guest instructions retired since power-on. */
  get instructions(): number {
    return this.#dispatcher.retired;
  }

  /** Runs for about `milliseconds` of host time, and not much more than `instructions`. */
  run(milliseconds: number, instructions: number): StopReason {
    const started = performance.now();
    const before = this.instructions;
    const reason = this.#dispatcher.run(Math.min(this.#slice, instructions));
    if (this.#adapts && reason === "slice") {
      const took = Math.max(performance.now() - started, 0.1);
      const wanted = ((this.instructions - before) * milliseconds) / took;
      // Half way each time: one slice with a large decode in it should not make the next ones tiny.
      this.#slice = Math.min(largestSlice, Math.max(smallestSlice, Math.round((this.#slice + wanted) / 2)));
    }
    return reason;
  }

  /** Executes exactly one instruction, or delivers the exception it raises. */
  step(): StopReason {
    // A block of one instruction, whatever the mode says; the next instruction computes the mode anew.
    this.#cpu.R[slot.mode] |= mode.singleStep;
    const reason = this.#dispatcher.run(1);
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

  blocks(): BlockInfo[] {
    const { cache, regions } = this.#dispatcher;
    const installed = new Map([...regions.live.values()].map((region) => [region.header, region] as const));
    const blocks = [...cache.live()].map(({ header, address, mode, length, instructions, executions }): BlockInfo => {
      const region = installed.get(header);
      if (region === undefined) return { address, mode, length, instructions, executions, tier: "cold" };
      // A region's block keeps its own words aside.
      const { code } = region;
      const info = { instructions: code.instructions, exits: code.exits, text: code.text };
      return { address, mode, length, instructions: region.instructions, executions, tier: "region", region: info };
    });
    return blocks.sort((a, b) => b.executions - a.executions);
  }

  stats(): Pick<
    MachineStats,
    "instructions" | "blocks" | "regions" | "codeCacheBytes" | "regionTextLength" | "invalidations" | "interrupts" | "faults" | "exits" | "ports"
  > {
    const { cache, regions } = this.#dispatcher;
    return {
      instructions: this.instructions,
      blocks: cache.blocks,
      regions: regions.translated,
      codeCacheBytes: cache.top * 4,
      regionTextLength: [...regions.live.values()].reduce((sum, region) => sum + region.code.text.length, 0),
      invalidations: cache.invalidatedBlocks + regions.invalidated,
      interrupts: this.#dispatcher.interruptsDelivered,
      faults: this.#dispatcher.faults,
      exits: vmExits(this.#cpu.exitCounts),
      ports: portCounts(this.#cpu.portCounts),
    };
  }
}
