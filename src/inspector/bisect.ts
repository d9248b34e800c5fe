/**
 * Finds where two configurations of optimisations part, and which optimisation is to blame.
 *
 * Both run the same guest in lockstep (src/machine/lockstep.ts): the subject runs for an interval and stops where it likes to, the reference follows to exactly that
 * instruction, registers and devices are compared; memory, which takes longer, every so many intervals. Both are deterministic, so a closer look is another run from
 * power-on: to the last interval after which all was equal, then with memory compared after each interval, then in pieces of the interval that parts them,
 * then block by block. At last the subject runs up to there once more without each of its optimisations, and the reference with each of them.
 */
import { type OptimisationName, optimisationNames } from "../../translator/contract/optimisations.ts";
import { type LockstepState, Overrun } from "../machine/lockstep.ts";
import { createLockstepMachine } from "../machine/machine.ts";
import type { MachineOptions } from "../machine/options.ts";
import type { ExitInfo } from "../machine/types.ts";
import { inspectAt } from "./machine.ts";
import type { InspectedBlock } from "./types.ts";

type LockstepMachine = ReturnType<typeof createLockstepMachine>;

/** Guest instructions, and nanoseconds of guest time, between two looks. */
const defaultInterval = 1 << 16;
/** Intervals between two looks at memory. */
const memoryEvery = 64;
/** Pieces that the interval that parts them is looked at in. */
const pieces = 64;
const differencesKept = 16;
/** How far the other may be behind when one of them ends. */
const endsWithin = 1000;
/**
 * Intervals behind the one that parts them in which a variation may show the difference too: which code is hot, and so becomes a region, it finds out somewhat later or
 * earlier.
 */
const intervalsOfGrace = 32;
/** Intervals without an instruction after which a guest is taken for asleep. */
const idleIntervals = 1000;

export interface BisectOptions {
  /** What runs; clock, engine and optimisations are bisect's own business. */
  readonly machine: Omit<MachineOptions, "clock" | "engine" | "disable">;
  /** Optimisations that the subject does without, and the reference. */
  readonly subject: ReadonlySet<OptimisationName>;
  readonly reference: ReadonlySet<OptimisationName>;
  /** Stop here if nothing was found. */
  readonly instructions?: number;
  /** Host seconds after which to stop if nothing was found. */
  readonly seconds?: number;
  readonly interval?: number;
  readonly progress?: (text: string) => void;
}

export interface Difference {
  /** A register, or a guest-physical address in hexadecimal. */
  readonly name: string;
  readonly subject: number;
  readonly reference: number;
  /** The instruction that wrote it last in the reference, if it is one of the block's. */
  readonly writtenAt?: number;
}

/** What became of the difference without one optimisation, and in the reference with it. */
export interface Verdict {
  readonly name: OptimisationName;
  readonly goneWithout: boolean;
  /** Only asked where it is gone without. */
  readonly thereWithIt: boolean | undefined;
}

export interface Parting {
  /** Instructions retired by both while all was equal. */
  readonly instructions: number;
  /** Where both were then: the block that ends differently. */
  readonly address: number;
  readonly tier: "region" | "tier 0";
  /** False: they only part when the interval runs without a stop; the block is the first of it. */
  readonly isExact: boolean;
  readonly differences: readonly Difference[];
  readonly block: InspectedBlock | undefined;
  readonly verdicts: readonly Verdict[];
  /** The optimisation to look at. */
  readonly culprit: OptimisationName | undefined;
}

export interface BisectResult {
  /** Instructions compared. */
  readonly instructions: number;
  /** How the guest ended, if it did, in both alike. */
  readonly ended: ExitInfo | undefined;
  readonly parting: Parting | undefined;
}

/** Errors: `MachineError`, `BootError`; `Error` if a configuration does not repeat itself. */
export function bisect(options: BisectOptions): BisectResult {
  // How far a region may go on past its slice is not known beforehand.
  for (let tail = 0; ; tail = tail === 0 ? 1024 : tail * 4) {
    try {
      return new Bisection(options, tail).run();
    } catch (error) {
      if (!(error instanceof Overrun) || tail > 1 << 20) throw error;
    }
  }
}

type Found = Omit<Parting, "verdicts" | "culprit">;

/** Where to look closer: behind so many intervals, and pieces of the next one. */
interface Place {
  readonly boundaries: readonly number[];
  readonly intervals: number;
  readonly piece: number;
  readonly equalPieces: number;
}

class Bisection {
  private readonly options: BisectOptions;
  private readonly tail: number;
  private readonly interval: number;
  /** Instructions at the end of each interval. */
  private readonly boundaries: number[] = [];

  constructor(options: BisectOptions, tail: number) {
    this.options = options;
    this.tail = tail;
    this.interval = options.interval ?? defaultInterval;
  }

