/**
 * Multiboot 1 (Multiboot Specification 0.6.96). The header lies 4-byte aligned in the first 8 KiB of the file; the image is loaded
 * by the header's own address fields when it has them (flag 16, the "a.out kludge") and as a 32-bit ELF file otherwise. The kernel
 * is entered in flat 32-bit protected mode with EAX = 0x2BADB002 and EBX = the Multiboot information structure.
 */
import { cString, Fields, hex } from "./bytes.ts";
import { loadElf } from "./elf.ts";
import { BootError, describeSize } from "./error.ts";
import { flatGdt, flatProtectedMode } from "./flat.ts";
import { highMemory, memoryType, Placement } from "./memory-map.ts";
import type { BootPlan, BootRequest, GuestFile } from "./plan.ts";

const headerMagic = 0x1badb002;
const bootedMagic = 0x2badb002;
const searchLength = 8192;
const loaderName = "xlat86";

/** Header flags (3.1.2). Bits 0-15 are requirements: one the loader does not know means it must not boot the image. */
const headerFlag = { pageAlignModules: 1, memoryInformation: 2, videoMode: 4, knownRequirements: 7, addressFields: 1 << 16 } as const;
/** Flags of the information structure (3.3). */
const information = { memory: 1, commandLine: 4, modules: 8, memoryMap: 64, loaderName: 512, size: 88 } as const;

/** A piece of the image: the file's bytes at `address`, zero-filled up to `memorySize`. */
export interface LoadSegment {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly memorySize: number;
}

export interface LoadedImage {
  readonly entry: number;
  readonly segments: readonly LoadSegment[];
}

/** Offset of the Multiboot header, or -1. */
export function findMultibootHeader(bytes: Uint8Array): number {
  const file = new Fields(bytes);
  const last = Math.min(file.length, searchLength) - 12;
  for (let offset = 0; offset <= last; offset += 4) {
    if (file.u32(offset) !== headerMagic) continue;
    if (((headerMagic + file.u32(offset + 4) + file.u32(offset + 8)) & 0xffffffff) === 0) return offset;
  }
  return -1;
}

/** The plan for starting a Multiboot kernel. Errors: `BootError`. */
export function planMultiboot(request: BootRequest): BootPlan {
  const { kernel, memorySize } = request;
  const offset = findMultibootHeader(kernel.bytes);
  if (offset < 0) throw new RangeError("planMultiboot: no Multiboot header");
  const flags = new Fields(kernel.bytes).u32(offset + 4);
  const unknown = flags & 0xffff & ~headerFlag.knownRequirements;
  if (unknown !== 0) {
    throw new BootError({
      file: kernel.name,
      offset: offset + 4,
      expected: "Multiboot requirements this loader knows (flags 0 to 2)",
      found: `flags ${hex(flags)} with the unknown requirement ${hex(unknown)}`,
      hint: "build the kernel without that requirement",
    });
  }

  const image = flags & headerFlag.addressFields ? loadByAddressFields(kernel, offset) : loadElf(kernel);
  const place = new Placement(request.memoryMap);
  for (const segment of image.segments) {
    if (!place.take(segment.address, segment.memorySize)) {
      const end = segment.address + segment.memorySize;
      throw new BootError({
        file: kernel.name,
        expected: `the kernel's memory ${hex(segment.address)}-${hex(end - 1)} to be usable RAM, free of other segments`,
        found: `${describeSize(memorySize)} of memory`,
        hint: end > memorySize ? `give the guest at least ${Math.ceil(end / 2 ** 20)}M with --memory` : "link the kernel at 1 MiB or above",
      });
    }
  }

  const writes: { address: number; bytes: Uint8Array; what: string }[] = [];
  for (const segment of image.segments) {
    // RAM may hold a former run's bytes after a reset: what the image asks to be zero is written as zero.
    const bytes = segment.memorySize === segment.bytes.length ? segment.bytes : new Uint8Array(segment.memorySize);
    if (bytes !== segment.bytes) bytes.set(segment.bytes);
    writes.push({ address: segment.address, bytes, what: "kernel" });
  }

  const put = (bytes: Uint8Array, alignment: number, from: number, what: string, file: string): number => {
    const address = place.lowest(Math.max(1, bytes.length), alignment, from) ?? place.lowest(Math.max(1, bytes.length), alignment, 0x1000);
    if (address === undefined) {
      throw new BootError({
        file,
        expected: `free memory for ${describeSize(bytes.length)} of ${what}`,
        found: `${describeSize(memorySize)} of memory, mostly taken`,
        hint: `give the guest at least ${Math.ceil((place.top + bytes.length) / 2 ** 20)}M with --memory`,
      });
    }
    writes.push({ address, bytes, what });
    return address;
  };

  const gdtAddress = put(flatGdt(), 16, 0x1000, "GDT", kernel.name);
  // The first word of the command line is the kernel's name, as boot loaders pass it; where the host keeps the file is not its business.
  const ownName = kernel.name.slice(kernel.name.lastIndexOf("/") + 1);
  const commandLine = put(cString(request.append ? `${ownName} ${request.append}` : ownName), 4, 0x1000, "command line", kernel.name);
  const loader = put(cString(loaderName), 4, 0x1000, "boot loader name", kernel.name);

  // An initrd given to a Multiboot kernel is its first module, as with other loaders.
  const modules = [...(request.initrd ? [{ file: request.initrd, commandLine: request.initrd.name }] : []), ...request.modules];
  const moduleTable = new DataView(new ArrayBuffer(modules.length * 16));
  // Above the kernel and not in a gap of it: kernels like to treat what follows their own image as theirs.
  const kernelEnd = Math.max(highMemory, ...image.segments.map((s) => s.address + s.memorySize));
  for (const [i, module] of modules.entries()) {
    const start = put(module.file.bytes, 0x1000, kernelEnd, "module", module.file.name);
    moduleTable.setUint32(i * 16, start, true);
    moduleTable.setUint32(i * 16 + 4, start + module.file.bytes.length, true);
    moduleTable.setUint32(i * 16 + 8, put(cString(module.commandLine), 4, 0x1000, "module string", module.file.name), true);
  }

  const map = new DataView(new ArrayBuffer(request.memoryMap.length * 24));
  for (const [i, range] of request.memoryMap.entries()) {
    // `size` counts what follows it, which is why entries are 24 bytes apart (3.3, mmap_addr).
    map.setUint32(i * 24, 20, true);
    map.setBigUint64(i * 24 + 4, BigInt(range.base), true);
    map.setBigUint64(i * 24 + 12, BigInt(range.length), true);
    map.setUint32(i * 24 + 20, range.type, true);
  }

  const lower = request.memoryMap.find((r) => r.base === 0 && r.type === memoryType.usable);
  const upper = request.memoryMap.find((r) => r.base === highMemory && r.type === memoryType.usable);
  const info = new DataView(new ArrayBuffer(information.size));
  const has = information.memory | information.commandLine | information.modules | information.memoryMap | information.loaderName;
  info.setUint32(0, has, true);
  info.setUint32(4, Math.floor((lower?.length ?? 0) / 1024), true);
  info.setUint32(8, Math.floor((upper?.length ?? 0) / 1024), true);
  info.setUint32(16, commandLine, true);
  info.setUint32(20, modules.length, true);
  info.setUint32(24, modules.length ? put(new Uint8Array(moduleTable.buffer), 4, 0x1000, "module list", kernel.name) : 0, true);
  info.setUint32(44, map.byteLength, true);
  info.setUint32(48, put(new Uint8Array(map.buffer), 4, 0x1000, "memory map", kernel.name), true);
  info.setUint32(64, loader, true);
  const infoAddress = put(new Uint8Array(info.buffer), 4, 0x1000, "Multiboot information", kernel.name);

  return {
    protocol: "multiboot",
    writes,
    cpu: flatProtectedMode(image.entry, gdtAddress, { eax: bootedMagic, ebx: infoAddress }),
    warnings: flags & headerFlag.videoMode ? [`${kernel.name}: the kernel asks for a video mode; there is no display, so it gets none`] : [],
  };
}

