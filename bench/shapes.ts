/**
 * node bench/shapes.ts [guest,...] > src/prepare/shapes.txt
 *
 * Runs guests and prints an instruction for each shape that they execute on tier 0, the commonest first: what handlers are prepared for (src/prepare). A shape's
 * weight is the sum, over the guests, of its share in what tier 0 executed there.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { defaultGuestCache, LINUX_COMMAND_LINE } from "../src/guest/debian.ts";
import { createMachine, type Machine, type MachineOptions } from "../src/index.ts";
import { formatSample, usualOffset } from "../src/prepare/samples.ts";
import { openImageFile } from "../src/storage/node.ts";
import type { ModeKey } from "../translator/contract/mode-key.ts";
import { JavaScriptTranslator } from "../translator/index.ts";
import { shapeKey } from "../translator/lift/shape.ts";
import { userlandGuest } from "./userland/guest.ts";

/** Lines of the list. */
const mostShapes = 1500;
/** Milliseconds between two looks at a guest: code that comes and goes is to be seen as well. */
const interval = 400;
/** A block executed more often is a region's. */
const hottest = 30_000;

interface GuestRun {
  readonly options: () => Promise<MachineOptions>;
  /** Host seconds. */
  readonly limit: number;
  /** On the serial port; it is over then. */
  readonly end?: string;
}

const cache = defaultGuestCache();
const linux = (): MachineOptions => ({
  kernel: readFileSync(join(cache, "vmlinuz")),
  initrd: readFileSync(join(cache, "initrd.gz")),
  append: LINUX_COMMAND_LINE,
  memory: 256 << 20,
});
const userland = async (name: string): Promise<MachineOptions> => {
  const guest = (await userlandGuest()).guest([name], 1);
  const kernel = readFileSync(guest.kernel as string);
  const initrd = readFileSync(guest.initrd as string);
  return { kernel, initrd, append: guest.commandLine as string, memory: guest.memoryMiB << 20 };
};
const medium = async (file: string, place: "hda" | "hdc" | "fda"): Promise<MachineOptions> => {
  const storage = await openImageFile(join(cache, "media", file), { readOnly: true });
  const firmware = (name: string) => readFileSync(join(cache, "firmware", name));
  return {
    bios: firmware("bios-256k.bin"),
    vgaBios: firmware("vgabios-stdvga.bin"),
    memory: 128 << 20,
    boot: place === "hdc" ? "d" : place === "hda" ? "c" : "a",
    drives: { [place]: { storage, name: file, ...(place === "hdc" ? { media: "cdrom" as const } : {}) } },
  };
};

const guests: Readonly<Record<string, GuestRun>> = {
  linux: { options: async () => linux(), limit: 60, end: "Linux is ready." },
  ...Object.fromEntries(
    ["python-loop", "perl-hash", "pipelines", "openssl-rsa", "openssl-aes", "7zz-lzma"].map((name) => [
      name,
      { options: () => userland(name), limit: 60, end: "ALL DONE" },
    ]),
  ),
  isolinux: { options: () => medium("isolinux.iso", "hdc"), limit: 15 },
  "grub-disk": { options: () => medium("grub-disk.img", "hda"), limit: 8 },
  syslinux: { options: () => medium("syslinux-floppy.img", "fda"), limit: 8 },
};

/** One instruction of a shape, and how often those of the shape were executed. */
interface Seen {
  readonly line: string;
  count: number;
}

/** Most executions of each block seen, by mode, place and bytes. */
type Blocks = Map<string, { readonly mode: ModeKey; readonly address: number; readonly bytes: Uint8Array; executions: number }>;

function look(machine: Machine, blocks: Blocks): void {
  for (const { address, mode, length, executions } of machine.blocks()) {
    if (executions === 0) continue;
    const bytes = machine.memory.readPhysical(address, length);
    const key = `${mode} ${address} ${Buffer.from(bytes).toString("latin1")}`;
    const known = blocks.get(key);
    if (known === undefined) blocks.set(key, { mode, address, bytes, executions });
    else known.executions = Math.max(known.executions, executions);
  }
}

async function blocksOf({ options, limit, end }: GuestRun): Promise<Blocks> {
  const machine = createMachine(await options());
  const blocks: Blocks = new Map();
  const timer = setInterval(() => look(machine, blocks), interval);
  let text = "";
  machine.on("serial", (bytes) => {
    text = (text + Buffer.from(bytes).toString("latin1")).slice(-4096);
    if (end !== undefined && text.includes(end)) machine.pause();
  });
  await machine.run({ timeout: limit });
  clearInterval(timer);
  look(machine, blocks);
  await machine.destroy();
  return blocks;
}

function shapesOf(blocks: Blocks): Map<number, Seen> {
  const translator = new JavaScriptTranslator();
  const i = translator.instruction;
  const shapes = new Map<number, Seen>();
  for (const { mode, address, bytes, executions } of blocks.values()) {
    for (let at = 0; at < bytes.length; ) {
      const offset = (address + at) & 0xfff;
      if (translator.decode(bytes, at, bytes.length, mode, offset) < 0) break;
      const key = shapeKey(i, mode, offset);
      const known = shapes.get(key);
      const weight = Math.min(executions, hottest);
      if (known === undefined) {
        const place = shapeKey(i, mode, usualOffset) === key ? usualOffset : offset;
        shapes.set(key, { line: formatSample({ mode, offset: place, bytes: bytes.slice(at, at + i.length) }), count: weight });
      } else known.count += weight;
      at += i.length;
    }
  }
  return shapes;
}

const { positionals } = parseArgs({ allowPositionals: true });
const names = positionals.length === 0 ? Object.keys(guests) : positionals[0].split(",");
const all = new Map<number, Seen>();
for (const name of names) {
  const shapes = shapesOf(await blocksOf(guests[name]));
  const total = [...shapes.values()].reduce((sum, { count }) => sum + count, 0);
  for (const [key, { line, count }] of shapes) {
    const known = all.get(key);
    if (known === undefined) all.set(key, { line, count: count / total });
    else known.count += count / total;
  }
  process.stderr.write(`${name}: ${shapes.size} shapes, ${all.size} in all\n`);
}
const sorted = [...all.values()].sort((a, b) => b.count - a.count).slice(0, mostShapes);
const sum = (count: number): string => (sorted.slice(0, count).reduce((s, seen) => s + seen.count, 0) / names.length).toFixed(4);
process.stderr.write(
  `share of the commonest 100: ${sum(100)}, 200: ${sum(200)}, 300: ${sum(300)}, 500: ${sum(500)}, ${sorted.length}: ${sum(sorted.length)}\n`,
);
process.stdout.write(
  `# Made by ${join(
    "bench",
    fileURLToPath(import.meta.url)
      .split("/")
      .at(-1) as string,
  )}: see samples.ts.\n`,
);
process.stdout.write(`${sorted.map(({ line }) => line).join("\n")}\n`);
process.exit(0);
