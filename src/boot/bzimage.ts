/**
 * Linux's 32-bit boot protocol (Documentation/arch/x86/boot.rst and zero-page.rst). A bzImage is a real-mode setup part, which is
 * not run here, followed by a protected-mode part that is loaded at 1 MiB and entered directly with the "zero page"
 * (struct boot_params) in ESI: the setup header copied from the file, plus what the setup code would have found out by BIOS calls.
 */
import { cString, Fields, hex } from "./bytes.ts";
import { BootError, describeSize } from "./error.ts";
import { flatGdt, flatProtectedMode } from "./flat.ts";
import { conventionalEnd, highMemory, Placement } from "./memory-map.ts";
import type { BootPlan, BootRequest, GuestFile } from "./plan.ts";

/** Offsets in the file and, being copied in place, in the zero page. */
const header = {
  setupSects: 0x1f1,
  sysSize: 0x1f4,
  vidMode: 0x1fa,
  bootFlag: 0x1fe,
  jumpOffset: 0x201,
  magic: 0x202,
  version: 0x206,
  typeOfLoader: 0x210,
  loadFlags: 0x211,
  code32Start: 0x214,
  ramdiskImage: 0x218,
  ramdiskSize: 0x21c,
  cmdLinePtr: 0x228,
  initrdAddrMax: 0x22c,
  kernelAlignment: 0x230,
  relocatable: 0x234,
  xloadFlags: 0x236,
  cmdlineSize: 0x238,
  prefAddress: 0x258,
  initSize: 0x260,
} as const;

/** Offsets in the zero page outside the setup header. */
const zeroPage = { extMemK: 0x02, acpiRsdp: 0x70, altMemK: 0x1e0, e820Entries: 0x1e8, e820Table: 0x2d0, size: 0x1000 } as const;
const maxE820Entries = 128;
/** screen_info at the page's start (include/uapi/linux/screen_info.h), as setup's INT 10h calls would have filled it in for a VGA with 256 KiB in mode 3. */
const screenInfo = { videoMode: 0x06, columns: 0x07, egaBx: 0x0a, lines: 0x0e, isVga: 0x0f, points: 0x10 } as const;
const textMode = { number: 3, columns: 80, lines: 25, points: 16, egaBx: 0x0003 } as const;

const headerMagic = 0x53726448; // "HdrS"
const bootSignature = 0xaa55;
const oldestVersion = 0x0202;
const loadedHigh = 1;
const kernel64 = 1;
const unregisteredLoader = 0xff;
const normalVideoMode = 0xffff;
/** Before 2.03 the header does not say; boot.rst gives this. */
const defaultInitrdMax = 0x37ffffff;
const defaultCommandLineSize = 255;
const initrdAlignment = 0x1000;

export interface LinuxHeader {
  readonly version: number;
  /** File offset and size of the protected-mode part. */
  readonly payloadOffset: number;
  readonly payloadSize: number;
  readonly loadAddress: number;
  /** End of the memory the kernel uses before it reads its memory map. */
  readonly runEnd: number;
  readonly initrdMax: number;
  readonly commandLineMax: number;
}

export function isLinuxImage(bytes: Uint8Array): boolean {
  const file = new Fields(bytes);
  return file.u16(header.bootFlag) === bootSignature && file.u32(header.magic) === headerMagic;
}

const versionText = (v: number): string => `${v >> 8}.${(v & 0xff).toString().padStart(2, "0")}`;

