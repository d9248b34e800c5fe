/** An inspected block as text. */
import { describeMode } from "../../translator/contract/mode-key.ts";
import type { InspectedBlock, InspectedHandler, InspectedInstruction, InspectedMicroBlock, InspectedPass } from "./types.ts";

const hex = (value: number, digits = 8): string => (value >>> 0).toString(16).padStart(digits, "0");
const indent = (text: string, by = "  "): string => text.trimEnd().replace(/^(?!$)/gm, by);
const count = (n: number): string => n.toLocaleString("en-US");

export interface RenderOptions {
  /** Print every pass of every block of the region; otherwise of the blocks after the first only what the last pass left. */
  readonly allPasses?: boolean;
}

/** Sections: what it is, listing, micro-ops by pass, tier 0's handlers, the region's JavaScript. */
export function renderText(block: InspectedBlock, options: RenderOptions = {}): string {
  const sections = [
    heading(block),
    block.instructions.map(listingLine).join("\n"),
    ...block.blocks.map((b, k) => microBlock(block, b, k === 0 || options.allPasses === true)),
    block.handlers.length === 0 ? "" : `tier 0: the handler of each shape\n${block.handlers.map(handler).join("\n")}`,
    region(block),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** One instruction of the listing: address, bytes, text, and what a sensitive one is patched into. */
export function listingLine(i: InspectedInstruction): string {
  const bytes = [...i.bytes].map((b) => hex(b, 2)).join(" ");
  const line = `  ${hex(i.address)}  ${bytes.padEnd(23)}  ${i.text}`;
  return i.exit === undefined ? line : `${line.padEnd(70)}  ; VM exit "${i.exit.reason}" -> ${i.exit.callout}: ${i.exit.why}`;
}

function heading(block: InspectedBlock): string {
  const where = block.physical === undefined ? "" : ` (physical ${hex(block.physical)})`;
  const executed = block.executions === undefined ? "" : `; executed ${count(block.executions)} times`;
  return `block ${hex(block.address)}${where}: ${describeMode(block.mode)}; ${block.instructions.length} instructions, ends ${block.end}${executed}`;
}

function microBlock(block: InspectedBlock, b: InspectedMicroBlock, allPasses: boolean): string {
  const texts = new Map(b.instructions.map((i) => [i.address, i.text]));
  const passes = allPasses ? b.passes : b.passes.slice(-1);
  const isFirst = b.address === block.address;
  const blockName = isFirst ? "" : `, block ${hex(b.address)}`;
  const sections = passes.map((pass, k) => {
    const before = allPasses ? b.passes[k - 1] : undefined;
    if (before !== undefined && text(before) === text(pass)) return `micro-ops, after ${pass.pass}${blockName}: the same`;
    return `micro-ops, ${pass.pass === "lifted" ? "as lifted" : `after ${pass.pass}`}${blockName}\n${microOps(pass, texts)}`;
  });
  if (!isFirst) sections.unshift(`block ${hex(b.address)} of the region\n${b.instructions.map(listingLine).join("\n")}`);
  return sections.join("\n\n");
}

const text = (pass: InspectedPass): string => pass.microOps.map((op) => op.text).join("\n");

function microOps(pass: InspectedPass, texts: ReadonlyMap<number, string>): string {
  const lines: string[] = [];
  let last = -1;
  for (const op of pass.microOps) {
    if (op.address !== last) lines.push(`  ${hex(op.address)}  ${texts.get(op.address) ?? ""}`.trimEnd());
    lines.push(`      ${op.text}`);
    last = op.address;
  }
  return lines.length === 0 ? "  (none)" : lines.join("\n");
}

function handler(h: InspectedHandler): string {
  const words = h.words.length === 0 ? "" : `    words after the shape's: ${h.words.join(", ")}`;
  return [`  ${h.shape}`, words, indent(h.text, "    ")].filter((line) => line !== "").join("\n");
}

function region(block: InspectedBlock): string {
  const { region: r } = block;
  if (r === undefined) return "";
  const exits = r.exits.length === 0 ? "no static exits" : `exits to ${r.exits.map((exit) => hex(exit)).join(", ")}`;
  return `region from ${hex(block.address)}${r.isInstalled ? "" : " (as it would be)"}: ${r.instructions} instructions, ${exits}\n${indent(r.text)}`;
}
