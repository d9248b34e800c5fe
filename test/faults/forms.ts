/**
 * Every row of the opcode tables as one encoding whose memory operands lie on pages of their own, and what iced-x86 says it does to memory: address, size, read or
 * written. That is what the expected page faults are derived from.
 */
import { Decoder, DecoderOptions, Formatter, FormatterSyntax, InstructionInfoFactory, MemorySizeExt, OpAccess, Register } from "iced-x86";
import { operandCodes } from "../../translator/decode/operands.ts";
import { parseEncoding, type TableRow } from "../../translator/decode/table-row.ts";

/** Pages that operands lie on: by EBX, ESI, EDI, EBP and the stack. Each has a second page behind it. */
export const pages = { ebx: 0x20000, esi: 0x22000, edi: 0x24000, ebp: 0x26000, esp: 0x28000 } as const;
export type PageName = keyof typeof pages;
/** Offset on its page that a register points to when nothing is to straddle. */
export const plainOffset = 0x800;

export interface MemoryUse {
  readonly page: PageName;
  /** Relative to the register. */
  readonly displacement: number;
  readonly size: number;
  readonly writes: boolean;
  /** At a fixed address (MOV AL, moffs). */
  readonly isAbsolute: boolean;
}

export interface InstructionForm {
  readonly name: string;
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly uses: readonly MemoryUse[];
}

/** Privileged instructions fault before they touch memory in ring 3; far transfers and returns from interrupts need more of a world: test/system has them. */
const elsewhere =
  /^(lgdt|lidt|lldt|ltr|lmsw|invlpg|ins|outs|in|out|hlt|jmp\.far|call\.far|ret\.far|iret|sysenter|sysexit|int|into|icebp|rsm|bound|clflush|prefetch\w+|nop|lea)$/;

const written = new Set([OpAccess.Write, OpAccess.CondWrite, OpAccess.ReadWrite, OpAccess.ReadCondWrite]);
const registers: Readonly<Record<number, PageName>> = {
  [Register.EBX]: "ebx",
  [Register.ESI]: "esi",
  [Register.EDI]: "edi",
  [Register.EBP]: "ebp",
  [Register.ESP]: "esp",
};

export function instructionForms(table: readonly TableRow[]): InstructionForm[] {
  const out: InstructionForm[] = [];
  for (const [text, name, operandText] of table) {
    if (elsewhere.test(name)) continue;
    const encoding = parseEncoding(text);
    const operands = operandText === "" ? [] : operandText.split(",");
    for (const operandSize of encoding.prefix === undefined ? ([4, 2] as const) : ([4] as const)) {
      const bytes: number[] = [];
      if (encoding.prefix !== undefined && encoding.prefix !== "NP") bytes.push(Number.parseInt(encoding.prefix, 16));
      if (operandSize === 2) bytes.push(0x66);
      bytes.push(...encoding.escape);
      bytes.push(encoding.opcode);
      const codes = operands.map((o) => operandCodes[o]);
      if (encoding.modrm !== undefined) bytes.push(encoding.modrm);
      else if (encoding.reg !== undefined || encoding.form !== undefined || codes.some((c) => c !== undefined && c.modrm !== "none")) {
        const isRegister = encoding.form === "reg" || codes.some((c) => c?.modrm === "register" || c?.modrm === "mod ignored");
        // [EBX] with EAX, MM0 or XMM0 (segment register DS); between registers the other one is MM1 or XMM1.
        const reg = encoding.reg ?? (operands.includes("Sw") ? 3 : 0);
        bytes.push(isRegister ? 0xc1 | (reg << 3) : (reg << 3) | 3);
      }
      codes.forEach((code, k) => {
        if (code === undefined) return;
        if (operands[k].startsWith("O")) bytes.push(plainOffset & 255, plainOffset >> 8, (pages.ebx >> 16) & 255, 0);
        else bytes.push(...new Array(code.immediateBytes(operandSize, 4)).fill(0).map((_, b) => (b === 0 && !operands[k].startsWith("J") ? 1 : 0)));
      });
      const form = describe(name, Uint8Array.from(bytes));
      if (form !== undefined && form.uses.length > 0) out.push(form);
    }
  }
  return out;
}

function describe(name: string, bytes: Uint8Array): InstructionForm | undefined {
  const decoder = new Decoder(32, bytes, DecoderOptions.None);
  const instruction = decoder.decode();
  const formatter = new Formatter(FormatterSyntax.Nasm);
  const factory = new InstructionInfoFactory();
  const info = factory.info(instruction);
  const text = formatter.format(instruction);
  const isWhole = instruction.length === bytes.length;
  const uses: MemoryUse[] = [];
  for (const memory of info.usedMemory()) {
    const { access } = memory;
    if (access !== OpAccess.NoMemAccess && access !== OpAccess.None) {
      const page = memory.base === Register.None ? "ebx" : registers[memory.base];
      const displacement = memory.base === Register.None ? 0 : Number(BigInt.asIntN(32, memory.displacement));
      const index = memory.index === Register.AL ? alValue : 0;
      if (page !== undefined)
        uses.push({
          page,
          displacement: displacement + index,
          size: MemorySizeExt.size(memory.memorySize),
          writes: written.has(access),
          isAbsolute: memory.base === Register.None,
        });
    }
    memory.free();
  }
  info.free();
  factory.free();
  formatter.free();
  instruction.free();
  decoder.free();
  return isWhole ? { name, text, bytes, uses } : undefined;
}

/** AL when the instruction runs (XLAT's index). */
export const alValue = 5;
