/** The local APIC by SDM vol. 3, chapter 11; what QEMU confirms is in qemu.test.ts. */
import { beforeEach, describe, expect, test } from "vitest";
import { InterruptMessageBus, LocalApic } from "../../../runtime/devices/apic/index.ts";
import { TestClock } from "../support.ts";
import { at, World } from "./world.ts";

const masked = 0x10000;
let world: World;
beforeEach(() => {
  world = new World();
});

describe("registers", () => {
  test("after reset", () => {
    expect(world.get(at.id)).toBe(0);
    expect(world.get(at.version)).toBe(0x00050014);
    expect(world.get(at.svr)).toBe(0xff);
    expect(world.get(at.dfr)).toBe(0xffffffff);
    for (const offset of [at.tpr, at.ppr, at.ldr, at.esr, at.icr, at.icrHigh, at.initial, at.current, at.divide]) expect(world.get(offset)).toBe(0);
    for (const offset of [at.timer, at.thermal, at.performance, at.lint1, at.error]) expect(world.get(offset)).toBe(masked);
    // As firmware leaves the bootstrap processor: the 8259 on LINT0.
    expect(world.get(at.lint0)).toBe(0x700);
    const other = new LocalApic({
      ...{ id: 1, isBootstrap: false, clock: new TestClock(), bus: new InterruptMessageBus() },
      ...{ acknowledgeExternal: () => 0, signal: () => {} },
    });
    expect(other.registers.read(at.lint0, 4)).toBe(masked);
    expect(other.baseLow >>> 0).toBe(0xfee00800);
    expect(other.registers.read(at.id, 4)).toBe(1 << 24);
  });

  test("reserved bits read as zero", () => {
    world.enable();
    const writable = [
      [at.timer, 0x300ff],
      [at.thermal, 0x107ff],
      [at.performance, 0x107ff],
      [at.lint0, 0x1a7ff],
      [at.lint1, 0x1a7ff],
      [at.error, 0x100ff],
      [at.tpr, 0xff],
      [at.ldr, 0xff000000],
      [at.icrHigh, 0xff000000],
      [at.divide, 0x0b],
    ];
    for (const [offset, mask] of writable) {
      world.put(offset, 0xffffffff);
      expect(world.get(offset), offset.toString(16)).toBe(mask);
    }
    world.put(at.dfr, 0);
    expect(world.get(at.dfr)).toBe(0x0fffffff);
  });

  test("whole registers only are written; parts of them can be read", () => {
    world.put(at.tpr, 0x20);
    world.apic.registers.write(at.tpr, 1, 0x55);
    world.apic.registers.write(at.tpr + 4, 4, 0x55);
    expect(world.get(at.tpr)).toBe(0x20);
    expect(world.apic.registers.read(at.version + 2, 1)).toBe(5);
    expect(world.apic.registers.read(at.version, 2)).toBe(0x14);
    expect(world.get(at.version + 4)).toBe(0);
  });

  test("disabled by software every LVT entry is masked and stays so", () => {
    world.enable();
    world.put(at.timer, 0x20041);
    world.put(at.svr, 0xff);
    expect(world.get(at.timer)).toBe(0x30041);
    expect(world.get(at.lint0)).toBe(0x10700);
    world.put(at.timer, 0x20041);
    expect(world.get(at.timer)).toBe(0x30041);
    world.enable();
    world.put(at.timer, 0x20041);
    expect(world.get(at.timer)).toBe(0x20041);
  });
});

