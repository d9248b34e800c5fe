/**
 * Micro-ops. A lifted instruction is a list of statements in program order; each statement refers to values, which are trees of pure
 * ops over leaves and over the results of earlier statements.
 *
 * Leaves are constants or *fields*: the parts of an instruction that vary between instructions of one shape (register numbers, immediates,
 * displacements). Tier 0 prints a field as a read of the code array, a region as its literal, so that one lift serves both.
 */
import type { CalloutName } from "../contract/callouts.ts";
import type { PureOp, ValueType } from "./pure-ops.ts";

export type Value =
  | { readonly kind: "constant"; readonly value: number }
  /** Field number `index` of the shape; `value` once instantiated (regions). */
  | { readonly kind: "field"; readonly index: number }
  | { readonly kind: "pure"; readonly op: PureOp; readonly args: readonly Value[]; readonly type: ValueType }
  /** The result of a statement of this instruction (state read, load, callout). */
  | { readonly kind: "result"; readonly statement: ResultStatement }
  /** The EIP of page offset `offset` of the running block's page. */
  | { readonly kind: "codeAddress"; readonly offset: Value };

/** A state slot: base + offset, where base is a constant or a field (register operands). */
export interface SlotRef {
  readonly base: Value;
  readonly offset: number;
}

export type Statement = ResultStatement | SetStatement | StoreStatement;
export type ResultStatement = GetStatement | LoadStatement | FetchStatement | SegmentStatement | CallStatement;

/** What is read or written at a slot: its word; a double, in two of them; a vector, in four. */
export type SlotType = "i32" | "f64" | "v128";
export const wordsOfType = { i32: 1, f64: 2, v128: 4 } as const satisfies Record<SlotType, number>;

/** Reads a slot. */
export interface GetStatement {
  readonly kind: "get";
  readonly slot: SlotRef;
  readonly type: SlotType;
}
export interface SetStatement {
  readonly kind: "set";
  readonly slot: SlotRef;
  readonly type: SlotType;
  readonly value: Value;
}
/** Reads guest memory at a linear address: zero-extended for 1 and 2 bytes. `forWrite`: a store to the same place follows. */
export interface LoadStatement {
  readonly kind: "load";
  readonly size: 1 | 2 | 4;
  readonly address: Value;
  readonly forWrite: boolean;
}
/** Reads bytes of the instruction itself, at a place in guest memory: a field that is written time and again (region/soft-fields.ts). Zero-extended. */
export interface FetchStatement {
  readonly kind: "fetch";
  readonly size: 1 | 2 | 4;
  readonly place: number;
}
export interface StoreStatement {
  readonly kind: "store";
  readonly size: 1 | 2 | 4;
  readonly address: Value;
  readonly value: Value;
}
/** Segmentation: checks [offset, offset + size) against segment register `segment`. Yields nothing. */
export interface SegmentStatement {
  readonly kind: "segment";
  readonly segment: number;
  readonly offset: Value;
  readonly size: number;
  readonly isWrite: boolean;
  /** All that does not go on beyond offset FFFFh is allowed. */
  readonly wide: boolean;
}
/** Calls the VMM. */
export interface CallStatement {
  readonly kind: "call";
  readonly callout: CalloutName;
  readonly args: readonly Value[];
}

/** How an instruction leaves, when it does not just fall through to the next. */
export type Terminator =
  /** To a fixed page offset (may be negative or beyond the page). `wraps`: the EIP there is taken modulo 64 KiB. */
  | { readonly kind: "jump"; readonly target: Value; readonly wraps?: boolean }
  | { readonly kind: "branch"; readonly condition: Value; readonly taken: Value; readonly fall: Value; readonly wraps?: boolean }
  /** To a computed EIP. `segmented`: EIP is not the linear address. `far`: CS has been loaded too. */
  | {
      readonly kind: "indirect";
      readonly target: Value;
      readonly flavour: "jump" | "call" | "return";
      readonly segmented?: boolean;
      readonly far?: boolean;
    }
  /** A direct call: like `jump`, with the page offset it returns to as a hint for regions. */
  | { readonly kind: "call"; readonly target: Value; readonly returnTo: Value; readonly wraps?: boolean }
  /** While the condition holds the instruction runs again from its start, else the next one follows. */
  | { readonly kind: "again"; readonly condition: Value }
  /** The next one follows, unless the callout just made says (by a value other than 0) that the dispatcher must look first. */
  | { readonly kind: "proceed"; readonly unless: Value }
  /** A callout changed EIP or the mode: on at R[slot.eip]. */
  | { readonly kind: "dispatch" };

/** The meaning of one instruction of some shape. */
export interface MicroTemplate {
  readonly statements: readonly Statement[];
  readonly terminator: Terminator | undefined;
  /** Number of fields, including those the builder added (next offset, branch targets). */
  readonly fieldCount: number;
}

/** The values a statement uses. */
export function operandsOf(s: Statement): readonly Value[] {
  switch (s.kind) {
    case "get":
      return [s.slot.base];
    case "set":
      return [s.slot.base, s.value];
    case "load":
      return [s.address];
    case "fetch":
      return [];
    case "store":
      return [s.address, s.value];
    case "segment":
      return [s.offset];
    case "call":
      return s.args;
  }
}

/** The values a terminator uses. */
export function operandsOfTerminator(t: Terminator): readonly Value[] {
  switch (t.kind) {
    case "jump":
    case "indirect":
      return [t.target];
    case "call":
      return [t.target, t.returnTo];
    case "branch":
      return [t.condition, t.taken, t.fall];
    case "again":
      return [t.condition];
    case "proceed":
      return [t.unless];
    case "dispatch":
      return [];
  }
}
