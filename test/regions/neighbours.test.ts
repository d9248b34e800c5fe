/**
 * Accesses near each other behind one pointer, which ask the TLB once (optimisation `neighbours`), against tier 0: structures that lie within a page, across two, on pages mapped in different ways, read only or not there, so
 * that some of the accesses fault and others do not.
 */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { Random } from "../differential/random.ts";
import { assemble, type Program } from "../support/assembler.ts";
import { Core, place, pte } from "../support/core.ts";

const all = pte.present | pte.writable | pte.user;
const table = 0x20000;
const count = 120;
/** Four pages in a row, the second from another frame than the first; the last is read only or not there. */
const pages = 0x200000;
const frames = [0x40000, 0x60000, 0x42000, 0x43000];

/** In one block; and behind branches, through other registers, on both sides of a call. */
const programs = {
  "in a row": `
    mov ecx, ${count}
  again:
    mov esi, [${table} + ecx * 4]
    mov eax, [esi]
    add edx, [esi + 4]
    movzx ebx, byte ptr [esi + 9]
    xor edx, ebx
    movzx ebx, word ptr [esi + 10]
    add edx, ebx
    mov edi, [${table} + ecx * 4]
    mov [edi + 12], edx
    mov [edi + 16], ax
    inc byte ptr [edi + 18]
    mov byte ptr [edi + 19], cl
    mov byte ptr [edi], ch
    dec ecx
    jnz again
    int3`,
  "behind branches": `
    mov ecx, ${count}
  again:
    mov esi, [${table} + ecx * 4]
    mov eax, [esi]
    test al, 1
    jz even
    add edx, [esi + 4]
    lea edi, [esi + 8]
    movzx ebx, byte ptr [edi + 1]
    xor edx, ebx
    test al, 2
    jz past
    mov [esi + 12], edx
    mov [edi + 8], ax
    add edi, 4
    inc byte ptr [edi + 6]
    mov [edi + 7], cl
    jmp past
  even:
    movzx ebx, word ptr [esi + 10]
    add edx, ebx
    mov [esi + 16], dx
    call f
    mov [esi + 18], bl
    test al, 4
    jz past
    mov ebx, [esi + 4]
    add esi, 4
    xor edx, [esi + 4]
    mov [esi + 12], ebx
  past:
    mov byte ptr [esi + 15], ch
    add edx, [esi + 4]
    dec ecx
    jnz again
    int3
  f:
    add edx, [esi + 8]
    inc dword ptr [esi + 12]
    ret`,
  "on two sides, far from what is before": `
    mov ecx, ${count}
  again:
    mov esi, [${table} + ecx * 4]
    mov eax, [esi]
    add edx, [esi + 4]
    test al, 1
    jz even
    add edx, [esi + 104]
    add edx, [esi + 108]
    jmp past
  even:
    xor edx, [esi + 112]
    add edx, [esi + 116]
    mov [esi + 100], edx
    mov [esi + 104], al
  past:
    dec ecx
    jnz again
    int3`,
} as const;

function run(core: Core, program: Program, seed: number, ring: 0 | 3): object {
  const random = new Random(seed);
  core.reset();
  core.protectedMode(ring);
  frames.forEach((frame, k) => {
    core.map(pages + 0x1000 * k, frame, k < 3 ? all : random.pick([0, pte.present | pte.user, all]));
  });
  core.flush();
  // CR0.WP, so that ring 0 meets what is read only.
  core.R[slot.cr0] |= 0x10000;
  for (const frame of frames) for (let at = frame; at < frame + 0x1000; at += 4) core.physical.write4(at, random.next());
  const end = random.below(3) === 0 ? 3 : 0;
  for (let k = count; k > 0; k--) {
    // Late in the loop, when there is a region, also where it faults.
    const page = k < 20 && end > 0 ? random.below(4) : random.below(2);
    const offset = random.below(4) === 0 ? 0x1000 - random.below(130) : random.below(0x1000 - 120);
    core.physical.write4(table + 4 * k, pages + 0x1000 * page + offset);
  }
  core.load(program);
  core.R[slot.eip] = place.code;
  const stop = core.run();
  return { stop, registers: [...core.R.slice(0, 8)], memory: frames.map((frame) => Buffer.from(core.bytes(frame, 0x1000)).toString("base64")) };
}

describe.each([0, 3] as const)("in ring %i", (ring) => {
  it.each(Object.entries(programs))("the same is read and written as by tier 0: %s", (name, source) => {
    const program = assemble(source);
    const texts: string[] = [];
    const hot = new Core({ hot: true });
    hot.dispatcher.regions.made = ({ code }) => void texts.push(code.text);
    const cold = new Core();
    const stops = new Set<number>();
    for (let seed = 1; seed <= 60; seed++) {
      const found = run(hot, program, seed, ring) as { stop: { vector: number } };
      expect(found, `seed ${seed}`).toEqual(run(cold, program, seed, ring));
      stops.add(found.stop.vector);
    }
    expect([...stops].sort()).toEqual([14, 3]);
    if (name === "in a row") expect(texts.some((text) => text.includes("<= 4084"))).toBe(true);
  });
});

it("what a page is mapped to is asked again behind what may have changed it", () => {
  // The page at `pages` is mapped to the one frame and to the other in turn.
  const entry = place.pageTable + 4 * (pages >>> 12);
  const program = assemble(`
    mov ecx, ${count}
    mov esi, ${pages + 0x100}
  again:
    add edx, [esi]
    add edx, [esi + 4]
    xor dword ptr [${entry}], ${frames[0] ^ frames[1]}
    invlpg [esi]
    add edx, [esi + 8]
    add edx, [esi + 12]
    dec ecx
    jnz again
    int3`);
  const [hot, cold] = [true, false].map((isHot) => {
    const core = new Core({ hot: isHot, memory: 4 << 20 });
    core.load(program);
    core.protectedMode(0);
    core.map(pages, frames[0], all);
    core.flush();
    for (const frame of frames.slice(0, 2)) for (let at = frame; at < frame + 0x1000; at += 4) core.physical.write4(at, Math.imul(at, 0x9e3779b1));
    core.run();
    return core.reg("edx");
  });
  expect(hot).toBe(cold);
});

it("nobody asks together without the optimisation", () => {
  const texts: string[] = [];
  const core = new Core({ hot: true, translator: new JavaScriptTranslator({ disabledPasses: new Set(["neighbours"]) }) });
  core.dispatcher.regions.made = ({ code }) => void texts.push(code.text);
  run(core, assemble(programs["in a row"]), 1, 3);
  expect(texts.length).toBeGreaterThan(0);
  expect(texts.some((text) => text.includes("<= 4084"))).toBe(false);
});
