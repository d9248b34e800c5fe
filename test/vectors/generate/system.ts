/**
 * What user mode may do with segment registers and descriptors, what it may not do at all (#GP), and encodings that are none (#UD).
 * Selectors refer to the LDT of layout.ts and to the two flat GDT segments every process has.
 */
import { layout } from "../layout.ts";
import { type CaseGroup, type CpuState, defaultState, register } from "../state.ts";
import { littleEndian, memoryForm, operandOffset } from "./encoder.ts";
import { integer, type Random } from "./random.ts";
import { addChunk, type Context, expandRow, type Row, randomFlags, row } from "./rows.ts";
import { stackPointer } from "./stack.ts";

const { eax, ebx, ecx, edx, esp, esi } = register;

/** Null, flat data and code, LDT of every kind, beyond both tables. RPL 3 unless told. */
const loadable = [0, 1, 2, 3, 0x2b, 0x28, 0x2a, 0x23, 0x07, 0x04, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0xfffb, 0xffff, 0x8003];

function chooseSelector(r: Random): number {
  return r.pick(loadable);
}

const segmentOrder = ["es", "cs", "ss", "ds", "fs", "gs"];

function selectorInRegister(state: CpuState, { r, memory, rm, offset }: Context): void {
  const selector = chooseSelector(r);
  if (memory) {
    state.memory.pop();
    addChunk(state, offset, littleEndian(selector, 2));
  } else state.gpr[rm] = ((r.next() & 0xffff0000) | selector) >>> 0;
}

/** What SS takes: the one flat data segment with RPL 3; everything else faults. */
const stackSelectors = [0x2b, 0x2b, 0, 3, 0x28, 0x2a, 0x23, 0x0f, 0x1f, 0x27, 0x2f, 0x04, 0x3f, 0xfffb];

function stackSelector(state: CpuState, c: Context): void {
  const selector = c.r.pick(stackSelectors);
  if (c.memory) {
    state.memory.pop();
    // What the background happens to hold would not do.
    if (c.offset < 0 || c.offset > layout.dataSize - 2) return;
    addChunk(state, c.offset, littleEndian(selector, 2));
  } else state.gpr[c.rm] = ((c.r.next() & 0xffff0000) | selector) >>> 0;
}

function rows(): Row[] {
  const list: Row[] = [];
  for (const [n, name] of segmentOrder.entries()) {
    // Loads of CS are no instruction; SS carries the stack that the capture itself runs on.
    if (n !== 1 && n !== 2)
      list.push(
        row(`mov.sreg 8e/${n} Ew`, { prepare: selectorInRegister, weight: name === "fs" ? 2 : 1 }),
        row(`mov.sreg 66:8e/${n} Ew`, { prepare: selectorInRegister, weight: 0.3 }),
      );
    if (n < 4) list.push(row(`mov.sreg 8c/${n} Mw`), row(`mov.sreg 8c/${n} Rv`));
  }
  list.push(row("mov.sreg 8e/2 Ew", { prepare: stackSelector, weight: 2 }));
  list.push(row("mov.sreg 8c/4 Rv"), row("mov.sreg 8c/5 Rv"), row("mov.sreg 8c/4 Mw"));
  list.push(
    row("arpl 63 Ew,Gw", { weight: 3 }),
    row("arpl 66:63 Ew,Gw"),
    row("verr 66:0f00/4 Ew", { prepare: selectorInRegister }),
    row("verw 66:0f00/5 Ew", { prepare: selectorInRegister }),
  );
  // LAR and LSL of the flat GDT segments too: every Linux gives them the same access rights and limit.
  list.push(row("lar 0f02 Gv,Ew", { prepare: selectorInRegister, weight: 3 }), row("lsl 0f03 Gv,Ew", { prepare: selectorInRegister, weight: 3 }));
  list.push(row("verr 0f00/4 Ew", { prepare: selectorInRegister, weight: 3 }), row("verw 0f00/5 Ew", { prepare: selectorInRegister, weight: 3 }));
  return list;
}

const single = (name: string, bytes: number[], states: CpuState[]): CaseGroup => ({ name, bytes, branch: false, usesFpu: false, states });

function states(r: Random, n: number, change: (s: CpuState) => void = () => {}): CpuState[] {
  return Array.from({ length: n }, () => {
    const state = defaultState();
    state.eflags = randomFlags(r);
    change(state);
    return state;
  });
}

