/**
 * Runs a program on a core and notes every exception with the whole state, then goes on behind the instruction that raised it. The hot run first runs cold, so that the
 * blocks are known and counted, then makes regions of them and runs from the same state again.
 */
import { writeIntegers } from "../../runtime/callouts/x87/registers.ts";
import { slot } from "../../translator/contract/slots.ts";
import { type Core, pte } from "../support/core.ts";
import { layout, scratchRights } from "./layout.ts";
import { type Image, layOut, type Program } from "./program.ts";
import { Random } from "./random.ts";

export interface Event {
  readonly vector: number;
  readonly errorCode: number;
  readonly eip: number;
  readonly eflags: number;
  readonly state: Record<string, number>;
}

export interface Trace {
  readonly events: readonly Event[];
  /** False: it ran out of instructions, so that its end means nothing. */
  readonly ended: boolean;
  readonly memory: Uint8Array;
}

const instructionLimit = 20_000;
const exceptionLimit = 40;

/** Everything but the code: in the same state for each run, from the program's seed. Code pages must not be touched. */
function prepare(core: Core, program: Program, image: Image): void {
  const { physical, R } = core;
  // A program that has jumped into its data: what was made of that is forgotten with it.
  for (const [page, hasCode] of physical.codePages.entries()) {
    if (hasCode !== 0 && (page < layout.code >>> 12 || page >= layout.scratch >>> 12)) core.dispatcher.cache.invalidate(page, 0, 0x1000);
  }
  physical.u8.fill(0, 0, layout.code);
  physical.u8.fill(0, layout.scratch);
  core.protectedMode(program.ring);
  const random = new Random(program.seed ^ 0x5bd1e995);
  for (let k = layout.scratch >>> 2; k < (layout.scratch >>> 2) + layout.scratchPages * 1024; k++)
    physical.i32[k] = random.chance(30) ? random.value() : random.next();
  const hasNumbers = program.flavour === "vectors" && random.chance(75);
  if (hasNumbers) for (let k = layout.scratch; k < layout.scratch + layout.scratchPages * 0x1000; k += 8) physical.i32.set(twoWords(random), k >>> 2);
  program.counters.forEach((value, k) => {
    physical.i32[(layout.counters >>> 2) + k] = value;
  });
  // A RET without its CALL (an exception in a function resets the stack) finds the end of the program.
  const end = image.addresses[program.items.findIndex((item) => item?.bytes[0] === 0xcc)] ?? 0;
  physical.i32.fill(end, (layout.stackPage + 0x1000) >>> 2, (layout.stackPage + 0x2000) >>> 2);
  // Not where they are in physical memory, each by another distance: one page's translation used for another must show.
  for (const [k, bits] of scratchRights.entries()) core.map(layout.scratch + k * 0x1000, layout.scratch + ((5 * k + 3) & 7) * 0x1000, bits);
  core.map(layout.scratch + layout.scratchPages * 0x1000, 0, 0);
  core.map(layout.stackPage, 0, 0);
  for (let page = layout.code; page < layout.code + 0x3000; page += 0x1000) core.map(page, page, pte.present | pte.user);
  core.map(0x30000, 0, 0);
  for (let page = layout.code + 0x3000; page < layout.scratch; page += 0x1000) core.map(page, 0, 0);
  // Ring 3 does not see the tables.
  for (let page = 0; page < layout.code; page += 0x1000) core.map(page, page, pte.present | pte.writable);
  for (let k = 0; k < 8; k++) {
    const low = random.value();
    const high = random.value() | -0x80000000;
    const signExponent = random.chance(70) ? 0x3fff - 20 + random.below(60) : random.pick([0, 0x7fff, 0xbfff, 0xffff, 1, 0x7ffe]);
    writeIntegers(core.cpu, k, low, high, signExponent);
  }
  R[slot.fpuEmpty] = random.chance(50) ? random.below(256) : 0;
  R[slot.fpuTop] = random.below(8);
  R[slot.fpuControl] = random.chance(80) ? 0x37f : 0x340 | random.below(64) | (random.below(16) << 8);
  // All masked, rounding to nearest, and precision recorded or not; or anything.
  R[slot.mxcsr] = random.chance(45) ? 0x1fa0 : random.chance(50) ? 0x1f80 : (random.below(0x200) << 7) & 0xff80;
  for (let k = 0; k < 32; k++)
    R[slot.xmm + k] = random.chance(40)
      ? random.pick([0x3f800000, 0, -0x80000000, 0x7f800000, 0x40490fdb, 0x7fc00000, 1, 0x3ff00000])
      : random.next();
  if (hasNumbers) for (let k = 0; k < 32; k += 2) R.set(twoWords(random), slot.xmm + k);
  addressRegisters(core);
  for (const r of [slot.eax, slot.edx]) R[r] = random.value();
  core.eflags = 0x202 | (random.next() & 0x8d5) | (random.chance(10) ? 0x400 : 0);
  R[slot.eip] = program.origin;
  core.flush();
}

