/** A store changes code on another page. */
import { scenario, sumTo } from "./scenario.ts";

scenario("a function on the next page", {
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
    .balign 4096, 0xcc
  f:
    mov eax, 0x7f7f7f7f
    ret`,
  expected: { edx: sumTo(200) },
});

scenario("a hot function's page is patched by a hot loop on another page", {
  source: `
    xor edx, edx
    mov ecx, 500
    mov edi, offset dummy
  again:
    cmp ecx, 50
    jne over
    mov edi, offset f + 1
  over:
    call patch
    call f
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 4096, 0xcc
  f:
    mov eax, 3
    mov ebx, 4
  inner:
    dec ebx
    jnz inner
    ret
    .balign 4096, 0xcc
  patch:
    mov ebx, 4
  shift:
    mov byte ptr [edi + ebx - 1], 0
    dec ebx
    jnz shift
    mov byte ptr [edi], cl
    ret
  dummy:
    .long 0`,
  expected: { edx: 450 * 3 + sumTo(50) },
});

scenario("a page of data is jumped into, then is data again", {
  source: `
    xor edx, edx
    mov ecx, 60
  again:
    mov eax, ecx
    shl eax, 8
    or eax, 0x000000b8
    mov dword ptr [0x20000], eax
    mov dword ptr [0x20004], 0xc300
    mov eax, 0x20000
    call eax
    add edx, eax
    mov ebx, [0x20000]
    add [0x20010], ebx
    dec ecx
    jnz again
    int3`,
  expected: { edx: sumTo(60) },
  after: (core) => {
    let sum = 0;
    for (let k = 1; k <= 60; k++) sum += (k << 8) | 0xb8;
    if (core.physical.read4(0x20010) !== sum) throw new Error("data on the page with code went astray");
  },
});