describe("priority", () => {
  test("highest first; one of a class does not interrupt another; the TPR holds its class and those below", () => {
    world.enable();
    for (const vector of [0x31, 0x52, 0x58, 0xfe, 0x45]) world.selfIpi(vector);
    expect(world.vectors(at.irr)).toEqual([0x31, 0x45, 0x52, 0x58, 0xfe]);
    expect(world.apic.acknowledge()).toBe(0xfe);
    expect(world.apic.pending).toBe(false);
    expect(world.get(at.ppr)).toBe(0xf0);
    world.put(at.eoi, 0);
    expect(world.apic.acknowledge()).toBe(0x58);
    world.selfIpi(0x5f);
    expect(world.apic.pending).toBe(false);
    world.selfIpi(0x60);
    expect(world.apic.pending).toBe(true);
    expect(world.apic.acknowledge()).toBe(0x60);
    expect(world.vectors(at.isr)).toEqual([0x58, 0x60]);
    world.put(at.eoi, 0);
    expect(world.vectors(at.isr)).toEqual([0x58]);
    world.put(at.eoi, 0);
    world.put(at.tpr, 0x4f);
    expect(world.drain()).toEqual([0x5f, 0x52]);
    world.put(at.tpr, 0x3f);
    expect(world.drain()).toEqual([0x45]);
    world.put(at.tpr, 0x2f);
    expect(world.drain()).toEqual([0x31]);
  });

  test("PPR: the TPR whole while its class is not below what is in service", () => {
    world.enable();
    world.put(at.tpr, 0x23);
    expect(world.get(at.ppr)).toBe(0x23);
    world.selfIpi(0x45);
    expect(world.apic.acknowledge()).toBe(0x45);
    expect(world.get(at.ppr)).toBe(0x40);
    world.put(at.tpr, 0x47);
    expect(world.get(at.ppr)).toBe(0x47);
  });

  test("what was pending and is held off before the acknowledge: the spurious vector, with nothing in service", () => {
    world.enable();
    world.selfIpi(0x45);
    expect(world.apic.pending).toBe(true);
    world.put(at.tpr, 0x50);
    expect(world.apic.acknowledge()).toBe(0xff);
    expect(world.vectors(at.isr)).toEqual([]);
    expect(world.vectors(at.irr)).toEqual([0x45]);
  });

  test("a vector requested again while in service waits; twice while waiting is once", () => {
    world.enable();
    world.selfIpi(0x45);
    world.selfIpi(0x45);
    expect(world.apic.acknowledge()).toBe(0x45);
    world.selfIpi(0x45);
    expect(world.apic.pending).toBe(false);
    world.put(at.eoi, 0);
    expect(world.drain()).toEqual([0x45]);
  });

  test("the processor is told once for each time that something becomes deliverable", () => {
    world.enable();
    const { signals } = world;
    world.selfIpi(0x45);
    world.selfIpi(0x46);
    expect(world.signals).toBe(signals + 1);
    world.apic.acknowledge();
    world.put(at.eoi, 0);
    expect(world.signals).toBe(signals + 2);
  });
});

