/**
 * Generated code as WebAssembly: what a translator must know of the host's memory to write it, and what it gives back. Handlers and regions are the same trees that are
 * printed as JavaScript; nothing in them depends on which of the two runs.
 */

/** A typed array of the host at a fixed place of its WebAssembly memory. */
export interface ArrayPlace {
  readonly kind: "i8" | "i16" | "i32" | "f32" | "f64";
  /** Bytes from the memory's start. */
  readonly offset: number;
  /** Where an index is an address divided by the element's size, the code has seen to it that this leaves nothing, nor does adding to the address wrap around. */
  readonly isAligned?: boolean;
  /** Its index counts bytes, whatever the elements' size. */
  readonly isBytewise?: boolean;
}

/** Plain data: it can be sent to another thread. */
export interface WasmLayout {
  /** 64 KiB pages of the memory. */
  readonly pages: number;
  /** By the names that generated code has for them. */
  readonly arrays: Readonly<Record<string, ArrayPlace>>;
  /** Byte offset of the word that says which instruction (index in C) is under way while a function of the host is called. */
  readonly place: number;
  /** Byte offset of a 16-bit word for each of the host's shape numbers: how the loop does it if it has no code for it in line, see `loopCase`. */
  readonly cases: number;
  /** The host's number for the translator's shape 0. */
  readonly firstShape: number;
  /** Functions in the table: one for each of the host's shape numbers. The array `H` of generated code. */
  readonly tableSize: number;
  /** Header of the block that means: leave the loop. */
  readonly stopBlock: number;
  /** Byte offset of a word that is not 0 after a function of the host met a guest exception: the instruction ends there, and this block is next. */
  readonly faulted: number;
  readonly faultBlock: number;
  /** Functions of the host that may do so. */
  readonly mayFault: ReadonlySet<string>;
  /** Whether functions may end by calling others. */
  readonly tailCalls: boolean;
  /** Names that the host lets generated code call. */
  readonly functions: ReadonlySet<string>;
  /** Of these, those that yield a double; others yield an int32, if anything. */
  readonly doubles: ReadonlySet<string>;
  /** And those that were made by `Translator.helpers`. */
  readonly helpers: ReadonlySet<string>;
}

/** How the loop does an instruction for which it has no code itself: by the host's function `slow(p)`, or by the function in the table at its shape number. */
export const loopCase = { slow: 0, table: 1 } as const;

/** An instruction of the host's own, as the text of an arrow function of its index in C, `(p) => { ... }`. Ends its block. */
export interface HostHandler {
  readonly number: number;
  readonly text: string;
}

/** A function of the host that a module imports from "m" under `key`. All parameters are int32; the CPU, where it is the first argument, is left out. */
export interface WasmImport {
  readonly key: string;
  readonly name: string;
  readonly parameters: number;
  readonly result: "i32" | "f64" | undefined;
}

export interface WasmModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly imports: readonly WasmImport[];
  /**
   * The shapes in it, those first that were asked for first. Handlers: exported as h0, h1, ...; of a loop: those in line. What is missing is not for WebAssembly.
   */
  readonly shapes: readonly number[];
}

/** What a host asks of tier 0 before it knows any guest. */
export interface TierRequest {
  readonly layout: WasmLayout;
  /** Functions of the host (`Translator.helpers`), in groups: a later one may call those of an earlier one. */
  readonly helpers: readonly Readonly<Record<string, string>>[];
  /** Instructions of the host that are in line in the loop, in this order. */
  readonly own: readonly HostHandler[];
}

/** All of that and the handlers of the commonest shapes in one module, made beforehand. It exports the helpers by their names and `run`, the loop. */
export interface PreparedTier extends Pick<WasmModule, "bytes" | "imports"> {
  /** Instantiation puts the functions of shapes 0 to this number, exclusive, into the table. Those numbers mean the same shapes for ever. */
  readonly shapeCount: number;
  /** Those in line in the loop. */
  readonly inLine: readonly number[];
}
