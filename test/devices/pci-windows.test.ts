/** What lies behind base address registers appears where they say while the command register lets it, whatever a guest writes to them. */
import { beforeEach, describe, expect, test } from "vitest";
import {
  type BarOptions,
  HostBridge440Fx,
  memoryWindow,
  PciFunction,
  PortBus,
  PowerManagementPiix4,
  pciRegister,
  portWindow,
  registerWindow,
} from "../../runtime/devices/index.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { Random } from "./support.ts";

const ram = 0x200000;
const bytes = 0x10000;
const top = 0xfd000000;
let ports: PortBus;
let memory: PhysicalMemory;
let offset: number;

/** Reads as its number, every byte. */
const bank = (number: number) => ({ read: (_: number, size: 1 | 2 | 4) => (number * 0x01010101) % 2 ** (8 * size), write() {} });

class TestFunction extends PciFunction {
  constructor(bars: readonly (readonly [index: number, space: "io" | "memory", size: number, options: BarOptions])[], rom?: number) {
    super("function", { vendor: 0x1234, device: 0x5678, classCode: 0xff0000 });
    for (const [index, space, size, options] of bars) this.defineBar(index, space, size, options);
    if (rom !== undefined) this.defineRom(bytes, memoryWindow(memory, bytes, rom, "read-only"));
    this.reset();
  }
  set(register: number, value: number, size: 1 | 2 | 4 = 4): this {
    this.writeConfig(register, size, value);
    return this;
  }
}

beforeEach(() => {
  ports = new PortBus();
  memory = new PhysicalMemory(ram, 2 * bytes);
  offset = memory.reserve(bytes);
  memory.u8.fill(0x5a, offset, offset + bytes);
});

const io = (number: number) => [0, "io", 16, { window: portWindow(ports, 16, bank(number)) }] as const;

describe("ports", () => {
  test("follow the BAR and the command register", () => {
    const f = new TestFunction([io(7)]).set(0x10, 0xc000);
    expect(ports.read(0xc000, 1)).toBe(0xff);
    f.set(pciRegister.command, 1);
    expect([ports.read(0xc000, 1), ports.read(0xc00f, 1), ports.read(0xc010, 1), ports.read(0xbfff, 1)]).toEqual([7, 7, 0xff, 0xff]);
    f.set(0x10, 0xd000);
    expect([ports.read(0xc000, 1), ports.read(0xd004, 4)]).toEqual([0xff, 0x07070707]);
    // Sized with decoding on: for a moment out of the port space.
    f.set(0x10, 0xffffffff);
    expect([f.readConfig(0x10, 4), ports.read(0xd000, 1)]).toEqual([0xfffffff1, 0xff]);
    f.set(0x10, 0xd000).set(pciRegister.command, 0);
    expect(ports.read(0xd000, 1)).toBe(0xff);
    f.set(pciRegister.command, 7).reset();
    expect(ports.read(0xd000, 1)).toBe(0xff);
  });

  test("lie beneath the board's own, and beneath those of functions placed before", () => {
    ports.map(0xc004, 2, bank(1));
    const first = new TestFunction([io(2)]).set(pciRegister.command, 1).set(0x10, 0xc000);
    const second = new TestFunction([io(3)]).set(pciRegister.command, 1).set(0x10, 0xc000);
    expect([0xc003, 0xc004, 0xc005, 0xc006].map((port) => ports.read(port, 1))).toEqual([2, 1, 1, 2]);
    first.set(0x10, 0xe000);
    expect([0xc003, 0xc004, 0xc006, 0xe000].map((port) => ports.read(port, 1))).toEqual([3, 1, 3, 2]);
    ports.unmap(0xc004, 2);
    expect(ports.read(0xc004, 1)).toBe(3);
    // The board can still have them.
    ports.map(0xc000, 16, bank(9));
    second.set(0x10, 0);
    expect(ports.read(0xc008, 1)).toBe(9);
  });

  test("PIIX4: the ACPI registers are where 40h says once 80h enables them", () => {
    const pm = new PowerManagementPiix4(portWindow(ports, 64, bank(4)));
    pm.reset();
    pm.writeConfig(0x40, 4, 0x601);
    expect([pm.readConfig(0x40, 4), ports.read(0x600, 1)]).toEqual([0x601, 0xff]);
    pm.writeConfig(0x80, 1, 1);
    expect([ports.read(0x600, 1), ports.read(0x63f, 1), ports.read(0x640, 1)]).toEqual([4, 4, 0xff]);
    pm.writeConfig(0x40, 4, 0xb00d);
    expect([pm.readConfig(0x40, 4), ports.read(0x600, 1), ports.read(0xb000, 1)]).toEqual([0xb001, 0xff, 4]);
    const state = structuredClone(pm.save());
    pm.reset();
    expect(ports.read(0xb000, 1)).toBe(0xff);
    pm.restore(state);
    expect(ports.read(0xb000, 1)).toBe(4);
  });
});