/** Reads and checks the setup header. Errors: `BootError`. */
export function parseLinuxHeader(kernel: GuestFile): LinuxHeader {
  const file = new Fields(kernel.bytes);
  const problem = (offset: number, expected: string, found: string, hint: string) =>
    new BootError({ file: kernel.name, offset, expected, found, hint });

  const version = file.u16(header.version);
  if (version < oldestVersion) {
    throw problem(
      header.version,
      `boot protocol version ${versionText(oldestVersion)} or newer`,
      `version ${versionText(version)}`,
      "use a bzImage of Linux 2.4 or newer",
    );
  }
  if ((file.u8(header.loadFlags) & loadedHigh) === 0) {
    throw problem(header.loadFlags, "a bzImage (LOADED_HIGH set in loadflags)", "a zImage", "build the kernel as a bzImage");
  }
  if (version >= 0x020c && (file.u16(header.xloadFlags) & kernel64) !== 0) {
    throw problem(
      header.xloadFlags,
      "a 32-bit x86 kernel",
      "a 64-bit kernel (XLF_KERNEL_64 set in xloadflags)",
      "use an i386 kernel, such as Debian's linux-image-686",
    );
  }

  const payloadOffset = ((file.u8(header.setupSects) || 4) + 1) * 512;
  // syssize counts 16-byte paragraphs, the last one possibly partial; before 2.04 only 16 bits of it can be trusted.
  const available = file.length - payloadOffset;
  const payloadSize = version >= 0x0204 ? file.u32(header.sysSize) * 16 : available;
  if (available <= 0 || available < payloadSize - 15) {
    throw problem(
      file.length,
      `${describeSize(payloadOffset + Math.max(payloadSize, 1))} of kernel, as its header says`,
      `the end of the file after ${describeSize(file.length)}`,
      "the file is truncated: fetch or copy it again",
    );
  }

  const loadAddress = file.u32(header.code32Start) || highMemory;
  let runEnd = loadAddress + Math.min(payloadSize, available);
  if (version >= 0x020a) {
    const preferred = file.u64(header.prefAddress);
    const alignment = Math.max(1, file.u32(header.kernelAlignment));
    const start = file.u8(header.relocatable) ? Math.max(preferred, Math.ceil(loadAddress / alignment) * alignment) : preferred;
    runEnd = Math.max(runEnd, start + file.u32(header.initSize));
  }
  return {
    version,
    payloadOffset,
    payloadSize: Math.min(payloadSize, available),
    loadAddress,
    runEnd,
    initrdMax: version >= 0x0203 ? file.u32(header.initrdAddrMax) : defaultInitrdMax,
    commandLineMax: version >= 0x0206 ? file.u32(header.cmdlineSize) : defaultCommandLineSize,
  };
}

/** The plan for starting a bzImage. Errors: `BootError`. */
export function planLinux(request: BootRequest): BootPlan {
  const { kernel, initrd, append, memorySize, memoryMap } = request;
  const linux = parseLinuxHeader(kernel);
  if (request.modules.length > 0) {
    throw new BootError({
      file: kernel.name,
      expected: "a Multiboot kernel, which takes modules",
      found: "a Linux bzImage",
      hint: "pass the initial RAM disk with --initrd",
    });
  }

  const commandLine = cString(append);
  if (commandLine.length - 1 > linux.commandLineMax) {
    throw new BootError({
      file: kernel.name,
      offset: header.cmdlineSize,
      expected: `a command line of at most ${linux.commandLineMax} bytes`,
      found: `${commandLine.length - 1} bytes`,
      hint: "shorten --append",
    });
  }

  const place = new Placement(memoryMap);
  if (!place.take(linux.loadAddress, linux.runEnd - linux.loadAddress)) {
    throw new BootError({
      file: kernel.name,
      expected: `memory for the kernel up to ${hex(linux.runEnd)} (${describeSize(linux.runEnd)})`,
      found: `${describeSize(memorySize)} of memory`,
      hint: `give the guest at least ${Math.ceil(linux.runEnd / 2 ** 20)}M with --memory`,
    });
  }
  const low = (length: number, alignment: number): number => {
    const address = place.lowest(length, alignment, 0x1000);
    if (address === undefined) throw new RangeError("the memory map has no conventional memory");
    return address;
  };
  const gdt = flatGdt();
  const gdtAddress = low(gdt.length, 16);
  const pageAddress = low(zeroPage.size, 0x1000);
  const commandLineAddress = low(commandLine.length, 16);

  let initrdAddress = 0;
  if (initrd && initrd.bytes.length > 0) {
    const found = place.highest(initrd.bytes.length, initrdAlignment, linux.initrdMax + 1);
    if (found === undefined || found < linux.loadAddress) {
      const limit = Math.min(place.top, linux.initrdMax + 1);
      throw new BootError({
        file: initrd.name,
        expected: `an initrd that fits between the kernel's end at ${hex(linux.runEnd)} and ${hex(limit)} (${describeSize(Math.max(0, limit - linux.runEnd))})`,
        found: describeSize(initrd.bytes.length),
        hint: `give the guest at least ${Math.ceil((linux.runEnd + initrd.bytes.length) / 2 ** 20) + 1}M with --memory, or use a smaller initrd`,
      });
    }
    initrdAddress = found;
  }

  const page = buildZeroPage(request, { commandLineAddress, initrdAddress, initrdSize: initrd?.bytes.length ?? 0 });
  return {
    protocol: "linux",
    writes: [
      { address: gdtAddress, bytes: gdt, what: "GDT" },
      { address: pageAddress, bytes: page, what: "boot_params" },
      { address: commandLineAddress, bytes: commandLine, what: "command line" },
      {
        address: linux.loadAddress,
        bytes: kernel.bytes.subarray(linux.payloadOffset, linux.payloadOffset + linux.payloadSize),
        what: "kernel",
      },
      ...(initrdAddress ? [{ address: initrdAddress, bytes: initrd!.bytes, what: "initrd" }] : []),
    ],
    cpu: flatProtectedMode(linux.loadAddress, gdtAddress, { esi: pageAddress, esp: conventionalEnd }),
    warnings: [],
  };
}

