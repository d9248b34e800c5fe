/**
 * Guests that wait without HLT: for a key by INT 16h, for a word that an interrupt handler or a device is to change, for good. To a host such a loop is work like any other.
 *
 * When a loop is suspected, the guest runs block by block. If all of its registers and all memory come back to what they were before, and nothing was looked at or touched but these (no port,
 * no device's memory, no clock), and nothing came in, then it will go around like that until something from outside changes memory or interrupts it: it may sleep as if it were halted. It
 * lies between two blocks of its loop then, and everything that comes in meets it there.
 *
 * What is suspected: registers at the end of one slice that are, but for two perhaps, those at the end of an earlier one, and places in loops found before. Proof that fails is tried again ever
 * more rarely.
 */
import type { Cpu } from "../../runtime/cpu/cpu.ts";
import type { MachineClock } from "../../runtime/devices/clock.ts";
import type { PhysicalMemory } from "../../runtime/memory/physical.ts";
import type { CalloutName } from "../../translator/contract/callouts.ts";
import { calloutExit, exitReason, ringCount } from "../../translator/contract/exits.ts";
import { slot } from "../../translator/contract/slots.ts";
import type { Engine } from "./engine.ts";

/** Instructions of a trial: where all registers were seen before, and where some were that may count an interrupt handler's ticks. */
const longTrial = 8192;
const shortTrial = 512;
const mostTickCounts = 2;
/** Milliseconds of it. */
const longestTrial = 2;
/** Ends of slices that are remembered. */
const remembered = 64;
/** Suspicions passed over before a trial: twice as many after each that failed, up to a limit. */
const fewestPassedOver = 2;
const mostPassedOver = 1024;
/** A guest that was woken is looked at after so many instructions, then after twice as many, and so on. */
const firstLook = 4096;
const lastLook = 1 << 22;
/** Nanoseconds of sleep that are worth proof. */
const worthProof = 500_000;
/** Blocks between two looks whether the guest has touched more than memory. */
const between = 16;

/** What they give is not in registers and memory, or what they do. */
const outward: readonly CalloutName[] = [
  ...(["portRead", "portWrite", "ins", "outs"] as const),
  ...(["readTimeStamp", "readPerformanceCounter", "cpuid", "readMsr", "writeMsr", "writeDebug", "halt"] as const),
];
const outwardExits: readonly number[] = [exitReason.externalInterrupt, ...outward.map(calloutExit)];
/** What regions keep in R while they run. */
const regional = [slot.budgetNoted, slot.carryAddends, slot.carryAddends + 1] as const;
/** Words of R that are no state, or follow from the others. */
const passing: readonly number[] = [slot.budget, slot.page, slot.leave, slot.mode, slot.faultOffset, ...regional];

const seenWords = slot.eip + 1;

export interface IdleLoopParts {
  readonly cpu: Cpu;
  readonly physical: PhysicalMemory;
  readonly clock: MachineClock;
  readonly engine: Engine;
}

export class IdleLoops {
  /** Times that a guest was found waiting. */
  found = 0;
  /** Writes to memory that the guest's own instructions did not make. */
  outsideWrites = 0;
  readonly #parts: IdleLoopParts;
  /** General registers and EIP at the ends of slices. */
  readonly #seen = new Int32Array(remembered * seenWords);
  #slices = 0;
  #toPassOver: number = fewestPassedOver;
  #penalty: number = fewestPassedOver;
  /** Where the instructions of the loop found last are, as EIP. */
  #places: ReadonlySet<number> = new Set();
  /** Instructions of one time around it. */
  #length = 0;
  /** State of the trial under way, and of the loop that the guest waits in. */
  readonly #anchor: Int32Array;
  /** Pages written in the trial, by offset, as they were at the anchor. */
  readonly #pages = new Map<number, Int32Array>();
  #writesAtAnchor = 0;
  #anchored = 0;
  /** An interrupt waited when the loop was begun that was found, and was not let in all the way around. */
  #ignoresInterrupts = false;
  #isWaiting = false;
  /** Instructions until the next look after the guest was woken; 0: as usual. */
  #look = 0;

  constructor(parts: IdleLoopParts) {
    this.#parts = parts;
    this.#anchor = new Int32Array(parts.cpu.R.length);
  }

  /** Instructions that the next slice may have. */
  get slice(): number {
    return this.#look === 0 ? Number.POSITIVE_INFINITY : this.#look;
  }

  /** The guest was put into another state. */
  forget(): void {
    this.#isWaiting = false;
    this.#look = 0;
    this.#places = new Set();
  }

