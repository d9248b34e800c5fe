/**
 * Random programs of MMX, SSE, AES and SHA instructions, in loops with branches: what a region keeps of vector registers from one instruction to the next (whole vectors, words, the numbers in them), and writes back where it
 * leaves, must be what tier 0 has, which works on memory and calls for whatever is not integer arithmetic. In WebAssembly with and without vectors, and in JavaScript.
 */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { Random } from "../differential/random.ts";
import { Core, place } from "../support/core.ts";
import { type Encoding, elementOf, encodings } from "./catalogue.ts";

const data = place.data;
/** Rows of 16 bytes that programs read: as many as the counter tells apart, and some behind them. What they write comes next. */
const rows = 16;
const inputBytes = 16 * (rows + 8);
const dataBytes = inputBytes + 16 * (rows + 8);
const rounds = 48;
/** EDX, EBX: the others are counter and pointers. */
const generalRegisters = [2, 3];

/** Those that need more than operands, or would end nearly every program. */
const without = new Set(["ldmxcsr"]);
const catalogue = encodings().filter(({ name }) => !without.has(name));

/** Values by what happens to them: sums and products of these are exact; of those they are not; and whatever needs a closer look. */
const exact = [0, 0, 1, -1, 2, 3, -4, 0.5, 1.5, 8, 10, -7];
const inexact = [0.1, -1.3, 1e10, 1e-10, 123456.789, -3.3e-3, 7, 0, 1 / 3];
const special = {
  f64: [-0, 1e-310, 2.3e-308, 1.7e308, -1e-200, 1e-160, Number.POSITIVE_INFINITY, Number.NaN, 2 ** 40, 2 ** -60],
  f32: [-0, 1e-40, 1.2e-38, 3e38, -1e-20, 1e-30, Number.NEGATIVE_INFINITY, Number.NaN, 2 ** 30, 2 ** -30],
} as const;
/** All masked, mostly; precision recorded or not; other directions; flush to zero; something unmasked. */
const controls = [0x1f80, 0x1f80, 0x1f80, 0x1fa0, 0x1fa0, 0x1fa0, 0x3f80, 0x5fa0, 0x7fbf, 0x9fa0, 0x1f00, 0x1d80, 0x1e80];

function instruction(random: Random, e: Encoding): number[] {
  const { bytes, operands, hasImmediate, isMemory } = e;
  const out = [...bytes];
  if (operands !== "") {
    const modrm = out.pop() as number;
    const codes = operands.split(",");
    // Few registers: they meet more often.
    const register = (isGeneral: boolean): number => (isGeneral ? random.pick(generalRegisters) : random.below(4));
    // A group's digit is not an operand.
    const isGroup = !codes.some((code) => /^[GPV]/.test(code));
    const reg = isGroup ? (modrm >> 3) & 7 : register(codes.some((code) => code.startsWith("G")));
    if (isMemory) {
      // Mostly aligned.
      const at = random.below(12) === 0 ? random.below(112) : 16 * random.below(7);
      out.push(0x46 | (reg << 3), at);
    } else out.push(0xc0 | (reg << 3) | register(codes.some((code) => /^[ER]/.test(code))));
  }
  if (hasImmediate) out.push(random.below(3) === 0 ? random.below(256) : random.below(20));
  return out;
}

interface Case {
  readonly code: Uint8Array;
  readonly mxcsr: number;
  readonly seed: number;
  readonly kind: "integer" | "single" | "double" | "any";
}

function program(seed: number): Case {
  const random = new Random(seed);
  const kind = random.pick(["integer", "single", "double", "double", "any"] as const);
  const isMove = (e: Encoding): boolean => /^(mov|shuf|unpck|p?(and|or|xor))/.test(e.name) && !/[PQN]q/.test(e.operands);
  const operations = catalogue.filter((e) => kind === "any" || (elementOf(e) === kind && !isMove(e)));
  const moves = catalogue.filter(isMove);
  const chosen = Array.from({ length: 4 }, () => random.pick(operations));
  // mov eax, ecx; and eax, 15; shl eax, 4: the round's row.
  const body = [0x89, 0xc8, 0x83, 0xe0, rows - 1, 0xc1, 0xe0, 4];
  // movaps xmm, [esi + eax + ...]
  for (let k = 0; k < 4; k++) if (random.below(4) > 0) body.push(0x0f, 0x28, 0x44 | (k << 3), 0x06, 16 * random.below(7));
  const count = 2 + random.below(9);
  for (let k = 0; k < count; k++) {
    const next = instruction(
      random,
      random.below(3) === 0 ? random.pick(moves) : random.below(4) === 0 ? random.pick(operations) : random.pick(chosen),
    );
    // test cl, imm8; jz over it
    if (random.below(5) === 0) body.push(0xf6, 0xc1, 1 << random.below(5), 0x74, next.length);
    body.push(...next);
  }
  // movups [edi + eax], xmm; movups [edi + eax + 10h], xmm
  body.push(0x0f, 0x11, 0x04 | (random.below(4) << 3), 0x07, 0x0f, 0x11, 0x44 | (random.below(4) << 3), 0x07, 0x10);
  body.push(0x49, 0x0f, 0x85);
  const back = -(body.length + 4);
  // FLD1, FLDPI: registers that hold no integers.
  const before = random.below(3) === 0 ? [0xd9, 0xe8, 0xd9, 0xeb] : [];
  const code = [...before, 0xb9, rounds, 0, 0, 0, ...body, back & 0xff, (back >> 8) & 0xff, 0xff, 0xff, 0xcc];
  return { code: Uint8Array.from(code), mxcsr: random.pick(controls), seed, kind };
}

