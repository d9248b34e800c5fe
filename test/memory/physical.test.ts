/** What answers at guest-physical addresses: RAM, device memory shown, register windows, open bus, and what of them covers what. */
import { beforeEach, describe, expect, test } from "vitest";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { Random } from "../devices/support.ts";

const ram = 0x100000;
const device = 0x8000;
const top = 0xfd000000;
let memory: PhysicalMemory;
let changes: number;

beforeEach(() => {
  memory = new PhysicalMemory(ram, device);
  changes = 0;
  memory.mappingChanged = () => changes++;
});

/** A bank that logs, and reads as the low byte of the offset, repeated. */
function bank() {
  const log: string[] = [];
  return {
    log,
    read(offset: number, size: 1 | 2 | 4) {
      log.push(`r${size}@${offset.toString(16)}`);
      return (((offset & 0xff) * 0x01010101) >>> 0) % 2 ** (8 * size);
    },
    write(offset: number, size: 1 | 2 | 4, value: number) {
      log.push(`w${size}@${offset.toString(16)}=${(value >>> 0).toString(16)}`);
    },
  };
}

describe("plain RAM and open bus", () => {
  test("all widths, any alignment", () => {
    memory.write4(0x1001, 0x89abcdef | 0);
    expect([memory.read1(0x1001), memory.read2(0x1002), memory.read4(0x1001) >>> 0]).toEqual([0xef, 0xabcd, 0x89abcdef]);
    memory.write2(0x1fff - 1, 0x1234);
    expect([memory.read1(0x1ffe), memory.read1(0x1fff)]).toEqual([0x34, 0x12]);
  });

  test("nothing answers above RAM, up to 36 bits; device memory is not there by itself", () => {
    memory.writeOffset(ram, Uint8Array.of(1, 2, 3, 4));
    for (const address of [ram, ram + 0x1000, 0xfffffff0, 0xf_fffffff0]) {
      expect([memory.read1(address), memory.read2(address), memory.read4(address)]).toEqual([0xff, 0xffff, -1]);
      memory.write4(address, 0);
    }
    expect(memory.u8[ram]).toBe(1);
  });

  test("blocks over the end of RAM: what is outside reads as FFh and swallows writes", () => {
    memory.writeBytes(ram - 2, Uint8Array.of(1, 2, 3, 4));
    expect([...memory.readBytes(ram - 3, 6)]).toEqual([0, 1, 2, 0xff, 0xff, 0xff]);
    expect(memory.u8[ram]).toBe(0);
  });

  test("a bus master's address beyond all that can be: FFh, and back at once", () => {
    for (const address of [2 ** 36 - 2, 2 ** 36, 2 ** 53, 2 ** 64]) {
      memory.writeBytes(address, new Uint8Array(0x10000));
      expect([...memory.readBytes(address, 4)]).toEqual([0xff, 0xff, 0xff, 0xff]);
    }
  });
});

