/**
 * Repeated string instructions. Each runs as long as it can, keeping ECX, ESI and EDI in step after every element or run of elements, so that a
 * fault or an interrupt in the middle leaves exactly the state the manual promises. Runs inside a page with translations at hand are done in bulk.
 *
 * Result: 0 when finished, 1 when stopped early (time is up, or the code under way was overwritten).
 *
 * MOVS and STOS, by which kernels copy and clear what may not be there, note a guest exception (`Cpu.note`) where they are called `tryMovs` and `tryStos`.
 */
import { linearCode as linearCodeImported, mode as modeImported } from "../../translator/contract/mode-key.ts";
import { segment as segmentImported, slot as slotImported } from "../../translator/contract/slots.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { checkPort } from "../cpu/io-permission.ts";
import { access as accessImported } from "../cpu/mode.ts";
import { checkSegment, tryCheckSegment } from "../cpu/segments.ts";
import { walkFlag } from "../memory/page-walk.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const segment = segmentImported;
const slot = slotImported;
const mode = modeImported;
const linearCode = linearCodeImported;
const access = accessImported;

const directionFlag = 1 << 10;
/** REPE (F3). */
const whileEqual = 1;

function counterMask(addressSize: number): number {
  return addressSize === 4 ? -1 : 0xffff;
}

function linearOf(cpu: Cpu, s: number, offset: number, size: number, isWrite: boolean): number {
  const R = cpu.R;
  if (R[slot.segmentChecked + s] !== 0) checkSegment(cpu, s, offset, size, isWrite);
  return (offset + R[slot.segmentBase + s]) | 0;
}

function tryLinearOf(cpu: Cpu, s: number, offset: number, size: number, isWrite: boolean): number {
  const R = cpu.R;
  if (R[slot.segmentChecked + s] !== 0) tryCheckSegment(cpu, s, offset, size, isWrite);
  return (offset + R[slot.segmentBase + s]) | 0;
}

function load(cpu: Cpu, linear: number, size: number): number {
  return size === 1 ? cpu.memory.ld1(linear) : size === 2 ? cpu.memory.ld2(linear) : cpu.memory.ld4(linear);
}
function store(cpu: Cpu, linear: number, size: number, value: number): void {
  if (size === 1) cpu.memory.st1(linear, value);
  else if (size === 2) cpu.memory.st2(linear, value);
  else cpu.memory.st4(linear, value);
}

function tryLoad(cpu: Cpu, linear: number, size: number): number {
  return size === 1 ? cpu.memory.tryLd1(linear) : size === 2 ? cpu.memory.tryLd2(linear) : cpu.memory.tryLd4(linear);
}
function tryStore(cpu: Cpu, linear: number, size: number, value: number): void {
  if (size === 1) cpu.memory.trySt1(linear, value);
  else if (size === 2) cpu.memory.trySt2(linear, value);
  else cpu.memory.trySt4(linear, value);
}

function addTo(R: Int32Array, register: number, mask: number, by: number): void {
  R[register] = (R[register] & ~mask) | ((R[register] + by) & mask);
}

/** Accounts for `elements` done and says whether to stop. */
function mustStop(R: Int32Array, elements: number): boolean {
  R[slot.budget] -= elements;
  // Single-stepping: each iteration is trapped by itself.
  return R[slot.budget] < 0 || R[slot.leave] !== 0 || (R[slot.mode] & mode.singleStep) !== 0;
}

/**
 * How many elements of `size` bytes from `offset` on, going up, stay inside the page of `linear`, inside a 16-bit offset and inside the segment, whose first is known
 * to; one at most while single-stepping.
 */
function elementsInPage(R: Int32Array, s: number, linear: number, offset: number, size: number, mask: number): number {
  const inPage = Math.trunc((0x1000 - (linear & 0xfff)) / size);
  let room = mask === -1 ? inPage : Math.min(inPage, Math.trunc((0x10000 - offset) / size));
  if (R[slot.segmentChecked + s] !== 0) room = Math.min(room, elementsInSegment(R, s, offset, size));
  return (R[slot.mode] & mode.singleStep) !== 0 ? Math.min(room, 1) : room;
}

