/**
 * The list of instructions that guests are known to run, one for each shape, and of superinstructions, the commonest first (shapes.txt, made by bench/shapes.ts). A line is
 *
 *     mode (hexadecimal, translator/contract/mode-key.ts), the instruction's bytes; and its offset in its page, where that matters: a jump off the page
 *
 * A superinstruction has the bytes of its parts with + between them.
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
      parts: bytes.split("+").map((part) => Uint8Array.from(part.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16))),
    };
  });
}

export function formatSample({ mode, parts, offset }: ShapeSample): string {
  const digits = parts.map((bytes) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("")).join("+");
  return `${mode.toString(16)} ${digits}${offset === usualOffset ? "" : ` ${offset.toString(16)}`}`;
}

/** The line for both fused, the second one an instruction's; undefined if it matters where one of them is. */
export function fuseSamples(first: string, second: string): string | undefined {
  const [mode, bytes, ...offset] = first.split(" ");
  // What the modes differ in, if they do, does not alter shapes.
  const [, otherBytes, ...otherOffset] = second.split(" ");
  return offset.length + otherOffset.length > 0 ? undefined : `${mode} ${bytes}+${otherBytes}`;
}
