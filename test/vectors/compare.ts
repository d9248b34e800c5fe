/** Says in which respects an outcome differs from the captured one, leaving out what the SDM leaves undefined. */
import { layout } from "./layout.ts";
import { type Chunk, fx, type Outcome, type VectorCase } from "./state.ts";
import { toleratedDifference } from "./tolerance.ts";
import {
  eflagsMask,
  isEitherFault,
  isFaultOrderUndefined,
  isMmxSwitchUndefined,
  isUndefinedMemory,
  memoryFaults,
  mnemonicOf,
  statusMask,
} from "./undefined-flags.ts";

const gprNames = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
const segmentNames = ["es", "ds", "fs", "gs"];
const hex = (v: number, digits = 8) => (v >>> 0).toString(16).padStart(digits, "0");
const bytesHex = (b: ArrayLike<number>) => Array.from(b, (x) => hex(x, 2)).join(" ");

/** #PF error code: the fetch bit exists only where the kernel enables NX (SDM vol. 3, 4.7). */
const comparedErrorBits = (vector: number) => (vector === 14 ? 0xf : 0xffff);

function u16(b: Uint8Array, at: number): number {
  return b[at] | (b[at + 1] << 8);
}

export function describeTrap(t: Outcome["trap"]): string {
  if (!t) return "none";
  const name =
    ["#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "", "#TS", "#NP", "#SS", "#GP", "#PF", "", "#MF", "#AC", "#MC", "#XM"][
      t.vector
    ] ?? `vector ${t.vector}`;
  return `${name}(${t.error.toString(16)})${t.vector === 14 ? ` cr2 ${hex(t.cr2)}` : ""}`;
}

function laidOut(chunks: readonly Chunk[]): Map<number, number> {
  const map = new Map<number, number>();
  for (const c of chunks) for (let i = 0; i < c.bytes.length; i++) map.set(c.offset + i, c.bytes[i]);
  return map;
}

/** One line a difference: "eax: expected 00000001, got 00000002". Empty: they agree. */
export function compare(c: VectorCase, got: Outcome): string[] {
  const e = c.expected;
  const lines: string[] = [];
  const differ = (what: string, expected: string, found: string) => lines.push(`${what}: expected ${expected}, got ${found}`);
  if (isFaultOrderUndefined(c)) {
    if (!got.trap || !memoryFaults.has(got.trap.vector)) differ("exception", describeTrap(e.trap), describeTrap(got.trap));
    if (e.eip !== got.eip) differ("eip", hex(e.eip), hex(got.eip));
    if (e.gpr[4] !== got.gpr[4]) differ("esp", hex(e.gpr[4]), hex(got.gpr[4]));
    return lines;
  }
  const trapAccepted = isEitherFault(c) && got.trap !== undefined && memoryFaults.has(got.trap.vector);
  const trapMask = comparedErrorBits(e.trap?.vector ?? 0);
  const { trap } = e;
  const sameTrap =
    trap?.vector === got.trap?.vector &&
    (!trap || !got.trap || (((trap.error ^ got.trap.error) & trapMask) === 0 && (trap.vector !== 14 || trap.cr2 === got.trap.cr2)));
  if (!sameTrap && !trapAccepted) differ("exception", describeTrap(e.trap), describeTrap(got.trap));
  if (e.eip !== got.eip) differ("eip", hex(e.eip), hex(got.eip));
  for (let i = 0; i < 8; i++) if (e.gpr[i] !== got.gpr[i]) differ(gprNames[i], hex(e.gpr[i]), hex(got.gpr[i]));
  const flags = (e.eflags ^ got.eflags) & ~eflagsMask(c) & 0x247fd5;
  if (flags) differ("eflags", describeFlags(e.eflags), `${describeFlags(got.eflags)}  (differs: ${describeFlags(flags)})`);
  for (let i = 0; i < 4; i++) if (e.segments[i] !== got.segments[i]) differ(segmentNames[i], hex(e.segments[i], 4), hex(got.segments[i], 4));
  if (c.usesFpu) compareFpu(c, got, differ);
  const before = laidOut(c.input.memory);
  const expected = laidOut(e.memory);
  const found = laidOut(got.memory);
  for (const at of [...new Set([...expected.keys(), ...found.keys()])].sort((a, b) => a - b)) {
    const was = before.get(at) ?? backgroundAt(at);
    const a = expected.get(at) ?? was;
    const b = found.get(at) ?? was;
    if (a !== b && !isUndefinedMemory(c, at) && !toleratedDifference(c, "memory", at, expected, found))
      differ(`memory ${hex(layout.data + at)}`, hex(a, 2), hex(b, 2));
  }
  return lines;
}

