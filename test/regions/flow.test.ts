/**
 * Control flow that regions take in: calls and returns, recursion, computed jumps, loops entered in the middle, code on several pages. What is expected follows from the
 * program; every program runs on every tier, where regions follow calls from the first.
 */
import { scenario, sumTo } from "../self-modifying/scenario.ts";

scenario("a function that returns elsewhere now and then", {
  source: `
    xor edx, edx
    mov ecx, 200
  again:
    call f
    add edx, 0x1000
    add edx, ecx
    dec ecx
    jnz again
    int3
  f:
    test ecx, 1
    jz even
    add dword ptr [esp], 6
  even:
    ret`,
  expected: { edx: sumTo(200) + 100 * 0x1000, ecx: 0 },
});

scenario("returns without calls, calls without returns", {
  source: `
    xor edx, edx
    mov ecx, 150
  again:
    call g
    inc edx
  back:
    add edx, ecx
    dec ecx
    jnz again
    int3
  g:
    add esp, 4
    push offset back
    ret`,
  expected: { edx: sumTo(150), ecx: 0 },
});

scenario("recursion, and a function with two callers", {
  source: `
    xor edx, edx
    mov ebx, 60
  outer:
    mov ecx, 50
    call f
    call g
    dec ebx
    jnz outer
    int3
  f:
    test ecx, ecx
    jz done
    push ecx
    dec ecx
    call f
    pop ecx
    add edx, ecx
    call g
  done:
    ret
  g:
    inc esi
    ret`,
  registers: { esi: 0 },
  expected: { edx: 60 * sumTo(50), esi: 60 * 51, ebx: 0 },
  limit: 60_000,
});

scenario("a stack that moves under a recursion", {
  // The return addresses are copied 64 bytes down half way, and the originals overwritten.
  source: `
    xor edx, edx
    mov ebx, 40
  outer:
    mov ebp, esp
    mov ecx, 6
    call f
    mov esp, ebp
    dec ebx
    jnz outer
    int3
  f:
    dec ecx
    jz move
    call f
  site:
    inc edx
    ret
  move:
    mov eax, 5
  copy:
    mov edi, [esp + eax * 4]
    mov [esp + eax * 4 - 64], edi
    mov dword ptr [esp + eax * 4], 0
    dec eax
    jns copy
    sub esp, 64
    ret`,
  expected: { edx: 40 * 5, ebx: 0 },
});

const operations = ["add edx, 1", "add edx, 16", "xor ebx, edx", "lea edi, [edi + edx]", "sub ebx, 3", "rol ebx, 5", "add edi, ebx"];
const bytecode = Array.from({ length: 240 }, (_, k) => (k * k + (k >> 3)) % operations.length);

/** The same as the guest's operations, on numbers. */
function interpreted(): { edx: number; ebx: number; edi: number } {
  let [edx, ebx, edi] = [0, 0, 0];
  const steps = [
    () => (edx += 1),
    () => (edx += 16),
    () => (ebx ^= edx),
    () => (edi = (edi + edx) | 0),
    () => (ebx = (ebx - 3) | 0),
    () => (ebx = (ebx << 5) | (ebx >>> 27)),
    () => (edi = (edi + ebx) | 0),
  ];
  for (let round = 0; round < 12; round++) for (const k of bytecode) steps[k]();
  return { edx, ebx, edi };
}

const prologue = `
    xor edx, edx
    xor ebx, ebx
    xor edi, edi
    mov ebp, 12
  round:
    mov esi, offset text`;
const data = `
  text:
    .byte ${[...bytecode, operations.length].join(", ")}
    .balign 4
  table:
    .long ${[...operations.map((_, k) => `op${k}`), "end"].join(", ")}`;
const end = `
  end:
    dec ebp
    jnz round
    int3`;

scenario("an interpreter with one jump through its table", {
  source: `${prologue}
  next:
    movzx eax, byte ptr [esi]
    inc esi
    jmp [table + eax * 4]
  ${operations.map((text, k) => `op${k}:\n${text}\njmp next`).join("\n")}
  ${end}
  ${data}`,
  expected: interpreted(),
  limit: 100_000,
});

scenario("threaded code: every operation jumps through the table, by register", {
  source: `${prologue}
    movzx eax, byte ptr [esi]
    inc esi
    jmp [table + eax * 4]
  ${operations.map((text, k) => `op${k}:\n${text}\nmovzx eax, byte ptr [esi]\ninc esi\nmov eax, [table + eax * 4]\njmp eax`).join("\n")}
  ${end}
  ${data}`,
  expected: interpreted(),
  limit: 100_000,
});

