/** The first instruction of a loop, or of a block entered anew, stores over the loop, and over itself. */
import { scenario, sumTo } from "./scenario.ts";

scenario("the loop's first instruction changes the loop's second", {
  source: `
    xor edx, edx
    mov ecx, 120
    jmp again
    .balign 16
  again:
    mov dword ptr [target + 1], ecx
  target:
    mov eax, 0x7f7f7f7f
    add edx, eax
    loop again
    int3`,
  expected: { edx: sumTo(120) },
});

scenario("an instruction overwrites its own immediate with itself plus one", {
  source: `
    xor edx, edx
    mov ecx, 100
    xor eax, eax
    jmp self
    .balign 16
  self:
    mov dword ptr [self + 6], 0
    add edx, eax
    add eax, 1
    xchg eax, dword ptr [self + 6]
    mov eax, dword ptr [self + 6]
    loop self
    int3`,
  // C7 05 disp32 imm32: the store writes its own immediate over itself, so it stays what the XCHG made it.
  expected: { edx: sumTo(99), eax: 100 },
});

scenario("a hot loop whose first instruction begins to hit it", {
  source: `
    xor edx, edx
    mov ecx, 400
    mov edi, 0x20000
    jmp again
    .balign 16
  again:
    mov dword ptr [edi], ecx
    mov eax, [0x20000]
  target:
    mov ebx, 5
    add edx, ebx
    cmp ecx, 51
    jne next
    mov edi, offset target + 1
  next:
    dec ecx
    jnz again
    int3`,
  expected: { edx: 350 * 5 + sumTo(50) },
});
