/** Test cases: random and edge operands by seed, and the binary records in which they go to the capture program and come back. */
import { Random } from "../vectors/generate/random.ts";
import { type Encoding, elementOf, encodings } from "./catalogue.ts";

/** Sizes and places in the packed structures of capture/harness.c. */
export const inputSize = 136;
export const outcomeSize = 128;
export const inputAt = { length: 0, offset: 1, code: 4, mxcsr: 16, eax: 20, xmm0: 24, xmm1: 40, mm0: 56, mm1: 64, memory: 72 } as const;
export const outcomeAt = {
  trap: 0,
  mxcsr: 4,
  eax: 8,
  eflags: 12,
  fsw: 16,
  ftw: 18,
  xmm0: 20,
  xmm1: 36,
  mm0: 52,
  memory: 64,
} as const;
export const fieldSizes: Record<keyof typeof outcomeAt, number> = {
  trap: 4,
  mxcsr: 4,
  eax: 4,
  eflags: 4,
  fsw: 2,
  ftw: 1,
  xmm0: 16,
  xmm1: 16,
  mm0: 10,
  memory: 64,
};
export const memorySize = 64;

export interface Batch {
  readonly labels: string[];
  readonly inputs: Uint8Array;
}

/** `count` cases of every encoding that is wanted. */
export function generate(seed: string, count: number, isWanted: (e: Encoding) => boolean = () => true): Batch {
  const r = new Random(seed);
  const list = encodings().filter(isWanted);
  const inputs = new Uint8Array(list.length * count * inputSize);
  const labels: string[] = [];
  let at = 0;
  for (const e of list) {
    for (let k = 0; k < count; k++) {
      writeCase(r, e, new DataView(inputs.buffer, at, inputSize));
      labels.push(e.label);
      at += inputSize;
    }
  }
  return { labels, inputs };
}

function writeCase(r: Random, e: Encoding, out: DataView): void {
  const element = elementOf(e);
  const code = e.hasImmediate ? [...e.bytes, immediate(r, e.name)] : e.bytes;
  out.setUint8(inputAt.length, code.length);
  for (let k = 0; k < code.length; k++) out.setUint8(inputAt.code + k, code[k]);
  const offset = r.chance(25) ? r.below(33) : 16;
  // Misaligned operands of SHA are #GP by the SDM, and AMD's CPUs take them.
  out.setUint8(inputAt.offset, e.name.startsWith("sha") ? 16 : offset);
  out.setUint32(inputAt.mxcsr, mxcsr(r, element), true);
  out.setUint32(inputAt.eax, integer(r, 4), true);
  for (const place of [inputAt.xmm0, inputAt.mm0]) {
    const size = place === inputAt.xmm0 ? 16 : 8;
    const other = place === inputAt.xmm0 ? inputAt.xmm1 : inputAt.mm1;
    fillOperand(r, out, place, other, size, element, e.name);
  }
  for (let k = 0; k < memorySize; k++) out.setUint8(inputAt.memory + k, r.below(256));
  if (e.isIntoSecond) return;
  // The memory operand is what the second register is: related to the first.
  for (let k = 0; k < 16; k++) {
    const to = out.getUint8(inputAt.offset) + k;
    const wide = /[VW]/.test(e.operands) || e.operands.includes("Mdq");
    if (to < memorySize) out.setUint8(inputAt.memory + to, out.getUint8((wide ? inputAt.xmm1 : inputAt.mm1 - (k & 8)) + k));
  }
}

const immediate = (r: Random, name: string) =>
  /^cmp/.test(name) ? r.below(8) : /^ps[rl]/.test(name) ? r.pick([r.below(70), r.below(256)]) : r.below(256);

/** Half the time as a program has it, otherwise any rounding, flushing, masks and flags. */
function mxcsr(r: Random, element: string): number {
  if (element === "integer" && r.chance(50)) return 0x1f80;
  switch (r.below(8)) {
    case 0:
      return 0x1f80;
    case 1:
      return 0x1fa0;
    case 2:
      return 0x1f80 | r.below(64);
    case 3:
    case 4:
      return 0x1f80 | (r.below(4) << 13) | r.below(64);
    case 5:
      return 0x1f80 | (r.below(4) << 13) | (r.below(2) << 6) | (r.below(2) << 15);
    case 6:
      // One exception unmasked.
      return (0x1f80 & ~(0x80 << r.below(6))) | (r.below(4) << 13) | (r.below(2) << 6) | (r.below(2) << 15);
    default:
      return r.next() & 0xffff;
  }
}

function integer(r: Random, size: 1 | 2 | 4 | 8): number {
  const top = 2 ** (8 * size - 1);
  switch (r.below(5)) {
    case 0:
      return r.pick([0, 1, top - 1, top, 2 * top - 1, top + 1]);
    case 1:
      return r.below(17);
    case 2:
      return 2 * top - 1 - r.below(17);
    default:
      return Math.floor((r.next() / 2 ** 32) * 2 * top);
  }
}