/** CLI, STI, HLT and the rest of ring 0's instructions: #GP(0) in ring 3. Left out: those the kernel may emulate or allow. */
const privileged: readonly [string, number[]][] = [
  ["cli", [0xfa]],
  ["sti", [0xfb]],
  ["hlt", [0xf4]],
  ["clts", [0x0f, 0x06]],
  ["invd", [0x0f, 0x08]],
  ["wbinvd", [0x0f, 0x09]],
  ["wrmsr", [0x0f, 0x30]],
  ["rdmsr", [0x0f, 0x32]],
  ["mov.cr", [0x0f, 0x20, 0xc0]],
  ["mov.cr", [0x0f, 0x20, 0xd8]],
  ["mov.cr", [0x0f, 0x22, 0xc0]],
  ["mov.cr", [0x0f, 0x22, 0xd8]],
  ["mov.cr", [0x0f, 0x20, 0xe0]],
  ["mov.dr", [0x0f, 0x21, 0xf8]],
  ["mov.dr", [0x0f, 0x23, 0xf8]],
  ["mov.dr", [0x0f, 0x21, 0xc1]],
  ["mov.dr", [0x0f, 0x23, 0xc1]],
  ["lgdt", [0x0f, 0x01, 0x13]],
  ["lidt", [0x0f, 0x01, 0x1b]],
  ["lmsw", [0x0f, 0x01, 0xf0]],
  ["invlpg", [0x0f, 0x01, 0x3b]],
  ["lldt", [0x0f, 0x00, 0xd0]],
  ["ltr", [0x0f, 0x00, 0xd8]],
];

/** #UD on every 32-bit CPU: reserved digits, register forms of memory-only instructions, LOCK where it may not stand. */
const invalid: readonly number[][] = [
  [0x0f, 0x0b],
  [0xfe, 0xd0],
  [0xfe, 0xf8],
  [0xfe, 0x10],
  [0xff, 0xf8],
  [0xff, 0x3b],
  [0xc6, 0xc8, 1],
  [0xc7, 0xd0, 1, 2, 3, 4],
  [0x8f, 0xc8],
  [0x8d, 0xc0],
  [0x62, 0xc0],
  [0xff, 0xd8],
  [0xff, 0xe8],
  [0x0f, 0xc7, 0xc8],
  [0x8c, 0xf0],
  [0x8c, 0xf8],
  [0x8e, 0xf0],
  [0x8e, 0xf8],
  [0x8e, 0xc8],
  [0x0f, 0xb2, 0xc0],
  [0x0f, 0xb4, 0xc0],
  [0x0f, 0xb5, 0xc0],
  [0x0f, 0xba, 0xc0, 1],
  [0x0f, 0xba, 0x1b, 1],
  [0x0f, 0x00, 0xf0],
  [0x0f, 0x20, 0xc8],
  [0x0f, 0x20, 0xe8],
  [0x0f, 0x22, 0xf8],
  // LOCK: with a register destination, with instructions that cannot take it.
  [0xf0, 0x01, 0xc0],
  [0xf0, 0x03, 0x03],
  [0xf0, 0x38, 0x03],
  [0xf0, 0x3b, 0x03],
  [0xf0, 0x80, 0x3b, 1],
  [0xf0, 0x85, 0x03],
  [0xf0, 0x88, 0x03],
  [0xf0, 0x8d, 0x03],
  [0xf0, 0x90],
  [0xf0, 0xf6, 0x23],
  [0xf0, 0xf6, 0x33],
  [0xf0, 0xd0, 0x03],
  [0xf0, 0x0f, 0xa3, 0x03],
  [0xf0, 0x0f, 0xba, 0x23, 1],
  [0xf0, 0x0f, 0xa5, 0x03],
  [0xf0, 0x0f, 0xaf, 0x03],
  [0xf0, 0xff, 0xc0],
  [0xf0, 0xfe, 0xc8],
  [0xf0, 0xf7, 0xd0],
  [0xf0, 0x87, 0xc0],
  [0xf0, 0x0f, 0xb1, 0xc0],
  [0xf0, 0x0f, 0xc1, 0xc0],
  [0xf0, 0xa4],
  [0xf0, 0x50],
  [0xf0, 0x9c],
  [0xf0, 0xff, 0x33],
  [0xf0, 0xf8],
  [0xf0, 0xeb, 0x20],
  // The x87's and SSE's.
  [0xd9, 0xd1],
  [0xd9, 0xe2],
  [0xd9, 0xe6],
  [0xd9, 0xef],
  [0xd9, 0x0b],
  [0xda, 0xe8],
  [0xda, 0xe0],
  [0xdb, 0xf8],
  [0xdb, 0xe5],
  [0xdb, 0x23],
  [0xdb, 0x33],
  [0xdd, 0x2b],
  [0xdd, 0xf0],
  [0xde, 0xd8],
  [0xdf, 0xe1],
  [0xdf, 0xf8],
  [0x0f, 0x13, 0xc0],
  [0x0f, 0x17, 0xc0],
  [0x0f, 0x2b, 0xc0],
  [0x0f, 0xe7, 0xc0],
  [0x66, 0x0f, 0xe7, 0xc0],
  [0x0f, 0xae, 0xc0],
  [0x0f, 0xae, 0xd0],
  [0x66, 0x0f, 0x12, 0xc0],
  [0x66, 0x0f, 0x16, 0xc0],
  [0x0f, 0x71, 0xc0, 1],
  [0x0f, 0x72, 0xc8, 1],
  [0x0f, 0x73, 0xc0, 1],
  [0x0f, 0x73, 0xd8, 1],
  [0x0f, 0x71, 0x13, 1],
  [0x0f, 0xf7, 0x03],
  [0x0f, 0xd7, 0x03],
  [0x0f, 0x50, 0x03],
  [0x0f, 0xc5, 0x03, 1],
  [0x0f, 0x04],
  [0x0f, 0x0a],
  [0x0f, 0x0c],
  [0x0f, 0x24, 0xc0],
  [0x0f, 0x26, 0xc0],
  [0x0f, 0x36],
  [0x0f, 0x39],
  [0x0f, 0x3b],
  [0x0f, 0x7a, 0xc0],
  [0x0f, 0x7b, 0xc0],
  [0x0f, 0xa6, 0xc0],
  [0x0f, 0xb9, 0xc0],
  [0x0f, 0xff, 0xc0],
];

