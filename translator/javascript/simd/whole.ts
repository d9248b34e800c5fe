/**
 * Vector registers of a region as whole vectors, in one local each: for WebAssembly alone. Beside them it keeps the numbers that scalar floating-point instructions read, as
 * places.ts has it; packed ones (packed.ts) work on the vectors. What a callout works on by itself is in the state array for as long as the call lasts.
 */
import type { CalloutRow } from "../../contract/callouts.ts";
import type { MicroBlock } from "../../ir/block.ts";
import type { Expression, Statement } from "../estree.ts";
import * as js from "../estree.ts";
import type { PureTemplates } from "../pure-templates.ts";
import { accessesOf, type Format, isStaging, isVectorSlot, packedFormatOf, placeOf } from "./accesses.ts";
import { smallest } from "./expand.ts";
import { formats, placeName, VectorPlaces } from "./places.ts";

const laneObjects = { f64: "f64x2", f32: "f32x4" } as const;

export class WholeVectors extends VectorPlaces {
  override readonly isWhole = true;
  /** Places in locals, and whether the region writes them. */
  private readonly locals = new Map<number, boolean>();

  /** Of packed numbers that are looked at. */
  private readonly packed = new Set<Format>();

  constructor(blocks: readonly MicroBlock[], successors: readonly (readonly number[])[], templates: PureTemplates) {
    super(blocks, successors, templates, true);
    for (const { statements } of blocks) {
      for (const { s } of statements) {
        const format = s.kind === "call" ? packedFormatOf(s.callout) : undefined;
        if (format !== undefined) this.packed.add(format);
        for (const { at, kind, writes } of accessesOf(s, true)) {
          const place = placeOf(at);
          if (kind !== "memory") this.locals.set(place, writes || (this.locals.get(place) ?? false));
        }
      }
    }
  }

  /** The local of the place that slot `n` is in. */
  vector(n: number): Expression {
    return js.identifier(placeName(n));
  }
  assignVector(n: number, value: Expression): Statement {
    return js.expressionStatement(js.assign(this.vector(n) as never, value));
  }
  /** Two vectors that tests of packed numbers need: in locals, for a constant takes several instructions to make. */
  smallestInAll(format: Format): Expression {
    return js.identifier(`${formats[format].limit}Least`);
  }
  limitInAll(format: Format): Expression {
    return js.identifier(`${formats[format].limit}All`);
  }
  private inAll(format: Format, value: Expression): Expression {
    return js.method(this.use(laneObjects[format]), "splat", [value]);
  }
  private packedDeclarations(): Statement[] {
    const declared = (name: Expression, value: Expression): Statement => js.declare("let", (name as { name: string }).name, value);
    return [...this.packed].flatMap((format) => [
      declared(this.smallestInAll(format), this.inAll(format, js.literal(smallest[format]))),
      ...(this.limits.has(format) ? [declared(this.limitInAll(format), this.inAll(format, this.limit(format)))] : []),
    ]);
  }
  override refreshLimits(): Statement[] {
    const all = [...this.packed].filter((format) => this.limits.has(format));
    return [
      ...super.refreshLimits(),
      ...all.map((format) => js.expressionStatement(js.assign(this.limitInAll(format) as never, this.inAll(format, this.limit(format))))),
    ];
  }

  /** @param object whose lanes they are */
  private use(object: string): string {
    this.freeNames.add(object);
    return object;
  }
  private loaded(place: number): Expression {
    return js.method(this.use("v128"), "loadSlot", [js.literal(place)]);
  }
  private stored(place: number): Statement {
    return js.expressionStatement(js.method(this.use("v128"), "storeSlot", [js.literal(place), this.vector(place)]));
  }
  private placesIn(n: number, count: number): number[] {
    return [...this.locals.keys()].filter((place) => place < n + count && place + 4 > n);
  }

