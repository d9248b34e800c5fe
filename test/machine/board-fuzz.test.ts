/**
 * The whole board of a PC with a BIOS and drives under random accesses to its ports, its configuration space and its memory-mapped registers: nothing throws, hangs or
 * piles up, wherever the guest puts base address registers, shadows and ACPI's ports; another board that takes over its state behaves the same from there on; and a
 * reset brings everything back to where the BIOS can start. `XLAT86_FUZZ=1000000 npx vitest run test/machine/board-fuzz.test.ts` is a million accesses a seed; without, a million in all.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { isaPorts } from "../../runtime/devices/index.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { Board, type BoardOptions } from "../../src/machine/board.ts";
import { Random, TestClock } from "../devices/support.ts";
import { drive, floppySize } from "../guests/boot-media.ts";

const accesses = Number(process.env.XLAT86_FUZZ ?? 350_000);
/** Other ones with another number here. */
const firstSeed = Number(process.env.XLAT86_SEED ?? 0);
const rounds = 10;
/** Steps for which a copy is followed after each round. */
const followed = 3000;
const ram = 4 << 20;
/** Bytes of heap that may come and go: V8's own, for code that gets hot. */
const allowance = 6 << 20;

/** 55h AAh, then its own offset, so that a copy at a wrong place shows. */
const rom = (bytes: number) => Uint8Array.from({ length: bytes }, (_, k) => (k === 0 ? 0x55 : k === 1 ? 0xaa : k * 7));

class Rig {
  readonly media = {
    hda: new Uint8Array(1 << 20),
    hdc: new Uint8Array(1 << 20),
    fda: new Uint8Array(floppySize),
    virtio: new Uint8Array(1 << 20),
  };
  readonly exits = new Set<string>();
  readonly clock = new TestClock();
  readonly physical: PhysicalMemory;
  readonly board: Board;
  a20 = false;
  sent = 0;

  constructor() {
    const { hda, hdc, fda, virtio } = this.media;
    const options: BoardOptions = {
      bios: { name: "bios", bytes: rom(0x40000) },
      vgaBios: { name: "vgabios", bytes: rom(0x8000) },
      vga: true,
      boot: "cda",
      bootMenu: undefined,
      drives: { hda: drive(hda, "disk"), hdc: drive(hdc, "cd", "cdrom"), fda: drive(fda, "floppy"), virtio: [drive(virtio, "virtio")] },
    };
    this.physical = new PhysicalMemory(ram, Board.deviceBytes(options));
    this.board = new Board(
      this.physical,
      this.clock,
      {
        interrupt() {},
        gateA20: (open) => {
          this.a20 = open;
        },
        exit: ({ reason }) => this.exits.add(reason),
        serial: ({ length }) => {
          this.sent += length;
        },
        firmware() {},
      },
      options,
    );
  }

  /** Another board that goes on from here, with media as they are. */
  copy(): Rig {
    const copy = new Rig();
    const { clock, physical, board } = structuredClone({ clock: this.clock.save(), physical: this.physical.save(), board: this.board.save() });
    for (const [place, bytes] of Object.entries(this.media)) copy.media[place as keyof Rig["media"]].set(bytes);
    copy.clock.restore(clock);
    copy.physical.restore(physical);
    copy.board.restore(board);
    return copy;
  }

  /** What can be seen without an access. */
  outside(): unknown {
    const { clock, board, a20 } = this;
    const { pending, nmi } = board.cpuBoard.interrupts;
    const { kind, width, height } = board.display!;
    return { now: clock.now(), next: clock.nextDeadline(), timers: clock.armedTimers, a20, pending, nmi, kind, width, height, board: board.save() };
  }
}

const values = [0, 1, 2, 3, 6, 7, 0x33, 0x80, 0xff, 0x601, 0xc001, 0xfd000000, 0xfebe0001, 0xffffffff];
const windows = [0xa0000, 0xb8000, 0xc0000, 0xf0000, 0xfd000000, 0xfebf0000, 0xfec00000, 0xfed00000, 0xfee00000, 0xfffc0000];
/** Where registers are: every port of the table, IDE's, the display's, and where ACPI's and bus master registers are likely. */
const busy = [
  ...Object.values(isaPorts).flatMap(({ base, count }) => Array.from({ length: count }, (_, k) => base + k)),
  ...[0x1f0, 0x170].flatMap((base) => [0, 1, 2, 3, 4, 5, 6, 7].map((k) => base + k)),
  ...[0x3f6, 0x376, 0xf0, 0x1ce, 0x1cf, 0x1d0],
  ...Array.from({ length: 48 }, (_, k) => 0x3b0 + k),
  ...Array.from({ length: 16 }, (_, k) => 0xc000 + k),
];
/** Device and function numbers of what there is, and of nothing. */
const places = [0x00, 0x08, 0x09, 0x0b, 0x10, 0x18, 0x20];

