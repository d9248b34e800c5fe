/**
 * The surroundings of a structured case: descriptor tables, task state segments, page tables, exception handlers that skip the offending byte and
 * go on, device programming, and the mode and registers to start with. All of it is mostly right and randomly wrong.
 */

import { updateWatching } from "../../runtime/cpu/debug.ts";
import { setEflags } from "../../runtime/cpu/flags.ts";
import { updateMode } from "../../runtime/cpu/mode.ts";
import { eflag, segment, slot } from "../../translator/contract/slots.ts";
import { Writer } from "./instructions.ts";
import { memorySize, place, sel } from "./layout.ts";
import type { Random } from "./random.ts";
import type { Rig } from "./rig.ts";

/** Vectors that push an error code. */
const pushesError = new Set([8, 10, 11, 12, 13, 14, 17]);

export const startModes = ["protected32", "protected32", "protected16", "user32", "user16", "virtual8086", "real", "unreal"] as const;
export type StartMode = (typeof startModes)[number];

/** Random bytes the memory outside the tables is filled with; made once. */
export function background(random: Random): Uint8Array {
  return random.bytes(1 << 20);
}

function descriptor(rig: Rig, address: number, base: number, limit: number, rights: number, flags: number): void {
  const { physical } = rig;
  physical.write4(address, (base << 16) | (limit & 0xffff));
  physical.write4(address + 4, (base & 0xff000000) | (flags << 20) | (limit & 0xf0000) | (rights << 8) | ((base >>> 16) & 0xff));
}

function buildDescriptors(rig: Rig, random: Random): void {
  const gdt = (selector: number, base: number, limit: number, rights: number, flags: number): void =>
    descriptor(rig, place.gdt + selector, base, limit, rights, flags);
  const flat = 0xfffff;
  gdt(sel.code0, 0, flat, 0x9b, 0xc);
  gdt(sel.data0, 0, flat, 0x93, 0xc);
  gdt(sel.code3, 0, flat, 0xfb, 0xc);
  gdt(sel.data3, 0, flat, 0xf3, 0xc);
  gdt(sel.code16, place.code, 0xffff, 0x9a, 0);
  gdt(sel.data16, place.data, 0xffff, 0x92, 0);
  gdt(sel.code16r3, place.code, 0xffff, 0xfa, 0);
  gdt(sel.data16r3, place.data, 0xffff, 0xf2, 0);
  gdt(sel.ldt, place.ldt, place.ldtEntries * 8 - 1, 0x82, 0);
  gdt(sel.tss, place.tss, 0x67, 0x8b, 0);
  gdt(sel.conforming, 0, flat, 0x9f, 0xc);
  gdt(sel.expandDown, 0, random.pick([0x1f, 0x20, 0]), 0x97, random.pick([0xc, 0x4, 0x8]));
  gdt(sel.code1, 0, flat, 0xbb, 0xc);
  gdt(sel.data1, 0, flat, 0xb3, 0xc);
  gdt(sel.readOnly, 0, flat, 0x91, 0xc);
  gdt(sel.executeOnly, 0, flat, 0x99, 0xc);
  gdt(sel.small, place.data, random.below(0x2000), 0xf3, 4);
  gdt(sel.absent, 0, flat, 0x13, 0xc);
  gdt(sel.bigTss, place.bigTss, place.bigTssLimit, random.once(2) ? 0x89 : 0xe9, 0);
  for (let n = 0; n < 8; n++) {
    const is16 = n >= 5;
    gdt(
      sel.moreTss + 8 * n,
      place.tss + place.tssStride * n,
      random.once(20) ? random.below(0x70) : is16 ? 0x2b : 0x67,
      (random.once(3) ? 0xe0 : 0x80) | (is16 ? 1 : 9),
      0,
    );
  }
  for (let n = 0; n < 16; n++) gate(rig, random, place.gdt + sel.gates + 8 * n, random.pick([4, 12, 12, 5]), random.once(2) ? 3 : 0);
  for (let at = sel.random; at < place.gdtEntries * 8; at += 8) randomDescriptor(rig, random, place.gdt + at);
  for (let n = 0; n < place.ldtEntries; n++) randomDescriptor(rig, random, place.ldt + 8 * n);
}

