import { beforeEach, describe, expect, test } from "vitest";
import { IsaInterrupts } from "../../runtime/devices/apic/index.ts";
import {
  HostBridge440Fx,
  IsaBridgePiix3,
  type Line,
  PciBus,
  PciFunction,
  Pic8259,
  PowerManagementPiix4,
  pciRegister,
  pirqOf,
  unconnected,
  WiredOr,
} from "../../runtime/devices/index.ts";
import { outb, Probe } from "./support.ts";

/** Facts from the PCI Local Bus Specification 2.2 and the 440FX, PIIX3 and PIIX4 datasheets. */

let bus: PciBus;
let resets: number;
let bridge: IsaBridgePiix3;
let irqs: Probe[];

/** A function with one BAR of each kind. */
class WithBars extends PciFunction {
  constructor() {
    super("with-bars", { vendor: 0x1234, device: 0x5678, classCode: 0xff0000, interruptPin: 1 });
    this.defineBar(0, "io", 0x20);
    this.defineBar(1, "memory", 0x1000);
  }
}

beforeEach(() => {
  resets = 0;
  irqs = Array.from({ length: 16 }, () => new Probe());
  bus = new PciBus(() => resets++);
  const wires = irqs.map((irq) => new WiredOr(irq));
  bridge = new IsaBridgePiix3((n) => wires[n].driver());
  bus.add(0, 0, new HostBridge440Fx());
  bus.add(1, 0, bridge);
  bus.add(1, 3, new PowerManagementPiix4());
  bus.add(4, 0, new WithBars());
});

const select = (slot: number, number: number, register: number, busNumber = 0) =>
  bus.registers.write(0, 4, 0x80000000 | (busNumber << 16) | (slot << 11) | (number << 8) | (register & 0xfc));

function config(slot: number, number: number, register: number, size: 1 | 2 | 4): number {
  select(slot, number, register);
  return bus.registers.read(4 + (register & 3), size);
}

function setConfig(slot: number, number: number, register: number, size: 1 | 2 | 4, value: number): void {
  select(slot, number, register);
  bus.registers.write(4 + (register & 3), size, value);
}

describe("configuration mechanism 1", () => {
  test("Linux's check: CF8h keeps a doubleword, ignores bytes", () => {
    bus.registers.write(3, 1, 0x01);
    bus.registers.write(0, 4, 0x80000000);
    expect(bus.registers.read(0, 4)).toBe(0x80000000);
    bus.registers.write(0, 2, 0x1234);
    bus.registers.write(0, 1, 0x12);
    expect(bus.registers.read(0, 4)).toBe(0x80000000);
    expect(bus.registers.read(0, 2)).toBe(0xffff);
  });

  test("identities of the board's functions", () => {
    expect(config(0, 0, pciRegister.vendor, 4)).toBe(0x12378086);
    expect(config(0, 0, 0x0a, 2)).toBe(0x0600);
    expect(config(1, 0, pciRegister.vendor, 4)).toBe(0x70008086);
    expect(config(1, 0, pciRegister.headerType, 1)).toBe(0x80);
    expect(config(1, 3, pciRegister.device, 2)).toBe(0x7113);
    expect(config(1, 3, 0x40, 4)).toBe(1);
  });

  test("absent functions, other buses and a disabled address read all ones", () => {
    expect(config(2, 0, 0, 4)).toBe(0xffffffff);
    expect(config(2, 0, 1, 1)).toBe(0xff);
    expect(config(0, 1, 2, 2)).toBe(0xffff);
    select(0, 0, 0, 1);
    expect(bus.registers.read(4, 4)).toBe(0xffffffff);
    bus.registers.write(0, 4, 0);
    expect(bus.registers.read(4, 4)).toBe(0xffffffff);
    bus.registers.write(4, 4, 0);
  });

  test("read-only bytes stay; BARs answer their size", () => {
    setConfig(0, 0, 0, 4, 0);
    expect(config(0, 0, 0, 4)).toBe(0x12378086);
    for (const [index, size] of [
      [0, 0xffffffe1],
      [1, 0xfffff000],
      [2, 0],
    ]) {
      setConfig(4, 0, 0x10 + 4 * index, 4, 0xffffffff);
      expect(config(4, 0, 0x10 + 4 * index, 4)).toBe(size);
    }
    setConfig(4, 0, 0x10, 2, 0xc123);
    expect(config(4, 0, 0x10, 4)).toBe(0xffffc121);
    expect(
      bus
        .all()
        .find(({ name }) => name === "with-bars")!
        .barAddress(0),
    ).toBe(0xffffc120);
    setConfig(4, 0, pciRegister.command, 2, 0xffff);
    expect(config(4, 0, pciRegister.command, 4)).toBe(0x00000507);
    setConfig(4, 0, pciRegister.interruptLine, 1, 11);
    expect(config(4, 0, pciRegister.interruptLine, 2)).toBe(0x010b);
  });

  test("one function in a place", () => {
    expect(() => bus.add(4, 0, new WithBars())).toThrow(/already/);
  });
});

