/**
 * Random programs of the instructions that guests run (src/prepare/shapes.txt), and of those in a row that are prepared as superinstructions: what programs of any
 * instructions there are hardly ever have.
 */
import { readFileSync } from "node:fs";
import { parseSamples } from "../../src/prepare/samples.ts";
import { linearCode, mode } from "../../translator/contract/mode-key.ts";
import { randomInstruction } from "./instructions.ts";
import { layout } from "./layout.ts";
import type { Item, Program } from "./program.ts";
import { Random } from "./random.ts";

const usual = linearCode | mode.stack32;
const samples = parseSamples(readFileSync(new URL("../../src/prepare/shapes.txt", import.meta.url), "utf8"))
  .filter((sample) => (sample.mode & usual) === usual)
  .map(({ parts }) => parts);
const single = samples.filter((parts) => parts.length === 1);
const several = samples.filter((parts) => parts.length > 1);

export function makeCommonProgram(seed: number): Program {
  const random = new Random(seed);
  const items: Item[] = [];
  const length = random.pick([8, 15, 30, 60, 120]);
  while (items.length < length) {
    const kind = random.below(10);
    if (kind === 0) items.push({ bytes: randomInstruction(random, 3, "mixed") });
    else for (const bytes of random.pick(kind < 7 ? several : single)) items.push(itemOf(random, bytes, items.length));
  }
  items.push({ bytes: [0xcc] });
  const origin = random.chance(20) ? layout.code + 0x1000 - random.below(200) : layout.code + random.below(64);
  return { seed, ring: 3, bits: 32, flavour: "mixed", origin, items, counters: [] };
}

/** The instruction; a relative jump goes a little ahead, with other registers where ModRM alone names them. */
function itemOf(random: Random, [...bytes]: Uint8Array, k: number): Item {
  const target = k + 1 + random.below(4);
  const [first, second] = bytes;
  if (first === 0x0f && (second & 0xf0) === 0x80) return { bytes: [first, second], target, form: "near" };
  if (first === 0xe8 || first === 0xe9) return { bytes: [first], target, form: "near" };
  if (first === 0xeb || (first & 0xf0) === 0x70 || (first & 0xfc) === 0xe0) return { bytes: [first], target, form: "short" };
  // MOV, ADD to CMP, TEST, of registers: so that instructions depend on each other.
  const isPlain = (first & 0xfc) === 0x88 || (first < 0x40 && (first & 7) < 4) || first === 0x84 || first === 0x85;
  if (isPlain && second >= 0xc0 && random.chance(60)) bytes[1] = 0xc0 | (random.pick([0, 1, 2, 3]) << 3) | random.pick([0, 1, 2]);
  return { bytes };
}