function randomDescriptor(rig: Rig, random: Random, address: number): void {
  if (random.once(4)) {
    rig.physical.write4(address, random.next());
    rig.physical.write4(address + 4, random.next());
    return;
  }
  const base = random.pick([0, place.data, place.code, 0x1000, random.next()]);
  const limit = random.pick([0xfffff, 0xffff, random.below(0x100000), 0]);
  descriptor(rig, address, base, limit, 0x90 | random.below(16) | (random.below(4) << 5), random.below(16));
}

function codeSelector(random: Random): number {
  return random.once(12)
    ? random.below(place.gdtEntries * 8)
    : random.pick([sel.code0, sel.code0, sel.code0, sel.conforming, sel.code1, sel.code16, sel.code3 | 3]);
}

function gate(rig: Rig, random: Random, address: number, type: number, dpl: number): void {
  const isTask = type === 5;
  const offset = random.once(20) ? random.next() : place.code + random.below(place.codeSize);
  const selector = isTask ? sel.moreTss + 8 * random.below(8) : codeSelector(random);
  const absent = random.once(16) ? 0 : 0x8000;
  const parameters = type === 4 || type === 12 ? random.below(random.once(4) ? 32 : 4) : 0;
  rig.physical.write4(address, (selector << 16) | (offset & 0xffff));
  rig.physical.write4(address + 4, (offset & 0xffff0000) | absent | (dpl << 13) | (type << 8) | parameters);
}

/** Handlers: drop the error code, skip a byte, return; interrupts acknowledge the 8259s. */
function buildHandlers(rig: Rig, random: Random): void {
  const { u8 } = rig.physical;
  for (let vector = 0; vector < 256; vector++) {
    const code: number[] = [];
    if (pushesError.has(vector)) code.push(0x83, 0xc4, 0x04);
    if (vector >= 0x20 && vector < 0x30) code.push(0x50, 0xb0, 0x20, 0xe6, 0x20, 0xe6, 0xa0, 0x58);
    else if (vector !== 1 && vector < 32) code.push(0xff, 0x04, 0x24);
    code.push(0xcf);
    u8.set(code, place.handlers + 16 * vector);
    const address = place.idt + 8 * vector;
    const kind = random.below(40);
    if (kind === 0) {
      rig.physical.write4(address, random.next());
      rig.physical.write4(address + 4, random.next());
    } else if (kind === 1) gate(rig, random, address, 5, random.pick([0, 3]));
    else if (kind === 2) gate(rig, random, address, random.pick([6, 7, 14, 15]), random.pick([0, 3]));
    else {
      const dpl = vector >= 32 || vector === 3 || random.once(8) ? 3 : 0;
      rig.physical.write4(address, (sel.code0 << 16) | ((place.handlers + 16 * vector) & 0xffff));
      rig.physical.write4(address + 4, 0x8000 | (dpl << 13) | (random.once(6) ? 0xf00 : 0xe00));
    }
  }
}

