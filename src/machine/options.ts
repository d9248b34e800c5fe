/** What a machine is made of, checked before anything is built. */

import type { BlockStorage } from "../../runtime/devices/storage/block-storage.ts";
import { type OptimisationName, optimisationNames } from "../../translator/contract/optimisations.ts";
import type { Pass } from "../../translator/passes/pipeline.ts";
import { describeSize } from "../boot/error.ts";
import type { GuestFile } from "../boot/plan.ts";
import type { Sampler } from "./sampler.ts";

/** Bytes, or bytes with the name that error messages use for them. */
export type GuestImage = Uint8Array | GuestFile;

export interface ModuleOptions {
  readonly image: GuestImage;
  /** The string the kernel gets with the module; its name when absent. */
  readonly commandLine?: string;
}

/** Kinds of debug output, by the names QEMU users know where there is one. */
export const debugCategories = ["in_asm", "ir", "js", "exec", "int", "callout", "firmware"] as const;
export type DebugCategory = (typeof debugCategories)[number];

/** What is behind a drive. */
export interface Drive {
  readonly storage: BlockStorage;
  /** "disk" by default; "cdrom" is a CD drive (on hda to hdd only). */
  readonly media?: "disk" | "cdrom";
  /** For messages and for the names that guests see. */
  readonly name: string;
}

/** Drives by where they are: the four IDE places, two floppy drives, virtio-blk devices. */
export interface Drives {
  readonly hda?: Drive;
  readonly hdb?: Drive;
  readonly hdc?: Drive;
  readonly hdd?: Drive;
  readonly fda?: Drive;
  readonly fdb?: Drive;
  readonly virtio?: readonly Drive[];
}

/** Places in `Drives` of the IDE drives (primary and secondary channel, master and slave) and of the floppy drives. */
export const ideDriveNames = ["hda", "hdb", "hdc", "hdd"] as const;
export const floppyDriveNames = ["fda", "fdb"] as const;

export interface MachineOptions {
  /** A Linux bzImage or a Multiboot 1 kernel, started without firmware. Without one a BIOS boots the machine. */
  readonly kernel?: GuestImage;
  /** The BIOS, 64 KiB to 4 MiB; needed when there is no kernel. SeaBIOS, say (`fetchFirmware`). */
  readonly bios?: GuestImage;
  /** The VGA adapter's option ROM. */
  readonly vgaBios?: GuestImage;
  readonly drives?: Drives;
  /** Which kinds of drive the BIOS tries, in order: `c` hard disk, `d` CD, `a` floppy, `n` network. "cda" by default. */
  readonly boot?: string;
  /** Whether the BIOS offers its boot menu, and for how long it waits for the key, in milliseconds. Off by default. */
  readonly bootMenu?: { readonly wait: number };
  /** When the guest asks for a reset: `exit` makes `run` return, `reboot` resets the machine and goes on. By default what is booted decides: a BIOS reboots. */
  readonly onReset?: "exit" | "reboot";
  /** Whether there is a VGA adapter. By default there is one where a BIOS boots. */
  readonly vga?: boolean;
  /** Initial RAM disk; for a Multiboot kernel its first module. */
  readonly initrd?: GuestImage;
  /** Kernel command line. */
  readonly append?: string;
  /** Multiboot modules. */
  readonly modules?: readonly ModuleOptions[];
  /** RAM in bytes: 4 MiB to 3.5 GiB in whole pages. 256 MiB by default. */
  readonly memory?: number;
  /** `translate` (default): hot code becomes JavaScript; `interpret`: tier 0 alone. */
  readonly engine?: "translate" | "interpret";
  /** `host` (default): guest time follows the host's; `virtual`: counted in guest instructions, so that runs repeat. */
  readonly clock?: "host" | "virtual";
  /** Optimisations to do without, by name (translator/contract/optimisations.ts). None by default. */
  readonly disable?: Iterable<OptimisationName>;
  /** Told every so often where the guest is: a `GuestTrace`, say. */
  readonly sampler?: Sampler;
  /**
   * Passes over regions other than the usual ones: for tests of what finds wrong ones.
   * @internal
   */
  readonly passes?: readonly Pass[];
  /** Receives debug text of the categories asked for. */
  readonly debug?: { readonly categories: readonly DebugCategory[]; readonly write: (category: DebugCategory, text: string) => void };
}

export interface ResolvedOptions {
  readonly kernel: GuestFile | undefined;
  readonly bios: GuestFile | undefined;
  readonly vgaBios: GuestFile | undefined;
  readonly drives: Drives;
  /** One to four of the letters c, d, a and n, each once. */
  readonly boot: string;
  readonly bootMenu: { readonly wait: number } | undefined;
  readonly onReset: "exit" | "reboot";
  readonly vga: boolean;
  readonly initrd: GuestFile | undefined;
  readonly append: string;
  readonly modules: readonly { readonly file: GuestFile; readonly commandLine: string }[];
  readonly memory: number;
  readonly engine: "translate" | "interpret";
  readonly clock: "host" | "virtual";
  readonly disable: ReadonlySet<OptimisationName>;
  readonly sampler: Sampler | undefined;
  /** @internal */
  readonly passes: readonly Pass[] | undefined;
  readonly debug: MachineOptions["debug"];
}

/** A machine option, or a use of the machine, that cannot work; the message says what would. */
export class MachineError extends Error {
  override readonly name = "MachineError";
}

