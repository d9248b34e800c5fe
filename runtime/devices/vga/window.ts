/**
 * The CPU's way to video memory at A0000h-BFFFFh: which of the addresses answer, how they select planes, and the graphics controller's
 * read and write modes with its latches (IBM PS/2 Hardware Interface Technical Reference, "Graphics Controller"). All four planes are worked on at once,
 * as one word of video memory; what register values make of a byte is computed when registers change.
 */
import type { RegisterBank } from "../device.ts";
import type { Dispi } from "./dispi.ts";
import { chainedPlaneAddress, planesMask, wordOf } from "./layout.ts";
import { graphicsRegister, sequencerRegister, type VgaRegisters } from "./registers.ts";

/** Base and length within the 128 KiB, by the memory map field of the graphics controller's miscellaneous register. */
const maps = [
  { base: 0, length: 0x20000 },
  { base: 0, length: 0x10000 },
  { base: 0x10000, length: 0x8000 },
  { base: 0x18000, length: 0x8000 },
] as const;
const memoryEnable = 0x02;
const evenPlanes = 0b0101;
const oddPlanes = 0b1010;
const bytesOf = 0x01010101;

/** Video memory as a place where translated code may be: the guest can run what it wrote there, through the linear framebuffer. */
export interface CodeInMemory {
  /** Not 0 for each page (4096 bytes) of video memory that code was made from. */
  readonly codePages: Uint8Array;
  /** Bytes of such a page were written. */
  written(byte: number, length: number): void;
}

export class VgaWindow implements RegisterBank {
  /** Something was written since this was last set to false. */
  written = false;
  latch = 0;

  private readonly memory: Uint8Array;
  private readonly words: Int32Array;
  private readonly wordMask: number;
  private readonly registers: VgaRegisters;
  private readonly dispi: Dispi;
  private readonly code: CodeInMemory | undefined;

  private base = 0;
  private length = 0;
  /** Plain bytes from here in video memory: a linear mode's bank. -1 otherwise. */
  private linear = -1;
  private planarBank = 0;
  private chained = false;
  private oddEvenWrite = false;
  private oddEvenRead = false;
  private chainOddEven = false;
  private mapMask = 0;
  private readPlane = 0;
  private comparesColors = false;
  private colorCompare = 0;
  private colorCare = 0;
  private writeMode = 0;
  private rotate = 0;
  private logic = 0;
  private setReset = 0;
  private enableSetReset = 0;
  private bitMask = 0;
  /** Writes go to the selected planes as they are. */
  private plain = false;

  constructor(memory: Uint8Array, words: Int32Array, registers: VgaRegisters, dispi: Dispi, code?: CodeInMemory) {
    this.memory = memory;
    this.words = words;
    this.wordMask = words.length - 1;
    this.registers = registers;
    this.dispi = dispi;
    this.code = code;
    this.update();
  }

  /** Takes over what the registers say. */
  update(): void {
    const { dispi, registers } = this;
    const { graphics, sequencer } = registers;
    const at = graphicsRegister;
    const isVbe = dispi.enabled;
    const isLinear = isVbe && dispi.bitsPerPixel !== 4;
    const map = isVbe ? maps[1] : maps[(graphics[at.miscellaneous] >> 2) & 3];
    const answers = isVbe || (registers.miscellaneous & memoryEnable) !== 0;
    this.base = map.base;
    this.length = answers ? map.length : 0;
    this.linear = isLinear ? dispi.bankStart : -1;
    this.planarBank = isVbe ? dispi.bankStart : 0;
    const memoryMode = sequencer[sequencerRegister.memoryMode];
    this.chained = (memoryMode & 8) !== 0;
    this.oddEvenWrite = (memoryMode & 4) === 0;
    this.mapMask = sequencer[sequencerRegister.mapMask];
    const mode = graphics[at.mode];
    this.oddEvenRead = (mode & 0x10) !== 0;
    this.chainOddEven = (graphics[at.miscellaneous] & 2) !== 0;
    this.readPlane = graphics[at.readMapSelect];
    this.comparesColors = (mode & 8) !== 0;
    this.colorCompare = planesMask[graphics[at.colorCompare]];
    this.colorCare = planesMask[graphics[at.colorDontCare]];
    this.writeMode = mode & 3;
    this.rotate = graphics[at.dataRotate] & 7;
    this.logic = (graphics[at.dataRotate] >> 3) & 3;
    this.setReset = planesMask[graphics[at.setReset]];
    this.enableSetReset = planesMask[graphics[at.enableSetReset]];
    this.bitMask = Math.imul(graphics[at.bitMask], bytesOf);
    this.plain = this.writeMode === 0 && this.rotate === 0 && this.logic === 0 && this.enableSetReset === 0 && this.bitMask === -1;
  }

