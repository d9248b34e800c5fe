/**
 * Every kind of store, against code in every position, in loops that have long been hot with the same store going elsewhere: the pointer comes from a table, so that no
 * branch tells the rounds that hit code from those that do not. The stored value is the loop's count and becomes the immediate of `MOV EAX, 999` at `target`.
 */
import { slot } from "../../translator/contract/slots.ts";
import { scenario } from "./scenario.ts";

const rounds = 260;
/** Rounds at the end that hit the code. */
const hits = 25;
const untouched = 999;
const table = 0x22000;
const elsewhere = 0x21000;

/** Stores of ECX at [EDI]; those wider than four bytes also store the bytes that are there anyway, kept at 20204h. */
const stores: Readonly<Record<string, string>> = {
  "mov m32": "mov [edi], ecx",
  "mov m16": "mov [edi], cx",
  "mov m8, twice": "mov [edi], cl\nmov [edi + 1], ch",
  "mov through an index": "mov ebx, 1\nmov [edi + ebx * 4 - 4], ecx",
  xchg: "mov ebx, ecx\nxchg [edi], ebx",
  xadd: "mov ebx, ecx\nsub ebx, [edi]\nlock xadd [edi], ebx",
  add: "mov ebx, ecx\nsub ebx, [edi]\nadd [edi], ebx",
  cmpxchg: "mov eax, [edi]\ncmpxchg [edi], ecx",
  cmpxchg8b: "push ecx\npush edx\nmov ebx, ecx\nmov ecx, [0x20204]\nmov eax, [edi]\nmov edx, [edi + 4]\ncmpxchg8b [edi]\npop edx\npop ecx",
  "not, twice": "mov ebx, ecx\nnot ebx\nmov [0x20100], ebx\nmov [edi], ebx\nnot dword ptr [edi]",
  "and, or": "and dword ptr [edi], 0\nor [edi], ecx",
  "shl from half": "mov ebx, ecx\nshr ebx, 1\nmov [edi], ebx\nshl dword ptr [edi], 1\ntest cl, 1\nsetnz bl\nadd [edi], bl",
  "btc of every bit": "mov ebx, [edi]\nxor ebx, ecx\nmov esi, 15\n1:\nbt ebx, esi\njnc 2f\nbtc [edi], esi\n2:\ndec esi\njns 1b",
  push: "mov esi, esp\nlea esp, [edi + 4]\npush ecx\nmov esp, esi",
  "push m32": "mov [0x20100], ecx\nmov esi, esp\nlea esp, [edi + 4]\npush dword ptr [0x20100]\nmov esp, esi",
  "pop m32": "push ecx\npop dword ptr [edi]",
  "pusha, its last push":
    "mov [0x20100], esp\nmov [0x20108], edi\nmov esi, [edi + 4]\nmov ebp, [edi + 8]\nmov ebx, [edi + 16]\nmov [0x2010c], edx\nmov [0x20110], ecx\nmov edx, [edi + 20]\nmov eax, [edi + 28]\nlea esp, [edi + 32]\nmov edi, ecx\nmov ecx, [0x20108]\nmov ecx, [ecx + 24]\npusha\nmov esp, [0x20100]\nmov edx, [0x2010c]\nmov ecx, [0x20110]",
  enter: "mov esi, esp\nmov ebp, ecx\nlea esp, [edi + 4]\nenter 0, 0\nmov esp, esi",
  stosd: "mov eax, ecx\nstosd",
  "rep stosd": "mov eax, ecx\npush ecx\nmov ecx, 1\nrep stosd\npop ecx",
  "rep stosb": "push ecx\nmov eax, ecx\nmov ecx, 1\nrep stosb\nmov al, ah\nmov ecx, 1\nrep stosb\npop ecx",
  movsd: "mov [0x20200], ecx\nmov esi, 0x20200\nmovsd",
  "rep movsb over sixteen bytes": "mov [0x20200], ecx\nmov esi, 0x20200\npush ecx\nmov ecx, 16\nrep movsb\npop ecx",
  setcc: "mov byte ptr [edi + 1], ch\nmov bl, cl\nand bl, 0xfe\nmov [edi], bl\ntest cl, 1\njz 1f\nsetnz bl\nadd [edi], bl\n1:",
  "fistp m32": "mov [0x20100], ecx\nfild dword ptr [0x20100]\nfistp dword ptr [edi]",
  "fistp m64": "mov [0x20200], ecx\nfild qword ptr [0x20200]\nfistp qword ptr [edi]",
  "fist m16": "mov [0x20100], ecx\nfild dword ptr [0x20100]\nfist word ptr [edi]\nfstp st(0)",
  "movd mm": "movd mm1, ecx\nmovd [edi], mm1\nemms",
  "movq mm": "mov [0x20200], ecx\nmovq mm1, [0x20200]\nmovq [edi], mm1\nemms",
  movntq: "mov [0x20200], ecx\nmovq mm1, [0x20200]\nmovntq [edi], mm1\nemms",
  maskmovq: "movd mm0, ecx\nmov dword ptr [0x20100], 0x80808080\nmovd mm1, [0x20100]\nmaskmovq mm0, mm1\nemms",
  movss: "movd xmm1, ecx\nmovss [edi], xmm1",
  "movd xmm": "movd xmm1, ecx\nmovd [edi], xmm1",
  "movsd xmm": "mov [0x20200], ecx\nmovsd xmm1, [0x20200]\nmovsd [edi], xmm1",
  movlps: "mov [0x20200], ecx\nmovlps xmm1, [0x20200]\nmovlps [edi], xmm1",
  movhps: "mov [0x20200], ecx\nmovhps xmm1, [0x20200]\nmovhps [edi], xmm1",
  movdqu: "mov [0x20200], ecx\nmovdqu xmm1, [0x20200]\nmovdqu [edi], xmm1",
  movups: "mov [0x20200], ecx\nmovups xmm1, [0x20200]\nmovups [edi], xmm1",
  movnti: "movnti [edi], ecx",
  maskmovdqu: "movd xmm0, ecx\nmov dword ptr [0x20100], 0x80808080\nmovd xmm1, [0x20100]\nmaskmovdqu xmm0, xmm1",
};