function buildTasks(rig: Rig, random: Random, wide: boolean): void {
  const { physical } = rig;
  const fill = (base: number, is16: boolean): void => {
    if (is16) {
      const words = [
        0,
        0x8000,
        sel.data16,
        0x7000,
        sel.data1 | 1,
        0x6000,
        sel.data3 | 3,
        random.below(place.codeSize),
        random.pick([2, 0x202, 0x3202]),
      ];
      for (const [i, word] of words.entries()) physical.write2(base + 2 * i, word);
      for (let i = 0; i < 8; i++) physical.write2(base + 18 + 2 * i, random.below(0x10000));
      const selectors = [sel.data16, sel.code16, sel.data16, sel.data16, random.once(6) ? random.below(0x400) : sel.ldt];
      for (const [i, selector] of selectors.entries()) physical.write2(base + 34 + 2 * i, selector);
      return;
    }
    const ring3 = random.once(3);
    const v86 = !ring3 && random.once(6);
    for (let i = 0; i < 26; i++) physical.write4(base + 4 * i, random.word());
    physical.write4(base, random.once(3) ? sel.tss : 0);
    for (let ring = 0; ring < 3; ring++) {
      physical.write4(base + 4 + 8 * ring, place.stack - 0x1000 * ring - (random.once(20) ? random.below(64) : 0));
      physical.write4(base + 8 + 8 * ring, random.once(20) ? random.below(0x300) : [sel.data0, sel.data1 | 1, 0][ring]);
    }
    physical.write4(base + 28, place.directory);
    physical.write4(base + 32, v86 ? random.below(0x4000) : place.code + random.below(place.codeSize));
    physical.write4(base + 36, (v86 ? 0x23202 : random.pick([2, 0x202, 0x3202, 0x4202])) | (random.once(12) ? 0x100 : 0));
    physical.write4(base + 56, place.stack - random.below(0x800));
    const data = v86 ? 0x2000 : ring3 ? sel.data3 | 3 : sel.data0;
    const selectors = [data, v86 ? 0x1000 : ring3 ? sel.code3 | 3 : sel.code0, data, data, random.once(4) ? random.below(0x300) : data, 0];
    for (const [i, selector] of selectors.entries()) physical.write4(base + 72 + 4 * i, selector);
    physical.write4(base + 96, random.once(8) ? random.below(0x300) : random.once(2) ? sel.ldt : 0);
    physical.write4(base + 100, (random.once(16) ? 1 : 0) | ((random.once(4) ? random.below(0x80) : 0x68) << 16));
  };
  void wide;
  for (let n = 0; n < place.tssCount; n++) fill(place.tss + place.tssStride * n, n >= 5);
  fill(place.bigTss, false);
  physical.write2(place.bigTss + 102, 0x88);
  for (let at = place.bigTss + 0x68; at < place.bigTss + place.bigTssLimit; at += 4) physical.write4(at, random.once(2) ? 0 : random.next());
}

/** Two-level and PAE tables that map memory to itself, with noise. */
function buildPageTables(rig: Rig, random: Random): void {
  const { physical } = rig;
  const noise = random.pick([0, 0, 200, 30]);
  const flags = (): number => (noise !== 0 && random.once(noise) ? random.below(512) : random.once(4) ? 7 : 0x67);
  const frame = (page: number): number => (noise !== 0 && random.once(noise) ? random.below(memorySize >> 12) << 12 : page << 12);
  for (let i = 0; i < 1024; i++) physical.write4(place.directory + 4 * i, noise !== 0 && random.once(noise * 4) ? random.next() : 0);
  physical.write4(place.directory, place.tables | 0x67);
  // The same memory again at 3 GiB, as one large page, and once more.
  physical.write4(place.directory + 0xc00, 0xe7 | (random.once(2) ? 0x100 : 0));
  physical.write4(place.directory + 0xc04, place.tables | 0x67);
  for (let page = 0; page < 1024; page++) physical.write4(place.tables + 4 * page, frame(page) | flags());
  for (let i = 0; i < 4; i++) {
    physical.write4(place.paePointers + 8 * i, (place.paeDirectories + 0x1000 * (noise === 0 ? 0 : random.below(4))) | 1);
    physical.write4(place.paePointers + 8 * i + 4, 0);
  }
  for (let i = 0; i < 4 * 512; i++) {
    physical.write4(place.paeDirectories + 8 * i, noise !== 0 && random.once(noise) ? random.next() : 0);
    physical.write4(place.paeDirectories + 8 * i + 4, noise !== 0 && random.once(noise) ? random.next() : 0);
  }
  for (let d = 0; d < 4; d++) {
    const directory = place.paeDirectories + 0x1000 * d;
    physical.write4(directory, place.paeTables | 0x67);
    physical.write4(directory + 4, 0);
    physical.write4(directory + 8, random.once(2) ? 0x2000e7 : (place.paeTables + 0x1000) | 0x67);
    physical.write4(directory + 12, 0);
  }
  for (let page = 0; page < 1024; page++) {
    physical.write4(place.paeTables + 8 * page, frame(page) | flags());
    physical.write4(place.paeTables + 8 * page + 4, noise !== 0 && random.once(noise) ? random.pick([0x80000000, 1, 0x10, random.next()]) : 0);
  }
}

