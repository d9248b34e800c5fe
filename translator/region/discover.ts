/**
 * Which guest code becomes one region: what is reachable from the entry by jumps, calls and returns, hottest first, as far as it has run, up to a limit of
 * instructions (V8 never optimises functions whose bytecode exceeds 61,440 bytes).
 *
 * A called function that is taken in is jumped to: the guest's own stack holds the return address, and its RET compares what it pops with the return sites in the
 * region. So recursion is a loop, and nothing is assumed of the guest's calls and returns.
 *
 * A block here is maximal: cut where something jumps into it and at page boundaries; an instruction that straddles two pages is a block of its own.
 */
import type { MicroTemplate, Terminator, Value } from "../ir/micro.ts";
import type { SoftField } from "./soft-fields.ts";

/** One decoded instruction. Offsets are relative to the entry's page. */
export interface RegionInstruction {
  readonly offset: number;
  readonly next: number;
  readonly shape: number;
  readonly fields: ArrayLike<number>;
  /** Those of the fields that are read from guest memory; absent: none. */
  readonly soft?: readonly SoftField[] | undefined;
}

export interface RegionBlock {
  readonly offset: number;
  readonly instructions: readonly RegionInstruction[];
  /** Page offsets that control may go to, in the order of the terminator; those without a block in the region are exits. For a computed jump: those worth a test. */
  readonly successors: readonly number[];
  /** Ends in a CALL of a function outside the region, and goes on behind it in the region. */
  readonly isSubroutineCall: boolean;
}

export interface Decoder {
  /** The instruction at a page offset, or undefined if it cannot be part of a region. */
  instruction(offset: number): RegionInstruction | undefined;
  template(shape: number): MicroTemplate;
  /** Which of the functions called are taken in, if they are hot. */
  readonly takesIn: "all" | "small" | "none";
  /** Whether the one at a page offset is taken in whatever the others are. */
  isWanted(offset: number): boolean;
  /** Whether the code behind a CALL belongs to the caller's region although the function called does not. */
  readonly expectsReturns: boolean;
  /** Executions from which on that is worth its text. */
  readonly hotCall: number;
  /** Executions of the code at a page offset. */
  heat(offset: number): number;
  /** Where a computed jump goes, as far as can be told: page offsets, the likeliest first. `before`: the instruction before it in its block, if any. */
  targets(i: RegionInstruction, before: RegionInstruction | undefined): readonly number[];
}

/**
 * Code that ran less often than this, or than so much of the entry's executions, stays out: compiling it would cost more than leaving for it. (Not a share of more
 * executions: what an earlier region took in is not counted any more.)
 */
const rarest = 250;
const rarestShare = 1 / 64;

/** Instructions in a row, RET included, of a function that is taken in whoever calls it: one that only says where its caller is, as all position-independent code has. */
const smallFunction = 8;

/** Return sites that a RET compares with. */
const maximumReturnSites = 6;

/** Value of a static exit: always a field of the shape. */
function offsetOf(v: Value, fields: ArrayLike<number>): number {
  if (v.kind === "field") return fields[v.index];
  if (v.kind === "constant") return v.value;
  throw new Error("a static exit is a field");
}

/** Where an instruction with this terminator may go statically. */
export function staticTargets(t: Terminator | undefined, i: RegionInstruction): number[] {
  if (t === undefined) return [i.next];
  switch (t.kind) {
    case "jump":
    case "call":
      return [offsetOf(t.target, i.fields)];
    case "branch":
      return [offsetOf(t.taken, i.fields), offsetOf(t.fall, i.fields)];
    case "again":
    case "proceed":
      return [i.next];
    default:
      return [];
  }
}

/** A computed jump, perhaps through a table, inside the code segment. */
export function isTableJump(t: Terminator | undefined): boolean {
  return t?.kind === "indirect" && t.flavour === "jump" && !t.far;
}

export function pageOf(offset: number): number {
  return offset >> 12;
}

function isCall(t: Terminator | undefined): boolean {
  return t?.kind === "call" || (t?.kind === "indirect" && t.flavour === "call" && !t.far);
}

function isNearReturn(t: Terminator | undefined): boolean {
  return t?.kind === "indirect" && t.flavour === "return" && !t.far;
}

function straddles(i: RegionInstruction): boolean {
  return pageOf(i.offset) !== pageOf(i.next - 1);
}

