/**
 * A profile of the guest, made of two samplings of one run. V8's CPU profiler says when which host function ran: time as it was spent, regions by name (f_<EIP>), and
 * below them what they called. But in tier 0 its frames are handlers and the dispatcher's loop, which do not know what guest code they run for. So the dispatcher tells
 * at the end of each slice, some ten thousand times a second, where the guest is, which costs nothing; and a host sample in tier 0 is taken for the guest code of
 * the guest sample next to it in time.
 *
 * The result is a V8 profile again, its stacks rewritten: part of xlat86 / guest function / what that called on the host. It opens in Chrome's DevTools.
 */
import { helperTexts } from "../../runtime/execute/wasm-helpers.ts";
import { slot } from "../../translator/contract/slots.ts";
import type { Sampler } from "../machine/sampler.ts";
import type { Symbols } from "./symbols.ts";

/** The Chrome DevTools protocol's Profiler.Profile. Times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly startTime: number;
  readonly endTime: number;
  readonly samples?: readonly number[];
  readonly timeDeltas?: readonly number[];
}

export interface ProfileNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly hitCount?: number;
  readonly children?: readonly number[];
}

export interface CallFrame {
  readonly functionName: string;
  readonly scriptId: string;
  readonly url: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

/** Milliseconds between two guest samples that are kept. */
const guestInterval = 0.25;
/** A guest sample says nothing about host samples further away than this. */
const nearby = 20;

/** The guest's side: EIPs of tier 0 with their times. */
export class GuestTrace implements Sampler {
  private readonly now: () => number;
  /** Milliseconds, ascending. */
  private readonly times: number[] = [];
  private readonly eips: number[] = [];
  private readonly rings: number[] = [];
  private next = 0;

  /** @param now host milliseconds */
  constructor(now: () => number) {
    this.now = now;
  }

  sliceEnded(R: Int32Array, inRegion: boolean): void {
    // Regions tell by their names.
    if (inRegion) return;
    const now = this.now();
    if (now < this.next) return;
    this.next = now + guestInterval;
    this.times.push(now);
    this.eips.push((R[slot.eip]! + R[slot.segmentBase + 1]!) >>> 0);
    this.rings.push(R[slot.cpl]!);
  }

  /** Where tier 0 was at about `time`. */
  at(time: number): { readonly address: number; readonly ring: number } | undefined {
    const { times } = this;
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (times[middle]! < time) low = middle + 1;
      else high = middle;
    }
    // The slice that ends next is the one under way.
    const k = low < times.length && times[low]! - time < nearby ? low : low - 1;
    if (k < 0 || Math.abs(times[k]! - time) > nearby) return undefined;
    return { address: this.eips[k]!, ring: this.rings[k]! };
  }
}

/** What host time went into. */
export const timeParts = ["regions", "tier 0", "callouts", "memory", "translation", "garbage collection", "host", "idle"] as const;
export type TimePart = (typeof timeParts)[number];

interface Place {
  readonly part: TimePart;
  /** Guest function and host functions below it, or host functions. */
  readonly frames: readonly CallFrame[];
}

/** Names of V8's own frames. */
const ownFrames: Readonly<Record<string, TimePart>> = { "(garbage collector)": "garbage collection", "(idle)": "idle" };
/** Functions in which translation begins, or what was translated elsewhere arrives: those of Regions, BlockBuilder.decode, WasmTier's. */
const translators: ReadonlySet<string> = new Set(["make", "makeFrom", "arrived", "decode", "compile", "makePending", "makeLoop"]);
/** LinearMemory's slow paths. */
const memoryPaths =
  /^(ldw?[124]|st[124]|sg[124]|try(Ldw?|St)[124]|translate\w*|tryTranslate\w*|tryProbeWrite|walkAndFill|slowRead\d|systemRead\d|systemWrite\d|guardedStore|straddling\w*)$/;
