import { describe, expect, test } from "vitest";
import { Dma8237 } from "../../runtime/devices/dma8237.ts";
import { PortBus } from "../../runtime/devices/index.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { Random } from "./support.ts";

function rig() {
  const memory = new PhysicalMemory(2 << 20);
  const dma = new Dma8237(memory);
  const bus = new PortBus();
  bus.map(0x00, 16, dma.first);
  bus.map(0xc0, 32, dma.second);
  bus.map(0x80, 16, dma.pages);
  bus.map(0x480, 16, dma.highPages);
  const out = (port: number, ...values: number[]) => {
    for (const value of values) bus.write(port, 1, value);
  };
  return { memory, dma, bus, out, in: (port: number) => bus.read(port, 1) };
}

/** Channel 2: address, count - 1, mode; then unmasked. */
function program({ out }: ReturnType<typeof rig>, address: number, count: number, mode: number): void {
  out(0x0c, 0);
  out(0x0b, mode | 2);
  out(0x04, address & 0xff, (address >> 8) & 0xff);
  out(0x81, (address >> 16) & 0xff);
  out(0x05, (count - 1) & 0xff, (count - 1) >> 8);
  out(0x0a, 2);
}

const bytes = (count: number) => Uint8Array.from({ length: count }, (_, i) => (i * 3 + 1) & 0xff);

describe("8237A registers", () => {
  test("reset masks every channel; the flip-flop goes to the low byte", () => {
    const { out, in: input } = rig();
    expect(input(0x0f)).toBe(0xff);
    expect(input(0x08)).toBe(0);
    out(0x00, 0x34, 0x12);
    expect([input(0x00), input(0x00)]).toEqual([0x34, 0x12]);
    input(0x00);
    out(0x0c, 0);
    expect(input(0x00)).toBe(0x34);
    out(0x0d, 0);
    expect(input(0x00), "master clear resets it too").toBe(0x34);
  });

  test("masks one by one, all at once, and cleared", () => {
    const { out, in: input } = rig();
    out(0x0a, 0x01);
    expect(input(0x0f) & 15).toBe(0b1101);
    out(0x0a, 0x05);
    expect(input(0x0f) & 15).toBe(0b1111);
    out(0x0f, 0b0101);
    expect(input(0x0f) & 15).toBe(0b0101);
    out(0x0e, 0);
    expect(input(0x0f) & 15).toBe(0);
    out(0x0d, 0);
    expect(input(0x0f) & 15).toBe(15);
  });

  test("the second controller's registers are at even ports", () => {
    const { out, in: input } = rig();
    out(0xc4, 0x78, 0x56);
    out(0xd8, 0);
    expect([input(0xc4), input(0xc4)]).toEqual([0x78, 0x56]);
    expect(input(0xc5)).toBe(0xff);
    expect(input(0x02), "the first controller is another chip").toBe(0);
  });

  test("the page ports are memory, 80h among them", () => {
    const { out, in: input } = rig();
    for (let port = 0x80; port < 0x90; port++) out(port, port ^ 0x5a);
    for (let port = 0x80; port < 0x90; port++) expect(input(port)).toBe(port ^ 0x5a);
  });
});

