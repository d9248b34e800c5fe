/** The stack lies over the code: PUSH, PUSHA, PUSHF, CALL, ENTER and exception frames change instructions. */
import { scenario, sumTo } from "./scenario.ts";

scenario("PUSH r32 and PUSH imm over the next instruction's immediate", {
  source: `
    xor edx, edx
    mov ecx, 150
  again:
    lea esp, [target + 5]
    push ecx
  target:
    mov eax, 0x7f7f7f7f
    add edx, eax
    lea esp, [second + 5]
    push 3
  second:
    mov eax, 0x7f7f7f7f
    add edx, eax
    dec ecx
    jnz again
    mov esp, 0x30000
    int3`,
  expected: { edx: sumTo(150) + 450 },
});

scenario("PUSH m32 and POP m32", {
  source: `
    xor edx, edx
    mov ecx, 150
  again:
    mov [0x20000], ecx
    lea esp, [target + 5]
    push dword ptr [0x20000]
  target:
    mov eax, 0x7f7f7f7f
    add edx, eax
    mov esp, 0x20000
    pop dword ptr [second + 1]
  second:
    mov eax, 0x7f7f7f7f
    add edx, eax
    dec ecx
    jnz again
    mov esp, 0x30000
    int3`,
  expected: { edx: 2 * sumTo(150) },
});

scenario("PUSHA puts EDI, its last push, into the immediate of a MOV; above it lies what no one executes", {
  source: `
    mov edi, 90
    xor edx, edx
  again:
    lea esp, [target + 1 + 32]
    pusha
  target:
    mov eax, 0x7f7f7f7f
    jmp on
    .fill 32, 1, 0x90
  on:
    mov esp, 0x30000
    add edx, eax
    dec edi
    jnz again
    int3`,
  // The words above the immediate overwrite JMP with ESI: EB 20 90 90.
  registers: { esi: 0x909020eb },
  expected: { edx: sumTo(90) },
});

scenario("CALL pushes its return address over an instruction of the function it calls", {
  source: `
    mov ebp, 80
    xor edx, edx
  again:
    lea esp, [g + 5]
    call f
  back:
    jmp on
    .balign 32
  f:
    mov ecx, 1
    nop
  g:
    mov eax, 0x7f7f7f7f
    mov esp, 0x30000
    sub eax, offset back
    add edx, eax
    add edx, ecx
  on:
    dec ebp
    jnz again
    int3`,
  expected: { edx: 80 },
});

scenario("PUSHF over an immediate", {
  source: `
    mov ebp, 80
    xor edx, edx
  again:
    lea esp, [target + 5]
    stc
    pushfd
  target:
    mov eax, 0
    and eax, 1
    add edx, eax
    clc
    lea esp, [second + 5]
    pushfd
  second:
    mov eax, 0xffffffff
    and eax, 1
    add edx, eax
    dec ebp
    jnz again
    mov esp, 0x30000
    int3`,
  expected: { edx: 80 },
});

scenario("ENTER pushes EBP over an immediate", {
  source: `
    mov ecx, 80
    xor edx, edx
  again:
    lea esp, [target + 5]
    mov ebp, ecx
    enter 0, 0
  target:
    mov eax, 0
    add edx, eax
    dec ecx
    jnz again
    mov esp, 0x30000
    int3`,
  expected: { edx: sumTo(80) },
});
