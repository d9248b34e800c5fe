/** A function with a region of its own, and the region of who calls it again and again. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Region } from "../../runtime/code/regions.ts";
import { slot } from "../../translator/contract/slots.ts";
import { assemble, type Program } from "../support/assembler.ts";
import { Core, place } from "../support/core.ts";

/** Times that a call is seen until it counts. */
const often = 256;
const rounds = 3000;
/** Entries after which a region is made anew. */
const veryOften = 1 << 19;
/** More than other regions may share, and than is taken in for its smallness. */
const body = Array.from({ length: 70 }, (_, k) => `add eax, ${k + 1}`).join("\n");
const bodySum = (70 * 71) / 2;

const program = (call: string): Program =>
  assemble(`mov esi, offset function\nagain:\n${call}\nback:\nsub ecx, 1\njnz again\nhlt\n.balign 16\nfunction:\n${body}\nret`, place.code);

let core: Core;

/** Runs the loop on tier 0 for a while, then gives function and loop a region each. */
function begin({ labels, ...rest }: Program): { callee: Region; caller: Region; labels: Program["labels"] } {
  core.load({ labels, ...rest });
  core.protectedMode(0);
  core.R[slot.ecx] = rounds;
  core.run(20_000);
  const callee = core.makeRegion(labels.function);
  return { callee, caller: core.makeRegion(labels.again), labels };
}

/** A slice ends where `callee` is about to be entered, with this return address on the stack, so many times. */
function seeCalls(callee: Region, returnTo: number, times: number): void {
  const { promotion } = core.dispatcher;
  const { R } = core;
  const [esp, page] = [R[slot.esp], R[slot.page]];
  core.cpu.memory.st4(place.stack - 64, returnTo);
  R[slot.esp] = place.stack - 64;
  R[slot.page] = place.code;
  for (let k = 0; k < times; k++) promotion.sample(callee.header, 0);
  R[slot.esp] = esp;
  R[slot.page] = page;
}

function atLoop(labels: Program["labels"]): Region {
  const { cache, regions } = core.dispatcher;
  const header = cache.find(labels.again, core.R[slot.mode]);
  const region = [...regions.live.values()].find((r) => r.header === header);
  if (region === undefined) throw new Error("the loop has no region");
  return region;
}

function expectSum(): void {
  expect(core.run(10_000_000).kind).toBe("halted");
  expect(core.reg("eax")).toBe((rounds * bodySum) % 2 ** 32);
}

beforeEach(() => {
  core = new Core();
});

describe("a function called in a loop", () => {
  it("belongs to the loop's region once its call was seen often enough", () => {
    const { callee, caller, labels } = begin(program("call function"));
    expect(callee.code.instructions).toBe(71);
    expect(caller.code.instructions).toBe(3);
    seeCalls(callee, labels.back, often - 1);
    expect(atLoop(labels)).toBe(caller);
    seeCalls(callee, labels.back, 1);
    expect(atLoop(labels).takesIn).toEqual([callee.header]);
    expect(atLoop(labels).code.instructions).toBe(3 + 71);
    expect(core.dispatcher.regions.live.get(callee.shape)).toBe(callee);
    // Once is enough.
    const made = core.dispatcher.regions.translated;
    seeCalls(callee, labels.back, 3 * often);
    expect(core.dispatcher.regions.translated).toBe(made);
    expectSum();
  });

  it("does not, where it is called by address", () => {
    const { callee, caller, labels } = begin(program("call esi"));
    seeCalls(callee, labels.back, 2 * often);
    expect(atLoop(labels)).toBe(caller);
    expectSum();
  });

  it("does not, where another one is called there", () => {
    const { callee, caller, labels } = begin(program("call function\ncall other\nother_back:\n.subsection 1\nother: ret\n.previous"));
    seeCalls(callee, labels.other_back, 2 * often);
    expect(atLoop(labels)).toBe(caller);
  });

  it("does not, where nothing is called, but the bytes look like its distance", () => {
    const { callee, caller, labels } = begin(program("call function\nmov edx, offset function - looks\nlooks:"));
    seeCalls(callee, labels.looks, 2 * often);
    expect(atLoop(labels)).toBe(caller);
  });

  it("belongs to the region with the call, not to another on its page that is entered more often", () => {
    const { callee, labels } = begin(program("call function\nback_too: jmp back\n.subsection 1\nother: mov edx, 1\nret\n.previous"));
    // Its block is decoded when it first runs.
    core.R[slot.eip] = labels.other;
    core.R[slot.esp] -= 4;
    core.cpu.memory.st4(core.R[slot.esp], labels.again);
    core.run(1000);
    const other = core.makeRegion(labels.other);
    expect(other.code.instructions).toBe(2);
    core.dispatcher.cache.C[other.header + 1] = 1 << 20;
    seeCalls(callee, labels.back_too, often);
    expect(atLoop(labels).takesIn).toEqual([callee.header]);
    expect(other.takesIn).toEqual([]);
  });

  it("does not, where what is on the stack is no return address", () => {
    const { callee, caller, labels } = begin(program("call function"));
    seeCalls(callee, labels.back + 1, 2 * often);
    seeCalls(callee, 0xdead_0000 | 0, 2 * often);
    seeCalls(callee, labels.function, 2 * often);
    expect(atLoop(labels)).toBe(caller);
    expectSum();
  });

  it("is found by the loop's region after the function was overwritten", () => {
    const { callee, labels } = begin(program("call function"));
    seeCalls(callee, labels.back, often);
    // Its first ADD adds one more: the loop's region was made from it, too.
    core.physical.writeBytes(labels.function + 2, Uint8Array.of(2));
    const done = rounds - core.reg("ecx");
    expect(() => atLoop(labels)).toThrow("no region");
    expect(core.run(10_000_000).kind).toBe("halted");
    const sum = rounds * bodySum + (rounds - done);
    // The round under way may have added the first number already.
    expect([sum, sum - 1]).toContain(core.reg("eax"));
  });
});

describe("a loop with two regions", () => {
  it("is in one of them as a whole again once that is entered very often", () => {
    const loop = assemble(`jmp half\nagain:\n${body}\nhalf:\n${body}\nsub ecx, 1\njnz again\nhlt`, place.code);
    core.load(loop);
    core.protectedMode(0);
    core.R[slot.ecx] = rounds;
    core.run(100_000);
    const { cache, promotion, regions } = core.dispatcher;
    const half = core.makeRegion(loop.labels.half);
    expect(half.code.instructions).toBe(2 * 70 + 2);
    // Up to the other one.
    expect(core.makeRegion(loop.labels.again).code.instructions).toBe(70);
    cache.C[half.header + 1] = veryOften;
    core.R[slot.page] = place.code;
    promotion.sample(half.header, 0);
    const whole = [...regions.live.values()].find(({ header }) => header === half.header);
    expect(whole?.isDeep).toBe(true);
    expect(whole?.code.instructions).toBe(2 * 70 + 2);
    const { entries } = regions;
    expect(core.run(10_000_000).kind).toBe("halted");
    expect(core.reg("eax")).toBe(((2 * rounds - 1) * bodySum) % 2 ** 32);
    expect(regions.entries - entries).toBeLessThan(100);
  });
});
