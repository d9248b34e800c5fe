/** What bisect found, as text. */
import type { BisectResult, Difference, Parting, Verdict } from "./bisect.ts";
import { renderText } from "./render.ts";
import type { Symbols } from "./symbols.ts";

const hex = (value: number, digits = 8): string => (value >>> 0).toString(16).padStart(digits, "0");
const count = (n: number): string => n.toLocaleString("en-US");

export interface BisectNames {
  readonly subject: string;
  readonly reference: string;
  readonly symbols?: Symbols;
}

export function renderBisection(result: BisectResult, { subject, reference, symbols }: BisectNames): string {
  const { parting } = result;
  const both = `"${subject}" and "${reference}"`;
  if (parting === undefined) {
    const end = result.ended === undefined ? "" : `, to the guest's end (${result.ended.reason})`;
    return `no difference between ${both} in ${count(result.instructions)} instructions${end}\n`;
  }
  const name = symbols?.describe(parting.address);
  const where = `${hex(parting.address)}${name === undefined ? "" : ` <${name}>`}`;
  const sections = [
    `${both} part after ${count(parting.instructions)} instructions, ${place(parting, where)}`,
    `difference: ${"subject".padStart(15)}  reference\n${parting.differences.map((d) => difference(d, parting)).join("\n")}`,
    verdicts(parting.verdicts),
    parting.culprit === undefined
      ? "no optimisation makes the difference by itself"
      : `look at: ${parting.culprit}${parting.block === undefined ? "" : `, and what it makes of the block at ${where}`}`,
    ...(parting.block === undefined ? [] : [renderText(parting.block).trimEnd()]),
  ];
  return `${sections.join("\n\n")}\n`;
}

function place({ isExact, tier }: Parting, where: string): string {
  if (isExact) return `in the block at ${where}, which runs ${tier === "region" ? "in a region" : "on tier 0"}`;
  return `some time after the block at ${where} (only while the guest runs on without a stop, so that the block cannot be told)`;
}

function difference(d: Difference, { block }: Parting): string {
  const by =
    block?.blocks.flatMap((b) => b.instructions).find((i) => i.address === d.writtenAt) ?? block?.instructions.find((i) => i.address === d.writtenAt);
  const written = d.writtenAt === undefined ? "" : `   written by ${hex(d.writtenAt)}${by === undefined ? "" : `  ${by.text}`}`;
  return `  ${d.name.padEnd(16)}${hex(d.subject)}   ${hex(d.reference)}${written}`;
}

function verdicts(list: readonly Verdict[]): string {
  if (list.length === 0) return "";
  const rows = list.map(({ name, goneWithout, thereWithIt }) => {
    const alone = thereWithIt === undefined ? "" : thereWithIt ? "there too" : "not there";
    return `  ${name.padEnd(16)}${(goneWithout ? "gone" : "still there").padEnd(18)}${alone}`.trimEnd();
  });
  const needed = list.filter((v) => v.goneWithout && v.name !== "regions");
  if (needed.length > 1 && !needed.some((v) => v.thereWithIt)) rows.push(`  it takes ${needed.map((v) => v.name).join(" and ")} together`);
  return `  ${"optimisation".padEnd(16)}${"subject without".padEnd(18)}reference with it\n${rows.join("\n")}`;
}
