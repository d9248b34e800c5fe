/** Regions that another thread was asked for are found by the bytes they are to be made from (runtime/code/region-jobs.ts). */
import { describe, expect, it } from "vitest";
import type { RangesByPage } from "../../runtime/code/ranges.ts";
import { RegionJobs } from "../../runtime/code/region-jobs.ts";
import type { RegionSnapshot } from "../../translator/contract/region-snapshot.ts";

type Ranges = readonly (readonly [page: number, from: number, length: number])[];

/** Nothing here looks at the snapshot. */
const snapshot = {} as RegionSnapshot;

function jobsWith(...all: readonly Ranges[]): { jobs: RegionJobs<{ header: number }>; ids: number[] } {
  const jobs = new RegionJobs<{ header: number }>();
  const ids = all.map((list, k) => {
    const ranges: RangesByPage = new Map(
      [...new Set(list.map(([page]) => page))].map((page) => [
        page,
        list.filter(([on]) => on === page).map(([, from, length]) => [from, length] as const),
      ]),
    );
    return jobs.add({ place: { header: 100 * (k + 1) }, snapshot, links: 0, ranges });
  });
  return { jobs, ids };
}

describe("regions asked for", () => {
  it("the first that a byte belongs to, on each of its pages", () => {
    const { jobs, ids } = jobsWith(
      [
        [1, 0x10, 8],
        [2, 0, 4],
      ],
      [[1, 0x14, 8]],
      [[3, 0, 1]],
    );
    expect(jobs.around(1, 0x10)?.id).toBe(ids[0]);
    expect(jobs.around(1, 0x14)?.id).toBe(ids[0]);
    expect(jobs.around(1, 0x18)?.id).toBe(ids[1]);
    expect(jobs.around(1, 0x1c)).toBeUndefined();
    expect(jobs.around(2, 3)?.id).toBe(ids[0]);
    expect(jobs.around(2, 4)).toBeUndefined();
    expect(jobs.around(4, 0)).toBeUndefined();
  });

  it("one that is taken is found no more, the others are", () => {
    const { jobs, ids } = jobsWith(
      [
        [1, 0x10, 8],
        [2, 0, 4],
      ],
      [[1, 0x14, 8]],
    );
    expect(jobs.take(ids[0])?.place.header).toBe(100);
    expect(jobs.take(ids[0])).toBeUndefined();
    expect(jobs.at(100)).toBeUndefined();
    expect(jobs.around(2, 0)).toBeUndefined();
    expect(jobs.around(1, 0x10)).toBeUndefined();
    expect(jobs.around(1, 0x14)?.id).toBe(ids[1]);
    expect(jobs.at(200)?.id).toBe(ids[1]);
    expect(jobs.isEmpty).toBe(false);
  });

  it("after `clear` none", () => {
    const { jobs, ids } = jobsWith([[1, 0, 4]]);
    jobs.clear();
    expect(jobs.isEmpty).toBe(true);
    expect(jobs.around(1, 0)).toBeUndefined();
    expect(jobs.take(ids[0])).toBeUndefined();
  });
});
