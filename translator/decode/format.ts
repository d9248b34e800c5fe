/**
 * A disassembler for people: Intel syntax with NASM's size words, `mov eax, [ebp-8]`. It prints what the decoder understood, so that a dump
 * shows the decoder's mistakes too. A segment is shown where it is not the default one, a size where no register of the same size tells it.
 */
import { type DecodedInstruction, type Operand, operandKind, repeat } from "./instruction.ts";

const byteRegisters = ["al", "cl", "dl", "bl", "ah", "ch", "dh", "bh"];
const wordRegisters = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
const doublewordRegisters = wordRegisters.map((name) => `e${name}`);
const generalRegisters: Record<number, string[]> = { 1: byteRegisters, 2: wordRegisters, 4: doublewordRegisters };
const segments = ["es", "cs", "ss", "ds", "fs", "gs"];
const sizeWords: Record<number, string> = { 1: "byte ", 2: "word ", 4: "dword ", 8: "qword ", 10: "tword ", 16: "oword " };

/** Names that assembly tells apart by operand size. */
const sizedNames: Record<string, readonly [with16: string, with32: string]> = {
  cbw: ["cbw", "cwde"],
  cwd: ["cwd", "cdq"],
  pusha: ["pusha", "pushad"],
  popa: ["popa", "popad"],
  pushf: ["pushf", "pushfd"],
  popf: ["popf", "popfd"],
  iret: ["iret", "iretd"],
};
const stringNames = new Set(["movs", "cmps", "stos", "lods", "scas", "ins", "outs"]);
const stringSuffix: Record<number, string> = { 1: "b", 2: "w", 4: "d" };

/** One instruction as text; `address` is the EIP of its first byte, for branch targets. */
export function formatInstruction(i: DecodedInstruction, address = 0): string {
  const operands: string[] = [];
  for (let n = 0; n < i.operandCount; n++) operands.push(formatOperand(i, n, address));
  // The counter where it is not of the operand's size: LOOP with one of the two size prefixes.
  if (i.row.name.startsWith("loop") && i.addressSize !== i.operandSize) operands.push(i.addressSize === 4 ? "ecx" : "cx");
  const text = operands.length === 0 ? mnemonic(i) : `${mnemonic(i)} ${operands.join(", ")}`;
  return (i.lock ? "lock " : "") + text;
}

function mnemonic(i: DecodedInstruction): string {
  const { name } = i.row;
  if (stringNames.has(name)) {
    const compares = name === "cmps" || name === "scas";
    const prefix = i.repeat === repeat.none ? "" : i.repeat === repeat.repne && compares ? "repne " : compares ? "repe " : "rep ";
    const memory = i.operands[0].kind === operandKind.memory ? i.operands[0] : i.operands[1];
    return prefix + name + stringSuffix[memory.size];
  }
  if (name in sizedNames) return sizedNames[name][i.operandSize === 4 ? 1 : 0];
  if (name === "jcxz") return i.addressSize === 4 ? "jecxz" : "jcxz";
  if (name === "ret.far") return "retf";
  const dot = name.indexOf(".");
  return dot < 0 ? name : name.slice(0, dot);
}

/** 0-9 as they are, the rest in hexadecimal. */
function formatNumber(value: number): string {
  return value < 10 ? String(value) : `0x${value.toString(16)}`;
}
const formatUnsigned = (value: number) => formatNumber(value >>> 0);

function formatOperand(i: DecodedInstruction, n: number, address: number): string {
  const o = i.operands[n];
  switch (o.kind) {
    case operandKind.register:
      return generalRegisters[o.size][o.reg];
    case operandKind.memory:
      return formatMemory(i, n);
    case operandKind.immediate:
      return formatUnsigned(o.value);
    case operandKind.relative: {
      const target = (address + i.length + o.value) >>> 0;
      return `0x${(o.size === 2 ? target & 0xffff : target).toString(16)}`;
    }
    case operandKind.farPointer:
      return `${formatNumber(o.selector)}:${formatUnsigned(o.value)}`;
    case operandKind.segmentRegister:
      return segments[o.reg];
    case operandKind.controlRegister:
      return `cr${o.reg}`;
    case operandKind.debugRegister:
      return `dr${o.reg}`;
    case operandKind.st:
      return `st${o.reg}`;
    case operandKind.mmx:
      return `mm${o.reg}`;
    case operandKind.xmm:
      return `xmm${o.reg}`;
    default:
      return "?";
  }
}

function formatMemory(i: DecodedInstruction, n: number): string {
  const o = i.operands[n];
  const names = i.addressSize === 4 ? doublewordRegisters : wordRegisters;
  let text = o.base >= 0 ? names[o.base] : "";
  // An index without a base keeps its *1: the default segment hangs on the base.
  if (o.index >= 0) text += `${text === "" ? "" : "+"}${names[o.index]}${o.scale === 0 && text !== "" ? "" : `*${1 << o.scale}`}`;
  if (text === "") text = formatUnsigned(i.addressSize === 4 ? o.displacement : o.displacement & 0xffff);
  else if (o.displacement !== 0) text += (o.displacement < 0 ? "-" : "+") + formatNumber(Math.abs(o.displacement));
  return `${sizeWord(i, n)}[${segmentPrefix(i, o)}${text}]`;
}

function segmentPrefix(i: DecodedInstruction, o: Operand): string {
  const destination = stringNames.has(i.row.name) && o.base === 7;
  const usual = destination ? 0 : o.base === 4 || o.base === 5 ? 2 : 3;
  return o.segment === usual || i.row.name === "lea" ? "" : `${segments[o.segment]}:`;
}

function sizeWord(i: DecodedInstruction, n: number): string {
  const { row, operands, operandCount } = i;
  if (stringNames.has(row.name)) return "";
  if (row.operands === "Mp" && (row.name === "call.far" || row.name === "jmp.far")) return "far ";
  const { size } = operands[n];
  for (let m = 0; m < operandCount; m++) {
    const other = operands[m];
    // A shift's count is not of the shifted operand's size even where it has the same.
    const counts = m === operandCount - 1 && row.operands.endsWith(",CL");
    const register = other.kind === operandKind.register || other.kind === operandKind.mmx || other.kind === operandKind.xmm;
    if (m !== n && register && other.size === size && !counts) return "";
  }
  return sizeWords[size] ?? "";
}
