/**
 * The display adapter of QEMU's `-vga std`: a VGA with the Bochs display interface over up to 16 MiB of video memory. Ties together the registers
 * (registers.ts, dac.ts, dispi.ts), the CPU's window (window.ts), and what is shown (scan.ts and the *-mode.ts files). Its place on the PCI bus
 * is pci-vga.ts.
 *
 * Video memory may be shown to the CPU as RAM (the linear framebuffer; the window at A0000h while it is plain bytes): writes there are not seen, so
 * `generation` compares a hash of what is shown when asked.
 */
import { ByteBank } from "../byte-bank.ts";
import type { Clock, Device, RegisterBank, SavedState } from "../device.ts";
import { Dispi, dispiRegister } from "./dispi.ts";
import type { Display, Frame, TextScreen } from "./display.ts";
import { buildEdid } from "./edid.ts";
import { drawGraphicsLine, is256Color } from "./graphics-mode.ts";
import { drawLinear } from "./linear-mode.ts";
import { attributeRegister, crtcRegister, graphicsRegister, sequencerRegister, VgaRegisters } from "./registers.ts";
import { Scan } from "./scan.ts";
import { dotsPerCharacter, drawTextLine, textScreen } from "./text-mode.ts";
import { inputStatus, type Timing, timingOf } from "./timing.ts";
import { type CodeInMemory, VgaWindow } from "./window.ts";

/** What the adapter needs of the machine's physical memory. */
export interface VgaMapping {
  /** Shows the 64 KiB of video memory from byte `start` as RAM at A0000h, in the place of what was shown there; at -1 accesses go to `vga.window`. */
  window(start: number): void;
  /** Told of what the adapter writes over code in video memory. */
  readonly code?: CodeInMemory;
}

export const vgaPorts = {
  /** 3B0h-3BBh: `vga.monoPorts`. The parallel port's 3BCh-3BFh lie between. */
  mono: { base: 0x3b0, count: 12 },
  /** 3C0h-3DFh: `vga.colorPorts`. */
  color: { base: 0x3c0, count: 32 },
  /** 1CEh-1D1h: `vga.dispiPorts`. */
  dispi: { base: 0x1ce, count: 4 },
} as const;
export const vgaWindow = { base: 0xa0000, length: 0x20000 } as const;

const colorPortsOffset = vgaPorts.color.base - vgaPorts.mono.base;
const screenOff = 0x20;
const sequencerRunning = 0x03;
const retraceEnable = 0x80;
const graphicsMode = 0x01;
/** QEMU's own registers: how many bytes of them there are, the framebuffer's byte order. */
const extended = { base: 0x600, length: 8, littleEndian: 0x1e1e1e1e } as const;
/** A blank screen before any mode was set. */
const firstSize = { width: 640, height: 400 };
/** Of the VGA's 256 KiB, and of what of it the window shows as RAM. */
const vgaWords = 0x10000;
const chainedWords = 0x4000;
/** Of a frame: planar modes of the Bochs interface could be made of more, and their lower part is not shown. */
const maximumPixels = 1 << 24;
const widestCharacter = 9;
const maximumColumns = 256;

export class Vga implements Device, Display {
  readonly name = "vga";
  readonly memory: Uint8Array;
  readonly registers: VgaRegisters;
  readonly dispi: Dispi;
  /** A0000h-BFFFFh. */
  readonly window: VgaWindow;
  readonly monoPorts: RegisterBank;
  readonly colorPorts: RegisterBank;
  readonly dispiPorts: RegisterBank;
  /** The PCI function's memory registers: the monitor's EDID at 0, the VGA's ports from 3C0h at 400h, the Bochs interface's registers at 500h. */
  readonly memoryRegisters: RegisterBank;
  /** The framebuffer is shown as RAM; set by the PCI function. */
  framebufferShown = false;