/** @returns the blocks by offset, the entry's first; empty if the entry itself cannot be translated */
export function discover(decoder: Decoder, entry: number, limit: number): Map<number, RegionBlock> {
  const found = decodeHottest(decoder, entry, limit);
  const blocks = cut(decoder, found, entry);
  connectReturns(decoder, blocks);
  return reachable(blocks, entry);
}

interface Decoded {
  readonly decoded: Map<number, RegionInstruction>;
  /** Where control joins. */
  readonly leaders: ReadonlySet<number>;
  /** CALLs whose function is taken in. */
  readonly followed: ReadonlySet<number>;
}

/** Decodes what is reachable, hottest first. */
function decodeHottest(decoder: Decoder, entry: number, limit: number): Decoded {
  const decoded = new Map<number, RegionInstruction>();
  const followed = new Set<number>();
  const leaders = new Set<number>([entry]);
  // How often control came here from the entry, at most: a function has callers elsewhere too.
  const waiting = new Map<number, number>([[entry, Math.max(1, decoder.heat(entry))]]);
  const least = Math.min(rarest, Math.ceil(decoder.heat(entry) * rarestShare));
  const want = (offset: number, weight: number): boolean => {
    if (!decoded.has(offset)) {
      const heat = Math.min(weight, decoder.heat(offset));
      if (heat <= 0 || heat < least) return false;
      waiting.set(offset, Math.max(heat, waiting.get(offset) ?? 0));
    }
    leaders.add(offset);
    return true;
  };
  while (waiting.size > 0 && decoded.size < limit) {
    let offset = hottest(waiting);
    const weight = waiting.get(offset) as number;
    waiting.delete(offset);
    let before: RegionInstruction | undefined;
    const run: number[] = [];
    let isCutOff = true;
    while (decoded.size < limit) {
      if (decoded.has(offset)) {
        leaders.add(offset);
        isCutOff = false;
        break;
      }
      const i = run.length > 0 && decoder.heat(offset) < 0 ? undefined : decoder.instruction(offset);
      if (i === undefined || (offset === entry && straddles(i))) {
        isCutOff = false;
        break;
      }
      if (before !== undefined && (straddles(i) || straddles(before) || pageOf(before.offset) !== pageOf(offset))) leaders.add(offset);
      decoded.set(offset, i);
      run.push(offset);
      const previous = before;
      before = i;
      const { terminator } = decoder.template(i.shape);
      if (terminator === undefined) {
        offset = i.next;
        continue;
      }
      isCutOff = false;
      const targets = isTableJump(terminator) ? decoder.targets(i, previous) : staticTargets(terminator, i);
      const isBarred = terminator.kind === "call" && !isTakenIn(decoder, targets[0]);
      const taken = isBarred ? [] : targets.filter((target) => want(target, weight));
      if (terminator.kind === "call" && taken.length > 0) followed.add(i.offset);
      const isWorthCalling = decoder.expectsReturns && Math.min(weight, decoder.heat(i.next)) >= decoder.hotCall;
      if (isCall(terminator) && (taken.length > 0 || isWorthCalling)) want(i.next, weight);
      break;
    }
    if (isCutOff) endAtKnownBlock(decoder, decoded, run);
  }
  return { decoded, leaders, followed };
}

function isTakenIn(decoder: Decoder, entry: number): boolean {
  return decoder.takesIn === "all" || decoder.isWanted(entry) || (decoder.takesIn === "small" && isSmallFunction(decoder, entry));
}

/** Whether there are only a few instructions in a row, the last of them RET. */
function isSmallFunction(decoder: Decoder, entry: number): boolean {
  let offset = entry;
  for (let k = 0; k < smallFunction; k++) {
    const i = decoder.instruction(offset);
    if (i === undefined) return false;
    const { terminator } = decoder.template(i.shape);
    if (terminator !== undefined) return isNearReturn(terminator);
    offset = i.next;
  }
  return false;
}

/** Instructions in a row that may be taken back: more than tier 0 has in a block. */
const takenBack = 50;

/**
 * Instructions in a row had to end somewhere: takes back those from where tier 0 has a hot block. A block that begins anywhere else would have to become hot before it gets a
 * region, and all behind it, one region's length after the other. (Some blocks begin where an exception returned to once.)
 */
