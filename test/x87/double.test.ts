/**
 * x87 registers that hold doubles. What arithmetic gives is what IEEE 754 says of doubles, which JavaScript's own arithmetic is (ECMA-262, 6.1.6.1); what
 * the two tiers give must be the same to the last bit and flag.
 */
import { describe, expect, it } from "vitest";
import { loadStatusWord } from "../../runtime/callouts/x87/registers.ts";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { Random } from "../float/cases.ts";
import { sequenceRecord } from "../float/hardware.ts";
import { makeSequences, SequenceCore, sequenceDifference, sequenceText } from "../float/sequences.ts";
import { assemble } from "../support/assembler.ts";
import { Core, place } from "../support/core.ts";

function doubleCore(hot: boolean, x87: "exact" | "double" = "double"): Core {
  const core = new Core({ hot, step: 25, translator: new JavaScriptTranslator({ x87 }) });
  core.cpu.float.isDouble = x87 === "double";
  return core;
}

/** Runs the source to its INT3, several times over in a loop where it is to become a region. */
function run(core: Core, source: string): Core {
  const program = assemble(`
    mov ecx, 60
  again:
    fninit
    ${source}
    dec ecx
    jnz again
    int3`);
  core.load(program);
  core.R[slot.eip] = program.origin;
  const { vector } = core.run(200_000);
  expect(vector).toBe(3);
  return core;
}

const at = place.data;
const view = (core: Core): DataView => new DataView(core.physical.u8.buffer, core.physical.u8.byteOffset);
const put = (core: Core, offset: number, value: number): void =>
  core.physical.writeBytes(at + offset, new Uint8Array(new Float64Array([value]).buffer));
const get = (core: Core, offset: number): number => view(core).getFloat64(at + offset, true);
const tiers = [
  ["tier 0", false],
  ["region", true],
] as const;

function anyDouble(r: Random): number {
  switch (r.below(8)) {
    case 0:
      return r.pick([0, -0, 1, -1, 0.1, 3, Number.MAX_VALUE, Number.MIN_VALUE, 2 ** -1022, -(2 ** -1022), Infinity, -Infinity]);
    case 1:
      return r.next() * 2 ** -1090;
    case 2:
      return (r.next() + r.next() * 2 ** -32) * 2 ** (r.below(60) + 930);
    case 3:
      return (r.next() + r.next() * 2 ** -32) * 2 ** -(r.below(400) + 500);
    default:
      return (r.next() + r.next() * 2 ** -32) * 2 ** (r.below(120) - 90);
  }
}

