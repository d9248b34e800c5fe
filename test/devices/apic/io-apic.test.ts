/** The I/O APIC by the 82093AA's datasheet (290566), with the version and EOI register of QEMU's. */
import { beforeEach, describe, expect, test } from "vitest";
import { InterruptMessageBus, IoApic } from "../../../runtime/devices/apic/index.ts";
import { at, World } from "./world.ts";

const level = 0x8000;
const masked = 0x10000;
let world: World;
beforeEach(() => {
  world = new World().symmetric();
});

describe("registers", () => {
  test("identification, and entries masked after reset", () => {
    expect(world.io(1)).toBe(0x00170020);
    world.setIo(0, 0xffffffff);
    expect([world.io(0), world.io(2)]).toEqual([0x0f000000, 0x0f000000]);
    for (let pin = 0; pin < 24; pin++) expect([world.io(0x10 + 2 * pin), world.io(0x11 + 2 * pin)]).toEqual([masked, 0]);
    expect([world.io(3), world.io(0x40), world.io(0xff)]).toEqual([0, 0, 0]);
  });

  test("delivery status, Remote IRR and reserved bits are not written", () => {
    world.redirect(5, 0xffffffff, 0xffffffff);
    expect([world.io(0x1a), world.io(0x1b)]).toEqual([0x1afff, 0xff000000]);
  });

  test("the window takes 32 bits; the selector reads back", () => {
    world.setIo(0x1a, 0x10055);
    world.ioApic.registers.write(0x10, 1, 0x77);
    world.ioApic.registers.write(0x10, 2, 0x77);
    expect(world.io(0x1a)).toBe(0x10055);
    expect(world.ioApic.registers.read(0, 4)).toBe(0x1a);
  });

  test("pins 0 to 23", () => {
    expect(() => world.ioApic.pin(24)).toThrow(RangeError);
    expect(() => world.ioApic.pin(-1)).toThrow(RangeError);
  });
});

test("ISA's requests: IRQ0 at pin 2, the others at their own; to the 8259 as well; wired-or", () => {
  for (let irq = 0; irq < 16; irq++) {
    if (irq === 2) continue;
    const one = new World().symmetric();
    for (let pin = 0; pin < 24; pin++) one.redirect(pin, 0x40 + pin);
    const [a, b] = [one.isa.irq(irq), one.isa.irq(irq)];
    a.set(true);
    b.set(true);
    expect(one.drain(), `IRQ${irq}`).toEqual([0x40 + (irq === 0 ? 2 : irq)]);
    const chip = irq < 8 ? one.pic.master : one.pic.slave;
    expect(chip.read(0, 1)).toBe(1 << (irq & 7));
    a.set(false);
    expect(chip.read(0, 1)).toBe(1 << (irq & 7));
    b.set(false);
    expect(chip.read(0, 1)).toBe(0);
  }
  expect(() => world.isa.irq(2)).toThrow(RangeError);
  expect(() => world.isa.irq(16)).toThrow(RangeError);
});

describe("edge-triggered", () => {
  test("a message for each rising edge; edges while masked are lost", () => {
    const line = world.isa.irq(4);
    world.redirect(4, 0x44);
    line.set(true);
    expect(world.drain()).toEqual([0x44]);
    line.set(false);
    line.set(true);
    expect(world.drain()).toEqual([0x44]);
    line.set(false);
    world.redirect(4, 0x44 | masked);
    line.set(true);
    world.redirect(4, 0x44);
    expect(world.drain()).toEqual([]);
  });
});

