/**
 * Loads that expect the TLB entry that most pages have (optimisation `entries`): whatever entry a page has, they load what is there, and fault where nothing is. The guest adds up what an
 * array of pointers points to; what the sum is to be is computed from the pages.
 */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { assemble } from "../support/assembler.ts";
import { Core, place, pte } from "../support/core.ts";

const all = pte.present | pte.writable | pte.user;
/** 64 pages that are mapped alike; one that is not; one that is not there. */
const alike = 0x200000;
const frames = 0x40000;
const other = 0x240000;
const otherFrame = 0x90000;
const absent = 0x241000;
const table = 0x20000;

const program = assemble(`
    mov edi, 80
  again:
    xor edx, edx
    mov esi, ${table}
    mov ecx, [esi]
    add esi, 4
  next:
    mov eax, [esi]
    add edx, [eax]
    movzx ebx, byte ptr [eax]
    add edx, ebx
    movzx ebx, word ptr [eax]
    add edx, ebx
    add esi, 4
    dec ecx
    jnz next
    dec edi
    jnz again
    int3
`);

function start(ring: 0 | 3, hot: boolean, pointers: readonly number[], without: readonly string[] = []): { core: Core; texts: string[] } {
  const texts: string[] = [];
  const core = new Core({ hot, step: 1000, translator: new JavaScriptTranslator({ disabledPasses: new Set(["sites", ...without]) }) });
  core.dispatcher.regions.made = ({ code }) => void texts.push(code.text);
  core.protectedMode(ring);
  for (let k = 0; k < 64; k++) core.map(alike + 0x1000 * k, frames + 0x1000 * k, all);
  core.map(other, otherFrame, all);
  core.map(absent, 0, 0);
  core.flush();
  for (let at = frames; at < otherFrame + 0x1000; at += 4) core.physical.write4(at, Math.imul(at, 0x9e3779b1));
  core.physical.write4(table, pointers.length);
  pointers.forEach((pointer, k) => {
    core.physical.write4(table + 4 + 4 * k, pointer);
  });
  core.load(program);
  core.R[slot.eip] = program.origin;
  return { core, texts };
}

/** The page table, taken literally. */
function sumOf({ physical }: Core, pointers: readonly number[]): number {
  const byte = (A: number): number => physical.read1((physical.read4(place.pageTable + (A >>> 12) * 4) & ~0xfff) | (A & 0xfff));
  let sum = 0;
  for (const A of pointers) {
    const [a, b, c, d] = [0, 1, 2, 3].map((k) => byte(A + k));
    sum = (sum + (a | (b << 8) | (c << 16) | (d << 24)) + a + (a | (b << 8))) | 0;
  }
  return sum >>> 0;
}

const usual = Array.from({ length: 64 }, (_, k) => alike + 0x1000 * k + ((k * 52) & 0xffc));
const expects = /\^ \d+ \| \w+ & 3\) === 0/;

describe.each([0, 3] as const)("ring %i", (ring) => {
  it.each([
    ["pages mapped alike", usual],
    ["a page mapped otherwise among them", [...usual.slice(0, 20), other + 8, ...usual.slice(20), other + 0xffc]],
    ["misaligned and across pages", [...usual, alike + 5, alike + 0x1ffe, other - 2, other + 0x201, alike + 0x2fff]],
  ] as const)("%s", (_name, pointers) => {
    const { core, texts } = start(ring, true, pointers);
    const wanted = sumOf(core, pointers);
    expect(core.run().vector).toBe(3);
    expect(core.reg("edx")).toBe(wanted);
    // Programs are not expected to have their memory in order.
    expect(texts.some((text) => expects.test(text))).toBe(ring === 0);
  });

  it("a page that is not there", () => {
    const { core, texts } = start(ring, true, usual);
    // Reached when the loop is a region.
    core.physical.write4(table, usual.length + 1);
    core.physical.write4(table + 4 + 4 * usual.length, alike);
    for (let step = 0; step < 5 && !texts.some((text) => expects.test(text)); step++) expect(core.run(3000).kind).toBe("limit");
    core.physical.write4(table + 4 + 4 * usual.length, absent + 16);
    const stop = core.run();
    expect([stop.vector, stop.cr2, stop.errorCode]).toEqual([14, absent + 16, ring === 3 ? 4 : 0]);
    expect(core.reg("eax")).toBe(absent + 16);
    expect(core.reg("esi")).toBe(table + 4 + 4 * usual.length);
    expect(core.reg("edx")).toBe(sumOf(core, usual));
  });

  it("a page that is mapped otherwise from now on", () => {
    const { core, texts } = start(ring, true, usual);
    for (let step = 0; step < 5 && !texts.some((text) => expects.test(text)); step++) expect(core.run(3000).kind).toBe("limit");
    expect(texts.some((text) => expects.test(text))).toBe(ring === 0);
    core.map(alike + 0x7000, otherFrame, all);
    core.cpu.memory.invalidatePage(alike + 0x7000);
    expect(core.run().vector).toBe(3);
    expect(core.reg("edx")).toBe(sumOf(core, usual));
  });
});

it("--opt=-entries: each asks the TLB first", () => {
  const { core, texts } = start(0, true, usual, ["entries"]);
  expect(core.run().vector).toBe(3);
  expect(core.reg("edx")).toBe(sumOf(core, usual));
  expect(texts.some((text) => expects.test(text))).toBe(false);
});

describe("the usual entry", () => {
  const userHalf = 1 << 20;
  it("is that of three quarters of the pages read in a ring", () => {
    const { core } = start(0, false, []);
    const { memory } = core.cpu;
    memory.flush(true);
    for (let k = 0; k < 8; k++) memory.ld4(alike + 0x1000 * k);
    expect(memory.usualEntry(0)).toBe(alike ^ frames);
    expect(memory.usualEntry(userHalf)).toBeUndefined();
    memory.ld4(other);
    memory.ld4(table);
    expect(memory.usualEntry(0)).toBe(alike ^ frames);
    memory.ld4(table + 0x1000);
    memory.ld4(table + 0x2000);
    expect(memory.usualEntry(0)).toBeUndefined();
    memory.invalidatePage(table + 0x1000);
    memory.invalidatePage(table + 0x2000);
    expect(memory.usualEntry(0)).toBe(alike ^ frames);
  });
});
