/**
 * Nonsense at the ports: no access throws or hangs, nothing grows, and no sector changes that the guest could not have meant: storage sees only whole sectors inside
 * the medium. A guest that is saved at any moment and restored elsewhere sees the same as one that was not. XLAT86_FUZZ=1000000 is the long run.
 */
import { describe, expect, test } from "vitest";
import type { SavedState } from "../../../runtime/devices/device.ts";
import { Random } from "../support.ts";
import { busMasterBase, MemoryStorage, pattern, Rig, same } from "./rig.ts";

const accesses = Number(process.env.XLAT86_FUZZ ?? 20_000);
const sectors = 4000;

function newRig(later = false) {
  const disk = new MemoryStorage(pattern(sectors * 512, 1));
  const slave = new MemoryStorage(pattern(100 * 512, 2));
  const disc = new MemoryStorage(pattern(200 * 2048, 3));
  slave.readOnly = true;
  for (const storage of [disk, slave, disc]) storage.later = later;
  const rig = new Rig(
    { hda: { kind: "disk", storage: disk }, hdb: { kind: "disk", storage: slave }, hdc: { kind: "cdrom", storage: disc } },
    1 << 18,
  );
  return { rig, disk, slave, disc };
}

const commands = [
  ...[0x20, 0x24, 0xc4, 0x29, 0xc8, 0x25, 0x30, 0x34, 0xc5, 0x39, 0xca, 0x35, 0x40, 0x42, 0x91, 0xec, 0xef, 0xc6, 0xe7, 0xea, 0xe5, 0xf8, 0x27, 0x90],
  ...[0xa0, 0xa0, 0xa0, 0xa1, 0x08, 0x10, 0x00, 0xe0],
];
const operations = [0x00, 0x03, 0x12, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x42, 0x43, 0x46, 0x4a, 0x51, 0x5a, 0xa8, 0xbb, 0xbd, 0xbe];

type Step = (rig: Rig) => number | null | void;

/** One access or a short burst of them, decided before it is known what the drives say. */
function randomStep(random: Random): Step {
  const base = random.pick([0x1f0, 0x170]);
  const master = busMasterBase + random.below(16);
  const value = random.next();
  const small = random.below(4);
  const size = random.pick([1, 2, 4] as const);
  switch (random.below(20)) {
    case 0:
      return (rig) => rig.ports.write(base + 7, 1, random.pick(commands));
    case 1:
      return (rig) => rig.ports.read(base + (value & 7), size);
    case 2:
      return (rig) => rig.ports.write(base + (value & 7), size, value >>> 3);
    case 3:
    case 4:
      return (rig) => rig.ports.write(base + 1 + (small % 3) + ((value & 1) << 1), 1, small === 0 ? value & 255 : value & 3);
    case 5:
      return (rig) => rig.ports.write(base + 6, 1, 0xa0 | (value & 0x50) | (small === 0 ? value & 15 : 0));
    case 6:
      return (rig) => rig.ports.read(base + 0x206, 1);
    case 7:
      return (rig) => rig.ports.write(base + 0x206, 1, small === 0 ? value & 0x86 : 0);
    case 8:
      return (rig) => rig.ports.read(master, size);
    case 9:
      return (rig) => rig.ports.write(master, size, value);
    case 10:
      return (rig) => rig.ports.write(master & ~7, 1, 9 - (value & 8));
    case 11:
      return (rig) => rig.ports.write((master & ~7) + 4, 4, value & 0x3fffc);
    case 12:
      return (rig) => {
        // A table of a few regions.
        rig.channel = base === 0x1f0 ? 0 : 1;
        rig.table(value & 0xfffc, [
          [(value >>> 3) & 0x3ffff, 512],
          [0x20000 + (value & 0xffff), value & 0xfffe],
          [0x30000, 0x8000],
        ]);
        return null;
      };
    case 13:
    case 14:
      return (rig) => {
        let sum = 0;
        for (let i = 0; i < 300; i++) sum = (Math.imul(sum, 31) + rig.ports.read(base, size)) | 0;
        return sum;
      };
    case 15:
      return (rig) => {
        for (let i = 0; i < 300; i++) rig.ports.write(base, size, Math.imul(value, i));
        return null;
      };
    case 16:
      return (rig) => {
        const packet = [random.pick(operations), value & 3, 0, 0, 0, value >>> 24, 0, 0, 1 + small, (value & 8) !== 0 ? 0x10 : 0xf8, 0, 0];
        for (let i = 0; i < 12; i += 2) rig.ports.write(base, 2, packet[i] | (packet[i + 1] << 8));
        return null;
      };
    case 17:
      return (rig) => {
        const drive = rig.ide.cdRom("hdc");
        if (small === 0) return drive?.eject(value > 2 ** 31) === true ? 1 : 0;
        if (small === 1) drive?.insert(new MemoryStorage(pattern(2048 * (1 + (value & 63)), value)));
        return null;
      };
    case 18:
      return (rig) => rig.clock.run(value & 0xffff);
    default:
      return (rig) => rig.clock.run(1_000_000);
  }
}