describe.each(tiers)("x87 in doubles, %s", (_name, hot) => {
  const core = doubleCore(hot);
  const fresh = (): Core => core.reset().protectedMode(0);
  const operations: readonly (readonly [string, (a: number, b: number) => number])[] = [
    ["fadd qword ptr [0x20008]", (a, b) => a + b],
    ["fsub qword ptr [0x20008]", (a, b) => a - b],
    ["fsubr qword ptr [0x20008]", (a, b) => b - a],
    ["fmul qword ptr [0x20008]", (a, b) => a * b],
    ["fdiv qword ptr [0x20008]", (a, b) => a / b],
    ["fdivr qword ptr [0x20008]", (a, b) => b / a],
    ["fld qword ptr [0x20008]\n faddp st(1), st", (a, b) => a + b],
    ["fld qword ptr [0x20008]\n fmulp st(1), st", (a, b) => a * b],
    ["fld qword ptr [0x20008]\n fxch st(1)\n fdiv st, st(1)\n fstp st(1)", (a, b) => a / b],
    ["fsqrt", (a) => Math.sqrt(a)],
  ];
  const seed = (Date.now() ^ process.pid) >>> 8;

  it(`arithmetic is that of doubles, denormal and huge ones too, seed ${seed}`, () => {
    const r = new Random(seed);
    for (const [source, f] of operations) {
      fresh();
      run(core, `fld qword ptr [0x20000]\n ${source}\n fstp qword ptr [0x20010]`);
      const eip = place.code;
      for (let k = 0; k < 60; k++) {
        const [a, b] = [anyDouble(r), anyDouble(r)];
        put(core, 0, a);
        put(core, 8, b);
        core.R[slot.halted] = 0;
        core.R[slot.esp] = place.stack;
        // One round, in what the loop above has made.
        core.R[slot.ecx] = 1;
        core.R[slot.eip] = eip + 5;
        expect(core.run(2000).vector).toBe(3);
        expect(get(core, 16), `${source}: ${a}, ${b}`).toBe(f(a, b));
      }
    }
  });

  it("rounds where the exact arithmetic does not", () => {
    put(fresh(), 0, 1);
    put(core, 8, 2 ** -60);
    // (1 + 2^-60) - 1
    run(core, "fld qword ptr [0x20000]\n fadd qword ptr [0x20008]\n fsub qword ptr [0x20000]\n fstp qword ptr [0x20010]\n fnstsw ax");
    expect(get(core, 16)).toBe(0);
    // Neither PE nor C1.
    expect(core.reg("eax") & 0x23f).toBe(0);
    const exact = doubleCore(hot, "exact").protectedMode(0);
    put(exact, 0, 1);
    put(exact, 8, 2 ** -60);
    run(exact, "fld qword ptr [0x20000]\n fadd qword ptr [0x20008]\n fsub qword ptr [0x20000]\n fstp qword ptr [0x20010]\n fnstsw ax");
    expect(get(exact, 16)).toBe(2 ** -60);
  });

  it("FLD m80 rounds to the nearest double, ties to even", () => {
    const cases: readonly (readonly [bigint, number, number])[] = [
      [0xc90fdaa22168c235n, 0x4000, Math.PI],
      [0x8000000000000001n, 0x3fff, 1],
      [0x8000000000000400n, 0x3fff, 1],
      [0x8000000000000c00n, 0x3fff, 1 + 2 ** -51],
      [0x8000000000000401n, 0xbfff, -(1 + 2 ** -52)],
      [0xffffffffffffffffn, 0x43fe, Infinity],
      [0x8000000000000000n, 0x4400, Infinity],
      [0x8000000000000001n, 0x3bcc, 2 ** -1074],
      [0x8000000000000000n, 0x3000, 0],
    ];
    for (const [mantissa, signExponent, expected] of cases) {
      fresh();
      view(core).setBigUint64(at, mantissa, true);
      view(core).setUint16(at + 8, signExponent, true);
      run(core, "fld tbyte ptr [0x20000]\n fstp qword ptr [0x20010]\n fnstsw ax");
      expect(get(core, 16)).toBe(expected);
      fresh();
      view(core).setBigUint64(at, mantissa, true);
      view(core).setUint16(at + 8, signExponent, true);
      run(core, "fld tbyte ptr [0x20000]\n fnstsw ax\n fstp tbyte ptr [0x20020]\n fld tbyte ptr [0x20020]\n fstp qword ptr [0x20010]");
      expect(get(core, 16)).toBe(expected);
      expect(core.reg("eax") & 0x3f).toBe(0);
    }
  });

  it("FILD and FISTP move 64-bit integers unharmed; arithmetic sees the nearest double", () => {
    for (const value of [0x7fffffffffffffffn, -0x7ffffffffffffffdn, 0x123456789abcdef1n, (1n << 53n) + 1n, -1n]) {
      fresh();
      view(core).setBigInt64(at, value, true);
      run(core, "fild qword ptr [0x20000]\n fld st\n fstp qword ptr [0x20010]\n fistp qword ptr [0x20008]");
      expect(view(core).getBigInt64(at + 8, true)).toBe(value);
      expect(get(core, 16)).toBe(Number(value));
    }
  });

  it("invalid and zero-divide are reported, and trap when unmasked", () => {
    put(fresh(), 0, 1);
    put(core, 8, 0);
    run(core, "fld qword ptr [0x20000]\n fdiv qword ptr [0x20008]\n fnstsw ax\n fstp qword ptr [0x20010]");
    expect(get(core, 16)).toBe(Infinity);
    expect(core.reg("eax") & 0x3f).toBe(4);
    put(fresh(), 0, 0);
    run(core, "fld qword ptr [0x20000]\n fdiv qword ptr [0x20000]\n fnstsw ax\n fstp qword ptr [0x20010]");
    expect(get(core, 16)).toBe(NaN);
    expect(core.reg("eax") & 0x3f).toBe(1);
    put(fresh(), 0, 1);
    put(core, 8, 0);
    view(core).setUint16(at + 32, 0x37b, true);
    const program = assemble("fninit\n fldcw [0x20020]\n fld qword ptr [0x20000]\n fdiv qword ptr [0x20008]\n fwait\n int3");
    core.load(program);
    core.R[slot.eip] = program.origin;
    expect(core.run(1000).vector).toBe(16);
    put(fresh(), 0, 1e300);
    run(core, "fld qword ptr [0x20000]\n fmul qword ptr [0x20000]\n fnstsw ax\n fstp qword ptr [0x20010]");
    expect(get(core, 16)).toBe(Infinity);
    expect(core.reg("eax") & 0x3f).toBe(8);
  });

  it("precision control does not matter", () => {
    put(fresh(), 0, 1);
    put(core, 8, 3);
    view(core).setUint16(at + 32, 0x07f, true);
    run(core, "fldcw [0x20020]\n fld qword ptr [0x20000]\n fdiv qword ptr [0x20008]\n fstp qword ptr [0x20010]");
    expect(get(core, 16)).toBe(1 / 3);
  });

  it("goes on from the state of an exact machine", () => {
    const exact = doubleCore(hot, "exact").protectedMode(0);
    loadStatusWord(exact.cpu, 0);
    put(exact, 0, 1);
    put(exact, 8, 3);
    run(exact, "fld qword ptr [0x20000]\n fdiv qword ptr [0x20008]");
    const state = exact.cpu.save();
    fresh();
    put(core, 0, 1);
    core.cpu.restore(state);
    const program = assemble("fmul qword ptr [0x20000]\n fstp qword ptr [0x20010]\n int3");
    core.load(program);
    core.R[slot.eip] = program.origin;
    core.R[slot.halted] = 0;
    expect(core.run(1000).vector).toBe(3);
    expect(get(core, 16)).toBe(1 / 3);
  });
});

