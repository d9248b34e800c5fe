/** Where an outcome differs from what was expected, in words. */
import { fieldSizes, inputAt, outcomeAt } from "./cases.ts";

const hex = (view: DataView, at: number, size: number) =>
  Array.from({ length: size }, (_, k) =>
    view
      .getUint8(at + size - 1 - k)
      .toString(16)
      .padStart(2, "0"),
  ).join("");

export function differences(expected: DataView, found: DataView): string[] {
  const list: string[] = [];
  for (const [name, at] of Object.entries(outcomeAt)) {
    const size = fieldSizes[name as keyof typeof outcomeAt];
    const want = hex(expected, at, size);
    const have = hex(found, at, size);
    if (want !== have) list.push(`${name}: expected ${want}, found ${have}`);
  }
  return list;
}

export function describeInput(label: string, input: DataView): string {
  const code = Array.from({ length: input.getUint8(inputAt.length) }, (_, k) => hex(input, inputAt.code + k, 1)).join(" ");
  const offset = input.getUint8(inputAt.offset);
  return (
    `${label} [${code}] mxcsr ${hex(input, inputAt.mxcsr, 4)} eax ${hex(input, inputAt.eax, 4)} offset ${offset}\n` +
    `    xmm0 ${hex(input, inputAt.xmm0, 16)} xmm1 ${hex(input, inputAt.xmm1, 16)}\n    mm0 ${hex(input, inputAt.mm0, 8)} mm1 ${hex(input, inputAt.mm1, 8)}` +
    ` memory ${hex(input, inputAt.memory + offset, Math.min(16, 64 - offset))}`
  );
}