/** The words of a double or of two singles, mostly ordinary ones. */
function twoWords(random: Random): [number, number] {
  const single = (): number => (random.below(2) << 31) | ((0x7f - 16 + random.below(32)) << 23) | random.below(1 << 23);
  switch (random.below(12)) {
    case 0:
      return [0, random.below(2) << 31];
    case 1:
      return [random.value(), random.value()];
    case 2:
      // The exponent's ends: denormals, infinities, NaNs, and their neighbours.
      return [
        random.chance(50) ? 0 : random.next(),
        (random.below(2) << 31) | (random.pick([0, 1, 2, 0x7fe, 0x7ff]) << 20) | random.pick([0, 1, 1 << 19]),
      ];
    case 3:
    case 4:
    case 5:
      return [single(), single()];
    case 6:
    case 7:
      // Few digits: sums and products are exact.
      return [0, (random.below(2) << 31) | ((0x3ff - 8 + random.below(16)) << 20) | (random.below(16) << 16)];
    default:
      return [random.next(), (random.below(2) << 31) | ((0x3ff - 20 + random.below(40)) << 20) | random.below(1 << 20)];
  }
}

/** Where the registers that programs address with point, at first and again after each exception. */
function addressRegisters(core: Core): void {
  const { R } = core;
  R[slot.ebx] = layout.scratch + 0x800;
  R[slot.esi] = layout.scratch + 0x400;
  R[slot.edi] = layout.scratch + 0xff0;
  R[slot.ebp] = layout.scratch + 0x4100;
  R[slot.ecx] = 7;
  R[slot.esp] = layout.stack;
}

/** @param chunk instructions to run at a time, at most */
function execute(core: Core, program: Program, image: Image, chunk: number): Trace {
  const events: Event[] = [];
  const { dispatcher, R } = core;
  let left = instructionLimit;
  let ended = false;
  while (events.length < exceptionLimit) {
    const before = dispatcher.retired;
    const reason = dispatcher.run(Math.min(chunk, left));
    left -= Math.max(1, dispatcher.retired - before);
    if (reason === "slice") {
      if (left <= 0) break;
      continue;
    }
    const stop = core.stopFor(reason);
    const { vector, errorCode, eip, eflags } = stop;
    // Gone astray into the tables, whose accessed bits nobody promises anything about.
    if (program.ring === 0 && eip < layout.code) break;
    events.push({ vector, errorCode, eip, eflags, state: core.state() });
    // INT3 in the right place is the program's end; without a handler to return from there is nothing to go on with either.
    const at = image.addresses.findIndex((address) => address >= eip);
    if (stop.kind !== "exception" || at < 0) {
      ended = true;
      break;
    }
    const isTrap = vector === 3 || vector === 4 || vector === 1 || vector >= 0x80;
    if (vector === 3 && image.bytes[eip - 1 - image.addresses[0]] === 0xcc) {
      ended = true;
      break;
    }
    core.resume(isTrap ? eip : image.addresses[image.addresses[at] === eip ? nextItem(image, at) : at]);
    core.eflags &= ~0x4100;
    // A pending x87 exception would come again for ever.
    R[slot.fpuStatus] &= 0x7f00;
    addressRegisters(core);
  }
  return { events, ended: ended || events.length === exceptionLimit, memory: core.physical.u8.slice() };
}

/** The first item behind item `at` that is not at the same address. */
function nextItem(image: Image, at: number): number {
  let k = at;
  while (k + 1 < image.addresses.length && image.addresses[k] === image.addresses[at]) k++;
  return k;
}

function loadCode(core: Core, image: Image, origin: number): void {
  core.dispatcher.forget();
  core.physical.u8.fill(0xcc, layout.code, layout.scratch);
  core.physical.u8.set(image.bytes, origin);
}

export function runCold(core: Core, program: Program): Trace {
  const image = layOut(program);
  loadCode(core, image, program.origin);
  prepare(core, program, image);
  return execute(core, program, image, instructionLimit);
}

/** Two runs on regions: made of what a cold run met, then also of what those runs met. */
export function runHot(core: Core, program: Program): Trace[] {
  const image = layOut(program);
  const random = new Random(program.seed ^ 0x2545f491);
  loadCode(core, image, program.origin);
  prepare(core, program, image);
  execute(core, program, image, instructionLimit);
  return [random.pick([100, 40, 15]), 30].map((share) => {
    prepare(core, program, image);
    core.promote(() => random.chance(share));
    return execute(core, program, image, random.chance(50) ? instructionLimit : 1 + random.below(60));
  });
}

/** What differs first, or undefined. */
export function compare(cold: Trace, hot: Trace): string | undefined {
  const count = Math.min(cold.events.length, hot.events.length);
  for (let k = 0; k < count; k++) {
    const [a, b] = [cold.events[k], hot.events[k]];
    const fields = (["vector", "errorCode", "eip", "eflags"] as const)
      .filter((f) => a[f] !== b[f])
      .map((f) => `${f} ${a[f].toString(16)} != ${b[f].toString(16)}`);
    const states = Object.keys(a.state)
      .filter((n) => a.state[n] !== b.state[n])
      .map((n) => `${n} ${a.state[n].toString(16)} != ${b.state[n].toString(16)}`);
    if (fields.length + states.length > 0) return `event ${k} (vector ${a.vector} at ${a.eip.toString(16)}): ${[...fields, ...states].join(", ")}`;
  }
  if (!cold.ended || !hot.ended) return undefined;
  if (cold.events.length !== hot.events.length) return `${cold.events.length} events != ${hot.events.length}`;
  const differing = Buffer.compare(cold.memory, hot.memory) === 0 ? -1 : cold.memory.findIndex((byte, k) => byte !== hot.memory[k]);
  return differing < 0
    ? undefined
    : `memory at ${differing.toString(16)}: ${cold.memory[differing].toString(16)} != ${hot.memory[differing].toString(16)}`;
}
