/**
 * Random programs whose EIP is not their linear address: real mode, virtual-8086 mode, protected mode with 16- and 32-bit segments that have a base and a limit. The code
 * segment begins anywhere in a page; the program lies at its beginning, in its middle, or about its end, where IP wraps around or meets the limit. Segment registers are
 * loaded at random; after each exception everything but the general registers of the program is as in the beginning again.
 */
import { writeIntegers } from "../../runtime/callouts/x87/registers.ts";
import { updateMode } from "../../runtime/cpu/mode.ts";
import { segment, slot } from "../../translator/contract/slots.ts";
import { type Core, place, pte } from "../support/core.ts";
import { randomInstruction } from "./instructions.ts";
import { layout, scratchRights } from "./layout.ts";
import { type Image, type Item, layOut, type Program } from "./program.ts";
import { Random } from "./random.ts";
import type { Event, Trace } from "./run-program.ts";

type Kind = "real" | "v8086" | "protected16" | "protected32";

/** The hidden part of a segment register. */
interface Hidden {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly access: number;
}

export interface SegmentedProgram extends Program {
  readonly kind: Kind;
  /** ES CS SS DS FS GS. */
  readonly segments: readonly Hidden[];
}

const instructionLimit = 20_000;
const exceptionLimit = 40;
/** Offsets in SS, whose base is the scratch area's. */
const counters = layout.counters - layout.scratch;
const stackTop = 0xe800;
/** First of the descriptors that the protected programs use. */
const firstSelector = 0x33;

export function makeSegmentedProgram(seed: number): SegmentedProgram {
  const random = new Random(seed ^ 0x7f4a7c15);
  const kind = random.pick<Kind>(["real", "real", "v8086", "protected16", "protected16", "protected32"]);
  const bits = kind === "protected32" ? 32 : 16;
  const length = random.pick([4, 6, 8, 10, 15, 20, 30, 60, 120]);
  const values: number[] = [];
  const items: Item[] = [];
  const functions = random.chance(50) ? 1 + random.below(3) : 0;
  const functionLength = 3 + random.below(8);
  const functionAt = (k: number): number => length + 1 + k * (functionLength + 1);
  const all = Array.from({ length: functions }, (_, f) => functionAt(f));
  const branchy = random.pick([5, 15, 30]);
  const fill = (from: number, to: number, callees: readonly number[]): void => {
    for (let k = from; k < to; k++) items.push(randomItem(random, kind, bits, k, from, to, branchy, values, callees));
  };
  fill(0, length, all);
  items.push({ bytes: [0xcc] });
  for (const at of all) {
    fill(at, at + functionLength, []);
    items.push({ bytes: [0xc3] });
  }
  const origin = originOf(random, kind, length);
  const ring = kind === "real" ? 0 : 3;
  const plain: Program = { seed, ring, bits, flavour: "mixed", origin, items, counters: values };
  const { bytes } = layOut(plain);
  return { ...plain, kind, segments: segmentsOf(random, kind, origin + bytes.length) };
}

function originOf(random: Random, kind: Kind, length: number): number {
  switch (random.below(6)) {
    case 0:
    case 1:
      return random.below(64);
    case 2:
      return 0x1000 - random.below(200);
    case 3:
      return kind === "protected32" ? 0x3000 - random.below(100) : 0x10000 - random.below(6 * length);
    default:
      return random.below(0x4000);
  }
}

/** @param end where the program ends */
function segmentsOf(random: Random, kind: Kind, end: number): Hidden[] {
  const isProtected = kind !== "real" && kind !== "v8086";
  const bases = [
    layout.scratch + 16 * random.pick([0, 0, 0, 1, 0x20, 0x100]),
    layout.segmentedCode + (isProtected && random.chance(50) ? random.below(0x1000) : 16 * random.below(0x100)) * (random.chance(60) ? 1 : 0),
    layout.scratch,
    layout.scratch,
    layout.scratch + 0x10 * random.below(0x100),
    layout.scratch,
  ];
  return bases.map((base, s) => {
    if (!isProtected) return { selector: base >>> 4, base, limit: 0xffff, access: kind === "real" ? 0x9300 : 0xf300 };
    const big = kind === "protected32" ? 0x400000 : 0;
    const selector = firstSelector + 8 * s;
    if (s === segment.cs) {
      const limit = random.chance(40) ? end + random.below(8) - random.below(12) : random.pick([0xffff, 0xffff, 0x2ffff]);
      return { selector, base, limit: Math.max(limit, 0), access: big | (random.chance(15) ? 0xf900 : 0xfb00) };
    }
    if (s === segment.ss) return { selector, base, limit: random.pick([0xffff, 0xefff, 0x1ffff]), access: big | 0xf300 };
    const limit = random.pick([0xffff, 0xffff, 0x1ffff, 0x1234, 0x7fff]);
    return { selector, base, limit, access: big | random.pick([0xf300, 0xf300, 0xf300, 0xf300, 0xf100, 0xf700]) };
  });
}

