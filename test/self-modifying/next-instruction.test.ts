/** A store changes the very next instruction. */
import { scenario, sumTo } from "./scenario.ts";

scenario("the next instruction's immediate", {
  source: `
    xor edx, edx
    mov ecx, 150
  again:
    mov dword ptr [target + 1], ecx
  target:
    mov eax, 0x7f7f7f7f
    add edx, eax
    dec ecx
    jnz again
    int3`,
  expected: { edx: sumTo(150) },
});

scenario("the next instruction becomes one of another length", {
  // 40 40: INC EAX twice. EB 00: JMP to the next instruction. 90 40, and 33 C0.
  source: `
    xor edx, edx
    mov ecx, 90
  again:
    xor eax, eax
    mov word ptr [target], 0x4040
  target:
    nop
    nop
    add edx, eax
    mov word ptr [second], 0x00eb
  second:
    inc edx
    inc edx
    mov word ptr [third], 0x4090
  third:
    xor edx, edx
    add edx, eax
    dec ecx
    jnz again
    int3`,
  expected: { edx: 90 * (2 + 3) },
});

scenario("the next instruction becomes a jump out of the loop, once it is hot", {
  source: `
    mov ecx, 100000
    mov edi, 0x20000
    xor edx, edx
  again:
    inc edx
    cmp edx, 400
    jne store
    mov edi, offset target
  store:
    mov word ptr [edi], 0x03eb
  target:
    jmp short next
    nop
    nop
  next:
    dec ecx
    jnz again
  done:
    int3`,
  // EB 03 at target jumps over DEC and lands on JNZ with the flags of CMP: equal, so it falls out.
  expected: { edx: 400, ecx: 100000 - 399 },
});
