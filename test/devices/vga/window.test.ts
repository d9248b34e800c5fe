/** The CPU's access to video memory: memory maps, plane selection, write and read modes, latches (IBM PS/2 HITR, "Graphics Controller"). */
import { describe, expect, test } from "vitest";
import { Random } from "../support.ts";
import { graphicsPort, modes, sequencerPort, setMode, VgaRig } from "./support.ts";

function planar(): VgaRig {
  const rig = new VgaRig();
  setMode(rig, modes.vga640x480x16);
  return rig;
}

/** The byte of each plane at an address, by read mode 0. Leaves the latches loaded from there. */
function planes(rig: VgaRig, address: number): number[] {
  rig.set(graphicsPort, 5, 0);
  return [0, 1, 2, 3].map((plane) => {
    rig.set(graphicsPort, 4, plane);
    return rig.peek(address);
  });
}

function fill(rig: VgaRig, address: number, bytes: readonly number[]): void {
  rig.set(graphicsPort, 5, 0);
  rig.set(graphicsPort, 1, 0);
  rig.set(graphicsPort, 3, 0);
  rig.set(graphicsPort, 8, 0xff);
  bytes.forEach((byte, plane) => {
    rig.set(sequencerPort, 2, 1 << plane);
    rig.poke(address, byte);
  });
  rig.set(sequencerPort, 2, 0x0f);
}

describe("memory maps", () => {
  test.each([
    [0, 0xa0000, 0xbffff],
    [1, 0xa0000, 0xaffff],
    [2, 0xb0000, 0xb7fff],
    [3, 0xb8000, 0xbffff],
  ])("map %i answers at %#x-%#x only", (map, first, last) => {
    const rig = planar();
    rig.set(graphicsPort, 6, 1 | (map << 2));
    for (const address of [0xa0000, 0xaffff, 0xb0000, 0xb7fff, 0xb8000, 0xbffff]) {
      rig.poke(address, 0x55);
      expect(rig.peek(address)).toBe(address >= first && address <= last ? 0x55 : 0xff);
    }
  });

  test("bit 1 of miscellaneous output lets the CPU in", () => {
    const rig = planar();
    rig.poke(0xa0000, 0x5a);
    rig.out(0x3c2, 0xe1);
    expect(rig.peek(0xa0000)).toBe(0xff);
    rig.poke(0xa0000, 0x00);
    rig.out(0x3c2, 0xe3);
    expect(rig.peek(0xa0000)).toBe(0x5a);
  });
});

describe("plane selection", () => {
  test("the map mask chooses the planes written, read map select the one read", () => {
    const rig = planar();
    fill(rig, 0xa1234, [0x11, 0x22, 0x33, 0x44]);
    expect(planes(rig, 0xa1234)).toEqual([0x11, 0x22, 0x33, 0x44]);
    rig.set(sequencerPort, 2, 0b1010);
    rig.poke(0xa1234, 0xee);
    expect(planes(rig, 0xa1234)).toEqual([0x11, 0xee, 0x33, 0xee]);
  });

  test("odd/even: characters in plane 0, attributes in plane 1, both at even plane addresses", () => {
    const rig = new VgaRig();
    setMode(rig, modes.text80x25);
    rig.poke(0xb8000, 0x1f41, 2);
    rig.poke(0xb8002, 0x2e42, 2);
    expect(rig.peek(0xb8000, 4)).toBe(0x2e421f41);
    rig.set(sequencerPort, 4, 0x06);
    rig.set(graphicsPort, 6, 0x05);
    expect(planes(rig, 0xa0000).slice(0, 2)).toEqual([0x41, 0x1f]);
    expect(planes(rig, 0xa0001).slice(0, 2)).toEqual([0, 0]);
    expect(planes(rig, 0xa0002).slice(0, 2)).toEqual([0x42, 0x2e]);
  });

  test("chained: A1:A0 select the plane, all 64 KiB are distinct, and 64 KiB of each plane are behind them and beyond", () => {
    const rig = new VgaRig();
    setMode(rig, modes.vga320x200x256);
    for (let i = 0; i < 0x10000; i++) rig.poke(0xa0000 + i, (i * 7 + (i >> 8)) & 0xff);
    for (let i = 0; i < 0x10000; i++) if (rig.peek(0xa0000 + i) !== ((i * 7 + (i >> 8)) & 0xff)) throw new Error(`chained byte ${i}`);
    rig.set(sequencerPort, 4, 0x06);
    // Pixels 0-3 are in planes 0-3 at plane address 0, pixels 4-7 at plane address 4.
    expect(planes(rig, 0xa0000)).toEqual([0, 7, 14, 21]);
    expect(planes(rig, 0xa0004)).toEqual([28, 35, 42, 49]);
    expect(planes(rig, 0xa0001)[0]).not.toBe(28);
  });
});

