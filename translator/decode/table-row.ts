/**
 * The notation of the opcode tables. A row reads as the SDM's instruction pages and opcode maps do:
 *
 *     ["66 0F 58", "addpd", "Vpd,Wpd"]      encoding, name, operands
 *     ["66 0F 38 DC", "aesenc", "Vdq,Wdq"]  three bytes of opcode: behind 0F 38 or 0F 3A
 *     ["80 /0", "add", "Eb,Ib", "lock"]     ModRM.reg = 0; LOCK allowed with memory
 *     ["0F AE /7 mem", "clflush", "M"]      only with mod != 3 (reg: only with mod = 3)
 *     ["40+r", "inc", "Zv"]                 eight opcodes, the register in the low bits
 *     ["D8 C0+i", "fadd", "ST0,STi"]        eight ModRM bytes, ST(i) in the low bits
 *     ["D9 E8", "fld1", ""]                 one ModRM byte
 *
 * NP, 66, F3 and F2 before an opcode are mandatory prefixes (NP: none of the three); without any of them every prefix goes.
 */
export type TableRow =
  | readonly [encoding: string, name: string, operands: string]
  | readonly [encoding: string, name: string, operands: string, note: "lock" | "end"];

/** Which of the three mandatory prefixes an instruction carries. F3 and F2 beat 66; of F3 and F2 the last one counts. */
export const mandatoryPrefix = { NP: 0, "66": 1, F3: 2, F2: 3 } as const;
export type MandatoryPrefix = keyof typeof mandatoryPrefix;

/** What leads to each of the opcode maps. */
export const opcodeEscapes = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]] as const;
export type OpcodeEscape = (typeof opcodeEscapes)[number];

/** A row's encoding, taken apart. */
export interface Encoding {
  readonly prefix: MandatoryPrefix | undefined;
  /** The opcode's bytes before the last. */
  readonly escape: OpcodeEscape;
  readonly opcode: number;
  /** The low three bits of the opcode (+r) are a register. */
  readonly plusRegister: boolean;
  /** ModRM.reg, where the row is one of a group. */
  readonly reg: number | undefined;
  /** The whole ModRM byte, or the first of eight (+i), where the row is told apart by it. */
  readonly modrm: number | undefined;
  readonly plusStack: boolean;
  readonly form: "mem" | "reg" | undefined;
}

const notation = /^(?:(NP|66|F3|F2) )?(0F(?: 38| 3A)? )?([0-9A-F]{2})(\+r)?(?: \/([0-7])| ([C-F][0-9A-F])(\+i)?)?(?: (mem|reg))?$/;

export function parseEncoding(text: string): Encoding {
  const match = notation.exec(text);
  if (!match) throw new Error(`opcode table: "${text}" is not an encoding (see translator/decode/table-row.ts)`);
  const [, prefix, before = "", opcode, plusRegister, reg, modrm, plusStack, form] = match;
  return {
    prefix: prefix as MandatoryPrefix | undefined,
    escape: opcodeEscapes[["", "0F ", "0F 38 ", "0F 3A "].indexOf(before)],
    opcode: Number.parseInt(opcode, 16),
    plusRegister: plusRegister !== undefined,
    reg: reg === undefined ? undefined : Number(reg),
    modrm: modrm === undefined ? undefined : Number.parseInt(modrm, 16),
    plusStack: plusStack !== undefined,
    form: form as "mem" | "reg" | undefined,
  };
}