export function* system(r: Random): Generator<CaseGroup> {
  for (const rw of rows()) yield* expandRow(rw, r, { encodings: 8, states: 9 });
  // PUSH and POP of segment registers.
  for (const [name, opcode] of [
    ["es", [0x06]],
    ["cs", [0x0e]],
    ["ss", [0x16]],
    ["ds", [0x1e]],
    ["fs", [0x0f, 0xa0]],
    ["gs", [0x0f, 0xa8]],
  ] as const)
    for (const prefix of [[], [0x66]]) {
      yield single(
        `push.sreg ${name}/${prefix.length ? 16 : 32}`,
        [...prefix, ...opcode],
        states(r, 30, (s) => {
          s.gpr[esp] = stackPointer(r, 4);
        }),
      );
      if (name === "cs") continue;
      yield single(
        `pop.sreg ${name}/${prefix.length ? 16 : 32}`,
        [...prefix, ...opcode.map((b, i) => (i === opcode.length - 1 ? b + 1 : b))],
        states(r, 60, (s) => {
          do s.gpr[esp] = stackPointer(r, 4);
          while (name === "ss" && s.gpr[esp] + 2 > layout.data + layout.dataSize);
          addChunk(s, s.gpr[esp] - layout.data, [...littleEndian(name === "ss" ? r.pick(stackSelectors) : chooseSelector(r), 2), 0xff, 0xff]);
        }),
      );
    }
  for (const [name, opcode] of [
    ["les", [0xc4]],
    ["lds", [0xc5]],
    ["lfs", [0x0f, 0xb4]],
    ["lgs", [0x0f, 0xb5]],
    ["lss", [0x0f, 0xb2]],
  ] as const)
    for (const size of [4, 2])
      for (let k = 0; k < 6; k++) {
        const reg = r.below(8);
        const form = memoryForm(r, { avoid: [], offset: operandOffset(r, size + 2, 2, 3) });
        yield single(
          `${name} Gv,Mp/${size * 8}`,
          [...form.prefixes, ...(size === 2 ? [0x66] : []), ...opcode, form.modrm | (reg << 3), ...form.tail],
          states(r, 10, (s) => {
            const at = form.place(s, form.fixedOffset ?? operandOffset(r, size + 2, 2), r);
            addChunk(s, at, [
              ...littleEndian(integer(r, size), size),
              ...littleEndian(name === "lss" ? r.pick(stackSelectors) : chooseSelector(r), 2),
            ]);
          }).filter((s) => name !== "lss" || s.memory[0]?.bytes.length === size + 2),
        );
      }
  // Accesses through every kind of segment, inside and outside its limit.
  for (const selector of [0, 0x07, 0x0f, 0x17, 0x1f, 0x37])
    for (const [name, bytes, size] of [
      ["mov Gv,Ev", [0x64, 0x8b, 0x06], 4],
      ["mov Ev,Gv", [0x64, 0x89, 0x06], 4],
      ["mov Gb,Eb", [0x64, 0x8a, 0x06], 1],
      ["mov Ev,Gv", [0x64, 0x66, 0x89, 0x06], 2],
      ["add Ev,Gv", [0x64, 0x01, 0x06], 4],
      ["xchg Ev,Gv", [0x64, 0x87, 0x06], 4],
      ["mov Gv,Ev", [0x67, 0x64, 0x8b, 0x04], 4],
      ["push Ev", [0x64, 0xff, 0x36], 4],
      ["movq Pq,Qq", [0x64, 0x0f, 0x6f, 0x06], 8],
    ] as const) {
      const limit = selector === 0x37 ? layout.dataSize : layout.dataSize;
      yield {
        ...single(
          `${name} segment`,
          [...bytes],
          states(r, 12, (s) => {
            s.segments[2] = selector;
            s.gpr[esi] =
              (r.pick([
                0,
                0x10,
                0x700,
                0xffe,
                0xfff,
                0x1000,
                0x1001,
                0x17f0,
                limit - size,
                limit - size + 1,
                limit - 1,
                limit,
                0xffffffff,
                0xfffffffe,
                0x80000000,
              ]) |
                0) >>>
              0;
          }),
        ),
        usesFpu: size === 8,
      };
    }
  for (const [name, bytes] of privileged)
    yield single(
      name,
      bytes,
      states(r, 4, (s) => {
        s.gpr[ebx] = layout.data + 0x100;
        s.gpr[eax] = 0x2b;
        s.gpr[ecx] = 0x174;
        s.gpr[edx] = 0;
      }),
    );
  for (const bytes of invalid)
    yield single(
      "invalid",
      bytes,
      states(r, 3, (s) => {
        s.gpr[ebx] = layout.data + 0x100;
      }),
    );
  // The 15-byte limit: fourteen prefixes and a byte run, one more is #GP(0).
  for (const prefix of [0x66, 0x3e, 0x67, 0xf3]) {
    yield single("nop prefixes", [...Array<number>(14).fill(prefix), 0x90], states(r, 2));
    yield single("nop prefixes", [...Array<number>(15).fill(prefix), 0x90], states(r, 2));
    yield single("mov prefixes", [...Array<number>(prefix === 0x67 ? 13 : 13).fill(prefix), 0x89, 0xd8], states(r, 2));
    yield single("mov prefixes", [...Array<number>(14).fill(prefix), 0x89, 0xd8], states(r, 2));
  }
  yield single(
    "mov prefixes",
    [...Array<number>(9).fill(0x3e), 0xc7, 0x03, 1, 2, 3, 4],
    states(r, 2, (s) => {
      s.gpr[ebx] = layout.data + 0x200;
    }),
  );
  yield single(
    "mov prefixes",
    [...Array<number>(10).fill(0x3e), 0xc7, 0x03, 1, 2, 3, 4],
    states(r, 2, (s) => {
      s.gpr[ebx] = layout.data + 0x200;
    }),
  );
}

