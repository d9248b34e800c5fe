/** In-line accesses of guest memory: how each finds its place, by the TLB, by a site (contract/sites.ts), or together with others near it; and what is done where it finds none. */
import { placeKind } from "../contract/sites.ts";
import type { LoadStatement, StoreStatement, Value } from "../ir/micro.ts";
import type { SiteAccess, SiteGroup } from "../region/sites.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";
import { isPlainAccess, isPlainPlace, isUsualAccess, nowhere, placeAt } from "./plain-access.ts";

/** What accesses want to know of the function that they are in. */
export interface AccessTarget {
  /** The entry that most pages have in the read TLB, if it is known. */
  readonly usualEntry?: number | undefined;
  /** Whether all memory lies below 2 GiB of the buffer (`nowhere`). */
  readonly hasLowPlaces?: boolean;
  /** Which half of a TLB: an expression to add to the page number, or undefined for the lower half known statically. */
  tlbHalf(): Expression | undefined;
  /** Places of groups, which outlive a block. */
  readonly siteBases?: Map<SiteGroup, SiteBase>;
  /** A fresh local name. */
  name(hint: string): string;
  /** Whether the running instruction can be left to tier 0 before it has done anything. */
  readonly mayGiveUp?: boolean;
}

/** The text that they go to. */
export interface AccessEmitter {
  push(statement: Statement): void;
  /** A free name of the text that the host must bind. */
  free(name: string): void;
  /** An address as a local or literal. */
  addressOf(v: Value): Expression;
  /** The call of a slow path that may fault. */
  slowPath(call: Expression): Expression;
  /** Leaves the running instruction to tier 0. */
  giveUp(): Statement[];
}

/** Names of locals: the place of a group's first byte, or -1; and what is to be added to the linear address of another one, where that is no constant. */
export interface SiteBase {
  readonly base: string;
  readonly distance: string | undefined;
  /** The place means something: where it would not, the text does not go on. */
  readonly isSure: boolean;
  /** A number that says whether the place means anything, by how far into its page the group begins (see `isThere`); undefined: -1 does. */
  readonly inPage: string | undefined;
  /** How many accesses have asked. */
  asked: number;
}

export class Accesses {
  private readonly target: AccessTarget;
  private readonly emitter: AccessEmitter;
  /** Of groups that were asked for, in this block or one before it. */
  private readonly siteBases: Map<SiteGroup, SiteBase>;
  /** Local of the latest load for writing, its place or its TLB entry, by the text of its address; forgotten when a local named there changes. */
  private readonly writeEntries = new Map<string, string>();

  constructor(target: AccessTarget, emitter: AccessEmitter) {
    this.target = target;
    this.emitter = emitter;
    this.siteBases = target.siteBases ?? new Map();
  }

  /** The TLB may have other entries now, and all locals other values. */
  forget(): void {
    this.writeEntries.clear();
  }
  /** A local has another value. */
  forgetLocal(name: string): void {
    this.writeEntries.delete(name);
  }

  /** Where the place of the access's group is known, only its slow path needs the address. */
  isPlaceKnown(site: SiteAccess | undefined): boolean {
    const known = site && this.siteBases.get(site.group);
    return known !== undefined && known.distance === undefined;
  }

  /** The value loaded. @param slowPath wraps a call as the function wants it */
  load(s: LoadStatement, address: Expression, site: SiteAccess | undefined, slowPath: (call: Expression) => Expression): Expression {
    const found = site === undefined ? this.loadByTlb(s, address) : this.atSite(site, address, s.forWrite);
    if (found.test === undefined) return this.read(found.place, s.size);
    const slow = `${s.forWrite ? "ldw" : "ld"}${s.size}`;
    this.emitter.free(slow);
    const fast = this.read(found.place, s.size);
    const call = slowPath(js.call(slow, [address]));
    return js.conditional(found.test, fast, found.inVain === undefined ? call : js.sequence(found.inVain, call));
  }