describe("x87 in doubles, sequences", () => {
  const seed = (Date.now() ^ process.pid) >>> 8;
  const count = 1500;
  it(`${count} of them give the same in tier 0 and as regions, seed ${seed}`, { timeout: 120_000 }, () => {
    const input = makeSequences(seed, count);
    const core = new SequenceCore("double");
    const { size } = sequenceRecord;
    for (let n = 0; n < count; n++) {
      const record = input.subarray(n * size, (n + 1) * size);
      const cold = core.run(record, false);
      expect(sequenceDifference(cold, core.run(record, true)), `number ${n}: ${sequenceText(record)}`).toBe("");
    }
  });
});

/** Several records' code one behind the other, MMX instructions among them: regions call x87 instructions then, where tier 0 has them in line. */
describe("x87 in doubles, in line and called", () => {
  const seed = (Date.now() ^ process.pid) >>> 8;
  it(`give the same, seed ${seed}`, { timeout: 120_000 }, () => {
    const records = 40;
    const programs = 6;
    const { size, code, codeSize, memory, memorySize } = sequenceRecord;
    const input = makeSequences(seed, records * programs);
    const core = doubleCore(true);
    let called = 0;
    for (let n = 0; n < programs; n++) {
      const bytes: number[] = [];
      for (let k = 0; k < records; k++) {
        const text = Array.from(input.subarray((n * records + k) * size + code, (n * records + k) * size + code + codeSize));
        bytes.push(...text.slice(0, text.findLastIndex((b) => b !== 0xc3) + 1));
        // MOVD MM0, EAX and FNINIT now and then: the depth of the stack is another one in each.
        if (k % 3 === 0) bytes.push(0x0f, 0x6e, 0xc0, 0xdb, 0xe3);
      }
      const data = input.slice(n * records * size + memory, n * records * size + memory + memorySize);
      const outcome = (): unknown => {
        core.physical.u8.set(data, place.data);
        core.R[slot.edi] = place.data + 128;
        core.R[slot.eip] = place.code;
        const stop = core.dispatcher.run(20_000);
        return { stop, state: core.state(), memory: core.bytes(place.data, memorySize) };
      };
      core.reset().protectedMode(0);
      core.load({ origin: place.code, bytes: new Uint8Array([...bytes, 0xf4]) } as never);
      const cold = outcome();
      core.protectedMode(0).promote();
      expect(outcome(), `program ${n}`).toEqual(cold);
      for (const region of core.dispatcher.regions.live.values()) {
        // In line, memory operands are read as elements of an array of doubles.
        if (/v_f\w+Memory\(/.test(region.code.text) && !region.code.text.includes("M64[")) called++;
      }
    }
    expect(called).toBeGreaterThan(0);
  });
});