describe("device memory", () => {
  test("reserve: whole pages, one after the other, until there are none", () => {
    expect(memory.reserve(1)).toBe(ram);
    expect(memory.reserve(0x1001)).toBe(ram + 0x1000);
    expect(() => memory.reserve(0x5001)).toThrow(/24576 bytes asked for, 20480 left/);
    expect(memory.reserve(0x5000)).toBe(ram + 0x3000);
  });

  test("shown, moved, hidden", () => {
    const offset = memory.reserve(0x2000);
    memory.writeOffset(offset, Uint8Array.of(1, 2, 3, 4));
    memory.show(top, offset, 0x2000, "read-write");
    expect(memory.read4(top)).toBe(0x04030201);
    memory.write2(top + 0x1ffe, 0xbeef);
    memory.hide(top, 0x2000);
    memory.show(0xe0000000, offset, 0x2000, "read-write");
    expect([memory.read4(top), memory.read2(0xe0001ffe)]).toEqual([-1, 0xbeef]);
    expect(memory.locate(0xe0001ffe, true)).toBe(offset + 0x1ffe);
    expect(memory.addressOf(offset + 5)).toBe(0xe0000005);
    expect(changes).toBe(3);
    memory.hide(top, 0x2000);
    memory.unmap(0xe0000000, 0x2000);
    expect(changes).toBe(3);
    memory.hide(0xe0000000, 0x2000);
    expect([memory.read1(0xe0000000), memory.addressOf(offset), changes]).toEqual([0xff, -1, 4]);
  });

  test("read-only: locates as memory for reads only; no writer changes it", () => {
    const offset = memory.reserve(0x1000);
    memory.writeOffset(offset, Uint8Array.of(0x55, 0xaa, 1, 2));
    memory.show(top, offset, 0x1000, "read-only");
    expect(memory.isRam(memory.locate(top, false))).toBe(true);
    expect(memory.isRam(memory.locate(top, true))).toBe(false);
    // What read-modify-write instructions read is what is there.
    expect(memory.readAt4(memory.locate(top, true))).toBe(0x0201aa55);
    memory.write1(top, 0);
    memory.write2(top, 0);
    memory.write4(top, 0);
    memory.writeBytes(top - 2, new Uint8Array(6));
    expect([...memory.readBytes(top, 4)]).toEqual([0x55, 0xaa, 1, 2]);
  });

  test("over RAM: what is below is there again afterwards", () => {
    const offset = memory.reserve(0x1000);
    memory.write4(0xa0000, 0x11111111);
    memory.show(0xa0000, offset, 0x1000, "read-write");
    expect(memory.read4(0xa0000)).toBe(0);
    memory.writeBytes(0x9fffe, Uint8Array.of(1, 2, 3, 4));
    expect([memory.read2(0x9fffe), memory.u8[offset], memory.u8[offset + 1], memory.u8[0xa0000]]).toEqual([0x0201, 3, 4, 0x11]);
    expect([...memory.readBytes(0xa0ffe, 4)]).toEqual([0, 0, 0, 0]);
    memory.hide(0xa0000, 0x1000);
    expect(memory.read4(0xa0000)).toBe(0x11111111);
  });

  test("an alias of RAM, and RAM made read-only in place", () => {
    memory.write1(0xf0000, 7);
    memory.show(top, 0xf0000, 0x10000, "read-only");
    expect(memory.read1(top)).toBe(7);
    memory.show(0xf0000, 0xf0000, 0x10000, "read-only");
    memory.write1(0xf0000, 8);
    expect(memory.read1(0xf0000)).toBe(7);
    memory.clearRam();
    expect(memory.read1(0xf0000)).toBe(0);
  });

  test("whole pages are asked for", () => {
    expect(() => memory.show(top + 1, ram, 0x1000, "read-write")).toThrow(RangeError);
    expect(() => memory.show(top, ram, 0x800, "read-write")).toThrow(RangeError);
  });
});

describe("register windows", () => {
  test("offsets from the window's start, sizes as they come, accesses over the edge in bytes", () => {
    const registers = bank();
    memory.map(top, 0x10, registers);
    expect([memory.read1(top + 3), memory.read2(top + 4), memory.read4(top + 8)]).toEqual([3, 0x0404, 0x08080808]);
    memory.write4(top + 4, -2);
    memory.write2(top + 15, 0x1234);
    expect(memory.read2(top + 15)).toBe(0xff0f);
    expect(registers.log).toEqual(["r1@3", "r2@4", "r4@8", "w4@4=fffffffe", "w1@f=34", "r1@f"]);
    expect(memory.isRam(memory.locate(top, false))).toBe(false);
  });

  test("a small one over RAM: the rest of its page is RAM still, though no TLB entry may hold it", () => {
    const registers = bank();
    memory.map(0x5010, 0x10, registers);
    memory.write4(0x500e, 0x44332211);
    expect([memory.read1(0x500e), memory.read1(0x500f), memory.u8[0x5010]]).toEqual([0x11, 0x22, 0]);
    expect(memory.read4(0x500e) >>> 0).toBe(0x01002211);
    expect(memory.isRam(memory.locate(0x5000, true))).toBe(false);
    expect(memory.isRam(memory.locate(0x6000, true))).toBe(true);
    expect([...memory.readBytes(0x500e, 4)]).toEqual([0x11, 0x22, 0, 1]);
  });
});

