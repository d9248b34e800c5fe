/**
 * Debug output. What the translator does is seen by standing between it and the dispatcher: `in_asm` every instruction decoded; `ir` every shape's
 * micro-ops, and a region's as lifted and after each pass; `js` the text of both.
 */
import type { ModeKey } from "../../translator/contract/mode-key.ts";
import { describeMode } from "../../translator/contract/mode-key.ts";
import type { RegionCode, RegionRequest, ShapeCode, Translator } from "../../translator/contract/translator.ts";
import { formatInstruction } from "../../translator/decode/format.ts";
import type { JavaScriptTranslator } from "../../translator/index.ts";
import { printBlock, printTemplate } from "../../translator/ir/print.ts";
import { describeFields } from "../../translator/lift/shape.ts";
import type { DebugCategory, MachineOptions } from "./options.ts";

type Debug = NonNullable<MachineOptions["debug"]>;

/** The translator with its work written to `debug`. @param pageEip EIP of the first byte of the page being decoded */
export function observeTranslator(translator: JavaScriptTranslator, debug: Debug, pageEip: () => number): Translator {
  const wants = (category: DebugCategory): boolean => debug.categories.includes(category);
  if (!wants("in_asm") && !wants("ir") && !wants("js")) return translator;
  const seen = new Set<number>();
  let next = -1;
  const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");

  if (wants("ir")) {
    translator.observe = (pass, block) => {
      const lines = printBlock(block).map(({ text }) => `  ${text}`);
      debug.write("ir", `IR of the block at page offset ${block.offset.toString(16)}, ${pass}\n${lines.join("\n")}`);
    };
  }
  return {
    decode(bytes: Uint8Array, offset: number, end: number, mode: ModeKey, pageOffset: number): number {
      const shape = translator.decode(bytes, offset, end, mode, pageOffset);
      if (wants("in_asm")) {
        const eip = pageEip() + pageOffset;
        if (eip !== next) debug.write("in_asm", `IN: ${describeMode(mode)}`);
        const text = shape < 0 ? "(not an instruction)" : formatInstruction(translator.instruction, eip);
        debug.write("in_asm", `${hex(eip)}  ${text}`);
        next = eip + translator.length;
      }
      return shape;
    },
    get length(): number {
      return translator.length;
    },
    get fields(): Int32Array {
      return translator.fields;
    },
    shape(number: number): ShapeCode {
      const code = translator.shape(number);
      if (seen.has(number)) return code;
      seen.add(number);
      if (wants("ir")) debug.write("ir", `IR of ${code.name}\n  ${printTemplate(translator.template(number), describeFields(translator.shapeOf(number))).join("\n  ")}`);
      if (wants("js")) debug.write("js", `JS of ${code.name}\n${code.text}`);
      return code;
    },
    get shapeCount(): number {
      return translator.shapeCount;
    },
    region(request: RegionRequest): RegionCode | undefined {
      const code = translator.region(request);
      if (code && wants("js")) debug.write("js", `JS of region ${request.name}, ${code.instructions} instructions\n${code.text}`);
      return code;
    },
  };
}
