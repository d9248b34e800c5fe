/** What in-line x87 instructions are put together from, whichever arithmetic they do. */
import { memoryFormat } from "../../contract/callouts/x87.ts";
import type { Expression, Statement } from "../estree.ts";
import * as js from "../estree.ts";
import { isPlainAccess } from "../plain-access.ts";
import { Quoted } from "./quoted.ts";
import type { Emitting, Pair, Place, X87Stack } from "./stack.ts";

/** What the emitter of statements lends. */
export interface X87Expansion extends Emitting {
  readonly stack: X87Stack;
  /** Simple expressions. */
  readonly args: readonly Expression[];
  /** The callout itself, with what goes around it. @param result a declared local */
  callout(result?: string): Statement[];
  /** Declares a local with the TLB entry of the page at `address`. */
  tlbEntry(table: "TR" | "TW", address: Expression): Expression;
}

/** Yields the result, if the callout has one. */
export type Expand = (e: X87Expansion) => Expression | void;

/** All of them; undefined: there are none. */
export const all = (...tests: (Expression | undefined)[]): Expression | undefined => {
  const asked = tests.filter((t) => t !== undefined);
  return asked.length === 0 ? undefined : asked.reduce((a, b) => js.logical("&&", a, b));
};
export const and = (test: Expression, ...tests: (Expression | undefined)[]): Expression => all(test, ...tests) as Expression;
export const literalOf = (e: Expression): number => {
  if (e.type !== "Literal") throw new Error("the lift gives a constant here");
  return e.value as number;
};

export function constant(e: X87Expansion, hint: string, value: Expression): Expression {
  const name = e.name(hint);
  e.push(js.declare("const", name, value));
  return js.identifier(name);
}

export const operands = (a: Pair, b: Pair): Record<string, Expression> => ({ h1: a.h, l1: a.l, h2: b.h, l2: b.l });
export const popped = (e: X87Expansion, count: number): (readonly [Place, boolean])[] =>
  Array.from({ length: count }, (_, k) => [e.stack.st(k), true] as const);

// ---- memory operands

export const isOrdinary = new Quoted("Math.abs(v) >= least || v === 0");
export const isLoadable = new Quoted("Math.abs(v) < mostPair && (Math.abs(v) >= least || v === 0)");

export interface MemoryValue {
  readonly v: Expression;
  /** Beyond being accessible: no NaN, no infinity, nothing denormal. */
  readonly test: Expression | undefined;
}

/** Loads a memory operand if it lies in plain RAM in one aligned piece; otherwise the value is NaN. */
export function peek(e: X87Expansion, format: number, address: Expression, isLoad: boolean): MemoryValue {
  const T = e.tlbEntry("TR", address);
  const { array, size } = memoryUnits[format];
  e.free(array);
  const isPlain = isPlainAccess(T, address, size, true);
  const place = js.index(array, js.binary(">>>", js.binary("^", T, address), js.literal(31 - Math.clz32(size))));
  const v = constant(e, "v", js.conditional(isPlain, place, js.binary("/", js.literal(0), js.literal(0))));
  const { constants } = e.stack;
  const least = format === memoryFormat.double ? constants.leastPair : constants.leastSingle;
  if (format === memoryFormat.dword || format === memoryFormat.word) return { v, test: js.binary("===", v, v) };
  return { v, test: (isLoad || format === memoryFormat.single ? isLoadable : isOrdinary).fill({ ...constants, v, least }) };
}

export const memoryUnits: Readonly<Record<number, { readonly array: string; readonly size: number }>> = Object.freeze({
  [memoryFormat.single]: { array: "MS", size: 4 },
  [memoryFormat.double]: { array: "M64", size: 8 },
  [memoryFormat.dword]: { array: "M32", size: 4 },
  [memoryFormat.word]: { array: "M16", size: 2 },
});

// ---- conditions

export const isPair = new Quoted("h === h");
/** None is in integers. */
export const arePairs = (...pairs: Pair[]): Expression | undefined => {
  return all(...pairs.filter(({ isSure }) => isSure !== true).map(({ h }) => isPair.fill({ h })));
};
/** A double and the single it becomes: neither denormal nor infinite. */
export const isSingle = new Quoted("Math.abs(d) >= 1.1754943508222875e-38 && Math.abs(f) < 3.402823669209385e+38 || d === 0");
export const isWithin = new Quoted("i >= least && i <= most");
export const isOrdered = new Quoted("c === c");
/** The upper word of an integer. */
export const wordsOf = new Quoted("(i - (i >>> 0)) / 4294967296 | 0");
export const truncates = new Quoted("(R[control] & 3072) !== 0");