/** What a program finds: mostly numbers of one sort, in some of them one or a few that need a closer look. */
function input(random: Random, kind: Case["kind"]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(inputBytes + 128));
  const ordinary = random.below(3) > 0 ? exact : inexact;
  const specials = random.pick([0, 0, 1, 2, 60]);
  const isSpecial = new Set(Array.from({ length: specials }, () => random.below(bytes.byteLength / 8)));
  for (let at = 0; at < bytes.byteLength; at += 8) {
    const format =
      kind === "integer"
        ? random.below(8) === 0
          ? "f64"
          : "i32"
        : kind === "any"
          ? random.pick(["f64", "f32", "i32"] as const)
          : kind === "double"
            ? "f64"
            : "f32";
    const values = (of: "f64" | "f32"): readonly number[] => (isSpecial.has(at / 8) ? special[of] : ordinary);
    if (format === "f64") bytes.setFloat64(at, random.pick(values("f64")), true);
    else
      for (const k of [0, 4]) {
        if (format === "f32") bytes.setFloat32(at + k, random.pick(values("f32")), true);
        else bytes.setInt32(at + k, random.below(3) === 0 ? random.below(300) : random.next(), true);
      }
  }
  return new Uint8Array(bytes.buffer);
}

function run(core: Core, { code, mxcsr, seed, kind }: Case): object {
  core.reset();
  core.load({ origin: place.code, bytes: code, labels: {} });
  core.protectedMode(0);
  const random = new Random(seed ^ 0x5eed);
  const { R } = core;
  R[slot.mxcsr] = mxcsr;
  const found = input(random, kind);
  R.set(new Int32Array(found.buffer, inputBytes, 32), slot.xmm);
  core.physical.writeBytes(data, found.subarray(0, inputBytes));
  R[slot.esi] = data;
  R[slot.edi] = data + inputBytes;
  for (const r of generalRegisters) R[r] = random.next();
  const stop = core.run();
  return {
    stop,
    general: [...R.slice(0, 8)],
    mxcsr: (R[slot.mxcsr] >>> 0).toString(16),
    xmm: [...R.slice(slot.xmm, slot.xmm + 32)].map((word) => (word >>> 0).toString(16)),
    mmx: [...R.slice(slot.fpuMantissaLow, slot.fpuControl), R[slot.fpuTop], R[slot.fpuEmpty]],
    memory: core.bytes(data, dataBytes),
  };
}

const off = (...names: string[]): ReadonlySet<string> => new Set(names);
const programs = Number(process.env.PROGRAMS ?? 150);

describe("programs of vector instructions do the same", () => {
  const reference = new Core();
  it.each([
    ["in regions", () => new Core({ hot: true })],
    ["in regions that keep words", () => new Core({ hot: true, translator: new JavaScriptTranslator({ disabledPasses: off("simd") }) })],
    [
      "in regions without passes",
      () => new Core({ hot: true, translator: new JavaScriptTranslator({ disabledPasses: off("forward", "simplify", "dead") }) }),
    ],
    ["in JavaScript that was meant for WebAssembly", () => new Core({ hot: true, disabled: off("wasm", "wasmRegions") })],
  ])("%s", (_, make) => {
    const core = make();
    let regions = 0;
    for (let seed = 1; seed <= programs; seed++) {
      const test = program(seed);
      expect(run(core, test), `seed ${seed}: ${Buffer.from(test.code).toString("hex")}`).toEqual(run(reference, test));
      regions += core.dispatcher.regions.translated;
    }
    expect(regions).toBeGreaterThan(programs);
  });
});