describe("8237A transfers", () => {
  test("to memory, ended by the terminal count, which masks the channel and shows once in the status", () => {
    const machine = rig();
    program(machine, 0x12345, 16, 0x44);
    const channel = machine.dma.channel(2);
    expect(channel.transfer("toMemory", bytes(10))).toEqual({ count: 10, terminal: false });
    expect([machine.in(0x04), machine.in(0x04)], "current address").toEqual([0x4f, 0x23]);
    expect([machine.in(0x05), machine.in(0x05)], "words left - 1").toEqual([5, 0]);
    expect(channel.transfer("toMemory", bytes(10))).toEqual({ count: 6, terminal: true });
    expect(machine.memory.readBytes(0x12345, 17)).toEqual(Uint8Array.from([...bytes(10), ...bytes(6), 0]));
    expect([machine.in(0x05), machine.in(0x05)]).toEqual([0xff, 0xff]);
    expect(machine.in(0x0f) & 4).toBe(4);
    expect([machine.in(0x08), machine.in(0x08)]).toEqual([4, 0]);
    expect(channel.transfer("toMemory", bytes(4))).toEqual({ count: 0, terminal: false });
  });

  test("from memory", () => {
    const machine = rig();
    machine.memory.writeBytes(0x20000, bytes(512));
    program(machine, 0x20000, 512, 0x48);
    const into = new Uint8Array(512);
    expect(machine.dma.channel(2).transfer("fromMemory", into)).toEqual({ count: 512, terminal: true });
    expect(into).toEqual(bytes(512));
  });

  test("auto-initialize reloads address and count and leaves the channel open", () => {
    const machine = rig();
    program(machine, 0x30000, 8, 0x54);
    const channel = machine.dma.channel(2);
    for (let i = 0; i < 3; i++) expect(channel.transfer("toMemory", bytes(8))).toEqual({ count: 8, terminal: true });
    expect([machine.in(0x04), machine.in(0x04), machine.in(0x05), machine.in(0x05)]).toEqual([0, 0, 7, 0]);
    expect(machine.in(0x0f) & 4).toBe(0);
  });

  test("decrementing goes down from the address", () => {
    const machine = rig();
    program(machine, 0x1000f, 16, 0x64);
    machine.dma.channel(2).transfer("toMemory", bytes(16));
    expect(machine.memory.readBytes(0x10000, 16)).toEqual(bytes(16).reverse());
    program(machine, 0x1000f, 16, 0x68);
    const into = new Uint8Array(16);
    machine.dma.channel(2).transfer("fromMemory", into);
    expect(into).toEqual(bytes(16));
  });

  test("the address wraps within its 64 KB page, both ways", () => {
    const machine = rig();
    program(machine, 0x2fffc, 8, 0x44);
    machine.dma.channel(2).transfer("toMemory", bytes(8));
    expect(machine.memory.readBytes(0x2fffc, 4)).toEqual(bytes(4));
    expect(machine.memory.readBytes(0x20000, 4)).toEqual(bytes(8).slice(4));
    expect(machine.memory.readBytes(0x30000, 4)).toEqual(new Uint8Array(4));
    program(machine, 0x20001, 4, 0x64);
    machine.dma.channel(2).transfer("toMemory", bytes(4));
    expect(machine.memory.readBytes(0x20000, 2)).toEqual(bytes(2).reverse());
    expect(machine.memory.readBytes(0x2fffe, 2)).toEqual(bytes(4).slice(2).reverse());
  });

  test("verify and the other direction count without moving", () => {
    const machine = rig();
    program(machine, 0x10000, 8, 0x40);
    expect(machine.dma.channel(2).transfer("toMemory", bytes(8))).toEqual({ count: 8, terminal: true });
    program(machine, 0x10000, 8, 0x48);
    expect(machine.dma.channel(2).transfer("toMemory", bytes(8))).toEqual({ count: 8, terminal: true });
    expect(machine.memory.readBytes(0x10000, 8)).toEqual(new Uint8Array(8));
  });

  test("a disabled controller, a mask and cascade mode let nothing through", () => {
    const machine = rig();
    program(machine, 0x10000, 8, 0x44);
    machine.out(0x08, 0x04);
    expect(machine.dma.channel(2).transfer("toMemory", bytes(8)).count).toBe(0);
    machine.out(0x08, 0x00);
    machine.out(0x0b, 0xc2);
    expect(machine.dma.channel(2).transfer("toMemory", bytes(8)).count).toBe(0);
    machine.out(0x0b, 0x46);
    machine.out(0x0a, 0x06);
    expect(machine.dma.channel(2).transfer("toMemory", bytes(8)).count).toBe(0);
    machine.out(0x0a, 0x02);
    expect(machine.dma.channel(2).transfer("toMemory", bytes(8)).count).toBe(8);
  });

  test("channel 5 moves words: address and count in words, pages of 128 KB", () => {
    const machine = rig();
    // Word address 8010h of page 12h/13h (bit 0 of the page is not used).
    machine.out(0xd8, 0);
    machine.out(0xd6, 0x45);
    machine.out(0xc4, 0x10, 0x80);
    machine.out(0x8b, 0x13);
    machine.out(0xc6, 7, 0);
    machine.out(0xd4, 1);
    const channel = machine.dma.channel(5);
    expect(channel.transfer("toMemory", bytes(7))).toEqual({ count: 6, terminal: false });
    expect(channel.transfer("toMemory", bytes(16).subarray(6))).toEqual({ count: 10, terminal: true });
    expect(machine.memory.readBytes(0x120000 + 0x10020, 16)).toEqual(bytes(16));
    expect(machine.in(0xd0)).toBe(2);
  });

  test("high page registers reach above 16 MB and fall back with the low page", () => {
    const written: number[] = [];
    const dma = new Dma8237({ readInto: () => {}, writeBytes: (address) => written.push(address) });
    const set = (page: number, high: number | null) => {
      dma.first.write(0x0d, 1, 0);
      dma.first.write(0x0b, 1, 0x46);
      for (const value of [0x00, 0x10]) dma.first.write(0x04, 1, value);
      for (const value of [3, 0]) dma.first.write(0x05, 1, value);
      dma.pages.write(1, 1, page);
      if (high !== null) dma.highPages.write(1, 1, high);
      dma.first.write(0x0a, 1, 2);
      dma.channel(2).transfer("toMemory", bytes(4));
    };
    set(0x34, 0x12);
    set(0x34, null);
    expect(written).toEqual([0x12341000, 0x341000]);
  });

  test("a request by software in block mode runs the count down", () => {
    const machine = rig();
    program(machine, 0x10000, 8, 0x84);
    machine.out(0x0a, 6);
    machine.out(0x09, 6);
    expect(machine.in(0x08)).toBe(4);
    expect([machine.in(0x04), machine.in(0x04)]).toEqual([8, 0]);
    expect([machine.in(0x05), machine.in(0x05)]).toEqual([0xff, 0xff]);
  });

  test.each([0, 1, 2, 3, 5, 6, 7])("channel %i: random transfers against a model that moves one unit at a time", (n) => {
    const random = new Random(8237 + n);
    const machine = rig();
    const [base, spread, pagePort] = n < 4 ? [0x00, 1, [0x87, 0x83, 0x81, 0x82][n]] : [0xc0, 2, [0, 0x8b, 0x89, 0x8a][n - 4]];
    const width = n < 4 ? 1 : 2;
    const register = (at: number) => base + at * spread;
    for (let round = 0; round < 100; round++) {
      const [address, count, page] = [random.below(0x10000), random.below(64), random.below(16)];
      const direction = random.pick(["toMemory", "fromMemory"] as const);
      const flags = random.pick([0, 0x10, 0x20, 0x30]);
      machine.out(register(12), 0);
      machine.out(register(11), (direction === "toMemory" ? 0x04 : 0x08) | 0x40 | flags | (n & 3));
      machine.out(register(2 * (n & 3)), address & 0xff, address >> 8);
      machine.out(register(2 * (n & 3) + 1), count & 0xff, count >> 8);
      machine.out(pagePort, page);
      machine.out(register(10), n & 3);
      const expected = machine.memory.readBytes(0, 2 << 20);
      let [at, left] = [address, count];
      const data = Uint8Array.from({ length: width * random.below(100) }, () => random.below(256));
      const model = data.slice();
      let moved = 0;
      let ended = false;
      for (let i = 0; i + width <= data.length && !ended; i += width) {
        const physical = (width === 1 ? page << 16 : (page & 0xfe) << 16) + at * width;
        for (let b = 0; b < width; b++) {
          if (direction === "toMemory") expected[physical + b] = data[i + b];
          else model[i + b] = expected[physical + b];
        }
        at = (at + ((flags & 0x20) !== 0 ? -1 : 1)) & 0xffff;
        left--;
        moved += width;
        if (left < 0) {
          ended = true;
          if ((flags & 0x10) !== 0) [at, left] = [address, count];
        }
      }
      expect(machine.dma.channel(n).transfer(direction, data)).toEqual({ count: moved, terminal: ended });
      expect(data.subarray(0, moved)).toEqual(model.subarray(0, moved));
      machine.out(register(12), 0);
      const word = (port: number) => machine.in(port) | (machine.in(port) << 8);
      expect([word(register(2 * (n & 3))), word(register(2 * (n & 3) + 1))]).toEqual([at, left & 0xffff]);
      expect(Buffer.compare(machine.memory.readBytes(0, 2 << 20), expected)).toBe(0);
    }
  });
});

test("a restored controller goes on where the saved one was", () => {
  const [one, other] = [rig(), rig()];
  program(one, 0x12345, 16, 0x54);
  one.dma.channel(2).transfer("toMemory", bytes(5));
  one.out(0x04, 0x99);
  other.dma.restore(structuredClone(one.dma.save()));
  for (const machine of [one, other]) {
    machine.out(0x04, 0x11);
    machine.dma.channel(2).transfer("toMemory", bytes(11));
  }
  expect(other.dma.save()).toEqual(one.dma.save());
  for (const machine of [one, other]) expect(machine.memory.readBytes(0x11199, 12)).toEqual(Uint8Array.from([...bytes(11), 0]));
});
