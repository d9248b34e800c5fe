/** An instruction that straddles two pages; either half is changed. */
import { slot } from "../../translator/contract/slots.ts";
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

scenario("a hot store begins on a page of data and ends on a page of code", {
  // Two bytes of the store lie before the edge; the other two are MOV EAX's opcode and the low byte of its immediate.
  source: `
    xor edx, edx
    mov ecx, 200
  again:
    mov edi, [0x22000 + ecx * 4]
    mov eax, ecx
    shl eax, 24
    or eax, 0xb80000
    mov [edi], eax
    call target
    add edx, eax
    dec ecx
    jnz again
    int3
    .org 0x2000
  target:
    mov eax, 250
    ret`,
  prepare: (core, { labels }) => {
    for (let k = 1; k <= 200; k++) core.physical.i32[(0x22000 >>> 2) + k] = k <= 20 ? labels["target"] - 2 : 0x217fe;
  },
  expected: { edx: 180 * 250 + sumTo(20) },
});

scenario("a hot store begins on a page of data and ends on the first bytes of its own loop", {
  origin: 0x11000,
  source: `
  target:
    mov eax, 250
    add edx, eax
    mov edi, [0x22000 + ecx * 4]
    mov eax, ecx
    shl eax, 24
    or eax, 0xb80000
    mov [edi], eax
    dec ecx
    jnz target
    int3
  start:
    xor edx, edx
    mov ecx, 200
    jmp target`,
  prepare: (core, { labels }) => {
    for (let k = 1; k <= 200; k++) core.physical.i32[(0x22000 >>> 2) + k] = k <= 20 ? labels["target"] - 2 : 0x217fe;
    core.R[slot.eip] = labels["start"];
  },
  // What round 20 stores, round 19 executes; what round 1 stores, nobody.
  expected: { edx: 181 * 250 + sumTo(20) - 1 },
});