describe("nonsense", () => {
  test.each([
    [1, false],
    [2, false],
    [3, true],
  ] as const)(
    "random accesses, seed %i, storage that answers later: %s",
    async (seed, later) => {
      const { rig, disk, slave } = newRig(later);
      const slaveBefore = slave.bytes.slice();
      const expected = disk.bytes.slice();
      // Whatever storage is asked to write is what may have changed.
      const write = disk.write.bind(disk);
      disk.write = (offset, from) => {
        expect([offset % 512, from.length % 512, from.length > 0]).toEqual([0, 0, true]);
        expected.set(from, offset);
        return write(offset, from);
      };
      const random = new Random(seed * 2654435761);
      const buffers = () => JSON.stringify(rig.ide.save()).length;
      let most = 0;
      for (let i = 0; i < accesses; i++) {
        randomStep(random)(rig);
        if (later && i % 50 === 0) for (const storage of [disk, slave]) await storage.answer();
        if (i % 20_000 === 0) most = Math.max(most, buffers());
        disk.log.length = 0;
        rig.activity.length = 0;
      }
      for (let turn = 0; turn < 3; turn++) {
        rig.clock.run(1e9);
        await disk.answer();
      }
      same(slave.bytes, slaveBefore);
      same(disk.bytes, expected);
      // Buffers of at most 1 MiB a drive; a byte takes a few characters of JSON.
      expect(most).toBeLessThan(3 * 14 * 2 ** 20);
      // And the disk still works.
      rig.ide.reset();
      rig.ide.configure(busMasterBase);
      rig.channel = 0;
      rig.unit = 0;
      disk.later = false;
      same(rig.pioRead(0x20, { count: 3, lba: 7 }, 3), disk.bytes.subarray(7 * 512, 10 * 512));
    },
    300_000,
  );
});

describe("save and restore", () => {
  test("random programs, saved and restored elsewhere between any two accesses, see the same", () => {
    let moments = 0;
    for (let seed = 1; seed <= 3; seed++) {
      const one = newRig();
      let other = newRig();
      const [a, b] = [new Random(seed * 7919), new Random(seed * 7919)];
      for (let i = 0; i < 1000; i++) {
        const found = randomStep(a)(one.rig);
        const again = randomStep(b)(other.rig);
        if (found !== again) throw new Error(`seed ${seed}, step ${i}: ${found} without, ${again} with saving`);
        if (i % 7 !== 0) continue;
        const medium = mediumOf(other.rig);
        const state: SavedState = structuredClone(other.rig.ide.save());
        const next = newRig();
        next.rig.clock.restore(other.rig.clock.save());
        next.disk.bytes.set(other.disk.bytes);
        next.rig.memory.bytes.set(other.rig.memory.bytes);
        // What is in the drive is the machine's affair.
        if (medium === null) next.rig.ide.cdRom("hdc")?.eject(true);
        else next.rig.ide.cdRom("hdc")?.insert(medium);
        next.rig.ide.restore(state);
        expect(next.rig.ide.save()).toEqual(state);
        other = next;
        moments++;
      }
      same(other.disk.bytes, one.disk.bytes);
      same(other.rig.memory.bytes, one.rig.memory.bytes);
    }
    expect(moments).toBeGreaterThan(400);
  }, 120_000);

  test("a write that storage has not answered is issued again when restored", async () => {
    const { rig, disk } = newRig(true);
    await disk.answer();
    const data = pattern(1024, 77);
    rig.command(0xc5, { count: 2, lba: 40 });
    rig.writeWords(data);
    rig.clock.run(1e9);
    expect(rig.alternateStatus & 0x80).toBe(0x80);
    const state = structuredClone(rig.ide.save());
    const next = newRig();
    next.rig.ide.restore(state);
    next.rig.clock.run(1e9);
    expect(next.rig.interrupt()).toBe(0x50);
    same(next.disk.bytes.subarray(40 * 512, 42 * 512), data);
  });
});

/** The medium in the CD drive. */
function mediumOf(rig: Rig): MemoryStorage | null {
  return (rig.ide.cdRom("hdc") as unknown as { medium: MemoryStorage | null }).medium;
}