  override isLocal(n: number): boolean {
    return this.locals.has(placeOf(n));
  }
  override word(n: number): Expression {
    return this.isLocal(n) ? js.method(this.use("i32x4"), "extract_lane", [this.vector(n), js.literal(n & 3)]) : super.word(n);
  }
  override assignWord(n: number, value: Expression): Statement {
    if (!this.isLocal(n)) return super.assignWord(n, value);
    return this.assignVector(n, js.method(this.use("i32x4"), "replace_lane", [this.vector(n), js.literal(n & 3), value]));
  }
  /** Done around each call. */
  override commit(): Statement[] {
    return [];
  }
  override refresh(n: number, count: number): Statement[] {
    return [...this.placesIn(n, count).map((place) => this.assignVector(place, this.loaded(place))), ...this.refreshCaches(n, count)];
  }
  /** The numbers in `count` words from slot `to` on are those from slot `from` on. */
  copyCaches(to: number, from: number, count: number): Statement[] {
    return (["f64", "f32"] as const).flatMap((format) =>
      Array.from({ length: count / formats[format].words }, (_, k) => k * formats[format].words)
        .filter((k) => this.hasCache(format, to + k))
        .flatMap((k) =>
          this.hasCache(format, from + k) ? [this.assignCache(format, to + k, this.cache(format, from + k))] : this.readCache(format, to + k),
        ),
    );
  }
  override noteSet(n: number, isZero: boolean): void {
    this.stale.set(n, isZero);
  }
  override changeHomes(): Statement[] {
    return [];
  }

  override number(format: Format, n: number): Expression {
    const { words } = formats[format];
    return js.method(this.use(laneObjects[format]), "extract_lane", [this.vector(n), js.literal((n & 3) / words)]);
  }
  override setNumber(format: Format, n: number, value: Expression): Statement[] {
    const { words } = formats[format];
    const lane = js.literal((n & 3) / words);
    return [
      this.assignVector(n, js.method(this.use(laneObjects[format]), "replace_lane", [this.vector(n), lane, value])),
      ...(this.hasCache(format, n) ? [this.assignCache(format, n, value)] : []),
      ...this.refreshCaches(n, words, format === "f64" ? "f32" : "f64"),
    ];
  }
  protected override readCache(format: Format, n: number): readonly Statement[] {
    return [this.assignCache(format, n, this.number(format, n)), this.replaceUnordinary(format, n)];
  }

  override declarations(): Statement[] {
    const vectors = [...this.locals.keys()].map((place) =>
      js.declare("let", placeName(place), isStaging(place) ? js.method(this.use("v128"), "zero", []) : this.loaded(place)),
    );
    return [...vectors, ...this.cacheDeclarations(), ...this.limitDeclarations(), ...this.packedDeclarations()];
  }
  override spill(): Statement[] {
    return [...this.locals].filter(([place, isWritten]) => isWritten && !isStaging(place)).map(([place]) => this.stored(place));
  }
  override reload(): Statement[] {
    const vectors = [...this.locals.keys()].filter((place) => !isStaging(place)).map((place) => this.assignVector(place, this.loaded(place)));
    const caches = (["f64", "f32"] as const).flatMap((format) => [...this.caches[format]].flatMap((n) => this.readCache(format, n)));
    return [...vectors, ...caches, ...this.refreshLimits()];
  }
  override beforeCallout(row: CalloutRow, args: readonly number[]): Statement[] {
    const places = new Set((row.slots ?? []).map((k) => placeOf(args[k])).filter((place) => this.locals.has(place)));
    return [...places].map((place) => this.stored(place));
  }
  override afterCallout(row: CalloutRow, args: readonly number[]): Statement[] {
    const numbers = (row.slots ?? []).map((k) => args[k]).filter(isVectorSlot);
    const limits = row.slots !== undefined && row.neverFaults !== true ? this.refreshLimits() : [];
    return [...numbers.flatMap((n) => this.refresh(n, 4 - (n & 3))), ...limits];
  }
}