  /** The part of video memory that A0000h-AFFFFh shows as plain bytes now, for reads and writes alike; -1 while it is more than that. */
  directStart(): number {
    if (this.linear >= 0) return this.linear;
    const isChained = this.chained && this.plain && this.mapMask === 15 && !this.comparesColors;
    return isChained && this.base === 0 && this.length === 0x10000 ? 0 : -1;
  }

  /** @param offset from A0000h */
  read(offset: number, size: 1 | 2 | 4): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: 1 | 2 | 4, value: number): void {
    this.written = true;
    for (let i = 0; i < size; i++) this.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }

  private readByte(offset: number): number {
    const address = offset - this.base;
    if (address < 0 || address >= this.length) return 0xff;
    if (this.linear >= 0) return this.memory[this.linear + address];
    let plane = this.readPlane;
    if (this.chained) plane = address & 3;
    else if (this.oddEvenRead) plane = (plane & 2) | (address & 1);
    this.latch = this.words[this.wordAt(address)];
    if (!this.comparesColors) return (this.latch >>> (8 * plane)) & 0xff;
    const differs = (this.latch ^ this.colorCompare) & this.colorCare;
    return ~(differs | (differs >>> 8) | (differs >>> 16) | (differs >>> 24)) & 0xff;
  }

  private writeByte(offset: number, value: number): void {
    const address = offset - this.base;
    if (address < 0 || address >= this.length) return;
    if (this.linear >= 0) {
      this.memory[this.linear + address] = value;
      this.wrote(this.linear + address, 1);
      return;
    }
    let planes = this.mapMask;
    if (this.chained) planes &= 1 << (address & 3);
    else if (this.oddEvenWrite) planes &= (address & 1) !== 0 ? oddPlanes : evenPlanes;
    const mask = planesMask[planes];
    const at = this.wordAt(address);
    const data = this.plain ? Math.imul(value, bytesOf) : this.combine(value);
    this.words[at] = (this.words[at] & ~mask) | (data & mask);
    this.wrote(at << 2, 4);
  }

  private wrote(byte: number, length: number): void {
    if (this.code !== undefined && this.code.codePages[byte >>> 12] !== 0) this.code.written(byte, length);
  }

  /** The word of video memory behind an address in the window. */
  private wordAt(address: number): number {
    let planeAddress = address & 0xffff;
    if (this.chained) planeAddress = chainedPlaneAddress(address);
    else if (this.chainOddEven) planeAddress = (planeAddress & 0xfffe) | (address >>> 16);
    return wordOf(this.planarBank + planeAddress) & this.wordMask;
  }

  /** What the write mode makes of the CPU's byte and the latches. */
  private combine(value: number): number {
    const { latch } = this;
    if (this.writeMode === 1) return latch;
    const rotated = ((value >> this.rotate) | (value << (8 - this.rotate))) & 0xff;
    let data: number;
    let bits = this.bitMask;
    if (this.writeMode === 0) data = (Math.imul(rotated, bytesOf) & ~this.enableSetReset) | (this.setReset & this.enableSetReset);
    else if (this.writeMode === 2) data = planesMask[value & 15];
    else {
      data = this.setReset;
      bits &= Math.imul(rotated, bytesOf);
    }
    if (this.logic === 1) data &= latch;
    else if (this.logic === 2) data |= latch;
    else if (this.logic === 3) data ^= latch;
    return (data & bits) | (latch & ~bits);
  }
}
