/**
 * The same register programs on this adapter and on QEMU's: values read back, memory contents through the window, and frames pixel by pixel.
 *
 * Where QEMU's model is simpler than the hardware the programs stay off that ground, and say so: QEMU packs chained and odd/even memory (the hardware
 * leaves gaps, layout.ts), treats every CRTC address as a doubleword's, and widens 6-bit colour components its own way (compared by their six bits).
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "../support.ts";
import { type Picture, QemuVga, skipQemu } from "./qemu-target.ts";
import {
  crtcPort,
  distinctPalette,
  graphicsPort,
  type ModeName,
  modes,
  sequencerPort,
  setIndexed,
  setMode,
  setPalette,
  VgaRig,
  type VgaTarget,
} from "./support.ts";

/** A program run on both; reads are compared at the end. */
class Both implements VgaTarget {
  readonly rig = new VgaRig(0x1000000);
  private readonly qemu: QemuVga;
  private readonly expected: number[] = [];
  private readonly log: string[] = [];

  constructor(qemu: QemuVga) {
    this.qemu = qemu;
  }

  out(port: number, value: number, size: 1 | 2 | 4 = 1): void {
    this.rig.out(port, value, size);
    this.qemu.out(port, value, size);
    this.note(Number.NaN, `out ${port.toString(16)} ${value.toString(16)} size ${size}`);
  }

  in(port: number, size: 1 | 2 | 4 = 1): void {
    const value = this.rig.in(port, size);
    this.qemu.in(port, size);
    this.note(value, `in ${port.toString(16)} size ${size}`);
  }

  /** A read whose value does not matter. */
  touch(port: number): void {
    this.rig.in(port);
    this.qemu.in(port);
    this.note(Number.NaN, `in ${port.toString(16)}`);
  }

  poke(address: number, value: number, size: 1 | 2 | 4 = 1): void {
    this.rig.poke(address, value, size);
    this.qemu.poke(address, value, size);
    this.note(Number.NaN, `poke ${address.toString(16)} ${value.toString(16)} size ${size}`);
  }

  peek(address: number, size: 1 | 2 | 4 = 1): void {
    const value = this.rig.peek(address, size);
    this.qemu.peek(address, size);
    this.note(value, `peek ${address.toString(16)} size ${size}`);
  }

  /** Puts the attribute flip-flop of both at its index, and sets a mode. */
  setMode(name: ModeName): void {
    this.out(0x3c2, modes[name].miscellaneous);
    this.touch(0x3da);
    setMode(this, modes[name]);
  }

  /** Returns how many values were compared. */
  async compare(): Promise<number> {
    const values = await this.qemu.run();
    let compared = 0;
    expect(values.length).toBe(this.expected.length);
    this.expected.forEach((expected, n) => {
      if (Number.isNaN(expected)) return;
      compared++;
      if (values[n] === expected) return;
      throw new Error(
        `access ${n}: ours ${expected.toString(16)}, QEMU ${values[n].toString(16)}\n${this.log.slice(Math.max(0, n - 30), n + 1).join("\n")}`,
      );
    });
    this.expected.length = this.log.length = 0;
    return compared;
  }

  async compareFrames(bits: 5 | 6 | 8 = 6): Promise<void> {
    await this.compare();
    const theirs = await this.qemu.screendump();
    // Cursor and blinking stand still while guest time does; QEMU starts with both shown.
    const ours = this.rig.vga.render(true);
    expect([ours.width, ours.height]).toEqual([theirs.width, theirs.height]);
    expect(difference(ours, theirs, bits)).toBe("none");
  }

  private note(value: number, text: string): void {
    this.expected.push(value);
    this.log.push(text);
  }
}

