/**
 * Runs vector cases in a guest CPU of the runtime, in the environment of environment.ts. State goes in and out through the CPU's slots;
 * everything in between is the dispatcher's ordinary way of running a guest: code decoded or translated from memory, page tables
 * walked, exceptions delivered through the IDT to ring 0, which halts.
 */
import { loadStatusWord, type RegisterFile, spillAll, statusWord, writeIntegers } from "../../runtime/callouts/x87/registers.ts";
import { Cpu, type CpuBoard } from "../../runtime/cpu/cpu.ts";
import { getEflags, setEflags } from "../../runtime/cpu/flags.ts";
import { updateMode } from "../../runtime/cpu/mode.ts";
import { Dispatcher } from "../../runtime/execute/dispatcher.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { segment, slot } from "../../translator/contract/slots.ts";
import type { Translator } from "../../translator/contract/translator.ts";
import { control, type Descriptor, descriptorOf, physical, physicalImage, pushesError, stackTopPhysical } from "./environment.ts";
import type { Executor } from "./executor.ts";
import { layout, selectors } from "./layout.ts";
import { type Chunk, fpuImageSize, fx, type Outcome, type VectorCase } from "./state.ts";

/** Slot order of the four data segments a state lists: ES DS FS GS. */
const stateSegments = [segment.es, segment.ds, segment.fs, segment.gs] as const;

function loadSegment(R: Int32Array, n: number, selector: number, d: Descriptor | undefined): void {
  R[slot.selector + n] = selector;
  R[slot.segmentBase + n] = d ? d.base : 0;
  R[slot.segmentLimit + n] = d ? (d.flags & 8 ? (d.limit << 12) | 0xfff : d.limit) : 0;
  R[slot.segmentAccess + n] = d ? (d.rights << 8) | (d.flags << 20) : 0;
}

/** FXSAVE's image to the x87 and SSE slots. */
export function loadFpu(file: RegisterFile, image: Uint8Array): void {
  const { R } = file;
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const status = view.getUint16(fx.status, true);
  const top = (status >> 11) & 7;
  R[slot.fpuControl] = view.getUint16(fx.control, true);
  loadStatusWord(file, status);
  R[slot.fpuEmpty] = ~image[fx.tag] & 0xff;
  R[slot.fpuOpcode] = view.getUint16(fx.opcode, true);
  R[slot.fpuIp] = view.getInt32(fx.ip, true);
  R[slot.fpuCs] = view.getUint16(fx.cs, true);
  R[slot.fpuDp] = view.getInt32(fx.dp, true);
  R[slot.fpuDs] = view.getUint16(fx.ds, true);
  R[slot.mxcsr] = view.getInt32(fx.mxcsr, true);
  for (let i = 0; i < 8; i++) {
    const n = (top + i) & 7;
    const at = fx.st + 16 * i;
    writeIntegers(file, n, view.getInt32(at, true), view.getInt32(at + 4, true), view.getUint16(at + 8, true));
    for (let j = 0; j < 4; j++) R[slot.xmm + 4 * i + j] = view.getInt32(fx.xmm + 16 * i + 4 * j, true);
  }
}

export function saveFpu(file: RegisterFile): Uint8Array {
  const { R } = file;
  spillAll(file);
  const image = new Uint8Array(fpuImageSize);
  const view = new DataView(image.buffer);
  const top = R[slot.fpuTop] & 7;
  view.setUint16(fx.control, R[slot.fpuControl], true);
  view.setUint16(fx.status, statusWord(file), true);
  image[fx.tag] = ~R[slot.fpuEmpty];
  view.setUint16(fx.opcode, R[slot.fpuOpcode], true);
  view.setInt32(fx.ip, R[slot.fpuIp], true);
  view.setInt32(fx.dp, R[slot.fpuDp], true);
  view.setInt32(fx.mxcsr, R[slot.mxcsr], true);
  for (let i = 0; i < 8; i++) {
    const n = (top + i) & 7;
    view.setInt32(fx.st + 16 * i, R[slot.fpuMantissaLow + n], true);
    view.setInt32(fx.st + 16 * i + 4, R[slot.fpuMantissaHigh + n], true);
    view.setUint16(fx.st + 16 * i + 8, R[slot.fpuSignExponent + n], true);
    for (let j = 0; j < 4; j++) view.setInt32(fx.xmm + 16 * i + 4 * j, R[slot.xmm + 4 * i + j], true);
  }
  return image;
}

const instructionBudget = 2000;

export interface GuestExecutorOptions {
  readonly name: string;
  readonly translator: Translator;
  /** Translates each instruction, with what follows it, into a region before it counts. */
  readonly hot?: boolean;
}

export class GuestExecutor implements Executor {
  readonly name: string;
  readonly cpu: Cpu;
  readonly dispatcher: Dispatcher;
  private readonly memory: PhysicalMemory;
  private readonly data: Uint8Array;
  private readonly background: Uint8Array;
  private readonly before: Uint8Array;
  private readonly hot: boolean;
  /** Modes in which the current code has been made a region. */
  private readonly translated = new Set<number>();
  /** Encodings run, and those of which a region could be made. */
  encodings = 0;
  regions = 0;
  private code: Uint8Array | undefined;

