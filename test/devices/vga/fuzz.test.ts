/**
 * Nonsense: random port, window and memory accesses, drawing now and then. No throw, no hang, no memory growth, and whatever state is reached can be saved and
 * restored. `XLAT86_FUZZ=1000000` for the full count.
 */
import { expect, test } from "vitest";
import { PciBus, PortBus } from "../../../runtime/devices/index.ts";
import { PhysicalMemory } from "../../../runtime/memory/physical.ts";
import { placeVga, vgaDeviceBytes } from "../../../src/machine/display-adapter.ts";
import { Random, TestClock } from "../support.ts";
import { modes, setMode } from "./support.ts";

const accesses = Number(process.env.XLAT86_FUZZ ?? 60_000);
const sizes = [1, 1, 1, 2, 2, 4] as const;

test.each([1, 2, 3])(`${accesses} random accesses, seed %i`, { timeout: 240_000 }, (seed) => {
  const random = new Random(seed * 48271);
  const rom = Uint8Array.from({ length: 0x9000 }, (_, i) => i);
  const physical = new PhysicalMemory(2 << 20, vgaDeviceBytes(rom));
  const ports = new PortBus();
  const pci = new PciBus(() => {});
  const clock = new TestClock();
  ports.map(0xcf8, 8, pci.registers);
  const vga = placeVga({ physical, ports, pci, clock, slot: 2, rom });
  pci.reset();
  vga.reset();
  const out = (port: number, value: number, size: 1 | 2 | 4 = 1): void => ports.write(port, size, value);
  let largest = 0;
  const draw = (): void => {
    const { width, height } = vga;
    const frame = vga.render(random.below(2) === 0);
    if (frame.width !== width || frame.height !== height || frame.pixels.length !== 4 * width * height) throw new Error("frame and size disagree");
    vga.text();
    vga.generation;
    largest = Math.max(largest, width * height);
  };
  const target = { out, poke: () => {} };
  let draws = 0;
  for (let i = 0; i < accesses; i++) {
    const size = random.pick(sizes);
    const choice = random.below(40);
    if (choice === 0 && random.below(20) === 0) setMode(target, modes[random.pick(Object.keys(modes) as (keyof typeof modes)[])]);
    else if (choice < 12) out(random.pick([0x3b4, 0x3c0, 0x3c2, 0x3c4, 0x3c6, 0x3c7, 0x3c8, 0x3c9, 0x3ce, 0x3d4, 0x3da]), random.next(), size);
    else if (choice < 20) ports.read(0x3b0 + random.below(48), size);
    else if (choice < 22) out(0x3b0 + random.below(48), random.next(), size);
    else if (choice < 24) {
      out(0x1ce, random.below(12), 2);
      out(0x1cf, random.pick([random.below(65536), random.below(1300), random.pick([4, 8, 15, 16, 24, 32]), 1, 0x41]), 2);
    } else if (choice === 24) ports.read(0x1ce + random.below(4), size);
    else if (choice === 25) out(0x1ce + random.below(4), random.next(), size);
    else if (choice === 26) {
      out(0xcf8, (0x80001000 | (random.below(64) << 2)) >>> 0, 4);
      out(0xcfc, random.pick([random.next(), 7, 0xe0000008, 0xfebf0000, 0xfeb00001, 0xa0000]), 4);
    } else if (choice < 33) physical.write4(0xa0000 + random.below(0x8000) * 4, random.next());
    else if (choice < 38) physical.read4(0xa0000 + random.below(0x8000) * 4);
    else if (choice === 38)
      physical.write1(random.pick([0xe0000000, 0xfebf0400, 0xfebf0500, 0xfeb00000]) + random.below(0x400), random.next() & 0xff);
    else if (draws++ % 32 === 0) {
      clock.run(random.below(40_000_000));
      // Frames of millions of pixels are drawn a few times only.
      if (vga.width * vga.height < 1_000_000 || draws % 512 === 1) draw();
    }
    if (i % 4096 === 0) {
      const saved = vga.save();
      vga.restore(structuredClone(saved));
      expect(vga.save()).toEqual(saved);
    }
  }
  draw();
  expect(physical.bytes).toBe((2 << 20) + vgaDeviceBytes(rom));
  expect(largest).toBeLessThanOrEqual(16 << 20);
  expect(largest).toBeGreaterThan(0);
});
