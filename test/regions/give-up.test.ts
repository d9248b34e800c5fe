/**
 * Accesses that ask for their place together and are then made with no way out (optimisation `giveUp`): where there is no place for all of them, tier 0 executes the instruction. Frames and
 * structures anywhere near the ends of pages, on pages that are read only, not there, without memory or with the program itself, against tier 0.
 */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { Random } from "../differential/random.ts";
import { assemble, type Program } from "../support/assembler.ts";
import { Core, place, pte } from "../support/core.ts";

const all = pte.present | pte.writable | pte.user;
const ramBytes = 1 << 20;
const pages = 0x200000;
const frames = [0x40000, 0x60000, 0x42000, 0x43000];
/** Pairs of stack pointer and structure, last one first. */
const table = 0x20000;
const count = 100;

const programs = {
  "a frame": `
    mov ecx, ${count}
  again:
    mov esp, [${table} + ecx * 8]
    push ecx
    cmp ecx, 7
    push eax
    sbb edx, 3
    pushad
    adc eax, edx
    mov [esp + 4], edx
    setc bl
    add ebx, [esp + 12]
    inc dword ptr [esp + 16]
    rcl ebx, 3
    popad
    pop eax
    adc eax, [esp]
    pop edi
    dec ecx
    jnz again
    int3`,
  "a frame with a pointer, and a structure": `
    mov ecx, ${count}
  again:
    mov esi, [${table} + ecx * 8 + 4]
    mov ebp, [${table} + ecx * 8]
    mov eax, [ebp - 8]
    add eax, [esi + 12]
    mov [ebp - 12], eax
    sbb edx, [esi]
    xchg [ebp - 4], edx
    mov [esi + 4], dl
    adc byte ptr [ebp - 16], 5
    cmp eax, [esi + 8]
    mov edi, [ebp - 16]
    mov ebx, [${table} + ecx * 8]
    rol byte ptr [ebx], 3
    jb below
    mov [esi + 16], eax
    xadd [esi + 20], edi
  below:
    adc edx, [ebp - 12]
    add edx, [esi + 8]
    dec ecx
    jnz again
    int3`,
  "a function's frame, read first, written behind something else that may fault": `
    mov ecx, ${count}
  again:
    mov esp, [${table} + ecx * 8]
    mov esi, [${table} + ecx * 8 + 4]
    call f
    dec ecx
    jnz again
    int3
  f:
    mov eax, [esp + 4]
    add eax, [esi]
    mov [esp + 8], eax
    adc edx, [esp + 4]
    ret`,
} as const;

interface Pages {
  /** What may be mapped at the four pages. */
  readonly choices: readonly [frame: number, flags: number][];
}

function run(core: Core, program: Program, seed: number, ring: 0 | 3, { choices }: Pages): object {
  const random = new Random(seed);
  core.reset();
  core.protectedMode(ring);
  core.R[slot.cr0] |= 0x10000;
  for (let k = 0; k < 4; k++) {
    const [frame, flags] = random.pick(choices);
    core.map(pages + 0x1000 * k, frame, flags);
  }
  core.flush();
  for (const frame of frames) for (let at = frame; at < frame + 0x1000; at += 4) core.physical.write4(at, random.next());
  const address = (): number => {
    const offset = random.below(3) === 0 ? random.below(160) - 80 : 100 + random.below(0x1000 - 200);
    return (pages + 0x1000 * (1 + random.below(3)) + offset) & (random.below(4) === 0 ? -1 : ~3);
  };
  for (let k = 1; k <= count; k++) {
    core.physical.write4(table + 8 * k, address());
    core.physical.write4(table + 8 * k + 4, address());
  }
  core.load(program);
  core.R[slot.eip] = program.origin;
  const stop = core.run();
  return {
    stop,
    registers: [...core.R.slice(0, 8)],
    retired: core.dispatcher.retired,
    entries: core.bytes(place.pageTable + 4 * (pages >>> 12), 16),
    memory: [...frames, place.code].map((frame) => Buffer.from(core.bytes(frame, 0x1000)).toString("base64")),
  };
}

const writable: readonly [number, number][] = frames.map((frame) => [frame, all]);
const kinds: Readonly<Record<string, Pages>> = {
  "pages that can be written": { choices: writable },
  "some read only or not there": {
    choices: [...writable, ...writable, [frames[1], pte.present | pte.user], [frames[0], 0], [frames[2], pte.present | pte.writable]],
  },
  "some where there is no memory": { choices: [...writable, [ramBytes, all], [ramBytes + 0x1000, all]] },
  "some with the program": { choices: [...writable, [place.code, all]] },
};

describe.each([0, 3] as const)("in ring %i", (ring) => {
  describe.each(Object.entries(kinds))("%s", (_, choices) => {
    it.each(Object.entries(programs))("is as on tier 0: %s", (_, source) => {
      const program = assemble(source);
      const hot = new Core({ hot: true });
      const cold = new Core();
      const given = countGivenUp(hot);
      for (let seed = 1; seed <= 40; seed++)
        expect(run(hot, program, seed, ring, choices), `seed ${seed}`).toEqual(run(cold, program, seed, ring, choices));
      expect(given.times).toBeGreaterThan(10);
    });
  });
});