describe("memory", () => {
  const registers = (options: BarOptions = {}) => [0, "memory", 0x1000, { window: registerWindow(memory, 0x1000, bank(6)), ...options }] as const;

  test("registers and device memory follow BAR and command", () => {
    const f = new TestFunction([registers(), [1, "memory", bytes, { window: memoryWindow(memory, bytes, offset), prefetchable: true }]]);
    f.set(0x10, top).set(0x14, 0xe0000000);
    expect([memory.read1(top), memory.read1(0xe0000000), f.readConfig(0x14, 4)]).toEqual([0xff, 0xff, 0xe0000008]);
    f.set(pciRegister.command, 2);
    expect([memory.read1(top), memory.read1(0xe0000000)]).toEqual([6, 0x5a]);
    expect(memory.locate(0xe0000123, true)).toBe(offset + 0x123);
    f.set(0x14, top);
    // The one placed last is on top.
    expect([memory.read1(top), memory.read1(0xe0000000)]).toEqual([0x5a, 0xff]);
    f.set(0x14, 0xffffffff).set(0x14, 0xe0000000);
    expect([memory.read1(top), memory.read1(0xe0000000)]).toEqual([6, 0x5a]);
    f.set(pciRegister.command, 0);
    expect([memory.read1(top), memory.read1(0xe0000000)]).toEqual([0xff, 0xff]);
  });

  test("RAM answers before PCI does", () => {
    const f = new TestFunction([registers()]).set(pciRegister.command, 2).set(0x10, 0x100000);
    memory.write1(0x100000, 0x77);
    expect(memory.read1(0x100000)).toBe(0x77);
    f.set(0x10, ram);
    expect(memory.read1(ram)).toBe(6);
  });

  test("a 64-bit BAR: above 4 GiB as well, not above 64 GiB", () => {
    const f = new TestFunction([registers({ wide: true })]).set(pciRegister.command, 2);
    f.set(0x10, 0xffffffff).set(0x14, 0xffffffff);
    expect([f.readConfig(0x10, 4), f.readConfig(0x14, 4)]).toEqual([0xfffff004, 0xffffffff]);
    f.set(0x10, 0x1000).set(0x14, 1);
    expect([memory.read1(0x1_00001000), memory.read1(ram)]).toEqual([6, 0xff]);
    f.set(0x14, 0).set(0x10, top);
    expect([memory.read1(0x1_00001000), memory.read1(top)]).toEqual([0xff, 6]);
  });

  test("an option ROM has its own enable bit, and is read-only", () => {
    const f = new TestFunction([], offset).set(pciRegister.command, 2).set(pciRegister.rom, 0xfffffffe);
    expect(f.readConfig(pciRegister.rom, 4)).toBe(0xffff0000);
    f.set(pciRegister.rom, 0xfebe0000);
    expect(memory.read1(0xfebe0000)).toBe(0xff);
    f.set(pciRegister.rom, 0xfebe0001);
    memory.write1(0xfebe0000, 1);
    expect(memory.read1(0xfebe0000)).toBe(0x5a);
    f.set(pciRegister.rom, 0xfebe0000);
    expect(memory.read1(0xfebe0000)).toBe(0xff);
  });
});

