/**
 * Accesses that stay on one page for long: of the stack, of fixed places, and in a loop those whose address moves by small steps or stays within a table. Each has a *site*, words of the
 * host's that remember the page it was on last and where in the host's memory that is: a subtraction and a comparison take the place of the look-up in the TLB, and nothing
 * of the address has to wait for a load. Accesses in a row at constant distances from each other ask together, once; those that may be anywhere the next time (the members of a
 * structure, behind a pointer) have no site, but they ask the TLB together, too.
 *
 * Which pages those are is a guess, which only costs time where it is wrong: generated code asks each time, and goes to the TLB where the site remembers another page.
 */
import { type CalloutRow, callouts } from "../contract/callouts.ts";
import { siteRange, siteTable, siteWords } from "../contract/sites.ts";
import { segment, slot } from "../contract/slots.ts";
import { type MicroBlock, slotNumber } from "../ir/block.ts";
import type { GetStatement, LoadStatement, StoreStatement, Value } from "../ir/micro.ts";
import type { RegionPlan } from "./plan.ts";
import { naturalLoop, predecessorsOf } from "./structure.ts";

/** Accesses that ask together. */
export interface SiteGroup {
  /** Index of the site's words (contract/sites.ts); -1: it has none, and asks the TLB. */
  readonly index: number;
  readonly isWrite: boolean;
  /** From the first byte that they touch to behind the last. */
  readonly bytes: number;
  /** How many accesses ask. */
  readonly size: number;
  /** The linear address of the first byte, where not all accesses are at constant distances from it. */
  readonly first: Value | undefined;
}
export interface SiteAccess {
  readonly group: SiteGroup;
  /** Of the access's address, from the group's first byte: at least. */
  readonly offset: number;
}

type Access = LoadStatement | StoreStatement;

/** Of accesses that have no site, in place of its name. */
const neighbours = "neighbours";
/** Steps of an address in a loop that are small: so many bytes. */
const smallStep = 64;
const pageBytes = 0x1000;
/** Bytes of a table that is likely to lie on one page, wherever it begins. */
const smallTable = 256;
/** 2^frameBits bytes of a frame have a site: where a page ends in the middle of it, its parts would empty each other's. */
const frameBits = 7;
/** Bytes that a group may reach over: what crosses into another page asks the TLB for each access. */
const widestGroup = 64;
/** A region's sites lie side by side, so many in one line of the host's cache: most regions run for less time than it takes to fetch a line for each. */
const sitesInLine = 4;

/** An address: constants, registers and whatever else added up. */
interface Sum {
  constant: number;
  /** Reads of registers, times 2^shift. */
  readonly terms: { readonly read: GetStatement; readonly shift: number }[];
  /** Other values (a pointer just loaded), times 2^shift: what they will be the next time is not known. */
  readonly others: { readonly value: Value; readonly shift: number }[];
  /** Bytes that other parts may come to, at most. */
  range: number;
}

interface Located extends Sum {
  readonly access: Access;
  readonly block: number;
}

/** At the end of a block: accesses that others may join, and what general registers are. */
interface State {
  readonly open: Map<string, Located[]>;
  readonly registers: Map<number, Sum>;
}

function sumOf(address: Value): Sum {
  const sum: Sum = { constant: 0, terms: [], others: [], range: 0 };
  add(sum, address, 0);
  return sum;
}

/** Adds a part of an address, times 2^shift. */
function add(sum: Sum, v: Value, shift: number): void {
  if (v.kind === "constant") sum.constant = (sum.constant + (v.value << shift)) | 0;
  else if (v.kind === "result") {
    const { statement } = v;
    if (statement.kind === "load" && statement.size === 1) sum.range += 255 << shift;
    else if (statement.kind === "get" && statement.type === "i32" && isRegister(slotNumber(statement.slot)))
      sum.terms.push({ read: statement, shift });
    else sum.others.push({ value: v, shift });
  } else if (v.kind === "pure") {
    const [a, b] = v.args;
    const most = largest(v);
    if (v.op === "add") {
      add(sum, a, shift);
      add(sum, b, shift);
    } else if (v.op === "sub" && b.kind === "constant") {
      sum.constant = (sum.constant - (b.value << shift)) | 0;
      add(sum, a, shift);
    } else if (most !== undefined) sum.range += most << shift;
    else if (v.op === "shl" && b.kind === "constant" && b.value + shift <= 4) add(sum, a, shift + b.value);
    else sum.others.push({ value: v, shift });
  } else sum.others.push({ value: v, shift });
}