  private loadByTlb(s: LoadStatement, address: Expression): Access {
    const { usualEntry } = this.target;
    // The place does not depend on what the TLB says: the processor reads both at once.
    if (usualEntry !== undefined && !s.forWrite && !isLikelyMisaligned(s)) {
      const entry = js.identifier(this.entry("TR", address));
      return { test: isUsualAccess(entry, address, s.size, usualEntry), place: placeAt(usualEntry, address) };
    }
    const name = this.placeOrEntry(s.forWrite ? "TW" : "TR", address);
    if (s.forWrite) this.writeEntries.set(keyOf(address), name);
    return this.plain(name, s, address);
  }

  /** The local of a place, if that alone can be tested; else of the TLB entry. */
  private placeOrEntry(table: "TR" | "TW", address: Expression): string {
    if (this.target.hasLowPlaces !== true) return this.entry(table, address);
    return this.bind("E", js.binary("^", this.entryAt(table, address), address)).name;
  }
  /** @param name what `placeOrEntry` gave */
  private plain(name: string, s: LoadStatement | StoreStatement, address: Expression): Access {
    const found = js.identifier(name);
    if (this.target.hasLowPlaces === true) return { test: isPlainPlace(found, s.size, isLikelyMisaligned(s)), place: found };
    return { test: isPlainAccess(found, address, s.size, isLikelyMisaligned(s)), place: js.binary("^", found, address) };
  }

  /** @param slow what is done where it cannot be made in line */
  store(s: StoreStatement, address: Expression, value: Expression, site: SiteAccess | undefined, slow: () => Statement[]): Statement {
    const found = site === undefined ? this.storeByTlb(s, address) : this.atSite(site, address, true);
    const fast = js.expressionStatement(js.assign(this.element(found.place, s.size) as never, value));
    if (found.test === undefined) return fast;
    return js.ifStatement(found.test, [fast], [...(found.inVain === undefined ? [] : [js.expressionStatement(found.inVain)]), ...slow()]);
  }

  private storeByTlb(s: StoreStatement, address: Expression): Access {
    return this.plain(this.writeEntries.get(keyOf(address)) ?? this.placeOrEntry("TW", address), s, address);
  }

  private atSite({ group, offset }: SiteAccess, address: Expression, isWrite: boolean): Access {
    if (group.size === 1) {
      const { test, place, ask } = this.askSite(group, address);
      return { test, place, inVain: ask };
    }
    const known = this.siteBases.get(group) ?? this.bindSite(group, offset, address, isWrite);
    const { base, distance } = known;
    const test = known.isSure ? undefined : js.mostly(isThere(known, lastOffset(group)), true);
    if (distance !== undefined) return { test, place: js.binary("+", address, js.identifier(distance)) };
    return { test, place: offset === 0 ? js.identifier(base) : js.binary("+", js.identifier(base), js.literal(offset)) };
  }

  /**
   * The place of a group's first byte, or -1, as a local:
   *
   *     const E = isOnSite(k, A, bytes) ? A + SW[k + 2] | 0 : readSite(k, A, bytes);
   *
   * or, where it has no site, as `bindByTlb` says. Where the instruction can be given up, that is done if there is no place, and none of the group's accesses asks again:
   *
   *     let E = A + SW[k + 2] | 0;
   *     if (isOnSite(k, A, bytes)) {} else { E = readSite(k, A, bytes); if (E === -1) { E = findPlace(A, bytes, address, kind); if (E === -1) { ...leave } } }
   *
   * @param address, isWrite of the access that asks
   */
  private bindSite(group: SiteGroup, offset: number, address: Expression, isWrite: boolean): SiteBase {
    let first = group.first === undefined ? address : this.emitter.addressOf(group.first);
    if (group.first === undefined && offset !== 0) first = this.bind("A", js.toInt32(js.binary("-", address, js.literal(offset))));
    const kind = (isWrite ? placeKind.isWrite : 0) | (group.isWrite ? placeKind.forWrite : 0);
    const find = js.call("findPlace", [first, js.literal(group.bytes), address, js.literal(kind)]);
    if (group.index < 0) return this.bindByTlb(group, first, find);
    const { test, place, ask } = this.askSite(group, first);
    const isSure = this.target.mayGiveUp === true;
    const base = isSure
      ? this.bindSurely(test, place, (E) => [js.set(E, ask), js.ifStatement(isNowhere(E), this.orGiveUp(E, find))])
      : this.bind("E", js.conditional(test, js.toInt32(place), ask));
    const distance = group.first === undefined ? undefined : this.bind("D", js.toInt32(js.binary("-", base, first)));
    return this.bound(group, { base: base.name, distance: distance?.name, isSure, inPage: undefined, asked: 0 });
  }

