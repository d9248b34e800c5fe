/** A store changes another block on the same page: a function that is called, one that is jumped to, one that is reached indirectly. */
import { scenario, sumTo } from "./scenario.ts";

scenario("a function called through CALL rel32", {
  source: `
    xor edx, edx
    mov ecx, 200
  again:
    mov dword ptr [f + 1], ecx
    call f
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 64
  f:
    mov eax, 0x7f7f7f7f
    ret`,
  expected: { edx: sumTo(200) },
});

scenario("a function called through a pointer, after it is hot", {
  source: `
    xor edx, edx
    mov ecx, 300
    mov ebx, offset f
    mov edi, 0x20000
  again:
    cmp ecx, 30
    ja over
    lea edi, [ebx + 1]
  over:
    mov dword ptr [edi], ecx
    call ebx
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 64
  f:
    mov eax, 1
    ret`,
  expected: { edx: 270 + sumTo(30) },
});

scenario("code is made from nothing again and again, at a place that moves", {
  // Writes B8 imm32 C3 (MOV EAX, imm32; RET) and calls it.
  source: `
    xor edx, edx
    mov ecx, 100
    mov edi, offset buffer
  again:
    mov byte ptr [edi], 0xb8
    mov dword ptr [edi + 1], ecx
    mov byte ptr [edi + 5], 0xc3
    call edi
    add edx, eax
    add edi, 3
    dec ecx
    jnz again
    int3
    .balign 16
  buffer:
    .fill 400, 1, 0xcc`,
  expected: { edx: sumTo(100) },
});
