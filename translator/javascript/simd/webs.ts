/**
 * The *webs* of vector registers in a region: what one definition of a whole register, or several that meet, and their uses have in common (Muchnick, "Advanced
 * Compiler Design and Implementation", 8.10). A compiler uses few registers for many things: each web gets the home that its own uses ask for.
 */
import type { MicroBlock, MicroStatement } from "../../ir/block.ts";
import { operandsOf, type ResultStatement, type Statement, type Value } from "../../ir/micro.ts";
import { type Access, accessesOf, type Format, placeOf, vectorPlaces } from "./accesses.ts";

export interface Web {
  /** Reaches from the region's entry. */
  readonly isEntry: boolean;
  /** Slots read or written as numbers; if there are any, or a callout works on the register by itself, its home is the state array. */
  readonly numbers: Readonly<Record<Format, ReadonlySet<number>>>;
  readonly isInMemory: boolean;
  readonly isWritten: boolean;
}

class Node implements Web {
  parent: Node | undefined;
  isEntry = false;
  readonly numbers = { f64: new Set<number>(), f32: new Set<number>() };
  hasWords = false;
  isWritten = false;
  hasMemory = false;
  /** The place (a register's first slot) this is a web of. */
  readonly place: number;

  constructor(place: number) {
    this.place = place;
  }
  get isInMemory(): boolean {
    return this.hasMemory || this.numbers.f64.size + this.numbers.f32.size > 0;
  }
  note({ at, words, kind, writes }: Access): void {
    if (writes) this.isWritten = true;
    if (kind === "words") this.hasWords = true;
    else if (kind === "memory") this.hasMemory = true;
    else if (kind === "f64") for (let n = at & ~1; n < at + words; n += 2) this.numbers.f64.add(n);
    else if (kind === "f32") for (let n = at; n < at + words; n++) this.numbers.f32.add(n);
  }
}

function find(node: Node): Node {
  let top = node;
  while (top.parent !== undefined) top = top.parent;
  return top;
}

function unite(a: Node, b: Node): void {
  const [x, y] = [find(a), find(b)];
  if (x === y) return;
  y.parent = x;
  x.isEntry ||= y.isEntry;
  x.hasWords ||= y.hasWords;
  x.hasMemory ||= y.hasMemory;
  x.isWritten ||= y.isWritten;
  for (const format of ["f64", "f32"] as const) for (const n of y.numbers[format]) x.numbers[format].add(n);
}

interface Operand {
  readonly node: Node;
  readonly access: Access;
}
interface Copy {
  readonly target: Operand;
  readonly source: Operand;
}

/** Webs by vector place, for one statement. */
type Places = ReadonlyMap<number, Node>;

interface Scanned {
  readonly statement: Statement;
  readonly accesses: readonly Access[];
  /** Places that are written anew from this statement on. */
  readonly defines: readonly number[];
}

export class VectorWebs {
  private readonly at = new Map<Statement, Places>();
  private readonly defined = new Map<Statement, readonly number[]>();

  /** @param successors numbers of each block's successors in the region; @param isWhole as `accessesOf` has it */
  constructor(blocks: readonly MicroBlock[], successors: readonly (readonly number[])[], isWhole: boolean) {
    const scanned = blocks.map((block) => scan(block, isWhole));
    if (scanned.every((list) => list.length === 0)) return;
    const live = liveness(scanned, successors);
    const entries = blocks.map(() => new Map(vectorPlaces.map((place) => [place, new Node(place)])));
    for (const node of entries[0].values()) node.isEntry = true;
    const copies: Copy[] = [];
    scanned.forEach((list, b) => {
      const current = new Map(entries[b]);
      for (const { statement, accesses, defines } of list) {
        for (const place of defines) current.set(place, new Node(place));
        for (const access of accesses) find(current.get(placeOf(access.at)) as Node).note(access);
        const [source, target] = accesses.map((access): Operand => ({ node: current.get(placeOf(access.at)) as Node, access }));
        if (source?.access.kind === "any" && target?.access.kind === "any") copies.push({ target, source });
        if (defines.length > 0) this.defined.set(statement, defines);
        this.at.set(statement, new Map(accesses.map(({ at }) => [placeOf(at), current.get(placeOf(at)) as Node])));
      }
      for (const to of successors[b]) {
        for (const place of live[to]) unite(current.get(place) as Node, entries[to].get(place) as Node);
      }
    });
    prefer(copies);
  }

  /** The web of vector place `place` at a statement that uses it; where the statement defines it anew, the new one. */
  of(statement: Statement, place: number): Web | undefined {
    const node = this.at.get(statement)?.get(place);
    return node && find(node);
  }