  run(): BisectResult {
    const first = this.search();
    if (first.equalIntervals === undefined) return { instructions: first.instructions, ended: first.ended, parting: undefined };
    this.say(
      `they part between instruction ${count(this.boundaries[first.equalIntervals - 1] ?? 0)} and ${count(first.instructions)}; looking closer`,
    );
    const closer = this.withPair((pair) => pair.firstUnequalInterval(this.boundaries, first.equalIntervals!));
    const parting = this.narrow(closer.intervals);
    const verdicts = this.blame(closer);
    const culprit = choose(verdicts);
    return { instructions: parting.instructions, ended: undefined, parting: { ...parting, verdicts, culprit } };
  }

  private say(text: string): void {
    this.options.progress?.(text);
  }

  private machine(disable: ReadonlySet<OptimisationName>): LockstepMachine {
    const machine = createLockstepMachine({ ...this.options.machine, engine: "translate", disable });
    if (this.tail > 0) machine.lockstep.tail = this.tail;
    return machine;
  }

  private withPair<T>(use: (pair: Pair) => T): T {
    const pair = new Pair(this.machine(this.options.subject), this.machine(this.options.reference), this.interval);
    try {
      return use(pair);
    } finally {
      pair.destroy();
    }
  }

  /** Runs until something differs, or to the end. */
  private search(): { instructions: number; ended: ExitInfo | undefined; equalIntervals: number | undefined } {
    const { options, boundaries } = this;
    const started = performance.now();
    let reported = started;
    return this.withPair((pair) => {
      let idle = 0;
      let equal = 0;
      for (;;) {
        const before = pair.instructions;
        const isOver = !pair.interval();
        boundaries.push(pair.instructions);
        const { ended } = pair.subject;
        if (!pair.endsAlike()) return { instructions: pair.instructions, ended: undefined, equalIntervals: equal };
        const isLast = isOver || ended !== undefined || pair.instructions >= (options.instructions ?? Number.POSITIVE_INFINITY);
        if (ended === undefined) {
          const differs = pair.registersDiffer() || ((isLast || boundaries.length % memoryEvery === 0) && pair.memoryDiffers());
          if (differs) return { instructions: pair.instructions, ended: undefined, equalIntervals: equal };
          if (boundaries.length % memoryEvery === 0) equal = boundaries.length;
        }
        idle = pair.instructions === before ? idle + 1 : 0;
        const now = performance.now();
        if (isLast || idle >= idleIntervals || now - started > (options.seconds ?? Number.POSITIVE_INFINITY) * 1000) {
          return { instructions: pair.instructions, ended, equalIntervals: undefined };
        }
        if (now - reported > 2000) {
          reported = now;
          this.say(`equal after ${count(pair.instructions)} instructions`);
        }
      }
    });
  }

  /** Within the interval after `intervals` ones that end equal: the first piece that does not, then its first block. */
  private narrow(intervals: number): Found {
    const piece = Math.ceil(this.interval / pieces);
    const from = (equalPieces: number): Place => ({ boundaries: this.boundaries, intervals, piece, equalPieces });
    const equal = this.withPair((pair) => pair.firstUnequalPiece(from(0)));
    const exact = equal === undefined ? undefined : this.withPair((pair) => pair.firstUnequalBlock(from(equal)));
    // Where stops hide it: without them, from the last place where both were known to be equal.
    return exact ?? this.withPair((pair) => pair.inOneGo(from(equal ?? 0), equal === undefined));
  }

  /** Runs variations of both configurations to the end of the interval that parts them. */
  private blame(closer: UnequalInterval): Verdict[] {
    const { subject, reference } = this.options;
    const candidates = optimisationNames.filter((name) => !subject.has(name) && reference.has(name));
    const parts = (disable: ReadonlySet<OptimisationName>): boolean => this.differsFrom(closer, disable);
    const gone = new Map(candidates.map((name) => [name, !parts(new Set([...subject, name]))] as const));
    return candidates.map((name) => {
      const goneWithout = gone.get(name)!;
      this.say(`without ${name}: ${goneWithout ? "gone" : "still there"}`);
      if (!goneWithout) return { name, goneWithout, thereWithIt: undefined };
      // A pass has nothing to work on without regions, if those are what it takes.
      const wanted = new Set<OptimisationName>(gone.get("regions") ? [name, "regions"] : [name]);
      return { name, goneWithout, thereWithIt: parts(new Set([...reference].filter((other) => !wanted.has(other)))) };
    });
  }

