/**
 * Takes one block of guest code through the translator and keeps every value on the way: bytes, decoded instruction, micro-ops before and after each
 * pass, JavaScript of both tiers. These are the values the machine runs on, not a second rendering of them.
 */
import type { CalloutName } from "../../translator/contract/callouts.ts";
import { type ModeKey, mode } from "../../translator/contract/mode-key.ts";
import { decodeFailure } from "../../translator/contract/translator.ts";
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
  /** Executions of the block at a page offset: regions only take in code that has run. By default all code counts as run. */
  readonly heat?: (offset: number) => number;
  /** The region that the machine has for this block. */
  readonly installed?: InspectedRegion;
}

const pageSize = 4096;
const longestBlock = 48;

export function inspectBlock(request: InspectRequest, translator = new JavaScriptTranslator()): InspectedBlock {
  const { bytes, offset, address } = request;
  const key = request.mode & ~mode.singleStep;
  const pageAddress = address - offset;
  const instructions: InspectedInstruction[] = [];
  const decoded: RegionInstruction[] = [];
  const handlers: InspectedHandler[] = [];
  const handlerOf = new Map<number, number>();
  let at = offset;
  let end = `after ${longestBlock} instructions, the most that tier 0 takes`;
  while (instructions.length < longestBlock) {
    if (at >= pageSize) {
      end = "at the end of its page";
      break;
    }
    const shape = translator.decode(bytes, at, bytes.length, key, at);
    if (shape < 0) {
      end = `before ${failures[shape] ?? "bytes that are no instruction"}`;
      break;
    }
    const template = translator.template(shape);
    let handler = handlerOf.get(shape);
    if (handler === undefined) {
      handler = handlers.push(inspectHandler(translator, shape)) - 1;
      handlerOf.set(shape, handler);
    }
    const eip = (pageAddress + at) >>> 0;
    const exit = exitOf(template);
    const { length } = translator;
    decoded.push({ offset: at, next: at + length, shape, fields: translator.fields.slice() });
    instructions.push({
      address: eip,
      bytes: bytes.slice(at, at + length),
      text: formatInstruction(translator.instruction, eip),
      handler,
      ...(exit ? { exit } : {}),
    });
    at += length;
    if (template.terminator !== undefined) {
      end = "with a transfer of control";
      break;
    }
  }
  const passes = new PassRecorder(pageAddress);
  translator.observe = (pass, block) => passes.add(pass, block);
  const region = decoded.length === 0 ? undefined : inspectRegion(request, key, pageAddress, translator);
  if (region === undefined && decoded.length > 0) {
    // No region can be made of this code: the passes over the block by itself, for all they are worth.
    const block = translator.microBlock({ offset, instructions: decoded, successors: [] });
    passes.add("dead", dropDeadWrites(block, allLive));
  }
  translator.observe = undefined;
  return { address, mode: key, instructions, end, handlers, blocks: passes.blocks(), ...(region ? { region } : {}) };
}

const failures: Readonly<Record<number, string>> = {
  [decodeFailure.undefinedOpcode]: "an undefined opcode",
  [decodeFailure.truncated]: "an instruction whose end is not at hand",
  [decodeFailure.tooLong]: "an instruction of more than 15 bytes",
};

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
    if (s.kind !== "call") continue;
    const callout: CalloutName = s.callout;
    const number = sensitiveRowOf[callout];
    if (number === undefined) continue;
    const { mnemonic, why, traps } = sensitiveRows[number];
    return { reason: mnemonic, why, traps, callout };
  }
  return undefined;
}

function inspectRegion(request: InspectRequest, key: ModeKey, pageAddress: number, translator: JavaScriptTranslator): InspectedRegion | undefined {
  const code = translator.region({
    page: request.bytes.subarray(0, pageSize),
    entry: request.offset,
    mode: key,
    name: `f_${(request.address >>> 0).toString(16)}`,
    heat: request.heat ?? (() => 1),
  });
  if (request.installed !== undefined) return request.installed;
  if (code === undefined) return undefined;
  return { isInstalled: false, instructions: code.instructions, exits: code.exits.map((exit) => (pageAddress + exit) >>> 0), text: code.text };
}

/** Collects the blocks that go through the passes, in the order in which they are lifted. */
class PassRecorder {
  private readonly pageAddress: number;
  private readonly list = new Map<number, { instructions: number; passes: { pass: string; microOps: { address: number; text: string }[] }[] }>();

  constructor(pageAddress: number) {
    this.pageAddress = pageAddress;
  }

  add(pass: string, block: MicroBlock): void {
    let entry = this.list.get(block.offset);
    if (entry === undefined) {
      entry = { instructions: block.instructions.length, passes: [] };
      this.list.set(block.offset, entry);
    }
    const microOps = printBlock(block).map(({ instruction, text }) => ({ address: (this.pageAddress + block.instructions[instruction].offset) >>> 0, text }));
    entry.passes.push({ pass, microOps });
  }

  blocks(): InspectedMicroBlock[] {
    return [...this.list].map(([offset, { instructions, passes }]) => ({ address: (this.pageAddress + offset) >>> 0, instructions, passes }));
  }
}
