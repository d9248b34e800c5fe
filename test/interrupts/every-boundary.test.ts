/**
 * An interrupt at every boundary of a program. What the handler finds on its stack and in the registers must be a state the program really goes through between two
 * instructions (taken from a run instruction by instruction), and the program must end as if nothing had been.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { type Core, place, type Tier, tiers } from "../support/core.ts";

const program = assemble(`
    xor edx, edx
    mov ebx, 12
  outer:
    mov ecx, 7
    lea edi, [ebx + ebx]
  inner:
    add edx, ecx
    rol edx, 3
    adc edx, edi
    cmp ecx, 4
    jbe small
    sub edx, ebx
    jmp next
  small:
    push edx
    call function
    pop eax
    xor edx, eax
  next:
    dec ecx
    jnz inner
    push ecx
    mov esi, 0x20000
    lea edi, [0x20100 + ebx]
    mov ecx, 9
    rep movsb
    pop ecx
    fild dword ptr [0x20004]
    fadd st(0), st(0)
    fistp dword ptr [0x20008]
    movd xmm0, edx
    paddd xmm0, xmm0
    movd [0x2000c], xmm0
    neg dword ptr [0x20010]
    inc byte ptr [0x20005]
    dec ebx
    jnz outer
    int3
  function:
    mov eax, [esp + 4]
    test eax, 3
    jz even
    imul eax, eax, 17
    add [0x20000], eax
    setc al
    ret
  even:
    sar eax, 1
    rcr dword ptr [0x20000], 1
    ret`);

/** Saves everything, changes everything, restores it. The frame and the registers are copied to 28000h, the count is at 28100h. */
const handler = assemble(
  `
    pusha
    mov esi, esp
    mov edi, 0x28000
    mov ecx, 13
    cld
    rep movsd
    inc dword ptr [0x28100]
    mov eax, 0x12345678
    sub eax, eax
    std
    popa
    iret`,
  0x18000,
);

function prepare(core: Core, tier: Tier): void {
  core.protectedMode(tier.ring);
  core.handler(0x20, handler.origin);
  core.physical.u8.fill(0, 0x20000, 0x20200);
  core.physical.u8.fill(0, 0x28000, 0x28200);
  for (let k = 0; k < 32; k++) core.physical.u8[0x20000 + k] = 37 * k + 11;
}

/** EIP, EFLAGS and the registers as numbers, in the order of `registers`. */
const registers = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"] as const;
function seen(core: Core): string {
  return [core.eip, core.eflags, ...registers.map((name) => core.reg(name))].map((x) => x.toString(16)).join(" ");
}

/** The same from what the handler saved: PUSHA's eight, then EIP, CS, EFLAGS, and from ring 3 ESP. */
function savedByHandler(core: Core, ring: 0 | 3): string {
  const word = (k: number): number => core.physical.read4(0x28000 + 4 * k) >>> 0;
  const [edi, esi, ebp, esp, ebx, edx, ecx, eax, eip, , eflags, outerEsp] = Array.from({ length: 12 }, (_, k) => word(k));
  const stack = ring === 3 ? outerEsp : esp + 12;
  return [eip, eflags, eax, ecx, edx, ebx, stack, ebp, esi, edi].map((x) => x.toString(16)).join(" ");
}

describe.each(tiers)("$name", (tier) => {
  let core: Core;
  const states: string[] = [];
  let end: Record<string, number>;
  let memory: Uint8Array;
  let length: number;

  beforeAll(() => {
    core = tier.core().load(program).load(handler);
    prepare(core, tier);
    // The program's own way, one instruction at a time; string instructions also element by element.
    core.run(1);
    prepare(core, tier);
    while (core.eip - 1 !== program.labels["outer"] && states.length < 20_000) {
      states.push(seen(core));
      if (core.physical.u8[core.eip] === 0xcc) break;
      core.dispatcher.stepper.step();
    }
    prepare(core, tier);
    expect(core.run(20_000).vector).toBe(3);
    end = core.state();
    memory = core.physical.u8.slice(0x20000, 0x20200);
    length = states.length;
  });

  it("runs the program", () => {
    expect(length).toBeGreaterThan(1000);
  });

  it("an interrupt after k instructions, for every k", () => {
    const known = new Set(states);
    const wrong: string[] = [];
    // A region looks at the slice's end only where it goes back: a round of a loop more, or the program's last instructions.
    for (let k = 1; k < length - 40; k += tier.name.startsWith("cold") ? 3 : 2) {
      prepare(core, tier);
      if (core.dispatcher.run(k) !== "slice") break;
      core.interrupts.pending = true;
      const stop = core.run(20_000);
      const count = core.physical.read4(0x28100);
      const state = savedByHandler(core, tier.ring);
      if (stop.vector !== 3 || count !== 1) wrong.push(`${k}: vector ${stop.vector}, ${count} interrupts`);
      // In the middle of REP MOVSB the counts are between two instructions' states.
      else if (!known.has(state) && core.physical.u8[Number.parseInt(state, 16)] !== 0xf3) wrong.push(`${k}: no such state: ${state}`);
      const final = core.state();
      if (JSON.stringify(final) !== JSON.stringify(end)) wrong.push(`${k}: ends differently`);
      if (Buffer.compare(core.physical.u8.slice(0x20000, 0x20200), memory) !== 0) wrong.push(`${k}: leaves other memory`);
    }
    expect(wrong.slice(0, 10)).toEqual([]);
  });

  it("an interrupt at exactly every instruction boundary", () => {
    if (tier.name.startsWith("hot")) core.promote();
    prepare(core, tier);
    const wrong: string[] = [];
    for (let k = 0; k < length - 1; k += 1) {
      // Steps on from the last state, which the interrupt's return has restored.
      const before = seen(core);
      if (before !== states[k]) {
        wrong.push(`${k}: ${before} instead of ${states[k]}`);
        break;
      }
      core.interrupts.pending = true;
      core.physical.write4(0x28100, 0);
      // Through the handler: until the program is back where it was.
      core.dispatcher.run(1);
      for (let n = 0; core.eip >= handler.origin && core.eip < handler.origin + 0x100 && n < 100; n++) core.dispatcher.stepper.step();
      if (savedByHandler(core, tier.ring) !== before || core.physical.read4(0x28100) !== 1)
        wrong.push(`${k}: the handler saw ${savedByHandler(core, tier.ring)}`);
      if (seen(core) !== before) break;
      core.R[slot.halted] = 0;
      core.dispatcher.stepper.step();
    }
    expect(wrong.slice(0, 10)).toEqual([]);
    expect(place.code).toBe(program.origin);
  });
});
