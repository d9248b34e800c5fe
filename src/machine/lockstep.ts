/**
 * Machines that can be compared with each other, whatever they are optimised with. Two things make runs of one guest differ that are no errors: where a slice ends
 * (at a block's end, in a region at a back edge), for there interrupts come in; and what the clock says in the middle of a block. So here the guest's time stands
 * still while it runs, and interrupts wait, until `pass` is called; and a run can end after an exact number of instructions. What the guest does between two calls of
 * `pass` is then a function of its state alone.
 *
 * The count that both machines must agree on: every instruction that retires is one, a repeated string instruction as well, one that faults is none.
 */
import { calloutImplementations } from "../../runtime/callouts/index.ts";
import { spillAll, statusWord } from "../../runtime/callouts/x87/registers.ts";
import type { Cpu, CpuBoard } from "../../runtime/cpu/cpu.ts";
import { getEflags } from "../../runtime/cpu/flags.ts";
import type { VirtualClock } from "../../runtime/devices/clock.ts";
import type { StopReason } from "../../runtime/execute/dispatcher.ts";
import type { Callout } from "../../runtime/execute/host-names.ts";
import type { CalloutName } from "../../translator/contract/callouts.ts";
import { mode as modes } from "../../translator/contract/mode-key.ts";
import { slot } from "../../translator/contract/slots.ts";
import type { Board } from "./board.ts";
import type { Engine } from "./engine.ts";

const strings = ["movs", "stos", "lods", "scas", "cmps", "ins", "outs"] as const satisfies readonly CalloutName[];
/** More than one string instruction can take off a slice. */
const plenty = 2 ** 30;
/** Timers that may expire one after the other without waking a halted guest before it counts as asleep for good. */
const idleTimers = 10_000;
/** Up to so many instructions before the one to stop at blocks are run whole: a block of tier 0, and what a region may go on for. */
const tailOfBlock = 64;
const tailOfRegion = 512;

/** The callouts with string instructions that always run to their end: where they may stop early depends on how long the slice is. */
export function wholeStringCallouts(): Record<CalloutName, Callout> {
  const all: Record<CalloutName, Callout> = { ...(calloutImplementations as Record<CalloutName, Callout>) };
  for (const name of strings) all[name] = whole(all[name]);
  return all;
}

function whole(f: Callout): Callout {
  return (cpu, ...args) => {
    const { R } = cpu;
    const left = R[slot.budget];
    const held = cpu.budgetHeldBack;
    R[slot.budget] = plenty;
    try {
      let again = f(cpu, ...args);
      // The guest's own single-stepping traps each iteration.
      while (again === 1 && (R[slot.mode] & modes.singleStep) === 0) {
        R[slot.budget] = plenty;
        again = f(cpu, ...args);
      }
      return again;
    } finally {
      R[slot.budget] = left;
      const wantsAttention = cpu.budgetHeldBack !== held;
      cpu.budgetHeldBack = held;
      if (wantsAttention) cpu.requestAttention();
    }
  };
}

/** Interrupts reach the CPU while the gate is open. */
export class InterruptGate {
  isOpen = false;

  gate(board: CpuBoard): CpuBoard {
    const isOpen = (): boolean => this.isOpen;
    const { interrupts } = board;
    return {
      ...board,
      interrupts: {
        get pending() {
          return isOpen() && interrupts.pending;
        },
        acknowledge: () => interrupts.acknowledge(),
        get nmi() {
          return isOpen() && interrupts.nmi === true;
        },
        acknowledgeNmi: () => interrupts.acknowledgeNmi?.(),
      },
    };
  }
}

/** A machine ran past the instruction it was to stop at: `by` so many. */
export class Overrun extends Error {
  override readonly name = "Overrun";
  readonly by: number;

  constructor(by: number) {
    super(`a block went on for ${by} instructions after the one to stop at`);
    this.by = by;
  }
}

/** All that a guest can see, but for its memory. */
export interface LockstepState {
  readonly instructions: number;
  /** By name. */
  readonly registers: Readonly<Record<string, number>>;
  /** The devices', as text. */
  readonly devices: string;
}

export interface LockstepParts {
  readonly cpu: Cpu;
  readonly board: Board;
  readonly engine: Engine;
  readonly clock: VirtualClock;
  readonly gate: InterruptGate;
  /** What the clock counts. */
  readonly setTime: (instructions: number) => void;
  readonly hasEnded: () => boolean;
  /** The CPU shut itself down. */
  readonly shutDown: () => void;
  readonly hasRegions: boolean;
}

