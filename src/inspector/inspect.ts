/**
 * Takes one block of guest code through the translator and keeps every value on the way: bytes, decoded instruction, micro-ops before and after each
 * pass, JavaScript of both tiers. These are the values the machine runs on, not a second rendering of them.
 */
import { type ModeKey, mode } from "../../translator/contract/mode-key.ts";
import { decodeFailure, type RegionPage } from "../../translator/contract/translator.ts";
import { formatInstruction } from "../../translator/decode/format.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import type { MicroBlock } from "../../translator/ir/block.ts";
import type { MicroTemplate } from "../../translator/ir/micro.ts";
import { printBlock, printTemplate } from "../../translator/ir/print.ts";
import { sensitiveRowOf, sensitiveRows } from "../../translator/lift/sensitive.ts";
import { describeFields } from "../../translator/lift/shape.ts";
import { allLive, dropDeadWrites } from "../../translator/passes/dead.ts";
import type { RegionInstruction } from "../../translator/region/discover.ts";
import type { InspectedBlock, InspectedExit, InspectedHandler, InspectedInstruction, InspectedMicroBlock, InspectedRegion } from "./types.ts";

export interface InspectRequest {
  /** Guest bytes from the start of the block's 4 KiB page, and, where they are at hand, some of the next page. */
  readonly bytes: Uint8Array;
  /** Offset of the block in `bytes`. */
  readonly offset: number;
  /** EIP there. */
  readonly address: number;
  readonly mode: ModeKey;
  /** The page `k` pages behind the block's, where it is at hand: regions take code from there too. */
  readonly page?: (k: number) => RegionPage | undefined;
  /** The word at a linear address, where it is at hand: jump tables. */
  readonly word?: (linear: number) => number | undefined;
  /** Executions of the block at a page offset: regions only take in code that has run. By default all code counts as run. */
  readonly heat?: (offset: number) => number;
  /** The region that the machine has for this block. */
  readonly installed?: InspectedRegion;
}

const pageSize = 4096;
const longestBlock = 48;
const longestInstruction = 15;

export function inspectBlock(request: InspectRequest, translator = new JavaScriptTranslator()): InspectedBlock {
  return new Inspection(request, translator).run();
}

const failures: Readonly<Record<number, string>> = {
  [decodeFailure.undefinedOpcode]: "an undefined opcode",
  [decodeFailure.truncated]: "an instruction whose end is not at hand",
  [decodeFailure.tooLong]: "an instruction of more than 15 bytes",
};

class Inspection {
  private readonly request: InspectRequest;
  private readonly translator: JavaScriptTranslator;
  private readonly mode: ModeKey;
  /** EIP of the page's first byte. */
  private readonly pageAddress: number;
  private readonly instructions: InspectedInstruction[] = [];
  private readonly decoded: RegionInstruction[] = [];
  private readonly handlers = new Map<number, InspectedHandler>();
  /** Blocks in the order in which they are lifted, each with what every pass left of it. */
  private readonly passed = new Map<number, { pass: string; block: MicroBlock }[]>();

  constructor(request: InspectRequest, translator: JavaScriptTranslator) {
    this.request = request;
    this.translator = translator;
    this.mode = request.mode & ~mode.singleStep;
    this.pageAddress = request.address - request.offset;
  }

  run(): InspectedBlock {
    const { translator, request } = this;
    const end = this.decode();
    let region: InspectedRegion | undefined;
    if (this.decoded.length > 0) {
      translator.observe = (pass, block) => this.keep(pass, block);
      region = this.region();
      // Where no region can be made: the passes over the block by itself, everything being live at its end.
      if (this.passed.size === 0) {
        const block = translator.microBlock({ offset: request.offset, instructions: this.decoded, successors: [], isSubroutineCall: false });
        if (translator.does("dead")) this.keep("dead", dropDeadWrites(block, allLive));
      }
      translator.observe = undefined;
    }
    return {
      address: request.address >>> 0,
      mode: this.mode,
      instructions: this.instructions,
      end,
      handlers: [...this.handlers.values()],
      blocks: [...this.passed].map(([offset, passes]) => this.microBlock(offset, passes)),
      ...(region ? { region } : {}),
    };
  }

  private eip(offset: number): number {
    return (this.pageAddress + offset) >>> 0;
  }

