/**
 * Nonsense: random accesses to every register of the local APIC, the I/O APIC and the HPET, messages, edges and time. Nothing throws, no timer is
 * left over, what is read is in range, and a restored copy goes on in the same way. XLAT86_FUZZ in the environment sets how many.
 */
import { describe, expect, test } from "vitest";
import { Hpet } from "../../../runtime/devices/hpet.ts";
import type { Line, RegisterBank, SavedState } from "../../../runtime/devices/index.ts";
import { Random } from "../support.ts";
import { World } from "./world.ts";

const accesses = Number(process.env["XLAT86_FUZZ"] ?? 1_000_000);
const rounds = 12;

class Platform extends World {
  readonly hpet: Hpet;
  readonly lines: readonly Line[];

  constructor() {
    super();
    this.hpet = new Hpet(this.clock, { irq0: this.isa.irq(0), irq8: this.isa.irq(8), pin2: this.ioApic.pin(20) });
    this.lines = [this.hpet.timerInput, this.hpet.rtcInput, this.apic.lint[1], ...[3, 4, 9, 10, 11, 15].map((n) => this.isa.irq(n))];
  }

  override get devices() {
    return [this.hpet, ...super.devices] as never;
  }
}

type Group = "local APIC" | "I/O APIC" | "HPET" | "everything";
const groups: readonly Group[] = ["local APIC", "I/O APIC", "HPET", "everything"];

function bankAccess(random: Random, bank: RegisterBank, offset: number): number {
  const size = ([4, 4, 4, 4, 4, 1, 2, 4] as const)[random.below(8)];
  if (random.below(2) === 0) {
    const value = bank.read(offset, size);
    if (!Number.isInteger(value) || (size < 4 && (value < 0 || value >= 2 ** (8 * size))) || Math.abs(value) >= 2 ** 32) {
      throw new Error(`offset ${offset.toString(16)} size ${size} read ${value}`);
    }
    return value;
  }
  bank.write(offset, size, random.pick([random.next() | 0, random.below(256), 0, -1, 0x1ff, 0x8050, 0x1c | random.below(0x800), random.below(1000)]));
  return -1;
}

function step(platform: Platform, random: Random, group: Group): number {
  const choice = random.below(64);
  if (choice === 0) platform.clock.sleepThrough(random.below(4) === 0 ? random.below(2 ** 31) : random.below(100_000));
  else if (choice === 1) platform.clock.run(random.below(2000));
  else if (choice < 6) random.pick(platform.lines).set(random.below(2) === 0);
  else if (choice < 10 && platform.apic.pending) return platform.apic.acknowledge();
  else if (choice === 10) platform.bus.messageSignalled(0xfee00000 + random.below(0x100000), random.next() | 0);
  else if (choice === 11 && platform.apic.nmi) platform.apic.acknowledgeNmi();
  else if (choice === 12)
    platform.apic.writeBase(random.pick([0xfee00900, 0xfee00100, 0xfec01900, random.next()]) | 0, random.below(8) === 0 ? random.below(20) : 0);
  else if (choice < 16) platform.put(0xb0, 0);
  else {
    const which = group === "everything" ? groups[random.below(3)] : group;
    const offset = random.below(0x400) & (random.below(8) === 0 ? -1 : ~15);
    if (which === "local APIC") return bankAccess(random, platform.apic.registers, offset);
    if (which === "I/O APIC") {
      if (random.below(3) === 0) platform.ioApic.registers.write(0, 4, random.below(0x48));
      return bankAccess(random, platform.ioApic.registers, random.pick([0, 0x10, 0x10, 0x10, 0x40, random.below(0x100)]));
    }
    return bankAccess(random, platform.hpet.registers, random.below(0x180) & (random.below(8) === 0 ? -1 : ~3));
  }
  return -1;
}

describe(`${accesses} random accesses`, () => {
  test.each(groups)(
    "%s",
    (group) => {
      const seed = 0xa91c0000 + groups.indexOf(group);
      const random = new Random(seed);
      const platform = new Platform();
      const outside = (one: Platform) => [one.clock.now(), one.clock.nextDeadline(), one.clock.armedTimers, one.apic.pending, one.apic.nmi];
      const size = () => JSON.stringify(platform.save()).length;
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < accesses / rounds; i++) step(platform, random, group);
        // The APIC's timer and three comparators.
        expect(platform.clock.armedTimers, `seed ${seed}`).toBeLessThanOrEqual(4);
        expect(size()).toBeLessThan(6000);
        platform.placed.length = 0;
        const copy = new Platform();
        copy.restore(platform.save() as SavedState[]);
        expect(outside(copy), `seed ${seed} round ${round}, after restore`).toEqual(outside(platform));
        // The copy's lines have nobody yet who says how they are; from here on both are told the same.
        for (const one of [platform, copy]) for (const line of one.lines) line.set(false);
        const [here, there] = [new Random(seed + round), new Random(seed + round)];
        for (let i = 0; i < 2000; i++) {
          const expected = step(platform, here, group);
          const found = step(copy, there, group);
          if (expected !== found) throw new Error(`seed ${seed} round ${round} step ${i}: read ${expected}, the restored copy ${found}`);
        }
        expect(outside(copy), `seed ${seed} round ${round}, 2000 steps later`).toEqual(outside(platform));
      }
    },
    120_000,
  );

  test("reset brings everything back to the state it was made in", () => {
    const platform = new Platform();
    const random = new Random(7);
    for (const line of platform.lines) line.set(false);
    const before = platform.save().slice(1);
    for (let i = 0; i < 20_000; i++) step(platform, random, "everything");
    for (const line of platform.lines) line.set(false);
    for (const device of platform.devices as { reset(): void }[]) device.reset();
    // The main counter starts at the time of the reset, and ELCR and priorities are the 8259s' own affair.
    const withoutTime = (states: SavedState[]) => states.map((state) => ({ ...state, startedAt: 0, master: 0, slave: 0, driven: 0 }));
    expect(withoutTime(platform.save().slice(1))).toEqual(withoutTime(before));
  });
});