  /** Whether a machine that does without `disable` gets into another state than the reference. */
  private differsFrom({ intervals, after, memory }: UnequalInterval, disable: ReadonlySet<OptimisationName>): boolean {
    for (let { tail } = this; ; tail = tail === 0 ? 1024 : tail * 4) {
      const machine = this.machine(disable);
      if (tail > 0) machine.lockstep.tail = tail;
      try {
        const { lockstep } = machine;
        const follow = (boundary: number): boolean => {
          lockstep.pass();
          lockstep.runTo(boundary);
          return lockstep.instructions === boundary;
        };
        for (const boundary of this.boundaries.slice(0, intervals)) if (!follow(boundary)) return true;
        for (const [k, state] of after.entries()) {
          if (!follow(state.instructions) || differing(lockstep.state(), state).length > 0) return true;
          if (k === 0 && machine.memory.differences(memory, 1).length > 0) return true;
        }
        return false;
      } catch (error) {
        if (!(error instanceof Overrun) || tail > 1 << 20) throw error;
      } finally {
        machine.destroy();
      }
    }
  }
}

interface UnequalInterval {
  /** Intervals that end equal. */
  readonly intervals: number;
  /** The reference at the end of the next one, and of some behind it; its memory at the end of the first of these. */
  readonly after: readonly LockstepState[];
  readonly memory: Int32Array;
}

/** The subject, and the reference that follows it. */
class Pair {
  readonly subject: LockstepMachine;
  readonly reference: LockstepMachine;
  private readonly length: number;

  constructor(subject: LockstepMachine, reference: LockstepMachine, length: number) {
    this.subject = subject;
    this.reference = reference;
    this.length = length;
  }

  destroy(): void {
    this.subject.destroy();
    this.reference.destroy();
  }

  get instructions(): number {
    return this.subject.lockstep.instructions;
  }

  /** Lets time pass. False if nothing will happen any more. */
  private pass(): boolean {
    const goesOn = this.subject.lockstep.pass();
    return this.reference.lockstep.pass() && goesOn;
  }

  private advance(instructions: number): void {
    this.subject.lockstep.run(instructions);
    this.reference.lockstep.runTo(this.instructions);
  }

  interval(): boolean {
    if (!this.pass()) return false;
    this.advance(this.length);
    return true;
  }

  private replay(boundaries: readonly number[], intervals: number): void {
    for (let k = 0; k < intervals; k++) {
      this.interval();
      if (this.instructions !== boundaries[k]) {
        throw new Error(
          `the subject stopped at instruction ${this.instructions} where it had stopped at ${boundaries[k]}: it does not repeat itself`,
        );
      }
    }
  }

  /** Neither ended, or both in the same way: the instruction that ends them may be in the middle of a block, so that their counts differ. */
  endsAlike(): boolean {
    const { subject, reference } = this;
    if (subject.ended === undefined && reference.ended === undefined) return true;
    for (let k = 0; k < endsWithin && reference.ended === undefined && !reference.lockstep.isHalted; k++) reference.lockstep.step();
    return subject.ended?.reason === reference.ended?.reason && JSON.stringify(subject.ended) === JSON.stringify(reference.ended);
  }

  registersDiffer(): boolean {
    return this.registers(1).length > 0;
  }

  private registers(limit: number): Difference[] {
    return differing(this.subject.lockstep.state(), this.reference.lockstep.state()).slice(0, limit);
  }

  memoryDiffers(): boolean {
    return this.subject.memory.differences(this.reference.memory, 1).length > 0;
  }

  private memory(limit: number): Difference[] {
    const word = (machine: LockstepMachine, address: number): number =>
      new DataView(machine.memory.readPhysical(address, 4).buffer).getUint32(0, true);
    return this.subject.memory
      .differences(this.reference.memory, limit)
      .map((address) => ({ name: hex(address), subject: word(this.subject, address), reference: word(this.reference, address) }));
  }

  private differ(): boolean {
    return !this.endsAlike() || (this.subject.ended === undefined && (this.registersDiffer() || this.memoryDiffers()));
  }

  firstUnequalInterval(boundaries: readonly number[], from: number): UnequalInterval {
    this.replay(boundaries, from);
    for (let intervals = from; intervals < boundaries.length; intervals++) {
      this.interval();
      if (this.differ()) {
        const memory = this.reference.memory.copy();
        return { intervals, after: this.goOn(), memory };
      }
    }
    throw new Error("the difference is gone when the guest runs again: a configuration does not repeat itself");
  }

  /** The reference alone: its states at the ends of this interval and of some more. */
  private goOn(): LockstepState[] {
    const { reference } = this;
    const { lockstep } = reference;
    const after: LockstepState[] = [];
    while (reference.ended === undefined) {
      after.push(lockstep.state());
      if (after.length > intervalsOfGrace || !lockstep.pass()) break;
      lockstep.runTo(lockstep.instructions + this.length);
    }
    return after;
  }

