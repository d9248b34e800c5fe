/** Stores by x87, MMX and SSE instructions, most of which go through callouts. */
import { slot } from "../../translator/contract/slots.ts";
import { scenario, sumTo } from "./scenario.ts";

function storing(store: string, target: string): string {
  return `
    xor edx, edx
    mov ecx, 120
  again:
    mov [0x20000], ecx
    ${store}
  target:
    ${target}
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 4096, 0xcc
  .balign 16`;
}
const move = "mov eax, 0x7f7f7f7f";

scenario("FISTP m32", { source: storing("fild dword ptr [0x20000]\nfistp dword ptr [target + 1]", move), expected: { edx: sumTo(120) } });
scenario("FIST m16", {
  source: storing("fild dword ptr [0x20000]\nfist word ptr [target + 1]\nfstp st(0)", "mov eax, 0"),
  expected: { edx: sumTo(120) },
});
scenario("FISTP m64 copies the instruction", {
  source: storing(
    "mov byte ptr [0x20010], 0xb8\nmov [0x20011], ecx\nmov dword ptr [0x20015], 0x00909090\nfild qword ptr [0x20010]\nfistp qword ptr [target]",
    `${move}\nnop\nnop\nnop`,
  ),
  expected: { edx: sumTo(120) },
});
scenario("MOVD m32, MMX", { source: storing("movd mm1, ecx\nmovd dword ptr [target + 1], mm1\nemms", move), expected: { edx: sumTo(120) } });
scenario("MOVQ m64, MMX", {
  source: storing(
    "mov byte ptr [0x20010], 0xb8\nmov [0x20011], ecx\nmov dword ptr [0x20015], 0x00909090\nmovq mm3, [0x20010]\nmovq [target], mm3",
    `${move}\nnop\nnop\nnop`,
  ),
  expected: { edx: sumTo(120) },
});
scenario("MOVSS and MOVD m32, XMM", {
  source: storing("movd xmm2, ecx\nmovss dword ptr [target + 1], xmm2", `${move}\nmovd dword ptr [target2 + 2], xmm2\ntarget2:\nadd edx, 0x7f7f7f7f`),
  expected: { edx: 2 * sumTo(120) },
});
scenario("FISTTP m32", { source: storing("fild dword ptr [0x20000]\nfisttp dword ptr [target + 1]", move), expected: { edx: sumTo(120) } });
scenario("MOVBE m32", { source: storing("mov ebx, ecx\nbswap ebx\nmovbe dword ptr [target + 1], ebx", move), expected: { edx: sumTo(120) } });
scenario("PEXTRD m32 and PEXTRB m8", {
  source: storing(
    "movd xmm2, ecx\npshufd xmm2, xmm2, 0x3f\npextrd dword ptr [target + 1], xmm2, 3",
    `${move}\npextrb byte ptr [target2 + 2], xmm2, 12\ntarget2:\nadd edx, 0`,
  ),
  expected: { edx: 2 * sumTo(120) },
});
scenario("MOVDQU m128 straddling nothing, MOVDQA aligned", {
  source: `
    xor edx, edx
    mov ecx, 120
    movdqa xmm5, [code]
  again:
    mov [code + 1], ecx
    mov [code + 6], ecx
    movdqu xmm0, [code]
    movdqu [target], xmm0
  target:
    .fill 16, 1, 0xcc
    add edx, eax
    add edx, ebx
    mov [code + 1], ecx
    movdqa xmm0, [code]
    movdqa [second], xmm0
    jmp second
    .balign 16
  second:
    .fill 16, 1, 0xcc
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 4096, 0xcc
  code:
    mov eax, 0
    mov ebx, 0
    nop
    nop
    nop
    nop
    nop
    nop`,
  expected: { edx: 3 * sumTo(120) },
});
scenario("MASKMOVQ writes one byte of an instruction", {
  source: storing(
    "movd mm0, ecx\nmov dword ptr [0x20010], 0x80\nmov dword ptr [0x20014], 0\nmovq mm1, [0x20010]\nmov edi, offset target + 1\nmaskmovq mm0, mm1",
    "mov eax, 0",
  ),
  expected: { edx: sumTo(120) },
});
scenario("FNSTCW and STMXCSR write immediates", {
  source: storing("fnstcw word ptr [target + 1]\nstmxcsr dword ptr [second + 1]", "mov eax, 0\nadd edx, eax\nsecond:\nmov eax, 0"),
  prepare: (core) => {
    core.R[slot.mxcsr] = 0x1f80;
  },
  expected: { edx: 120 * (0x37f + 0x1f80) },
});