function isWrite(access: Access): boolean {
  return access.kind === "store" || access.forWrite;
}

/** The largest number that a value can be, if it is known to be small. */
function largest(v: Value): number | undefined {
  if (v.kind === "result") return v.statement.kind === "load" && v.statement.size === 1 ? 255 : undefined;
  if (v.kind !== "pure") return undefined;
  const [a, b] = v.args;
  switch (v.op) {
    case "zeroExtend8":
      return 255;
    case "and":
      for (const part of [a, b]) if (part.kind === "constant" && part.value >= 0 && part.value < pageBytes) return part.value;
      return undefined;
    case "xor":
    case "or": {
      const [x, y] = [largest(a) ?? (a.kind === "constant" ? a.value : undefined), largest(b) ?? (b.kind === "constant" ? b.value : undefined)];
      // All bits that the larger one may have.
      return x === undefined || y === undefined || Math.min(x, y) < 0 ? undefined : 2 ** (32 - Math.clz32(Math.max(x, y))) - 1;
    }
    case "shl": {
      const most = b.kind === "constant" && b.value <= 4 ? largest(a) : undefined;
      return most === undefined || b.kind !== "constant" ? undefined : most << b.value;
    }
    case "shr":
      return b.kind === "constant" && (b.value & 31) >= 20 ? 0xffffffff >>> (b.value & 31) : undefined;
    default:
      return undefined;
  }
}

function isRegister(n: number): boolean {
  return isGeneral(n) || isThreadBase(n);
}
/** FS and GS are where the running thread's data are, and a kernel's of the processor. */
function isThreadBase(n: number): boolean {
  return n === slot.segmentBase + segment.fs || n === slot.segmentBase + segment.gs;
}
function isGeneral(n: number): boolean {
  return n >= slot.eax && n < slot.eax + 8;
}

/** By register: what a loop does to it. */
const changed = Object.freeze({ notAtAll: 0, bySteps: 1, otherwise: 2 });

interface Loop {
  readonly blocks: ReadonlySet<number>;
  readonly changes: Uint8Array;
}

export class Sites {
  private readonly accesses = new Map<Access, SiteAccess>();
  private readonly blocks: readonly MicroBlock[];
  /** The innermost loop of each block. */
  private readonly loopOf: (Loop | undefined)[];
  private readonly hasFrames: boolean;
  private readonly hasNeighbours: boolean;
  private readonly givesUp: boolean;
  private readonly range: number;
  /** Of each block: the one block that leads to it, or -1. */
  private readonly before: readonly number[];
  private readonly lists: { readonly name: string; readonly list: Located[] }[] = [];
  private readonly ids = new Map<object, number>();
  /** What registers are known to be where they are read. */
  private readonly known = new Map<GetStatement, Sum>();
  /** Numbers of this region's sites by their names, of reads and of writes, and the place in a table where they begin. */
  private readonly read = new Map<string, number>();
  private readonly written = new Map<string, number>();
  private readonly begin: number;

  /**
   * @param graph successors of each block, by number; @param hasNeighbours accesses without a site ask together as well; @param isUser of which half of the TLBs the region's accesses are; @param seed a number that differs from region to region:
   * two that share a site cost each other time
   */
  constructor(
    blocks: readonly MicroBlock[],
    graph: readonly (readonly number[])[],
    plan: RegionPlan,
    hasNeighbours: boolean,
    givesUp: boolean,
    isUser: boolean,
    seed: number,
  ) {
    this.blocks = blocks;
    this.hasNeighbours = hasNeighbours;
    this.givesUp = givesUp;
    const hash = Math.imul(seed, 0x9e3779b1);
    this.begin = (hash ^ (hash >>> 15)) & (siteTable - 1) & -sitesInLine;
    this.range = isUser ? siteRange.user : siteRange.supervisor;
    this.loopOf = loopsOf(blocks, graph, plan);
    this.hasFrames = blocks.some(({ statements }) =>
      statements.some(({ s }) => s.kind === "set" && slotNumber(s.slot) === slot.ebp && isOnStack(s.value)),
    );
    this.before = blocks.map((_, k) => (hasNeighbours ? onlyBefore(k, plan) : -1));
    const states: State[] = [];
    const { order } = plan.analysis;
    for (const k of blocks.map((_, n) => n).sort((a, b) => order[a + plan.first] - order[b + plan.first]))
      states[k] = this.find(k, states[this.before[k]]);
    for (const { name, list } of this.lists) this.group(name, list);
  }

