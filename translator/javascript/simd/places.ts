/**
 * Where a region keeps vector registers. A web (webs.ts) whose words are used as integers only lives in locals, one a word, like the general registers do. Any
 * other stays in the state array, and the region keeps beside it the numbers that floating-point instructions read: a *cached number* is the double (single) that
 * the words spell, if that is ordinary (zero, normal or infinite), and else NaN. So arithmetic need not look at its operands: what is not ordinary makes a result
 * that is not, and the general code, which is then called, reads the words. The words also keep what a JavaScript number would lose, the bits of a NaN.
 *
 * MXCSR is kept as a *limit*: the largest number of the format where MXCSR says that only precision can be raised and has been (rounding to nearest, all exceptions
 * masked, precision recorded), and else -1, so that one comparison tells a result that is fine.
 */
import type { CalloutRow } from "../../contract/callouts.ts";
import { slot } from "../../contract/slots.ts";
import type { MicroBlock } from "../../ir/block.ts";
import type { Statement as MicroStatement } from "../../ir/micro.ts";
import type { PureOp } from "../../ir/pure-ops.ts";
import type { Expression, Statement } from "../estree.ts";
import * as js from "../estree.ts";
import type { PureTemplates } from "../pure-templates.ts";
import { accessesOf, type Format, isStaging, isVectorSlot, limitOf, placeOf } from "./accesses.ts";
import { VectorWebs, type Web } from "./webs.ts";

/** What the formats differ in. */
export const formats = {
  f64: { words: 2, array: "F", prefix: "d", limit: "limitD", readLimit: "doubleLimit", read: "readDouble", isOrdinary: "isOrdinaryDouble" },
  f32: { words: 1, array: "S", prefix: "f", limit: "limitS", readLimit: "singleLimit", read: "readSingle", isOrdinary: "isOrdinarySingle" },
} as const satisfies Record<Format, { words: number; isOrdinary: PureOp; readonly [name: string]: string | number }>;

/** NaN, whose name a host might have given to something else. */
export const notANumber = (): Expression => js.binary("/", js.literal(0), js.literal(0));

/** Names of a place's locals: its words, and whether they are newer than the state array. */
export const placeName = (n: number): string => (n < slot.xmm ? "s" : n < slot.scratch2 ? `x${(n - slot.xmm) >> 2}` : "z");
const wordName = (n: number): string => `${placeName(n)}_${n & 3}`;
const newerName = (place: number): string => `newer_${placeName(place)}`;

export class VectorPlaces {
  /** Words that are in locals throughout: the region treats them like general registers. Those it has to write back. */
  readonly used = new Set<number>();
  readonly dirty = new Set<number>();
  readonly freeNames = new Set<string>();
  protected readonly webs: VectorWebs;
  /** Registers are vectors, each in one local: see whole.ts. */
  readonly isWhole: boolean = false;
  /** Places that are in locals at times only: what their locals are at the region's entry. */
  private readonly mixed = new Map<number, "loaded" | "empty">();
  protected readonly caches: Record<Format, Set<number>> = { f64: new Set(), f32: new Set() };
  /** Those with a meaning at the region's entry. */
  protected readonly entryCaches: Record<Format, Set<number>> = { f64: new Set(), f32: new Set() };
  protected readonly limits = new Set<Format>();
  private readonly templates: PureTemplates;
  /** Words set one by one since caches were last in step; true: to zero. */
  protected readonly stale = new Map<number, boolean>();
  private current: MicroStatement | undefined;

  /** @param successors numbers of each block's successors in the region; @param isWhole registers are not taken apart */
  constructor(blocks: readonly MicroBlock[], successors: readonly (readonly number[])[], templates: PureTemplates, isWhole = false) {
    this.templates = templates;
    this.webs = new VectorWebs(blocks, successors, isWhole);
    const homes = new Map<number, Web[]>();
    for (const [place, web] of this.webs) {
      homes.set(place, [...(homes.get(place) ?? []), web]);
      for (const format of ["f64", "f32"] as const) {
        for (const n of web.numbers[format]) {
          this.caches[format].add(n);
          if (web.isEntry) this.entryCaches[format].add(n);
        }
      }
    }
    for (const [place, webs] of isWhole ? [] : homes) {
      const local = webs.filter((web) => !web.isInMemory);
      if (local.length === 0) continue;
      const isWritten = local.some((web) => web.isWritten) && !isStaging(place);
      if (local.length < webs.length) this.mixed.set(place, local.some((web) => web.isEntry) ? "loaded" : "empty");
      else {
        for (const n of this.between(place, 4)) {
          this.used.add(n);
          if (isWritten) this.dirty.add(n);
        }
      }
    }
    for (const { statements } of blocks) {
      for (const { s } of statements) {
        const limit = s.kind === "call" ? limitOf(s.callout) : undefined;
        if (limit !== undefined) this.limits.add(limit);
      }
    }
  }