  /** A place that is right if `test` holds, or behind `otherwise`. */
  private bindSurely(test: Expression, place: Expression, otherwise: (E: Expression) => Statement[]): { type: "Identifier"; name: string } {
    const E = js.identifier(this.target.name("E"));
    this.emitter.push(js.declare("let", E.name, js.toInt32(place)));
    this.emitter.push(js.ifStatement(test, [], otherwise(E)));
    return E;
  }
  private orGiveUp(E: Expression, find: Expression): Statement[] {
    this.emitter.free("findPlace");
    const found = this.emitter.slowPath(find);
    return [js.set(E, found), js.ifStatement(js.mostly(isNowhere(E), false), this.emitter.giveUp())];
  }

  /**
   * The same of one that has no site. The low bits of an entry that is not valid are all set:
   *
   *     const V = (T | A) & 4095; const E = T ^ A;          // asked: V <= 4096 - bytes, of one byte 4094
   *
   * or, where all places are low, V = (E & 80000FFFh) >>> 0. With the usual entry the place does not depend on what the TLB says, as in `loadByTlb`.
   *
   * @param find the place, where the TLB does not have it
   */
  private bindByTlb(group: SiteGroup, first: Expression, find: Expression): SiteBase {
    const { isWrite } = group;
    const usual = isWrite ? undefined : this.target.usualEntry;
    const found = js.identifier(usual === undefined ? this.placeOrEntry(isWrite ? "TW" : "TR", first) : this.entry("TR", first));
    const { low, place } = this.placeInPage(found, first, usual);
    if (this.target.mayGiveUp === true) {
      const test = js.mostly(js.binary("<=", low, js.literal(lastOffset(group))), true);
      const base = this.bindSurely(test, place, (E) => this.orGiveUp(E, find));
      return this.bound(group, { base: base.name, distance: undefined, isSure: true, inPage: undefined, asked: 0 });
    }
    const inPage = this.bind("V", low);
    const base = this.bind("E", js.toInt32(place));
    return this.bound(group, { base: base.name, distance: undefined, isSure: false, inPage: inPage.name, asked: 0 });
  }

  /** @param found what `placeOrEntry` gave, but the entry if there is a usual one */
  private placeInPage(found: Expression, first: Expression, usual: number | undefined): { low: Expression; place: Expression } {
    const offset = js.literal(0xfff);
    if (usual !== undefined) {
      const low = js.binary("|", placeAt(usual, found), js.binary("&", first, offset));
      return { low: js.binary(">>>", low, js.literal(0)), place: placeAt(usual, first) };
    }
    if (this.target.hasLowPlaces === true)
      return { low: js.binary(">>>", js.binary("&", found, js.literal(nowhere | 0xfff)), js.literal(0)), place: found };
    return { low: js.binary("&", js.binary("|", found, first), offset), place: js.binary("^", found, first) };
  }