/** The same going down from there, with 32-bit offsets in a segment without checks; 0: one of another kind, or in two pages. */
function elementsDownInPage(R: Int32Array, s: number, linear: number, size: number): number {
  const offset = linear & 0xfff;
  if (offset + size > 0x1000 || R[slot.segmentChecked + s] !== 0 || (R[slot.mode] & mode.singleStep) !== 0) return 0;
  return Math.trunc(offset / size) + 1;
}

function elementsInSegment(R: Int32Array, s: number, offset: number, size: number): number {
  if ((R[slot.segmentAccess + s] & (access.code | access.expandDown)) === access.expandDown) return 1;
  return Math.trunc(((R[slot.segmentLimit + s] >>> 0) - (offset >>> 0) + 1) / size);
}

/** From so many bytes on, in a page with translated code, it is asked whether they can be written in bulk. */
const worthAsking = 32;

/**
 * Where the bytes from `linear` on, as far as the page goes, can be written in bulk although the page has translated code: RAM, and not the code under way, which must see
 * each element. -1 where not; a guest exception that the first of them raises is noted. `codeWritten` is to be told afterwards.
 */
function locationOverCode({ R, memory }: Cpu, linear: number): number {
  const { physical } = memory;
  if ((R[slot.mode] & linearCode) !== linearCode || memory.watching) return -1;
  const location = memory.tryTranslate(linear, walkFlag.write);
  if (location < 0 || !physical.isRam(location) || physical.codePages[location >>> 12] === 0) return -1;
  const eip = R[slot.eip];
  // The instruction is before or behind it, and no longer.
  for (const near of [eip - 15, eip + 15]) {
    const T = memory.TX[R[slot.tlbHalf] + (near >>> 12)];
    if ((T & 1) !== 0 || (T ^ near) >>> 12 === location >>> 12) return -1;
  }
  return location;
}

export function tryMovs(cpu: Cpu, size: number, addressSize: number, source: number, repeat: number): number {
  const { R, memory } = cpu;
  const mask = counterMask(addressSize);
  const { noted } = cpu;
  const u8 = memory.physical.u8;
  const backward = (R[slot.eflags] & directionFlag) !== 0;
  /** The last page that was asked about in vain: a device's, mostly, element after element. */
  let notOverCode = -1;
  void repeat;
  for (;;) {
    const count = (R[slot.ecx] & mask) >>> 0;
    if (count === 0) return 0;
    const from = R[slot.esi] & mask;
    const to = R[slot.edi] & mask;
    const fromLinear = tryLinearOf(cpu, source, from, size, false);
    if (noted[1] !== 0) return 0;
    const toLinear = tryLinearOf(cpu, segment.es, to, size, true);
    if (noted[1] !== 0) return 0;
    const half = R[slot.tlbHalf];
    const TF = memory.TR[half + (fromLinear >>> 12)];
    const TT = memory.TW[half + (toLinear >>> 12)];
    let n = 1;
    let b = (TT ^ toLinear) >>> 0;
    let isOverCode = false;
    if (((TF & 1) | (~TT & 1)) === 0 && !backward && size * count >= worthAsking && toLinear >>> 12 !== notOverCode) {
      b = locationOverCode(cpu, toLinear);
      if (noted[1] !== 0) return 0;
      isOverCode = b >= 0;
      if (!isOverCode) notOverCode = toLinear >>> 12;
    }
    const plain = ((TF | TT) & 1) === 0 || isOverCode;
    if (plain && !backward) {
      const room = Math.min(elementsInPage(R, source, fromLinear, from, size, mask), elementsInPage(R, segment.es, toLinear, to, size, mask));
      n = Math.min(count, room);
    }
    if (plain && backward && mask === -1) {
      n = Math.min(count, elementsDownInPage(R, source, fromLinear, size), elementsDownInPage(R, segment.es, toLinear, size));
      const bytes = n * size;
      // The lowest byte of each.
      const a = ((TF ^ fromLinear) >>> 0) - bytes + size;
      b += size - bytes;
      // A backward copy onto itself from above repeats a pattern; memmove would not.
      if (b < a && a < b + bytes) n = 0;
      else if (n > 0) u8.copyWithin(b, a, a + bytes);
    } else if (plain && !backward && n > 0) {
      const a = (TF ^ fromLinear) >>> 0;
      const bytes = n * size;
      // A forward copy onto itself repeats a pattern; memmove would not.
      if (b > a && b < a + bytes) {
        if (b - a >= size || size === 1) for (let k = 0; k < bytes; k++) u8[b + k] = u8[a + k];
        else n = 0;
      } else if (bytes <= 32) for (let k = 0; k < bytes; k++) u8[b + k] = u8[a + k];
      else u8.copyWithin(b, a, a + bytes);
      if (isOverCode && n > 0) memory.physical.codeWritten(b, n * size);
    } else n = 0;
    if (n === 0) {
      const value = tryLoad(cpu, fromLinear, size);
      if (noted[1] !== 0) return 0;
      tryStore(cpu, toLinear, size, value);
      if (noted[1] !== 0) return 0;
      n = 1;
    }
    const by = backward ? -n * size : n * size;
    addTo(R, slot.ecx, mask, -n);
    addTo(R, slot.esi, mask, by);
    addTo(R, slot.edi, mask, by);
    if (mustStop(R, (n >>> 3) + 1)) return (R[slot.ecx] & mask) === 0 ? 0 : 1;
  }
}

