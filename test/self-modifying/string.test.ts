/** String instructions that write over code: over what follows them, over what comes round again, and over themselves. */
import { scenario, sumTo } from "./scenario.ts";

scenario("REP MOVSB copies new code over what follows it", {
  source: `
    xor edx, edx
    mov ebp, 80
  again:
    mov dword ptr [source + 1], ebp
    mov esi, offset source
    mov edi, offset target
    mov ecx, 5
    rep movsb
  target:
    .fill 5, 1, 0xcc
    add edx, eax
    dec ebp
    jnz again
    int3
    .balign 4096, 0xcc
  source:
    mov eax, 0x7f7f7f7f`,
  expected: { edx: sumTo(80) },
});

scenario("MOVSD without REP", {
  source: `
    xor edx, edx
    mov ebp, 80
  again:
    mov [0x20000], ebp
    mov esi, 0x20000
    mov edi, offset target + 1
    movsd
  target:
    mov eax, 0x7f7f7f7f
    add edx, eax
    dec ebp
    jnz again
    int3`,
  expected: { edx: sumTo(80), esi: 0x20004 },
});

scenario("REP STOSB fills the code behind itself with NOP, INC and DEC in turn", {
  source: `
    xor edx, edx
    mov ebp, 90
  again:
    mov eax, ebp
    and eax, 1
    shl eax, 3
    or eax, 0x42
    mov edi, offset target
    mov ecx, 20
    rep stosb
  target:
    .fill 20, 1, 0x90
    dec ebp
    jnz again
    int3`,
  // 42: INC EDX, 4A: DEC EDX. The first count is even: INC.
  expected: { edx: 0 },
});

/** Twelve times: makes a page of functions that return the number of the round, then calls sixteen of them. `make` has EAX to store, and a page at 0x20000. */
const pageOfFunctions = (make: string): string => `
    xor edx, edx
    mov ebp, 12
    cld
  again:
    mov eax, ebp
    shl eax, 8
    mov al, 0x6a
    or eax, 0xc3580000
    ${make}
    mov ebx, 16
  calls:
    lea eax, [functions + ebx * 8]
    call eax
    add edx, eax
    dec ebx
    jnz calls
    dec ebp
    jnz again
    int3
    .balign 4096, 0xcc
  functions:
    .fill 4096, 1, 0xcc`;

scenario("REP STOSD over the whole of a page of functions", {
  source: pageOfFunctions(`
    mov edi, offset functions
    mov ecx, 1024
    rep stosd`),
  // 6A n 58 C3: PUSH n; POP EAX; RET.
  expected: { edx: 16 * sumTo(12) },
  // In bulk: each doubleword by itself would count as an instruction.
  limit: 6_000,
});

scenario("REP MOVSD of other functions over the whole of a page of functions", {
  source: pageOfFunctions(`
    mov edi, 0x20000
    mov ecx, 1024
    rep stosd
    mov esi, 0x20000
    mov edi, offset functions
    mov ecx, 1024
    rep movsd`),
  expected: { edx: 16 * sumTo(12) },
  limit: 8_000,
});

scenario("REP STOSB backwards over code that has just been executed", {
  source: `
    mov ebp, 40
    xor edx, edx
  again:
    mov byte ptr [before], 0x42
    mov byte ptr [before + 1], 0x42
    jmp before
    .balign 16
  before:
    inc edx
    inc edx
    mov edi, offset before + 1
    mov ecx, 2
    mov al, 0x90
    std
    rep stosb
    cld
    add edx, 100
    cmp byte ptr [before], 0x90
    jne bad
    dec ebp
    jnz again
    int3
  bad:
    hlt`,
  expected: { edx: 40 * 102 },
});

scenario("REP MOVSB copies the same bytes over itself and changes an immediate after it", {
  source: `
    mov ebp, 60
    xor edx, edx
    mov esi, offset copy
    mov edi, 0x20000
    mov ecx, 11
    rep movsb
  again:
    mov [0x20004], ebp
    mov esi, 0x20000
    mov edi, offset copy
    mov ecx, 11
  copy:
    rep movsb
    nop
  number:
    mov eax, 0x7f7f7f7f
    add edx, eax
    dec ebp
    jnz again
    int3`,
  expected: { edx: sumTo(60), ecx: 0 },
});

scenario("REP MOVSB replaces itself by NOPs: the rest of the count is not copied", {
  // After the second byte of the instruction is written, what is fetched at its address is no longer REP MOVSB. The store of its first byte gives 90 A4: NOP, MOVSB.
  source: `
    mov ebp, 30
    xor edx, edx
  again:
    mov word ptr [copy], 0xa4f3
    mov esi, 0x20000
    mov edi, offset copy
    mov ecx, 10
    jmp copy
    .balign 16
  copy:
    rep movsb
    add edx, ecx
    dec ebp
    jnz again
    int3`,
  prepare: (core) => core.physical.u8.fill(0x90, 0x20000, 0x20010),
  // One iteration of REP (ECX 9, first byte becomes NOP), EIP still at the instruction: NOP, then MOVSB alone copies the second byte (now 90 90), ECX stays 9.
  expected: { edx: 30 * 9, ecx: 9 },
});

scenario("REP MOVSD forward with overlap produces code ahead of itself", {
  source: `
    mov ebp, 25
    xor edx, edx
  again:
    mov dword ptr [ahead], 0x42424242
    mov esi, offset ahead
    mov edi, offset ahead + 4
    mov ecx, 7
    rep movsd
  ahead:
    .fill 32, 1, 0x90
    mov edi, offset ahead
    mov eax, 0x90909090
    mov ecx, 8
    rep stosd
    dec ebp
    jnz again
    int3`,
  expected: { edx: 25 * 32 },
});
