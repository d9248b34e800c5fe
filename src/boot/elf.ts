/** 32-bit ELF executables for Intel 386 (System V ABI, ELF chapters 4 and 5): the loadable segments at their physical addresses. */
import { Fields, hex } from "./bytes.ts";
import { BootError, describeSize } from "./error.ts";
import type { LoadedImage, LoadSegment } from "./multiboot.ts";
import type { GuestFile } from "./plan.ts";

const magic = 0x464c457f;
const class32 = 1;
const class64 = 2;
const littleEndian = 1;
const executable = 2;
const machine386 = 3;
const machineX86_64 = 62;
const loadable = 1;
const headerSize = 52;
const programHeaderSize = 32;

export function isElf(bytes: Uint8Array): boolean {
  return new Fields(bytes).u32(0) === magic;
}

/** "64-bit x86" and the like, for messages about ELF files that cannot be booted. */
export function describeElf(bytes: Uint8Array): string {
  const file = new Fields(bytes);
  const bits = file.u8(4) === class64 ? "64-bit" : file.u8(4) === class32 ? "32-bit" : "unknown-class";
  const machine = file.u16(18) === machine386 ? "i386" : file.u16(18) === machineX86_64 ? "x86-64" : `machine ${file.u16(18)}`;
  return `a ${bits} ELF file for ${machine}`;
}

/** Errors: `BootError`. */
export function loadElf(kernel: GuestFile): LoadedImage {
  const file = new Fields(kernel.bytes);
  const bad = (offset: number, expected: string, found: string, hint: string) => new BootError({ file: kernel.name, offset, expected, found, hint });
  if (file.u32(0) !== magic) {
    throw bad(0, "an ELF file, since the Multiboot header has no address fields", `bytes ${hex(file.u32(0), 8)}`, "link as ELF or set flag 16");
  }
  if (file.u8(4) !== class32 || file.u8(5) !== littleEndian || file.u16(18) !== machine386) {
    throw bad(4, "a 32-bit little-endian ELF file for i386", describeElf(kernel.bytes), "build the kernel with -m32");
  }
  if (file.u16(16) !== executable) {
    throw bad(16, "an executable ELF file (ET_EXEC)", `type ${file.u16(16)}`, "link the kernel statically at fixed addresses (-no-pie -static)");
  }
  const table = file.u32(28);
  const entrySize = file.u16(42);
  const count = file.u16(44);
  if (file.length < headerSize || count === 0 || entrySize < programHeaderSize || table + count * entrySize > file.length) {
    throw bad(
      28,
      "a program header table inside the file",
      `${count} entries at ${hex(table)}, the file ends at ${hex(file.length)}`,
      "the file is truncated or damaged",
    );
  }

  const segments: LoadSegment[] = [];
  const virtualEntry = file.u32(24);
  let entry = virtualEntry;
  for (let i = 0; i < count; i++) {
    const at = table + i * entrySize;
    if (file.u32(at) !== loadable) continue;
    const [offset, virtual, physical, fileSize, memorySize] = [4, 8, 12, 16, 20].map((field) => file.u32(at + field)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    if (memorySize === 0) continue;
    if (fileSize > memorySize)
      throw bad(at + 16, "a segment's file size within its memory size", `${hex(fileSize)} of ${hex(memorySize)}`, "the file is damaged");
    if (offset + fileSize > file.length) {
      throw bad(
        file.length,
        `a segment of ${describeSize(fileSize)} at offset ${hex(offset)}`,
        `the end of the file after ${describeSize(file.length)}`,
        "the file is truncated: fetch or copy it again",
      );
    }
    // e_entry is a virtual address and paging is off: a kernel linked high is entered where its segment really lies.
    if (virtualEntry >= virtual && virtualEntry < virtual + memorySize) entry = physical + (virtualEntry - virtual);
    segments.push({ address: physical, bytes: kernel.bytes.subarray(offset, offset + fileSize), memorySize });
  }
  if (!segments.some((s) => entry >= s.address && entry < s.address + s.memorySize)) {
    throw bad(24, "an entry point inside a loadable segment", hex(virtualEntry), "link the kernel with an entry symbol (-e or ENTRY)");
  }
  return { entry, segments };
}
