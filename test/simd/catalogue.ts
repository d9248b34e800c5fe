/**
 * The encodings under test, made from the decoder's tables: every MMX, SSE and SSE2 row in its register form (operands 0 and 1, or twice the
 * same register) and its memory form ([ECX]).
 */
import { mmxRows } from "../../translator/decode/tables/mmx.ts";
import { sseRows } from "../../translator/decode/tables/sse.ts";
import { sse2IntegerRows } from "../../translator/decode/tables/sse2-integer.ts";

export interface Encoding {
  readonly name: string;
  readonly operands: string;
  /** Without the immediate. */
  readonly bytes: readonly number[];
  readonly hasImmediate: boolean;
  readonly isMemory: boolean;
  /** A memory operand of 16 bytes that must be aligned: tried misaligned now and then. */
  readonly label: string;
}

const prefixBytes: Record<string, number[]> = { NP: [], 66: [0x66], F3: [0xf3], F2: [0xf2] };
/** ModRM operand codes that are memory only, register only, or a general register when not memory. */
const memoryOnly = /^M/;
const registerOnly = /^[NU]/;
const generalOrMemory = /^[ER]/;
const isModrmCode = /^[EMNQUWR]/;

export function encodings(): Encoding[] {
  const list: Encoding[] = [];
  for (const [encoding, name, operands] of [...mmxRows, ...sseRows, ...sse2IntegerRows]) {
    const [prefix, , opcode, ...rest] = encoding.split(" ");
    const start = [...prefixBytes[prefix], 0x0f, Number.parseInt(opcode, 16)];
    const digit = rest.find((part) => part.startsWith("/"));
    const reg = digit ? Number(digit[1]) : 0;
    const codes = operands === "" ? [] : operands.split(",");
    const hasImmediate = codes.includes("Ib");
    const rm = codes.find((code) => isModrmCode.test(code));
    const add = (modrm: number | undefined, isMemory: boolean) =>
      list.push({
        name,
        operands,
        hasImmediate,
        isMemory,
        bytes: modrm === undefined ? start : [...start, modrm],
        label: `${name} ${operands}${modrm === undefined ? "" : ` modrm ${modrm.toString(16)}`}`,
      });
    if (rm === undefined) {
      add(undefined, false);
      continue;
    }
    if (!memoryOnly.test(rm) && !rest.includes("mem")) {
      // A general register operand is EAX: ECX holds the address.
      if (generalOrMemory.test(rm)) add(0xc0 | (reg << 3), false);
      else {
        add(0xc1 | (reg << 3), false);
        if (!digit) add(0xc0, false);
      }
    }
    if (!registerOnly.test(rm) && !rest.includes("reg")) add(0x01 | (reg << 3), true);
  }
  return list;
}

/** What the lanes of an instruction's operands are, for choosing values. */
export function elementOf(e: Encoding): "single" | "double" | "integer" {
  const name = e.name.replace(".sse", "");
  if (name.startsWith("cvt")) return /^cvtt?(ps|ss)/.test(name) ? "single" : /^cvtt?(pd|sd)/.test(name) ? "double" : "integer";
  if (/^(p|mov[dqn]|mask)/.test(name)) return "integer";
  return /(ps|ss)$/.test(name) ? "single" : /(pd|sd)$/.test(name) ? "double" : "integer";
}
