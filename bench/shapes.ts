/**
 * node bench/shapes.ts [guest,...] > src/prepare/shapes.txt
 *
 * Runs guests and prints an instruction for each shape that they execute on tier 0, the commonest first: what handlers are prepared for (src/prepare). A shape's
 * weight is the sum, over the guests, of its share in what tier 0 executed there. With the commonest neighbours fused to superinstructions.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { defaultGuestCache, LINUX_COMMAND_LINE } from "../src/guest/debian.ts";
import { createMachine, type Machine, type MachineOptions } from "../src/index.ts";
import { formatSample, fuseSamples, usualOffset } from "../src/prepare/samples.ts";
import { openImageFile } from "../src/storage/node.ts";
import type { ModeKey } from "../translator/contract/mode-key.ts";
import { JavaScriptTranslator } from "../translator/index.ts";
import { shapeKey } from "../translator/lift/shape.ts";
import { userlandGuest } from "./userland/guest.ts";

/** Lines of the list for instructions, and for superinstructions; parts of one. */
const mostShapes = 1500;
const mostFused = 300;
const mostParts = 4;
/** Neighbours fused before all are counted again. */
const fusedAtOnce = 10;
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

/** A block as the shapes of its instructions, and how much it counts. */
interface Sequence {
  readonly shapes: readonly number[];
  weight: number;
}

/** One translator for all guests: its numbers are what a shape is known by here. */
const translator = new JavaScriptTranslator();
/** A line of the list for each shape by number. */
const lines: string[] = [];

/** The blocks' sequences, those of a guest weighing 1 in all. */
function sequencesOf(blocks: Blocks): Sequence[] {
  const sequences = new Map<string, Sequence>();
  let total = 0;
  for (const { mode, address, bytes, executions } of blocks.values()) {
    const shapes: number[] = [];
    for (let at = 0; at < bytes.length; ) {
      const offset = (address + at) & 0xfff;
      const shape = translator.decode(bytes, at, bytes.length, mode, offset);
      if (shape < 0) break;
      const { length } = translator.instruction;
      if (lines[shape] === undefined) {
        const i = translator.instruction;
        const place = shapeKey(i, mode, usualOffset) === shapeKey(i, mode, offset) ? usualOffset : offset;
        lines[shape] = formatSample({ mode, offset: place, parts: [bytes.slice(at, at + length)] });
      }
      shapes.push(shape);
      at += length;
    }
    const weight = Math.min(executions, hottest);
    total += weight * shapes.length;
    const key = shapes.join();
    const known = sequences.get(key);
    if (known === undefined) sequences.set(key, { shapes, weight });
    else known.weight += weight;
  }
  for (const sequence of sequences.values()) sequence.weight /= total;
  return [...sequences.values()];
}

/** Superinstructions: number of the fused one by number of the first parts and of the last. */
type Fused = Map<number, Map<number, number>>;

/** As the host fuses them: from left to right. */
function fused(shapes: readonly number[], known: Fused): number[] {
  const out: number[] = [];
  for (const shape of shapes) {
    const both = out.length === 0 ? undefined : known.get(out[out.length - 1])?.get(shape);
    if (both === undefined) out.push(shape);
    else out[out.length - 1] = both;
  }
  return out;
}

/** Chooses the commonest neighbours, again and again, for those fused have neighbours, too. */
function fuseCommonest(sequences: readonly Sequence[]): Fused {
  const known: Fused = new Map();
  const singles = translator.shapeCount;
  for (let count = 0; count < mostFused; ) {
    const pairs = new Map<number, number>();
    for (const { shapes, weight } of sequences) {
      const units = fused(shapes, known);
      for (let k = 1; k < units.length; k++) {
        if (units[k] >= singles) continue;
        const pair = units[k - 1] * 65536 + units[k];
        pairs.set(pair, (pairs.get(pair) ?? 0) + weight);
      }
    }
    let left = fusedAtOnce;
    for (const [pair] of [...pairs].sort((a, b) => b[1] - a[1])) {
      const [first, second] = [Math.floor(pair / 65536), pair % 65536];
      const line = fuseSamples(lines[first], lines[second]);
      const both = line === undefined ? -1 : translator.fuse(first, second);
      if (line === undefined || both < 0 || translator.shape(both).instructions > mostParts) continue;
      lines[both] = line;
      known.set(first, (known.get(first) ?? new Map<number, number>()).set(second, both));
      count++;
      if (--left === 0 || count === mostFused) break;
    }
    if (left === fusedAtOnce) break;
  }
  return known;
}

const { positionals } = parseArgs({ allowPositionals: true });
const names = positionals.length === 0 ? Object.keys(guests) : positionals[0].split(",");
const sequences: Sequence[] = [];
for (const name of names) {
  const those = sequencesOf(await blocksOf(guests[name]));
  sequences.push(...those);
  process.stderr.write(`${name}: ${those.length} different blocks, ${translator.shapeCount} shapes in all\n`);
}
const known = fuseCommonest(sequences);
const counts = new Map<number, number>();
for (const { shapes, weight } of sequences) for (const unit of fused(shapes, known)) counts.set(unit, (counts.get(unit) ?? 0) + weight);
// What others are fused of is met before them, however seldom it stays alone.
for (const [first, seconds] of known)
  for (const shape of [first, ...seconds.keys()]) counts.set(shape, Math.max(counts.get(shape) ?? 0, Number.MIN_VALUE));
const isFused = new Set([...known.values()].flatMap((seconds) => [...seconds.values()]));
const sorted = [...counts].sort((a, b) => b[1] - a[1]);
let singles = 0;
const chosen = sorted.filter(([shape, count]) => isFused.has(shape) || count === Number.MIN_VALUE || ++singles <= mostShapes);
const total = sorted.reduce((sum, [, count]) => sum + count, 0);
const share = (count: number): string => (sorted.slice(0, count).reduce((sum, [, seen]) => sum + seen, 0) / total).toFixed(4);
process.stderr.write(
  `${isFused.size} superinstructions leave ${(total / names.length).toFixed(3)} steps for each instruction; share of the commonest ${[100, 200, 300, 400, 500, 600, 800, chosen.length].map((count) => `${count}: ${share(count)}`).join(", ")}\n`,
);
process.stdout.write(
  `# Made by ${join(
    "bench",
    fileURLToPath(import.meta.url)
      .split("/")
      .at(-1) as string,
  )}: see samples.ts.\n`,
);
process.stdout.write(`${chosen.map(([shape]) => lines[shape]).join("\n")}\n`);
process.exit(0);
