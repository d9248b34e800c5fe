/**
 * What the runtime asks of a translator, injected by the composition root. Everything here is plain data: text to compile, numbers to store.
 */
import type { ModeKey } from "./mode-key.ts";
import type { RegionSnapshot } from "./region-snapshot.ts";
import type { HostHandler, PreparedTier, TierRequest, WasmLayout, WasmModule } from "./wasm.ts";

/**
 * Where an instruction may go next, statically; the page offset is the instruction's field `field`, or its own start, or the next one's. `wraps`: the EIP there is taken
 * modulo 64 KiB.
 */
export type ExitTarget =
  | { readonly kind: "field"; readonly field: number; readonly wraps?: boolean }
  | { readonly kind: "self" }
  | { readonly kind: "next" };

/** Tier 0 code of one shape: the text of `(p) => ...`, run for every instruction of that shape. */
export interface ShapeCode {
  /** For people: mnemonic, operand kinds, sizes. */
  readonly name: string;
  /** JavaScript of the handler, an arrow function of the instruction's index in the code array. */
  readonly text: string;
  /** Names in `text` that the host binds. */
  readonly freeNames: readonly string[];
  /** Which of the instruction's fields are stored after the shape word, in order. */
  readonly layout: readonly number[];
  /** Link words that follow the fields, one for each static exit. Empty for an instruction that falls through or leaves dynamically. */
  readonly exits: readonly ExitTarget[];
  /** The instruction is the last of its block. */
  readonly endsBlock: boolean;
  /** Words in the code array: shape word, fields, links. */
  readonly size: number;
  /** Guest instructions in it: one, unless fused. */
  readonly instructions: number;
  /**
   * Fused shapes: which word holds the page offset of each part but the first, 0 where that part cannot fault. A fault in a fused shape leaves the page offset of
   * the part at fault in R[faultOffset].
   */
  readonly parts: readonly number[];
}

/** Outcomes of decoding that are not an instruction: what the guest gets instead. */
export const decodeFailure = { undefinedOpcode: -1, truncated: -2, tooLong: -3 } as const;

export interface Translator {
  /**
   * Decodes one instruction at `bytes[offset]` (nothing is read at or beyond `end`) and returns its shape number, or a `decodeFailure`.
   * `length` and `fields` then describe it.
   * @param pageOffset offset of the instruction in its physical page
   */
  decode(bytes: Uint8Array, offset: number, end: number, mode: ModeKey, pageOffset: number): number;
  /** Bytes of the instruction last decoded. */
  readonly length: number;
  /** Its field values, `fieldCount` of them. */
  readonly fields: Int32Array;
  readonly fieldCount: number;
  /** Code of a shape number. */
  shape(number: number): ShapeCode;
  /** Shapes that were met. */
  readonly shapeCount: number;
  /**
   * The shape of an instruction of shape `first` and one of shape `second` behind it as one handler, or -1 if they cannot be joined. Its fields are those of the
   * first, then those of the second.
   */
  fuse(first: number, second: number): number;
  /** The same of those that were fused before, or are prepared so: -1 for others. */
  fusionOf(first: number, second: number): number;
  /** WebAssembly functions for shapes: each, called with an instruction's index, does what the shape's JavaScript does. */
  handlers(shapes: readonly number[], layout: WasmLayout): WasmModule;
  /** WebAssembly of tier 0's loop, `run(p)`, with the host's handlers and those of these shapes in line, the first ones if they are too many. */
  loop(shapes: readonly number[], own: readonly HostHandler[], layout: WasmLayout): WasmModule;
  /** Functions of the host, texts of arrow functions by name, as WebAssembly that handlers can call. */
  helpers(functions: Readonly<Record<string, string>>, layout: WasmLayout): WasmModule;
  /** What was made beforehand for such a host, if anything was. */
  prepared(request: TierRequest): PreparedTier | undefined;
  /** Drops all shapes: their numbers mean nothing any more, those prepared excepted. */
  forgetShapes(): void;
  /** A region for the blocks given, or undefined if it cannot be done. */
  region(request: RegionRequest): RegionCode | undefined;
  /** The code of that region, for another translator to make it. */
  snapshot(request: RegionRequest): RegionSnapshot | undefined;
  /** The region of a snapshot; undefined if its text would be too long. */
  regionFrom(snapshot: RegionSnapshot): RegionCode | undefined;
  /** Regions of this translator as WebAssembly functions for the table, `r0`, `r1` and so on by their places in the list; `shapes` has the places of those that can be. */
  regionsModule(regions: readonly PlacedRegion[], layout: WasmLayout): WasmModule;
}