  private readonly words: Int32Array;
  private readonly mapping: VgaMapping;
  private readonly scan = new Scan();
  private readonly row = new Uint32Array((maximumColumns + 1) * widestCharacter);
  private readonly colors = new Uint32Array(16);
  private pixels = new Uint32Array(0);
  private frame: Frame | undefined;
  private timing: Timing | undefined;
  private readonly edid = buildEdid();
  private dispiIndex = 0;
  private windowStart = -1;
  private generationNumber = 0;
  private hash = 0;
  private changed = true;
  private stale = true;
  private size: { readonly width: number; readonly height: number } = firstSize;

  /** @param memory video memory: a power of two of bytes, 256 KiB to 16 MiB, at a multiple of 4 in its buffer */
  constructor(clock: Clock, memory: Uint8Array, mapping: VgaMapping) {
    const isPowerOfTwo = (memory.length & (memory.length - 1)) === 0;
    if (!isPowerOfTwo || memory.length < 0x40000 || memory.length > 0x1000000 || memory.byteOffset % 4 !== 0)
      throw new RangeError(
        `Vga: ${memory.length} bytes of video memory at ${memory.byteOffset}; expected an aligned power of two from 256 KiB to 16 MiB`,
      );
    this.memory = memory;
    this.mapping = mapping;
    this.words = new Int32Array(memory.buffer, memory.byteOffset, memory.length >> 2);
    const touch = (): void => this.touch();
    this.registers = new VgaRegisters(() => inputStatus((this.timing ??= timingOf(this.registers)), clock.now()), touch);
    this.dispi = new Dispi(
      memory,
      () => this.dispiChanged(),
      (length) => this.cleared(length),
    );
    this.window = new VgaWindow(memory, this.words, this.registers, this.dispi, mapping.code);
    this.registers.accessChanged = () => this.accessChanged();
    const { registers } = this;
    this.monoPorts = new ByteBank(
      vgaPorts.mono.count,
      (offset) => registers.read(offset),
      (offset, value) => registers.write(offset, value),
    );
    this.colorPorts = new ByteBank(
      vgaPorts.color.count,
      (offset) => registers.read(offset + colorPortsOffset),
      (offset, value) => registers.write(offset + colorPortsOffset, value),
    );
    this.memoryRegisters = {
      read: (offset, size) => this.readMemoryRegister(offset, size),
      write: (offset, size, value) => this.writeMemoryRegister(offset, size, value),
    };
    this.dispiPorts = { read: (offset, size) => this.readDispi(offset, size), write: (offset, size, value) => this.writeDispi(offset, size, value) };
  }

  /** Video memory keeps what it holds. */
  reset(): void {
    this.dispiIndex = 0;
    this.registers.reset();
    this.dispi.reset();
    this.window.latch = 0;
  }

  /** Video memory is a part of the machine's, and saved and restored with it. */
  save(): SavedState {
    const { registers, dispi, dispiIndex, window } = this;
    return { registers: registers.save(), dispi: dispi.save(), dispiIndex, latch: window.latch };
  }

  restore(state: SavedState): void {
    this.dispiIndex = state.dispiIndex as number;
    this.registers.restore(state.registers as SavedState);
    this.dispi.restore(state.dispi as SavedState);
    this.window.latch = state.latch as number;
  }

  get kind(): "text" | "graphics" | "blank" {
    const { registers, dispi } = this;
    const { sequencer } = registers;
    if (!registers.displaysPalette || (sequencer[sequencerRegister.clocking] & screenOff) !== 0) return "blank";
    if (dispi.enabled) return "graphics";
    const isRunning = (sequencer[sequencerRegister.reset] & sequencerRunning) === sequencerRunning;
    if (!isRunning || (registers.crtc[crtcRegister.modeControl] & retraceEnable) === 0) return "blank";
    return (registers.graphics[graphicsRegister.miscellaneous] & graphicsMode) !== 0 ? "graphics" : "text";
  }

  get width(): number {
    return this.currentSize().width;
  }

  get height(): number {
    return this.currentSize().height;
  }