function programDevices(rig: Rig, random: Random): void {
  const { ports } = rig.board.cpuBoard;
  const out = (port: number, ...values: number[]): void => {
    for (const value of values) ports.write(port, 1, value);
  };
  out(0x20, 0x11);
  out(0x21, 0x20, 0x04, random.once(6) ? 3 : 1, random.once(4) ? random.below(256) : 0);
  out(0xa0, 0x11);
  out(0xa1, 0x28, 0x02, random.once(6) ? 3 : 1, random.once(4) ? random.below(256) : 0);
  if (random.once(2)) {
    out(0x43, random.pick([0x34, 0x36, 0x30]));
    out(0x40, random.below(256), random.once(2) ? 0 : random.below(4));
  }
  if (random.once(3)) {
    out(0x70, 0x0b);
    out(0x71, 0x42);
  }
  if (random.once(3)) out(0x3f9, random.below(16));
  if (random.once(3)) out(0x3fc, 0x0b);
}

interface SegmentChoice {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly access: number;
}

function fromGdt(rig: Rig, selector: number): SegmentChoice {
  const low = rig.physical.read4(place.gdt + (selector & 0xfff8));
  const high = rig.physical.read4(place.gdt + (selector & 0xfff8) + 4);
  const raw = (low & 0xffff) | (high & 0xf0000);
  return {
    selector,
    base: (low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000),
    limit: high & (1 << 23) ? (raw << 12) | 0xfff : raw,
    access: high & 0x00f0ff00,
  };
}

function setSegment(rig: Rig, s: number, choice: SegmentChoice): void {
  const { R } = rig.cpu;
  R[slot.selector + s] = choice.selector;
  R[slot.segmentBase + s] = choice.base;
  R[slot.segmentLimit + s] = choice.limit;
  R[slot.segmentAccess + s] = choice.access;
}

const data = [segment.es, segment.ds, segment.fs, segment.gs];

