import { describe, expect, it } from "vitest";
import { planBoot } from "../../src/boot/detect.ts";
import { BootError } from "../../src/boot/error.ts";
import { pcMemoryMap } from "../../src/boot/memory-map.ts";
import type { BootPlan, BootRequest, GuestFile } from "../../src/boot/plan.ts";
import { elf32, join, multibootHeader } from "./images.ts";

const MiB = 2 ** 20;
const code = Uint8Array.from({ length: 300 }, (_, i) => i * 3);

function plan(bytes: Uint8Array, more: Partial<BootRequest> = {}): BootPlan {
  const memorySize = more.memorySize ?? 16 * MiB;
  return planBoot({
    kernel: { name: "dir/kernel", bytes },
    append: "",
    modules: [],
    memorySize,
    memoryMap: pcMemoryMap(memorySize),
    ...more,
  });
}

function failure(bytes: Uint8Array, more: Partial<BootRequest> = {}): string {
  try {
    plan(bytes, more);
  } catch (error) {
    if (error instanceof BootError) return error.message;
    throw error;
  }
  throw new Error("the image was accepted");
}

/** RAM after the plan's writes. */
function ram(p: BootPlan, size = 16 * MiB): DataView {
  const bytes = new Uint8Array(size);
  for (const write of p.writes) bytes.set(write.bytes, write.address);
  return new DataView(bytes.buffer);
}