  /** Decodes as tier 0 does; returns why the block ends. */
  private decode(): string {
    const { translator, request } = this;
    let at = request.offset;
    while (this.instructions.length < longestBlock) {
      if (at >= pageSize) return "at the end of its page";
      const shape = translator.decode(request.bytes, at, request.bytes.length, this.mode, at);
      if (shape < 0) return `before ${failures[shape]}`;
      const next = at + translator.length;
      this.decoded.push({ offset: at, next, shape, fields: translator.fields.slice() });
      this.instructions.push(this.instruction(at, shape, request.bytes.subarray(at)));
      if (!this.handlers.has(shape)) this.handlers.set(shape, inspectHandler(translator, shape));
      if (translator.template(shape).terminator !== undefined) return "with a transfer of control";
      at = next;
    }
    return `after ${longestBlock} instructions, the most that tier 0 takes`;
  }

  /** The instruction that the translator just decoded from the first of the bytes `from`, of shape number `shape`. */
  private instruction(offset: number, shape: number, from: Uint8Array): InspectedInstruction {
    const { translator } = this;
    const { length } = translator;
    const exit = exitOf(translator.template(shape));
    return {
      address: this.eip(offset),
      bytes: from.slice(0, length),
      text: formatInstruction(translator.instruction, this.eip(offset)),
      shape: translator.shape(shape).name,
      ...(exit ? { exit } : {}),
    };
  }

  private region(): InspectedRegion | undefined {
    const { request } = this;
    const code = this.translator.region({
      page: (k) => this.page(k),
      base: this.pageAddress,
      word: (linear) => request.word?.(linear),
      // Not at hand: jump tables of segmented code are not found.
      segmentBase: () => 0,
      followsCalls: false,
      hotCall: 1,
      entry: request.offset,
      mode: this.mode,
      name: `f_${(request.address >>> 0).toString(16)}`,
      heat: request.heat ?? (() => 1),
      // As in a machine of less than 2 GiB.
      hasLowPlaces: true,
    });
    if (request.installed !== undefined) return request.installed;
    if (code === undefined) return undefined;
    return { isInstalled: false, instructions: code.instructions, exits: code.exits.map((exit) => this.eip(exit)), text: code.text };
  }

  private page(k: number): RegionPage | undefined {
    const { request } = this;
    return request.page?.(k) ?? (k === 0 ? { bytes: request.bytes.subarray(0, pageSize), address: this.pageAddress } : undefined);
  }

  /** Bytes from `offset` on, which may be on another page. */
  private bytesAt(offset: number): Uint8Array {
    if (offset >= 0 && offset < pageSize) return this.request.bytes.subarray(offset);
    const k = Math.floor(offset / pageSize);
    const both = [this.page(k), this.page(k + 1)].flatMap((page) => (page === undefined ? [] : [...page.bytes]));
    return Uint8Array.from(both.slice(offset - k * pageSize, offset - k * pageSize + 2 * longestInstruction));
  }

  private keep(pass: string, block: MicroBlock): void {
    const passes = this.passed.get(block.offset);
    if (passes === undefined) this.passed.set(block.offset, [{ pass, block }]);
    else passes.push({ pass, block });
  }

  private microBlock(offset: number, passes: readonly { pass: string; block: MicroBlock }[]): InspectedMicroBlock {
    const { translator } = this;
    const { instructions } = passes[0].block;
    return {
      address: this.eip(offset),
      instructions: instructions.map((i) => {
        const bytes = this.bytesAt(i.offset);
        return this.instruction(i.offset, translator.decode(bytes, 0, bytes.length, this.mode, i.offset), bytes);
      }),
      passes: passes.map(({ pass, block }) => ({
        pass,
        microOps: printBlock(block).map(({ instruction, text }) => ({ address: this.eip(block.instructions[instruction].offset), text })),
      })),
    };
  }
}

function inspectHandler(translator: JavaScriptTranslator, number: number): InspectedHandler {
  const code = translator.shape(number);
  const names = describeFields(translator.shapeOf(number));
  const links = code.exits.map((exit) => `link to ${exit.kind === "field" ? names[exit.field] : exit.kind}`);
  return {
    shape: code.name,
    words: [...code.layout.map((field) => names[field]), ...links],
    microOps: printTemplate(translator.template(number), names),
    text: code.text,
  };
}

/** What a sensitive instruction is patched into: the callout of its row. */
function exitOf(template: MicroTemplate): InspectedExit | undefined {
  for (const s of template.statements) {
    const number = s.kind === "call" ? sensitiveRowOf[s.callout] : undefined;
    if (s.kind !== "call" || number === undefined) continue;
    const { mnemonic, why, traps } = sensitiveRows[number];
    return { reason: mnemonic, why, traps, callout: s.callout };
  }
  return undefined;
}