  private replayTo({ boundaries, intervals, piece, equalPieces }: Place): void {
    this.replay(boundaries, intervals);
    this.pass();
    for (let k = 0; k < equalPieces; k++) this.advance(piece);
  }

  private isWithin({ boundaries, intervals }: Place): boolean {
    return this.instructions < boundaries[intervals]! && this.subject.ended === undefined && !this.subject.lockstep.isHalted;
  }

  /** Pieces that end equal before the first one that does not; undefined if all do when the subject stops after each. */
  firstUnequalPiece(from: Place): number | undefined {
    this.replayTo(from);
    for (let k = 0; this.isWithin(from); k++) {
      this.advance(from.piece);
      if (this.differ()) return k;
    }
    return undefined;
  }

  /** Undefined: there is no difference when the subject stops after each block. */
  firstUnequalBlock(from: Place): Found | undefined {
    this.replayTo(from);
    while (this.isWithin(from)) {
      const place = this.place();
      const steps = this.block();
      if (this.differ()) return { ...place, isExact: true, differences: this.differences(steps) };
    }
    return undefined;
  }

  /** A piece, or what is left of the interval, without a stop. */
  inOneGo(from: Place, isWhole: boolean): Found {
    this.replayTo(from);
    const place = this.place();
    this.advance(isWhole ? this.length : from.piece);
    return { ...place, isExact: false, differences: this.differences([]) };
  }

  private place(): Pick<Parting, "instructions" | "address" | "tier" | "block"> {
    const { subject } = this;
    const address = subject.registers.read("eip");
    const physical = subject.memory.translate((subject.registers.segment("cs").base + address) >>> 0);
    const known = subject.blocks().find((b) => b.address === physical && b.mode === subject.mode);
    let block: InspectedBlock | undefined;
    try {
      block = inspectAt(subject, address);
    } catch {
      // Outside RAM there is nothing to show.
    }
    return { instructions: this.instructions, address, tier: known?.tier === "region" ? "region" : "tier 0", block };
  }

  /** One block; returns what the reference's registers were before each of its instructions, and after the last. */
  private block(): Step[] {
    const { subject, reference } = this;
    subject.lockstep.run(1);
    const steps: Step[] = [];
    const note = (): void => void steps.push({ eip: reference.registers.read("eip"), registers: reference.registers.all() });
    note();
    while (reference.lockstep.instructions < subject.lockstep.instructions && reference.ended === undefined && !reference.lockstep.isHalted) {
      reference.lockstep.step();
      note();
    }
    return steps;
  }

  private differences(steps: readonly Step[]): Difference[] {
    const registers = this.registers(differencesKept).map((d): Difference => {
      const writtenAt = lastWrite(steps, d.name);
      return { ...d, ...(writtenAt === undefined ? {} : { writtenAt }) };
    });
    return [...registers, ...this.memory(differencesKept)];
  }
}

interface Step {
  readonly eip: number;
  readonly registers: Readonly<Record<string, number>>;
}

/** EIP of the last instruction that changed a register. */
function lastWrite(steps: readonly Step[], register: string): number | undefined {
  for (let k = steps.length - 1; k > 0; k--) {
    if (steps[k]!.registers[register] !== steps[k - 1]!.registers[register]) return steps[k - 1]!.eip;
  }
  return undefined;
}

function differing(subject: LockstepState, reference: LockstepState): Difference[] {
  const found: Difference[] = [];
  const add = (name: string, a: number, b: number): void => void (a === b || found.push({ name, subject: a, reference: b }));
  add("instructions retired", subject.instructions, reference.instructions);
  for (const [name, value] of Object.entries(subject.registers)) add(name, value, reference.registers[name]!);
  if (found.length === 0 && subject.devices !== reference.devices) found.push({ name: "devices", subject: 1, reference: 0 });
  return found;
}

/**
 * The optimisation to look at first: one without which the difference is gone and that alone brings it about, otherwise the last without which it is gone (an
 * earlier pass may only have prepared what a later one did wrong). Regions are where most passes work, so they are it only if nothing else is.
 */
function choose(verdicts: readonly Verdict[]): OptimisationName | undefined {
  const needed = verdicts.filter((v) => v.goneWithout);
  const alone = needed.filter((v) => v.thereWithIt);
  const of = (list: readonly Verdict[]): OptimisationName | undefined => list.filter((v) => v.name !== "regions").at(-1)?.name;
  return of(alone) ?? (alone.length > 0 ? alone[0]!.name : undefined) ?? of(needed) ?? needed[0]?.name;
}

const count = (n: number): string => n.toLocaleString("en-US");
const hex = (n: number): string => `0x${n.toString(16)}`;
