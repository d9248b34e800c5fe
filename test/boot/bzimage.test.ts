import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { planBoot } from "../../src/boot/detect.ts";
import { BootError } from "../../src/boot/error.ts";
import { pcMemoryMap } from "../../src/boot/memory-map.ts";
import type { BootPlan, BootRequest } from "../../src/boot/plan.ts";
import { fetchLinuxGuest } from "../../src/guest/debian.ts";
import { bzImage } from "./images.ts";

const MiB = 2 ** 20;

function request(kernel: Uint8Array, more: Partial<BootRequest> = {}): BootRequest {
  const memorySize = more.memorySize ?? 64 * MiB;
  return { kernel: { name: "bzImage", bytes: kernel }, append: "", modules: [], memorySize, memoryMap: pcMemoryMap(memorySize), ...more };
}

function failure(r: BootRequest): BootError {
  try {
    planBoot(r);
  } catch (error) {
    if (error instanceof BootError) return error;
    throw error;
  }
  throw new Error("the image was accepted");
}

/** Physical memory as the plan leaves it; overlapping writes are an error. */
function memoryOf(plan: BootPlan): { at(address: number, length: number): Uint8Array; u32(address: number): number; text(address: number): string } {
  const sorted = [...plan.writes].sort((a, b) => a.address - b.address);
  for (const [i, write] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next) expect(write.address + write.bytes.length, `${write.what} overlaps ${next.what}`).toBeLessThanOrEqual(next.address);
  }
  const at = (address: number, length: number): Uint8Array => {
    const write = sorted.find((w) => address >= w.address && address + length <= w.address + w.bytes.length);
    if (!write) throw new Error(`nothing written at ${address.toString(16)}`);
    return write.bytes.subarray(address - write.address, address - write.address + length);
  };
  const u32 = (address: number): number => new DataView(Uint8Array.from(at(address, 4)).buffer).getUint32(0, true);
  const text = (address: number): string => {
    let end = address;
    while (at(end, 1)[0] !== 0) end++;
    return new TextDecoder().decode(at(address, end - address));
  };
  return { at, u32, text };
}

