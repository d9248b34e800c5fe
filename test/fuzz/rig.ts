/**
 * A machine for fuzzing: board, CPU and dispatcher put together as src/machine does, under the virtual clock, but with a slice, a code cache and a
 * region threshold small enough that a few thousand instructions meet everything. One rig runs many cases: `reset` brings it back to power-on, so
 * that a case gives the same result whatever ran before it.
 */
import { crc32 } from "node:zlib";
import { Cpu } from "../../runtime/cpu/cpu.ts";
import { VirtualClock } from "../../runtime/devices/clock.ts";
import type { SavedState } from "../../runtime/devices/device.ts";
import { Dispatcher } from "../../runtime/execute/dispatcher.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { Board } from "../../src/machine/board.ts";
import type { ExitInfo } from "../../src/machine/types.ts";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";

export type EngineName = "translate" | "interpret";

export interface Outcome {
  /** How the case ended. */
  readonly end: "budget" | "faults" | "halted" | "shutdown" | ExitInfo["reason"];
  readonly instructions: number;
  readonly faults: number;
  readonly interrupts: number;
  readonly regions: number;
  /** Hash of everything the guest could see: memory, CPU, devices, output. */
  readonly hash: string;
}

export interface Limits {
  readonly instructions: number;
  /** A case that does nothing but fault ends early. */
  readonly faults: number;
  /** Times a halted CPU is taken to the next deadline. */
  readonly halts: number;
}

const slicePerRun = 4000;

export class Rig {
  readonly physical: PhysicalMemory;
  readonly cpu: Cpu;
  readonly clock: VirtualClock;
  readonly board: Board;
  readonly dispatcher: Dispatcher;
  readonly translator = new JavaScriptTranslator();
  readonly engine: EngineName;
  private exit: ExitInfo | undefined;
  private output = 0;
  private readonly poweredOn: readonly SavedState[];
  /** Counters of the dispatcher when the case began. */
  private base = { instructions: 0, faults: 0, interrupts: 0, regions: 0 };

  constructor(engine: EngineName, memorySize: number, codeWords = 1 << 18) {
    this.engine = engine;
    this.physical = new PhysicalMemory(memorySize);
    this.clock = new VirtualClock(() => (this.dispatcher ? this.dispatcher.retired - this.base.instructions : 0));
    this.board = new Board(this.physical, this.clock, {
      interrupt: () => this.cpu?.requestAttention(),
      gateA20: (open) => this.gateA20(open),
      exit: (exit) => {
        this.exit ??= exit;
        this.dispatcher.stop();
      },
      serial: (bytes) => {
        for (const byte of bytes) this.output = (Math.imul(this.output, 31) + byte) | 0;
      },
    });
    this.poweredOn = this.board.devices.map((device) => structuredClone(device.save()));
    this.cpu = new Cpu(this.board.cpuBoard);
    this.dispatcher = new Dispatcher(this.cpu, this.translator, {
      codeWords,
      sliceInstructions: engine === "translate" ? 50 : 300,
      smallestRegion: 1,
      regionThreshold: engine === "translate" ? 2 : Number.POSITIVE_INFINITY,
      poll: () => this.clock.runDue(),
    });
  }

  private gateA20(open: boolean): void {
    const mask = open ? -1 : ~(1 << 20);
    if (!this.cpu || this.cpu.walker.a20Mask === mask) return;
    this.cpu.walker.a20Mask = mask;
    this.cpu.memory.flush(true);
  }

  /** Power-on. RAM becomes a copy of `memory`, repeated. */
  reset(memory?: Uint8Array): void {
    const { dispatcher, physical } = this;
    dispatcher.forget();
    if (memory) for (let at = 0; at < physical.size; at += memory.length) physical.u8.set(memory, at);
    else physical.u8.fill(0);
    this.base = {
      instructions: dispatcher.retired,
      faults: dispatcher.faults,
      interrupts: dispatcher.interruptsDelivered,
      regions: dispatcher.regions.translated,
    };
    this.clock.restore({ skipped: 0, nanosecondsPerInstruction: 1 });
    this.board.reset();
    // What a reset leaves alone: CMOS memory and time, the UARTs' divisors.
    this.board.devices.forEach((device, i) => {
      device.restore(structuredClone(this.poweredOn[i]));
    });
    this.cpu.reset();
    this.board.handOver();
    this.exit = undefined;
    this.output = 0;
  }

  run(limits: Limits): Outcome {
    const { dispatcher, clock, cpu, base } = this;
    let end: Outcome["end"] = "budget";
    let halts = 0;
    while (dispatcher.retired - base.instructions < limits.instructions) {
      if (dispatcher.faults - base.faults > limits.faults) {
        end = "faults";
        break;
      }
      const reason = dispatcher.run(slicePerRun);
      this.board.flush();
      if (this.exit) {
        end = (this.exit as ExitInfo).reason;
        break;
      }
      if (reason === "shutdown") {
        end = "shutdown";
        break;
      }
      if (reason === "halted") {
        const deadline = clock.nextDeadline();
        if (deadline === Number.POSITIVE_INFINITY || ++halts > limits.halts) {
          end = "halted";
          break;
        }
        clock.skipTo(deadline);
      }
    }
    void cpu;
    return {
      end,
      instructions: dispatcher.retired - base.instructions,
      faults: dispatcher.faults - base.faults,
      interrupts: dispatcher.interruptsDelivered - base.interrupts,
      regions: dispatcher.regions.translated - base.regions,
      hash: this.hash(),
    };
  }

  /** Everything but memory, as a person can compare it. */
  state(): { slots: number[]; text: string } {
    const { slots, ...cpu } = this.cpu.save();
    return {
      slots: [...(slots as Int32Array)].map((word, i) => (scratchSlots.has(i) ? 0 : word)),
      text: JSON.stringify([cpu, this.clock.now(), this.output, this.board.devices.map((device) => device.save())]),
    };
  }

  /** Over RAM, CPU slots and the devices' saved states. */
  hash(): string {
    const { slots, text } = this.state();
    const rest = crc32(text, crc32(new Uint8Array(Int32Array.from(slots).buffer)));
    return rest.toString(16).padStart(8, "0") + crc32(this.physical.u8).toString(16).padStart(8, "0");
  }
}

/** Words that are not state between instructions. */
const scratchSlots = new Set<number>([slot.page, slot.budget, slot.leave, slot.faultOffset]);
for (let i = 0; i < 4; i++)
  scratchSlots
    .add(slot.scratch + i)
    .add(slot.scratch2 + i)
    .add(slot.scratch2 + 4 + i);
