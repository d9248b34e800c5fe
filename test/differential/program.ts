/**
 * Random programs: a list of items, laid out one after the other, with branches between them. Forward branches go anywhere (also into the middle of loops: irreducible
 * flow); each backward branch has a counter in memory that runs out, so that programs end. Functions lie behind the main part. Items can be dropped one by one, for
 * reduction: a branch to a dropped item goes to the next one that is left.
 */
import { type Flavour, randomInstruction } from "./instructions.ts";
import { layout } from "./layout.ts";
import { Random } from "./random.ts";

export interface Item {
  /** Bytes before the displacement or address. */
  readonly bytes: readonly number[];
  /** Item number that the branch goes to. */
  readonly target?: number;
  /** Where the target goes: a displacement of one, four or two bytes, or the address. */
  readonly form?: "short" | "near" | "near16" | "absolute" | "absolute16";
  /** Bytes after it. */
  readonly tail?: readonly number[];
}

export interface Program {
  readonly seed: number;
  readonly ring: 0 | 3;
  /** Of the code segment. */
  readonly bits: 16 | 32;
  readonly flavour: Flavour;
  readonly origin: number;
  readonly items: readonly (Item | undefined)[];
  /** Initial values of the loop counters. */
  readonly counters: readonly number[];
}

export interface Image {
  readonly bytes: Uint8Array;
  /** Address of each item; dropped ones have the next one's. */
  readonly addresses: readonly number[];
}

const int3: Item = { bytes: [0xcc] };

export function makeProgram(seed: number): Program {
  const random = new Random(seed);
  const ring = random.chance(75) ? 3 : 0;
  const flavour = random.chance(30) ? "vectors" : "mixed";
  const length = random.pick([4, 6, 8, 10, 15, 20, 30, 60, 120]);
  const counters: number[] = [];
  const items: Item[] = [];
  const functions = random.chance(50) ? 1 + random.below(3) : 0;
  const functionLength = 3 + random.below(8);
  const total = length + 1 + functions * (functionLength + 1);
  const functionAt = (k: number): number => length + 1 + k * (functionLength + 1);
  const branchy = random.pick([5, 15, 30]);
  const fill = (from: number, to: number, isFunction: boolean): void => {
    for (let k = from; k < to; k++)
      items.push(
        randomItem(
          random,
          ring,
          flavour,
          k,
          from,
          to,
          branchy,
          counters,
          isFunction ? [] : Array.from({ length: functions }, (_, f) => functionAt(f)),
        ),
      );
  };
  fill(0, length, false);
  items.push(int3);
  for (let f = 0; f < functions; f++) {
    fill(functionAt(f), functionAt(f) + functionLength, true);
    items.push({ bytes: [0xc3] });
  }
  if (items.length !== total) throw new Error("program length");
  // Now and then across a page edge.
  const origin = random.chance(20) ? layout.code + 0x1000 - random.below(200) : layout.code + random.below(64);
  return { seed, ring, bits: 32, flavour, origin, items, counters };
}

function randomItem(
  random: Random,
  ring: 0 | 3,
  flavour: Flavour,
  k: number,
  from: number,
  to: number,
  branchy: number,
  counters: number[],
  functions: readonly number[],
): Item {
  if (!random.chance(branchy)) return { bytes: randomInstruction(random, ring, flavour) };
  const forward = k + 1 + random.below(Math.max(1, Math.min(12, to - k)));
  const condition = random.below(16);
  switch (random.below(functions.length > 0 ? 8 : 7)) {
    case 0:
    case 1:
      return { bytes: [0x0f, 0x80 | condition], target: forward, form: "near" };
    case 2: {
      // LOOP, LOOPE, LOOPNE, JECXZ: forward here.
      return { bytes: [0xe0 + random.below(4)], target: Math.min(forward, k + 4, to), form: "short" };
    }
    case 3:
      return random.chance(50)
        ? { bytes: [0xe9], target: forward, form: "near" }
        : { bytes: [0xb8], target: forward, form: "absolute", tail: [0xff, 0xe0] };
    case 4:
    case 5:
    case 6: {
      // DEC of a counter and JNS back.
      if (k === from) return { bytes: [0x90] };
      const cell = counters.push(1 + random.below(random.pick([3, 10, 40]))) - 1;
      const at = layout.counters + 4 * cell;
      const back = Math.max(from, k - 1 - random.below(12));
      return {
        bytes: [0xff, 0x0d, at & 255, (at >> 8) & 255, (at >> 16) & 255, 0, 0x0f, random.chance(80) ? 0x89 : 0x8f],
        target: back,
        form: "near",
      };
    }
    default:
      return random.chance(70)
        ? { bytes: [0xe8], target: random.pick(functions), form: "near" }
        : { bytes: [0xb9], target: random.pick(functions), form: "absolute", tail: [0xff, 0xd1] };
  }
}

const targetBytes = { short: 1, near: 4, near16: 2, absolute: 4, absolute16: 2 } as const;
const size = (item: Item): number => item.bytes.length + (item.form === undefined ? 0 : targetBytes[item.form]) + (item.tail?.length ?? 0);

export function layOut(program: Program): Image {
  const { items, origin } = program;
  const addresses: number[] = [];
  let at = origin;
  for (const item of items) {
    addresses.push(at);
    if (item !== undefined) at += size(item);
  }
  const end = at;
  const bytes = new Uint8Array(end - origin + 1).fill(0xcc);
  items.forEach((item, k) => {
    if (item === undefined) return;
    const out = [...item.bytes];
    if (item.form !== undefined) {
      const target = addresses[item.target as number] ?? end;
      const next = addresses[k] + size(item) - (item.tail?.length ?? 0);
      const value = item.form.startsWith("absolute") ? target : target - next;
      // A short branch that reaches too far after all goes to the next instruction.
      if (item.form === "short") out.push(value > 127 ? 0 : value & 255);
      else out.push(...[value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255].slice(0, targetBytes[item.form]));
    }
    bytes.set([...out, ...(item.tail ?? [])], addresses[k] - origin);
  });
  return { bytes, addresses };
}