describe("the 32-bit boot protocol of Linux", () => {
  const payload = Uint8Array.from({ length: 5000 }, (_, i) => i * 7);

  it("says in screen_info that there is a VGA in mode 3, where there is one", () => {
    // struct screen_info (include/uapi/linux/screen_info.h): mode, columns; EGA's BX; lines, isVGA, points.
    const fieldsOf = (hasTextScreen: boolean): Uint8Array => {
      const plan = planBoot(request(bzImage({ payload }), { hasTextScreen }));
      return memoryOf(plan).at(plan.cpu.esi + 6, 12);
    };
    expect([...fieldsOf(true)]).toEqual([3, 80, 0, 0, 3, 0, 0, 0, 25, 1, 16, 0]);
    expect([...fieldsOf(false)]).toEqual(new Array(12).fill(0));
  });

  it("loads the protected-mode part at 1 MiB and enters it with boot_params in ESI", () => {
    const plan = planBoot(request(bzImage({ payload })));
    const memory = memoryOf(plan);
    expect(plan.protocol).toBe("linux");
    expect(memory.at(0x100000, payload.length)).toEqual(payload);
    const { cpu } = plan;
    expect(cpu).toMatchObject({ eip: 0x100000, ebx: 0, ebp: 0, edi: 0, eflags: 2 });
    expect(cpu.cr0 & 0x80000001).toBe(1); // PE without PG
    expect(memory.u32(cpu.esi + 0x202)).toBe(0x53726448);
  });

  it("sets flat segments at selectors 10h and 18h, and the same in the GDT", () => {
    const plan = planBoot(request(bzImage({})));
    const { segments, gdt } = plan.cpu;
    expect(segments.cs).toEqual({ selector: 0x10, base: 0, limit: 0xffffffff, access: 0x00c09b00 });
    for (const name of ["ds", "es", "ss", "fs", "gs"] as const) {
      expect(segments[name]).toEqual({ selector: 0x18, base: 0, limit: 0xffffffff, access: 0x00c09300 });
    }
    expect(gdt.limit).toBe(31);
    // The flat descriptors everybody knows: 00CF9B00'0000FFFF and 00CF9300'0000FFFF.
    const memory = memoryOf(plan);
    expect([memory.u32(gdt.base + 16), memory.u32(gdt.base + 20)]).toEqual([0xffff, 0x00cf9b00]);
    expect([memory.u32(gdt.base + 24), memory.u32(gdt.base + 28)]).toEqual([0xffff, 0x00cf9300]);
  });

  it("copies the setup header and fills in what the boot loader owns", () => {
    const plan = planBoot(request(bzImage({}), { append: "console=ttyS0 quiet", rsdp: 0xf0000 }));
    const memory = memoryOf(plan);
    const page = plan.cpu.esi;
    expect(memory.at(page + 0x210, 1)[0]).toBe(0xff);
    expect(memory.text(memory.u32(page + 0x228))).toBe("console=ttyS0 quiet");
    expect([memory.u32(page + 0x218), memory.u32(page + 0x21c)]).toEqual([0, 0]);
    expect(memory.u32(page + 0x260)).toBe(0x100000);
    expect(memory.u32(page + 0x70)).toBe(0xf0000);
    expect(memory.at(page + 0x1ef, 1)[0]).toBe(0); // sentinel
    // Beyond the header's end nothing of the file is copied.
    expect(memory.at(page + 0x26c, 16)).toEqual(new Uint8Array(16));
  });

  it("passes the e820 map", () => {
    const map = pcMemoryMap(64 * MiB);
    const plan = planBoot(request(bzImage({})));
    const memory = memoryOf(plan);
    const page = plan.cpu.esi;
    expect(memory.at(page + 0x1e8, 1)[0]).toBe(map.length);
    const entries = map.map((_, i) => [0, 8, 16].map((field) => memory.u32(page + 0x2d0 + 20 * i + field)));
    expect(entries).toEqual(map.map((r) => [r.base, r.length, r.type]));
    expect(entries.at(-1)).toEqual([0x100000, 63 * MiB, 1]);
    expect(memory.u32(page + 0x1e0)).toBe(63 * 1024);
  });

  it("puts the initrd page-aligned as high as initrd_addr_max and memory allow", () => {
    const initrd = { name: "initrd.gz", bytes: new Uint8Array(5000).fill(0x5a) };
    const place = (more: Parameters<typeof bzImage>[0], memorySize: number): number => {
      const plan = planBoot(request(bzImage(more), { initrd, memorySize, memoryMap: pcMemoryMap(memorySize) }));
      const memory = memoryOf(plan);
      const address = memory.u32(plan.cpu.esi + 0x218);
      expect(memory.u32(plan.cpu.esi + 0x21c)).toBe(5000);
      expect(memory.at(address, 5000)).toEqual(initrd.bytes);
      return address;
    };
    expect(place({}, 64 * MiB)).toBe(64 * MiB - 0x2000);
    expect(place({ initrdMax: 0x1ffffff }, 64 * MiB)).toBe(32 * MiB - 0x2000);
    expect(place({}, 2048 * MiB)).toBe(0x38000000 - 0x2000);
  });

  it("takes setup_sects 0 to mean 4", () => {
    const plan = planBoot(request(bzImage({ payload, setupSects: 0 })));
    expect(memoryOf(plan).at(0x100000, payload.length)).toEqual(payload);
  });

  it.each([
    ["an old protocol", bzImage({ version: 0x0201 }), /boot protocol version 2\.02 or newer at offset 0x206, found version 2\.01/],
    ["a zImage", bzImage({ loadFlags: 0 }), /found a zImage/],
    ["a 64-bit kernel", bzImage({ xloadFlags: 1 }), /found a 64-bit kernel/],
    ["a truncated kernel", bzImage({ sysSize: 100_000 }), /truncated/],
    ["a file that ends in the setup sectors", bzImage({}).subarray(0, 1400), /truncated/],
    ["memory below init_size", bzImage({ initSize: 0x4000000 }), /at least 80M with --memory/],
  ])("refuses %s", (_, bytes, message) => {
    expect(failure(request(bytes)).message).toMatch(message);
  });

  it("refuses an initrd that does not fit, a command line that is too long, and modules", () => {
    const bytes = new Uint8Array(50 * MiB);
    const error = failure(request(bzImage({}), { initrd: { name: "big.gz", bytes } }));
    expect(error.file).toBe("big.gz");
    expect(error.message).toMatch(/big\.gz: expected an initrd that fits .* found 50 MiB; give the guest at least 68M/);
    expect(failure(request(bzImage({ cmdlineSize: 10 }), { append: "01234567890" })).message).toMatch(/at most 10 bytes.*found 11 bytes/);
    expect(failure(request(bzImage({}), { modules: [{ file: { name: "m", bytes }, commandLine: "" }] })).message).toMatch(/--initrd/);
  });
});

describe("what is not a kernel", () => {
  it.each([
    ["an empty file", new Uint8Array(0), /an empty file/],
    ["a short file", new Uint8Array(100), /only 100 bytes/],
    ["zeros", new Uint8Array(100_000), /97\.7 KiB of something else/],
    ["gzip", Uint8Array.from([0x1f, 0x8b, 8, 0]), /a gzip file/],
    [
      "an ELF file",
      Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0]),
      /64-bit ELF file for x86-64 without a Multiboot/,
    ],
    ["a boot sector", Uint8Array.from({ length: 2048 }, (_, i) => (i === 510 ? 0x55 : i === 511 ? 0xaa : 0)), /a boot sector/],
  ])("says so of %s", (_, bytes, message) => {
    const error = failure(request(bytes));
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^bzImage: expected a Linux bzImage or a Multiboot 1 kernel/);
    expect(error.message).not.toMatch(/\n/);
  });
});

describe("Debian's kernel", () => {
  it("is taken apart as its own header says", { timeout: 240_000 }, async (context) => {
    const kernel = await fetchLinuxGuest().then(
      (guest) => guest.kernel,
      (error: Error) => {
        console.warn(`SKIPPED: Debian's kernel could not be fetched: ${error.message}`);
        expect(process.env.CI, error.message).not.toBe("true");
        return context.skip();
      },
    );
    const bytes = readFileSync(kernel);
    const plan = planBoot(request(bytes, { memorySize: 256 * MiB, memoryMap: pcMemoryMap(256 * MiB) }));
    const payload = plan.writes.find((w) => w.what === "kernel")!;
    expect(payload.address).toBe(0x100000);
    // payload_offset (0x248) says where in the protected-mode part the compressed kernel begins: Debian's is xz.
    const start = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0x248, true);
    expect([...payload.bytes.subarray(start, start + 6)]).toEqual([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]);
    expect(failure(request(bytes.subarray(0, bytes.length / 2))).message).toMatch(/truncated/);
  });
});