  /** Undefined: this one is to ask the TLB. */
  of(access: Access): SiteAccess | undefined {
    return this.accesses.get(access);
  }

  /**
   * Gives the accesses of a block their groups. They may be those of the block before it, if that is the only one that leads here: whatever asked there has asked for this block, too.
   */
  private find(number: number, before: State | undefined): State {
    const state: State = { open: new Map(before?.open), registers: new Map(before?.registers) };
    const { open, registers } = state;
    for (const { s } of this.blocks[number].statements) {
      if (s.kind === "call") {
        const row: CalloutRow = callouts[s.callout];
        // The TLB may have changed behind it.
        if (row.slots === undefined && row.oncePerBlock !== true) open.clear();
        if (row.general !== false) registers.clear();
      } else if (s.kind === "get" || s.kind === "set") {
        const n = slotNumber(s.slot);
        if (s.type !== "i32" || !isGeneral(n)) continue;
        if (s.kind === "set") registers.set(n, this.resolved(sumOf(s.value)));
        else if (registers.has(n)) this.known.set(s, registers.get(n) as Sum);
        else registers.set(n, { constant: 0, terms: [{ read: s, shift: 0 }], others: [], range: 0 });
      }
      if (s.kind === "load" || s.kind === "store") this.locate(s, number, open);
    }
    return state;
  }

  private locate(access: Access, number: number, open: Map<string, Located[]>): void {
    const local = sumOf(access.address);
    const resolved = this.resolved(local);
    // Of a table the parts are needed as they stand here.
    let sum = local.range === 0 && resolved.range === 0 ? resolved : local;
    let where = this.classOf(sum, access.size, number);
    if (where === undefined && sum !== local) {
      where = this.classOf(local, access.size, number);
      if (where !== undefined) sum = local;
    }
    where ??= this.neighbours(sum, access);
    if (where === undefined) return;
    // Reads of one register at two places may be of two values.
    const parts = [
      ...sum.terms.map(({ read, shift }) => `${this.idOf(read)}<${shift}`),
      ...sum.others.map(({ value, shift }) => `${this.idOf(value.kind === "result" ? value.statement : value)}<${shift}`),
    ];
    const key = `${where}|${parts.sort().join("+")}${sum.range === 0 ? "" : `+table ${number}`}`;
    let list = open.get(key);
    if (list === undefined) {
      list = [];
      open.set(key, list);
      this.lists.push({ name: where, list });
    }
    list.push({ ...sum, access, block: number });
  }

  private idOf(of: object): number {
    const id = this.ids.get(of) ?? this.ids.size;
    this.ids.set(of, id);
    return id;
  }

  /** A sum in terms of what registers were made of, in this block and those before it. */
  private resolved(sum: Sum): Sum {
    if (!sum.terms.some(({ read }) => this.known.has(read))) return sum;
    const out: Sum = { constant: sum.constant, terms: [], others: [...sum.others], range: sum.range };
    for (const term of sum.terms) {
      const { constant, terms, others, range } = this.known.get(term.read) ?? {
        constant: 0,
        terms: [{ read: term.read, shift: 0 }],
        others: [],
        range: 0,
      };
      out.constant = (out.constant + (constant << term.shift)) | 0;
      out.range += range << term.shift;
      for (const { read, shift } of terms) out.terms.push({ read, shift: shift + term.shift });
      for (const { value, shift } of others) out.others.push({ value, shift: shift + term.shift });
    }
    return out;
  }