/** Alignment checks: EFLAGS.AC set, CR0.AM set by the kernel. */
export function* alignment(r: Random): Generator<CaseGroup> {
  const forms: [string, number[], number][] = [
    ["mov Gv,Ev/32", [0x8b, 0x06], 4],
    ["mov Ev,Gv/32", [0x89, 0x06], 4],
    ["mov Gv,Ev/16", [0x66, 0x8b, 0x06], 2],
    ["mov Gb,Eb", [0x8a, 0x06], 1],
    ["add Ev,Gv/32", [0x01, 0x06], 4],
    ["lods d", [0xad], 4],
    ["movzx Gv,Ew", [0x0f, 0xb7, 0x06], 2],
    ["cmpxchg8b Mq", [0x0f, 0xc7, 0x0e], 8],
    ["xchg Ev,Gv/32", [0x87, 0x06], 4],
    ["push Ev/32", [0xff, 0x36], 4],
    ["bt Ev,Gv/32", [0x0f, 0xa3, 0x06], 4],
  ];
  for (const [name, bytes] of forms)
    yield single(
      `${name} alignment`,
      bytes,
      states(r, 12, (s) => {
        s.eflags |= 0x40000;
        s.gpr[esi] = layout.data + 0x200 + r.below(12);
        s.gpr[eax] = 5;
      }),
    );
  for (const [name, bytes] of [
    ["push Zv/32", [0x50]],
    ["pop Zv/32", [0x58]],
    ["pusha", [0x60]],
    ["popa", [0x61]],
    ["leave/32", [0xc9]],
  ] as const) {
    yield single(
      `${name} alignment`,
      [...bytes],
      states(r, 8, (s) => {
        s.eflags |= 0x40000;
        s.gpr[esp] = layout.data + 0x400 + r.below(8);
        s.gpr[register.ebp] = layout.data + 0x500 + r.below(8);
      }),
    );
  }
  // MMX, SSE and what came after it. Operands of 16 bytes are #GP, or may be either (SDM vol. 3, 6.15).
  for (const [name, bytes] of [
    ["popcnt Gv,Ev/32", [0xf3, 0x0f, 0xb8, 0x06]],
    ["crc32 Gd,Ev/32", [0xf2, 0x0f, 0x38, 0xf1, 0x06]],
    ["crc32 Gd,Ev/16", [0x66, 0xf2, 0x0f, 0x38, 0xf1, 0x06]],
    ["movbe Gv,Mv/32", [0x0f, 0x38, 0xf0, 0x06]],
    ["movbe Mv,Gv/32", [0x0f, 0x38, 0xf1, 0x06]],
    ["movbe Mv,Gv/16", [0x66, 0x0f, 0x38, 0xf1, 0x06]],
    ["fisttp int16", [0xdf, 0x0e]],
    ["fisttp int32", [0xdb, 0x0e]],
    ["fisttp int64", [0xdd, 0x0e]],
    ["fld real32", [0xd9, 0x06]],
    ["fld real64", [0xdd, 0x06]],
    ["fld real80", [0xdb, 0x2e]],
    ["fild int64", [0xdf, 0x2e]],
    ["fadd real64", [0xdc, 0x06]],
    ["fcom real64", [0xdc, 0x16]],
    ["fst real64", [0xdd, 0x16]],
    ["fstp real80", [0xdb, 0x3e]],
    ["fistp int64", [0xdf, 0x3e]],
    ["fbld", [0xdf, 0x26]],
    ["fbstp", [0xdf, 0x36]],
    ["fnstcw", [0xd9, 0x3e]],
    ["pshufb Pq,Qq", [0x0f, 0x38, 0x00, 0x06]],
    ["pshufb Vdq,Wdq", [0x66, 0x0f, 0x38, 0x00, 0x06]],
    ["movddup Vq,Wq", [0xf2, 0x0f, 0x12, 0x06]],
    ["pmovsxbw Vdq,Wq", [0x66, 0x0f, 0x38, 0x20, 0x06]],
    ["pmovsxbd Vdq,Wd", [0x66, 0x0f, 0x38, 0x21, 0x06]],
    ["pmovsxbq Vdq,Ww", [0x66, 0x0f, 0x38, 0x22, 0x06]],
    ["pextrw Rd/Mw,Vdq,Ib", [0x66, 0x0f, 0x3a, 0x15, 0x06, 1]],
    ["pextrd Ed,Vdq,Ib", [0x66, 0x0f, 0x3a, 0x16, 0x06, 1]],
    ["pinsrd Vdq,Ed,Ib", [0x66, 0x0f, 0x3a, 0x22, 0x06, 1]],
    ["insertps Vps,Wss,Ib", [0x66, 0x0f, 0x3a, 0x21, 0x06, 0x10]],
    ["roundss Vss,Wss,Ib", [0x66, 0x0f, 0x3a, 0x0a, 0x06, 0]],
    ["roundsd Vsd,Wsd,Ib", [0x66, 0x0f, 0x3a, 0x0b, 0x06, 0]],
    ["movss Vss,Wss", [0xf3, 0x0f, 0x10, 0x06]],
    ["movsd Wsd,Vsd", [0xf2, 0x0f, 0x11, 0x06]],
    ["movq Pq,Qq", [0x0f, 0x6f, 0x06]],
  ] as const) {
    yield {
      ...single(
        `${name} alignment`,
        [...bytes],
        states(r, 24, (s) => {
          s.eflags |= 0x40000;
          s.gpr[esi] = layout.data + 0x200 + r.below(16);
        }),
      ),
      usesFpu: bytes[0] >= 0x66 || bytes[0] >= 0xd8,
    };
  }
}