export interface PlacedRegion {
  readonly code: RegionCode;
  /** What L is in its text: the first of its links in the code array. */
  readonly links: number;
}

/** A page that a region may take code from. */
export interface RegionPage {
  readonly bytes: Uint8Array;
  /** Its physical address. */
  readonly address: number;
}

/**
 * A region to translate: guest code reachable from one entry. Places in it are page offsets relative to the entry's page: below 0 and from 4096 on they are on the
 * pages around it.
 */
export interface RegionRequest {
  /** The page `k` pages behind the entry's (before it, if negative), or undefined if it must stay out. */
  page(k: number): RegionPage | undefined;
  /** Page offset of the entry. */
  readonly entry: number;
  readonly mode: ModeKey;
  /** Whether functions called are taken in with their callers. */
  readonly followsCalls: boolean;
  /** Whether the function at this page offset is taken in all the same. */
  takesIn?(offset: number): boolean;
  /** Executions from which on the code behind a CALL is taken in with the caller. */
  readonly hotCall: number;
  /** Names the function, for profilers. */
  readonly name: string;
  /** EIP of the first byte of the entry's page. Only a hint: the region may be entered through another mapping. */
  readonly base: number;
  /** Execution count of the block starting at this page offset, 0 if never run; -1 where it has a region that is to be left alone. */
  heat(offset: number): number;
  /** The word at a linear address, or undefined where it cannot be read without side effects: for jump tables. */
  word(linear: number): number | undefined;
  /** Base of a segment register, for jump tables too. */
  segmentBase(s: number): number;
  /** The read TLB's entry (runtime/memory/linear.ts) of most pages that are read in this mode, if there is one: many systems map most of their memory alike. Only a hint. */
  readonly usualEntry?: number | undefined;
  /** Whether all memory lies below 2 GiB of the buffer (runtime/memory/linear.ts). */
  readonly hasLowPlaces?: boolean;
  /** Whether the byte at this page offset was written over when a region had been made of it. Absent: none was. */
  readonly isPatched?: ((offset: number) => boolean) | undefined;
  /** Whether regions gave up too often at the instruction at this page offset (sites.ts). Absent: none did. */
  readonly isDoubtful?: ((offset: number) => boolean) | undefined;
  /** Page offsets from the first to before the second: code elsewhere must stay out. Given for an `edge` page, which is the only one then. */
  readonly within?: readonly [number, number] | undefined;
}

/** What is to be known of a region beside its code. */
export interface RegionFacts {
  readonly name: string;
  /** About as many characters. */
  readonly size: number;
  readonly freeNames: readonly string[];
  /** Page offsets of the static exits; the text names exit k's link word as `L + k`. */
  readonly exits: readonly number[];
  /** Numbers of the exits whose EIP is taken modulo 64 KiB. */
  readonly wrapping: ReadonlySet<number>;
  /** Guest bytes the text was made from: pairs of page offset and length, neither across pages. */
  readonly ranges: readonly (readonly [number, number])[];
  /** Page offsets of bytes among them that it reads whenever it comes to them: they may be written. */
  readonly soft: ReadonlySet<number>;
  /** Page offsets of instructions that it does not give up at, for regions did so too often. */
  readonly doubtful: ReadonlySet<number>;
  readonly instructions: number;
  /** Leaves by RET or a computed jump, so that regions gain by calling it however short it is. */
  readonly isCallable: boolean;
}

export interface RegionCode extends RegionFacts {
  /** JavaScript of the region: `function name() { ... return <link> }`. Printed when it is asked for. */
  readonly text: string;
  /** It has been compiled: from now on its text is to be seen by people at most. */
  release(): void;
}