  get generation(): number {
    if (this.changed || this.window.written) this.generationNumber++;
    else if (this.isShownAsRam()) {
      const hash = this.hashShown();
      if (hash !== this.hash) this.generationNumber++;
      this.hash = hash;
    }
    this.changed = this.window.written = false;
    return this.generationNumber;
  }

  text(): TextScreen | undefined {
    if (this.kind !== "text") return undefined;
    this.refresh();
    return textScreen(this.registers, this.scan, this.words);
  }

  render(blinkOn: boolean): Frame {
    this.refresh();
    const { kind } = this;
    const { width, height } = this.size;
    const frame = this.frameOf(width, height);
    const out = this.pixels;
    this.loadColors();
    const palette = this.registers.dac.colors();
    if (kind === "blank") out.fill(0xff000000, 0, width * height);
    else if (this.dispi.enabled) drawLinear(this.dispi, { memory: this.memory, words: this.words, palette, colors: this.colors }, height, out);
    else {
      for (let line = 0; line < height; line++) {
        if (kind === "graphics" && this.scan.repeats(line)) {
          out.copyWithin(line * width, (line - 1) * width, line * width);
          continue;
        }
        if (kind === "text") drawTextLine(this.registers, this.scan, line, this.words, this.colors, blinkOn, this.row);
        else drawGraphicsLine(this.registers, this.scan, line, this.words, this.colors, palette, this.row);
        this.copyRow(kind, line, width);
      }
    }
    return frame;
  }

  private readMemoryRegister(offset: number, size: 1 | 2 | 4): number {
    if (offset >= 0x400 && offset + size <= 0x420) return this.colorPorts.read(offset - 0x400, size);
    if (offset >= 0x500 && offset + size <= 0x516 && (offset & 1) === 0) {
      const index = (offset - 0x500) >> 1;
      const low = this.dispi.read(index);
      return size === 1 ? low & 0xff : size === 2 ? low : (low | (this.dispi.read(index + 1) << 16)) >>> 0;
    }
    if (offset < this.edid.length) {
      let value = 0;
      for (let i = 0; i < size; i++) value |= (this.edid[offset + i] ?? 0) << (8 * i);
      return value >>> 0;
    }
    if (offset >= extended.base && size === 4) return [extended.length, extended.littleEndian][(offset - extended.base) >> 2] ?? 0;
    return 0;
  }

  private writeMemoryRegister(offset: number, size: 1 | 2 | 4, value: number): void {
    if (offset >= 0x400 && offset + size <= 0x420) this.colorPorts.write(offset - 0x400, size, value);
    else if (offset >= 0x500 && offset + size <= 0x516 && (offset & 1) === 0 && size >= 2) {
      const index = (offset - 0x500) >> 1;
      this.dispi.write(index, value & 0xffff);
      if (size === 4) this.dispi.write(index + 1, value >>> 16);
    }
  }

  private readDispi(offset: number, size: 1 | 2 | 4): number {
    if (size !== 2) return size === 1 ? 0xff : 0xffffffff;
    return offset === 0 ? this.dispiIndex : this.dispi.read(this.dispiIndex);
  }

  private writeDispi(offset: number, size: 1 | 2 | 4, value: number): void {
    if (size !== 2) return;
    if (offset === 0) this.dispiIndex = value;
    else this.dispi.write(this.dispiIndex, value & 0xffff);
  }

  private touch(): void {
    this.changed = true;
    this.stale = true;
    this.timing = undefined;
  }

  /** The first `length` bytes of video memory are zeros now. */
  private cleared(length: number): void {
    const { code } = this.mapping;
    for (let byte = 0; code !== undefined && byte < length; byte += 0x1000) {
      if (code.codePages[byte >>> 12] !== 0) code.written(byte, Math.min(0x1000, length - byte));
    }
  }

  private dispiChanged(): void {
    // Called by the Dispi's constructor as well, before there is anything to tell.
    if (this.window === undefined) return;
    this.registers.dac.is8Bit = this.dispi.is8BitDac;
    this.touch();
    this.accessChanged();
  }