/** One random step; what it read. */
function step({ board, physical, clock }: Rig, random: Random): number {
  const { ports, interrupts } = board.cpuBoard;
  const size = ([1, 1, 2, 4] as const)[random.below(4)];
  const value = random.below(2) === 0 ? random.pick(values) : random.next();
  const masked = size === 4 ? value : value & (2 ** (8 * size) - 1);
  const choice = random.below(16);
  if (choice === 0) {
    clock.run(random.below(1_000_000));
    return -1;
  }
  if (choice === 1) {
    // Somebody types, moves the mouse, and sends on the serial line; the processor takes interrupts.
    const what = random.below(6);
    if (what === 0) board.keyboard.press(random.below(0x84));
    else if (what === 1) board.keyboard.release(random.below(0x84));
    else if (what === 2) board.mouse.move(random.below(9) - 4, random.below(9) - 4);
    else if (what === 3) board.serial.receive(Uint8Array.of(random.below(256)));
    else if (what === 4) board.flush();
    else if (interrupts.pending) return interrupts.acknowledge();
    return -1;
  }
  if (choice < 4) {
    const address = 0x80000000 | (random.pick(places) << 8) | (random.below(64) << 2);
    ports.write(0xcf8, 4, address);
    if (random.below(4) === 0) return ports.read(0xcfc, size);
    ports.write(0xcfc, size, masked);
    return -1;
  }
  if (choice < 11) {
    const port = random.below(6) === 0 ? random.below(0x10000) : random.pick(busy);
    if (random.below(16) === 0 && size !== 1) {
      // String instructions: the sum of what was read.
      const block = new Uint8Array(size * random.below(600)).fill(masked);
      if (random.below(2) === 0) return ports.writeBlock!(port, size, block);
      return ports.readBlock!(port, size, block) + block.reduce((sum, byte) => sum + byte, 0);
    }
    if (random.below(2) === 0) {
      const found = ports.read(port, size);
      if (!(found >= 0 && found < 2 ** (8 * size))) throw new Error(`port ${port.toString(16)}, ${size} bytes: ${found}`);
      return found;
    }
    ports.write(port, size, masked);
    return -1;
  }
  const address = random.pick(windows) + random.below(0x1000);
  const at = (size === 1 ? address : address & -size) >>> 0;
  if (random.below(2) === 0) return size === 1 ? physical.read1(at) : size === 2 ? physical.read2(at) : physical.read4(at);
  if (size === 1) physical.write1(at, masked);
  else if (size === 2) physical.write2(at, masked);
  else physical.write4(at, masked);
  return -1;
}

/** A copy and its original see the same for a while, and are the same then. A function of its own, so that nothing of the copy is left behind. */
function follow(rig: Rig, seed: number, round: number): void {
  const copy = rig.copy();
  const place = `seed ${seed}, round ${round}`;
  expect(copy.outside(), place).toEqual(rig.outside());
  const [one, other] = [new Random(seed + round), new Random(seed + round)];
  for (let k = 0; k < followed; k++) {
    const [expected, found] = [step(rig, one), step(copy, other)];
    if (expected !== found) throw new Error(`${place}, step ${k}: read ${expected}, the copy ${found}`);
  }
  expect(copy.outside(), `${place}, ${followed} steps later`).toEqual(rig.outside());
  for (const [name, bytes] of Object.entries(rig.media)) {
    expect(Buffer.compare(bytes, copy.media[name as keyof Rig["media"]]), `${place}, ${name}`).toBe(0);
  }
  expect(Buffer.compare(rig.physical.u8, copy.physical.u8), `${place}, memory`).toBe(0);
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
/** The least of several looks: buffers are given back some time after a collection, on another thread. */
async function heapInUse(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let k = 0; k < 8; k++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    least = Math.min(least, heapUsed + arrayBuffers);
  }
  return least;
}

describe.each([1, 2, 3].map((k) => firstSeed + k))("random accesses, seed %i", (seed) => {
  test("no exception, no hang, nothing left over; a copy goes on in the same way; a reset ends it all", { timeout: 600_000 }, async () => {
    const rig = new Rig();
    const { physical, board, clock } = rig;
    const read = (address: number) => [physical.read1(address), physical.read4(address)];
    const romPlaces = [0xe0000, 0xf0000, 0xfffc0000, 0xfffffff0];
    const before = romPlaces.map(read);
    const random = new Random(0xb0a2d + seed);
    let afterFirst = 0;
    for (let round = 0; round < rounds; round++) {
      for (let k = 0; k < accesses / rounds; k++) step(rig, random);
      expect(clock.armedTimers).toBeLessThan(40);
      follow(rig, seed, round);
      if (round === 1) afterFirst = await heapInUse();
    }
    expect((await heapInUse()) - afterFirst).toBeLessThan(allowance);
    expect([...rig.exits].filter((reason) => !["reset", "power-off", "debug-exit"].includes(reason))).toEqual([]);
    board.reset();
    // The ROM is whole, and where the CPU starts.
    expect(romPlaces.map(read)).toEqual(before);
    expect(physical.isRam(physical.locate(0x9f000, true))).toBe(true);
    expect(physical.read1(0xfd000000)).toBe(0xff);
  });
});