/** Frames across the end of a page, again and again. */
const across = assemble(`
    mov ecx, 40000
    mov esp, [${table}]
  again:
    push ecx
    push edx
    push ecx
    push edx
    add edx, [esp + 4]
    add edx, [esp + 8]
    mov esp, [${table}]
    dec ecx
    jnz again
    int3`);

/** Each time tier 0 gets on by an instruction at least. */
function countGivenUp(core: Core): { times: number } {
  const given = { times: 0 };
  let last = -1;
  const { promotion } = core.dispatcher;
  const noteGivenUp = promotion.noteGivenUp.bind(promotion);
  promotion.noteGivenUp = () => {
    given.times++;
    expect(core.dispatcher.retired).not.toBe(last);
    last = core.dispatcher.retired;
    noteGivenUp();
  };
  return given;
}

function runAcross(translator: JavaScriptTranslator): { given: number; doubtful: number[]; edx: number } {
  const core = new Core({ regionThreshold: 1000, slice: 100, translator });
  const doubtful: number[] = [];
  core.dispatcher.regions.made = ({ code }) => void doubtful.push(code.doubtful.size);
  const given = countGivenUp(core);
  core.protectedMode(3);
  core.map(pages, frames[0], all);
  core.map(pages + 0x1000, frames[1], all);
  core.physical.write4(table, pages + 0x1008);
  core.load(across);
  core.R[slot.eip] = across.origin;
  expect(core.run(1_000_000)).toMatchObject({ vector: 3 });
  return { given: given.times, doubtful, edx: core.reg("edx") };
}

it("where regions give up often they are made anew, and do not any more", () => {
  const { given, doubtful, edx } = runAcross(new JavaScriptTranslator());
  expect(given).toBeGreaterThan(200);
  expect(given).toBeLessThan(1000);
  expect(Math.max(...doubtful)).toBeGreaterThan(0);
  const without = runAcross(new JavaScriptTranslator({ disabledPasses: new Set(["giveUp"]) }));
  expect(without).toEqual({ given: 0, doubtful: expect.any(Array), edx });
});

it("what is only read before a fault is not marked as written", () => {
  // The last round is on a page of its own, and faults behind the read.
  const program = assemble(`
    mov ecx, ${count}
  again:
    mov esp, [${table} + ecx * 8]
    mov esi, [${table} + ecx * 8 + 4]
    test cl, 1
    jz frame
    inc edx
  frame:
    mov eax, [esp + 4]
    add eax, [esi]
    mov [esp + 8], eax
    dec ecx
    jnz again
    int3`);
  for (const hot of [false, true]) {
    const core = new Core({ hot });
    const given = countGivenUp(core);
    core.protectedMode(3);
    frames.forEach((frame, k) => void core.map(pages + 0x1000 * k, k === 3 ? 0 : frame, k === 3 ? 0 : all));
    for (let k = 1; k <= count; k++) {
      core.physical.write4(table + 8 * k, pages + (k === 1 ? 0x1100 : 0x100));
      core.physical.write4(table + 8 * k + 4, pages + (k === 1 ? 0x3100 : 0x2100));
    }
    core.load(program);
    core.R[slot.eip] = program.origin;
    expect(core.run()).toMatchObject({ vector: 14, cr2: pages + 0x3100, errorCode: 4 });
    const entries = [0, 1, 2].map((k) => core.physical.read4(place.pageTable + 4 * ((pages >>> 12) + k)) & (pte.accessed | pte.dirty));
    expect(entries).toEqual([pte.accessed | pte.dirty, pte.accessed, pte.accessed]);
    if (hot) expect(given.times).toBeGreaterThan(0);
  }
});

it("a region that gives up here and there does not give up at all in the end", () => {
  // In each phase another of eight groups of a structure lies across the end of a page.
  const phases = 8;
  const groups = Array.from({ length: phases }, (_, k) => `add edx, [esi + ${200 * k}]\n xor edx, [esi + ${200 * k + 4}]`).join("\n");
  const program = assemble(`
    mov ebx, ${phases}
  phase:
    mov esi, [${table} + ebx * 4]
    mov ecx, 3000
  again:
    ${groups}
    dec ecx
    jnz again
    dec ebx
    jnz phase
    int3`);
  const core = new Core({ regionThreshold: 500, slice: 100 });
  const given = countGivenUp(core);
  core.protectedMode(3);
  frames.forEach((frame, k) => void core.map(pages + 0x1000 * k, frame, all));
  for (let k = 1; k <= phases; k++) core.physical.write4(table + 4 * k, pages + 0x2000 - 200 * (k - 1) - 4);
  core.load(program);
  core.R[slot.eip] = program.origin;
  expect(core.run(2_000_000)).toMatchObject({ vector: 3 });
  expect(given.times).toBeGreaterThan(256);
  expect(given.times).toBeLessThan(4 * 256);
  expect(Math.max(...[...core.dispatcher.regions.live.values()].map(({ doubted }) => doubted))).toBe(2);
});
