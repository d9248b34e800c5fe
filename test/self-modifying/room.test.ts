/** Blocks that die and are decoded anew, over and over: each takes the place of the one before, however long they are. */
import { expect } from "vitest";
import type { Core } from "../support/core.ts";
import { scenario } from "./scenario.ts";

const code = 0x20000;
const rounds = 300;

/** Writes `length` times INC EAX, length being ECX modulo 16 plus 1, and RET; calls it. */
const longAndShort = `
    mov ebx, ${code}
    mov ecx, ${rounds}
    xor edx, edx
  again:
    mov edi, ebx
    mov esi, ecx
    and esi, 15
    inc esi
  more:
    mov byte ptr [edi], 0x40
    inc edi
    dec esi
    jnz more
    mov byte ptr [edi], 0xc3
    xor eax, eax
    call ebx
    add edx, eax
    dec ecx
    jnz again`;
scenario("of many lengths", {
  source: `${longAndShort}
    int3`,
  expected: { edx: Array.from({ length: rounds }, (_, k) => ((k + 1) & 15) + 1).reduce((a, b) => a + b) },
  ring: 0,
  only: /cold/,
  after: (core: Core) => {
    // Each somewhere else, they would take thousands of words.
    expect(core.dispatcher.cache.invalidatedBlocks).toBeGreaterThan(rounds / 2);
    expect(core.dispatcher.cache.used).toBeLessThan(400);
  },
});

scenario("where a jump leads to the block that it is in", {
  // The jump's own block dies by the store before it, and the one that it jumps to is the next in its place.
  source: `
    mov ecx, 200
    xor edx, edx
    mov eax, 0x42
  again:
    xor al, 0x42 ^ 0x4a
    mov [target], al
    dec ecx
    jz out
    jmp target
    .balign 16
  target:
    inc edx
    nop
    nop
    jmp again
  out:
    int3`,
  expected: { edx: 0xffffffff },
});

scenario("where a CALL's return address overwrites the block that it calls, its own", {
  source: `
    mov ecx, 100
    xor edx, edx
    mov ebp, esp
  again:
    mov eax, 0x11111111
    add edx, 1
    lea esp, [again + 5]
    dec ecx
    jz out
    call again
  out:
    mov esp, ebp
    int3`,
  // The return address is EAX's immediate.
  expected: { edx: 100, ecx: 0 },
  after: (core, { labels }) => expect(core.reg("eax")).toBe(labels["out"]),
});