describe("interprocessor interrupts", () => {
  const two = () => {
    const clock = new TestClock();
    const bus = new InterruptMessageBus();
    return [0, 1].map((id) => {
      const apic = new LocalApic({ ...{ id, isBootstrap: id === 0, clock, bus }, acknowledgeExternal: () => 0x77, signal: () => {} });
      apic.registers.write(at.svr, 4, 0x1ff);
      return apic;
    });
  };
  const send = (apic: LocalApic, destination: number, low: number) => {
    apic.registers.write(at.icrHigh, 4, destination << 24);
    apic.registers.write(at.icr, 4, low);
  };
  const requests = (apics: LocalApic[], vector: number) =>
    apics.map((apic) => (apic.registers.read(at.irr + 16 * (vector >> 5), 4) >>> (vector & 31)) & 1);

  test("physical destinations, broadcast and the shorthands", () => {
    for (const [destination, low, expected] of [
      [0, 0x41, [1, 0]],
      [1, 0x41, [0, 1]],
      [2, 0x41, [0, 0]],
      [0xff, 0x41, [1, 1]],
      [9, 0x40041, [1, 0]],
      [9, 0x80041, [1, 1]],
      [9, 0xc0041, [0, 1]],
    ] as const) {
      const apics = two();
      send(apics[0], destination, low);
      expect(requests(apics, 0x41), `${destination} ${low.toString(16)}`).toEqual(expected);
    }
  });

  test("logical destinations: flat and clustered", () => {
    const apics = two();
    apics[0].registers.write(at.ldr, 4, 0x01000000);
    apics[1].registers.write(at.ldr, 4, 0x12000000);
    send(apics[0], 0x03, 0x841);
    expect(requests(apics, 0x41)).toEqual([1, 1]);
    send(apics[0], 0x10, 0x842);
    expect(requests(apics, 0x42)).toEqual([0, 1]);
    for (const apic of apics) apic.registers.write(at.dfr, 4, 0);
    send(apics[0], 0x13, 0x843);
    expect(requests(apics, 0x43)).toEqual([0, 1]);
    send(apics[0], 0x03, 0x844);
    expect(requests(apics, 0x44)).toEqual([1, 0]);
  });

  test("lowest priority goes to one, the one that does less", () => {
    const apics = two();
    apics[0].registers.write(at.tpr, 4, 0x60);
    send(apics[0], 0xff, 0x141);
    expect(requests(apics, 0x41)).toEqual([0, 1]);
    apics[1].registers.write(at.tpr, 4, 0x80);
    send(apics[0], 0xff, 0x142);
    expect(requests(apics, 0x42)).toEqual([1, 0]);
  });

  test("NMI whatever the state, ExtINT with the 8259's vector; INIT and start-up without effect", () => {
    const apics = two();
    send(apics[0], 1, 0x4400);
    expect(apics.map(({ nmi }) => nmi)).toEqual([false, true]);
    apics[1].acknowledgeNmi();
    expect(apics[1].nmi).toBe(false);
    apics[1].registers.write(at.tpr, 4, 0xff);
    send(apics[0], 1, 0x700);
    expect(apics[1].pending).toBe(true);
    expect(apics[1].acknowledge()).toBe(0x77);
    expect(apics[1].pending).toBe(false);
    const before = apics[1].save();
    for (const command of [0x4500, 0x8500, 0x4608]) send(apics[0], 1, command);
    expect(apics[1].save()).toEqual(before);
  });

  test("the delivery status is idle at once", () => {
    const [apic] = two();
    send(apic, 1, 0x1041);
    expect(apic.registers.read(at.icr, 4)).toBe(0x41);
  });
});

describe("errors", () => {
  test("ESR shows what happened up to the last write to it; the error entry interrupts", () => {
    world.enable();
    world.put(at.error, 0xe1);
    world.selfIpi(0x0f);
    expect(world.get(at.esr)).toBe(0);
    expect(world.drain()).toEqual([0xe1]);
    world.put(at.esr, 0);
    expect(world.get(at.esr)).toBe(0x20);
    world.put(at.esr, 0);
    expect(world.get(at.esr)).toBe(0);
    world.bus.send(0, false, 0, 0x08, false);
    world.get(0x3f0);
    world.put(at.esr, 0);
    expect(world.get(at.esr)).toBe(0xc0);
    expect(world.drain()).toEqual([0xe1]);
  });

  test("an error entry with an illegal vector is an error once, not for ever", () => {
    world.enable();
    world.put(at.error, 0x05);
    world.selfIpi(0x01);
    world.put(at.esr, 0);
    expect(world.get(at.esr)).toBe(0x60);
    expect(world.apic.pending).toBe(false);
  });
});

