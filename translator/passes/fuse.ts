/**
 * Superinstructions for tier 0 (Ertl and Gregg, "The Structure and Performance of Efficient Interpreters", 2003): the micro-ops of neighbouring instructions as one
 * handler, so that one indirect call serves them all and the passes see across them.
 *
 * A store or a callout comes last or not at all: it may overwrite the instructions behind it, or leave.
 */
import { type MicroStatement, ValueMapper } from "../ir/block.ts";
import type { MicroTemplate, Terminator } from "../ir/micro.ts";

/** One or more instructions that one handler executes. */
export interface HandlerBody {
  /** `instruction` is the number of the part. */
  readonly statements: readonly MicroStatement[];
  readonly terminator: Terminator | undefined;
  readonly fieldCount: number;
  /** For each part the field that holds the page offset of the instruction behind it. */
  readonly nextFields: readonly number[];
}

/** Parts of a superinstruction at most. */
const maximumParts = 8;
/** Statements of one: handlers are to stay small enough for V8 to optimise them soon. */
const maximumStatements = 80;

export function bodyOf(template: MicroTemplate, nextField: number): HandlerBody {
  const { statements, terminator, fieldCount } = template;
  return { statements: statements.map((s) => ({ s, instruction: 0 })), terminator, fieldCount, nextFields: [nextField] };
}

export function canFuse(first: HandlerBody, second: HandlerBody): boolean {
  if (first.terminator !== undefined || first.nextFields.length + second.nextFields.length > maximumParts) return false;
  if (first.statements.length + second.statements.length > maximumStatements) return false;
  if (second.terminator?.kind === "again" || second.terminator?.kind === "dispatch") return false;
  if (second.statements.some(({ s }) => s.kind === "call")) return false;
  return first.statements.every(({ s }) => s.kind === "get" || s.kind === "set" || s.kind === "load" || s.kind === "segment");
}

/** Both in one: the fields of the second come behind those of the first. */
export function fuse(first: HandlerBody, second: HandlerBody): HandlerBody {
  const { fieldCount } = first;
  const parts = first.nextFields.length;
  // Copies: both may be of the same shape.
  const mapper = new ValueMapper((v) => (v.kind === "field" ? { kind: "field", index: v.index + fieldCount } : undefined), undefined, true);
  return {
    statements: [
      ...first.statements,
      ...second.statements.map(({ s, instruction }) => ({ s: mapper.statement(s), instruction: instruction + parts })),
    ],
    terminator: second.terminator && mapper.terminator(second.terminator),
    fieldCount: fieldCount + second.fieldCount,
    nextFields: [...first.nextFields, ...second.nextFields.map((field) => field + fieldCount)],
  };
}
