/** Slices of a region that goes round and round: longer while they take little of the host's time. */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { Core, place } from "../support/core.ts";

const slice = 100;
const loop = assemble("again:\nadd eax, 1\nsub ecx, 1\njnz again\nhlt", place.code);

/** In a loop that was entered once and does not end of itself. */
function looping(betweenPolls: number): Core {
  const core = new Core({ slice, betweenPolls });
  core.load(loop).protectedMode(0);
  core.R[slot.ecx] = -1;
  core.run(1000);
  core.makeRegion(place.code);
  return core;
}

/** Looks around in so many instructions. */
function polls(core: Core, instructions: number): number {
  let count = 0;
  core.poll = () => count++;
  core.run(instructions);
  core.poll = () => {};
  return count;
}

describe("slices in loops", () => {
  it("are as long as others where they take long, or where nobody tells", () => {
    for (const core of [looping(1e6), looping(Number.POSITIVE_INFINITY)]) {
      const count = polls(core, 100_000);
      expect(count).toBeGreaterThan(900);
      expect(count).toBeLessThan(1100);
    }
  });

  it("are longer where they take little", () => {
    const count = polls(looping(1000), 100_000);
    expect(count).toBeGreaterThan(100);
    expect(count).toBeLessThan(500);
  });

  it("end when the run does, and at the next look when it is stopped", () => {
    const core = looping(1000);
    const from = core.dispatcher.retired;
    core.run(50_000);
    const beyond = core.dispatcher.retired - from - 50_000;
    expect(beyond).toBeGreaterThanOrEqual(0);
    expect(beyond).toBeLessThan(10);
    core.poll = () => {
      if (core.dispatcher.retired - from > 70_000) core.dispatcher.stop();
    };
    core.run(1_000_000);
    expect(core.dispatcher.retired - from).toBeLessThan(70_000 + 10 * slice);
  });
});