  /** Statements from here on are about `statement`: webs differ from one to the next. */
  move(statement: MicroStatement): void {
    this.current = statement;
  }
  private web(n: number): Web | undefined {
    return this.current && this.webs.of(this.current, placeOf(n));
  }

  op(op: PureOp, ...args: Expression[]): Expression {
    return this.templates.instantiate(op, args);
  }

  // ---- words

  /** The place of word `n`. */
  word(n: number): Expression {
    return this.isLocal(n) ? this.local(n) : js.index("R", js.literal(n));
  }
  /** The local for word `n`. */
  local(n: number): { type: "Identifier"; name: string } {
    return { type: "Identifier", name: wordName(n) };
  }
  isLocal(n: number): boolean {
    const web = this.web(n);
    return web !== undefined && !web.isInMemory;
  }
  assignWord(n: number, value: Expression): Statement {
    return js.expressionStatement(js.assign(this.word(n) as never, value));
  }

  /** Words of [n, n + count) that are in locals go to the state array, for a callout to read. */
  commit(n: number, count: number): Statement[] {
    return this.between(n, count)
      .filter((k) => this.isLocal(k))
      .map((k) => js.expressionStatement(js.assign(js.index("R", js.literal(k)) as never, this.word(k))));
  }
  /** A callout wrote words [n, n + count) of the state array. */
  refresh(n: number, count: number): Statement[] {
    const local = this.between(n, count)
      .filter((k) => this.isLocal(k))
      .map((k) => this.assignWord(k, js.index("R", js.literal(k))));
    return [...local, ...this.refreshCaches(n, count)];
  }
  protected between(n: number, count: number): number[] {
    return Array.from({ length: count }, (_, k) => n + k);
  }

  /** Word `n` was set in the state array by a statement of its own. */
  noteSet(n: number, isZero: boolean): void {
    if (!this.isLocal(n)) this.stale.set(n, isZero);
  }
  /** Caches of the words set since. */
  settle(): Statement[] {
    const out: Statement[] = [];
    for (const format of ["f64", "f32"] as const) {
      for (const at of this.caches[format]) {
        if (!this.hasCache(format, at)) continue;
        const own = this.between(at, formats[format].words);
        if (own.every((k) => this.stale.get(k))) out.push(this.assignCache(format, at, js.literal(0)));
        else if (own.some((k) => this.stale.has(k)))
          out.push(this.assignCache(format, at, this.number(format, at)), this.replaceUnordinary(format, at));
      }
    }
    this.stale.clear();
    return out;
  }
  /** Whose words the statement just emitted has made the newer ones. */
  changeHomes(): Statement[] {
    const statement = this.current;
    if (statement === undefined || this.mixed.size === 0) return [];
    const set = (place: number, value: number): Statement => js.expressionStatement(js.assign(js.identifier(newerName(place)), js.literal(value)));
    const defined = this.webs.definedAt(statement);
    const places = new Set(
      accessesOf(statement)
        .filter(({ writes }) => writes)
        .map(({ at }) => placeOf(at)),
    );
    return [...places]
      .filter((place) => this.mixed.has(place) && !isStaging(place))
      .flatMap((place) => (this.isLocal(place) ? [set(place, 1)] : defined.includes(place) ? [set(place, 0)] : []));
  }

  // ---- numbers

  hasCache(format: Format, n: number): boolean {
    return this.web(n)?.numbers[format].has(n) ?? false;
  }
  cache(format: Format, n: number): Expression {
    return js.identifier(`${formats[format].prefix}${wordName(n)}`);
  }
  /** @param value ordinary, or else NaN */
  assignCache(format: Format, n: number, value: Expression): Statement {
    return js.expressionStatement(js.assign(this.cache(format, n) as never, value));
  }
  /** The number at slot `n` of the state array as an array element. */
  number(format: Format, n: number): Expression {
    const { array, words } = formats[format];
    this.freeNames.add(array);
    return js.index(array, js.literal(n / words));
  }
  /** Writes the ordinary number `value`, an identifier or literal, to slot `n`. */
  setNumber(format: Format, n: number, value: Expression): Statement[] {
    const { words } = formats[format];
    const other = format === "f64" ? "f32" : "f64";
    return [
      js.expressionStatement(js.assign(this.number(format, n) as never, value)),
      ...(this.hasCache(format, n) ? [this.assignCache(format, n, value)] : []),
      ...this.refreshCaches(n, words, other),
    ];
  }
  /** Not an ordinary number: NaN in the cache. */
  replaceUnordinary(format: Format, n: number): Statement {
    const isOrdinary = this.op(formats[format].isOrdinary, this.cache(format, n));
    return js.ifStatement(js.unary("!", isOrdinary), [this.assignCache(format, n, notANumber())]);
  }