  /** Whether the guest, which was found waiting, still does; timers that are due expire. */
  goesOn(): boolean {
    if (!this.#isWaiting) return false;
    const { cpu, clock } = this.#parts;
    clock.runDue();
    this.#isWaiting = !this.#isInterrupted() && this.outsideWrites === this.#writesAtAnchor && this.#isAtAnchor(cpu.R);
    if (!this.#isWaiting) this.#look = firstLook;
    return this.#isWaiting;
  }

  /** A slice was used up: whether the guest waits in a loop. */
  isFound(): boolean {
    const { clock } = this.#parts;
    const limit = this.#trialLength();
    if (limit === 0 && this.#look === 0) return false;
    if (clock.nextDeadline() - clock.now() < worthProof) return false;
    if (this.#look === 0 && this.#toPassOver-- > 0) return false;
    this.#isWaiting = limit > 0 && this.#isProved(limit);
    if (this.#isWaiting) {
      this.found++;
      this.#look = 0;
      this.#penalty = fewestPassedOver;
      this.#toPassOver = 0;
    } else if (this.#look !== 0) this.#look = this.#look < lastLook ? 2 * this.#look : 0;
    else {
      this.#penalty = Math.min(2 * this.#penalty, mostPassedOver);
      this.#toPassOver = this.#penalty;
    }
    return this.#isWaiting;
  }

  /** 0: nothing is suspected here. */
  #trialLength(): number {
    const { R } = this.#parts.cpu;
    if (this.#places.has(R[slot.eip])) return 4 * this.#length + shortTrial;
    if (this.#look !== 0) return 0;
    const differing = this.#leastDiffering(R);
    if (differing === 0) return longTrial;
    return differing <= mostTickCounts ? shortTrial : 0;
  }

  /** How many registers are not what they were the time that fewest were not, at the same EIP and ESP. */
  #leastDiffering(R: Int32Array): number {
    const seen = this.#seen;
    let least = seenWords;
    for (let at = 0; at < seen.length && least > 0; at += seenWords) {
      if (seen[at + slot.eip] !== R[slot.eip] || seen[at + slot.esp] !== R[slot.esp]) continue;
      let count = 0;
      for (let r = slot.eax; r <= slot.edi; r++) if (seen[at + r] !== R[r]) count++;
      least = Math.min(least, count);
    }
    seen.set(R.subarray(0, seenWords), (this.#slices++ % remembered) * seenWords);
    return least;
  }

  /** Runs the guest for up to `limit` instructions. The state that is to come back is taken anew after 1, 2, 4, ... blocks: the first may not be part of the loop yet. */
  #isProved(limit: number): boolean {
    const { cpu, engine } = this.#parts;
    const { R, memory } = cpu;
    if (memory.watching || cpu.pendingDebug !== 0 || (R[slot.dr7] & 0xff) !== 0) return false;
    const touched = this.#touched();
    const end = performance.now() + longestTrial;
    const last = engine.instructions + limit;
    const places = new Set<number>();
    memory.flush(true);
    memory.pageWritten = (page) => this.#keep(page);
    this.#pages.clear();
    this.#setAnchor();
    try {
      for (let steps = 1, anchored = 0; engine.instructions < last; steps++) {
        places.add(R[slot.eip]);
        if (engine.runExactly(1) !== "slice") return false;
        if (steps % between === 0 && (this.#touched() !== touched || performance.now() > end)) return false;
        if (this.#isAtAnchor(R) && this.#isMemoryAsAtAnchor()) {
          this.#places = places;
          this.#length = engine.instructions - this.#anchored;
          return this.#touched() === touched;
        }
        if (steps >= 2 * anchored) {
          anchored = steps;
          places.clear();
          this.#setAnchor();
        }
      }
      return false;
    } finally {
      memory.pageWritten = undefined;
    }
  }

  #isInterrupted(): boolean {
    const { cpu } = this.#parts;
    const { pending, nmi } = cpu.board.interrupts;
    return (pending && !this.#ignoresInterrupts) || (nmi === true && !cpu.nmiBlocked);
  }

  /** Counts whatever happens that is not between the guest and its memory. */
  #touched(): number {
    const { cpu, physical } = this.#parts;
    let count = physical.accessesElsewhere;
    for (const exit of outwardExits) for (let cpl = 0; cpl < ringCount; cpl++) count += cpu.exitCounts[exit * ringCount + cpl]!;
    return count;
  }

  #setAnchor(): void {
    const { cpu } = this.#parts;
    this.#anchor.set(cpu.R);
    this.#ignoresInterrupts = cpu.board.interrupts.pending;
    this.#writesAtAnchor = this.outsideWrites;
    this.#anchored = this.#parts.engine.instructions;
    for (const page of this.#pages.keys()) this.#pages.set(page, this.#copy(page));
  }

  #keep(page: number): void {
    if (!this.#pages.has(page)) this.#pages.set(page, this.#copy(page));
  }

  #copy(page: number): Int32Array {
    return this.#parts.physical.i32.slice(page >>> 2, (page + 0x1000) >>> 2);
  }

  #isAtAnchor(R: Int32Array): boolean {
    const anchor = this.#anchor;
    if (R[slot.eip] !== anchor[slot.eip]) return false;
    for (const word of passing) anchor[word] = R[word]!;
    for (let k = 0; k < anchor.length; k++) if (anchor[k] !== R[k]) return false;
    return true;
  }

  #isMemoryAsAtAnchor(): boolean {
    const { i32 } = this.#parts.physical;
    if (this.outsideWrites !== this.#writesAtAnchor) return false;
    for (const [page, words] of this.#pages) {
      const first = page >>> 2;
      for (let k = 0; k < words.length; k++) if (words[k] !== i32[first + k]) return false;
    }
    return true;
  }
}
