/**
 * The opcode maps as the decoder walks them, built once from the tables.
 *
 * A map has 256 entries. An entry holds its forms in a flat list: one form; or one per mandatory prefix; or 72 per mandatory prefix,
 * told apart by ModRM (8 memory forms by ModRM.reg, then 64 register forms by the whole byte, as the x87 needs). Every gap is the
 * invalid form, so that the decoder never asks whether a form exists.
 */

import { operandKind } from "./instruction.ts";
import type { OpcodeRow } from "./opcode-row.ts";
import { type OperandCode, operandCodes, place } from "./operands.ts";
import { type Encoding, mandatoryPrefix, opcodeEscapes, parseEncoding, type TableRow } from "./table-row.ts";
import { extensionRows } from "./tables/extensions.ts";
import { groupRows } from "./tables/groups.ts";
import { mmxRows } from "./tables/mmx.ts";
import { oneByteRows } from "./tables/one-byte.ts";
import { sseRows } from "./tables/sse.ts";
import { sse2IntegerRows } from "./tables/sse2-integer.ts";
import { twoByteRows } from "./tables/two-byte.ts";
import { x87Rows } from "./tables/x87.ts";

const tables: readonly (readonly TableRow[])[] = [oneByteRows, groupRows, twoByteRows, x87Rows, mmxRows, sseRows, sse2IntegerRows, extensionRows];

/** A row with its operands made ready to be read; one row has several forms where the opcode names a register. */
export interface Form {
  readonly row: OpcodeRow;
  readonly valid: boolean;
  readonly operands: readonly OperandCode[];
  /** ModRM's r/m is a register whatever mod says: no SIB or displacement follows. */
  readonly modIgnored: boolean;
  /** Immediate bytes, indexed by operand size + addressSize / 2 - 3 (sizes in bytes: 2,2 -> 0; 2,4 -> 1; 4,2 -> 2; 4,4 -> 3). */
  readonly immediateBytes: readonly number[];
}

export interface MapEntry {
  readonly hasModrm: boolean;
  /** Forms per mandatory prefix: 0 where the prefix does not matter. */
  readonly prefixStride: number;
  readonly forms: readonly Form[];
}

/** Index of a ModRM byte's form among an entry's 72. */
export const modrmIndex = (modrm: number): number => (modrm < 0xc0 ? (modrm >> 3) & 7 : modrm - 0xb8);
const modrmForms = 72;

/** What an instruction that is not one decodes to; not in `rows`. */
export const invalidRow: OpcodeRow = { index: -1, name: "(bad)", operands: "", lockable: false, endsBlock: true };
const invalidForm: Form = { row: invalidRow, valid: false, operands: [], modIgnored: false, immediateBytes: [0, 0, 0, 0] };

/** A gap among an opcode's forms: the CPU fetches the address and immediate that the opcode has otherwise before it raises #UD. */
const gapBeside = (form: Form): Form => ({ ...invalidForm, modIgnored: form.modIgnored, immediateBytes: form.immediateBytes });

interface MutableEntry {
  hasModrm: boolean;
  byPrefix: boolean;
  forms: Form[];
}

function codesOf(row: TableRow): OperandCode[] {
  if (row[2] === "") return [];
  return row[2].split(",").map((name) => {
    const code = operandCodes[name];
    if (!code) throw new Error(`opcode table: row "${row.join(" ")}" has the unknown operand code "${name}"`);
    return code;
  });
}

function newForm(row: OpcodeRow, codes: readonly OperandCode[], names: readonly string[], opcode: number): Form {
  let immediateOffset = 0;
  const operands = codes.map((code, n) => {
    const operand = place(code, names[n].startsWith("Z") ? opcode & 7 : code.number, immediateOffset);
    immediateOffset += code.immediateBytes(2, 2);
    return operand;
  });
  const sum = (operandSize: 2 | 4, addressSize: 2 | 4) => codes.reduce((n, code) => n + code.immediateBytes(operandSize, addressSize), 0);
  return {
    row,
    valid: true,
    operands,
    modIgnored: codes.some((code) => code.modrm === "mod ignored"),
    immediateBytes: [sum(2, 2), sum(2, 4), sum(4, 2), sum(4, 4)],
  };
}

/**
 * ModRM.reg values that name an existing register, as a bit set: six segment registers, and the control registers 0, 2, 3 and 4.
 * CS is no destination: far transfers load it.
 */
function validRegs(codes: readonly OperandCode[]): number {
  for (const [n, code] of codes.entries()) {
    if (code.modrm === "none") continue;
    if (code.kind === operandKind.segmentRegister) return n === 0 ? 0b111101 : 0b111111;
    if (code.kind === operandKind.controlRegister) return 0b11101;
  }
  return 0xff;
}

