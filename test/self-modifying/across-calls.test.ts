/** A function changes the code it returns to, its own, or its caller's caller's: what is returned to is what is in memory then. */
import { place, pte } from "../support/core.ts";
import { scenario, sumTo } from "./scenario.ts";

const code = pte.present | pte.writable | pte.user;

scenario("the instruction behind the CALL", {
  source: `
    xor edx, edx
    mov ecx, 200
  again:
    call f
  target:
    mov eax, 0x7f7f7f7f
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 64
  f:
    mov dword ptr [target + 1], ecx
    ret`,
  expected: { edx: sumTo(200) },
});

scenario("from another page, once all is hot, through a pointer", {
  source: `
    xor edx, edx
    mov ecx, 400
    mov ebx, 0x20000
    mov esi, offset f
  again:
    call esi
  target:
    mov eax, 3
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 4096, 0xcc
  f:
    cmp ecx, 50
    jne g
    mov ebx, offset target + 1
  g:
    mov [ebx], ecx
    ret`,
  expected: { edx: 350 * 3 + sumTo(50) },
});

scenario("the caller's caller's code, two frames up, and the caller's", {
  source: `
    xor edx, edx
    mov ecx, 150
  again:
    call f
  outer:
    add edx, 1
    dec ecx
    jnz again
    int3
    .balign 64
  f:
    call g
  middle:
    add edx, 1
    ret
    .balign 64
  g:
    mov eax, ecx
    and eax, 63
    mov byte ptr [outer + 2], al
    xor eax, 63
    mov byte ptr [middle + 2], al
    ret`,
  expected: { edx: 150 * 63 },
});

scenario("its own code behind the inner CALL", {
  source: `
    xor edx, edx
    mov ecx, 150
  again:
    call f
    dec ecx
    jnz again
    int3
    .balign 64
  f:
    push offset patched
    call patch
    add esp, 4
  patched:
    mov eax, 0
    add edx, eax
    ret
    .balign 64
  patch:
    mov eax, [esp + 4]
    mov [eax + 1], ecx
    ret`,
  expected: { edx: sumTo(150) },
});

scenario("the CALL itself becomes another one while it is under way", {
  source: `
    xor edx, edx
    mov ecx, 150
  again:
    xor ebx, ebx
  site:
    call f
    add edx, ebx
    dec ecx
    jnz again
    int3
    .balign 64
  f:
    mov ebx, 1
    add dword ptr [site + 1], offset g - f
    ret
    .balign 64
  g:
    mov ebx, 100
    sub dword ptr [site + 1], offset g - f
    ret`.replaceAll("offset g - f", "64"),
  expected: { edx: 75 * 101 },
});

scenario("the function remaps the page it returns to", {
  ring: 0,
  source: `
    xor edx, edx
    mov ecx, 100
  again:
    call f
  target:
    mov eax, 1
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 4096, 0xcc
  f:
    xor dword ptr [${place.pageTable + 0x10 * 4}], ${0x10000 ^ 0x43000}
    invlpg [0x10000]
    ret`,
  prepare: (core, program) => {
    const copy = program.bytes.slice(0, 0x1000);
    copy[program.labels["target"] + 1 - program.origin] = 10;
    core.physical.writeBytes(0x43000, copy);
  },
  expected: { edx: 50 * 11 },
});

scenario("the function switches address spaces: the same address, other code", {
  ring: 0,
  source: `
    xor edx, edx
    mov ecx, 100
    mov edi, cr3
    mov esi, 0x50000
  again:
    call f
  target:
    mov eax, 1
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 4096, 0xcc
  f:
    xchg esi, edi
    mov cr3, edi
    ret`,
  prepare: (core, program) => {
    const copy = program.bytes.slice(0, 0x1000);
    copy[program.labels["target"] + 1 - program.origin] = 10;
    core.physical.writeBytes(0x43000, copy);
    core.physical.writeBytes(0x51000, core.physical.readBytes(place.pageTable, 0x1000));
    core.physical.write4(0x50000, 0x51000 | code);
    core.physical.write4(0x51000 + 0x10 * 4, 0x43000 | code);
  },
  expected: { edx: 50 * 11 },
});

scenario("the function is overwritten while it waits for the one it called", {
  source: `
    xor edx, edx
    mov ecx, 120
  again:
    mov byte ptr [f + 7], 5
    call f
    dec ecx
    jnz again
    int3
    .balign 64
  f:
    call g
    add eax, 5
    add edx, eax
    ret
    .balign 64
  g:
    mov eax, 1
    mov byte ptr [f + 7], 7
    ret`,
  // ADD EAX, imm8 is 83 C0 05: its immediate is at f + 7.
  prepare: (core, program) => {
    if (core.bytes(program.labels["f"] + 5, 3).join() !== [0x83, 0xc0, 5].join()) throw new Error("ADD EAX, imm8 expected");
  },
  expected: { edx: 120 * 8 },
});
