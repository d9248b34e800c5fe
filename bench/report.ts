// The bench's table: a Markdown table, so that it can go into the docs as it is.

import { geometricMean } from "./statistics.ts";

/** The row of the Linux boot. */
export const LINUX_TASK = "linux";

/** What one peer did on one task. */
export interface Cell {
  /** Median over the runs of the mean warm pass. */
  seconds: number;
  /** Median over the runs of the first pass. */
  firstPassSeconds: number;
  /** Guest instructions of a pass, where the peer counts them. */
  instructions: number | null;
  checksum: string;
  /** What the code cache held at the end, where the peer tells. */
  codeCache: { bytes: number; text: number; blocks: number; regions: number } | null;
}

export interface Row {
  task: string;
  /** By peer; no entry for a peer that cannot do the task or failed. */
  cells: Record<string, Cell>;
}

/** A column of ratios: the time of one peer over that of another. */
interface Ratio {
  of: string;
  to: string;
}

const RATIOS: Ratio[] = [
  { of: "xlat86", to: "v86" },
  { of: "xlat86-tier0", to: "v86-nojit" },
  { of: "xlat86", to: "qemu" },
  { of: "xlat86", to: "native" },
];

/** A row of a table of plain numbers, smaller is better. */
export interface ValueRow {
  name: string;
  /** By peer; none for a peer that has no result. */
  values: Record<string, number>;
}

/** Null where one of them was not measured, or was over between two markers that arrived at once. */
function quotient(of: number | undefined, to: number | undefined): number | null {
  return of && to ? of / to : null;
}

/** A column for each peer, the ratios, and their geometric means. */
export function ratioTable(rows: readonly ValueRow[], peers: readonly string[], format: { unit: string; digits: number }): string {
  const ratios = RATIOS.filter((ratio) => peers.includes(ratio.of) && peers.includes(ratio.to));
  const ratio = (row: ValueRow, { of, to }: Ratio) => quotient(row.values[of], row.values[to]);
  const head = ["", ...peers.map((name) => `${name} (${format.unit})`), ...ratios.map(({ of, to }) => `${of} : ${to}`)];
  const body = rows.map((row) => [
    row.name,
    ...peers.map((name) => row.values[name]?.toFixed(format.digits) ?? "-"),
    ...ratios.map((each) => ratio(row, each)?.toFixed(2) ?? "-"),
  ]);
  const means = ratios.map((each) => {
    const found = rows.map((row) => ratio(row, each)).filter((value) => value !== null);
    return found.length > 0 ? geometricMean(found).toFixed(2) : "-";
  });
  return layOut(head, body, ratios.length > 0 ? ["geometric mean", ...peers.map(() => ""), ...means] : undefined);
}

function ratioOf(row: Row, ratio: Ratio, value: (cell: Cell) => number): number | null {
  const of = row.cells[ratio.of];
  const to = row.cells[ratio.to];
  return of && to ? quotient(value(of), value(to)) : null;
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** A Markdown table; the last line is for a mean. */
export function layOut(head: string[], body: string[][], mean?: string[]): string {
  const last = mean === undefined ? [] : [mean];
  const widths = head.map((_, column) => Math.max(...[head, ...body, ...last].map((cells) => cells[column].length)));
  const pad = (cells: readonly string[]) => cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])));
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(pad(head)), line(rule), ...[...body, ...last].map((cells) => line(pad(cells)))].join("\n");
}

/** The whole table as text. The first-pass table shows what warming up costs. */
export function table(rows: readonly Row[], peers: readonly string[], value: (cell: Cell) => number = (cell) => cell.seconds): string {
  const ratios = RATIOS.filter((ratio) => peers.includes(ratio.of) && peers.includes(ratio.to));
  const head = ["", ...peers.map((name) => `${name} (s)`), ...ratios.map((ratio) => `${ratio.of} : ${ratio.to}`)];
  const body = rows.map((row) => {
    const seconds = peers.map((name) => (row.cells[name] ? value(row.cells[name]).toFixed(3) : "-"));
    return [row.task, ...seconds, ...ratios.map((ratio) => ratioOf(row, ratio, value)?.toFixed(2) ?? "-")];
  });
  // The boot is not a kernel: it has its row, and stays out of the mean.
  const kernels = rows.filter((row) => row.task !== LINUX_TASK);
  const means = ratios.map((ratio) => {
    const values = kernels.map((row) => ratioOf(row, ratio, value)).filter((found) => found !== null);
    return values.length > 0 ? geometricMean(values).toFixed(2) : "-";
  });
  const mean = ["geometric mean", ...peers.map(() => ""), ...means];
  return layOut(head, body, mean);
}

/** Memory of the code cache after the Linux boot, for the peers that tell. */
export function cacheLines(rows: readonly Row[]): string {
  const cells = Object.entries(rows.find((row) => row.task === LINUX_TASK)?.cells ?? {});
  const told = cells.flatMap(([peer, { codeCache }]) => (codeCache ? [{ peer, ...codeCache }] : []));
  const mebibytes = (n: number): string => (n / 2 ** 20).toFixed(1);
  return told
    .map(
      (c) =>
        `\nCode cache of ${c.peer} after the Linux boot: ${c.blocks} blocks in ${mebibytes(c.bytes)} MiB, ${c.regions} regions as ${mebibytes(c.text)} MiB of text.`,
    )
    .join("");
}

/** Nanoseconds for a guest instruction, for every peer: all are divided by the same count. */
export function costTable(rows: readonly Row[], peers: readonly string[]): string {
  const costs = rows.map((row) => {
    const instructions = Object.values(row.cells).find((cell) => cell.instructions !== null)?.instructions;
    return { row, instructions, of: (peer: string) => (instructions && row.cells[peer] ? (row.cells[peer].seconds / instructions) * 1e9 : null) };
  });
  const body = costs.map(({ row, instructions, of }) => [
    row.task,
    instructions ? (instructions / 1e6).toFixed(1) : "-",
    ...peers.map((peer) => of(peer)?.toFixed(2) ?? "-"),
  ]);
  const mean = peers.map((peer) => {
    const values = costs
      .filter(({ row }) => row.task !== LINUX_TASK)
      .map(({ of }) => of(peer))
      .filter((found) => found !== null);
    return values.length > 0 ? geometricMean(values).toFixed(2) : "-";
  });
  return layOut(["", "million instructions", ...peers.map((name) => `${name} (ns)`)], body, ["geometric mean", "", ...mean]);
}

/** Where peers, or a peer and the expected value, disagree. */
export function disagreements(row: Row, expected: string | undefined): string[] {
  return Object.entries(row.cells)
    .filter(([, cell]) => expected !== undefined && cell.checksum !== expected)
    .map(([peer, cell]) => `${row.task}: ${peer} computed ${cell.checksum}, the processor ${expected}`);
}