/** Flag 16: header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr follow the checksum (3.1.3). */
function loadByAddressFields(kernel: GuestFile, offset: number): LoadedImage {
  const file = new Fields(kernel.bytes);
  const fields = offset + 12;
  const bad = (at: number, expected: string, found: string, hint = "correct the Multiboot header's address fields") =>
    new BootError({ file: kernel.name, offset: at, expected, found, hint });
  if (file.length < fields + 20) {
    throw bad(
      fields,
      "five address fields after the Multiboot header",
      `the end of the file after ${describeSize(file.length)}`,
      "the file is truncated",
    );
  }
  const headerAddress = file.u32(fields);
  const loadAddress = file.u32(fields + 4);
  const loadEnd = file.u32(fields + 8);
  const bssEnd = file.u32(fields + 12);
  const entry = file.u32(fields + 16);

  const start = offset - (headerAddress - loadAddress);
  if (headerAddress < loadAddress || start < 0) {
    throw bad(
      fields,
      "load_addr at or below header_addr, and the image's start inside the file",
      `load_addr ${hex(loadAddress)}, header_addr ${hex(headerAddress)}`,
    );
  }
  const length = loadEnd === 0 ? file.length - start : loadEnd - loadAddress;
  if (length <= 0) throw bad(fields + 8, "load_end_addr above load_addr", `${hex(loadEnd)} against ${hex(loadAddress)}`);
  if (start + length > file.length) {
    throw bad(
      file.length,
      `${describeSize(start + length)} of kernel, as load_end_addr says`,
      `the end of the file after ${describeSize(file.length)}`,
      "the file is truncated: fetch or copy it again",
    );
  }
  const memorySize = bssEnd === 0 ? length : bssEnd - loadAddress;
  if (memorySize < length) throw bad(fields + 12, "bss_end_addr at or above load_end_addr", `${hex(bssEnd)} against ${hex(loadAddress + length)}`);
  if (entry < loadAddress || entry >= loadAddress + memorySize) {
    throw bad(fields + 16, `entry_addr inside the image (${hex(loadAddress)}-${hex(loadAddress + memorySize - 1)})`, hex(entry));
  }
  return { entry, segments: [{ address: loadAddress, bytes: kernel.bytes.subarray(start, start + length), memorySize }] };
}