function fillOperand(r: Random, out: DataView, first: number, second: number, size: number, element: string, name: string): void {
  if (element === "integer") {
    const lane = r.pick([1, 2, 4] as const);
    for (const at of [first, second]) {
      for (let k = 0; k < size; k += lane) {
        const value = integer(r, lane);
        if (lane === 1) out.setUint8(at + k, value);
        else if (lane === 2) out.setUint16(at + k, value, true);
        else out.setUint32(at + k, value, true);
      }
      if (r.chance(10)) for (let k = 0; k < size; k++) out.setUint8(second + k, out.getUint8(first + k));
    }
    // A shift count in the low quadword.
    if (/^ps(ll|rl|ra)/.test(name) && r.chance(90)) {
      out.setUint32(second, r.pick([r.below(9), r.below(20), r.below(70), r.below(300)]), true);
      out.setUint32(second + 4, r.chance(90) ? 0 : r.next(), true);
    }
    return;
  }
  const step = element === "single" ? 4 : 8;
  for (let k = 0; k < size; k += step) {
    const [a, b] = element === "single" ? floatPair(r, 8, 23, name) : floatPair(r, 11, 52, name);
    for (const [at, value] of [
      [first, a],
      [second, b],
    ] as const) {
      if (step === 4) out.setUint32(at + k, Number(value), true);
      else out.setBigUint64(at + k, value, true);
    }
  }
}

/** Two operands of one lane as bits, chosen so that rounding, range and special cases are all met often. */
function floatPair(r: Random, exponentBits: number, fractionBits: number, name: string): [bigint, bigint] {
  const largest = 2 ** exponentBits - 1;
  const bias = 2 ** (exponentBits - 1) - 1;
  const all = (1n << BigInt(fractionBits)) - 1n;
  const make = (exponent: number, fraction: bigint) =>
    (BigInt(r.below(2)) << BigInt(exponentBits + fractionBits)) |
    (BigInt(Math.max(0, Math.min(largest, exponent))) << BigInt(fractionBits)) |
    (fraction & all);
  const random = () => ((BigInt(r.next()) << 32n) | BigInt(r.next())) & all;
  const fraction = (): bigint => {
    switch (r.below(7)) {
      case 0:
        return 0n;
      case 1:
        return r.pick([1n, all, all - 1n, 1n << BigInt(fractionBits - 1)]);
      case 2:
        return 1n << BigInt(r.below(fractionBits));
      case 3:
        // Few significant bits: exact results and ties.
        return random() & ~((1n << BigInt(fractionBits - r.below(fractionBits))) - 1n);
      case 4:
        return all ^ ((1n << BigInt(r.below(fractionBits))) - 1n);
      default:
        return random();
    }
  };
  const exponent = (): number =>
    r.pick([
      0,
      0,
      1,
      2,
      largest,
      largest,
      largest - 1,
      largest - 2,
      bias,
      bias - 1,
      bias + r.below(40),
      bias - r.below(40),
      r.below(largest),
      bias + 30,
      bias + 31,
    ]);
  let a = make(exponent(), fraction());
  let b = make(exponent(), fraction());
  if (name.startsWith("cvt")) {
    // Around integers, halves and the limits of int32; doubles around the range of singles.
    if (r.chance(50)) b = make(bias - 2 + r.below(36), fraction());
    else if (exponentBits === 11 && r.chance(60)) b = make(r.pick([bias - 126, bias + 127]) + r.below(30) - 26, fraction());
    return [a, b];
  }
  const exponentOf = (x: bigint) => Number((x >> BigInt(fractionBits)) & BigInt(largest));
  switch (r.below(6)) {
    case 0:
      // Products and quotients at the ends of the range.
      a = make(1 + r.below(largest - 2), fraction());
      b = make(
        r.pick([bias - exponentOf(a), bias - exponentOf(a), bias + largest - exponentOf(a), exponentOf(a) - bias, exponentOf(a) + bias]) +
          r.below(7) -
          3,
        fraction(),
      );
      break;
    case 1:
      // Sums: near in exponent.
      a = make(r.pick([1 + r.below(largest - 2), 1 + r.below(fractionBits), largest - 1 - r.below(4)]), fraction());
      b = make(exponentOf(a) + r.pick([0, 0, 1, -1, r.below(2 * fractionBits + 6) - fractionBits - 3]), fraction());
      break;
    case 2:
      b = a ^ (BigInt(r.below(2)) << BigInt(exponentBits + fractionBits)) ^ (r.chance(50) ? BigInt(r.below(4)) : 0n);
      break;
    case 3:
      a = make(bias + r.below(20) - 10, fraction());
      b = make(bias + r.below(20) - 10, fraction());
      break;
  }
  return [a, b];
}