export function movs(cpu: Cpu, size: number, addressSize: number, source: number, repeat: number): number {
  const stopped = tryMovs(cpu, size, addressSize, source, repeat);
  if (cpu.noted[1] !== 0) cpu.raiseNoted();
  return stopped;
}

export function tryStos(cpu: Cpu, size: number, addressSize: number, repeat: number): number {
  const { R, memory } = cpu;
  const mask = counterMask(addressSize);
  const backward = (R[slot.eflags] & directionFlag) !== 0;
  const value = R[slot.eax];
  const { noted } = cpu;
  /** As in `tryMovs`. */
  let notOverCode = -1;
  void repeat;
  for (;;) {
    const count = (R[slot.ecx] & mask) >>> 0;
    if (count === 0) return 0;
    const to = R[slot.edi] & mask;
    const linear = tryLinearOf(cpu, segment.es, to, size, true);
    if (noted[1] !== 0) return 0;
    const T = memory.TW[R[slot.tlbHalf] + (linear >>> 12)];
    let n = 0;
    let at = (T & 1) === 0 ? (T ^ linear) >>> 0 : -1;
    const isInBulk = !backward && (linear & (size - 1)) === 0;
    const isOverCode = at < 0 && isInBulk && size * count >= worthAsking && linear >>> 12 !== notOverCode;
    if (isOverCode) {
      at = locationOverCode(cpu, linear);
      if (noted[1] !== 0) return 0;
      if (at < 0) notOverCode = linear >>> 12;
    }
    if (at >= 0 && isInBulk) {
      n = Math.min(count, elementsInPage(R, segment.es, linear, to, size, mask));
      if (size === 1) memory.physical.u8.fill(value, at, at + n);
      else if (size === 2) memory.physical.i16.fill(value, at >>> 1, (at >>> 1) + n);
      else memory.physical.i32.fill(value, at >>> 2, (at >>> 2) + n);
      if (isOverCode && n > 0) memory.physical.codeWritten(at, n * size);
    }
    if (n === 0) {
      tryStore(cpu, linear, size, value);
      if (noted[1] !== 0) return 0;
      n = 1;
    }
    addTo(R, slot.ecx, mask, -n);
    addTo(R, slot.edi, mask, backward ? -n * size : n * size);
    if (mustStop(R, (n >>> 3) + 1)) return (R[slot.ecx] & mask) === 0 ? 0 : 1;
  }
}

export function stos(cpu: Cpu, size: number, addressSize: number, repeat: number): number {
  const stopped = tryStos(cpu, size, addressSize, repeat);
  if (cpu.noted[1] !== 0) cpu.raiseNoted();
  return stopped;
}

export function lods(cpu: Cpu, size: number, addressSize: number, source: number, repeat: number): number {
  const R = cpu.R;
  const mask = counterMask(addressSize);
  const by = R[slot.eflags] & directionFlag ? -size : size;
  void repeat;
  for (;;) {
    if ((R[slot.ecx] & mask) === 0) return 0;
    const value = load(cpu, linearOf(cpu, source, R[slot.esi] & mask, size, false), size);
    R[slot.eax] = size === 4 ? value : size === 2 ? (R[slot.eax] & ~0xffff) | value : (R[slot.eax] & ~0xff) | value;
    addTo(R, slot.ecx, mask, -1);
    addTo(R, slot.esi, mask, by);
    if (mustStop(R, 1)) return (R[slot.ecx] & mask) === 0 ? 0 : 1;
  }
}