function backgroundAt(offset: number): number {
  return Math.imul(offset, 2654435761 | 0) >>> 24;
}

function compareFpu(c: VectorCase, got: Outcome, differ: (what: string, e: string, g: string) => void): void {
  const e = c.expected.fpu;
  const g = got.fpu;
  if (u16(e, fx.control) !== u16(g, fx.control)) differ("fcw", hex(u16(e, fx.control), 4), hex(u16(g, fx.control), 4));
  const ignoreStack = isMmxSwitchUndefined(c);
  const status = (u16(e, fx.status) ^ u16(g, fx.status)) & ~statusMask(c);
  if (status && !ignoreStack) differ("fsw", hex(u16(e, fx.status), 4), `${hex(u16(g, fx.status), 4)} (differs: ${hex(status, 4)})`);
  if (e[fx.tag] !== g[fx.tag] && !ignoreStack) differ("ftw", hex(e[fx.tag], 2), hex(g[fx.tag], 2));
  if ((u16(e, fx.mxcsr) ^ u16(g, fx.mxcsr)) & 0xffff) differ("mxcsr", hex(u16(e, fx.mxcsr), 4), hex(u16(g, fx.mxcsr), 4));
  for (let i = 0; i < 8 && !ignoreStack; i++) {
    const at = fx.st + 16 * i;
    const a = e.subarray(at, at + 10);
    const b = g.subarray(at, at + 10);
    if (a.some((x, j) => x !== b[j]) && !toleratedDifference(c, `st${i}`, 0, a, b)) differ(`st${i}`, extendedText(a), extendedText(b));
  }
  for (let i = 0; i < 8; i++) {
    const at = fx.xmm + 16 * i;
    const a = e.subarray(at, at + 16);
    const b = g.subarray(at, at + 16);
    if (a.some((x, j) => x !== b[j]) && !toleratedDifference(c, `xmm${i}`, 0, a, b))
      differ(`xmm${i}`, bytesHex(a.slice().reverse()), bytesHex(b.slice().reverse()));
  }
}

export function extendedText(b: ArrayLike<number>): string {
  const text = Array.from({ length: 10 }, (_, i) => hex(b[9 - i], 2)).join("");
  return `${text.slice(0, 4)}:${text.slice(4, 12)}_${text.slice(12)}`;
}

export function describeFlags(v: number): string {
  const names: [number, string][] = [
    [0x800, "O"],
    [0x400, "D"],
    [0x80, "S"],
    [0x40, "Z"],
    [0x10, "A"],
    [4, "P"],
    [1, "C"],
  ];
  const letters = names.map(([bit, name]) => (v & bit ? name : "-")).join("");
  const rest = v & ~0xcd5 & ~0x202;
  return rest ? `${letters}+${hex(rest, 1)}` : letters;
}

/** The input in a few lines, for reports. */
export function describeInput(c: VectorCase): string {
  const s = c.input;
  const lines = [
    s.gpr.map((v, i) => `${gprNames[i]} ${hex(v)}`).join(" "),
    `eflags ${describeFlags(s.eflags)}  es ds fs gs ${s.segments.map((v) => hex(v, 4)).join(" ")}`,
  ];
  for (const m of s.memory) lines.push(`[${hex(layout.data + m.offset)}] ${bytesHex(m.bytes)}`);
  if (c.usesFpu) {
    const f = s.fpu;
    lines.push(`fcw ${hex(u16(f, fx.control), 4)} fsw ${hex(u16(f, fx.status), 4)} ftw ${hex(f[fx.tag], 2)} mxcsr ${hex(u16(f, fx.mxcsr), 4)}`);
    const isX87 = mnemonicOf(c).startsWith("f");
    for (let i = 0; i < 8; i++) {
      if (isX87 ? (f[fx.tag] >> ((i + (u16(f, fx.status) >> 11)) & 7)) & 1 : c.name.match(/ [PQN]/))
        lines.push(`st${i} ${extendedText(f.subarray(fx.st + 16 * i))}`);
    }
    if (!isX87) for (let i = 0; i < 8; i++) lines.push(`xmm${i} ${bytesHex(f.slice(fx.xmm + 16 * i, fx.xmm + 16 * i + 16).reverse())}`);
  }
  return lines.join("\n");
}