/** Registers, segments, control registers for `mode`. Returns where code begins, as a linear address. */
function setCpu(rig: Rig, random: Random, mode: StartMode): void {
  const { R } = rig.cpu;
  for (let i = 0; i < 8; i++) R[slot.eax + i] = random.once(2) ? place.data + random.below(place.dataSize) : random.word();
  R[slot.esp] = place.stack - 4 * random.below(0x100);
  R[slot.gdtBase] = place.gdt;
  R[slot.gdtLimit] = place.gdtEntries * 8 - 1;
  R[slot.idtBase] = place.idt;
  R[slot.idtLimit] = random.once(30) ? random.below(0x800) : 0x7ff;
  setSegment(rig, segment.ldtr, fromGdt(rig, sel.ldt));
  setSegment(rig, segment.tr, fromGdt(rig, random.once(2) ? sel.tss : sel.bigTss));
  R[slot.segmentAccess + segment.tr] |= 0x200;
  let cr0 = 0x60000011;
  let flags = random.pick([2, 0x202, 0x202, 0x3202]);
  const isReal = mode === "real" || mode === "unreal";
  const is16 = mode === "protected16" || mode === "user16";
  if (isReal || mode === "virtual8086") {
    const v86 = mode === "virtual8086";
    if (isReal) {
      cr0 &= ~1;
      // The vector table of real mode, each handler an IRET somewhere near.
      R[slot.idtBase] = 0;
      R[slot.idtLimit] = 0x3ff;
      for (let vector = 0; vector < 256; vector++)
        rig.physical.write4(4 * vector, random.once(6) ? random.next() : (0x1000 << 16) | random.below(place.codeSize));
    } else flags |= eflag.vm | (random.once(2) ? eflag.iopl : 0);
    const segments = [0x2000, 0x1000, 0x2000, 0x2000, 0x2800, 0x1000];
    for (let s = 0; s < 6; s++) {
      setSegment(rig, s, {
        selector: segments[s],
        base: segments[s] << 4,
        limit: mode === "unreal" && s !== segment.cs ? -1 : 0xffff,
        access: v86 ? 0xf300 : 0x9300,
      });
    }
    R[slot.cpl] = v86 ? 3 : 0;
    R[slot.eip] = 0;
    R[slot.esp] = 0xf000 - 2 * random.below(64);
  } else {
    const user = mode === "user32" || mode === "user16";
    const code = is16 ? (user ? sel.code16r3 | 3 : sel.code16) : user ? sel.code3 | 3 : sel.code0;
    const plain = is16 ? (user ? sel.data16r3 | 3 : sel.data16) : user ? sel.data3 | 3 : sel.data0;
    R[slot.cpl] = user ? 3 : 0;
    setSegment(rig, segment.cs, fromGdt(rig, code));
    setSegment(rig, segment.ss, fromGdt(rig, random.once(12) ? (user ? sel.data16r3 | 3 : sel.expandDown) : plain));
    for (const s of data) setSegment(rig, s, fromGdt(rig, random.once(12) ? random.pick([sel.small | 3, sel.data3 | 3, sel.data16r3 | 3]) : plain));
    if (random.once(12)) setSegment(rig, segment.gs, { selector: 0, base: 0, limit: 0, access: 0 });
    R[slot.eip] = is16 ? 0 : place.code;
    if (is16) R[slot.esp] = 0xf000;
    if (user && random.once(3)) flags |= eflag.iopl;
  }
  if (random.once(12)) flags |= eflag.tf;
  if (random.once(12)) flags |= eflag.ac;
  if (random.once(20)) flags |= eflag.nt;
  let cr4 = random.pick([0, 0x10, 0x600, 0x690, 0x6b0, 0x603, 0x61b]);
  if (!isReal && random.once(2)) {
    cr0 |= 0x80000000;
    if (random.once(3)) cr4 |= 0x20;
  }
  if (random.once(4)) cr0 |= 0x10000;
  if (random.once(6)) cr0 |= 0x40020;
  if (random.once(8)) cr0 |= random.pick([4, 8, 2, 0xa]);
  R[slot.cr0] = cr0;
  R[slot.cr4] = cr4;
  R[slot.cr3] = cr4 & 0x20 ? place.paePointers : place.directory;
  if (random.once(10)) R[slot.efer] = 0x800;
  if (random.once(8)) {
    for (let i = 0; i < 4; i++) R[slot.dr0 + i] = random.once(2) ? place.code + random.below(64) : place.data + random.below(0x1000);
    R[slot.dr7] = 0x400 | random.pick([1, 0xff, 0x55, 0xd0001, 0xf0f0000f, random.next() & 0xffff03ff]);
    updateWatching(rig.cpu);
  }
  setEflags(R, flags);
  if (cr0 & 0x80000000 && cr4 & 0x20) rig.cpu.walker.loadPdptrs(R[slot.cr3]);
  rig.cpu.memory.flush(true);
  updateMode(rig.cpu);
}

/** Sets up everything but the code. */
export function buildWorld(rig: Rig, random: Random, mode: StartMode): void {
  buildDescriptors(rig, random);
  buildHandlers(rig, random);
  buildTasks(rig, random, true);
  buildPageTables(rig, random);
  for (let n = 0; n < 16; n++) {
    // Pseudo-descriptors, most of them the tables that are in use; read as a far pointer they name code.
    const address = place.pointers + 8 * n;
    rig.physical.write2(address, random.once(4) ? random.below(0x10000) : 0x7ff);
    rig.physical.write4(address + 2, random.pick([place.gdt, place.idt, place.idt, random.next(), random.once(2) ? sel.data0 : sel.data3]));
  }
  programDevices(rig, random);
  setCpu(rig, random, mode);
}

/** A soup of instructions for `mode` at the place where it begins. */
export function writeSoup(rig: Rig, random: Random, mode: StartMode): void {
  const wide = mode === "protected32" || mode === "user32";
  const bytes = new Uint8Array(random.pick([0x200, 0x800, 0x1800]));
  const start = wide ? place.code : 0;
  const writer = new Writer(random, bytes, wide, start);
  // Some are loops above all: hot code in flat mode is what becomes regions.
  const isHot = random.once(3);
  while (!writer.full) {
    if (isHot) writer.calmStep();
    else writer.step();
  }
  // Round and round.
  const distance = -(writer.at + (wide ? 5 : 3));
  writer.byte(0xe9);
  if (wide) writer.dword(distance);
  else writer.word(distance);
  rig.physical.writeBytes(place.code, bytes);
}