/** Flags of x - y at `size` bytes. */
function setCompareFlags(R: Int32Array, x: number, y: number, size: number): void {
  const r = (x - y) | 0;
  const borrows = (~x & y) | (~(x ^ y) & r);
  const shift = 32 - 8 * size;
  R[slot.flagCarry] = size === 4 ? borrows : (borrows << shift) | (borrows & 8);
  R[slot.flagZero] = R[slot.flagSign] = (r << shift) >> shift;
}

/** RAM index of `linear` if the page behind it can be read in bulk, else -1. */
function readableRun(cpu: Cpu, linear: number, size: number): number {
  const R = cpu.R;
  const T = cpu.memory.TR[R[slot.tlbHalf] + (linear >>> 12)];
  if ((T & 1) !== 0 || (linear & (size - 1)) !== 0) return -1;
  return ((T ^ linear) >>> 0) / size;
}

/** The RAM as elements of `size` bytes, as unsigned or signed as `x` was made. */
function elements(cpu: Cpu, size: number): Uint8Array | Int16Array | Int32Array {
  const { physical } = cpu.memory;
  return size === 1 ? physical.u8 : size === 2 ? physical.i16 : physical.i32;
}

export function scas(cpu: Cpu, size: number, addressSize: number, repeat: number): number {
  const R = cpu.R;
  const mask = counterMask(addressSize);
  const backward = (R[slot.eflags] & directionFlag) !== 0;
  const x = size === 4 ? R[slot.eax] : R[slot.eax] & (size === 2 ? 0xffff : 0xff);
  for (;;) {
    const count = (R[slot.ecx] & mask) >>> 0;
    if (count === 0) return 0;
    const offset = R[slot.edi] & mask;
    const linear = linearOf(cpu, segment.es, offset, size, false);
    const at = backward ? -1 : readableRun(cpu, linear, size);
    let n = 1;
    let y = 0;
    if (at >= 0) {
      const ram = elements(cpu, size);
      const wanted = size === 2 ? (x << 16) >> 16 : x;
      const limit = Math.max(1, Math.min(count, elementsInPage(R, segment.es, linear, offset, size, mask)));
      const stopsOn = repeat !== whileEqual;
      n = 0;
      while (n < limit && (ram[at + n++] === wanted) !== stopsOn);
      y = ram[at + n - 1];
      if (size === 2) y &= 0xffff;
    } else y = load(cpu, linear, size);
    addTo(R, slot.ecx, mask, -n);
    addTo(R, slot.edi, mask, backward ? -size : n * size);
    setCompareFlags(R, x, y, size);
    if ((x === y) !== (repeat === whileEqual)) return 0;
    if (mustStop(R, (n >>> 2) + 1)) return (R[slot.ecx] & mask) === 0 ? 0 : 1;
  }
}

export function cmps(cpu: Cpu, size: number, addressSize: number, source: number, repeat: number): number {
  const R = cpu.R;
  const mask = counterMask(addressSize);
  const backward = (R[slot.eflags] & directionFlag) !== 0;
  for (;;) {
    const count = (R[slot.ecx] & mask) >>> 0;
    if (count === 0) return 0;
    const from = R[slot.esi] & mask;
    const to = R[slot.edi] & mask;
    const fromLinear = linearOf(cpu, source, from, size, false);
    const toLinear = linearOf(cpu, segment.es, to, size, false);
    const a = backward ? -1 : readableRun(cpu, fromLinear, size);
    const b = backward ? -1 : readableRun(cpu, toLinear, size);
    let n = 1;
    let x = 0;
    let y = 0;
    if (a >= 0 && b >= 0) {
      const ram = elements(cpu, size);
      const limit = Math.min(count, elementsInPage(R, source, fromLinear, from, size, mask), elementsInPage(R, segment.es, toLinear, to, size, mask));
      const stopsOn = repeat !== whileEqual;
      n = 0;
      do {
        x = ram[a + n];
        y = ram[b + n];
        n++;
      } while (n < limit && (x === y) !== stopsOn);
      if (size === 2) {
        x &= 0xffff;
        y &= 0xffff;
      }
    } else {
      x = load(cpu, fromLinear, size);
      y = load(cpu, toLinear, size);
    }
    const by = backward ? -size : n * size;
    addTo(R, slot.ecx, mask, -n);
    addTo(R, slot.esi, mask, by);
    addTo(R, slot.edi, mask, by);
    setCompareFlags(R, x, y, size);
    if ((x === y) !== (repeat === whileEqual)) return 0;
    if (mustStop(R, (n >>> 2) + 1)) return (R[slot.ecx] & mask) === 0 ? 0 : 1;
  }
}

