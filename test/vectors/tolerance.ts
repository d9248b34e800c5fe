/** Where the architecture promises an error bound instead of a result: reciprocal approximations and x87 transcendentals. */
import type { VectorCase } from "./state.ts";
import { mnemonicOf, transcendental } from "./undefined-flags.ts";

/** |relative error| <= 1.5 * 2^-12 (SDM vol. 2, RCPPS and RSQRTPS). Two such results lie within twice that of each other. */
const approximate = new Set(["rcpps", "rcpss", "rsqrtps", "rsqrtss"]);
const approximateError = 3 * 2 ** -12;

/** Each within 1 ulp of the exact result: within two of another CPU's. */
const transcendentalUlps = 2n;

function single(b: ArrayLike<number>, at: number): number {
  return new DataView(Uint8Array.from({ length: 4 }, (_, i) => b[at + i]).buffer).getFloat32(0, true);
}

function extended(b: ArrayLike<number>): { sign: number; ordinal: bigint } {
  let mantissa = 0n;
  for (let i = 7; i >= 0; i--) mantissa = (mantissa << 8n) | BigInt(b[i]);
  const top = b[8] | (b[9] << 8);
  // Without its integer bit a normal's mantissa continues its exponent: neighbours differ by one.
  return { sign: top >> 15, ordinal: (BigInt(top & 0x7fff) << 63n) | (mantissa & 0x7fffffffffffffffn) };
}

/** Whether a difference in a register is within the instruction's bound. */
export function toleratedDifference(c: VectorCase, where: string, _at: number, expected: unknown, got: unknown): boolean {
  const mnemonic = mnemonicOf(c);
  if (where.startsWith("xmm") && approximate.has(mnemonic)) {
    const lanes = mnemonic.endsWith("ss") ? 1 : 4;
    const [a, b] = [expected as Uint8Array, got as Uint8Array];
    for (let i = 0; i < 16; i += 4) {
      if ([0, 1, 2, 3].every((j) => a[i + j] === b[i + j])) continue;
      if (i >= 4 * lanes) return false;
      const [x, y] = [single(a, i), single(b, i)];
      if (!Number.isFinite(x) || x === 0 || !(Math.abs((y - x) / x) <= approximateError)) return false;
    }
    return true;
  }
  if (where.startsWith("st") && transcendental.has(mnemonic)) {
    const a = extended(expected as Uint8Array);
    const b = extended(got as Uint8Array);
    if (a.sign !== b.sign || a.ordinal >> 63n === 0x7fffn) return false;
    const distance = a.ordinal - b.ordinal;
    return distance <= transcendentalUlps && distance >= -transcendentalUlps;
  }
  return false;
}
