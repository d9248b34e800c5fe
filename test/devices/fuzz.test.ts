import { describe, expect, test } from "vitest";
import {
  AcpiPm,
  DebugExit,
  type Device,
  HostBridge440Fx,
  I8042,
  IsaBridgePiix3,
  isaIrqs,
  isaPorts,
  PciBus,
  Pic8259,
  Pit8254,
  Port61,
  Port92,
  PortBus,
  PowerManagementPiix4,
  Ps2Keyboard,
  Rtc146818,
  Uart16550,
  WiredOr,
} from "../../runtime/devices/index.ts";
import { Probe, Random, TestClock } from "./support.ts";

/** The whole platform on one port bus, as a machine puts it together, with logs where its outputs go. */
class Platform {
  readonly clock = new TestClock();
  readonly bus = new PortBus();
  readonly output = new Probe();
  readonly a20 = new Probe();
  readonly sent: number[] = [];
  events = 0;
  readonly pic = new Pic8259(this.output);
  readonly keyboard = new Ps2Keyboard(this.clock);
  readonly uart: Uart16550;
  readonly devices: Device[];

  constructor() {
    const { clock, bus, pic, keyboard } = this;
    const event = () => {
      this.events++;
    };
    const a20 = new WiredOr(this.a20);
    const pit = new Pit8254(clock, [pic.irq(isaIrqs.timer), null, null]);
    const port61 = new Port61(clock, pit);
    const wallClock = () => Date.UTC(2024, 0, 1) + clock.now() / 1e6;
    const rtc = new Rtc146818({ clock, wallClock, irq: pic.irq(isaIrqs.rtc), nmiMask: new Probe(), memoryBytes: 1 << 28 });
    this.uart = new Uart16550({ name: "com1", clock, irq: pic.irq(isaIrqs.com1), onTransmit: (byte) => this.sent.push(byte) });
    const paced = new Uart16550({ name: "com2", clock, irq: pic.irq(isaIrqs.com2), onTransmit: (byte) => this.sent.push(byte), paced: true });
    const i8042 = new I8042({ clock, keyboard, keyboardIrq: pic.irq(isaIrqs.keyboard), gateA20: a20.driver(), resetMachine: event });
    const port92 = new Port92(a20.driver(), event);
    const debugExit = new DebugExit(event);
    const acpi = new AcpiPm(clock, pic.irq(isaIrqs.acpi), event);
    const pci = new PciBus(event);
    pci.add(0, 0, new HostBridge440Fx());
    pci.add(1, 0, new IsaBridgePiix3((n) => pic.irq(n)));
    pci.add(1, 3, new PowerManagementPiix4());
    for (const [name, bank] of [
      ["picMaster", pic.master],
      ["picSlave", pic.slave],
      ["picEdgeLevel", pic.edgeLevel],
      ["pit", pit.registers],
      ["port61", port61.registers],
      ["keyboardData", i8042.data],
      ["keyboardControl", i8042.control],
      ["rtc", rtc.registers],
      ["port92", port92.registers],
      ["debugExit", debugExit],
      ["com1", this.uart.registers],
      ["com2", paced.registers],
      ["acpiPm", acpi.registers],
      ["pciConfig", pci.registers],
    ] as const) {
      bus.map(isaPorts[name].base, isaPorts[name].count, bank);
    }
    this.devices = [pic, pit, port61, rtc, this.uart, paced, keyboard, i8042, port92, debugExit, acpi, pci];
  }

  save(): unknown {
    return structuredClone([this.clock.save(), ...this.devices.map((device) => device.save())]);
  }

  restore(states: unknown): void {
    const [clock, ...devices] = states as ReturnType<Device["save"]>[];
    this.clock.restore(clock);
    this.devices.forEach((device, n) => {
      device.restore(devices[n]);
    });
  }

  /** Everything visible from outside but time. */
  outside(): unknown {
    return [this.clock.now(), this.clock.nextDeadline(), this.clock.armedTimers, this.output.high, this.a20.high, this.events, this.sent.length];
  }
}