/**
 * INS and OUTS. The port is read only after the memory is known to be writable: device reads have side effects. Data ports that can hand over many elements at
 * once do so inside a page; what is left, and every element that may fault, goes one by one.
 */
export function ins(cpu: Cpu, size: number, addressSize: number, repeat: number): number {
  const { R, memory } = cpu;
  const { ports } = cpu.board;
  const mask = counterMask(addressSize);
  const by = R[slot.eflags] & directionFlag ? -size : size;
  const port = R[slot.edx] & 0xffff;
  checkPort(cpu, port, size);
  for (;;) {
    if (repeat !== 0 && (R[slot.ecx] & mask) === 0) return 0;
    const offset = R[slot.edi] & mask;
    const linear = linearOf(cpu, segment.es, offset, size, true);
    memory.probeWrite(linear, size);
    if (repeat !== 0 && size !== 1 && by > 0 && ports.readBlock !== undefined) {
      const T = memory.TW[R[slot.tlbHalf] + (linear >>> 12)];
      const n = (T & 1) === 0 ? Math.min((R[slot.ecx] & mask) >>> 0, elementsInPage(R, segment.es, linear, offset, size, mask)) : 0;
      const at = (T ^ linear) >>> 0;
      const bytes = n > 1 ? ports.readBlock(port, size as 2 | 4, memory.physical.u8.subarray(at, at + n * size)) : 0;
      if (bytes > 0) {
        const done = bytes / size;
        cpu.portCounts[port] += done;
        addTo(R, slot.edi, mask, bytes);
        addTo(R, slot.ecx, mask, -done);
        if (mustStop(R, (done >>> 3) + 1)) return (R[slot.ecx] & mask) === 0 ? 0 : 1;
        continue;
      }
    }
    cpu.portCounts[port]++;
    store(cpu, linear, size, ports.read(port, size as 1 | 2 | 4));
    addTo(R, slot.edi, mask, by);
    if (repeat === 0) return 0;
    addTo(R, slot.ecx, mask, -1);
    if (mustStop(R, 1)) return (R[slot.ecx] & mask) === 0 ? 0 : 1;
  }
}

export function outs(cpu: Cpu, size: number, addressSize: number, source: number, repeat: number): number {
  const { R, memory } = cpu;
  const { ports } = cpu.board;
  const mask = counterMask(addressSize);
  const by = R[slot.eflags] & directionFlag ? -size : size;
  const port = R[slot.edx] & 0xffff;
  checkPort(cpu, port, size);
  for (;;) {
    if (repeat !== 0 && (R[slot.ecx] & mask) === 0) return 0;
    const offset = R[slot.esi] & mask;
    const linear = linearOf(cpu, source, offset, size, false);
    if (repeat !== 0 && size !== 1 && by > 0 && ports.writeBlock !== undefined) {
      const T = memory.TR[R[slot.tlbHalf] + (linear >>> 12)];
      const n = (T & 1) === 0 ? Math.min((R[slot.ecx] & mask) >>> 0, elementsInPage(R, source, linear, offset, size, mask)) : 0;
      const at = (T ^ linear) >>> 0;
      const bytes = n > 1 ? ports.writeBlock(port, size as 2 | 4, memory.physical.u8.subarray(at, at + n * size)) : 0;
      if (bytes > 0) {
        const done = bytes / size;
        cpu.portCounts[port] += done;
        addTo(R, slot.esi, mask, bytes);
        addTo(R, slot.ecx, mask, -done);
        if (mustStop(R, (done >>> 3) + 1)) return (R[slot.ecx] & mask) === 0 ? 0 : 1;
        continue;
      }
    }
    const value = load(cpu, linear, size);
    cpu.portCounts[port]++;
    ports.write(port, size as 1 | 2 | 4, value);
    addTo(R, slot.esi, mask, by);
    if (repeat === 0) return 0;
    addTo(R, slot.ecx, mask, -1);
    if (mustStop(R, 1)) return (R[slot.ecx] & mask) === 0 ? 0 : 1;
  }
}
