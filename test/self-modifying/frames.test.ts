/** Two pages of code, of which only one has its bits where WebAssembly sees them (runtime/code/coverage.ts): stores over the code of either are seen, and stores beside it too. */
import { coverageFrames } from "../../runtime/code/coverage.ts";
import { scenario, sumTo } from "./scenario.ts";

const first = 0x20000;
const second = first + coverageFrames * 0x1000 + 0x40;

/** MOV EAX, imm32 and RET at both, written anew in each round; a counter beside each. */
scenario("pages of the same frame", {
  source: `
    xor edx, edx
    mov ecx, 200
    mov ebx, ${first}
    mov esi, ${second}
    mov byte ptr [ebx], 0xb8
    mov byte ptr [ebx + 5], 0xc3
    mov byte ptr [esi], 0xb8
    mov byte ptr [esi + 5], 0xc3
  again:
    mov [ebx + 1], ecx
    mov [esi + 1], edx
    mov byte ptr [esi + 4], 0
    mov [esi + 1], ecx
    mov word ptr [ebx + 3], 0
    inc dword ptr [ebx + 8]
    inc word ptr [esi + 11]
    inc byte ptr [esi + 30]
    call ebx
    add edx, eax
    call esi
    add edx, eax
    dec ecx
    jnz again
    mov edi, [ebx + 8]
    movzx ebp, word ptr [esi + 11]
    movzx eax, byte ptr [esi + 30]
    int3`,
  expected: { edx: 2 * sumTo(200), edi: 200, ebp: 200, eax: 200 },
  ring: 0,
});

/** MOV EAX, imm32 and RET at `offset`; what is written begins two bytes before, so that of those that change only the last is code. */
const half = (offset: number): string => `
    xor edx, edx
    mov ecx, 200
    mov ebx, ${first}
    mov byte ptr [ebx + ${offset}], 0xb8
    mov byte ptr [ebx + ${offset} + 5], 0xc3
    lea esi, [ebx + ${offset}]
  again:
    mov edi, [esi - 2]
    and edi, 0x00ff0000
    mov eax, ecx
    shl eax, 24
    or edi, eax
    mov di, cx
    mov [esi - 2], edi
    call esi
    add edx, eax
    dec ecx
    jnz again
    int3`;
scenario("a store half on code", { source: half(40), expected: { edx: sumTo(200) }, ring: 0 });
scenario("a store half on code that begins a word of the bits", { source: half(32), expected: { edx: sumTo(200) }, ring: 0 });
