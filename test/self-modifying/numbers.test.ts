/** Code overwritten by the same instructions with other numbers in them, and by what only looks so. It may stay decoded, but must do what is in memory. */
import { scenario, sumTo } from "./scenario.ts";

/** `store` 200 times, each time before `patched` runs, with ECX counting down and EBX 1 in odd rounds, else 0. EAX is summed in EDX. */
const rounds = (store: string, patched: string): string => `
    xor edx, edx
    mov esi, 0x20000
    mov dword ptr [esi + 4], 7
    mov dword ptr [esi + 8], 11
    mov ecx, 200
  again:
    mov ebx, ecx
    and ebx, 1
    ${store}
    call target
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 64
  target:
    ${patched}
    ret`;
const alternating = (even: number, odd: number): { edx: number } => ({ edx: 100 * even + 100 * odd });

scenario("an immediate, at once", { source: rounds("mov [target + 1], ecx", "mov eax, 0x7f7f7f7f"), expected: { edx: sumTo(200) } });

scenario("an immediate, byte by byte", {
  source: rounds("mov [target + 1], cl\n mov byte ptr [target + 2], 1\n mov word ptr [target + 3], 0", "mov eax, 0x7f7f7f7f"),
  expected: { edx: sumTo(200) + 200 * 256 },
});

scenario("an immediate, more often than it runs", {
  source: rounds("mov [target + 1], edx\n mov [target + 1], ecx\n inc dword ptr [target + 1]", "mov eax, 0x7f7f7f7f"),
  expected: { edx: sumTo(200) + 200 },
});

scenario("a displacement", {
  source: rounds("lea ebx, [ebx * 4 + 4]\n mov [target + 2], bl", "mov eax, [esi + 4]"),
  expected: alternating(7, 11),
});

scenario("a register's number in the opcode", {
  // B8: MOV EAX, 3; BB: MOV EBX, 3.
  source: rounds("imul ebx, ebx, 3\n add ebx, 0xb8\n mov [target + 4], bl", "xor eax, eax\n xor ebx, ebx\n mov eax, 3\n lea eax, [eax + ebx * 2]"),
  expected: alternating(3, 6),
});

scenario("another instruction of the same length", {
  // 01: ADD; 29: SUB.
  source: rounds("imul ebx, ebx, 0x28\n inc ebx\n mov [target + 10], bl", "mov eax, 10\n mov ebx, 3\n add eax, ebx"),
  expected: alternating(13, 7),
});

scenario("where a jump goes", {
  source: rounds("imul ebx, ebx, 3\n mov [target + 6], bl", "mov eax, 3\n jmp 1f\n 1: add eax, 1\n add eax, 10"),
  expected: alternating(14, 13),
});

scenario("a condition", {
  // 74: JE; 75: JNE.
  source: rounds("add ebx, 0x74\n mov [target + 7], bl", "mov eax, 5\n cmp al, 5\n je 1f\n add eax, 100\n 1:"),
  expected: alternating(5, 105),
});

scenario("a prefix that makes an instruction shorter", {
  // 90: NOP, MOV EAX, 90900001h; 66: MOV AX, 1, NOP, NOP.
  source: rounds("imul ebx, ebx, 0x66 - 0x90\n add ebx, 0x90\n mov [target + 2], bl", "xor eax, eax\n nop\n mov eax, 0x90900001\n nop"),
  expected: alternating(0x90900001, 1),
});

scenario("an immediate of the instruction behind the store, in the same block", {
  source: `
    xor edx, edx
    mov ecx, 300
  again:
    mov [target + 1], ecx
  target:
    mov eax, 0x7f7f7f7f
    add edx, eax
    dec ecx
    jnz again
    int3`,
  expected: { edx: sumTo(300) },
});

scenario("a number of one instruction that is another instruction", {
  // MOV EAX, imm32 and RET; from the second byte on ADD EDX, imm8, INC EDX or NOP, RET.
  source: `
    xor edx, edx
    mov ecx, 200
  again:
    mov ebx, ecx
    and ebx, 1
    imul ebx, ebx, 0x90 - 0x42
    add ebx, 0x42
    call target
    call target + 1
    mov [target + 3], cl
    and byte ptr [target + 3], 0x7f
    mov [target + 4], bl
    call target
    call target + 1
    dec ecx
    jnz again
    int3
    .balign 64
  target:
    .byte 0xb8, 0x83, 0xc2, 0x05, 0x42, 0xc3`,
  // Twice what each round writes, but for the last, and once what was there before.
  expected: { edx: 5 + 1 + 2 * (sumTo(127) + sumTo(200 - 128) + 100) - 1, eax: 0x9001c283 },
});
