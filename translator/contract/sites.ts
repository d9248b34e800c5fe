/**
 * Sites: where accesses of regions were last (region/sites.ts). An array of the host's, `SW`, has `siteWords` words for each:
 *
 *     0, 1   the linear address of a page, as an integer of 64 bits; -1 in word 1, and so no address at all, while the site remembers nothing
 *     2      what is to be added to a linear address on that page for its place in guest memory
 *     3      how often it was asked in vain
 *
 * A site is one of four tables, for it holds what a TLB entry promises: to readers or to writers, in user mode or not. Regions have theirs by hashes: two that share one cost each other time. The host empties them all
 * wherever it takes something back that the TLB promised.
 */
export const siteWords = 4;
/** Sites of one table. */
export const siteTable = 4096;
/** The first site of the tables of reads; that of writes follows. */
export const siteRange = Object.freeze({ supervisor: 0, user: 2 * siteTable });
export const siteCount = 4 * siteTable;

/**
 * An array of the host's beside it, `SL`, so that the host finds those that remember something: how many are in the list behind it, that list of their numbers (of their first words in SW), from `marks` on
 * a word for each 4096th page, not 0 where a site may have remembered such a page, and from `state` on a word for each site, with `listed` where it is in that list. Whoever fills a site sees to it that it
 * is, and marks its page; the host has a list of its own for sites that outlive writes of CR3 (memory/site-table.ts).
 */
export const siteList = Object.freeze({ marks: siteCount + 1, markMask: 4095, state: siteCount + 4097, listed: 1, words: 2 * siteCount + 4097 });

/**
 * What `findPlace` is told of the access that asks for a group of them: that it writes itself, and that the place must be one that can be written. Where there is none for all of the group in one page,
 * the region *gives up*: it leaves with the instruction not yet begun, tier 0 executes that one alone, and no access of the group needs a way out of its own. An instruction at which regions give up often
 * is doubtful: in the regions made from then on its group's accesses ask one by one.
 */
export const placeKind = Object.freeze({ isWrite: 1, forWrite: 2 });
