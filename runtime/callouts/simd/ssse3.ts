/** SSSE3 and SSE4.1 integer instructions, a register at a time: what tier 0 calls; regions do most of it in line. */
import type { Cpu } from "../../cpu/cpu.ts";

const signed8 = (x: number): number => (x << 24) >> 24;
const signed16 = (x: number): number => (x << 16) >> 16;
const saturate16 = (x: number): number => Math.max(-32768, Math.min(32767, x));

/** Byte and 16-bit lane n, zero-extended, of the vector whose first word is slot `at`. */
const byteOf = (R: Int32Array, at: number, n: number): number => (R[at + (n >> 2)] >>> (8 * (n & 3))) & 0xff;
const halfOf = (R: Int32Array, at: number, n: number): number => (R[at + (n >> 1)] >>> (16 * (n & 1))) & 0xffff;

function writeBytes(cpu: Cpu, target: number, byte: (n: number) => number): void {
  const { out } = cpu.simd;
  for (let k = 0; k < 4; k++) {
    const n = 4 * k;
    out[k] = (byte(n) & 0xff) | ((byte(n + 1) & 0xff) << 8) | ((byte(n + 2) & 0xff) << 16) | (byte(n + 3) << 24);
  }
  cpu.R.set(out, target);
}
function writeHalves(cpu: Cpu, target: number, half: (n: number) => number): void {
  const { out } = cpu.simd;
  for (let k = 0; k < 4; k++) out[k] = (half(2 * k) & 0xffff) | (half(2 * k + 1) << 16);
  cpu.R.set(out, target);
}
function writeWords(cpu: Cpu, target: number, word: (n: number) => number): void {
  const { out } = cpu.simd;
  for (let k = 0; k < 4; k++) out[k] = word(k);
  cpu.R.set(out, target);
}

type Binary = (cpu: Cpu, target: number, source: number) => void;

const lanes8 =
  (f: (x: number, y: number) => number): Binary =>
  (cpu, target, source) =>
    writeBytes(cpu, target, (n) => f(signed8(byteOf(cpu.R, target, n)), signed8(byteOf(cpu.R, source, n))));
const lanes16 =
  (f: (x: number, y: number) => number): Binary =>
  (cpu, target, source) =>
    writeHalves(cpu, target, (n) => f(signed16(halfOf(cpu.R, target, n)), signed16(halfOf(cpu.R, source, n))));
const lanes32 =
  (f: (x: number, y: number) => number): Binary =>
  (cpu, target, source) =>
    writeWords(cpu, target, (n) => f(cpu.R[target + n], cpu.R[source + n]));

/** Neighbours of the target, then of the source. */
const pairs16 =
  (f: (x: number, y: number) => number): Binary =>
  (cpu, target, source) =>
    writeHalves(cpu, target, (n) => {
      const at = n < 4 ? target : source;
      const first = 2 * (n & 3);
      return f(signed16(halfOf(cpu.R, at, first)), signed16(halfOf(cpu.R, at, first + 1)));
    });
const pairs32 =
  (f: (x: number, y: number) => number): Binary =>
  (cpu, target, source) =>
    writeWords(cpu, target, (n) => {
      const at = (n < 2 ? target : source) + 2 * (n & 1);
      return f(cpu.R[at], cpu.R[at + 1]);
    });

const add = (x: number, y: number): number => (x + y) | 0;
const subtract = (x: number, y: number): number => (x - y) | 0;
const withSign = (x: number, y: number): number => (y < 0 ? -x : y === 0 ? 0 : x);
const magnitude = (_x: number, y: number): number => Math.abs(y);

const pshufb: Binary = (cpu, target, source) =>
  writeBytes(cpu, target, (n) => {
    const index = byteOf(cpu.R, source, n);
    return index & 0x80 ? 0 : byteOf(cpu.R, target, index & 15);
  });

const pmaddubsw: Binary = (cpu, target, source) =>
  writeHalves(cpu, target, (n) => {
    const product = (at: number) => byteOf(cpu.R, target, at) * signed8(byteOf(cpu.R, source, at));
    return saturate16(product(2 * n) + product(2 * n + 1));
  });

function palignr(cpu: Cpu, target: number, source: number, count: number): void {
  writeBytes(cpu, target, (n) => {
    const at = n + count;
    return at < 16 ? byteOf(cpu.R, source, at) : at < 32 ? byteOf(cpu.R, target, at - 16) : 0;
  });
}

/** Sums of absolute differences of four bytes of the source with eight places of the target. */
function mpsadbw(cpu: Cpu, target: number, source: number, immediate: number): void {
  const fixed = 4 * (immediate & 3);
  const first = immediate & 4;
  writeHalves(cpu, target, (n) => {
    let sum = 0;
    for (let k = 0; k < 4; k++) sum += Math.abs(byteOf(cpu.R, target, first + n + k) - byteOf(cpu.R, source, fixed + k));
    return sum;
  });
}

/** The least 16-bit lane, and the number of the first such. */
const phminposuw: Binary = (cpu, target, source) => {
  let least = 0x10000;
  let index = 0;
  for (let n = 0; n < 8; n++) {
    const half = halfOf(cpu.R, source, n);
    if (half < least) {
      least = half;
      index = n;
    }
  }
  writeWords(cpu, target, (n) => (n === 0 ? least | (index << 16) : 0));
};

export const ssse3Implementations = {
  pshufb,
  phaddw: pairs16(add),
  phaddd: pairs32(add),
  phaddsw: pairs16((x, y) => saturate16(x + y)),
  phsubw: pairs16(subtract),
  phsubd: pairs32(subtract),
  phsubsw: pairs16((x, y) => saturate16(x - y)),
  pmaddubsw,
  pmulhrsw: lanes16((x, y) => (x * y + 0x4000) >> 15),
  psignb: lanes8(withSign),
  psignw: lanes16(withSign),
  psignd: lanes32(withSign),
  pabsb: lanes8(magnitude),
  pabsw: lanes16(magnitude),
  pabsd: lanes32(magnitude),
  palignr,
  mpsadbw,
  phminposuw,
};