function difference(ours: { width: number; height: number; pixels: Uint8ClampedArray }, theirs: Picture, bits: 5 | 6 | 8): string {
  const shift = 8 - bits;
  let count = 0;
  let first = "";
  for (let i = 0; i < ours.width * ours.height; i++) {
    for (let c = 0; c < 3; c++) {
      if (ours.pixels[4 * i + c] >> shift === theirs.rgb[3 * i + c] >> shift) continue;
      if (count++ === 0)
        first = `x ${i % ours.width} y ${Math.floor(i / ours.width)}: ours ${ours.pixels.slice(4 * i, 4 * i + 3)}, QEMU ${theirs.rgb.slice(3 * i, 3 * i + 3)}`;
    }
  }
  return count === 0 ? "none" : `${count} components, first at ${first}`;
}

describe.skipIf(skipQemu)("the same as QEMU", { timeout: 60_000 }, () => {
  let qemu: QemuVga;
  beforeAll(() => {
    qemu = new QemuVga();
  });
  afterAll(async () => {
    await qemu?.close();
  });

  test.each([1, 2, 3])("random register writes read back, seed %i", async (seed) => {
    const random = new Random(seed * 7919);
    const both = new Both(qemu);
    both.out(0x3c2, 0x01);
    both.touch(0x3da);
    // The registers of an adapter just reset, then random ones. CRTC registers this one has: QEMU keeps any of 256.
    for (const [port, count] of [
      [sequencerPort, 5],
      [graphicsPort, 9],
      [crtcPort, 0x19],
    ]) {
      for (let index = 0; index < count; index++) setIndexed(both, port, index, 0);
    }
    both.out(0x3c8, 0);
    both.out(0x3c7, 0);
    both.out(0x3c6, 0xff);
    for (let i = 0; i < 768; i++) both.out(0x3c9, 0);
    for (let i = 0; i < 0x15; i++) {
      both.out(0x3c0, i);
      both.out(0x3c0, 0);
    }
    for (let i = 0; i < 4000; i++) {
      const [port, count] = random.pick([
        [sequencerPort, 5],
        [graphicsPort, 9],
        [crtcPort, 0x19],
      ]);
      const index = random.below(count);
      const choice = random.below(12);
      if (choice < 5) setIndexed(both, port, index, random.below(256));
      else if (choice < 8) {
        both.out(port, index);
        both.in(port);
        both.in(port + 1);
      } else if (choice === 8) both.out(port, (random.below(256) << 8) | index, 2);
      else if (choice === 9) both.out(random.pick([0x3c7, 0x3c8]), random.below(256));
      else if (choice === 10) for (let n = random.below(7); n >= 0; n--) random.below(2) === 0 ? both.in(0x3c9) : both.out(0x3c9, random.below(64));
      else {
        both.touch(0x3da);
        both.out(0x3c0, random.below(0x15));
        // QEMU reads the index as zero while it waits for data.
        if (random.below(2) === 0) {
          both.out(0x3c0, random.below(256));
          both.in(0x3c0);
        }
        both.in(0x3c1);
      }
      both.in(0x3c7);
      both.in(0x3c8);
    }
    expect(await both.compare()).toBeGreaterThan(8000);
  });

  test.each([1, 2, 3])("planar memory: write modes, read modes, latches, map mask, seed %i", async (seed) => {
    const random = new Random(seed * 104729);
    const both = new Both(qemu);
    both.setMode("vga640x480x16");
    // Equal latches to begin with.
    for (let i = 0; i < 16; i++) both.poke(0xa0000 + i, 0, 4);
    both.peek(0xa0000);
    for (let i = 0; i < 6000; i++) {
      const choice = random.below(10);
      const address = 0xa0000 + random.below(16);
      if (choice < 3) both.peek(address, random.pick([1, 2, 4]));
      else if (choice < 6) both.poke(address, random.next(), random.pick([1, 2, 4]));
      else if (choice === 6) setIndexed(both, sequencerPort, 2, random.below(16));
      else {
        const index = random.pick([0, 1, 2, 3, 4, 5, 7, 8]);
        setIndexed(both, graphicsPort, index, index === 5 ? random.below(4) | (random.below(2) << 3) : random.below(256));
      }
    }
    expect(await both.compare()).toBeGreaterThan(1500);
  });

  test("Bochs interface: random values are made to fit the same way", async () => {
    const random = new Random(4242);
    const both = new Both(qemu);
    const write = (index: number, value: number): void => {
      both.out(0x1ce, index, 2);
      both.out(0x1cf, value, 2);
    };
    const readAll = (): void => {
      for (let index = 0; index <= 11; index++) {
        both.out(0x1ce, index, 2);
        both.in(0x1ce, 2);
        both.in(random.pick([0x1cf, 0x1d0]), 2);
      }
    };
    write(4, 0);
    for (let index = 1; index < 10; index++) write(index, 0);
    readAll();
    for (let i = 0; i < 600; i++) {
      const index = random.below(12);
      const value = random.pick([
        random.below(0x10000),
        random.below(4096),
        random.pick([4, 8, 15, 16, 24, 32]),
        random.pick([640, 800, 1024, 1280, 1920]),
      ]);
      write(index, index === 0 ? random.pick([0xb0c0, 0xb0c3, 0xb0c5, 0xb0c6, 0x1234]) : index === 4 ? random.below(256) : value);
      readAll();
    }
    write(4, 0);
    expect(await both.compare()).toBeGreaterThan(10_000);
  });

  const noise = (both: Both, first: number, count: number, seed: number): void => {
    const random = new Random(seed);
    for (let i = 0; i < count; i += 4) both.poke(first + i, random.next(), 4);
  };
  /** Not characters B0h-BFh, whose ninth dot QEMU repeats as well; FreeVGA has C0h-DFh. */
  const textNoise = (both: Both, first: number, count: number, seed: number): void => {
    const random = new Random(seed);
    for (let i = 0; i < count; i += 2) {
      const character = random.below(256);
      both.poke(first + i, (random.below(256) << 8) | ((character & 0xf0) === 0xb0 ? character & 0x7f : character), 2);
    }
  };
  /** A font of noise in plane 2, through the planar window as a BIOS loads one. */
  const loadFont = (both: Both, seed: number, font = 0): void => {
    setIndexed(both, sequencerPort, 2, 4);
    setIndexed(both, sequencerPort, 4, 6);
    setIndexed(both, graphicsPort, 5, 0);
    setIndexed(both, graphicsPort, 6, 4);
    noise(both, 0xa0000 + font, 0x2000, seed);
    setIndexed(both, sequencerPort, 2, 3);
    setIndexed(both, sequencerPort, 4, 2);
    setIndexed(both, graphicsPort, 5, 0x10);
    setIndexed(both, graphicsPort, 6, 0x0e);
  };
  /** Sixteen background colours: QEMU never blinks. */
  const noBlinking = (both: Both, name: ModeName): void => {
    both.touch(0x3da);
    both.out(0x3c0, 0x30);
    both.out(0x3c0, modes[name].attribute[0x10] & ~8);
  };
  const prepared = (name: ModeName): Both => {
    const both = new Both(qemu);
    both.setMode(name);
    both.out(0x3c6, 0xff);
    setPalette(both, distinctPalette);
    return both;
  };

  test.each(["text80x25", "text80x50", "text40x25"] as const)("frame: %s, noise as text in a font of noise, cursor", async (name) => {
    const both = prepared(name);
    loadFont(both, 5);
    textNoise(both, 0xb8000, 0x4000, 6);
    setIndexed(both, crtcPort, 0x0e, 0);
    setIndexed(both, crtcPort, 0x0f, 85);
    noBlinking(both, name);
    await both.compareFrames();
    setIndexed(both, crtcPort, 0x0d, 0x55);
    setIndexed(both, crtcPort, 0x0a, 0x20);
    await both.compareFrames();
  });

  test("frame: text in two fonts", async () => {
    const both = prepared("text80x25");
    loadFont(both, 7);
    loadFont(both, 8, 0x4000);
    setIndexed(both, sequencerPort, 3, 0x01);
    noBlinking(both, "text80x25");
    textNoise(both, 0xb8000, 4000, 9);
    setIndexed(both, crtcPort, 0x0a, 0x20);
    await both.compareFrames();
  });

  test.each([
    ["cga320x200x4", 0xb8000, 0x4000],
    ["cga640x200x2", 0xb8000, 0x4000],
    ["ega320x200x16", 0xa0000, 8000],
    ["vga640x480x16", 0xa0000, 38400],
    ["vga320x200x256", 0xa0000, 64000],
    ["modeX320x240", 0xa0000, 19200],
    ["modeX360x480", 0xa0000, 43200],
  ] as const)("frame: %s", async (name, first, bytes) => {
    const both = prepared(name);
    const planes = (modes[name].sequencer[4] & 0x0c) === 4 ? [1, 2, 4, 8] : [modes[name].sequencer[2]];
    for (const plane of planes) {
      setIndexed(both, sequencerPort, 2, plane);
      noise(both, first, bytes, 10 + plane);
    }
    await both.compareFrames();
  });

  test("frame: two bits from each of two planes", async () => {
    const both = prepared("cga320x200x4");
    for (const planes of [3, 12]) {
      setIndexed(both, sequencerPort, 2, planes);
      // QEMU chooses the pair of planes written by read map select.
      setIndexed(both, graphicsPort, 4, planes === 12 ? 2 : 0);
      noise(both, 0xb8000, 0x4000, 50 + planes);
    }
    both.touch(0x3da);
    both.out(0x3c0, 0x32);
    both.out(0x3c0, 0x0f);
    await both.compareFrames();
  });

  test.each([
    ["vga640x480x16", 300],
    // Both lines of a doubled pair above the split: QEMU does not start a new pair there.
    ["modeX320x240", 201],
  ] as const)("frame: %s, split screen with a start address and panning above it", async (name, split) => {
    const both = prepared(name);
    for (const plane of [1, 2, 4, 8]) {
      setIndexed(both, sequencerPort, 2, plane);
      noise(both, 0xa0000, 65536, 20 + plane);
    }
    setIndexed(both, crtcPort, 0x0c, 0x12);
    setIndexed(both, crtcPort, 0x0d, 0x34);
    setIndexed(both, crtcPort, 0x18, split & 0xff);
    setIndexed(both, crtcPort, 0x07, 0x2e | ((split >> 4) & 0x10));
    setIndexed(both, crtcPort, 0x09, modes[name].crtc[9] & ~0x40);
    await both.compareFrames();
  });

  test.each([
    [4, 6],
    [8, 6],
    // QEMU leaves the low bits zero.
    [15, 5],
    [16, 8],
    [24, 8],
    [32, 8],
  ] as const)(
    "frame: Bochs interface at %i bits a pixel, with a virtual screen and an offset, drawn through the banks",
    async (bitsPerPixel, compared) => {
      const both = prepared("vga640x480x16");
      const write = (index: number, value: number): void => {
        both.out(0x1ce, index, 2);
        both.out(0x1cf, value, 2);
      };
      write(4, 0);
      // QEMU writes to all planes while the interface is on: the planar picture is drawn before.
      if (bitsPerPixel === 4) {
        for (const plane of [1, 2, 4, 8]) {
          setIndexed(both, sequencerPort, 2, plane);
          noise(both, 0xa0000, (400 * 210) / 8, 30 + plane);
        }
      }
      write(1, 320);
      write(2, 200);
      write(3, bitsPerPixel);
      write(4, bitsPerPixel === 4 ? 0x81 : 1);
      write(6, 400);
      write(8, 24);
      write(9, 5);
      both.touch(0x3da);
      both.out(0x3c0, 0x20);
      const bytes = Math.ceil((400 * 210 * (bitsPerPixel === 15 ? 16 : bitsPerPixel)) / 8);
      if (bitsPerPixel !== 4) {
        for (let bank = 0; bank * 0x10000 < bytes; bank++) {
          write(5, bank);
          noise(both, 0xa0000, Math.min(0x10000, (bytes - bank * 0x10000) & ~3), 40 + bank);
        }
      }
      try {
        await both.compareFrames(compared);
      } finally {
        write(4, 0);
        await both.compare();
      }
    },
  );
});
