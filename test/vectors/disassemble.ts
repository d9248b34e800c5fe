/** Disassembly for reports, by iced-x86. */
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";
import { layout } from "./layout.ts";

export function disassemble(bytes: Uint8Array): string {
  const decoder = new Decoder(32, bytes, DecoderOptions.None);
  decoder.ip = BigInt(layout.entry);
  const instruction = decoder.decode();
  const formatter = new Formatter(FormatterSyntax.Nasm);
  const text = formatter.format(instruction);
  formatter.free();
  instruction.free();
  decoder.free();
  return `${Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(" ")}  ${text}`;
}