function randomItem(
  random: Random,
  kind: Kind,
  bits: 16 | 32,
  k: number,
  from: number,
  to: number,
  branchy: number,
  values: number[],
  functions: readonly number[],
): Item {
  const near = bits === 16 ? "near16" : "near";
  if (!random.chance(branchy))
    return { bytes: random.chance(10) ? segmentInstruction(random) : randomInstruction(random, kind === "real" ? 0 : 3, "mixed", bits, true) };
  const forward = k + 1 + random.below(Math.max(1, Math.min(12, to - k)));
  const condition = random.below(16);
  switch (random.below(functions.length > 0 ? 8 : 7)) {
    case 0:
      // Of the other operand size.
      return random.chance(50)
        ? { bytes: [0x66, 0x0f, 0x80 | condition], target: forward, form: bits === 16 ? "near" : "near16" }
        : { bytes: [0x70 | condition], target: forward, form: "short" };
    case 1:
      return { bytes: [0x0f, 0x80 | condition], target: forward, form: near };
    case 2:
      return { bytes: [0xe0 + random.below(4)], target: Math.min(forward, k + 4, to), form: "short" };
    case 3:
      return random.chance(60)
        ? { bytes: [0xe9], target: forward, form: near }
        : { bytes: [0xb8], target: forward, form: bits === 16 ? "absolute16" : "absolute", tail: [0xff, 0xe0] };
    case 4:
    case 5:
    case 6: {
      // DEC of a counter on the stack segment and JNS or JG back.
      if (k === from) return { bytes: [0x90] };
      const cell = values.push(1 + random.below(random.pick([3, 10, 40]))) - 1;
      const at = counters + 4 * cell;
      const back = Math.max(from, k - 1 - random.below(12));
      const operand = bits === 16 ? [0x0e, at & 255, at >> 8] : [0x0d, at & 255, at >> 8, 0, 0];
      return { bytes: [0x36, 0xff, ...operand, 0x0f, random.chance(80) ? 0x89 : 0x8f], target: back, form: near };
    }
    default:
      return random.chance(70)
        ? { bytes: [0xe8], target: random.pick(functions), form: near }
        : { bytes: [0xb9], target: random.pick(functions), form: bits === 16 ? "absolute16" : "absolute", tail: [0xff, 0xd1] };
  }
}

/** Moves between segment registers, mostly in such a way that they keep meaning something. */
function segmentInstruction(random: Random): number[] {
  // PUSH and POP of ES, SS, DS.
  const push = [0x06, 0x16, 0x1e];
  const pop = [0x07, 0x1f];
  switch (random.below(6)) {
    case 0:
      return [random.pick(push), random.pick(pop)];
    case 1:
      // MOV AX, sreg; MOV sreg, AX
      return [0x8c, 0xc0 | (random.pick([0, 2, 3, 4, 5]) << 3), 0x8e, 0xc0 | (random.pick([0, 3, 4, 5]) << 3)];
    case 2:
      return [0x16, 0x17];
    case 3:
      // PUSH DS; PUSH SI; LES or LDS r, [SP]: by way of BP.
      return [0x55, 0x89, 0xe5, 0x1e, 0x56, random.pick([0xc4, 0xc5]), random.pick([0x56, 0x7e]), 0xfc, 0x5e, 0x1f, 0x5d];
    case 4:
      // PUSH CS; a short call of a far return behind it.
      return [0x0e, 0xe8, 2, 0, 0xeb, 1, 0xcb];
    default:
      return [0x0f, random.pick([0xa0, 0xa8]), 0x0f, random.pick([0xa1, 0xa9])];
  }
}

function prepare(core: Core, program: SegmentedProgram, image: Image): void {
  const { physical, R } = core;
  const { kind, segments } = program;
  for (const [page, hasCode] of physical.codePages.entries()) {
    if (hasCode !== 0 && (page < layout.segmentedCode >>> 12 || page > (layout.segmentedCode + 0x22000) >>> 12))
      core.dispatcher.cache.invalidate(page, 0, 0x1000);
  }
  physical.u8.fill(0, 0, layout.segmentedCode);
  physical.u8.fill(0, layout.segmentedCode + 0x22000);
  if (kind === "real") core.realMode();
  else {
    core.protectedMode(3);
    R[slot.gdtLimit] = 0x7f;
    for (const { selector, base, limit, access } of segments) writeDescriptor(core, place.gdt + (selector & ~7), base, limit, access);
  }
  // A program that changed its own code: it begins with its own again.
  placeCode(core, program, image);
  const random = new Random(program.seed ^ 0x5bd1e995);
  if (kind !== "real") scratchRights.forEach((rights, k) => void core.map(layout.scratch + 0x1000 * k, layout.scratch + 0x1000 * k, rights));
  for (let k = 0; k < 0x8000; k += 4) physical.i32[(layout.scratch + k) >>> 2] = random.chance(30) ? random.value() : random.next();
  program.counters.forEach((value, k) => {
    physical.i32[(layout.counters + 4 * k) >>> 2] = value;
  });
  for (let k = 0; k < 8; k++) {
    R[slot.fpuMantissaLow + k] = random.next();
    writeIntegers(core.cpu, k, random.next() | 0x80000000, random.next(), 0x3fff - 20 + random.below(40));
  }
  for (const r of [slot.eax, slot.edx]) R[r] = random.value();
  restart(core, program, (random.next() & 0x8d5) | (random.chance(10) ? 0x400 : 0));
  R[slot.eip] = program.origin;
  void pte;
  core.flush();
}

