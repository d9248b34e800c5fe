/**
 * The disassembler: samples in the notation of Intel's and NASM's manuals, and every form against iced-x86's NASM formatter, leaving out
 * what is a matter of style (size words that a register makes needless or not, prefixes without meaning, implicit operands).
 */
import { Code, Formatter, FormatterSyntax } from "iced-x86";
import { expect, test } from "vitest";
import { decode, decodeStatus } from "../../translator/decode/decode.ts";
import { formatInstruction } from "../../translator/decode/format.ts";
import { newInstruction } from "../../translator/decode/instruction.ts";
import { invalidRow } from "../../translator/decode/opcode-map.ts";
import { hex, opcodeMaps, randomBytes, sweep } from "./encodings.ts";
import { IcedBatch, slotLength } from "./iced.ts";

const out = newInstruction(invalidRow);

function disassemble(bytes: number[], code32: boolean, address: number): string {
  const padded = Uint8Array.from([...bytes, ...new Array(16).fill(0)]);
  expect(decode(padded, 0, padded.length, code32, out)).toBe(decodeStatus.ok);
  expect(out.length).toBe(bytes.length);
  return formatInstruction(out, address);
}

test.each<[string, number[]]>([
  ["mov eax, [ebp-8]", [0x8b, 0x45, 0xf8]],
  ["mov dword [ebp-8], 5", [0xc7, 0x45, 0xf8, 5, 0, 0, 0]],
  ["mov eax, [gs:0]", [0x65, 0xa1, 0, 0, 0, 0]],
  ["lea ecx, [eax+ebx*4+0x10]", [0x8d, 0x4c, 0x98, 0x10]],
  ["mov eax, [ds:ebp]", [0x3e, 0x8b, 0x45, 0x00]],
  ["mov eax, [ebp*1]", [0x8b, 0x04, 0x2d, 0, 0, 0, 0]],
  ["movzx eax, byte [esi]", [0x0f, 0xb6, 0x06]],
  ["add ax, 0xffff", [0x66, 0x83, 0xc0, 0xff]],
  ["shl byte [eax], cl", [0xd2, 0x20]],
  ["lock cmpxchg8b qword [edi]", [0xf0, 0x0f, 0xc7, 0x0f]],
  ["rep movsd [edi], [esi]", [0xf3, 0xa5]],
  ["repne scasb al, [edi]", [0xf2, 0xae]],
  ["movsb [edi], [fs:esi]", [0x64, 0xa4]],
  ["jmp 0x401002", [0xeb, 0x00]],
  ["loop 0x401000", [0xe2, 0xfe]],
  ["loop 0x401000, cx", [0x67, 0xe2, 0xfd]],
  ["je 0x400f86", [0x0f, 0x84, 0x80, 0xff, 0xff, 0xff]],
  ["call 8:0x12345678", [0x9a, 0x78, 0x56, 0x34, 0x12, 8, 0]],
  ["jmp far [eax]", [0xff, 0x28]],
  ["cwde", [0x98]],
  ["iretd", [0xcf]],
  ["retf 4", [0xca, 4, 0]],
  ["mov cr0, eax", [0x0f, 0x22, 0xc0]],
  ["mov ds, ax", [0x8e, 0xd8]],
  ["fadd st0, st3", [0xd8, 0xc3]],
  ["fld tword [esp]", [0xdb, 0x2c, 0x24]],
  ["fild word [eax]", [0xdf, 0x00]],
  ["fnstsw ax", [0xdf, 0xe0]],
  ["movsd xmm1, [eax]", [0xf2, 0x0f, 0x10, 0x08]],
  ["cvtsi2sd xmm0, ecx", [0xf2, 0x0f, 0x2a, 0xc1]],
  ["paddd mm0, mm7", [0x0f, 0xfe, 0xc7]],
  ["fisttp qword [eax]", [0xdd, 0x08]],
  ["movbe ax, [ecx]", [0x66, 0x0f, 0x38, 0xf0, 0x01]],
  ["movbe [ecx], eax", [0x0f, 0x38, 0xf1, 0x01]],
  ["crc32 eax, byte [ecx]", [0xf2, 0x0f, 0x38, 0xf0, 0x01]],
  ["crc32 eax, cx", [0x66, 0xf2, 0x0f, 0x38, 0xf1, 0xc1]],
  ["pmovsxbq xmm0, word [ecx]", [0x66, 0x0f, 0x38, 0x22, 0x01]],
  ["pextrb byte [ecx], xmm0, 3", [0x66, 0x0f, 0x3a, 0x14, 0x01, 3]],
  ["pinsrd xmm0, ecx, 3", [0x66, 0x0f, 0x3a, 0x22, 0xc1, 3]],
  ["sha1rnds4 xmm1, xmm2, 0", [0x0f, 0x3a, 0xcc, 0xca, 0]],
])("%s", (text, bytes) => {
  expect(disassemble(bytes, true, 0x401000)).toBe(text);
});

