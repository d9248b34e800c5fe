/**
 * String instructions (SDM vol. 1, 5.1.8). Without a REP prefix they are in line; with one a callout moves whole runs, page by page, and may stop
 * early (interrupt due, code overwritten): it then returns 1, having set the registers, and the instruction is run again.
 */

import type { CalloutName } from "../contract/callouts.ts";
import { segment, slot } from "../contract/slots.ts";
import { repeat } from "../decode/instruction.ts";
import type { Value } from "../ir/micro.ts";
import { setSubtractFlags } from "./arithmetic.ts";
import type { Builder, LiftFunction, Size } from "./builder.ts";
import type { Shape } from "./shape.ts";

/** Element size: that of the memory operand. */
function elementSize(i: Shape): Size {
  return i.operands.find((o) => o.size !== 0 && o.hasBase)?.size as Size;
}

function sourceSegment(i: Shape): number {
  return i.segmentOverride >= 0 ? i.segmentOverride : segment.ds;
}

/** +size or -size by EFLAGS.DF. */
function step(b: Builder, size: number): Value {
  return b.sub(b.constant(size), b.and(b.shr(b.get(slot.eflags), 9 - Math.log2(size)), 2 * size));
}

function index(b: Builder, i: Shape, register: number): Value {
  return b.getRegister(register, i.addressSize);
}

function advance(b: Builder, i: Shape, register: number, by: Value): void {
  b.setRegister(register, i.addressSize, b.add(b.get(register), by));
}

function loadSource(b: Builder, i: Shape, size: Size): Value {
  return b.load(b.linear(sourceSegment(i), index(b, i, slot.esi), size, false), size);
}

function storeTarget(b: Builder, i: Shape, size: Size, value: Value): void {
  b.store(b.linear(segment.es, index(b, i, slot.edi), size, true), size, value);
}

function loadTarget(b: Builder, i: Shape, size: Size): Value {
  return b.load(b.linear(segment.es, index(b, i, slot.edi), size, false), size);
}

/** Runs `callout`; while it reports that it stopped early, the instruction starts again. */
function repeated(b: Builder, callout: CalloutName, ...args: number[]): void {
  const again = b.pure("notEqual", b.call(callout, ...args), b.constant(0));
  b.again(again);
}

function withRepeat(single: LiftFunction, callout: CalloutName, hasSource: boolean): LiftFunction {
  return (b, i) => {
    if (i.repeat === repeat.none) return single(b, i);
    repeated(b, callout, elementSize(i), i.addressSize, ...(hasSource ? [sourceSegment(i)] : []), i.repeat);
  };
}

const liftMovs: LiftFunction = (b, i) => {
  const size = elementSize(i);
  storeTarget(b, i, size, loadSource(b, i, size));
  const by = step(b, size);
  advance(b, i, slot.esi, by);
  advance(b, i, slot.edi, by);
};

const liftStos: LiftFunction = (b, i) => {
  const size = elementSize(i);
  storeTarget(b, i, size, b.getRegister(0, size));
  advance(b, i, slot.edi, step(b, size));
};

const liftLods: LiftFunction = (b, i) => {
  const size = elementSize(i);
  const value = loadSource(b, i, size);
  b.setRegister(0, size, value);
  advance(b, i, slot.esi, step(b, size));
};

const liftScas: LiftFunction = (b, i) => {
  const size = elementSize(i);
  const y = loadTarget(b, i, size);
  const x = b.getRegister(0, size);
  advance(b, i, slot.edi, step(b, size));
  setSubtractFlags(b, x, y, b.sub(x, y), size);
};

const liftCmps: LiftFunction = (b, i) => {
  const size = elementSize(i);
  const x = loadSource(b, i, size);
  const y = loadTarget(b, i, size);
  const by = step(b, size);
  advance(b, i, slot.esi, by);
  advance(b, i, slot.edi, by);
  setSubtractFlags(b, x, y, b.sub(x, y), size);
};

/** Port string instructions check I/O permission and touch devices: always a callout. */
const liftIns: LiftFunction = (b, i) => repeated(b, "ins", elementSize(i), i.addressSize, i.repeat);
const liftOuts: LiftFunction = (b, i) => repeated(b, "outs", elementSize(i), i.addressSize, sourceSegment(i), i.repeat);

export const stringLifts: Record<string, LiftFunction> = {
  movs: withRepeat(liftMovs, "movs", true),
  stos: withRepeat(liftStos, "stos", false),
  lods: withRepeat(liftLods, "lods", true),
  scas: withRepeat(liftScas, "scas", false),
  cmps: withRepeat(liftCmps, "cmps", true),
  ins: liftIns,
  outs: liftOuts,
};
