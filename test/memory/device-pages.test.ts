/** Where pages of devices lead is remembered (runtime/memory/device-pages.ts), and forgotten with the TLB's entries. */
import { afterEach, describe, expect, it } from "vitest";
import { slot, vector } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { type Core, place, pte, tiers } from "../support/core.ts";

const window = 0x40000;
const devices = [0x8000_0000, 0x8000_1000] as const;
const all = pte.present | pte.writable | pte.user;
const entry = place.pageTable + (window >>> 12) * 4;

/** A tier has one core for all tests. */
const toUnmap: (() => void)[] = [];
afterEach(() => toUnmap.splice(0).forEach((unmap) => void unmap()));

/** Registers that say which device they are of and which register; what is written is added up. */
function mapDevices(core: Core): number[] {
  const written = [0, 0];
  toUnmap.push(() => devices.forEach((base) => void core.physical.unmap(base, 0x1000)));
  devices.forEach((base, k) => {
    core.physical.map(base, 0x1000, {
      read: (offset) => 1000 * (k + 1) + offset,
      write: (offset, _, value) => {
        written[k] += offset + value;
      },
    });
  });
  core.map(window, devices[0], all);
  core.flush();
  return written;
}

/** Each round reads two registers and writes one; EAX: the sum. Ends with a page fault or INT3. */
const rounds = (count: number) => `mov ecx, ${count}
1:
  add eax, [${window + 4}]
  add eax, [${window + 8}]
  mov dword ptr [${window + 12}], 3
  dec ecx
  jnz 1b`;
const sum = (device: number, count: number) => count * (2000 * (device + 1) + 12);

describe.each(tiers)("$name", (tier) => {
  const start = (source: string): { core: Core; written: number[] } => {
    const core = tier.core().protectedMode(tier.ring);
    const written = mapDevices(core);
    core.load(assemble(source)).R[slot.eax] = 0;
    return { core, written };
  };

  it("accesses are the device's, each of them", () => {
    const { core, written } = start(`${rounds(40)}\nint3`);
    expect(core.run().vector).toBe(vector.bp);
    expect(core.reg("eax")).toBe(sum(0, 40));
    expect(written).toEqual([40 * 15, 0]);
  });

  it("a device that goes away, and another in its place", () => {
    const { core, written } = start(`${rounds(40)}\nint3\n${rounds(40)}\nint3\n${rounds(1)}\nint3`);
    core.run();
    core.physical.unmap(devices[0], 0x1000);
    core.physical.map(devices[0], 0x1000, { read: () => 5, write: () => {} });
    core.resume();
    core.run();
    expect(core.reg("eax")).toBe(sum(0, 40) + 40 * 10);
    core.physical.unmap(devices[0], 0x1000);
    // Nothing answers.
    core.resume();
    core.run();
    expect(core.reg("eax")).toBe(sum(0, 40) + 40 * 10 - 2);
    expect(written).toEqual([40 * 15, 0]);
  });

  it("two pages that share an entry, by turns", () => {
    // Sixteen pages apart.
    const other = window + 0x10000;
    const { core, written } = start(`mov ecx, 40
1:
  add eax, [${window + 4}]
  add eax, [${other + 4}]
  mov dword ptr [${window + 12}], 3
  mov dword ptr [${other + 12}], 5
  dec ecx
  jnz 1b
  int3`);
    core.map(other, devices[1], all);
    core.flush();
    expect(core.run().vector).toBe(vector.bp);
    expect(core.reg("eax")).toBe(40 * (1000 + 2000 + 8));
    expect(written).toEqual([40 * 15, 40 * 17]);
  });

  it("a page that becomes read-only after a flush: the write faults", () => {
    const { core, written } = start(`${rounds(40)}\nint3\n${rounds(1)}`);
    core.run();
    core.map(window, devices[0], pte.present | pte.user);
    core.flush();
    core.resume();
    expect(core.run()).toMatchObject({ vector: vector.pf, errorCode: 3 | (tier.ring === 3 ? 4 : 0), cr2: window + 12 });
    expect(core.reg("eax")).toBe(sum(0, 41));
    expect(written).toEqual([40 * 15, 0]);
  });
});

