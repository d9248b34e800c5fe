/** Instructions that read, change and write back bytes of code: each form of them. */
import { scenario, sumTo } from "./scenario.ts";

function modifying(instruction: string): string {
  return `
    xor edx, edx
    mov ecx, 100
  again:
    ${instruction}
  target:
    mov eax, 0
    add edx, eax
    dec ecx
    jnz again
    int3`;
}

scenario("INC m32", { source: modifying("inc dword ptr [target + 1]"), expected: { edx: sumTo(100) } });
scenario("ADD m8, imm", { source: modifying("add byte ptr [target + 1], 2"), expected: { edx: 2 * sumTo(100) } });
scenario("SUB m16, r16", { source: modifying("mov ax, -1\nsub word ptr [target + 1], ax"), expected: { edx: sumTo(100) } });
scenario("LOCK XADD", { source: modifying("mov eax, 1\nlock xadd dword ptr [target + 1], eax"), expected: { edx: sumTo(100) } });
scenario("XCHG", { source: modifying("mov eax, ecx\nxchg dword ptr [target + 1], eax"), expected: { edx: sumTo(100) } });
scenario("CMPXCHG", {
  source: modifying("mov eax, [target + 1]\nmov ebx, ecx\nlock cmpxchg dword ptr [target + 1], ebx"),
  expected: { edx: sumTo(100) },
});
scenario("CMPXCHG8B over two instructions", {
  source: `
    xor esi, esi
    mov edi, 60
  again:
    mov eax, [target]
    mov edx, [target + 4]
    mov ebx, edi
    shl ebx, 8
    or ebx, 0xb8
    mov ecx, 0x90909000
    cmpxchg8b [target]
    jmp target
    .balign 8
  target:
    mov eax, 0
    nop
    nop
    nop
    add esi, eax
    dec edi
    jnz again
    int3`,
  expected: { esi: sumTo(60) },
});
scenario("BTC, SHL, NOT, NEG", {
  source: modifying(
    "btc dword ptr [target + 1], 0\nshl byte ptr [target + 1], 1\nnot word ptr [target + 3]\nnot word ptr [target + 3]\nneg byte ptr [target + 1]\nneg byte ptr [target + 1]\nand byte ptr [target + 1], 0x7f",
  ),
  // x -> ((x ^ 1) << 1) & 127
  expected: {
    edx: Array.from({ length: 100 }).reduce<[number, number]>(([x, sum]) => [((x ^ 1) << 1) & 127, sum + (((x ^ 1) << 1) & 127)], [0, 0])[1],
  },
});
scenario("SETcc and MOV moffs", {
  source: modifying("test cl, 1\nsetnz byte ptr [target + 1]\nmov al, cl\nand al, 3\nmov byte ptr [target + 2], al"),
  expected: { edx: 50 + 256 * (100 * 1.5) },
});
