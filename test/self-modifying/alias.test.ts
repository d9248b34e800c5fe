/** The page with the code is also mapped elsewhere, and the store goes through the other mapping. */
import { place, pte } from "../support/core.ts";
import { scenario, sumTo } from "./scenario.ts";

const userData = pte.present | pte.writable | pte.user;

scenario("an alias mapped before the code ran", {
  source: `
    xor edx, edx
    mov ecx, 200
    mov edi, offset target + 1 + 0x70000
  again:
    mov dword ptr [edi], ecx
    nop
  target:
    mov eax, 0x7f7f7f7f
    add edx, eax
    dec ecx
    jnz again
    int3`,
  prepare: (core) => core.map(0x80000, place.code, userData),
  expected: { edx: sumTo(200) },
});

scenario("an alias written before, while there was no code yet", {
  // The write-fast TLB entry of the alias exists when the page is first decoded.
  source: `
    xor edx, edx
    mov ecx, 100
    mov edi, offset f + 0x70000
    mov dword ptr [edi + 8], ecx
  again:
    mov byte ptr [edi], 0xb8
    mov dword ptr [edi + 1], ecx
    mov byte ptr [edi + 5], 0xc3
    call f
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 4096, 0xcc
  f:
    .fill 16, 1, 0`,
  prepare: (core) => {
    core.map(0x80000, place.code, userData);
    core.map(0x81000, place.code + 0x1000, userData);
  },
  expected: { edx: sumTo(100) },
});

scenario("the code runs at the alias, the store goes to the original, two aliases in turn", {
  source: `
    xor edx, edx
    mov ecx, 120
    mov ebx, offset f
  again:
    xor ebx, 0x90000
    mov dword ptr [f + 1], ecx
    call ebx
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 4096, 0xcc
  f:
    mov eax, 0
    call g
  g:
    pop esi
    xor esi, offset g
    add edi, esi
    ret`,
  // f runs at 81000h and at 11000h, 60 times each; the EIP that CALL pushes shows where.
  prepare: (core) => core.map(0x81000, place.code + 0x1000, userData),
  registers: { edi: 0 },
  expected: { edx: sumTo(120), edi: 60 * 0x90000 },
});