/** Where the accesses go: all of one device's ports, and a little beside them. */
const groups: Record<string, (keyof typeof isaPorts)[]> = {
  pic8259: ["picMaster", "picSlave", "picEdgeLevel"],
  pit8254: ["pit", "port61"],
  rtc146818: ["rtc"],
  uart16550: ["com1", "com2"],
  i8042: ["keyboardData", "keyboardControl"],
  "port92 and debug-exit": ["port92", "debugExit"],
  acpi: ["acpiPm"],
  pci: ["pciConfig"],
  everything: Object.keys(isaPorts) as (keyof typeof isaPorts)[],
};

/** One random step; returns what it read. */
function step(platform: Platform, random: Random, ports: readonly number[]): number {
  const port = random.pick(ports);
  const size = ([1, 1, 1, 1, 1, 1, 2, 4] as const)[random.below(8)];
  const choice = random.below(64);
  if (choice === 0) platform.clock.sleepThrough(random.below(3) === 0 ? random.below(2 ** 31) : random.below(100_000));
  else if (choice === 1) platform.clock.run(random.below(20_000));
  else if (choice === 2) platform.uart.receive([random.below(256), random.below(256)]);
  else if (choice === 3) platform.keyboard.press(random.below(0x84));
  else if (choice === 4) platform.keyboard.release(random.below(0x84));
  else if (choice === 5 && platform.output.high) return platform.pic.acknowledge();
  else if (choice < 32) {
    const value = platform.bus.read(port, size);
    if (!(value >= 0 && value < 2 ** (8 * size))) throw new Error(`port ${port.toString(16)} size ${size} read ${value}`);
    return value;
  } else platform.bus.write(port, size, random.below(3) === 0 ? random.pick([0, 0xff, 0x80, 0x20, 0x0b, 0x36]) : random.next() | 0);
  return -1;
}

const accesses = 1_000_000;
const rounds = 20;

describe("a million random accesses: no exception, no hang, no timer left over; a restored copy behaves the same", () => {
  test.each(Object.keys(groups))("%s", (group) => {
    const seed = 0x5eed0000 + Object.keys(groups).indexOf(group);
    const random = new Random(seed);
    const ports = groups[group].flatMap((name) => Array.from({ length: isaPorts[name].count + 1 }, (_, i) => isaPorts[name].base + i));
    const platform = new Platform();
    const timers = 12;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < accesses / rounds; i++) step(platform, random, ports);
      expect(platform.clock.armedTimers, `seed ${seed}`).toBeLessThanOrEqual(timers);
      platform.sent.length = 0;
      const copy = new Platform();
      copy.restore(platform.save());
      copy.events = platform.events;
      expect(copy.outside(), `seed ${seed} round ${round}, after restore`).toEqual(platform.outside());
      const [one, other] = [new Random(seed + round), new Random(seed + round)];
      for (let i = 0; i < 2000; i++) {
        const expected = step(platform, one, ports);
        const found = step(copy, other, ports);
        if (expected !== found) throw new Error(`seed ${seed} round ${round} step ${i}: read ${expected}, the restored copy ${found}`);
      }
      expect(copy.outside(), `seed ${seed} round ${round}, 2000 steps later`).toEqual(platform.outside());
    }
  });

  test("reset brings the platform back to the state it was made in", () => {
    const random = new Random(99);
    const ports = groups.everything.flatMap((name) => Array.from({ length: isaPorts[name].count }, (_, i) => isaPorts[name].base + i));
    const platform = new Platform();
    const initial = platform.outside() as unknown[];
    for (let i = 0; i < 100_000; i++) step(platform, random, ports);
    for (const device of platform.devices) device.reset();
    const [, , armed, , a20] = platform.outside() as unknown[];
    expect([armed, a20]).toEqual([initial[2], initial[4]]);
    // Nothing but what a timer just started may interrupt: IRQ0.
    expect(platform.bus.read(isaPorts.picSlave.base, 1)).toBe(0);
    expect(platform.bus.read(isaPorts.picMaster.base, 1) & ~0x01).toBe(0);
  });
});