function writeDescriptor(core: Core, at: number, base: number, limit: number, access: number): void {
  const granular = limit > 0xfffff;
  const field = granular ? limit >>> 12 : limit;
  core.physical.write4(at, (field & 0xffff) | (base << 16));
  core.physical.write4(at + 4, ((base >>> 16) & 0xff) | access | (field & 0xf0000) | (granular ? 0x800000 : 0) | (base & 0xff000000));
}

/** Segment registers, registers that addresses are made of, and flags as in the beginning. */
function restart(core: Core, program: SegmentedProgram, flags: number): void {
  const { R } = core;
  const { kind, segments } = program;
  segments.forEach(({ selector, base, limit, access }, s) => {
    R[slot.selector + s] = selector;
    R[slot.segmentBase + s] = base;
    R[slot.segmentLimit + s] = limit;
    R[slot.segmentAccess + s] = access;
  });
  R[slot.cpl] = kind === "real" ? 0 : 3;
  R[slot.halted] = 0;
  R[slot.ebx] = 0x800;
  R[slot.esi] = 0x400;
  R[slot.edi] = 0xff0;
  R[slot.ebp] = 0x4100;
  R[slot.ecx] = 7;
  R[slot.esp] = stackTop;
  R[slot.interruptShadow] = 0;
  core.cpu.pendingDebug = 0;
  core.eflags = 0x202 | (flags & 0xcd5) | (kind === "v8086" ? 0x20000 : 0);
  updateMode(core.cpu);
}

/** Where linear memory holds byte `k` of the program: 16-bit code beyond the end of its 64 KiB is at their beginning too, for branches that wrap around. */
function placesOf(program: SegmentedProgram, k: number): number[] {
  const { base } = program.segments[segment.cs];
  const eip = program.origin + k;
  return eip > 0xffff && program.bits === 16 ? [base + eip, base + (eip & 0xffff)] : [base + eip];
}

function placeCode(core: Core, program: SegmentedProgram, image: Image): void {
  const { physical } = core;
  const wanted = new Uint8Array(0x22000).fill(0xcc);
  image.bytes.forEach((byte, k) => {
    for (const at of placesOf(program, k)) wanted[at - layout.segmentedCode] = byte;
  });
  for (let k = 0; k < wanted.length; k++) {
    if (physical.u8[layout.segmentedCode + k] !== wanted[k]) physical.writeBytes(layout.segmentedCode + k, wanted.subarray(k, k + 1));
  }
}

function execute(core: Core, program: SegmentedProgram, image: Image, chunk: number): Trace {
  const events: Event[] = [];
  const { dispatcher, R } = core;
  let left = instructionLimit;
  let ended = false;
  let last = -1;
  while (events.length < exceptionLimit) {
    const before = dispatcher.retired;
    const reason = dispatcher.run(Math.min(chunk, left));
    left -= Math.max(1, dispatcher.retired - before);
    if (reason === "slice") {
      if (left <= 0) break;
      continue;
    }
    const { kind, vector, errorCode, eip, eflags } = core.stopFor(reason);
    const state = core.state();
    for (let s = 0; s < 6; s++) state[`base${s}`] = R[slot.segmentBase + s];
    events.push({ vector, errorCode, eip, eflags, state });
    if (kind !== "exception" && kind !== "halted") break;
    const isEnd = vector === 3 && image.bytes[eip - 1 - image.addresses[0]] === 0xcc;
    if (isEnd) {
      ended = true;
      break;
    }
    // On behind the instruction that raised it, or where that is not known, behind the one before.
    const found = image.addresses.findIndex((address) => address > eip);
    last = Math.max(found > 0 && eip >= image.addresses[0] ? found : 0, Math.min(last + 1, image.addresses.length - 1));
    restart(core, program, eflags & 0x8d5);
    R[slot.eip] = image.addresses[last];
    R[slot.fpuStatus] &= 0x7f00;
    if (last === image.addresses.length - 1) last = -1;
  }
  return { events, ended: ended || events.length === exceptionLimit, memory: core.physical.u8.slice() };
}

export function runSegmentedCold(core: Core, program: SegmentedProgram): Trace {
  const image = layOut(program);
  core.dispatcher.forget();
  prepare(core, program, image);
  return execute(core, program, image, instructionLimit);
}

/** Two runs on regions: made of what a cold run met, then also of what those runs met. */
export function runSegmentedHot(core: Core, program: SegmentedProgram): Trace[] {
  const image = layOut(program);
  const random = new Random(program.seed ^ 0x2545f491);
  core.dispatcher.forget();
  prepare(core, program, image);
  execute(core, program, image, instructionLimit);
  return [random.pick([100, 40, 15]), 30].map((share) => {
    prepare(core, program, image);
    core.promote(() => random.chance(share));
    return execute(core, program, image, random.chance(50) ? instructionLimit : 1 + random.below(60));
  });
}
