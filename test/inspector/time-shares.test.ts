/** What host time is counted as, by the names on V8's stacks. */
import { describe, expect, it } from "vitest";
import { type CallFrame, type CpuProfile, type TimePart, timeParts, timeShares } from "../../src/inspector/profile.ts";

/** A host function, or one of WebAssembly's. */
function frame(name: string, isWasm: boolean): CallFrame {
  return { functionName: name, scriptId: "1", url: isWasm ? "wasm://wasm/1" : "file:///dist/chunk.js", lineNumber: 1, columnNumber: 0 };
}

/** A second in the innermost function of one stack: names from the outermost on, those of WebAssembly with a "w:" before them. */
function partOf(...stack: string[]): TimePart[] {
  const names = ["(root)", ...stack];
  const nodes = names.map((name, k) => ({
    id: k + 1,
    callFrame: frame(name.replace(/^w:/, ""), name.startsWith("w:")),
    children: k + 1 < names.length ? [k + 2] : [],
  }));
  const last = names.length;
  const profile: CpuProfile = { nodes, startTime: 0, endTime: 2e6, samples: [last, last], timeDeltas: [0, 1e6] };
  const shares = timeShares(profile);
  return timeParts.filter((part) => shares[part] > 0);
}

const guest = ["#loop", "run", "w:run"];

describe("host time", () => {
  it("in a region is the regions', with what leads from one to the next", () => {
    expect(partOf(...guest, "w:f_c0100000")).toEqual(["regions"]);
    for (const helper of ["callee", "calleeAt", "follow", "followTo", "returnTo", "jump", "jumpShared"])
      expect(partOf(...guest, "w:f_c0100000", `w:${helper}`), helper).toEqual(["regions"]);
    expect(partOf(...guest, "w:f_c0100000", "jumpSlowly")).toEqual(["regions"]);
  });

  it("in the loop and the dispatcher is tier 0's", () => {
    expect(partOf(...guest)).toEqual(["tier 0"]);
    for (const name of ["attend", "look", "arrive", "revive", "nextSlice", "endOfSlice", "sample", "receive", "#poll"])
      expect(partOf(...guest, name), name).toEqual(["tier 0"]);
  });

  it("in slow accesses is memory's", () => {
    expect(partOf(...guest, "w:f_c0100000", "w:ld4")).toEqual(["memory"]);
    expect(partOf(...guest, "w:mov_r32_m32", "tryTranslate")).toEqual(["memory"]);
  });

  it("in the VMM's functions is the callouts'", () => {
    expect(partOf(...guest, "w:f_c0100000", "v_popFlags")).toEqual(["callouts"]);
    expect(partOf(...guest, "popFlags")).toEqual(["callouts"]);
  });

  it("in making regions, and in taking in those made elsewhere, is translation's", () => {
    expect(partOf(...guest, "attend", "sample", "make", "makeFrom", "discover")).toEqual(["translation"]);
    expect(partOf(...guest, "attend", "sample", "deepen", "makeFrom", "send")).toEqual(["translation"]);
    expect(partOf(...guest, "attend", "sample", "receive", "arrived", "install")).toEqual(["translation"]);
  });

  it("elsewhere is the host's", () => {
    expect(partOf("#loop", "flush")).toEqual(["host"]);
    expect(partOf("(idle)")).toEqual(["idle"]);
  });
});