const prologue = `
    xor edx, edx
    mov ecx, ${rounds}
    mov eax, [target + 5]
    mov [0x20204], eax
    mov eax, [target + 9]
    mov [0x20208], eax
    mov eax, [target + 13]
    mov [0x2020c], eax
    jmp again
    .balign 16`;
const pointer = `mov edi, [${table} + ecx * 4]`;

/** Where the code is that gets hit; `late`: it is executed before the store in each round. */
const positions: readonly { name: string; late?: true; source: (store: string) => string }[] = [
  {
    name: "the next instruction",
    source: (store) => `${prologue}\nagain:\n${pointer}\n${store}\ntarget: mov eax, 999\nadd edx, eax\ndec ecx\njnz again\nint3\n.fill 32, 1, 0x90`,
  },
  {
    name: "earlier in the loop",
    late: true,
    source: (store) =>
      `${prologue}\nagain:\ntarget: mov eax, 999\nadd edx, eax\njmp past\n.fill 30, 1, 0x90\npast: ${pointer}\n${store}\ndec ecx\njnz again\nint3`,
  },
  {
    name: "another block of the loop",
    source: (store) =>
      `${prologue}\nagain:\n${pointer}\n${store}\ntest edx, edx\njs over\ntarget: mov eax, 999\nadd edx, eax\nover: dec ecx\njnz again\nint3\n.fill 32, 1, 0x90`,
  },
  {
    name: "a function called next",
    source: (store) =>
      `${prologue}\nagain:\n${pointer}\n${store}\ncall f\nadd edx, eax\ndec ecx\njnz again\nint3\n.balign 16\nf: nop\ntarget: mov eax, 999\nret\n.fill 32, 1, 0x90`,
  },
  {
    name: "behind the call of the function that stores",
    source: (store) =>
      `${prologue}\nagain:\ncall f\ntarget: mov eax, 999\nadd edx, eax\ndec ecx\njnz again\nint3\n.fill 32, 1, 0x90\nf: ${pointer}\n${store}\nret`,
  },
  {
    name: "a function on another page",
    source: (store) =>
      `${prologue}\nagain:\n${pointer}\n${store}\ncall f\nadd edx, eax\ndec ecx\njnz again\nint3\n.balign 4096, 0xcc\nf: nop\ntarget: mov eax, 999\nret\n.fill 32, 1, 0x90`,
  },
];

for (const { name, late, source } of positions) {
  for (const [kind, store] of Object.entries(stores)) {
    let expected = 0;
    for (let k = rounds; k >= 1; k--) {
      const stored = late === true ? k + 1 : k;
      expected += stored <= hits ? stored : untouched;
    }
    scenario(`${name}: ${kind}`, {
      source: source(store),
      prepare: (core, program) => {
        for (let k = 1; k <= rounds; k++) core.physical.i32[(table >>> 2) + k] = k <= hits ? program.labels["target"] + 1 : elsewhere;
        // What is beside the place elsewhere is the same as beside the immediate.
        core.physical.u8.set(core.bytes(program.labels["target"] - 15, 64), elsewhere - 16);
        core.R[slot.fpuControl] = 0x37f;
      },
      expected: { edx: expected, ecx: 0 },
      limit: 60_000,
      only: /^cold, ring|hot.*(25|150)/,
    });
  }
}
