/**
 * The blocks whose translation is kept as text: every family of instructions, every kind of control flow, every mode. The assembly is GNU as in Intel
 * syntax; `bytes.json` holds what it assembles to (assemble.ts writes it), so that the tests need no assembler.
 */
import { mode } from "../../translator/contract/mode-key.ts";

export interface GoldenCase {
  readonly name: string;
  readonly mode: number;
  readonly assembly: string;
}

const { code32, stack32, flat, user, protected: protectedMode, virtual8086 } = mode;
const kernel = code32 | stack32 | flat | protectedMode;
const program = kernel | user;
const segmented = code32 | stack32 | protectedMode;
const protected16 = flat | protectedMode;
const real = mode.wide;
const v8086 = virtual8086 | user | mode.wide;

const block = (name: string, assembly: string, key: number = kernel): GoldenCase => ({ name, mode: key, assembly });

export const goldenCases: readonly GoldenCase[] = [
  // Data transfer.
  block("mov", "mov eax, [ebp-8]; mov [esp+4], ecx; mov dx, [esi+2*ecx]; mov [ebx], ah; mov bh, cl; mov si, di; mov edi, 0x12345678; mov byte ptr [0x8000], 5; mov al, [0x8000]; mov [0x8004], eax"),
  block("lea", "lea eax, [ebx+4*ecx-16]; lea ecx, [eax+eax]; lea edx, [8*esi]; lea ax, [bx+si+4]; lea esp, [esp+32]"),
  block("extend", "movzx eax, byte ptr [esi]; movsx ecx, word ptr [edi+2]; movzx edx, bl; movsx ebx, ah; movsx ax, dl; cwde; cdq; cbw; cwd"),
  block("stack", "push eax; push 5; push dword ptr [ebx]; pop ecx; pop dword ptr [esp+8]; push esp; pop esp; push cx; pop dx"),
  block("frame", "push ebp; mov ebp, esp; sub esp, 16; mov eax, [ebp+8]; leave; ret"),
  block("read-modify-write", "add [esi], eax; mov [esi], edx; lar esi, cx; mov [esi], ebx; sub [esi], ecx; add esi, 4; mov [esi], eax"),
  block("enter-pusha", "enter 24, 0; pusha; popa; leave; ret 8"),
  block("exchange", "xchg eax, ecx; xchg [ebx], edx; cmpxchg [esi], ecx; xadd [edi], eax; bswap edx; lock cmpxchg8b [ebp]; xchg ah, dl"),
  block("cmov-setcc", "cmp eax, ecx; cmovl edx, ebx; cmova esi, [edi]; sete al; setg ch; setnp byte ptr [ebx]"),
  block("xlat-lahf", "xlat; lahf; sahf; nop; cmc; stc; clc; cld; std"),
  // Arithmetic.
  block("add-sub", "add eax, ecx; sub edx, [ebx]; add [esi], edi; sub byte ptr [esi], 1; add al, 7; add cx, dx; cmp eax, 100; cmp word ptr [ebx], -1"),
  block("carry-chain", "add eax, [esi]; adc edx, [esi+4]; sbb ecx, ebx; adc al, 0; neg edi; sbb eax, eax"),
  block("inc-dec-neg-not", "inc eax; dec dword ptr [ebx]; neg ecx; not edx; inc bh; dec si; not byte ptr [edi]; neg word ptr [esi]"),
  block("multiply", "mul ecx; imul ebx; imul eax, [esi]; imul ecx, edx, 100; mul byte ptr [edi]; imul dx, cx; imul bl"),
  block("divide", "xor edx, edx; div ecx; idiv dword ptr [ebx]; div bl; idiv cx; cdq; idiv esi"),
  block("decimal", "daa; das; aaa; aas; aam; aad"),
  // Logic.
  block("logic", "and eax, 0xff; or ecx, [ebx]; xor edx, edx; test eax, eax; test cl, 1; and [esi], edi; xor byte ptr [edi], 0x80; or bx, cx; and ebx, -16"),
  block("shift-immediate", "shl eax, 4; shr ecx, 1; sar edx, 31; shl byte ptr [ebx], 1; shr si, 3; sar bh, 2; shl edi, 0"),
  block("shift-cl", "shl eax, cl; shr dword ptr [ebx], cl; sar dx, cl; shl bl, cl"),
  block("rotate", "rol eax, 5; ror ecx, cl; rcl edx, 1; rcr ebx, 1; rcl esi, cl; rol bl, 4; rcr byte ptr [edi], cl; ror dx, 1"),
  block("shift-double", "shld eax, edx, 8; shrd [ebx], ecx, cl; shld esi, edi, cl; shrd dx, ax, 4"),
  block("bits", "bt eax, ecx; bts [ebx], edx; btr eax, 5; btc ecx, 31; bsf eax, ecx; bsr edx, [esi]; bt dword ptr [edi], 3; lock bts [ebx], eax"),
  // Strings.
  block("string-once", "movsb; movsd; stosd; lodsb; lodsd; scasb; cmpsd; stosw"),
  block("string-repeated", "rep movsd; rep stosb; repne scasb; repe cmpsb; rep lodsw"),
  // Control flow.
  block("call-return", "push 1; call . + 64; add esp, 4; test eax, eax; ret"),
  block("indirect", "mov eax, [4*ecx + 0x1000]; jmp eax; call [ebx+8]; jmp dword ptr [4*edx+0x2000]; ret"),
  block("conditions", "1: cmp eax, ecx; jl 1b; jle 1b; jb 1b; jbe 1b; js 1b; jo 1b; jp 1b; je 1b; jg 1b"),
  block("conditions-narrow", "1: cmp al, 10; jb 1b; cmp ax, cx; jl 1b; test bl, bl; jle 1b; sub dl, [esi]; jg 1b; and cx, 7; jne 1b"),
  block("loop", "1: add eax, [esi]; add esi, 4; loop 1b; 2: dec edx; loopne 2b; jecxz 1b"),
  block("loop-bytes", "1: movzx ecx, byte ptr [edx]; inc edx; xor eax, ecx; dec edi; sub eax, ebx; jnz 1b"),
  block("loop-sieve", "1: mov byte ptr [eax+edx], 0; add edx, ecx; cmp edx, 8192; jle 1b"),
  block("loop-nested", "1: xor ebx, ebx; 2: mov edx, eax; and edx, 1; neg edx; and edx, 0xedb88320; shr eax, 1; xor eax, edx; inc ebx; cmp ebx, 8; jl 2b; inc esi; cmp esi, edi; jne 1b"),
  block("diamond", "test eax, eax; js 1f; mov ecx, 1; jmp 2f; 1: mov ecx, -1; neg eax; 2: mov [edi], ecx; cmp eax, 5; jae 3f; inc edx; 3: ret"),
  block("self-loop", "1: jmp 1b"),
  // The VMM.
  block("flags", "pushf; pop eax; push eax; popf; sti; cli"),
  block("halt", "sti; hlt; jmp . - 2"),
  block("ports", "in al, 0x60; mov edx, 0x3f8; out dx, al; in eax, dx; out 0x80, al; insb; rep outsb; rep insw"),
  block("control-registers", "mov eax, cr0; or eax, 0x10000; mov cr0, eax; mov cr3, eax; mov ecx, cr2; clts; smsw ax; lmsw ax; mov cr4, edx; mov eax, dr7; mov dr6, ecx; invlpg [eax]; wbinvd"),
  block("descriptor-tables", "lgdt [eax]; lidt [ebx]; sgdt [ecx]; sidt [edx]; lldt ax; ltr cx; sldt bx; str dx; lar eax, cx; lsl ebx, dx; verr ax; verw word ptr [esi]; arpl cx, ax"),
  block("segment-registers", "mov ax, ds; mov ds, ax; mov fs, [ebx]; push es; pop es; push gs; pop gs; mov ss, cx; les eax, [esi]; lgs edx, [edi]"),
  block("far-transfers", "lcall 8, 0x1000; ljmp 0x10, 0x2000; lret; lcall [ebx]; ljmp [esi]; lret 8"),
  block("interrupts", "int 0x80; int3; into; bound eax, [ebx]; iret; .byte 0xf1; ud2"),
  block("sysenter", "sysenter; sysexit"),
  block("identification", "cpuid; rdtsc; rdmsr; wrmsr; rdpmc"),
  // Floating point and vectors.
  block("x87-arithmetic", "fld dword ptr [esi]; fmul qword ptr [edi]; faddp; fild word ptr [ebx]; fdivrp st(1), st; fsqrt; fst dword ptr [esi]; fstp tbyte ptr [edi]"),
  block("x87-compare-control", "fcomi st, st(1); fucompp; fnstsw ax; fldcw [esp]; fnstcw [esp]; fxch st(2); fld1; fldz; fsin; fptan; fninit; fwait; fcmovb st, st(1); fistp qword ptr [ecx]; fnsave [ebx]"),
  block("mmx", "movq mm0, [esi]; paddb mm0, mm1; pmaddwd mm2, [edi]; punpcklbw mm3, mm0; psllq mm0, 4; pcmpeqd mm1, mm2; packuswb mm1, mm2; movd eax, mm0; emms"),
  block("sse", "movups xmm0, [esi]; addps xmm0, xmm1; mulss xmm2, [edi]; shufps xmm0, xmm1, 0x1b; andps xmm3, [ebx]; comiss xmm0, xmm1; movmskps eax, xmm0; rsqrtss xmm4, xmm5; movhps [edi], xmm0; prefetchnta [eax]"),
  block("sse2-double", "movsd xmm0, [esi]; addsd xmm0, xmm1; mulsd xmm0, [edi]; divsd xmm2, xmm3; sqrtsd xmm4, xmm4; ucomisd xmm0, xmm1; cvtsi2sd xmm5, eax; cvttsd2si ecx, xmm5; movsd [esi], xmm0; addpd xmm1, [ebx]"),
  block("sse2-integer", "movdqa xmm0, [esi]; paddd xmm0, xmm1; pmuludq xmm2, xmm3; pshufd xmm4, xmm0, 0xb1; pslldq xmm4, 4; pand xmm0, [edi]; movd xmm5, eax; pmovmskb ecx, xmm0; movdqu [edi], xmm0; pxor xmm6, xmm6"),
  block("sse-state", "ldmxcsr [eax]; stmxcsr [ebx]; fxsave [ecx]; fxrstor [edx]; clflush [esi]; pause; lfence; mfence; sfence; movnti [edi], eax"),
  // Modes.
  block("user", "mov eax, [ebx]; add eax, ecx; mov [ebx], eax; push eax; mov dword ptr gs:[0], edx; ret", program),
  block("user-loop", "1: mov al, [esi]; mov [edi], al; inc esi; inc edi; test al, al; jne 1b; ret", program),
  block("segmented", "mov eax, [ebx]; mov fs:[4*ecx], edx; add [esp+4], eax; push ebx; cs mov dl, [esi]; movsb; jne . + 16", segmented),
  block("protected-16", ".code16; mov ax, [bx+si]; push ax; add eax, [esp]; addr32 mov ecx, [eax+4*edx]; jmp . + 20", protected16),
  block("real", ".code16; mov ax, [bx+si+2]; mov ds, ax; push bp; mov bp, sp; add word ptr [bp+4], 7; mov es:[di], al; lodsw; loop . - 8; callw . + 100; retw", real),
  block("real-far", ".code16; ljmpw 0xf000, 0xfff0; int 0x10; iretw; retfw", real),
  block("virtual-8086", ".code16; pushfw; cli; mov ax, [bx]; out dx, al; int 0x21; iretw", v8086),
  block("undefined", "mov eax, 1; ud2"),
];
