/**
 * The list of instructions that guests are known to run, one for each shape, the commonest first (shapes.txt, made by bench/shapes.ts). A line is
 *
 *     mode (hexadecimal, translator/contract/mode-key.ts), the instruction's bytes; and its offset in its page, where that matters: a jump off the page
 */
import type { ShapeSample } from "../../translator/prepared/prepare.ts";

/** Where an instruction is, if it does not matter. */
export const usualOffset = 0x800;

export function parseSamples(text: string): ShapeSample[] {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const [mode, bytes, offset] = line.split(" ");
    return {
      mode: Number.parseInt(mode, 16),
      offset: offset === undefined ? usualOffset : Number.parseInt(offset, 16),
      bytes: Uint8Array.from(bytes.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16)),
    };
  });
}

export function formatSample({ mode, bytes, offset }: ShapeSample): string {
  const digits = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
  return `${mode.toString(16)} ${digits}${offset === usualOffset ? "" : ` ${offset.toString(16)}`}`;
}
