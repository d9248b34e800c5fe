/**
 * Takes one block of guest code through the translator and keeps every value on the way: bytes, decoded instruction, micro-ops,
 * JavaScript. These are the values the machine runs on, not a second rendering of them.
 */
import { type ModeKey, mode } from "../../translator/contract/mode-key.ts";
import { decodeFailure } from "../../translator/contract/translator.ts";
import { formatInstruction } from "../../translator/decode/format.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { printMicroOps } from "./micro-ops.ts";

export interface InspectedInstruction {
  /** EIP. */
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly text: string;
  /** Why the instruction is sensitive; absent for an innocuous one. */
  readonly sensitive?: string;
  readonly shape: string;
  readonly microOps: readonly string[];
  /** Tier 0: the handler of its shape. */
  readonly javascript: string;
}

export interface InspectedBlock {
  /** EIP of its first byte. */
  readonly address: number;
  readonly mode: ModeKey;
  readonly instructions: readonly InspectedInstruction[];
  /** Why the block ends: its last instruction does, or the bytes after it. */
  readonly end: string;
  /** The region that starts here, as it is translated when hot. */
  readonly region?: string;
}

export interface InspectRequest {
  /** Guest bytes from the start of the block's 4 KiB page, and, where they are at hand, some of the next page. */
  readonly bytes: Uint8Array;
  /** Offset of the block in `bytes`. */
  readonly offset: number;
  /** EIP there. */
  readonly address: number;
  readonly mode: ModeKey;
}

const pageSize = 4096;
const longestBlock = 48;

export function inspectBlock(request: InspectRequest, translator = new JavaScriptTranslator()): InspectedBlock {
  const { bytes, address } = request;
  const key = request.mode & ~mode.singleStep;
  const instructions: InspectedInstruction[] = [];
  let at = request.offset;
  let end = `after ${longestBlock} instructions`;
  while (instructions.length < longestBlock) {
    if (at >= pageSize) {
      end = "at the end of its page";
      break;
    }
    const shape = translator.decode(bytes, at, bytes.length, key, at);
    if (shape < 0) {
      end = `at ${shape === decodeFailure.undefinedOpcode ? "an undefined opcode" : shape === decodeFailure.tooLong ? "an instruction above 15 bytes" : "the end of the bytes"}`;
      break;
    }
    const code = translator.shape(shape);
    const eip = (address + at - request.offset) >>> 0;
    instructions.push({
      address: eip,
      bytes: bytes.slice(at, at + translator.length),
      text: formatInstruction(translator.instruction, eip),
      shape: code.name,
      microOps: printMicroOps(translator.template(shape), translator.fields),
      javascript: code.text,
    });
    at += translator.length;
    if (code.endsBlock) {
      end = "with its last instruction";
      break;
    }
  }
  const region = translator.region({
    page: bytes.subarray(0, pageSize),
    entry: request.offset,
    mode: key,
    name: `f_${address.toString(16)}`,
    heat: () => 1 << 20,
  });
  return { address, mode: key, instructions, end, ...(region ? { region: region.text } : {}) };
}
