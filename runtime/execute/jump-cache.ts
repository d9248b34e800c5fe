/**
 * Where computed jumps led: EIP and block header, direct-mapped. A hit is checked against the block itself and the instruction TLB, so nothing need be flushed but with
 * the code cache. Flat mode only, where EIP is the linear address and there is no limit to check.
 */
import { slot } from "../../translator/contract/slots.ts";
import { stopBlock } from "../code/pseudo-shapes.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const { tlbHalf, mode: modeSlot } = slot;

const entries = 1 << 14;

export class JumpCache {
  private readonly C: Int32Array;
  private readonly R: Int32Array;
  private readonly TX: Int32Array;
  private readonly words = new Int32Array(2 * entries).fill(stopBlock);

  constructor(C: Int32Array, R: Int32Array, TX: Int32Array) {
    this.C = C;
    this.R = R;
    this.TX = TX;
  }

  /** The header of the block at `eip` in the present mode, or 0. */
  find(eip: number): number {
    const { C, R, words } = this;
    const k = 2 * ((eip ^ (eip >>> 10)) & (entries - 1));
    const header = words[k + 1];
    if (words[k] !== eip || (C[header - 2] & 0xff) !== R[modeSlot]) return 0;
    // The page may have been remapped, or the block have died (address -1, which no translation yields), since.
    const T = this.TX[R[tlbHalf] + (eip >>> 12)];
    return (T & 1) === 0 && (T ^ eip) === C[header - 3] ? header : 0;
  }

  note(eip: number, header: number): void {
    const k = 2 * ((eip ^ (eip >>> 10)) & (entries - 1));
    this.words[k] = eip;
    this.words[k + 1] = header;
  }

  clear(): void {
    this.words.fill(stopBlock);
  }
}