/** ModRM indices a row covers: all of them unless its encoding or an operand narrows them down. */
function modrmIndices(encoding: Encoding, codes: readonly OperandCode[]): number[] {
  const { modrm, reg } = encoding;
  if (modrm !== undefined) return Array.from({ length: encoding.plusStack ? 8 : 1 }, (_, i) => modrmIndex(modrm + i));
  const memory = encoding.form !== "reg" && !codes.some((code) => code.modrm === "register");
  const register = encoding.form !== "mem" && !codes.some((code) => code.modrm === "memory");
  const regs = reg === undefined ? validRegs(codes) : 1 << reg;
  const indices: number[] = [];
  if (memory) for (let reg = 0; reg < 8; reg++) if ((regs >> reg) & 1) indices.push(modrmIndex(reg << 3));
  if (register) for (let byte = 0xc0; byte < 256; byte++) if ((regs >> ((byte >> 3) & 7)) & 1) indices.push(modrmIndex(byte));
  return indices;
}

function build() {
  const maps = opcodeEscapes.map(() => Array.from({ length: 256 }, (): MutableEntry => ({ hasModrm: false, byPrefix: false, forms: [] })));
  const rows: OpcodeRow[] = [];
  const rowOf = new Map<string, OpcodeRow>();
  const parsed = tables.flat().map((row) => {
    const encoding = parseEncoding(row[0]);
    const codes = codesOf(row);
    const opcodes = Array.from({ length: encoding.plusRegister ? 8 : 1 }, (_, i) => encoding.opcode + i);
    return { row, encoding, codes, opcodes, entries: opcodes.map((opcode) => maps[opcodeEscapes.indexOf(encoding.escape)][opcode]) };
  });

  // First how each opcode's forms are told apart, then the forms: a row with a mandatory prefix goes after those without.
  for (const { encoding, codes, entries } of parsed) {
    for (const entry of entries) {
      entry.hasModrm ||= codes.some((code) => code.modrm !== "none") || encoding.reg !== undefined || encoding.modrm !== undefined;
      entry.byPrefix ||= encoding.prefix !== undefined;
    }
  }
  parsed.sort((a, b) => Number(a.encoding.prefix !== undefined) - Number(b.encoding.prefix !== undefined));

  for (const { row, encoding, codes, opcodes, entries } of parsed) {
    const [text, name, operands, note] = row;
    const key = `${name} ${operands}`;
    let opcodeRow = rowOf.get(key);
    if (!opcodeRow) {
      opcodeRow = { index: rows.length, name, operands, lockable: note === "lock", endsBlock: note === "end" };
      rowOf.set(key, opcodeRow);
      rows.push(opcodeRow);
    } else if (opcodeRow.lockable !== (note === "lock") || opcodeRow.endsBlock !== (note === "end")) {
      throw new Error(`opcode table: "${text}" and an earlier row of ${key} disagree on lock or end`);
    }
    for (const [n, entry] of entries.entries()) {
      const form = newForm(opcodeRow, codes, operands.split(","), opcodes[n]);
      const perPrefix = entry.hasModrm ? modrmForms : 1;
      if (entry.forms.length === 0) entry.forms = new Array(entry.byPrefix ? perPrefix * 4 : perPrefix).fill(gapBeside(form));
      const slots = entry.hasModrm ? modrmIndices(encoding, codes) : [0];
      const prefixes = !entry.byPrefix ? [0] : encoding.prefix === undefined ? [0, 1, 2, 3] : [mandatoryPrefix[encoding.prefix]];
      for (const prefix of prefixes) {
        for (const slot of slots) {
          const at = prefix * perPrefix + slot;
          const before = entry.forms[at];
          const overrides = encoding.prefix !== undefined && !entry.hasModrm;
          if (before.valid && !overrides) throw new Error(`opcode table: "${text}" (${name}) covers what ${before.row.name} has already`);
          entry.forms[at] = form;
        }
      }
    }
  }

  // Whatever stands behind 0F 38 has a ModRM byte, and behind 0F 3A an immediate byte, too: the CPU fetches them before it raises #UD.
  for (const [map, immediate] of [
    [2, 0],
    [3, 1],
  ]) {
    const form: Form = { ...invalidForm, immediateBytes: [immediate, immediate, immediate, immediate] };
    for (const entry of maps[map]) {
      if (entry.forms.length > 0) continue;
      entry.hasModrm = true;
      entry.forms = new Array(modrmForms).fill(form);
    }
  }

  const finish = (entry: MutableEntry): MapEntry => ({
    hasModrm: entry.hasModrm,
    prefixStride: entry.byPrefix ? (entry.hasModrm ? modrmForms : 1) : 0,
    forms: entry.forms.length === 0 ? [invalidForm] : entry.forms,
  });
  const [oneByte, twoByte, map38, map3A] = maps.map((entries) => entries.map(finish));
  return { rows, oneByte, twoByte, map38, map3A };
}

const built = build();

/** Every row there is; `rows[i].index === i`. */
export const rows: readonly OpcodeRow[] = built.rows;
export const oneByteMap: readonly MapEntry[] = built.oneByte;
export const twoByteMap: readonly MapEntry[] = built.twoByte;
/** Behind 0F 38 and 0F 3A. */
export const map38: readonly MapEntry[] = built.map38;
export const map3A: readonly MapEntry[] = built.map3A;

/** Rows of one name: the operand forms of one meaning. */
export function rowsNamed(name: string): OpcodeRow[] {
  return rows.filter((row) => row.name === name);
}

/** Every name, each once. */
export const rowNames: readonly string[] = [...new Set(rows.map((row) => row.name))];