/** What calls the dispatcher's `run`, or that inlined: Engine.run, Machine's loop. */
const runners: ReadonlySet<string> = new Set(["run", "#loop"]);
/** The dispatcher, what it calls at the ends of slices, and the way from one region to the next. */
const dispatchers: ReadonlySet<string> = new Set([
  ...[
    "run",
    "look",
    "attend",
    "dispatch",
    "enter",
    "link",
    "relink",
    "arrive",
    "revive",
    "jump",
    "jumpSlowly",
    "step",
    "moreTime",
    "enterRegion",
    "slow",
  ],
  ...["nextSlice", "endOfSlice", "sample", "receive", "#poll"],
  ...helperTexts.flatMap((group) => Object.keys(group)).filter((name) => !memoryPaths.test(name)),
]);

export interface ProfileRequest {
  readonly host: CpuProfile;
  readonly guest: GuestTrace;
  /** Milliseconds on the guest trace's clock when the host's profile began. */
  readonly started: number;
  readonly symbols: Symbols;
}

/** Rewrites the stacks of a host profile. */
export function guestProfile(request: ProfileRequest): CpuProfile {
  const { host, guest, started, symbols } = request;
  const stacks = new Stacks(host);
  const tree = new Tree();
  const samples: number[] = [];
  let time = started * 1000;
  host.samples?.forEach((id, k) => {
    time += host.timeDeltas?.[k] ?? 0;
    const { part, frames } = stacks.place(id, symbols);
    const where = stacks.runsTierZero(id) ? guest.at(time / 1000) : undefined;
    const located = where === undefined ? (part === "tier 0" ? [frame("(between regions)")] : []) : [guestFrame(where.address, symbols)];
    const all = [...located, ...frames];
    samples.push(tree.node([frame(part), ...all]));
  });
  return { nodes: tree.nodes, startTime: host.startTime, endTime: host.endTime, samples, timeDeltas: host.timeDeltas ?? [] };
}

/**
 * A profile without its first `milliseconds`. V8 takes a look at all functions there are before it begins to sample, and counts that, too.
 */
export function without(host: CpuProfile, milliseconds: number): CpuProfile {
  const { samples = [], timeDeltas = [] } = host;
  let first = 0;
  let skipped = 0;
  while (first < samples.length && skipped + timeDeltas[first]! < milliseconds * 1000) skipped += timeDeltas[first++]!;
  return { ...host, startTime: host.startTime + skipped, samples: samples.slice(first), timeDeltas: timeDeltas.slice(first) };
}

/** Host seconds by part, of a host profile alone. */
export function timeShares(host: CpuProfile): Record<TimePart, number> {
  const stacks = new Stacks(host);
  const shares = Object.fromEntries(timeParts.map((part) => [part, 0])) as Record<TimePart, number>;
  host.samples?.forEach((id, k) => {
    // A sample stands for the time up to the next one.
    shares[stacks.leafPart(id)] += (host.timeDeltas?.[k + 1] ?? 0) / 1e6;
  });
  return shares;
}

function frame(functionName: string, url = ""): CallFrame {
  return { functionName, scriptId: "0", url, lineNumber: -1, columnNumber: -1 };
}

function guestFrame(address: number, symbols: Symbols): CallFrame {
  const symbol = symbols.find(address);
  const hex = (n: number): string => n.toString(16).padStart(8, "0");
  return symbol === undefined ? frame(hex(address), "guest") : frame(symbol.name, `guest ${hex(symbol.address)}`);
}

/** The host's call tree, and what its stacks mean. */
class Stacks {
  private readonly nodes = new Map<number, ProfileNode>();
  private readonly parents = new Map<number, number>();
  private readonly places = new Map<number, Place>();

  constructor(profile: CpuProfile) {
    for (const node of profile.nodes) {
      this.nodes.set(node.id, node);
      for (const child of node.children ?? []) this.parents.set(child, node.id);
    }
  }