  private accessChanged(): void {
    this.window.update();
    const start = this.window.directStart();
    if (start === this.windowStart) return;
    this.windowStart = start;
    this.changed = true;
    this.mapping.window(start);
  }

  private currentSize(): { readonly width: number; readonly height: number } {
    this.refresh();
    return this.size;
  }

  /** Takes over what the registers say. A blank screen has the size it would have. */
  private refresh(): void {
    if (!this.stale) return;
    this.stale = false;
    const { scan, dispi, registers } = this;
    if (dispi.enabled) {
      const width = dispi.registers[dispiRegister.width];
      this.size = { width, height: Math.min(dispi.registers[dispiRegister.height], Math.floor(maximumPixels / width)) };
    } else if ((registers.crtc[crtcRegister.modeControl] & retraceEnable) === 0) this.size = firstSize;
    else {
      scan.update(registers);
      const isGraphics = (registers.graphics[graphicsRegister.miscellaneous] & graphicsMode) !== 0;
      const dots = isGraphics ? 8 : dotsPerCharacter(registers);
      this.size = { width: scan.columns * dots * (scan.halfClock ? 2 : 1), height: scan.lines };
    }
  }

  private frameOf(width: number, height: number): Frame {
    const { frame } = this;
    if (frame !== undefined && frame.width === width && frame.height === height) return frame;
    if (this.pixels.length < width * height) this.pixels = new Uint32Array(width * height);
    this.frame = { width, height, pixels: new Uint8ClampedArray(this.pixels.buffer, 0, 4 * width * height) };
    return this.frame;
  }

  /** The colours of the sixteen attribute values: internal palette, colour select, DAC. */
  private loadColors(): void {
    const { attribute, dac } = this.registers;
    const palette = dac.colors();
    const select = attribute[attributeRegister.colorSelect];
    const selects54 = (attribute[attributeRegister.mode] & 0x80) !== 0;
    for (let i = 0; i < 16; i++) {
      const color = selects54 ? (attribute[i] & 0x0f) | ((select & 3) << 4) : attribute[i];
      this.colors[i] = palette[color | ((select & 0x0c) << 4)];
    }
  }

  /** Moves the drawn line to its place, panned, dots doubled where they last two clocks. */
  private copyRow(kind: "text" | "graphics", line: number, width: number): void {
    const { row, pixels, scan } = this;
    const panning = scan.panning[line];
    let from = panning & 7;
    if (kind === "text" && dotsPerCharacter(this.registers) === 9) from = panning >= 8 ? 0 : panning + 1;
    else if (kind === "graphics" && is256Color(this.registers)) from = panning & 6;
    const at = line * width;
    if (!scan.halfClock) {
      for (let x = 0; x < width; x++) pixels[at + x] = row[from + x];
    } else {
      for (let x = 0; x < width; x++) pixels[at + x] = row[from + (x >> 1)];
    }
  }

  private isShownAsRam(): boolean {
    return this.windowStart >= 0 || this.framebufferShown;
  }

  /** Of the words that are on the screen; in the VGA's own modes of all that these can show, fonts included, or can be written unseen. */
  private hashShown(): number {
    const { dispi, words } = this;
    let first = 0;
    let end = this.framebufferShown ? vgaWords : chainedWords;
    if (dispi.enabled) {
      first = dispi.start >>> 2;
      end = Math.min(words.length, first + ((dispi.registers[dispiRegister.height] * dispi.lineBytes) >>> 2) + 1);
      if (dispi.bitsPerPixel === 4) [first, end] = [0, words.length];
    }
    // Two independent sums, so that the multiplications overlap.
    let a = 0x811c9dc5;
    let b = 0;
    let at = first;
    for (; at + 1 < end; at += 2) {
      a = Math.imul(a ^ words[at], 0x01000193);
      b = Math.imul(b ^ words[at + 1], 0x85ebca6b);
    }
    if (at < end) a = Math.imul(a ^ words[at], 0x01000193);
    return (a ^ ((b << 13) | (b >>> 19))) | 0;
  }
}
