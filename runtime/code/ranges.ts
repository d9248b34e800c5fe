/** Guest bytes that code was made from, by physical page number: pairs of page offset and length. */
import type { RegionPage } from "../../translator/contract/translator.ts";

export type RangesByPage = ReadonlyMap<number, readonly (readonly [number, number])[]>;

/** @param list page offsets relative to some entry's page, and lengths, none across pages; @param page the page `k` pages behind that one */
export function rangesByPage(list: readonly (readonly [number, number])[], page: (k: number) => RegionPage | undefined): RangesByPage {
  const ranges = new Map<number, (readonly [number, number])[]>();
  for (const [offset, length] of list) {
    const number = (page(offset >> 12) as RegionPage).address >>> 12;
    const onPage = ranges.get(number);
    const range = [offset & 0xfff, length] as const;
    if (onPage === undefined) ranges.set(number, [range]);
    else onPage.push(range);
  }
  return ranges;
}

/** A list of such without the bytes at some page offsets. */
export function without(list: readonly (readonly [number, number])[], holes: ReadonlySet<number>): readonly (readonly [number, number])[] {
  if (holes.size === 0) return list;
  const left: (readonly [number, number])[] = [];
  for (const [offset, length] of list) {
    let from = offset;
    for (let k = offset; k <= offset + length; k++) {
      if (k < offset + length && !holes.has(k)) continue;
      if (k > from) left.push([from, k - from]);
      from = k + 1;
    }
  }
  return left;
}

/** Whether any of bytes [from, to) of a page is among them. */
export function overlaps(ranges: RangesByPage, page: number, from: number, to: number): boolean {
  return ranges.get(page)?.some(([offset, length]) => offset < to && offset + length > from) === true;
}

export function includes(ranges: RangesByPage, page: number, offset: number): boolean {
  return overlaps(ranges, page, offset, offset + 1);
}