function endAtKnownBlock(decoder: Decoder, decoded: Map<number, RegionInstruction>, run: readonly number[]): void {
  let end = 0;
  let most = 0;
  for (let k = run.length - 1; k > Math.max(0, run.length - takenBack); k--) {
    const heat = decoder.heat(run[k]);
    if (heat <= most) continue;
    most = heat;
    end = k;
  }
  if (most > 0) for (const offset of run.slice(end)) decoded.delete(offset);
}

function hottest(waiting: ReadonlyMap<number, number>): number {
  let best = -1;
  let at = 0;
  for (const [offset, heat] of waiting) {
    if (heat <= best) continue;
    best = heat;
    at = offset;
  }
  return at;
}

interface OpenBlock extends RegionBlock {
  readonly successors: number[];
  readonly terminator: Terminator | undefined;
}

function cut(decoder: Decoder, { decoded, leaders, followed }: Decoded, entry: number): Map<number, OpenBlock> {
  const blocks = new Map<number, OpenBlock>();
  for (const leader of [entry, ...leaders]) {
    if (blocks.has(leader)) continue;
    const instructions: RegionInstruction[] = [];
    let terminator: Terminator | undefined;
    let successors: number[] = [];
    let isSubroutineCall = false;
    for (let offset = leader; ; ) {
      const i = decoded.get(offset);
      if (i === undefined || (instructions.length > 0 && leaders.has(offset))) {
        successors = [offset];
        break;
      }
      instructions.push(i);
      terminator = decoder.template(i.shape).terminator;
      if (terminator !== undefined) {
        successors = isTableJump(terminator)
          ? decoder.targets(i, instructions[instructions.length - 2]).filter((target) => decoded.has(target))
          : staticTargets(terminator, i);
        const isFollowed = (decoder.takesIn === "all" || followed.has(offset)) && successors.some((target) => decoded.has(target));
        isSubroutineCall = decoder.expectsReturns && isCall(terminator) && !isFollowed && decoded.has(i.next);
        if (isSubroutineCall) {
          successors = [i.next];
          terminator = undefined;
        }
        break;
      }
      offset = i.next;
    }
    if (instructions.length > 0) blocks.set(leader, { offset: leader, instructions, successors, isSubroutineCall, terminator });
  }
  return blocks;
}

/** Gives each RET the return sites of the calls in the region that may lead to it. */
function connectReturns(decoder: Decoder, blocks: ReadonlyMap<number, OpenBlock>): void {
  const returns = new Map<number, readonly OpenBlock[]>();
  const calls = [...blocks.values()].filter(({ terminator }) => terminator?.kind === "call");
  for (const { instructions, successors } of calls) {
    const site = instructions[instructions.length - 1].next;
    const [callee] = successors;
    if (!blocks.has(site) || !blocks.has(callee)) continue;
    let found = returns.get(callee);
    if (found === undefined) {
      found = returnsOf(blocks, callee);
      returns.set(callee, found);
    }
    for (const ret of found) if (!ret.successors.includes(site)) ret.successors.push(site);
  }
  for (const ret of new Set([...returns.values()].flat())) {
    ret.successors.sort((a, b) => decoder.heat(b) - decoder.heat(a));
    ret.successors.length = Math.min(ret.successors.length, maximumReturnSites);
  }
}

/** The blocks that end in RET of the function at `entry`, stepping over the calls it makes. */
function returnsOf(blocks: ReadonlyMap<number, OpenBlock>, entry: number): OpenBlock[] {
  const found: OpenBlock[] = [];
  const seen = new Set<number>();
  const work = [entry];
  for (let offset = work.pop(); offset !== undefined; offset = work.pop()) {
    const block = blocks.get(offset);
    if (block === undefined || seen.has(offset)) continue;
    seen.add(offset);
    const { terminator } = block;
    if (isNearReturn(terminator)) found.push(block);
    else if (terminator?.kind === "call") work.push(block.instructions[block.instructions.length - 1].next);
    else work.push(...block.successors);
  }
  return found;
}

function reachable(blocks: ReadonlyMap<number, RegionBlock>, entry: number): Map<number, RegionBlock> {
  const found = new Map<number, RegionBlock>();
  const work = [entry];
  for (let offset = work.pop(); offset !== undefined; offset = work.pop()) {
    const block = blocks.get(offset);
    if (block === undefined || found.has(offset)) continue;
    found.set(offset, block);
    work.push(...block.successors);
  }
  return found;
}
