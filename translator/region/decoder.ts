/** What `discover` asks about guest code, answered from the pages a request offers. */
import { isLinearCode } from "../contract/mode-key.ts";
import { segment } from "../contract/slots.ts";
import type { RegionPage, RegionRequest } from "../contract/translator.ts";
import { operandKind } from "../decode/instruction.ts";
import type { JavaScriptTranslator } from "../index.ts";
import type { MicroTemplate } from "../ir/micro.ts";
import { type Decoder, pageOf, type RegionInstruction } from "./discover.ts";
import { softFields } from "./soft-fields.ts";

const longestInstruction = 15;
/** Entries of a jump table that are looked at, and those that are taken. */
const maximumTable = 512;
const maximumTargets = 24;
/** How far from the jump a table's entry may point, in bytes, to pass for one. */
const reach = 1 << 15;

export class RegionDecoder implements Decoder {
  private readonly translator: JavaScriptTranslator;
  private readonly request: RegionRequest;
  readonly takesIn: Decoder["takesIn"];
  readonly expectsReturns: boolean;
  readonly hotCall: number;
  private readonly straddling = new Uint8Array(2 * longestInstruction);

  private readonly followsPages: boolean;

  constructor(translator: JavaScriptTranslator, request: RegionRequest) {
    this.translator = translator;
    this.request = request;
    this.takesIn = !translator.does("calls") ? "none" : request.followsCalls ? "all" : "small";
    this.hotCall = request.hotCall;
    this.expectsReturns = translator.does("returns") && isLinearCode(request.mode);
    this.followsPages = translator.does("pages");
  }

  instruction(offset: number): RegionInstruction | undefined {
    const { request, translator } = this;
    const page = this.page(pageOf(offset));
    if (page === undefined) return undefined;
    const at = offset & 0xfff;
    let shape = translator.decode(page.bytes, at, 0x1000, request.mode, offset);
    if (shape < 0 && at + longestInstruction > 0x1000) {
      const next = this.page(pageOf(offset) + 1);
      if (next === undefined) return undefined;
      const bytes = this.straddling;
      bytes.set(page.bytes.subarray(0x1000 - longestInstruction), 0);
      bytes.set(next.bytes.subarray(0, longestInstruction), longestInstruction);
      shape = translator.decode(bytes, at - (0x1000 - longestInstruction), bytes.length, request.mode, offset);
    }
    if (shape < 0) return undefined;
    const next = offset + translator.length;
    const { within } = request;
    if (within !== undefined && (offset < within[0] || next > within[1])) return undefined;
    // Not a typed array of its own: making one costs more than the rest of this.
    const fields: number[] = [];
    for (let k = 0; k < translator.fieldCount; k++) fields.push(translator.fields[k]);
    return { offset, next, shape, fields, soft: this.softFields(offset, shape) };
  }

  /** Of the instruction last decoded. */
  private softFields(offset: number, shape: number): RegionInstruction["soft"] {
    const { request, translator } = this;
    const { isPatched } = request;
    if (isPatched === undefined || !translator.does("immediates")) return undefined;
    return softFields(translator.instruction, translator.template(shape), offset, (k) => (request.page(k) as RegionPage).address, isPatched);
  }

  private page(k: number): RegionPage | undefined {
    return k === 0 || this.followsPages ? this.request.page(k) : undefined;
  }

  template(shape: number): MicroTemplate {
    return this.translator.template(shape);
  }

  heat(offset: number): number {
    return this.request.heat(offset);
  }

  isWanted(offset: number): boolean {
    return this.takesIn !== "none" && this.request.takesIn?.(offset) === true;
  }

  targets(i: RegionInstruction, before: RegionInstruction | undefined): readonly number[] {
    const { request } = this;
    const address = this.tableOf(i) ?? (before && this.loadsTarget(before, i) ? this.tableOf(before) : undefined);
    if (address === undefined) return [];
    const { operandSize } = this.translator.shapeOf(i.shape);
    const found = new Set<number>();
    for (let k = 0; k < maximumTable; k++) {
      const eip = operandSize === 2 ? this.half((address + 2 * k) | 0) : request.word((address + 4 * k) | 0);
      if (eip === undefined) break;
      const offset = (eip - request.base) | 0;
      if (offset < i.offset - reach || offset > i.offset + reach) break;
      if (request.heat(offset) > 0) found.add(offset);
    }
    return [...found].sort((a, b) => request.heat(b) - request.heat(a)).slice(0, maximumTargets);
  }

  /** The 16-bit word at a linear address: tables of 16-bit code are not always aligned. */
  private half(linear: number): number | undefined {
    const low = this.byte(linear);
    const high = this.byte((linear + 1) | 0);
    return low === undefined || high === undefined ? undefined : low | (high << 8);
  }
  private byte(linear: number): number | undefined {
    const word = this.request.word(linear & ~3);
    return word === undefined ? undefined : (word >>> ((linear & 3) << 3)) & 255;
  }

  /** The linear address of the table in JMP [table + index * 4] or MOV reg, [table + index * 4]; in 16-bit code in JMP [BX + table] and its like. */
  private tableOf(i: RegionInstruction): number | undefined {
    const { operands, addressSize, operandSize } = this.translator.shapeOf(i.shape);
    const table = operands[operands.length - 1];
    if (table?.kind !== operandKind.memory || (isLinearCode(this.request.mode) && table.segment >= segment.fs)) return undefined;
    const base = this.request.segmentBase(table.segment);
    if (addressSize === 2) return table.hasBase && !table.hasIndex ? (base + (i.fields[table.field + 1] & 0xffff)) | 0 : undefined;
    if (!table.hasIndex || table.hasBase || operandSize !== 4) return undefined;
    return i.fields[table.field + 1] === 2 ? (base + i.fields[table.field + 2]) | 0 : undefined;
  }

  /** MOV reg, [...]; JMP reg. */
  private loadsTarget(load: RegionInstruction, jump: RegionInstruction): boolean {
    const { row, operands } = this.translator.shapeOf(load.shape);
    const [target] = this.translator.shapeOf(jump.shape).operands;
    if (row.name !== "mov" || operands[0]?.kind !== operandKind.register || target?.kind !== operandKind.register) return false;
    return load.fields[operands[0].field] === jump.fields[target.field];
  }
}