  /** Frames from the outermost on, without "(root)". */
  private stack(id: number): CallFrame[] {
    const frames: CallFrame[] = [];
    for (let at: number | undefined = id; at !== undefined; at = this.parents.get(at)) frames.unshift(this.nodes.get(at)!.callFrame);
    return frames.slice(1);
  }

  runsTierZero(id: number): boolean {
    return this.place(id).part === "tier 0";
  }

  place(id: number, symbols?: Symbols): Place {
    let place = this.places.get(id);
    if (place === undefined) {
      place = this.classify(this.stack(id), symbols);
      this.places.set(id, place);
    }
    return place;
  }

  private classify(stack: readonly CallFrame[], symbols: Symbols | undefined): Place {
    const own = ownFrames[stack[0]?.functionName ?? ""];
    if (own !== undefined) return { part: own, frames: [] };
    const isWasm = (f: CallFrame): boolean => f.url.startsWith("wasm:") || f.functionName === "js-to-wasm" || f.functionName.startsWith("wasm-to-js");
    const isGenerated = (f: CallFrame): boolean => (f.url === "" && f.lineNumber >= 0) || isWasm(f);
    const isRegion = (f: CallFrame): boolean => isGenerated(f) && /^f_[0-9a-f]+$/.test(f.functionName);
    // Bundled code has nothing else to know the dispatcher by.
    const run = stack.findLastIndex((f, k) => f.functionName === "run" && runners.has(stack[k - 1]?.functionName ?? ""));
    if (run < 0) return { part: "host", frames: stack };
    const inner = stack.slice(run + 1);
    const translation = inner.findIndex((f) => translators.has(f.functionName));
    if (translation >= 0) return { part: "translation", frames: inner.slice(translation) };
    const region = inner.findIndex(isRegion);
    if (region >= 0) {
      const address = Number.parseInt(inner[region]!.functionName.slice(2), 16);
      const guest = symbols === undefined ? [] : [guestFrame(address, symbols)];
      return { part: "regions", frames: [...guest, ...inner.slice(region + 1)] };
    }
    // What is generated and no region is a handler: its name says nothing about the guest.
    return { part: "tier 0", frames: inner.filter((f) => !isGenerated(f) && !dispatchers.has(f.functionName)) };
  }

  /** The part that the innermost function belongs to: a region's callout is not the region. */
  leafPart(id: number): TimePart {
    const { part, frames } = this.place(id);
    if (part !== "regions" && part !== "tier 0") return part;
    const called = frames.filter((f) => !dispatchers.has(f.functionName));
    const last = called.at(-1);
    if (last === undefined) return part;
    if (last.functionName === "(garbage collector)") return "garbage collection";
    return called.some((f) => memoryPaths.test(f.functionName)) ? "memory" : "callouts";
  }
}

/** A call tree under construction. */
class Tree {
  private readonly children: Map<string, number>[] = [new Map()];
  private readonly list: { id: number; callFrame: CallFrame; hitCount: number; children: number[] }[] = [
    { id: 1, callFrame: frame("(root)"), hitCount: 0, children: [] },
  ];

  get nodes(): readonly ProfileNode[] {
    return this.list;
  }

  /** The node of a stack, outermost frame first; counts a sample there. */
  node(stack: readonly CallFrame[]): number {
    let at = 1;
    for (const callFrame of stack) {
      const key = `${callFrame.functionName}\n${callFrame.url}\n${callFrame.lineNumber}`;
      const known = this.children[at - 1]!;
      let next = known.get(key);
      if (next === undefined) {
        next = this.list.push({ id: this.list.length + 1, callFrame, hitCount: 0, children: [] });
        this.children.push(new Map());
        known.set(key, next);
        this.list[at - 1]!.children.push(next);
      }
      at = next;
    }
    this.list[at - 1]!.hitCount++;
    return at;
  }
}