  constructor(options: GuestExecutorOptions) {
    this.name = options.name;
    this.hot = options.hot ?? false;
    const image = physicalImage();
    this.memory = new PhysicalMemory(image.length);
    this.memory.u8.set(image);
    const board: CpuBoard = {
      physical: this.memory,
      ports: { read: () => -1, write: () => {} },
      clock: { now: () => 0, timer: () => ({ at() {}, cancel() {} }) } as unknown as CpuBoard["clock"],
      interrupts: { pending: false, acknowledge: () => 0 },
      tscPerNanosecond: 1,
      setFerr() {},
    };
    this.cpu = new Cpu(board);
    const { cpu } = this;
    this.dispatcher = new Dispatcher(cpu, options.translator, { poll() {}, smallestRegion: 1 });
    this.data = this.memory.u8.subarray(physical.data, physical.data + layout.dataSize);
    this.background = this.data.slice();
    this.before = this.data.slice();
    const R = this.cpu.R;
    R[slot.cr0] = control.cr0;
    R[slot.cr3] = control.cr3;
    R[slot.cr4] = control.cr4;
    R[slot.gdtBase] = control.gdt.base;
    R[slot.gdtLimit] = control.gdt.limit;
    R[slot.idtBase] = control.idt.base;
    R[slot.idtLimit] = control.idt.limit;
    loadSegment(R, segment.ldtr, control.ldtSelector, descriptorOf(control.ldtSelector));
    loadSegment(R, segment.tr, control.taskSelector, descriptorOf(control.taskSelector));
    this.cpu.memory.flush(true);
  }

  run(c: VectorCase): Outcome {
    if (c.bytes !== this.code) {
      this.code = c.bytes;
      this.translated.clear();
      const page = new Uint8Array(0x1000).fill(0xcc);
      page.set(c.bytes, layout.entry - layout.code);
      this.memory.writeBytes(physical.code, page);
    }
    this.prepare(c);
    if (this.hot && !this.translated.has(this.cpu.R[slot.mode])) this.translate(c);
    this.execute();
    return this.outcome(c);
  }

  /** Runs the case once as cold code, so that its block exists, and makes a region of it. */
  private translate(c: VectorCase): void {
    const { dispatcher } = this;
    const mode = this.cpu.R[slot.mode];
    this.translated.add(mode);
    this.execute();
    const header = dispatcher.cache.find(physical.entry, mode);
    if (header !== 0) {
      const before = dispatcher.regions.translated;
      dispatcher.promotion.makeRegion(header, layout.entry & ~0xfff);
      this.encodings++;
      this.regions += dispatcher.regions.translated - before;
    }
    this.prepare(c);
  }

  private prepare(c: VectorCase): void {
    const { R } = this.cpu;
    const s = c.input;
    this.before.set(this.background);
    for (const m of s.memory) this.before.set(m.bytes, m.offset);
    this.data.set(this.before);
    for (let i = 0; i < 8; i++) R[slot.eax + i] = s.gpr[i];
    R[slot.eip] = layout.entry;
    setEflags(R, s.eflags);
    R[slot.cpl] = 3;
    R[slot.cr2] = 0;
    R[slot.halted] = 0;
    R[slot.interruptShadow] = 0;
    loadSegment(R, segment.cs, selectors.code, descriptorOf(selectors.code));
    loadSegment(R, segment.ss, selectors.data, descriptorOf(selectors.data));
    for (let i = 0; i < 4; i++) loadSegment(R, stateSegments[i], s.segments[i], descriptorOf(s.segments[i]));
    loadFpu(this.cpu, s.fpu);
    updateMode(this.cpu);
  }

  private execute(): void {
    const reason = this.dispatcher.run(instructionBudget);
    if (reason !== "halted") throw new Error(`the guest stopped with "${reason}" instead of halting in an exception handler`);
  }

  private outcome(c: VectorCase): Outcome {
    const { R } = this.cpu;
    // EIP is behind the HLT of the vector that was delivered; the frame starts at ESP.
    const vector = (((R[slot.eip] >>> 0) - control.handlers - 1) >>> 4) & 0xff;
    const stack = stackTopPhysical - (control.stackTop - (R[slot.esp] >>> 0));
    const word = (n: number) => this.memory.i32[(stack >>> 2) + n] >>> 0;
    const base = pushesError.has(vector) ? 1 : 0;
    const eip = word(base);
    const gpr = Array.from({ length: 8 }, (_, i) => R[slot.eax + i] >>> 0);
    gpr[4] = word(base + 3);
    const outcome: Outcome = {
      eip,
      gpr,
      eflags: word(base + 2) & ~0x10000,
      segments: stateSegments.map((n) => R[slot.selector + n]),
      fpu: saveFpu(this.cpu),
      memory: this.differences(),
    };
    // The INT3 behind the instruction, or the one a branch led to, means it completed.
    const marker = c.branch || eip === layout.entry + c.bytes.length + 1;
    if (vector === 3 && marker) outcome.eip = (eip - 1) >>> 0;
    else outcome.trap = { vector, error: base ? word(0) : 0, cr2: vector === 14 ? R[slot.cr2] >>> 0 : 0 };
    return outcome;
  }

  private differences(): Chunk[] {
    if (Buffer.compare(this.data, this.before) === 0) return [];
    const chunks: Chunk[] = [];
    for (let i = 0; i < this.data.length; i++) {
      if (this.data[i] === this.before[i]) continue;
      let end = i + 1;
      while (end < this.data.length && this.data[end] !== this.before[end]) end++;
      chunks.push({ offset: i, bytes: this.data.slice(i, end) });
      i = end;
    }
    return chunks;
  }

  /** The CPU's EFLAGS now, for debugging. */
  get eflags(): number {
    return getEflags(this.cpu.R);
  }
}