describe("440FX: RAM and ROM from C0000h on", () => {
  const romBytes = bytes;
  const build = () => {
    const bridge = new HostBridge440Fx({ memory, rom: { offset, bytes: romBytes } });
    for (let at = 0xa0000; at < 0x100000; at++) memory.u8[at] = 0x10;
    return bridge;
  };
  const parts = [
    ...Array.from({ length: 12 }, (_, k) => ({ at: 0xc0000 + 0x4000 * k, register: 0x5a + (k >> 1), shift: 4 * (k & 1) })),
    { at: 0xf0000, register: 0x59, shift: 4 },
  ];

  test("each part, each of the four ways (datasheet, table 3: the PAM attributes)", () => {
    const bridge = build();
    // A ROM of 64 KiB: of the first megabyte it is the last 64 KiB.
    for (const { at, register, shift } of parts) {
      const rom = at >= 0x100000 - romBytes ? 0x5a : 0xff;
      for (const [bits, readsRam, writesRam] of [
        [0, false, false],
        [1, true, false],
        [2, false, true],
        [3, true, true],
      ] as const) {
        bridge.writeConfig(register, 1, bits << shift);
        memory.u8[at] = 0x10;
        expect(memory.read1(at), `${at.toString(16)}, ${bits}`).toBe(readsRam ? 0x10 : rom);
        memory.write1(at, 0x22);
        memory.write4(at + 4, 0x33333333);
        expect([memory.u8[at], memory.u8[at + 7]]).toEqual(writesRam ? [0x22, 0x33] : [0x10, memory.u8[at + 8]]);
        memory.u8.fill(0x10, at, at + 8);
        expect(memory.isRam(memory.locate(at, true))).toBe(bits === 3);
      }
      bridge.writeConfig(register, 1, 0);
    }
    // Neighbours were left alone.
    bridge.shadowAll();
    for (const { at } of parts) expect(memory.locate(at, true)).toBe(at);
    bridge.reset();
    expect(memory.read1(0xfffff)).toBe(0x5a);
  });

  test("SMRAM: RAM at A0000h while D_OPEN, over the VGA; locked it stays shut until reset", () => {
    const bridge = build();
    memory.map(0xa0000, 0x20000, bank(3));
    expect(memory.read1(0xa0000)).toBe(3);
    bridge.writeConfig(0x72, 1, 0x4a);
    expect([memory.read1(0xa0000), memory.read1(0xbffff)]).toEqual([0x10, 0x10]);
    bridge.writeConfig(0x72, 1, 0x5a);
    expect([memory.read1(0xa0000), bridge.readConfig(0x72, 1)]).toEqual([3, 0x1a]);
    bridge.writeConfig(0x72, 1, 0x4a);
    expect([memory.read1(0xa0000), bridge.readConfig(0x72, 1)]).toEqual([3, 0x1a]);
    bridge.reset();
    bridge.writeConfig(0x72, 1, 0x4a);
    expect(memory.read1(0xa0000)).toBe(0x10);
  });
});

test("a hundred thousand random writes to configuration registers: no exception, nothing left behind", () => {
  const random = new Random(0x706369);
  const windows = () => [
    [0, "io", 16, { window: portWindow(ports, 16, bank(1)) }] as const,
    [1, "memory", 0x1000, { window: registerWindow(memory, 0x1000, bank(2)) }] as const,
    [2, "memory", bytes, { window: memoryWindow(memory, bytes, offset), wide: true }] as const,
  ];
  const bridge = new HostBridge440Fx({ memory, rom: { offset, bytes } });
  const pm = new PowerManagementPiix4(portWindow(ports, 64, bank(4)));
  const functions: PciFunction[] = [bridge, pm, new TestFunction(windows(), offset), new TestFunction(windows())];
  for (let k = 0; k < 100_000; k++) {
    const f = random.pick(functions);
    const register = random.pick([4, 4, 0x10, 0x14, 0x18, 0x1c, 0x30, 0x40, 0x58, 0x59, 0x5c, 0x72, 0x80, random.below(256)]);
    const value = random.pick([0xffffffff, 0, 1, 2, 3, 7, 0xc000, 0x601, top, 0xfebe0001, 0x33333333, random.next()]);
    f.writeConfig(register, ([1, 2, 4] as const)[random.below(3)], value);
    if (k % 16 === 0) {
      const address = random.pick([0xf0000, 0xa0000, top, 0xfebe0000, random.next()]) >>> 0;
      memory.read4(address);
      memory.write2(address, 0);
      ports.read(random.below(0x10000), 1);
    }
  }
  for (const f of functions) f.reset();
  bridge.shadowAll();
  for (let port = 0; port < 0x10000; port++) expect(ports.read(port, 1)).toBe(0xff);
  for (let address = 0; address < ram; address += 0x1000) expect(memory.locate(address, true)).toBe(address);
  for (const address of [ram, top, 0xfebe0000, 0xfffff000]) expect(memory.read1(address)).toBe(0xff);
});
