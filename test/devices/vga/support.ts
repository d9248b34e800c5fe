/** A display adapter on a bus of its own, and the register values of the standard modes (IBM PS/2 Hardware Interface Technical Reference; VGA BIOSes load them). */
import { PortBus } from "../../../runtime/devices/index.ts";
import { Vga, type VgaMapping, vgaPorts, vgaWindow } from "../../../runtime/devices/vga/vga.ts";
import { TestClock } from "../support.ts";

export interface ModeRegisters {
  readonly miscellaneous: number;
  readonly sequencer: readonly number[];
  readonly crtc: readonly number[];
  readonly graphics: readonly number[];
  readonly attribute: readonly number[];
}

const hex = (text: string): number[] => text.split(" ").map((byte) => Number.parseInt(byte, 16));
const mode = (miscellaneous: number, sequencer: string, crtc: string, graphics: string, attribute: string): ModeRegisters => ({
  miscellaneous,
  sequencer: hex(sequencer),
  crtc: hex(crtc),
  graphics: hex(graphics),
  attribute: hex(attribute),
});

const textColors = "00 01 02 03 04 05 14 07 38 39 3a 3b 3c 3d 3e 3f";
const plainColors = "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f";
const lines200 = "9c 8e 8f";

export const modes = {
  text80x25: mode(
    0x67,
    "03 00 03 00 02",
    "5f 4f 50 82 55 81 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 28 1f 96 b9 a3 ff",
    "00 00 00 00 00 10 0e 00 ff",
    `${textColors} 0c 00 0f 08 00`,
  ),
  text80x50: mode(
    0x67,
    "03 01 03 00 02",
    "5f 4f 50 82 55 81 bf 1f 00 47 06 07 00 00 00 00 9c 8e 8f 28 1f 96 b9 a3 ff",
    "00 00 00 00 00 10 0e 00 ff",
    `${textColors} 0c 00 0f 00 00`,
  ),
  text40x25: mode(
    0x67,
    "03 09 03 00 02",
    `2d 27 28 90 2b a0 bf 1f 00 4f 0d 0e 00 00 00 00 ${lines200} 14 1f 96 b9 a3 ff`,
    "00 00 00 00 00 10 0e 00 ff",
    `${textColors} 0c 00 0f 00 00`,
  ),
  cga320x200x4: mode(
    0x63,
    "03 09 03 00 02",
    `2d 27 28 90 2b 80 bf 1f 00 c1 00 00 00 00 00 00 ${lines200} 14 00 96 b9 a2 ff`,
    "00 00 00 00 00 30 0f 00 ff",
    "00 13 15 17 02 04 06 07 10 11 12 13 14 15 16 17 01 00 03 00 00",
  ),
  cga640x200x2: mode(
    0x63,
    "03 01 01 00 06",
    `5f 4f 50 82 54 80 bf 1f 00 c1 00 00 00 00 00 00 ${lines200} 28 00 96 b9 c2 ff`,
    "00 00 00 00 00 00 0d 00 ff",
    "00 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 01 00 01 00 00",
  ),
  ega320x200x16: mode(
    0x63,
    "03 09 0f 00 06",
    `2d 27 28 90 2b 80 bf 1f 00 c0 00 00 00 00 00 00 ${lines200} 14 00 96 b9 e3 ff`,
    "00 00 00 00 00 00 05 0f ff",
    `${plainColors} 01 00 0f 00 00`,
  ),
  vga640x480x16: mode(
    0xe3,
    "03 01 0f 00 06",
    "5f 4f 50 82 54 80 0b 3e 00 40 00 00 00 00 00 00 ea 8c df 28 00 e7 04 e3 ff",
    "00 00 00 00 00 00 05 0f ff",
    `${textColors} 01 00 0f 00 00`,
  ),
  vga320x200x256: mode(
    0x63,
    "03 01 0f 00 0e",
    `5f 4f 50 82 54 80 bf 1f 00 41 00 00 00 00 00 00 ${lines200} 28 40 96 b9 a3 ff`,
    "00 00 00 00 00 40 05 0f ff",
    `${plainColors} 41 00 0f 00 00`,
  ),
  modeX320x240: mode(
    0xe3,
    "03 01 0f 00 06",
    "5f 4f 50 82 54 80 0d 3e 00 41 00 00 00 00 00 00 ea 8c df 28 00 e7 06 e3 ff",
    "00 00 00 00 00 40 05 0f ff",
    `${plainColors} 41 00 0f 00 00`,
  ),
  modeX360x480: mode(
    0xe7,
    "03 01 0f 00 06",
    "6b 59 5a 8e 5e 8a 0d 3e 00 40 00 00 00 00 00 00 ea 8c df 2d 00 e7 06 e3 ff",
    "00 00 00 00 00 40 05 0f ff",
    `${plainColors} 41 00 0f 00 00`,
  ),
} as const;
export type ModeName = keyof typeof modes;