export class Lockstep {
  readonly #parts: LockstepParts;
  #tail: number;

  constructor(parts: LockstepParts) {
    this.#parts = parts;
    this.#tail = parts.hasRegions ? tailOfRegion : tailOfBlock;
  }

  get instructions(): number {
    return this.#parts.engine.instructions;
  }

  get isHalted(): boolean {
    return this.#parts.cpu.R[slot.halted] !== 0;
  }

  /** How far before its end `runTo` changes from whole blocks to single instructions. */
  set tail(instructions: number) {
    this.#tail = instructions;
  }
  get tail(): number {
    return this.#tail;
  }

  /**
   * Lets the time pass that the instructions since the last call took, or for a halted guest the time until something wakes it; timers expire, interrupts come in.
   * @returns false if nothing will ever happen again
   */
  pass(): boolean {
    const { clock, gate, engine, setTime } = this.#parts;
    setTime(this.instructions);
    clock.runDue();
    for (let k = 0; this.isHalted && !this.#parts.hasEnded(); k++) {
      if (this.#isWaitedFor()) break;
      const deadline = clock.nextDeadline();
      if (deadline === Number.POSITIVE_INFINITY || k >= idleTimers) return false;
      clock.skipTo(deadline);
      clock.runDue();
    }
    gate.isOpen = true;
    this.#ended(engine.runExactly(0));
    gate.isOpen = false;
    return true;
  }

  #isWaitedFor(): boolean {
    const { gate, cpu } = this.#parts;
    gate.isOpen = true;
    const { pending, nmi } = cpu.board.interrupts;
    gate.isOpen = false;
    return pending || nmi === true;
  }

  /** Runs for at least `instructions`, to where a block, or a region's turn, ends; less if the guest halts or ends. */
  run(instructions: number): void {
    this.#ended(this.#parts.engine.runExactly(instructions));
  }

  /** Runs until exactly `count` instructions have retired since power-on, or until the guest halts or ends. Errors: `Overrun`. */
  runTo(count: number): void {
    while (!this.#parts.hasEnded() && !this.isHalted && count - this.instructions > this.#tail) this.run(count - this.instructions - this.#tail);
    while (!this.#parts.hasEnded() && !this.isHalted && this.instructions < count) this.step();
    if (this.instructions > count) throw new Overrun(this.instructions - count);
  }

  /** One instruction, or the exception it raises. */
  step(): void {
    this.#ended(this.#parts.engine.stepAsIs());
  }

  #ended(reason: StopReason): void {
    if (reason === "shutdown") this.#parts.shutDown();
  }

  state(): LockstepState {
    const { cpu, board } = this.#parts;
    // A copy, in which x87 values are brought into their one form in integers, whatever they are held as.
    const R = cpu.R.slice();
    const file = { R, F: new Float64Array(R.buffer) };
    spillAll(file);
    const registers: Record<string, number> = {};
    for (const [name, at] of compared) registers[name] = R[at]! >>> 0;
    registers["fpuStatus"] = statusWord(file);
    registers["eflags"] = getEflags(R) >>> 0;
    return { instructions: this.instructions, registers, devices: JSON.stringify(board.devices.map((device) => [device.name, device.save()])) };
  }
}

/** Rows of several slots. The rest is one slot a name, but for those that are no state: what a block leaves behind, and flags, which are compared as such. */
const rows = { selector: 8, segmentBase: 8, segmentLimit: 8, segmentAccess: 8, fpuMantissaLow: 8, fpuMantissaHigh: 8, fpuSignExponent: 8, xmm: 32 };
const ignored = new Set<string>(
  (
    "flagZero flagSign flagCarry eflags page budget leave tlbHalf faultOffset segmentChecked codeEnd budgetNoted carryAddends scratch scratch2 fpuStatus fpuTop " +
    "fpuPairHigh fpuPairLow fpuPairs fpuBits fpuResidue fpuRounded fpuInexact count"
  ).split(" "),
);
const compared: readonly (readonly [string, number])[] = Object.entries(slot).flatMap(([name, at]): [string, number][] => {
  if (ignored.has(name)) return [];
  const length = (rows as Record<string, number>)[name];
  return length === undefined ? [[name, at]] : Array.from({ length }, (_, k): [string, number] => [`${name}[${k}]`, at + k]);
});
