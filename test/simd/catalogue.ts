/**
 * The encodings under test, made from the decoder's tables: every row on vector registers in its register form (operands 0 and 1, or twice the
 * same register) and its memory form ([ECX]).
 */
import { parseEncoding } from "../../translator/decode/table-row.ts";
import { extensionRows } from "../../translator/decode/tables/extensions.ts";
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
  /** XMM1 is the target of the memory form, because XMM0 is a third operand. */
  readonly isIntoSecond: boolean;
  readonly label: string;
}

const prefixBytes: Record<string, number[]> = { NP: [], 66: [0x66], F3: [0xf3], F2: [0xf2] };
/** ModRM operand codes that are memory only, register only, or a general register when not memory. */
const memoryOnly = /^M/;
const registerOnly = /^[NU]/;
const generalOrMemory = /^[ER]/;
const isModrmCode = /^[EMNQUWR]/;
const readsXmm0 = /^(p?blendv|sha256rnds2)/;

/** What came after SSE2 on vector registers, but for what reads EDX or writes ECX, which the harness knows nothing of: test/vectors has that. */
const laterRows = extensionRows.filter(([, name, operands]) => /[PQNVWU]/.test(operands) && !/^pcmp[ei]str[im]$/.test(name));

export function encodings(): Encoding[] {
  const list: Encoding[] = [];
  for (const [encoding, name, operands] of [...mmxRows, ...sseRows, ...sse2IntegerRows, ...laterRows]) {
    const { prefix, escape: before, opcode, reg: digit, form } = parseEncoding(encoding);
    const start = [...prefixBytes[prefix ?? "NP"], ...before, opcode];
    const reg = digit ?? 0;
    const codes = operands === "" ? [] : operands.split(",");
    const hasImmediate = codes.includes("Ib");
    const rm = codes.find((code) => isModrmCode.test(code));
    const add = (modrm: number | undefined, isMemory: boolean, isIntoSecond = false) =>
      list.push({
        name,
        operands,
        hasImmediate,
        isMemory,
        isIntoSecond,
        bytes: modrm === undefined ? start : [...start, modrm],
        label: `${name} ${operands}${modrm === undefined ? "" : ` modrm ${modrm.toString(16)}`}`,
      });
    if (rm === undefined) {
      add(undefined, false);
      continue;
    }
    if (!memoryOnly.test(rm) && form !== "mem") {
      // A general register operand is EAX: ECX holds the address.
      if (generalOrMemory.test(rm)) add(0xc0 | (reg << 3), false);
      else {
        add(0xc1 | (reg << 3), false);
        if (digit === undefined) add(0xc0, false);
      }
    }
    if (!registerOnly.test(rm) && form !== "reg") add(0x01 | (reg << 3), true);
    if (readsXmm0.test(name)) {
      add(0xc8, false);
      add(0x09, true, true);
    }
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
