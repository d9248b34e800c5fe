/** Where a case's memory operand lies: for the few instructions whose memory image has parts that are not to be compared. */
import { layout, ldtSegments } from "./layout.ts";
import type { VectorCase } from "./state.ts";

const prefixes = new Set([0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]);
const forms16 = [
  [3, 6],
  [3, 7],
  [5, 6],
  [5, 7],
  [6, -1],
  [7, -1],
  [5, -1],
  [3, -1],
] as const;

/** Offset of the ModRM memory operand from the start of the data pages. `opcodeLength` counts the opcode bytes before ModRM. */
export function operandOffset(c: VectorCase, opcodeLength: number): number {
  const b = c.bytes;
  let at = 0;
  let address16 = false;
  let base = 0;
  for (; prefixes.has(b[at]); at++) {
    if (b[at] === 0x67) address16 = true;
    if (b[at] === 0x64 || b[at] === 0x65) base = ldtSegments.find((s) => s.selector === c.input.segments[b[at] - 0x62])?.base ?? 0;
  }
  at += opcodeLength;
  const mod = b[at] >> 6;
  const rm = b[at++] & 7;
  const gpr = (n: number) => (n < 0 ? 0 : c.input.gpr[n]);
  const displacement = (size: number) =>
    size === 1
      ? (b[at] << 24) >> 24
      : size === 2
        ? b[at] | (b[at + 1] << 8)
        : size === 4
          ? b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24)
          : 0;
  if (address16) {
    const direct = mod === 0 && rm === 6;
    const [first, second] = forms16[rm];
    const offset = ((direct ? 0 : gpr(first) + gpr(second)) + displacement(direct || mod === 2 ? 2 : mod)) & 0xffff;
    return offset - layout.low;
  }
  let sum = 0;
  let baseRegister: number = rm;
  if (rm === 4) {
    const sib = b[at++];
    baseRegister = sib & 7;
    if (((sib >> 3) & 7) !== 4) sum += Math.imul(gpr((sib >> 3) & 7), 1 << (sib >> 6));
  }
  const absolute = mod === 0 && baseRegister === 5;
  if (!absolute) sum += gpr(baseRegister);
  sum += displacement(absolute || mod === 2 ? 4 : mod);
  return (base + sum - layout.data) | 0;
}
