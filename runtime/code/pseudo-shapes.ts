/**
 * Shape numbers that are not the translator's: the dispatcher's own pseudo-instructions, and regions. And the fixed blocks at the start of the code array.
 */

/** A stub stands in for a block not decoded yet; poison for one that died. */
export const pseudo = { stop: 0, dispatch: 1, poison: 2, stub: 3, crossPage: 4, fall: 5, straddle: 6, undefinedOpcode: 7, tooLong: 8 } as const;
/** The translator's shape n has number n + firstShape. */
export const firstShape = 9;
/** From here on shape numbers are regions: a region is the one handler of its own shape, so that entering it is one indirect call. */
export const firstRegionShape = 1 << 14;
/** Shapes of instructions to keep: some 20 KiB of host memory each. What a region or a block adds beyond has room below `firstRegionShape`. */
export const maximumShapes = 1 << 13;

/** Headers of the fixed blocks: leave the dispatcher's loop; go on at R[eip]. */
export const stopBlock = 8;
export const dispatchBlock = 16;
export const fixedWords = 24;

/**
 * Words of a stub: header pair, shape word, page offset of the target, index of the link word to patch (in the cross-page form: physical page and header of the
 * target), own physical page.
 */
export const stubWords = 8;

export type Handler = (p: number) => number;
