// Kernel modules by what they say of themselves: the section .modinfo of each .ko file holds "name=", "depends=" and "softdep=" strings separated by NULs
// (include/linux/module.h in the kernel tree). Debian makes modules.dep when a kernel package is configured; here nothing is configured, so it is made from these.

import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";

export interface KernelModule {
  readonly name: string;
  /** Under the tree it was found in. */
  readonly path: string;
  readonly depends: readonly string[];
  /** Modules that it asks for while it runs (a file system for its checksum, say): not by symbol, so not in `depends`. */
  readonly before: readonly string[];
}

const wordSeparators = /[\s,]+/;

/** Module names have underscores where file names may have dashes. */
function moduleName(text: string): string {
  return basename(text, ".ko").replaceAll("-", "_");
}

/** The values of each key in an ELF file's .modinfo. Strings are found by their form, which spares reading section headers. */
export function moduleInformation(bytes: Uint8Array): Map<string, string[]> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  const found = new Map<string, string[]>();
  for (const [, key, value] of text.matchAll(/\0(depends|softdep|name|vermagic)=([^\0]*)(?=\0)/g))
    found.set(key!, [...(found.get(key!) ?? []), value!]);
  return found;
}

/** All modules under `root`, by name. */
export async function findModules(root: string): Promise<Map<string, KernelModule>> {
  const modules = new Map<string, KernelModule>();
  for (const path of (await readdir(root, { recursive: true })).sort()) {
    if (!path.endsWith(".ko")) continue;
    const information = moduleInformation(await readFile(join(root, path)));
    const words = (key: string): string[] =>
      (information.get(key) ?? []).flatMap((value) => value.split(wordSeparators)).filter((word) => word !== "");
    const softdep = (information.get("softdep") ?? []).flatMap((value) =>
      (/pre:\s*([^:]*?)(?:\s+post:|$)/.exec(value)?.[1] ?? "").split(wordSeparators),
    );
    const name = moduleName(path);
    modules.set(name, { name, path, depends: words("depends").map(moduleName), before: softdep.filter((word) => word !== "").map(moduleName) });
  }
  return modules;
}

/** The modules `wanted` and all they need, each after what it needs. A soft dependency that is built into the kernel, or not there, is left out. */
export function inLoadOrder(modules: ReadonlyMap<string, KernelModule>, wanted: readonly string[]): KernelModule[] {
  const order = new Map<string, KernelModule>();
  const visit = (name: string, asker: string): void => {
    if (order.has(name)) return;
    const module = modules.get(name);
    if (module === undefined) throw new Error(`no kernel module ${name}, which ${asker} needs`);
    for (const soft of module.before) if (modules.has(soft)) visit(soft, name);
    for (const needed of module.depends) visit(needed, name);
    order.set(name, module);
  };
  for (const name of wanted) visit(moduleName(name), "the guest");
  return [...order.values()];
}

/** modules.dep, as busybox's modprobe reads it: each file with all the files it needs, nearest first. */
export function dependencyTable(modules: ReadonlyMap<string, KernelModule>): string {
  const lines = [...modules.values()].map(({ name, path }) => {
    const needed = inLoadOrder(
      modules,
      modules.get(name)!.depends.filter((dependency) => modules.has(dependency)),
    )
      .map((module) => module.path)
      .reverse();
    return `${path}:${needed.map((file) => ` ${file}`).join("")}\n`;
  });
  return lines.join("");
}
