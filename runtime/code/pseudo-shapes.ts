/**
 * Shape numbers that are not the translator's: the dispatcher's own pseudo-instructions, and regions. And the fixed blocks at the start of the code array.
 */

/** Guest instructions of a block of tier 0 at most. */
export const maximumBlockInstructions = 48;

/**
 * A stub stands in for a block not decoded yet; poison for an instruction of one that died: `poison + n` where n instructions of the block, itself included, were
 * taken off the budget and will not run; `poisonAtStart + n` for the first one of the block.
 */
export const pseudo = {
  stop: 0,
  dispatch: 1,
  stub: 2,
  crossPage: 3,
  fall: 4,
  straddle: 5,
  undefinedOpcode: 6,
  tooLong: 7,
  /** A stub in its cross-page form for code whose EIP is not its linear address. */
  crossSegmented: 8,
  /** A guest exception was met in WebAssembly. */
  fault: 9,
  poison: 10,
  poisonAtStart: 10 + maximumBlockInstructions + 1,
} as const;
/** The translator's shape n has number n + firstShape. */
export const firstShape = pseudo.poisonAtStart + maximumBlockInstructions + 1;
export { firstRegionShape } from "../../translator/contract/region-targets.ts";
/** Shapes of instructions to keep: some 20 KiB of host memory each. What a region or a block adds beyond has room below `firstRegionShape`. */
export const maximumShapes = (1 << 13) + (1 << 12);

/** Headers of the fixed blocks: leave the dispatcher's loop; go on at R[eip]; deliver a guest exception. */
export const stopBlock = 8;
export const dispatchBlock = 16;
export const faultBlock = 24;
export const fixedWords = 32;

/**
 * Words of a stub: header pair, shape word, page offset of the target, index of the link word to patch (in the cross-page form: physical page and header of the
 * target), own physical page. In the upper half of the shape word, where instructions have their page offset: `wrapping` if the target's EIP is taken modulo 64 KiB.
 */
export const stubWords = 8;
export const wrapping = 1;

export type Handler = (p: number) => number;