export const defaultMemory = 256 * 2 ** 20;
export const minMemory = 4 * 2 ** 20;
/** Physical addresses from here up belong to PCI, the APICs' pages and the firmware's alias. */
export const maxMemory = 0xe000_0000;
const maxBios = 4 * 2 ** 20;
const maxVgaBios = 2 ** 16;

function asFile(image: GuestImage, name: string): GuestFile {
  if (image instanceof Uint8Array) return { name, bytes: image };
  if (image?.bytes instanceof Uint8Array) return image;
  throw new MachineError(`${name}: expected a Uint8Array, or { name, bytes }`);
}

function oneOf<T extends string>(name: string, value: T | undefined, choices: readonly [T, ...T[]]): T {
  if (value === undefined) return choices[0];
  if (!choices.includes(value)) throw new MachineError(`${name}: expected ${choices.join(" or ")}, found ${String(value)}`);
  return value;
}

function checkOptimisations(names: Iterable<OptimisationName>): ReadonlySet<OptimisationName> {
  const set = new Set(names);
  for (const name of set) {
    if (!optimisationNames.includes(name)) throw new MachineError(`disable: no optimisation "${name}"; there are ${optimisationNames.join(" ")}`);
  }
  return set;
}

/** Errors: `MachineError`. */
export function checkMemorySize(bytes: number): number {
  const isWhole = Number.isInteger(bytes) && bytes % 4096 === 0;
  if (isWhole && bytes >= minMemory && bytes <= maxMemory) return bytes;
  const found = Number.isFinite(bytes) ? describeSize(bytes) : String(bytes);
  throw new MachineError(`memory: expected ${describeSize(minMemory)} to ${describeSize(maxMemory)} in whole 4 KiB pages, found ${found}`);
}

/** What SeaBIOS and the reset vector can live with: whole 64 KiB up to what is kept free below 4 GiB. */
function checkBios(bios: GuestFile): GuestFile {
  const { length } = bios.bytes;
  if (length > 0 && length % 0x10000 === 0 && length <= maxBios) return bios;
  throw new MachineError(`${bios.name}: expected a BIOS of whole 64 KiB up to ${describeSize(maxBios)}, found ${describeSize(length)}`);
}

function checkVgaBios(rom: GuestFile): GuestFile {
  const { bytes, name } = rom;
  if (bytes.length >= 512 && bytes.length <= maxVgaBios && bytes[0] === 0x55 && bytes[1] === 0xaa) return rom;
  throw new MachineError(
    `${name}: expected an option ROM (55h AAh at its start) of up to ${describeSize(maxVgaBios)}, found ${describeSize(bytes.length)}`,
  );
}

function checkBoot(boot: string): string {
  if (/^[cdan]{1,4}$/.test(boot) && new Set(boot).size === boot.length) return boot;
  throw new MachineError(
    `boot: expected the letters c (disk), d (CD), a (floppy) and n (network) in the order to try, each at most once, found "${boot}"`,
  );
}

function checkDrives(drives: Drives): Drives {
  const check = (place: string, drive: Drive | undefined, canBeCd: boolean): void => {
    if (drive === undefined) return;
    if (!(drive.storage?.size >= 0)) throw new MachineError(`drives.${place}: expected { storage, name }`);
    if (!canBeCd && drive.media === "cdrom") throw new MachineError(`drives.${place}: ${drive.name} as a CD; CD drives are hda to hdd`);
  };
  for (const place of ideDriveNames) check(place, drives[place], true);
  for (const place of floppyDriveNames) check(place, drives[place], false);
  for (const [n, drive] of (drives.virtio ?? []).entries()) check(`virtio[${n}]`, drive, false);
  return drives;
}

/** Errors: `MachineError`. */
export function resolveOptions(options: MachineOptions): ResolvedOptions {
  const { kernel, bios } = options;
  if (kernel === undefined && bios === undefined) {
    throw new MachineError("nothing to boot: pass a kernel, or a BIOS (and drives for it to boot from)");
  }
  // With both, the kernel is started directly and the BIOS is not needed.
  const bootsBios = kernel === undefined;
  return {
    kernel: kernel === undefined ? undefined : asFile(kernel, "kernel"),
    bios: !bootsBios || bios === undefined ? undefined : checkBios(asFile(bios, "bios")),
    vgaBios: options.vgaBios === undefined ? undefined : checkVgaBios(asFile(options.vgaBios, "vgaBios")),
    drives: checkDrives(options.drives ?? {}),
    boot: checkBoot(options.boot ?? "cda"),
    bootMenu: options.bootMenu,
    onReset: oneOf("onReset", options.onReset, bootsBios ? ["reboot", "exit"] : ["exit", "reboot"]),
    vga: options.vga ?? bootsBios,
    initrd: options.initrd === undefined ? undefined : asFile(options.initrd, "initrd"),
    append: options.append ?? "",
    modules: (options.modules ?? []).map((module, i) => {
      const file = asFile(module.image, `module ${i}`);
      return { file, commandLine: module.commandLine ?? file.name };
    }),
    memory: checkMemorySize(options.memory ?? defaultMemory),
    engine: oneOf("engine", options.engine, ["translate", "interpret"]),
    clock: oneOf("clock", options.clock, ["host", "virtual"]),
    disable: checkOptimisations(options.disable ?? []),
    sampler: options.sampler,
    passes: options.passes,
    debug: options.debug,
  };
}