  private bound(group: SiteGroup, known: SiteBase): SiteBase {
    this.siteBases.set(group, known);
    return known;
  }
  private bind(hint: string, value: Expression): { type: "Identifier"; name: string } {
    const name = this.target.name(hint);
    this.emitter.push(js.declare("const", name, value));
    return { type: "Identifier", name };
  }

  private askSite(group: SiteGroup, first: Expression): { test: Expression; place: Expression; ask: Expression } {
    const args = [js.literal(group.index), first, js.literal(group.bytes)];
    const ask = group.isWrite ? "writeSite" : "readSite";
    for (const name of ["isOnSite", "SW", ask]) this.emitter.free(name);
    const place = js.binary("+", first, js.index("SW", js.literal(group.index + 2)));
    return { test: js.mostly(js.call("isOnSite", args), true), place, ask: js.call(ask, args) };
  }

  /** The local of a TLB entry. */
  entry(table: "TR" | "TW", address: Expression): string {
    return this.bind("T", this.entryAt(table, address)).name;
  }
  private entryAt(table: "TR" | "TW", address: Expression): Expression {
    this.emitter.free(table);
    const page = js.binary(">>>", address, js.literal(12));
    const half = this.target.tlbHalf();
    return js.index(table, half === undefined ? page : js.binary("+", half, page));
  }

  /** Guest memory at a constant place, aligned or not, zero-extended. */
  readAt(place: number, size: 1 | 2 | 4): Expression {
    if (place % size === 0) return this.read(js.literal(place), size);
    if (size === 2) return js.binary("|", this.readAt(place, 1), js.binary("<<", this.readAt(place + 1, 1), js.literal(8)));
    const bits = 8 * (place & 3);
    const low = js.binary(">>>", this.readAt(place & ~3, 4), js.literal(bits));
    return js.binary("|", low, js.binary("<<", this.readAt((place & ~3) + 4, 4), js.literal(32 - bits)));
  }

  /** Guest memory at a place, zero-extended. */
  private read(place: Expression, size: number): Expression {
    const element = this.element(place, size);
    return size === 4 ? element : js.binary("&", element, js.literal(size === 1 ? 255 : 65535));
  }

  private element(place: Expression, size: number): Expression {
    const array = size === 1 ? "M8" : size === 2 ? "M16" : "M32";
    this.emitter.free(array);
    return js.index(array, js.binary(">>>", place, js.literal(size === 1 ? 0 : size === 2 ? 1 : 2)));
  }
}

/** How an access is made: whether it may be in line, at which place, and what a site is told if not. */
interface Access {
  /** Absent: it may. */
  readonly test?: Expression | undefined;
  readonly place: Expression;
  readonly inVain?: Expression;
}

/** A table or structure is mostly aligned itself: a displacement that is no multiple of the size leads to where nothing is. */
function isLikelyMisaligned({ address, size }: LoadStatement | StoreStatement): boolean {
  return address.kind === "pure" && address.op === "add" && address.args.some((x) => x.kind === "constant" && (x.value & (size - 1)) !== 0);
}

/**
 * Whether the place of a group means anything. A question that is asked twice is not written alike: of a comparison with several users V8 makes a number first, and compares that with zero.
 */
function isThere(known: SiteBase, last: number): Expression {
  if (known.inPage === undefined) return js.binary("!==", js.identifier(known.base), js.literal(-1));
  const place = js.identifier(known.inPage);
  return known.asked++ % 2 === 0 ? js.binary("<=", place, js.literal(last)) : js.binary("<", place, js.literal(last + 1));
}

/** Where in its page a group without a site may begin. One byte at the end of a page looks like an entry that is not valid. */
function lastOffset({ bytes }: SiteGroup): number {
  return 0x1000 - Math.max(bytes, 2);
}

function isNowhere(place: Expression): Expression {
  return js.binary("===", place, js.literal(-1));
}

function keyOf(e: Expression): string {
  return e.type === "Identifier" ? e.name : e.type === "Literal" ? String(e.value) : JSON.stringify(e);
}
