/** Comparing and printing output records. */
import { arithmeticFlags } from "../../translator/contract/slots.ts";

function extendedAt(v: DataView, at: number): string {
  const hex = (n: number, digits: number): string => (n >>> 0).toString(16).padStart(digits, "0");
  return `${hex(v.getUint16(at + 8, true), 4)}:${hex(v.getInt32(at + 4, true), 8)}_${hex(v.getInt32(at, true), 8)}`;
}

function mantissaAt(v: DataView, at: number): bigint {
  return v.getBigUint64(at, true);
}

/** Distance in units in the last place when exponents agree or are one apart; a huge number otherwise. */
export function ulps(a: DataView, b: DataView, at: number): number {
  const ordinal = (v: DataView): bigint => {
    const signExponent = v.getUint16(at + 8, true);
    // Mantissas without J joined to the exponent count on through a change of binade.
    const magnitude = (BigInt(signExponent & 0x7fff) << 63n) + (mantissaAt(v, at) & 0x7fffffffffffffffn);
    return signExponent & 0x8000 ? -magnitude : magnitude;
  };
  const d = ordinal(a) - ordinal(b);
  return Number(d < 0n ? -d : d);
}

/** `tolerance`: ST(0) and ST(1) may be one unit off in the last place, and C1 and the tags with them. */
export function differs(_input: DataView, truth: DataView, ours: DataView, tolerance: boolean): boolean {
  if (truth.getInt32(132, true) !== ours.getInt32(132, true)) return true;
  if (truth.getInt32(132, true) !== 0) return false;
  for (let i = 108; i < 124; i += 4) if (truth.getInt32(i, true) !== ours.getInt32(i, true)) return true;
  if ((truth.getUint16(124, true) & 0xffff) !== (ours.getUint16(124, true) & 0xffff)) return true;
  if (((truth.getInt32(128, true) ^ ours.getInt32(128, true)) & arithmeticFlags) !== 0) return true;
  if (truth.getUint16(0, true) !== ours.getUint16(0, true) || truth.getUint16(8, true) !== ours.getUint16(8, true)) return true;
  if (((truth.getUint16(4, true) ^ ours.getUint16(4, true)) & (tolerance ? ~0x200 : -1)) !== 0) return true;
  for (let i = 0; i < 8; i++) {
    const at = 28 + 10 * i;
    if (extendedAt(truth, at) === extendedAt(ours, at)) continue;
    if (!tolerance || i > 1 || ulps(truth, ours, at) > 1) return true;
  }
  return false;
}

const flagNames = ["IE", "DE", "ZE", "OE", "UE", "PE", "SF", "ES", "C0", "C1", "C2"];
function statusText(word: number): string {
  const names = flagNames.filter((_, i) => (word >>> i) & 1);
  if (word & 0x4000) names.push("C3");
  if (word & 0x8000) names.push("B");
  return `[${names.join(" ")} top=${(word >>> 11) & 7}]`;
}

export function describeRecord(input: DataView): string {
  const hex = (n: number, digits: number): string => (n >>> 0).toString(16).padStart(digits, "0");
  const tags = input.getUint16(8, true);
  const top = (input.getUint16(4, true) >>> 11) & 7;
  const empties = [0, 1, 2, 3, 4, 5, 6, 7].filter((i) => ((tags >>> (2 * ((top + i) & 7))) & 3) === 3);
  return (
    `${hex(input.getUint8(128), 2)} ${hex(input.getUint8(129), 2)} cw=${hex(input.getUint16(0, true), 4)} ${statusText(input.getUint16(4, true))} ` +
    `empty=${empties.join("")} st0=${extendedAt(input, 28)} st1=${extendedAt(input, 38)} st2=${extendedAt(input, 48)} st7=${extendedAt(input, 98)} mem=${extendedAt(input, 108)}`
  );
}

export function describeDifference(truth: DataView, ours: DataView): string {
  const parts: string[] = [];
  const note = (name: string, a: string, b: string): void => {
    if (a !== b) parts.push(`${name} hardware ${a} ours ${b}`);
  };
  note("#MF", String(truth.getInt32(132, true)), String(ours.getInt32(132, true)));
  note("control", truth.getUint16(0, true).toString(16), ours.getUint16(0, true).toString(16));
  note("status", statusText(truth.getUint16(4, true)), statusText(ours.getUint16(4, true)));
  note("tags", truth.getUint16(8, true).toString(16), ours.getUint16(8, true).toString(16));
  for (let i = 0; i < 8; i++) note(`st${i}`, extendedAt(truth, 28 + 10 * i), extendedAt(ours, 28 + 10 * i));
  note("memory", extendedAt(truth, 108), extendedAt(ours, 108));
  note("ax", truth.getUint16(124, true).toString(16), ours.getUint16(124, true).toString(16));
  note("flags", (truth.getInt32(128, true) & arithmeticFlags).toString(16), (ours.getInt32(128, true) & arithmeticFlags).toString(16));
  return parts.join("; ");
}
