/** Which boot protocol an image speaks, told by its content; for anything else, what it seems to be and what to use instead. */
import { Fields } from "./bytes.ts";
import { isLinuxImage, planLinux } from "./bzimage.ts";
import { describeElf, isElf } from "./elf.ts";
import { BootError, describeSize } from "./error.ts";
import { findMultibootHeader, planMultiboot } from "./multiboot.ts";
import type { BootPlan, BootRequest } from "./plan.ts";

/** Files people pass by mistake, by their first bytes. */
const knownFormats: readonly (readonly [magic: readonly number[], what: string, hint: string])[] = [
  [[0x1f, 0x8b], "a gzip file", "unpack it, or swap --kernel and --initrd"],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "an xz file", "unpack it, or swap --kernel and --initrd"],
  [[0x28, 0xb5, 0x2f, 0xfd], "a zstd file", "unpack it, or swap --kernel and --initrd"],
  [[0x30, 0x37, 0x30, 0x37, 0x30], "a cpio archive", "pass it with --initrd"],
  [[0x21, 0x3c, 0x61, 0x72, 0x63, 0x68, 0x3e], "a Debian package or ar archive", "unpack it (dpkg-deb -x) and pass its boot/vmlinuz file"],
  [[0x23, 0x21], "a script", "pass a kernel image"],
];

const wanted = "a Linux bzImage or a Multiboot 1 kernel";

/** Errors: `BootError`. */
export function planBoot(request: BootRequest): BootPlan {
  const { kernel } = request;
  if (isLinuxImage(kernel.bytes)) return planLinux(request);
  if (findMultibootHeader(kernel.bytes) >= 0) return planMultiboot(request);
  throw new BootError({ file: kernel.name, expected: wanted, ...whatItIs(kernel.bytes) });
}

function whatItIs(bytes: Uint8Array): { found: string; hint: string } {
  if (bytes.length === 0) return { found: "an empty file", hint: "pass a kernel image" };
  if (isElf(bytes)) {
    const found = `${describeElf(bytes)} without a Multiboot header in its first 8 KiB`;
    return { found, hint: "for Linux pass arch/x86/boot/bzImage, not vmlinux; for your own kernel add a Multiboot 1 header" };
  }
  const known = knownFormats.find(([magic]) => magic.every((byte, i) => bytes[i] === byte));
  if (known) return { found: known[1], hint: known[2] };
  if (new Fields(bytes).u16(0x1fe) === 0xaa55) {
    return { found: "a boot sector or disk image", hint: "booting from disks needs firmware, which is not there yet: pass the kernel itself" };
  }
  if (bytes.length < 1024) return { found: `only ${describeSize(bytes.length)}`, hint: "the file is truncated or not a kernel" };
  return { found: `${describeSize(bytes.length)} of something else`, hint: "pass a kernel image" };
}
