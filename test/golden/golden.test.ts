/**
 * Golden dumps: what the inspector shows of each block in cases.ts, kept in blocks/ and compared as text, so that a change in the decoder, a lift, a pass or
 * a printer shows as a diff to review. `npx vitest run test/golden -u` accepts the new ones.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parse } from "acorn";
import { Decoder, DecoderOptions } from "iced-x86";
import { describe, expect, test } from "vitest";
import { inspectBlock } from "../../src/inspector/inspect.ts";
import { renderText } from "../../src/inspector/render.ts";
import type { InspectedBlock } from "../../src/inspector/types.ts";
import { mode } from "../../translator/contract/mode-key.ts";
import { hostProgram, mustSkip } from "../guests/oracle.ts";
import { assembleCases } from "./assemble.ts";
import assembled from "./bytes.json" with { type: "json" };
import { type GoldenCase, goldenCases } from "./cases.ts";

/** Where the code is: the start of a page, so that targets before it are another page's. */
const base = 0x1000;
const pageSize = 4096;

function bytesOf({ name }: GoldenCase): Uint8Array {
  return Uint8Array.from(Buffer.from((assembled as Record<string, string>)[name]!, "hex"));
}

/** The case from its first block on: blocks that a region shown before took in are not shown again by themselves. */
function inspectAll(golden: GoldenCase): InspectedBlock[] {
  const code = bytesOf(golden);
  // What follows the case is no code: 0F 04 is undefined.
  const bytes = new Uint8Array(pageSize).fill(0x04);
  for (let k = code.length; k < pageSize; k += 2) bytes[k] = 0x0f;
  bytes.set(code);
  const shown = new Set<number>();
  const blocks: InspectedBlock[] = [];
  for (let offset = 0; offset < code.length; ) {
    const block = inspectBlock({ bytes, offset, address: base + offset, mode: golden.mode, heat: (at) => (at < code.length ? 1 : 0) });
    const length = block.instructions.reduce((sum, i) => sum + i.bytes.length, 0);
    if (!shown.has(base + offset)) blocks.push(block);
    if (block.region) for (const b of block.blocks) shown.add(b.address);
    if (length === 0) break;
    offset += length;
  }
  return blocks;
}

describe("golden dumps", () => {
  test.each(goldenCases)("$name", async (golden) => {
    const blocks = inspectAll(golden);
    const text = `${golden.assembly.replaceAll("; ", "\n")}\n\n${blocks.map((block) => renderText(block, { allPasses: true })).join("\n")}`;
    await expect(text).toMatchFileSnapshot(join("blocks", `${golden.name}.txt`));
  });
});

describe("the golden dumps' input", () => {
  test("has a case for every dump kept", () => {
    const kept = readdirSync(join(import.meta.dirname, "blocks")).map((file) => file.replace(/\.txt$/, ""));
    expect(kept.filter((name) => !goldenCases.some((golden) => golden.name === name))).toEqual([]);
  });

  test("is what an assembler makes of the listing", () => {
    if (mustSkip("the golden blocks against their assembly", hostProgram("as", "binutils"))) return;
    expect(assembled).toEqual(assembleCases());
  });

  test.each(goldenCases)("$name: instructions begin where iced-x86 says", (golden) => {
    const code = bytesOf(golden);
    const found = inspectAll(golden).flatMap((block) => [block.instructions, ...(block.region ? block.blocks.map((b) => b.instructions) : [])].flat());
    const decoder = new Decoder(golden.mode & mode.code32 ? 32 : 16, code, DecoderOptions.None);
    const expected = new Set<number>();
    while (decoder.canDecode) {
      expected.add(base + decoder.position);
      decoder.decode().free();
    }
    decoder.free();
    for (const i of found) expect(expected, i.text).toContain(i.address);
  });

  test.each(goldenCases)("$name: all generated text is JavaScript", (golden) => {
    for (const { handlers, region } of inspectAll(golden)) {
      for (const { text } of handlers) parse(`(${text})`, { ecmaVersion: 2022 });
      if (region) parse(`(${region.text})`, { ecmaVersion: 2022 });
    }
  });
});
