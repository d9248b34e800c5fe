/** What the compiler must know of where its functions will run. */
import type { ArrayPlace } from "../contract/wasm.ts";

export interface WasmHost {
  readonly arrays: Readonly<Record<string, ArrayPlace>>;
  /** Names that are numbers known when the function is made. */
  readonly constants: Readonly<Record<string, number>>;
  /** Number of the imported function for a call of `name` with so many int32 arguments; undefined: it cannot be called from here. */
  imported(name: string, parameters: number, result: "i32" | "f64" | undefined): number | undefined;
  /** Whether a call of `name` yields a double. */
  isDouble(name: string): boolean;
  /** Whether `name` is a function of this compiler's: it yields an int32 whether that is wanted or not. */
  isHelper(name: string): boolean;
  /** Byte offset of the word that says which instruction is under way. */
  readonly place: number;
  /** Whether a call of `name` may meet a guest exception; byte offset of the word that then is not 0, and the block that is next after a handler. */
  mayFault(name: string): boolean;
  readonly faulted: number;
  readonly faultBlock: number;
  /** Whether functions may end by calling others. */
  readonly tailCalls: boolean;
  /** The array whose elements are the functions of the table, all of the type with this number. */
  readonly table: { readonly array: string; readonly type: number } | undefined;
}