  /** Which site is meant, by a name; undefined: the address may be anywhere the next time. */
  private classOf({ constant, terms, others, range }: Sum, size: number, number: number): string | undefined {
    if (others.length > 0) return undefined;
    if (terms.length === 0) return (constant & 0xfff) + range + size <= pageBytes ? `page ${constant >>> 12}` : undefined;
    if (range > smallTable) return undefined;
    const loop = this.loopOf[number];
    const notStack = terms.filter(({ read, shift }) => !(shift === 0 && this.isStackPointer(slotNumber(read.slot))));
    if (notStack.length === 0 && range === 0) return `stack ${constant >> frameBits}`;
    if (terms.every(({ read }) => isThreadBase(slotNumber(read.slot))) && range === 0)
      return `thread ${slotNumber(terms[0].read.slot)} ${constant >> 12}`;
    if (loop === undefined) return undefined;
    for (const { read, shift } of notStack) {
      if (isThreadBase(slotNumber(read.slot))) continue;
      const change = loop.changes[slotNumber(read.slot) - slot.eax];
      if (change === changed.otherwise || (change === changed.bySteps && shift > 3)) return undefined;
    }
    const names = terms.map(({ read, shift }) => `${slotNumber(read.slot)}<${shift}`).sort();
    return `loop ${this.loopOf.indexOf(loop)} ${names.join("+")} ${constant >> 9}`;
  }

  /** What has no site, but may have neighbours. Reads ask for themselves: where there is something to read, it is not always to be written. */
  private neighbours({ range }: Sum, access: Access): string | undefined {
    return this.hasNeighbours && range === 0 ? `${neighbours} ${isWrite(access)}` : undefined;
  }

  private isStackPointer(n: number): boolean {
    return n === slot.esp || (n === slot.ebp && this.hasFrames);
  }

  /** The first of those left asks for as many as it can: for what lies near, in its own block and in those that only it leads to. */
  private group(name: string, list: readonly Located[]): void {
    for (let left = list; left.length > 0; ) {
      const [head] = left;
      const hasTable = head.range > 0;
      // Of a table at a known place it is known that it lies on one page.
      const widest = !hasTable ? widestGroup : head.terms.length === 0 ? pageBytes : smallTable + 4;
      const distance = ({ constant }: Located): number => Math.abs(constant - head.constant);
      // What is only read here, and written behind a branch, need not be something that can be written.
      const fitting = left.filter(
        (x) => this.isBehind(x.block, head.block) && (x.block === head.block || isWrite(head.access) || !isWrite(x.access)),
      );
      const part: Located[] = [];
      let low = head.constant;
      let end = low;
      for (const x of fitting.toSorted((a, b) => distance(a) - distance(b))) {
        const newLow = Math.min(low, x.constant);
        const newEnd = Math.max(end, x.constant + x.range + x.access.size);
        if (part.length > 0 && newEnd - newLow > widest) continue;
        low = newLow;
        end = newEnd;
        part.push(x);
      }
      const taken = new Set(part);
      left = left.filter((x) => !taken.has(x));
      // One alone asks for itself.
      const isAlone = part.length === 1;
      const hasSite = !name.startsWith(neighbours);
      // As does what is read to be written again.
      if (!hasSite && (isAlone || (!this.givesUp && part.every(({ constant }) => constant === low)))) continue;
      const writes = part.some(({ access }) => isWrite(access));
      const index = hasSite ? this.indexOf(name, writes) : -1;
      const bytes = isAlone ? head.access.size : end - low;
      const group: SiteGroup = {
        index,
        isWrite: writes,
        bytes,
        size: part.length,
        first: hasTable && !isAlone ? addressOf(lowest(part)) : undefined,
      };
      for (const { access, constant } of part) this.accesses.set(access, { group, offset: constant - low });
    }
  }

  /** Whether a block is another one, or reached by way of it alone. */
  private isBehind(block: number, other: number): boolean {
    let at = block;
    while (at > 0 && at !== other && this.before[at] >= 0) at = this.before[at];
    return at === other;
  }

  private indexOf(name: string, isWrite: boolean): number {
    const names = isWrite ? this.written : this.read;
    const number = names.get(name) ?? names.size;
    names.set(name, number);
    const first = this.range + (isWrite ? siteTable : 0);
    // As an int32: V8 would make all objects with a number of that name in that place anew for one double, the opcode rows among them, and never again compile for good what reads those.
    return Math.imul(first + ((this.begin + number) & (siteTable - 1)), siteWords);
  }
}

