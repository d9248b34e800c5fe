/** What the inspector shows of a block: plain values, every one of them what the machine itself works with. */
import type { ModeKey } from "../../translator/contract/mode-key.ts";

/** The VM exit that a sensitive instruction is patched into. */
export interface InspectedExit {
  /** As the table of sensitive instructions names it. */
  readonly reason: string;
  readonly why: string;
  /** What a processor does with it at CPL 3, IOPL 0. */
  readonly traps: "always" | "conditional" | "never";
  readonly callout: string;
}

export interface InspectedInstruction {
  /** EIP of its first byte. */
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Intel syntax. */
  readonly text: string;
  /** Present for a sensitive instruction. */
  readonly exit?: InspectedExit;
  /** Its shape (translator/lift/shape.ts), by the name that its handler has too. */
  readonly shape: string;
}

/** Tier 0's code of one instruction shape. */
export interface InspectedHandler {
  readonly shape: string;
  /** What the words C[p + 1], C[p + 2], ... of an instruction of this shape hold. */
  readonly words: readonly string[];
  /** The shape's micro-ops: fields, whose values differ between instructions, are $name. */
  readonly microOps: readonly string[];
  readonly text: string;
}

/** Micro-ops of one block after one pass; `address` is the instruction's. */
export interface InspectedPass {
  /** "lifted", then the passes in their order. */
  readonly pass: string;
  readonly microOps: readonly { readonly address: number; readonly text: string }[];
}

export interface InspectedMicroBlock {
  /** EIP of its first instruction. */
  readonly address: number;
  readonly instructions: readonly InspectedInstruction[];
  readonly passes: readonly InspectedPass[];
}

/** The unit that hot code is translated in: the blocks reachable from an entry inside one page. */
export interface InspectedRegion {
  /** The machine runs this text; otherwise it is what it would be translated to. */
  readonly isInstalled: boolean;
  readonly instructions: number;
  /** EIPs of the static exits, in the order of their link words. */
  readonly exits: readonly number[];
  readonly text: string;
}

export interface InspectedBlock {
  /** EIP of its first byte. */
  readonly address: number;
  /** Guest-physical address, if known. */
  readonly physical?: number;
  readonly mode: ModeKey;
  /** Times it ran in tier 0. */
  readonly executions?: number;
  readonly instructions: readonly InspectedInstruction[];
  /** Why the block ends there. */
  readonly end: string;
  /** Of the shapes of `instructions`. */
  readonly handlers: readonly InspectedHandler[];
  /** Micro-ops before and after each pass: of every block of the region, the one inspected first; of the block alone where there can be no region. */
  readonly blocks: readonly InspectedMicroBlock[];
  readonly region?: InspectedRegion;
}