describe("local interrupt pins", () => {
  test("virtual wire: the 8259 through LINT0, past the TPR; masked it is not", () => {
    // Initialized at vector 8, as a BIOS does; nothing masked.
    for (const [offset, value] of [
      [0, 0x11],
      [1, 8],
      [1, 4],
      [1, 1],
      [1, 0],
    ])
      world.pic.master.write(offset, 1, value);
    const irq = world.isa.irq(4);
    world.put(at.tpr, 0xff);
    irq.set(true);
    expect(world.apic.pending).toBe(true);
    expect(world.apic.acknowledge()).toBe(12);
    expect(world.vectors(at.isr)).toEqual([]);
    expect(world.apic.pending).toBe(false);
    world.enable();
    world.put(at.lint0, 0x10700);
    irq.set(false);
    world.pic.master.write(0, 1, 0x20);
    irq.set(true);
    expect(world.apic.pending).toBe(false);
    world.put(at.lint0, 0x700);
    expect(world.apic.pending).toBe(true);
    // Its own interrupts come first.
    world.put(at.tpr, 0);
    world.selfIpi(0x31);
    expect(world.apic.acknowledge()).toBe(0x31);
    expect(world.apic.acknowledge()).toBe(12);
  });

  test("LINT1 as NMI: rising edges", () => {
    world.enable();
    world.put(at.lint1, 0x400);
    world.apic.lint[1].set(true);
    expect(world.apic.nmi).toBe(true);
    world.apic.acknowledgeNmi();
    world.apic.lint[1].set(true);
    world.apic.lint[1].set(false);
    expect(world.apic.nmi).toBe(false);
    world.put(at.lint1, 0x10400);
    world.apic.lint[1].set(true);
    expect(world.apic.nmi).toBe(false);
  });

  test("LINT0 with a fixed vector: edge, and level with Remote IRR", () => {
    world.enable();
    world.put(at.lint0, 0x0051);
    world.apic.lint[0].set(true);
    expect(world.drain()).toEqual([0x51]);
    expect(world.apic.pending).toBe(false);
    world.put(at.lint0, 0x8052);
    expect(world.apic.acknowledge()).toBe(0x52);
    expect(world.get(at.lint0)).toBe(0xc052);
    expect(world.vectors(at.tmr)).toEqual([0x52]);
    world.put(at.eoi, 0);
    expect(world.apic.acknowledge()).toBe(0x52);
    world.apic.lint[0].set(false);
    world.put(at.eoi, 0);
    expect(world.get(at.lint0)).toBe(0x8052);
    expect(world.apic.pending).toBe(false);
  });
});

describe("IA32_APIC_BASE", () => {
  test("moves the page; reserved bits are refused", () => {
    expect(world.apic.baseLow >>> 0).toBe(0xfee00900);
    expect(world.apic.writeBase(0xfed80900 | 0, 0)).toBe(true);
    expect(world.placed).toEqual([0xfed80000]);
    expect(world.apic.writeBase(0xfee00900 | 0, 0xf)).toBe(true);
    expect(world.placed).toEqual([0xfed80000, 0xffee00000]);
    expect([world.apic.baseLow >>> 0, world.apic.baseHigh]).toEqual([0xfee00900, 0xf]);
    for (const [low, high] of [
      [0xfee00901, 0],
      [0xfee00d00, 0],
      [0xfee00900, 0x10],
    ])
      expect(world.apic.writeBase(low | 0, high)).toBe(false);
    expect(world.apic.baseHigh).toBe(0xf);
    world.apic.reset();
    expect(world.placed.at(-1)).toBe(0xfee00000);
  });

  test("globally disabled: LINT0 and LINT1 are INTR and NMI, messages pass by; enabled again it is as after reset", () => {
    world.enable();
    world.put(at.timer, 0x41);
    world.put(at.initial, 1000);
    expect(world.apic.writeBase(0xfee00100 | 0, 0)).toBe(true);
    expect([world.apic.isEnabled, world.placed.at(-1)]).toEqual([false, null]);
    expect(world.clock.armedTimers).toBe(0);
    expect(world.bus.send(0, false, 0, 0x41, false)).toBe(false);
    world.apic.lint[1].set(true);
    expect(world.apic.nmi).toBe(true);
    world.apic.lint[0].set(true);
    expect(world.apic.pending).toBe(true);
    world.apic.lint[0].set(false);
    expect(world.apic.pending).toBe(false);
    expect(world.apic.writeBase(0xfee00900 | 0, 0)).toBe(true);
    expect([world.get(at.svr), world.get(at.timer), world.placed.at(-1)]).toEqual([0xff, masked, 0xfee00000]);
  });
});