scenario("a table that changes while it is used", {
  source: `
    xor edx, edx
    mov ecx, 300
  again:
    mov eax, ecx
    and eax, 3
    jmp [table + eax * 4]
  a0:
    inc edx
    jmp last
  a1:
    add edx, 0x100
    jmp last
  a2:
    add edx, 0x10000
  last:
    cmp ecx, 100
    jne go
    mov dword ptr [table], offset a2
  go:
    dec ecx
    jnz again
    int3
    .balign 4
  table:
    .long a0, a1, a0, a1`,
  // Of the multiples of 4, those down to 100 go to a0 (51), the others to a2 (24); the other even numbers to a0 (75).
  expected: { edx: 51 + 75 + 150 * 0x100 + 24 * 0x10000 },
});

scenario("a loop with two entries", {
  source: `
    xor edx, edx
    mov ebx, 80
  outer:
    mov ecx, 9
    test ebx, 1
    jz middle
  head:
    add edx, 1
  middle:
    add edx, 0x1000
    dec ecx
    jnz head
    dec ebx
    jnz outer
    int3`,
  expected: { edx: 80 * 9 * 0x1000 + 40 * 9 + 40 * 8 },
});

scenario("a loop over three pages, with an instruction on two of them", {
  source: `
    xor edx, edx
    mov ecx, 200
    jmp start
    .org 0xff0
  start:
    add edx, ecx
    .org 0xffd, 0x90
    add edx, 0x01000000
    call far_away
    dec ecx
    jnz start
    int3
    .org 0x2100
  far_away:
    xor edx, 1
    xor edx, 1
    ret`,
  expected: { edx: sumTo(200) + 200 * 0x01000000 },
});

scenario("a page of a running region is mapped to another one", {
  // Both pages hold a function at the same place; the loop changes the mapping every 16 rounds.
  source: `
    xor edx, edx
    mov ecx, 320
  again:
    call f
    test ecx, 15
    jnz same
    xor dword ptr [0x2000 + 0x11 * 4], 0x3000
    invlpg [f]
  same:
    dec ecx
    jnz again
    int3
    .org 0x1000
  f:
    inc edx
    ret
    .org 0x2000
    add edx, 0x1000
    ret`,
  ring: 0,
  // The round at 320 is the first page's and changes the mapping; then 16 rounds each, 160 for either.
  expected: { edx: 160 + 160 * 0x1000, ecx: 0 },
});

scenario("a store into a function that the loop has taken in, on another page", {
  source: `
    xor edx, edx
    mov ecx, 200
  again:
    call f
    cmp ecx, 60
    jne go
    mov dword ptr [f + 2], 5
  go:
    dec ecx
    jnz again
    int3
    .org 0x1000
  f:
    add edx, 0x11111
    ret`,
  expected: { edx: 141 * 0x11111 + 59 * 5 },
});

scenario("an x87 store's address, of which its register is changed before anything looks at the data pointer", {
  source: `
    fninit
    mov ecx, 200
  again:
    mov esi, 0x20400
    fild word ptr [esi]
    fistp word ptr [esi]
    mov esi, ecx
    dec ecx
    jnz again
    fnstenv [0x20500]
    mov edx, [0x20500 + 20]
    int3`,
  expected: { edx: 0x20400, esi: 1, ecx: 0 },
});

scenario("calls that nest deeper than regions call each other, and a return through a pointer", {
  source: `
    xor edx, edx
    mov ebx, 15
  outer:
    mov ecx, 120
    call down
    mov eax, offset twice
    call eax
    dec ebx
    jnz outer
    int3
  down:
    inc edx
    dec ecx
    jz bottom
    call down
    add edx, 2
  bottom:
    ret
  twice:
    add edx, 5
    pop eax
    push eax
    jmp eax_return
  eax_return:
    ret`,
  expected: { edx: 15 * (120 + 119 * 2 + 5), ebx: 0 },
});

scenario("a function that overwrites what its caller goes on with", {
  source: `
    xor edx, edx
    mov ecx, 300
  again:
    call f
  patched:
    add edx, 1
    dec ecx
    jnz again
    int3
  f:
    cmp ecx, 100
    jne same
    mov byte ptr [patched + 2], 3
  same:
    ret`,
  expected: { edx: 200 + 3 * 100, ecx: 0 },
});