/** What a program does to the adapter: ours, or another. */
export interface VgaTarget {
  out(port: number, value: number, size?: 1 | 2 | 4): void;
  /** Writes at a physical address in A0000h-BFFFFh. */
  poke(address: number, value: number, size?: 1 | 2 | 4): void;
}

export class VgaRig implements VgaTarget {
  readonly clock = new TestClock();
  readonly bus = new PortBus();
  readonly vga: Vga;
  windowStart = -1;
  readonly mapping: VgaMapping;

  constructor(memoryBytes = 0x100000) {
    this.mapping = {
      window: (start) => {
        this.windowStart = start;
      },
    };
    this.vga = new Vga(this.clock, new Uint8Array(memoryBytes), this.mapping);
    this.vga.reset();
    this.bus.map(vgaPorts.mono.base, vgaPorts.mono.count, this.vga.monoPorts);
    this.bus.map(vgaPorts.color.base, vgaPorts.color.count, this.vga.colorPorts);
    this.bus.map(vgaPorts.dispi.base, vgaPorts.dispi.count, this.vga.dispiPorts);
  }

  out(port: number, value: number, size: 1 | 2 | 4 = 1): void {
    this.bus.write(port, size, value);
  }

  in(port: number, size: 1 | 2 | 4 = 1): number {
    return this.bus.read(port, size);
  }

  /** Through the window, or through RAM where the adapter has it shown so. */
  poke(address: number, value: number, size: 1 | 2 | 4 = 1): void {
    const offset = address - vgaWindow.base;
    if (this.windowStart >= 0 && offset < 0x10000) {
      for (let i = 0; i < size; i++) this.vga.memory[this.windowStart + offset + i] = value >>> (8 * i);
    } else this.vga.window.write(offset, size, value);
  }

  peek(address: number, size: 1 | 2 | 4 = 1): number {
    const offset = address - vgaWindow.base;
    if (this.windowStart < 0 || offset >= 0x10000) return this.vga.window.read(offset, size);
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.vga.memory[this.windowStart + offset + i] << (8 * i);
    return value >>> 0;
  }

  /** Index and data in one. */
  set(indexPort: number, index: number, value: number): void {
    setIndexed(this, indexPort, index, value);
  }

  get(indexPort: number, index: number): number {
    this.out(indexPort, index);
    return this.in(indexPort + 1);
  }

  /** The pixel's colour as 0xrrggbb. */
  static pixel(frame: { width: number; pixels: Uint8ClampedArray }, x: number, y: number): number {
    const at = 4 * (y * frame.width + x);
    return (frame.pixels[at] << 16) | (frame.pixels[at + 1] << 8) | frame.pixels[at + 2];
  }
}

export const sequencerPort = 0x3c4;
export const graphicsPort = 0x3ce;
export const crtcPort = 0x3d4;

export function setIndexed(target: VgaTarget, indexPort: number, index: number, value: number): void {
  target.out(indexPort, index);
  target.out(indexPort + 1, value);
}

export function setAttribute(rig: VgaRig, index: number, value: number): void {
  rig.in(0x3da);
  rig.out(0x3c0, index);
  rig.out(0x3c0, value);
  rig.out(0x3c0, 0x20);
}

/** As a VGA BIOS sets a mode; the attribute flip-flop must be at its index. Leaves the palette showing. */
export function setMode(target: VgaTarget, { miscellaneous, sequencer, crtc, graphics, attribute }: ModeRegisters): void {
  target.out(0x3c2, miscellaneous);
  for (const [index, value] of sequencer.entries()) setIndexed(target, sequencerPort, index, value);
  setIndexed(target, crtcPort, 0x11, 0);
  for (const [index, value] of crtc.entries()) setIndexed(target, crtcPort, index, value);
  for (const [index, value] of graphics.entries()) setIndexed(target, graphicsPort, index, value);
  attribute.forEach((value, index) => {
    target.out(0x3c0, index);
    target.out(0x3c0, value);
  });
  target.out(0x3c0, 0x20);
}

/** Loads the DAC's entries from `components`, three a colour. */
export function setPalette(target: VgaTarget, components: readonly number[], first = 0): void {
  target.out(0x3c8, first);
  for (const component of components) target.out(0x3c9, component);
}

/** A palette in which every entry differs. */
export const distinctPalette: readonly number[] = Array.from({ length: 768 }, (_, i) => {
  const entry = Math.floor(i / 3);
  return i % 3 === 0 ? entry & 0x3f : i % 3 === 1 ? (entry >> 2) & 0x3f : (entry * 37 + 11) & 0x3f;
});
