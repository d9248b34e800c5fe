/** What a machine is made of, checked before anything is built. */

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
export const debugCategories = ["in_asm", "ir", "js", "exec", "int", "callout"] as const;
export type DebugCategory = (typeof debugCategories)[number];

export interface MachineOptions {
  /** A Linux bzImage or a Multiboot 1 kernel. */
  readonly kernel: GuestImage;
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
  readonly kernel: GuestFile;
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

/** Errors: `MachineError`. */
export function resolveOptions(options: MachineOptions): ResolvedOptions {
  return {
    kernel: asFile(options.kernel, "kernel"),
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