describe("timer", () => {
  beforeEach(() => {
    world.enable();
    world.put(at.timer, 0x41);
  });

  test.each([
    [0b0000, 2],
    [0b0001, 4],
    [0b0010, 8],
    [0b0011, 16],
    [0b1000, 32],
    [0b1001, 64],
    [0b1010, 128],
    [0b1011, 1],
  ])("divide configuration %i divides by %i", (configuration, divisor) => {
    world.put(at.divide, configuration);
    world.put(at.initial, 1000);
    world.clock.run(100 * divisor);
    expect(world.get(at.current)).toBe(900);
    world.clock.run(900 * divisor - 1);
    expect(world.get(at.current)).toBe(1);
    expect(world.apic.pending).toBe(false);
    world.clock.run(1);
    expect(world.get(at.current)).toBe(0);
    expect(world.drain()).toEqual([0x41]);
    world.clock.run(10_000 * divisor);
    expect(world.drain()).toEqual([]);
    expect(world.get(at.initial)).toBe(1000);
  });

  test("periodic: at exact times, missed ones merge", () => {
    world.put(at.divide, 0xb);
    world.put(at.timer, 0x20041);
    world.put(at.initial, 1000);
    let interrupts = 0;
    for (let t = 1; t <= 100; t++) {
      world.clock.run(100);
      interrupts += world.drain().length;
    }
    expect(interrupts).toBe(10);
    world.clock.sleepThrough(5500);
    expect(world.drain()).toEqual([0x41]);
    expect(world.get(at.current)).toBe(500);
    world.clock.run(499);
    expect(world.apic.pending).toBe(false);
    world.clock.run(1);
    expect(world.drain()).toEqual([0x41]);
    world.put(at.initial, 0);
    expect([world.get(at.current), world.clock.armedTimers]).toEqual([0, 0]);
  });

  test("masked it counts without interrupting; a change of mode starts nothing", () => {
    world.put(at.divide, 0xb);
    world.put(at.timer, 0x10041);
    world.put(at.initial, 1000);
    world.clock.run(600);
    expect(world.get(at.current)).toBe(400);
    world.clock.run(600);
    expect([world.get(at.current), world.apic.pending]).toEqual([0, false]);
    world.put(at.timer, 0x20041);
    world.clock.run(5000);
    expect([world.get(at.current), world.apic.pending]).toEqual([0, false]);
  });

  test("a guest that polls sees count and request in step, before the machine has looked at its timers", () => {
    world.put(at.divide, 0xb);
    world.put(at.initial, 1000);
    world.clock.skipTo(1000);
    expect(world.get(at.current)).toBe(0);
    expect(world.vectors(at.irr)).toEqual([0x41]);
    world.clock.runDue();
    expect(world.drain()).toEqual([0x41]);
  });

  test("a new divisor holds for the rest of the count", () => {
    world.put(at.divide, 0xb);
    world.put(at.initial, 1000);
    world.clock.run(400);
    world.put(at.divide, 0x3);
    expect(world.get(at.current)).toBe(600);
    world.clock.run(16 * 600 - 1);
    expect(world.apic.pending).toBe(false);
    world.clock.run(1);
    expect(world.drain()).toEqual([0x41]);
  });

  test("a period of one count is no hang", () => {
    world.put(at.divide, 0xb);
    world.put(at.timer, 0x20041);
    world.put(at.initial, 1);
    world.clock.sleepThrough(1e9);
    expect(world.drain()).toEqual([0x41]);
    expect(world.clock.nextDeadline()).toBeGreaterThan(world.clock.now());
  });
});

test("saved in the middle of everything, restored elsewhere, the rest is the same", () => {
  world.enable();
  world.put(at.divide, 0xb);
  world.put(at.timer, 0x20041);
  world.put(at.initial, 12_345);
  for (const vector of [0x35, 0x36, 0x61, 0x62]) world.selfIpi(vector);
  world.apic.acknowledge();
  world.put(at.tpr, 0x30);
  world.put(at.lint1, 0x400);
  world.apic.lint[1].set(true);
  world.clock.run(5000);
  const other = new World().restore(world.save());
  expect(other.apic.save()).toEqual(world.apic.save());
  expect([other.apic.pending, other.apic.nmi]).toEqual([world.apic.pending, true]);
  for (const one of [world, other]) one.put(at.eoi, 0);
  for (let step = 0; step < 50; step++) {
    for (const one of [world, other]) one.clock.run(1777);
    expect(other.get(at.current)).toBe(world.get(at.current));
    expect(other.drain()).toEqual(world.drain());
  }
});
