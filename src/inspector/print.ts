/** An inspected block as text. */
import { describeMode } from "../../translator/contract/mode-key.ts";
import type { InspectedBlock } from "./inspect.ts";

const hex = (value: number, digits = 8): string => (value >>> 0).toString(16).padStart(digits, "0");
const indent = (text: string, by: string): string => text.trimEnd().replace(/^/gm, by);

export function printBlock(block: InspectedBlock, heading = ""): string {
  const rows = block.instructions.map((i) => {
    const bytes = [...i.bytes].map((b) => hex(b, 2)).join(" ");
    return `  ${hex(i.address)}  ${bytes.padEnd(24)}  ${i.text}${i.sensitive ? `    ; sensitive: ${i.sensitive}` : ""}`;
  });
  const micro = block.instructions.map((i) => `  ${hex(i.address)}  ${i.text}\n${i.microOps.map((line) => `      ${line}`).join("\n")}`);
  const shapes = new Map(block.instructions.map((i) => [i.shape, i.javascript]));
  const handlers = [...shapes].map(([name, text]) => `  ; ${name}\n${indent(text, "  ")}`);
  const sections = [
    `block ${hex(block.address)}: ${block.instructions.length} instructions, ends ${block.end}; ${describeMode(block.mode)}${heading ? `; ${heading}` : ""}`,
    rows.join("\n"),
    `micro-ops\n${micro.join("\n")}`,
    `JavaScript, tier 0: the handler of each shape\n${handlers.join("\n")}`,
    ...(block.region === undefined ? [] : [`JavaScript, the region that starts here\n${indent(block.region, "  ")}`]),
  ];
  return `${sections.filter((s) => s !== "").join("\n\n")}\n`;
}