describe.each(tiers)("$name, registers that are a part of a page", (tier) => {
  /** What each device was asked, and `value` of offset for answers: each read tells where it went. */
  function mapParts(core: Core, parts: readonly (readonly [first: number, end: number])[]): string[] {
    const asked: string[] = [];
    toUnmap.push(() => parts.forEach(([first, end]) => void core.physical.unmap(devices[0] + first, end - first)));
    parts.forEach(([first, end], k) => {
      core.physical.map(devices[0] + first, end - first, {
        read: (offset, size) => {
          asked.push(`${k}: read ${size} at ${offset}`);
          return (0x80_81_82_83 + 0x1000 * k + offset) & (size === 4 ? -1 : size === 2 ? 0xffff : 0xff);
        },
        write: (offset, size, value) => void asked.push(`${k}: write ${size} at ${offset} ${value >>> 0}`),
      });
    });
    core.map(window, devices[0], all);
    core.flush();
    return asked;
  }
  /** `source` many times, so that regions are made of it; what the last round asked, and EAX. */
  function lastRound(parts: readonly (readonly [number, number])[], source: string): { asked: string[]; eax: number } {
    const core = tier.core().protectedMode(tier.ring);
    const asked = mapParts(core, parts);
    core.load(assemble(`mov ecx, 40\n1:\n${source}\ndec ecx\njnz 1b\nint3`));
    expect(core.run().vector).toBe(vector.bp);
    expect(asked.length % 40).toBe(0);
    return { asked: asked.slice((-asked.length / 40) | 0), eax: core.reg("eax") };
  }

  it("sizes, and offsets from where the device begins", () => {
    const { asked, eax } = lastRound(
      [[0x100, 0x200]],
      `movzx edx, byte ptr [${window + 0x101}]\nmovsx eax, word ptr [${window + 0x102}]\nadd edx, eax\nmov eax, [${window + 0x1fc}]\nadd eax, edx
      mov byte ptr [${window + 0x105}], -1\nmov word ptr [${window + 0x106}], -2\nmov dword ptr [${window + 0x108}], -3`,
    );
    expect(asked).toEqual([
      "0: read 1 at 1",
      "0: read 2 at 2",
      "0: read 4 at 252",
      "0: write 1 at 5 255",
      "0: write 2 at 6 65534",
      "0: write 4 at 8 4294967293",
    ]);
    expect(eax).toBe((0x84 + ((0x8285 << 16) >> 16) + (0x80818283 + 252)) >>> 0);
  });

  it("accesses that reach out of it: what is beside it is open bus", () => {
    const { asked, eax } = lastRound(
      [[0x100, 0x200]],
      `mov eax, [${window + 0x1fe}]\nmov edx, [${window + 0x40}]\nand eax, edx\nmov dword ptr [${window + 0xfe}], 0x44332211`,
    );
    expect(asked).toEqual(["0: read 1 at 254", "0: read 1 at 255", "0: write 1 at 0 51", "0: write 1 at 1 68"]);
    expect(eax).toBe(0xffff8281);
  });

  it("two devices on a page", () => {
    const parts = [
      [0, 0x800],
      [0x800, 0x1000],
    ] as const;
    const { asked } = lastRound(
      parts,
      `mov eax, [${window + 0x7f8}]\nmov eax, [${window + 0x800}]\nmov dword ptr [${window + 0x7fc}], 1\nmov dword ptr [${window + 0xffc}], 2`,
    );
    expect(asked).toEqual(["0: read 4 at 2040", "1: read 4 at 0", "0: write 4 at 2044 1", "1: write 4 at 2044 2"]);
  });

  it("a device that goes on over pages", () => {
    const core = tier.core().protectedMode(tier.ring);
    const asked = mapParts(core, [[0x0, 0x2000]]);
    core.map(window, devices[0] + 0x1000, all);
    core.flush();
    core.load(assemble(`mov ecx, 40\n1:\nmov eax, [${window + 0x10}]\ndec ecx\njnz 1b\nint3`));
    core.run();
    expect([...new Set(asked)]).toEqual(["0: read 4 at 4112"]);
  });
});

const changes = {
  INVLPG: `invlpg [${window}]`,
  "a write of CR3": "mov edx, cr3\nmov cr3, edx",
  "INVLPG of another page that is never there": `invlpg [${window}]\ninvlpg [0x3ff000]`,
} as const;

describe.each(tiers.filter(({ ring }) => ring === 0))("$name", (tier) => {
  it.each(Object.keys(changes) as (keyof typeof changes)[])("another device, then memory, then nothing behind the page: %s", (name) => {
    const point = (to: number): string => `mov dword ptr [${entry}], ${to >>> 0}\n${changes[name]}`;
    const core = tier.core().protectedMode(0);
    const written = mapDevices(core);
    const pieces = [rounds(40), point(devices[1] | all), rounds(40), point(0x60000 | all), rounds(2), point(0), rounds(1)];
    core.load(assemble(pieces.join("\n")));
    core.R[slot.eax] = 0;
    core.physical.write4(0x60004, 7);
    expect(core.run()).toMatchObject({ vector: vector.pf, errorCode: 0, cr2: window + 4 });
    expect(core.reg("eax")).toBe(sum(0, 40) + sum(1, 40) + 14);
    expect(written).toEqual([40 * 15, 40 * 15]);
    expect(core.physical.read4(0x6000c)).toBe(3);
  });
});