describe("layers", () => {
  test("later covers earlier; the chipset covers the board, the board covers PCI", () => {
    const [pci, board, later, chipset] = [bank(), bank(), bank(), bank()];
    const seen = (address: number) => {
      for (const each of [pci, board, later, chipset]) each.log.length = 0;
      memory.read1(address);
      return [pci, board, later, chipset].map(({ log }) => log.length);
    };
    const first = memory.map(top, 0x1000, board);
    memory.map(top, 0x1000, chipset, "chipset");
    const second = memory.map(top, 0x1000, later);
    memory.map(top, 0x2000, pci, "pci");
    expect(seen(top)).toEqual([0, 0, 0, 1]);
    expect(seen(top + 0x1000)).toEqual([1, 0, 0, 0]);
    memory.unmap(top, 0x1000);
    memory.remove(second);
    memory.remove(second);
    // Only the exact mapping goes: by its address alone the last of its kind, which was PCI's no longer.
    expect(seen(top)).toEqual([0, 0, 0, 1]);
    memory.remove(first);
    expect(seen(top)).toEqual([0, 0, 0, 1]);
  });

  test("random shows, maps, hides and unmaps agree with a list searched from the top", () => {
    const random = new Random(0x6d656d);
    const offset = memory.reserve(0x4000);
    memory.writeOffset(
      offset,
      Uint8Array.from({ length: 0x4000 }, (_, k) => k >> 4),
    );
    for (let k = 0; k < ram; k++) memory.u8[k] = k * 7;
    const layers = ["pci", "board", "chipset"] as const;
    type Entry = { base: number; end: number; layer: number; value: (address: number) => number; mapping: ReturnType<PhysicalMemory["map"]> };
    let entries: Entry[] = [];
    for (let round = 0; round < 400; round++) {
      if (random.below(3) === 0 && entries.length > 0) {
        const [gone] = entries.splice(random.below(entries.length), 1);
        memory.remove(gone.mapping);
      } else {
        const layer = random.below(3);
        const isMemory = random.below(2) === 0;
        const step = isMemory ? 0x1000 : 0x10;
        const base = (random.below(2) === 0 ? 0xf8000 : top) + random.below(0x10000 / step) * step;
        const length = (1 + random.below(isMemory ? 3 : 0x180)) * step;
        const from = offset + random.below(2) * 0x1000;
        const value = isMemory ? (a: number) => memory.u8[from + a - base] : (a: number) => (a - base + round) & 0xff;
        const registers = { read: (at: number) => (at + round) & 0xff, write() {} };
        const mapping = isMemory
          ? memory.show(base, from, length, random.below(2) === 0 ? "read-only" : "read-write", layers[layer])
          : memory.map(base, length, registers, layers[layer]);
        entries = [...entries, { base, end: base + length, layer, value, mapping }];
      }
      for (let k = 0; k < 60; k++) {
        const address = (random.below(2) === 0 ? 0xf8000 : top) + random.below(0x12000);
        const above = [2, 1, 0].map((layer) => entries.findLast((e) => e.layer === layer && e.base <= address && e.end > address)).find((e) => e);
        const expected = above ? above.value(address) : address < ram ? memory.u8[address] : 0xff;
        expect(memory.read1(address), `round ${round}, ${address.toString(16)}`).toBe(expected);
        const page = address & ~0xfff;
        const sharers = new Set(entries.filter((e) => e.base < (page >>> 0) + 0x1000 && e.end > page >>> 0));
        // A page that nothing covers is RAM, or nobody's.
        if (sharers.size === 0) expect(memory.isRam(memory.locate(address, true))).toBe(address < ram);
      }
    }
    for (const { mapping } of entries) memory.remove(mapping);
    for (let address = 0xf8000; address < ram; address += 0x1000) expect(memory.locate(address, true)).toBe(address);
  });
});

test("save and restore keep RAM and device memory, and report code that they overwrite", () => {
  const offset = memory.reserve(0x1000);
  memory.writeOffset(offset, Uint8Array.of(9));
  memory.write1(5, 8);
  const state = structuredClone(memory.save());
  const other = new PhysicalMemory(ram, device);
  const written: number[] = [];
  other.codePages[0] = 1;
  other.codeWritten = (at) => written.push(at);
  other.restore(state);
  expect([other.u8[offset], other.u8[5], written]).toEqual([9, 8, [0]]);
});