/** The block that alone leads to another, which is then printed where that one ends; -1: there is none, or more. */
function onlyBefore(block: number, { first, analysis }: RegionPlan): number {
  const node = block + first;
  return node === 0 || analysis.isMerge[node] || analysis.isLoopHeader[node] ? -1 : analysis.dominator[node] - first;
}

function lowest(list: readonly Located[]): Located {
  return list.reduce((a, b) => (b.constant < a.constant ? b : a));
}

/** The least that the address of an access may be. */
function addressOf({ constant, terms }: Sum): Value {
  const pure = (op: "add" | "shl", a: Value, b: number | Value): Value => ({
    kind: "pure",
    op,
    args: [a, typeof b === "number" ? { kind: "constant", value: b } : b],
    type: "i32",
  });
  const parts = terms.map(({ read, shift }): Value => {
    const value: Value = { kind: "result", statement: read };
    return shift === 0 ? value : pure("shl", value, shift);
  });
  if (parts.length === 0) return { kind: "constant", value: constant };
  const sum = parts.reduce((a, b) => pure("add", a, b));
  return constant === 0 ? sum : pure("add", sum, constant);
}

function isOnStack(v: Value): boolean {
  const { terms, others } = sumOf(v);
  return others.length === 0 && terms.length === 1 && slotNumber(terms[0].read.slot) === slot.esp;
}

function loopsOf(
  blocks: readonly MicroBlock[],
  graph: readonly (readonly number[])[],
  { first, analysis, isNest, isRedirected }: RegionPlan,
): (Loop | undefined)[] {
  const { order, isLoopHeader } = analysis;
  const result: (Loop | undefined)[] = blocks.map(() => undefined);
  if (!isLoopHeader.includes(true)) return result;
  const predecessors = predecessorsOf({ successors: graph });
  const loops: Loop[] = [];
  const find = (header: number, back: readonly number[]): void => {
    const inside = naturalLoop(header, back, predecessors, (block) => order[block + first] < order[header + first]);
    loops.push({ blocks: inside, changes: changesIn(inside, blocks) });
  };
  blocks.forEach((_, header) => {
    if (!isLoopHeader[header + first]) return;
    const back = predecessors[header].filter((from) => order[from + first] >= order[header + first]);
    const inner = isNest ? back.filter((from) => !isRedirected(from, header)) : back;
    find(header, inner);
    // The outer one's header is the selector, which is no block.
    if (inner.length < back.length) find(header, back);
  });
  // The smallest last.
  loops.sort((a, b) => b.blocks.size - a.blocks.size);
  for (const loop of loops) for (const block of loop.blocks) result[block] = loop;
  return result;
}

function changesIn(inside: ReadonlySet<number>, blocks: readonly MicroBlock[]): Uint8Array {
  const changes = new Uint8Array(8);
  for (const k of inside) {
    for (const { s } of blocks[k].statements) {
      if (s.kind === "call") {
        const row: CalloutRow = callouts[s.callout];
        // Functions leave EBX, ESI, EDI and EBP as they were.
        if (s.callout === "subroutine") for (const n of [slot.eax, slot.ecx, slot.edx]) changes[n - slot.eax] = changed.otherwise;
        else if (row.general !== false && row.slots === undefined && row.oncePerBlock !== true) changes.fill(changed.otherwise);
      }
      if (s.kind !== "set" || s.type !== "i32") continue;
      const n = slotNumber(s.slot);
      if (!isGeneral(n)) continue;
      const change = isStep(s.value, n) ? changed.bySteps : changed.otherwise;
      if (change > changes[n - slot.eax]) changes[n - slot.eax] = change;
    }
  }
  return changes;
}

/** Register `n`, and a little more or less. */
function isStep(v: Value, n: number): boolean {
  const { constant, terms, others, range } = sumOf(v);
  if (terms.length !== 1 || others.length > 0 || range !== 0) return false;
  const [{ read, shift }] = terms;
  return slotNumber(read.slot) === n && shift === 0 && Math.abs(constant) <= smallStep;
}
