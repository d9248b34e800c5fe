/** A store changes an instruction further down the same basic block. */
import { scenario, sumTo } from "./scenario.ts";

scenario("an immediate is stored into an instruction later in the block", {
  source: `
    xor edx, edx
    mov ecx, 200
  again:
    mov eax, 201
    sub eax, ecx
    mov dword ptr [target + 1], eax
    nop
    lea esi, [esi + 1]
  target:
    mov ebx, 0x7f7f7f7f
    add edx, ebx
    dec ecx
    jnz again
    int3`,
  expected: { edx: sumTo(200), esi: 200 },
  registers: { esi: 0 },
});

scenario("only after the loop has become hot", {
  source: `
    xor edx, edx
    mov ecx, 300
    mov edi, 0x20000
  again:
    cmp ecx, 20
    ja store
    mov edi, offset target + 1
  store:
    mov dword ptr [edi], ecx
    nop
    nop
  target:
    mov ebx, 1000
    add edx, ebx
    dec ecx
    jnz again
    int3`,
  expected: { edx: 280 * 1000 + sumTo(20) },
});

scenario("the opcode of a later instruction changes: ADD becomes SUB and back", {
  source: `
    xor edx, edx
    mov ecx, 200
  again:
    mov eax, ecx
    and eax, 1
    neg eax
    and eax, 0x28
    mov byte ptr [target], 1
    or byte ptr [target], al
    mov ebx, ecx
  target:
    add edx, ebx
    dec ecx
    jnz again
    int3`,
  // Even counts are added, odd ones subtracted.
  expected: { edx: 100 },
});
