/**
 * Where calls, jumps and returns of regions find the region that they lead to, without a look at the block that it stands in for. Two arrays of the host's:
 *
 *     RJ   for each hash of a linear address: the number of the region that was found at one of these last
 *     RG   a row of four words for each number of a region: the complement of the physical address of its entry, and its mode key, 0 and 0 while no region has the number; how often it
 *          was entered so; nothing. A row lies in one line of the cache
 *
 * A number in RJ promises nothing, not even that it was found at the address asked for: RG and the instruction TLB say whether that region is what lies there now. So RJ need not be told when a region goes
 * or a page is mapped elsewhere, and numbers may be given anew. Jumps go to several hundred places; the headers of blocks take a line each, four rows share one.
 */

/** Shape numbers from here on are regions: a region is the one handler of its own shape, so that entering it is one indirect call. Its own number counts from here. */
export const firstRegionShape = 1 << 14;
/** Regions that there can be. */
export const mostRegions = (1 << 16) - firstRegionShape;

/** Words of a row of RG, as a shift, and what is behind the first. */
export const rowShift = 2;
export const rowWords = { mode: 1, entered: 2 } as const;

const entries = 1 << 14;
/** The hash of a linear address A: (A ^ (A >>> targetShift)) & targetMask. */
export const targetMask = entries - 1;
export const targetShift = 10;
export const targetWords = entries;

/** Calls within calls. V8's stack holds many times more; what nests deeper is likely to be a loop through regions' exits. */
export const deepestCall = 48;