function buildZeroPage(request: BootRequest, at: { commandLineAddress: number; initrdAddress: number; initrdSize: number }): Uint8Array {
  const bytes = new Uint8Array(zeroPage.size);
  const file = request.kernel.bytes;
  const headerEnd = header.magic + new Fields(file).u8(header.jumpOffset);
  bytes.set(file.subarray(header.setupSects, headerEnd), header.setupSects);

  const page = new DataView(bytes.buffer);
  page.setUint16(header.vidMode, normalVideoMode, true);
  page.setUint8(header.typeOfLoader, unregisteredLoader);
  page.setUint32(header.cmdLinePtr, at.commandLineAddress, true);
  page.setUint32(header.ramdiskImage, at.initrdAddress, true);
  page.setUint32(header.ramdiskSize, at.initrdAddress ? at.initrdSize : 0, true);

  if (request.hasTextScreen === true) {
    page.setUint8(screenInfo.videoMode, textMode.number);
    page.setUint8(screenInfo.columns, textMode.columns);
    page.setUint16(screenInfo.egaBx, textMode.egaBx, true);
    page.setUint8(screenInfo.lines, textMode.lines);
    page.setUint8(screenInfo.isVga, 1);
    page.setUint16(screenInfo.points, textMode.points, true);
  }

  // What setup's detect_memory() reports: INT 15h AH=88h (at most 64 MiB less 1 KiB), AX=E801h, and E820h.
  const highKiB = (request.memorySize - highMemory) / 1024;
  page.setUint16(zeroPage.extMemK, Math.min(highKiB, 0xffff), true);
  page.setUint32(zeroPage.altMemK, highKiB, true);
  const map = request.memoryMap.slice(0, maxE820Entries);
  page.setUint8(zeroPage.e820Entries, map.length);
  for (const [i, range] of map.entries()) {
    const entry = zeroPage.e820Table + i * 20;
    page.setBigUint64(entry, BigInt(range.base), true);
    page.setBigUint64(entry + 8, BigInt(range.length), true);
    page.setUint32(entry + 16, range.type, true);
  }
  if (request.rsdp !== undefined) page.setBigUint64(zeroPage.acpiRsdp, BigInt(request.rsdp), true);
  return bytes;
}
