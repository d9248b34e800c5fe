/** An instruction that straddles two pages; either half is changed. */
import { scenario, sumTo } from "./scenario.ts";

/** MOV EAX, imm32 with `before` of its five bytes on the first page. */
function straddling(before: number, patched: string): string {
  return `
    xor edx, edx
    mov ecx, 120
    jmp again
    .org 0x${(0x1000 - before - 17).toString(16)}
  again:
    mov dword ptr [0x20000], ecx
    mov ${patched}, cl
    jmp target
    .org 0x${(0x1000 - before).toString(16)}
  target:
    mov eax, 0
    add edx, eax
    dec ecx
    jz done
    jmp again
  done:
    int3`;
}

for (const before of [2, 3, 4]) {
  scenario(`${before} bytes before the edge: the low byte, before the edge`, {
    source: straddling(before, "byte ptr [target + 1]"),
    expected: { edx: sumTo(120) },
  });
}
scenario("1 byte before the edge: the low byte, behind the edge", {
  source: straddling(1, "byte ptr [target + 1]"),
  expected: { edx: sumTo(120) },
});
for (const before of [1, 2, 3]) {
  scenario(`${before} bytes before the edge: byte 3, behind the edge`, {
    source: straddling(before, "byte ptr [target + 3]"),
    expected: { edx: sumTo(120) * 0x10000 },
  });
}
scenario("the opcode, the page's last byte", {
  // B8 (MOV EAX) and 05 (ADD EAX) in turn.
  source: `
    xor eax, eax
    mov ecx, 100
    jmp again
    .org 0xfe0
  again:
    mov ebx, ecx
    and bl, 1
    neg bl
    and bl, 0xbd
    xor bl, 0x05
    mov byte ptr [target], bl
    jmp target
    .org 0xfff
  target:
    .byte 0x05, 9, 0, 0, 0
    dec ecx
    jz done
    jmp again
  done:
    int3`,
  // Odd counts: MOV EAX, 9; even: ADD EAX, 9. The last count is 1.
  expected: { eax: 9 },
  registers: { ebx: 0 },
});
scenario("a store that itself straddles the edge changes both halves", {
  source: straddling(3, "byte ptr [0x20004]").replace("mov dword ptr [0x20000], ecx", "mov dword ptr [target + 1], ecx"),
  expected: { edx: sumTo(120) },
});