function text(memory: DataView, address: number): string {
  const bytes = new Uint8Array(memory.buffer, address);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

const elf = (): Uint8Array =>
  elf32(0x100020, [
    { virtual: 0x100000, physical: 0x100000, bytes: join(multibootHeader(3), code) },
    { virtual: 0x110000, physical: 0x110000, bytes: Uint8Array.of(1, 2, 3), memorySize: 0x2000 },
  ]);

describe("Multiboot 1", () => {
  it("loads ELF segments at their physical addresses and zeroes the rest of them", () => {
    const p = plan(elf());
    const memory = ram(p);
    expect(p.protocol).toBe("multiboot");
    expect(new Uint8Array(memory.buffer, 0x10000c, code.length)).toEqual(code);
    expect(new Uint8Array(memory.buffer, 0x110000, 5)).toEqual(Uint8Array.of(1, 2, 3, 0, 0));
    expect(p.writes.find((w) => w.address === 0x110000)?.bytes.length).toBe(0x2000);
    expect(p.cpu).toMatchObject({ eip: 0x100020, eax: 0x2badb002 });
    expect(p.cpu.segments.cs).toMatchObject({ base: 0, limit: 0xffffffff, access: 0x00c09b00 });
  });

  it("enters a kernel linked high where it is loaded", () => {
    const p = plan(elf32(0xc0100010, [{ virtual: 0xc0100000, physical: 0x200000, bytes: join(multibootHeader(0), code) }]));
    expect(p.cpu.eip).toBe(0x200010);
  });

  it("loads by address fields, header not at the start of the file", () => {
    const skipped = new Uint8Array(64).fill(0xee);
    const lead = new Uint8Array(32).fill(0xcc);
    const image = join(skipped, lead, multibootHeader(0x10000, [0x300020, 0x300000, 0, 0x302000, 0x300040]), code);
    const p = plan(image);
    const memory = ram(p);
    expect(p.cpu.eip).toBe(0x300040);
    expect(new Uint8Array(memory.buffer, 0x300000, 32)).toEqual(lead);
    expect(new Uint8Array(memory.buffer, 0x300040, code.length)).toEqual(code);
    expect(p.writes.find((w) => w.address === 0x300000)?.bytes.length).toBe(0x2000);
  });

  it("describes memory, command line, modules and itself", () => {
    const module = (name: string, fill: number, length: number): GuestFile => ({ name, bytes: new Uint8Array(length).fill(fill) });
    const p = plan(elf(), {
      append: "a=1 b",
      initrd: module("initrd", 0x11, 10),
      modules: [
        { file: module("one", 0x22, 5000), commandLine: "one x=y" },
        { file: module("two", 0x33, 1), commandLine: "two" },
      ],
    });
    const memory = ram(p);
    const u32 = (at: number): number => memory.getUint32(at, true);
    const info = p.cpu.ebx;
    expect(u32(info)).toBe(1 | 4 | 8 | 64 | 512);
    expect([u32(info + 4), u32(info + 8)]).toEqual([639, 15 * 1024]);
    expect(text(memory, u32(info + 16))).toBe("kernel a=1 b");
    expect(text(memory, u32(info + 64))).toBe("xlat86");

    expect(u32(info + 20)).toBe(3);
    const mods = [0, 1, 2].map((i) => u32(info + 24) + 16 * i).map((at) => ({ start: u32(at), end: u32(at + 4), text: text(memory, u32(at + 8)) }));
    expect(mods.map((m) => [m.end - m.start, m.text, u32(m.start) & 0xff])).toEqual([
      [10, "initrd", 0x11],
      [5000, "one x=y", 0x22],
      [1, "two", 0x33],
    ]);
    for (const m of mods) {
      expect(m.start % 4096).toBe(0);
      expect(m.start).toBeGreaterThanOrEqual(0x112000);
    }

    const map = u32(info + 48);
    const entries: number[][] = [];
    for (let at = map; at < map + u32(info + 44); at += u32(at) + 4) entries.push([u32(at + 4), u32(at + 12), u32(at + 20)]);
    expect(entries).toEqual(pcMemoryMap(16 * MiB).map((r) => [r.base, r.length, r.type]));
  });

  it("never lets its structures overlap the kernel or each other", () => {
    // A kernel that claims most of conventional memory.
    const low = elf32(0x2000, [{ virtual: 0x1000, physical: 0x1000, bytes: join(multibootHeader(0), new Uint8Array(0x90000)) }]);
    const p = plan(low, { append: "x".repeat(5000), modules: [{ file: { name: "m", bytes: new Uint8Array(100_000) }, commandLine: "m" }] });
    const spans = p.writes.map((w) => [w.address, w.address + w.bytes.length] as const).sort((a, b) => a[0] - b[0]);
    for (let i = 1; i < spans.length; i++) expect(spans[i]![0]).toBeGreaterThanOrEqual(spans[i - 1]![1]);
  });

  it("boots without a video mode that was asked for, and says so", () => {
    const image = elf32(0x100010, [{ virtual: 0x100000, physical: 0x100000, bytes: join(multibootHeader(4), code) }]);
    expect(plan(image).warnings.join()).toMatch(/video mode/);
  });

  const address = (fields: readonly [number, number, number, number, number]): Uint8Array => join(multibootHeader(0x10000, fields), code);
  it.each<readonly [string, Uint8Array, RegExp]>([
    ["an unknown requirement", join(multibootHeader(0x80), code), /unknown requirement 0x80/],
    ["no ELF and no address fields", join(multibootHeader(0), code), /expected an ELF file/],
    [
      "a 64-bit ELF file",
      elf32(0x100000, [{ virtual: 0x100000, physical: 0x100000, bytes: multibootHeader(0) }], { class: 2, machine: 62 }),
      /64-bit ELF file for x86-64/,
    ],
    [
      "a position-independent ELF file",
      elf32(0x100000, [{ virtual: 0x100000, physical: 0x100000, bytes: multibootHeader(0) }], { type: 3 }),
      /ET_EXEC/,
    ],
    ["a truncated ELF file", elf().subarray(0, 200), /truncated/],
    ["an entry outside the image", elf32(0x5000, [{ virtual: 0x100000, physical: 0x100000, bytes: multibootHeader(0) }]), /entry point/],
    [
      "overlapping segments",
      elf32(
        0x100000,
        [0, 8].map((o) => ({ virtual: 0x100000 + o, physical: 0x100000 + o, bytes: multibootHeader(0) })),
      ),
      /free of other segments/,
    ],
    [
      "a kernel beyond memory",
      elf32(0x4000000, [{ virtual: 0x4000000, physical: 0x4000000, bytes: multibootHeader(0) }]),
      /at least 65M with --memory/,
    ],
    ["load_end past the file", address([0x100000, 0x100000, 0x200000, 0, 0x100020]), /truncated/],
    ["load_addr above header_addr", address([0x100000, 0x100010, 0, 0, 0x100020]), /load_addr/],
    ["load_addr before the file", address([0x100000, 0x0ff000, 0, 0, 0x100020]), /load_addr/],
    ["an entry outside the address fields", address([0x100000, 0x100000, 0, 0, 0x900000]), /entry_addr/],
    ["bss_end below load_end", address([0x100000, 0x100000, 0, 0x100001, 0x100000]), /bss_end_addr/],
    ["cut address fields", multibootHeader(0x10000), /truncated/],
  ])("refuses %s", (_, bytes, message) => {
    expect(failure(bytes)).toMatch(message);
  });

  it("finds the header only in the first 8 KiB, aligned, with a right checksum", () => {
    const body = (lead: number): Uint8Array => join(new Uint8Array(lead), multibootHeader(0x10000, [0x100000, 0x100000, 0, 0, 0x100000]));
    expect(plan(body(8192 - 32)).protocol).toBe("multiboot");
    for (const bytes of [body(8192), body(2), join(multibootHeader(0).fill(0xff, 8), code)])
      expect(failure(bytes)).toMatch(/expected a Linux bzImage or a Multiboot/);
  });
});