test("reset control at CF9h: a rising RST_CPU resets", () => {
  outb(bus.registers, 1, 0x02);
  expect(resets).toBe(0);
  outb(bus.registers, 1, 0x06);
  expect(resets).toBe(1);
  outb(bus.registers, 1, 0x06);
  expect(resets).toBe(1);
  outb(bus.registers, 1, 0x00);
  outb(bus.registers, 1, 0x06);
  expect(resets).toBe(2);
});

describe("interrupt steering", () => {
  test("pins rotate over the PIRQs by device number; PIRQs follow their registers", () => {
    expect([1, 2, 3, 4].map((pin) => pirqOf(1, pin))).toEqual([0, 1, 2, 3]);
    expect([1, 2, 3, 4].map((slot) => pirqOf(slot, 1))).toEqual([0, 1, 2, 3]);
    const line = bridge.interrupt(3, 1);
    line.set(true);
    // At reset the PIRQs lead nowhere; then as firmware steers them.
    expect(irqs.some((irq) => irq.high)).toBe(false);
    bridge.steer();
    expect(irqs.map((irq) => irq.high).indexOf(true)).toBe(11);
    setConfig(1, 0, 0x62, 1, 0x05);
    expect([irqs[11].high, irqs[5].high]).toEqual([false, true]);
    setConfig(1, 0, 0x62, 1, 0x80);
    expect(irqs.some((irq) => irq.high)).toBe(false);
    // 2 is reserved.
    setConfig(1, 0, 0x62, 1, 0x02);
    expect(irqs.some((irq) => irq.high)).toBe(false);
    setConfig(1, 0, 0x62, 1, 0x0b);
    expect(irqs[11].high).toBe(true);
    line.set(false);
    expect(irqs[11].high).toBe(false);
  });

  test("devices share a PIRQ", () => {
    bridge.steer();
    const lines: Line[] = [bridge.interrupt(1, 1), bridge.interrupt(5, 1)];
    lines[0].set(true);
    lines[1].set(true);
    lines[0].set(false);
    expect(irqs[10].high).toBe(true);
    lines[1].set(false);
    expect(irqs[10].high).toBe(false);
  });

  test("on wires that are saved: whatever the order in which a BIOS steers, a restored request can be taken back", () => {
    const build = () => {
      const request = new Probe();
      const isa = new IsaInterrupts(
        (n) => (n === 11 ? request : unconnected),
        () => unconnected,
      );
      const piix = new IsaBridgePiix3((n) => isa.irq(n));
      // INTA# of device 3 is PIRQC#.
      return { request, isa, piix, line: piix.interrupt(3, 1) };
    };
    const first = build();
    for (const pirq of [2, 0, 3, 1]) first.piix.writeConfig(0x60 + pirq, 1, 11);
    first.line.set(true);
    const second = build();
    second.piix.restore(structuredClone(first.piix.save()));
    second.isa.restore(structuredClone(first.isa.save()));
    second.line.set(true);
    expect(second.request.high).toBe(true);
    second.line.set(false);
    expect(second.request.high).toBe(false);
  });

  test("through the 8259, with save and restore", () => {
    const build = () => {
      const output = new Probe();
      const pic = new Pic8259(output);
      const piix = new IsaBridgePiix3((n) => pic.irq(n));
      return { output, pic, piix, line: piix.interrupt(2, 1) };
    };
    const first = build();
    outb(first.pic.edgeLevel, 1, 0x0c);
    first.piix.steer();
    first.line.set(true);
    expect(first.output.high).toBe(true);
    for (const order of [
      ["pic", "piix"],
      ["piix", "pic"],
    ] as const) {
      const second = build();
      for (const name of order) second[name].restore(structuredClone(first[name].save()));
      second.line.set(true);
      expect(second.output.high).toBe(true);
      second.line.set(false);
      expect(second.output.high).toBe(false);
    }
  });
});

test("save and restore keep address and configuration", () => {
  setConfig(4, 0, 0x14, 4, 0xe0000000);
  const state = structuredClone(bus.save());
  bus.reset();
  expect(config(4, 0, 0x14, 4)).toBe(0);
  bus.restore(state);
  expect(bus.registers.read(4, 4)).toBe(0xe0000000);
});