describe("level-triggered", () => {
  test("one message until the EOI, again while the pin stays", () => {
    const line = world.isa.irq(10);
    world.redirect(10, 0x5a | level);
    line.set(true);
    expect(world.io(0x24)).toBe(0x5a | level | 0x4000);
    expect(world.apic.acknowledge()).toBe(0x5a);
    expect(world.vectors(at.tmr)).toEqual([0x5a]);
    line.set(false);
    line.set(true);
    expect(world.vectors(at.irr)).toEqual([]);
    world.put(at.eoi, 0);
    expect(world.vectors(at.irr)).toEqual([0x5a]);
    expect(world.apic.acknowledge()).toBe(0x5a);
    line.set(false);
    world.put(at.eoi, 0);
    expect([world.io(0x24), world.apic.pending]).toEqual([0x5a | level, false]);
  });

  test("asserted while masked it is not lost", () => {
    const line = world.isa.irq(11);
    world.redirect(11, 0x5b | level | masked);
    line.set(true);
    expect(world.apic.pending).toBe(false);
    world.redirect(11, 0x5b | level);
    expect(world.apic.pending).toBe(true);
  });

  test("turned to edge and back an EOI that will not come is forgotten; the EOI register ends it, too", () => {
    const line = world.isa.irq(9);
    world.redirect(9, 0x59 | level);
    line.set(true);
    world.redirect(9, 0x59 | masked);
    expect(world.io(0x22)).toBe(0x59 | masked);
    world.redirect(9, 0x59 | level);
    expect(world.io(0x22)).toBe(0x59 | level | 0x4000);
    line.set(false);
    world.ioApic.registers.write(0x40, 4, 0x58);
    expect(world.io(0x22)).toBe(0x59 | level | 0x4000);
    world.ioApic.registers.write(0x40, 4, 0x59);
    expect(world.io(0x22)).toBe(0x59 | level);
  });

  test("two pins with one vector both wait for its EOI", () => {
    const lines = [10, 11].map((irq) => world.isa.irq(irq));
    for (const pin of [10, 11]) world.redirect(pin, 0x5c | level);
    for (const line of lines) line.set(true);
    expect(world.apic.acknowledge()).toBe(0x5c);
    lines[0].set(false);
    world.put(at.eoi, 0);
    expect([world.io(0x24), world.io(0x26)]).toEqual([0x5c | level, 0x5c | level | 0x4000]);
    lines[1].set(false);
    expect(world.drain()).toEqual([0x5c]);
    expect(world.apic.pending).toBe(false);
  });

  test("nobody there: sent when there is", () => {
    world.redirect(10, 0x5a | level, 7 << 24);
    world.isa.irq(10).set(true);
    expect(world.io(0x24)).toBe(0x5a | level);
    world.redirect(10, 0x5a | level, 0);
    expect(world.apic.pending).toBe(true);
  });
});

test("delivery modes: lowest priority, NMI, ExtINT", () => {
  world.redirect(4, 0x144);
  const line = world.isa.irq(4);
  line.set(true);
  expect(world.drain()).toEqual([0x44]);
  world.redirect(5, 0x400 | level);
  world.isa.irq(5).set(true);
  expect([world.apic.nmi, world.io(0x1a)]).toEqual([true, 0x400 | level]);
  for (const [offset, value] of [
    [0, 0x11],
    [1, 8],
    [1, 4],
    [1, 1],
    [1, 0xf7],
  ])
    world.pic.master.write(offset, 1, value);
  world.redirect(3, 0x700);
  world.isa.irq(3).set(true);
  expect(world.apic.pending).toBe(true);
  expect(world.apic.acknowledge()).toBe(11);
  expect(world.apic.pending).toBe(false);
});

test("MSI: address and data", () => {
  world.put(at.ldr, 0x04000000);
  world.bus.messageSignalled(0xfee00000, 0x4041);
  world.bus.messageSignalled(0xfee01000, 0x0042);
  world.bus.messageSignalled(0xfee06004, 0x0043);
  world.bus.messageSignalled(0xfeeff008, 0x0144);
  world.bus.messageSignalled(0xfee00000, 0xc045);
  expect(world.vectors(at.irr)).toEqual([0x41, 0x43, 0x44, 0x45]);
  expect(world.vectors(at.tmr)).toEqual([0x45]);
  world.bus.messageSignalled(0xfee00000, 0x0400);
  expect(world.apic.nmi).toBe(true);
});

test("an I/O APIC with nobody to talk to", () => {
  const lonely = new IoApic(new InterruptMessageBus());
  const pin = lonely.pin(20);
  lonely.registers.write(0, 4, 0x38);
  lonely.registers.write(0x10, 4, 0x8050);
  pin.set(true);
  expect(lonely.registers.read(0x10, 4)).toBe(0x8050);
});

test("saved with an interrupt in service and a pin asserted, restored elsewhere, it ends the same", () => {
  world.redirect(10, 0x5a | level);
  world.redirect(4, 0x44);
  const lines = (one: World) => [one.isa.irq(10), one.isa.irq(4)];
  const here = lines(world);
  here[0].set(true);
  here[1].set(true);
  world.apic.acknowledge();
  const other = new World();
  const there = lines(other);
  other.restore(world.save());
  expect(other.io(0x24)).toBe(0x5a | level | 0x4000);
  for (const [one, [ten, four]] of [
    [world, here],
    [other, there],
  ] as const) {
    // Lines that are high already are no new edges.
    four.set(true);
    expect(one.apic.acknowledge()).toBe(0xff);
    one.put(at.eoi, 0);
    expect(one.apic.acknowledge()).toBe(0x5a);
    ten.set(false);
    one.put(at.eoi, 0);
    expect(one.drain()).toEqual([0x44]);
    four.set(false);
    four.set(true);
    expect(one.drain()).toEqual([0x44]);
  }
});