describe("write modes", () => {
  const background = [0x0f, 0xf0, 0xcc, 0xaa];

  test("0: rotate, set/reset, function with the latches, bit mask; against the definition, bit by bit", () => {
    const random = new Random(7);
    const rig = planar();
    for (let round = 0; round < 2000; round++) {
      const before = [0, 1, 2, 3].map(() => random.below(256));
      const latches = [0, 1, 2, 3].map(() => random.below(256));
      const [setReset, enable, mapMask] = [random.below(16), random.below(16), random.below(16)];
      const [rotate, logic, bitMask, mode, value] = [random.below(8), random.below(4), random.below(256), random.below(4), random.below(256)];
      fill(rig, 0xa0100, latches);
      fill(rig, 0xa0200, before);
      rig.peek(0xa0100);
      rig.set(graphicsPort, 0, setReset);
      rig.set(graphicsPort, 1, enable);
      rig.set(graphicsPort, 3, (logic << 3) | rotate);
      rig.set(graphicsPort, 5, mode);
      rig.set(graphicsPort, 8, bitMask);
      rig.set(sequencerPort, 2, mapMask);
      rig.poke(0xa0200, value);
      const expected = before.map((old, plane) => {
        if (((mapMask >> plane) & 1) === 0) return old;
        if (mode === 1) return latches[plane];
        let byte = 0;
        for (let bit = 0; bit < 8; bit++) {
          const rotatedBit = (value >> ((bit + rotate) & 7)) & 1;
          const latchBit = (latches[plane] >> bit) & 1;
          const planeBit = (setReset >> plane) & 1;
          const source = mode === 0 ? (((enable >> plane) & 1) === 1 ? planeBit : rotatedBit) : mode === 2 ? (value >> plane) & 1 : planeBit;
          const masked = ((bitMask >> bit) & (mode === 3 ? rotatedBit : 1)) === 1;
          const result = logic === 0 ? source : logic === 1 ? source & latchBit : logic === 2 ? source | latchBit : source ^ latchBit;
          byte |= (masked ? result : latchBit) << bit;
        }
        return byte;
      });
      rig.set(sequencerPort, 2, 15);
      expect(planes(rig, 0xa0200)).toEqual(expected);
    }
  });

  test("1: copies the latches of the address read before", () => {
    const rig = planar();
    fill(rig, 0xa0000, background);
    rig.peek(0xa0000);
    rig.set(graphicsPort, 5, 1);
    rig.poke(0xa8000, 0x77);
    expect(planes(rig, 0xa8000)).toEqual(background);
  });

  test("a 32-bit write is four byte writes, lowest address first, each with the latches of the last byte read", () => {
    const rig = planar();
    fill(rig, 0xa0003, background);
    rig.peek(0xa0000, 4);
    rig.set(graphicsPort, 5, 1);
    rig.poke(0xa4000, 0, 4);
    for (let i = 0; i < 4; i++) expect(planes(rig, 0xa4000 + i)).toEqual(background);
  });
});

test("read mode 1 compares each pixel's colour in the planes that care", () => {
  const random = new Random(11);
  const rig = planar();
  for (let round = 0; round < 500; round++) {
    const bytes = [0, 1, 2, 3].map(() => random.below(256));
    const compare = random.below(16);
    const care = random.below(16);
    fill(rig, 0xa0300, bytes);
    rig.set(graphicsPort, 2, compare);
    rig.set(graphicsPort, 7, care);
    rig.set(graphicsPort, 5, 8);
    let expected = 0;
    for (let bit = 0; bit < 8; bit++) {
      const color = bytes.reduce((sum, byte, plane) => sum | (((byte >> bit) & 1) << plane), 0);
      if ((color & care) === (compare & care)) expected |= 1 << bit;
    }
    expect(rig.peek(0xa0300)).toBe(expected);
  }
});

describe("the window shown as RAM", () => {
  test("while chained with nothing between CPU and memory, and no longer", () => {
    const rig = new VgaRig();
    setMode(rig, modes.vga320x200x256);
    expect(rig.windowStart).toBe(0);
    for (const [port, index, value, back] of [
      [graphicsPort, 8, 0x7f, 0xff],
      [graphicsPort, 3, 0x01, 0x00],
      [graphicsPort, 1, 0x01, 0x00],
      [graphicsPort, 5, 0x41, 0x40],
      [graphicsPort, 5, 0x48, 0x40],
      [graphicsPort, 6, 0x09, 0x05],
      [graphicsPort, 6, 0x01, 0x05],
      [sequencerPort, 2, 0x07, 0x0f],
      [sequencerPort, 4, 0x06, 0x0e],
    ]) {
      rig.set(port, index, value);
      expect(rig.windowStart, `${port.toString(16)} index ${index} = ${value}`).toBe(-1);
      rig.set(port, index, back);
      expect(rig.windowStart).toBe(0);
    }
    setMode(rig, modes.text80x25);
    expect(rig.windowStart).toBe(-1);
  });

  test("shows the same bytes as the window does", () => {
    const rig = new VgaRig();
    setMode(rig, modes.vga320x200x256);
    const random = new Random(3);
    for (let i = 0; i < 5000; i++) rig.vga.memory[random.below(0x10000)] = random.below(256);
    for (let i = 0; i < 0x10000; i++) if (rig.vga.window.read(i, 1) !== rig.vga.memory[i]) throw new Error(`byte ${i}`);
    for (let i = 0; i < 5000; i++) {
      const at = random.below(0x10000);
      rig.vga.window.write(at, 1, i);
      expect(rig.vga.memory[at]).toBe(i & 0xff);
    }
  });
});
