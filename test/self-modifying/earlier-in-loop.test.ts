/** A store changes an instruction that has been executed and comes round again. */
import { scenario, sumTo } from "./scenario.ts";

scenario("at the end of each round the loop's head is changed", {
  source: `
    xor edx, edx
    mov ecx, 200
  again:
    mov eax, 0
    add edx, eax
    inc dword ptr [again + 1]
    dec ecx
    jnz again
    int3`,
  expected: { edx: sumTo(199) },
});

scenario("an inner loop is changed by the outer one", {
  source: `
    xor edx, edx
    mov ecx, 60
  outer:
    mov ebx, 10
  inner:
    add edx, 1
    dec ebx
    jnz inner
    mov byte ptr [inner + 2], cl
    dec ecx
    jnz outer
    int3`,
  expected: { edx: 10 + 10 * (sumTo(60) - 1) },
});

scenario("the loop's branch is changed into its opposite", {
  source: `
    mov ecx, 200
    xor edx, edx
    mov edi, 0x20000
  again:
    inc edx
    cmp edx, 150
    jne over
    mov edi, offset branch
  over:
    mov byte ptr [edi], 0x74
    dec ecx
  branch:
    jnz again
    int3`,
  expected: { edx: 150, ecx: 50 },
});
