/** What a machine is made of, checked before anything is built. */

import { cpuidLevels } from "../../runtime/callouts/identification.ts";
import type { BlockStorage } from "../../runtime/devices/storage/block-storage.ts";
import { type X87Arithmetic, x87Arithmetics } from "../../translator/contract/callouts/x87.ts";
import { type OptimisationName, optimisationNames } from "../../translator/contract/optimisations.ts";
import type { Pass } from "../../translator/passes/pipeline.ts";
import type { PreparedData } from "../../translator/prepared/data.ts";
import { describeSize } from "../boot/error.ts";
import type { GuestFile } from "../boot/plan.ts";
import { nearest } from "./nearest.ts";
import type { RegionWorker } from "./region-worker.ts";
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

/** A CD drive (hda to hdd) or a floppy drive (fda, fdb) with nothing in it, for `machine.drives.insert`. */
export interface EmptyDrive {
  readonly storage: null;
  readonly media?: "cdrom";
}

/** Drives by where they are: the four IDE places, two floppy drives, virtio-blk devices. */
export interface Drives {
  readonly hda?: Drive | EmptyDrive;
  readonly hdb?: Drive | EmptyDrive;
  readonly hdc?: Drive | EmptyDrive;
  readonly hdd?: Drive | EmptyDrive;
  readonly fda?: Drive | EmptyDrive;
  readonly fdb?: Drive | EmptyDrive;
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
  /**
   * Of virtual time; 1 if not told. For tests of firmware, which waits for whole seconds in loops.
   * @internal
   */
  readonly nanosecondsPerInstruction?: number;
  /**
   * What x87 registers hold. `exact` (default): every result has the bits that hardware gives. `double`: IEEE doubles, which are faster, and results differ from
   * hardware's in the last bits (docs/X87.md).
   */
  readonly x87?: X87Arithmetic;
  /**
   * CPUID's last basic leaf, 1 to 22 (default): a system that cannot live with more than it knows, as Windows NT 4, wants 2. Leaves 15h and 16h tell the frequencies of the
   * time-stamp counter and the local APIC's timer, which systems measure otherwise.
   */
  readonly cpuidLevel?: number;
  /** Optimisations to do without, by name (translator/contract/optimisations.ts). None by default. */
  readonly disable?: Iterable<OptimisationName>;
  /**
   * For browsers: begins a worker with the script `xlat86/region-worker`, in which hot code is translated while the guest runs on. Called once at most, when there is something to do, and
   * not where the host has one core; not with the virtual clock or debug output. Where there is none, where this throws and where the worker has an error, hot code is translated on the guest's
   * thread. The worker ends with the machine. In Node the machine has a thread of its own.
   */
  readonly regionWorker?: () => RegionWorker;
  /** Told every so often where the guest is: a `GuestTrace`, say. */
  readonly sampler?: Sampler;
  /**
   * Passes over regions other than the usual ones: for tests of what finds wrong ones.
   * @internal
   */
  readonly passes?: readonly Pass[];
  /**
   * Handlers made beforehand other than those of the build, which a checkout has not: for tests.
   * @internal
   */
  readonly prepared?: PreparedData;
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
  /** @internal */
  readonly nanosecondsPerInstruction: number;
  readonly x87: X87Arithmetic;
  readonly cpuidLevel: number;
  readonly disable: ReadonlySet<OptimisationName>;
  readonly regionWorker: (() => RegionWorker) | undefined;
  readonly sampler: Sampler | undefined;
  /** @internal */
  readonly passes: readonly Pass[] | undefined;
  /** @internal */
  readonly prepared: PreparedData | undefined;
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

export { cpuidLevels };

function checkCpuidLevel(level: number): number {
  const { least, most } = cpuidLevels;
  if (Number.isInteger(level) && level >= least && level <= most) return level;
  throw new MachineError(`cpuidLevel: expected ${least} to ${most}, found ${level}`);
}

/** What SeaBIOS and the reset vector can live with: whole 64 KiB up to what is kept free below 4 GiB. */
function checkBios(bios: GuestFile): GuestFile {
  const { length } = bios.bytes;
  if (length > 0 && length % 0x10000 === 0 && length <= maxBios) {
    // The CPU's first instruction is 16 bytes before the end (SDM vol. 3, 10.1.4): an erased or empty image has none.
    const first = bios.bytes.subarray(length - 16);
    const fill = first[0]!;
    if ((fill !== 0 && fill !== 0xff) || first.some((byte) => byte !== fill)) return bios;
    const found = `nothing but ${fill === 0 ? "zeros" : "FFh"}`;
    throw new MachineError(
      `${bios.name}: expected a BIOS with its first instruction at offset 0x${(length - 16).toString(16)}, found ${found}; give another file`,
    );
  }
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

/** Whether a program passed what a drive can read from: JavaScript callers have no types to tell them. */
export function isStorage(storage: BlockStorage | null | undefined): storage is BlockStorage {
  return typeof storage?.size === "number" && storage.size >= 0 && typeof storage.read === "function";
}

const isFloppyPlace = (place: string): boolean => (floppyDriveNames as readonly string[]).includes(place);

function checkDrives(drives: Drives): Drives {
  const check = (place: string, drive: Drive | EmptyDrive | undefined, canBeCd: boolean): void => {
    if (drive === undefined) return;
    const isRemovable = drive.media === "cdrom" || isFloppyPlace(place);
    if (!isStorage(drive.storage) && !(isRemovable && drive.storage === null)) {
      const empty = isRemovable ? ", storage null for an empty drive" : "";
      throw new MachineError(`drives.${place}: expected { storage, name }${empty}; openImage and openImageFile make a storage`);
    }
    if (drive.media !== undefined && drive.media !== "disk" && drive.media !== "cdrom") {
      throw new MachineError(`drives.${place}: media: expected disk or cdrom, found ${String(drive.media)}`);
    }
    if (!canBeCd && drive.media === "cdrom")
      throw new MachineError(`drives.${place}: ${drive.storage === null ? "an empty drive" : drive.name} as a CD; CD drives are hda to hdd`);
  };
  for (const place of ideDriveNames) check(place, drives[place], true);
  for (const place of floppyDriveNames) check(place, drives[place], false);
  for (const [n, drive] of (drives.virtio ?? []).entries()) check(`virtio[${n}]`, drive, false);
  return drives;
}

/** What the types say, for callers whose compiler does not. */
const shapes: { readonly [K in keyof MachineOptions]?: readonly [expected: string, fits: (value: unknown) => boolean] } = {
  drives: [
    "{ hda, hdb, hdc, hdd, fda, fdb, virtio: [] }",
    (value) => isRecord(value) && Object.keys(value).every((key) => drivePlaces.includes(key)),
  ],
  bootMenu: ["{ wait } in milliseconds", (value) => isRecord(value) && Number.isInteger(value.wait) && (value.wait as number) >= 0],
  vga: ["true or false", (value) => typeof value === "boolean"],
  append: ["a string", (value) => typeof value === "string"],
  modules: ["an array of { image, commandLine? }", (value) => Array.isArray(value) && value.every(isRecord)],
  regionWorker: ["a function that begins a worker", (value) => typeof value === "function"],
  disable: ["a list of names of optimisations", (value) => isRecord(value) && Symbol.iterator in value],
  debug: [
    "{ categories, write(category, text) }",
    (value) => isRecord(value) && Array.isArray(value.categories) && typeof value.write === "function",
  ],
};
const drivePlaces: readonly string[] = [...ideDriveNames, ...floppyDriveNames, "virtio"];

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function checkTypes(options: MachineOptions): void {
  if (!isRecord(options)) throw new MachineError("expected options, such as { kernel } or { bios, drives }");
  for (const [name, shape] of Object.entries(shapes)) {
    const value: unknown = options[name as keyof MachineOptions];
    if (value !== undefined && !shape[1](value)) throw new MachineError(`${name}: expected ${shape[0]}, found ${describeValue(value)}`);
  }
  const virtio = (options.drives as Drives | undefined)?.virtio;
  if (virtio !== undefined && !Array.isArray(virtio)) throw new MachineError("drives.virtio: expected an array of drives");
}

function describeValue(value: unknown): string {
  if (typeof value === "function") return "a function";
  return isRecord(value) ? `{ ${Object.keys(value).join(", ")} }` : JSON.stringify(value);
}

/** Errors: `MachineError`. */
export function resolveOptions(options: MachineOptions): ResolvedOptions {
  checkTypes(options);
  const { kernel, bios } = options;
  if (kernel === undefined && bios === undefined) {
    throw new MachineError("nothing to boot: pass a kernel, or a BIOS (and drives for it to boot from)");
  }
  // With both, the kernel is started directly and the BIOS is not needed.
  const bootsBios = kernel === undefined;
  const resolved: ResolvedOptions = {
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
    nanosecondsPerInstruction: options.nanosecondsPerInstruction ?? 1,
    x87: oneOf("x87", options.x87, x87Arithmetics),
    cpuidLevel: checkCpuidLevel(options.cpuidLevel ?? cpuidLevels.most),
    disable: checkOptimisations(options.disable ?? []),
    regionWorker: options.regionWorker,
    sampler: options.sampler,
    passes: options.passes,
    prepared: options.prepared,
    debug: options.debug,
  };
  refuseUnknown(options, Object.keys(resolved));
  return resolved;
}

/** A name that is mistyped would be an option that is not there, and nobody would know. */
function refuseUnknown(options: MachineOptions, known: readonly string[]): void {
  for (const [name, value] of Object.entries(options)) {
    if (known.includes(name) || value === undefined) continue;
    const near = nearest(name, known);
    throw new MachineError(`unknown option ${name}; ${near === undefined ? `there are ${known.join(", ")}` : `did you mean ${near}?`}`);
  }
}