  /** By a call: where it is seldom done, it is to be short. */
  protected readCache(format: Format, n: number): readonly Statement[] {
    return [this.assignCache(format, n, this.readNumber(format, n))];
  }
  protected readNumber(format: Format, n: number): Expression {
    const { read } = formats[format];
    this.freeNames.add(read);
    return js.call(read, [js.literal(n)]);
  }
  /** The numbers that lie in words [n, n + count), of one format or both. */
  refreshCaches(n: number, count: number, only?: Format): Statement[] {
    return (["f64", "f32"] as const)
      .filter((format) => only === undefined || format === only)
      .flatMap((format) =>
        [...this.caches[format]]
          .filter((at) => at < n + count && at + formats[format].words > n && this.hasCache(format, at))
          .flatMap((at) => this.readCache(format, at)),
      );
  }

  // ---- MXCSR

  limit(format: Format): Expression {
    return js.identifier(formats[format].limit);
  }
  /** MXCSR may have changed. */
  refreshLimits(): Statement[] {
    return [...this.limits].map((format) => js.expressionStatement(js.assign(this.limit(format) as never, this.limitValue(format))));
  }
  protected limitValue(format: Format): Expression {
    const { readLimit } = formats[format];
    this.freeNames.add(readLimit);
    return js.call(readLimit, []);
  }

  // ---- the region's frame

  protected cacheDeclarations(): Statement[] {
    return (["f64", "f32"] as const).flatMap((format) =>
      [...this.caches[format]].map((n) => {
        const { name } = this.cache(format, n) as { name: string };
        return js.declare("let", name, this.entryCaches[format].has(n) ? this.readNumber(format, n) : js.literal(0));
      }),
    );
  }
  protected limitDeclarations(): Statement[] {
    return [...this.limits].map((format) => js.declare("let", formats[format].limit, this.limitValue(format)));
  }
  /** Declarations of what the region does not declare with the general registers. */
  declarations(): Statement[] {
    const words = [...this.mixed].flatMap(([place, at]) => [
      ...this.between(place, 4).map((n) => js.declare("let", wordName(n), at === "loaded" ? js.index("R", js.literal(n)) : js.literal(0))),
      ...(isStaging(place) ? [] : [js.declare("let", newerName(place), js.literal(0))]),
    ]);
    return [...words, ...this.cacheDeclarations(), ...this.limitDeclarations()];
  }
  /** Writes back what the region does not with the general registers. */
  spill(): Statement[] {
    return [...this.mixed.keys()]
      .filter((place) => !isStaging(place))
      .map((place) => {
        const newer = js.identifier(newerName(place));
        const words = this.between(place, 4).map((n) => js.expressionStatement(js.assign(js.index("R", js.literal(n)) as never, this.local(n))));
        return js.ifStatement(js.binary("!==", newer, js.literal(0)), [...words, js.expressionStatement(js.assign(newer, js.literal(0)))]);
      });
  }
  /** Takes everything but those again from the state array. */
  reload(): Statement[] {
    const words = [...this.mixed.keys()].flatMap((place) =>
      this.between(place, 4).map((n) => js.expressionStatement(js.assign(this.local(n), js.index("R", js.literal(n))))),
    );
    const caches = (["f64", "f32"] as const).flatMap((format) => [...this.caches[format]].flatMap((n) => this.readCache(format, n)));
    return [...words, ...caches, ...this.refreshLimits()];
  }
  /** What a callout is to find in the state array. */
  beforeCallout(_row: CalloutRow, _args: readonly number[]): Statement[] {
    return [];
  }
  /** What a callout that is called as it is may have changed. */
  afterCallout(row: CalloutRow, args: readonly number[]): Statement[] {
    const out: Statement[] = [];
    for (const k of row.slots ?? []) {
      const n = args[k];
      if (isVectorSlot(n)) out.push(...this.refresh(n, 4 - (n & 3)));
    }
    if (row.slots !== undefined && row.neverFaults !== true) out.push(...this.refreshLimits());
    return out;
  }
}
