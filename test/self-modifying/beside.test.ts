/** A page of data and code mixed: stores that do not touch code leave it alone, whatever way they go, and are all carried out. */
import { expect } from "vitest";
import { scenario } from "./scenario.ts";

scenario("counters between the functions", {
  source: `
    mov ecx, 300
    xor edx, edx
  again:
    call f
    call g
    dec ecx
    jnz again
    int3
  first:
    .long 0
  f:
    inc dword ptr [first]
    add word ptr [third], 2
    mov eax, [first]
    add edx, eax
    ret
  second:
    .long 0
  g:
    mov [second], ecx
    xchg ebx, [fourth]
    inc ebx
    xchg ebx, [fourth]
    ret
  third:
    .short 0
  fourth:
    .long 0`,
  expected: { edx: (300 * 301) / 2 },
  after: (core, { labels }) => {
    expect(core.physical.read4(labels["first"])).toBe(300);
    expect(core.physical.read4(labels["second"])).toBe(1);
    expect(core.physical.read2(labels["third"])).toBe(600);
    expect(core.physical.read4(labels["fourth"])).toBe(300);
    // Blocks are dropped only when their own bytes are written.
    expect(core.dispatcher.cache.invalidatedBlocks).toBe(0);
  },
});

scenario("a store right before and right behind an instruction", {
  source: `
    mov ecx, 200
    xor edx, edx
    jmp again
    .byte 0x90
  before:
    .byte 0
  again:
    inc edx
    mov byte ptr [before], cl
    mov byte ptr [behind], cl
    dec ecx
    jnz again
    int3
  behind:
    .byte 0`,
  expected: { edx: 200 },
  after: (core, { labels }) => {
    expect(core.bytes(labels["before"], 1)).toEqual([1]);
    expect(core.bytes(labels["behind"], 1)).toEqual([1]);
  },
});

scenario("the stack on the code's page", {
  source: `
    mov esp, offset top
    mov ecx, 100
    xor edx, edx
  again:
    push ecx
    call f
    pop eax
    add edx, eax
    dec ecx
    jnz again
    mov esp, 0x30000
    int3
  f:
    push edx
    pusha
    popa
    pop ebx
    ret
    .balign 16
    .fill 128, 1, 0xcc
  top:`,
  expected: { edx: 5050 },
});