  /** Places that the statement defines anew. */
  definedAt(statement: Statement): readonly number[] {
    return this.defined.get(statement) ?? [];
  }

  /** All of them, with their places. */
  *[Symbol.iterator](): IterableIterator<readonly [place: number, web: Web]> {
    const seen = new Set<Node>();
    for (const places of this.at.values()) {
      for (const [place, node] of places) {
        const web = find(node);
        if (seen.has(web)) continue;
        seen.add(web);
        yield [place, web];
      }
    }
  }
}

/** A web that is only moved about takes the form of what it is copied to or from: copies between forms are slow. */
function prefer(copies: readonly Copy[]): void {
  const adopt = (from: Operand, by: Operand): boolean => {
    const [x, y] = [find(by.node), find(from.node)];
    if (x === y || x.hasWords || x.isInMemory) return false;
    for (const format of ["f64", "f32"] as const) {
      for (const n of y.numbers[format]) {
        const distance = n - from.access.at;
        if (distance >= 0 && distance < by.access.words) x.numbers[format].add(by.access.at + distance);
      }
    }
    return x.isInMemory;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const { target, source } of copies) {
      if (adopt(target, source)) changed = true;
      if (adopt(source, target)) changed = true;
    }
  }
}

/** Results that some value uses: a read without a user is no use. */
function usedResults(block: MicroBlock): Set<ResultStatement> {
  const used = new Set<ResultStatement>();
  const seen = new Set<Value>();
  const visit = (v: Value): void => {
    if (seen.has(v)) return;
    seen.add(v);
    if (v.kind === "result") used.add(v.statement);
    else if (v.kind === "pure") v.args.forEach(visit);
    else if (v.kind === "codeAddress") visit(v.offset);
  };
  for (const { s } of block.statements) operandsOf(s).forEach(visit);
  return used;
}

/** The statements of a block that work on vector places. The terminator uses none. */
function scan(block: MicroBlock, isWhole: boolean): Scanned[] {
  const used = usedResults(block);
  const list = block.statements
    .map((m) => ({ ...m, accesses: m.s.kind === "get" && !used.has(m.s) ? [] : accessesOf(m.s, isWhole) }))
    .filter(({ accesses }) => accesses.length > 0);
  const out: Scanned[] = [];
  for (let from = 0; from < list.length; ) {
    let end = from;
    while (end < list.length && list[end].instruction === list[from].instruction) end++;
    const group = list.slice(from, end);
    const definedAt = definitions(group);
    group.forEach(({ s, accesses }, k) => {
      out.push({ statement: s, accesses, defines: [...definedAt].filter(([, at]) => at === k).map(([place]) => place) });
    });
    from = end;
  }
  return out;
}

/** Places that one instruction writes as a whole, and does not read from the first write on, with the number of that write. */
function definitions(group: readonly (MicroStatement & { readonly accesses: readonly Access[] })[]): Map<number, number> {
  const firstWrite = new Map<number, number>();
  const lastRead = new Map<number, number>();
  const words = new Map<number, number>();
  group.forEach(({ accesses }, k) => {
    for (const { at, words: count, reads, writes } of accesses) {
      const place = placeOf(at);
      if (reads) lastRead.set(place, k);
      if (!writes) continue;
      if (!firstWrite.has(place)) firstWrite.set(place, k);
      words.set(place, (words.get(place) ?? 0) | (((1 << count) - 1) << (at & 3)));
    }
  });
  return new Map([...firstWrite].filter(([place, k]) => words.get(place) === 15 && (lastRead.get(place) ?? -1) < k));
}

/** Places that each block, or one behind it, uses before it defines them. */
function liveness(scanned: readonly (readonly Scanned[])[], successors: readonly (readonly number[])[]): Set<number>[] {
  const uses = scanned.map((list) => {
    const used = new Set<number>();
    const defined = new Set<number>();
    for (const { accesses, defines } of list) {
      for (const place of defines) defined.add(place);
      for (const { at } of accesses) if (!defined.has(placeOf(at))) used.add(placeOf(at));
    }
    return { used, defined };
  });
  const live = uses.map(({ used }) => new Set(used));
  for (let changed = true; changed; ) {
    changed = false;
    for (let b = scanned.length - 1; b >= 0; b--) {
      for (const to of successors[b]) {
        for (const place of live[to]) {
          if (live[b].has(place) || uses[b].defined.has(place)) continue;
          live[b].add(place);
          changed = true;
        }
      }
    }
  }
  return live;
}