test("16-bit code", () => {
  expect(disassemble([0x8b, 0x46, 0xfe], false, 0)).toBe("mov ax, [bp-2]");
  expect(disassemble([0xe9, 0xfd, 0xff], false, 0x7c00)).toBe("jmp 0x7c00");
  expect(disassemble([0xeb, 0x0e], false, 0xfff0)).toBe("jmp 0x0");
  expect(disassemble([0xa1, 0x00, 0x80], false, 0)).toBe("mov ax, [0x8000]");
});

/** Rows that iced's NASM writes in another way, and why. */
const styles: Readonly<Record<string, string>> = {
  ...Object.fromEntries(["movs", "cmps", "stos", "lods", "scas", "ins", "outs", "xlat"].map((name) => [name, "operands are shown"])),
  ...Object.fromEntries(["aam", "aad"].map((name) => [name, "base ten is shown"])),
  ...Object.fromEntries(["pusha", "popa", "pushf", "popf", "iret", "ret", "ret.far", "call.far", "jmp.far"].map((name) => [name, "suffix for size"])),
  ...Object.fromEntries(["mov.sreg", "lldt", "ltr", "verr", "verw", "lmsw", "arpl", "lar", "lsl"].map((name) => [name, "selectors are words"])),
  ...Object.fromEntries(["loop", "loope", "loopne"].map((name) => [name, "the counter is shown where it is not of the operand size"])),
  fwait: "NASM's spelling is WAIT",
  icebp: "NASM's spelling is INT1",
  xchg: "NASM writes the memory operand last",
  nop: "one operand; 66 90 is a NOP too",
  shl: "SAL, its alias",
  imul: "three operands are shown where two are equal",
};

test("every form reads as iced's NASM syntax has it", () => {
  const formatter = new Formatter(FormatterSyntax.Nasm);
  Object.assign(formatter, {
    hexPrefix: "0x",
    hexSuffix: "",
    uppercaseHex: false,
    spaceAfterOperandSeparator: true,
    branchLeadingZeros: false,
    leadingZeros: false,
    displacementLeadingZeros: false,
    addLeadingZeroToHexNumbers: false,
    showBranchSize: false,
    usePseudoOps: false,
  });
  const plain = (text: string) =>
    text
      .replace(/\b(byte|word|dword|qword|tword|oword|to) /g, "")
      .replace(/^(([c-g]s|o16|a16|xacquire|xrelease|bnd|notrack) )+/, "")
      // x87: the operand that is always ST(0).
      .replace(/^(f\w+) st0, (st\d)$/, "$1 $2")
      .replace(/^(f\w+) (st\d), st0$/, "$1 $2")
      // The third operand that is always XMM0.
      .replace(/^((?:p?blendv\w+|sha256rnds2) .*, .*), xmm0$/, "$1")
      .replace(/^(lea .*\[)[c-g]s:/, "$1")
      // 0-9 are written without 0x, branch targets with it.
      .replace(/\b0x([0-9])\b/g, "$1");
  const found: string[] = [];
  let compared = 0;
  for (const prefixes of [[], [0x66], [0xf3], [0xf2], [0x65], [0xf0]]) {
    for (const map of opcodeMaps) {
      const { bytes, opcodeAt } = sweep(map, prefixes, randomBytes(prefixes.length + 3));
      const batch = new IcedBatch(bytes, true);
      for (let slot = 0; slot < 65536; slot++) {
        const at = slot * slotLength;
        if (decode(bytes, at, at + slotLength, true, out) !== decodeStatus.ok || out.row.name in styles) continue;
        const iced = batch.decode(slot, opcodeAt[slot]);
        expect(iced.code).not.toBe(Code.INVALID);
        compared++;
        const theirs = plain(formatter.format(iced));
        const ours = plain(formatInstruction(out, Number(iced.ip)));
        if (ours !== theirs) found.push(`${hex(bytes.subarray(at, at + out.length))}: "${ours}" for "${theirs}"`);
      }
      batch.free();
    }
  }
  formatter.free();
  expect(found.slice(0, 20)).toEqual([]);
  expect(compared).toBeGreaterThan(480_000);
});
