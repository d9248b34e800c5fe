/**
 * The whole board of a PC with a BIOS and drives under random accesses to its ports and to its memory-mapped registers: nothing throws, hangs or piles up, wherever
 * the guest puts base address registers, shadows and ACPI's ports, and a reset brings everything back to where the BIOS can start.
 */
import { expect, test } from "vitest";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { Board, type BoardOptions } from "../../src/machine/board.ts";
import { Random, TestClock } from "../devices/support.ts";
import { drive, floppySize } from "../guests/boot-media.ts";

const ram = 4 << 20;
const accesses = 300_000;

/** 55h AAh, then its own offset, so that a copy at a wrong place shows. */
const rom = (bytes: number) => Uint8Array.from({ length: bytes }, (_, k) => (k === 0 ? 0x55 : k === 1 ? 0xaa : k * 7));

function build(exits: string[]) {
  const options: BoardOptions = {
    bios: { name: "bios", bytes: rom(0x40000) },
    vgaBios: { name: "vgabios", bytes: rom(0x8000) },
    vga: true,
    boot: "cda",
    bootMenu: undefined,
    drives: {
      hda: drive(new Uint8Array(1 << 20), "disk"),
      hdc: drive(new Uint8Array(1 << 20), "cd", "cdrom"),
      fda: drive(new Uint8Array(floppySize), "floppy"),
      virtio: [drive(new Uint8Array(1 << 20), "virtio")],
    },
  };
  const physical = new PhysicalMemory(ram, Board.deviceBytes(options));
  const clock = new TestClock();
  const board = new Board(
    physical,
    clock,
    { interrupt() {}, gateA20() {}, exit: ({ reason }) => exits.push(reason), serial() {}, firmware() {} },
    options,
  );
  return { physical, clock, board };
}

test.each([1, 2, 3])("random accesses, seed %i", (seed) => {
  const exits: string[] = [];
  const { physical, clock, board } = build(exits);
  const random = new Random(0xb0a2d + seed);
  const { ports } = board.cpuBoard;
  const read = (address: number) => [physical.read1(address), physical.read4(address)];
  const places = [0xe0000, 0xf0000, 0xfffc0000, 0xfffffff0];
  const before = places.map(read);
  const values = [0, 1, 2, 3, 6, 7, 0x33, 0x80, 0xff, 0x601, 0xc001, 0xfd000000, 0xfebe0001, 0xffffffff];
  const windows = [0xa0000, 0xb8000, 0xc0000, 0xf0000, 0xfd000000, 0xfebf0000, 0xfec00000, 0xfed00000, 0xfee00000, 0xfffc0000];
  const busy = [0xcf8, 0xcfc, 0x1f0, 0x170, 0x3f0, 0x3c0, 0x3d4, 0x1ce, 0x510, 0x00, 0x20, 0xa0, 0x40, 0x60, 0x70, 0x80, 0xc0, 0x600, 0xc000];
  for (let k = 0; k < accesses; k++) {
    const size = ([1, 1, 2, 4] as const)[random.below(4)];
    const value = random.below(2) === 0 ? random.pick(values) : random.next();
    const masked = size === 4 ? value : value & (2 ** (8 * size) - 1);
    const choice = random.below(16);
    if (choice === 0) clock.run(random.below(1_000_000));
    else if (choice < 4) {
      // Configuration registers of the functions there are.
      const place = random.pick([0x00, 0x08, 0x09, 0x0b, 0x10, 0x20]);
      ports.write(0xcf8, 4, 0x80000000 | (place << 8) | (random.below(64) << 2));
      ports.write(0xcfc, size, masked);
    } else if (choice < 10) {
      const port = random.below(4) === 0 ? random.below(0x10000) : random.pick(busy) + random.below(16);
      if (random.below(2) === 0) {
        const found = ports.read(port, size);
        if (!(found >= 0 && found < 2 ** (8 * size))) throw new Error(`port ${port.toString(16)}, ${size} bytes: ${found}`);
      } else ports.write(port, size, masked);
    } else {
      const address = random.pick(windows) + random.below(0x1000);
      const at = size === 1 ? address : address & -size;
      if (random.below(2) === 0) size === 1 ? physical.read1(at >>> 0) : size === 2 ? physical.read2(at >>> 0) : physical.read4(at >>> 0);
      else size === 1 ? physical.write1(at >>> 0, masked) : size === 2 ? physical.write2(at >>> 0, masked) : physical.write4(at >>> 0, masked);
    }
  }
  expect(new Set([...exits, "reset", "power-off", "debug-exit"]).size).toBe(3);
  expect(clock.armedTimers).toBeLessThan(40);
  board.reset();
  // The ROM is whole, and where the CPU starts.
  expect(places.map(read)).toEqual(before);
  expect([physical.read1(0xa0000 - 1), physical.isRam(physical.locate(0x9f000, true)), physical.read1(0xfd000000)]).toEqual([
    expect.any(Number),
    true,
    0xff,
  ]);
});
