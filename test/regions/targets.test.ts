/** Regions that find each other by the table of targets: who is found must be what lies there now. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Region } from "../../runtime/code/regions.ts";
import { mode } from "../../translator/contract/mode-key.ts";
import { firstRegionShape, rowShift, rowWords } from "../../translator/contract/region-targets.ts";
import { slot } from "../../translator/contract/slots.ts";
import { assemble, type Program } from "../support/assembler.ts";
import { Core, place } from "../support/core.ts";

const rounds = 2000;
const page = place.code + 0x1000;
const otherPage = place.code + 0x2000;
/** More than other regions may share, and than is taken in for its smallness. */
const body = (operation: string): string => Array.from({ length: 70 }, (_, k) => `${operation} eax, ${k + 1}`).join("\n");
const sum = rounds * ((70 * 71) / 2);

const forms: readonly (readonly [name: string, loop: string, end: string])[] = [
  ["a call", `call ${page}`, "ret"],
  ["a call by address", "call esi", "ret"],
  ["a jump by address, and one to a fixed place back", "jmp esi", `jmp ${place.code}`],
  ["a jump to a fixed place, and one by address back", `jmp ${page}`, "jmp edi"],
  // Its caller's region waits for no return.
  ["a return", `push ${place.code}\njmp esi`, "ret"],
];
const filler = Array.from({ length: 70 }, () => "lea ebx, [ebx + 1]").join("\n");
const loop = (form: string): Program => assemble(`again:\nsub ecx, 1\njs done\n${filler}\n${form}\njmp again\ndone: hlt`, place.code);

let core: Core;

beforeEach(() => {
  core = new Core();
  core.protectedMode(0);
});

function run(from: number): void {
  Object.assign(core.R, { [slot.ecx]: rounds, [slot.eax]: 0, [slot.esi]: page, [slot.edi]: place.code, [slot.esp]: place.stack });
  Object.assign(core.R, { [slot.eip]: from, [slot.halted]: 0 });
  expect(core.run(10_000_000).kind).toBe("halted");
}

/** Loop and function have a region each, which have been entered. @returns the function's */
function begin(form: string, end: string): Region {
  core.load(loop(form)).load(assemble(`${body("add")}\n${end}`, page));
  run(place.code);
  // Who jumps to a fixed place comes second, or would take in what is there.
  const jumpsBack = end === `jmp ${place.code}`;
  if (jumpsBack) core.makeRegion(place.code);
  const callee = core.makeRegion(page);
  if (!jumpsBack) core.makeRegion(place.code);
  run(place.code);
  expect(core.reg("eax")).toBe(sum);
  return callee;
}
const found = (region: Region): number => core.dispatcher.targets.regions[((region.shape - firstRegionShape) << rowShift) + rowWords.entered];

describe.each(forms)("%s", (_, form, end) => {
  it("finds the region there", () => {
    const callee = begin(form, end);
    const before = found(callee);
    run(place.code);
    expect(core.reg("eax")).toBe(sum);
    expect(found(callee) - before).toBeGreaterThan(rounds - 10);
  });

  it("does not find one whose code was overwritten", () => {
    const callee = begin(form, end);
    // SUB EAX instead of the first ADD.
    core.cpu.memory.st1(page + 1, 0xe8);
    expect(core.dispatcher.regions.live.has(callee.shape)).toBe(false);
    run(place.code);
    expect(core.reg("eax")).toBe(sum - 2 * rounds);
  });

  it("does not take another for it that has its number", () => {
    core.load(assemble("mov eax, 7\nhlt", otherPage));
    run(otherPage);
    const callee = begin(form, end);
    core.cpu.memory.st1(page + 1, 0xe8);
    expect(core.makeRegion(otherPage).shape).toBe(callee.shape);
    run(place.code);
    expect(core.reg("eax")).toBe(sum - 2 * rounds);
  });

  it("does not find it where another page is mapped", () => {
    begin(form, end);
    // Assembled for where it is seen.
    core.physical.u8.set(assemble(`${body("sub")}\n${end}`, page).bytes, otherPage);
    core.map(page, otherPage, 7);
    core.flush();
    run(place.code);
    expect(core.reg("eax") | 0).toBe(-sum);
  });

  it("does not find one of another mode", () => {
    const callee = begin(form, end);
    const { regions } = core.dispatcher.targets;
    regions[((callee.shape - firstRegionShape) << rowShift) + rowWords.mode] ^= mode.user;
    const before = found(callee);
    run(place.code);
    expect(core.reg("eax")).toBe(sum);
    expect(found(callee)).toBe(before);
  });
});

it("a call of a function without a region goes to that function", () => {
  // What a region's last target is before there was one: 0. The region there has number 0.
  core.load(assemble("mov edx, 1\nhlt", 0));
  run(0);
  expect(core.makeRegion(0).shape).toBe(firstRegionShape);
  core.load(loop(forms[0][1])).load(assemble(`${body("add")}\nret`, page));
  run(place.code);
  core.makeRegion(place.code);
  core.R[slot.edx] = 0;
  run(place.code);
  expect(core.reg("edx")).toBe(0);
  expect(core.reg("eax")).toBe(sum);
});
