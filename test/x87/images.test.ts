/** State images in memory (FNSTENV, FNSAVE, FXSAVE and the loads) against this CPU, from random states and random images. */
import { describe, expect, it } from "vitest";
import { x87Implementations as x87 } from "../../runtime/callouts/x87.ts";
import { Random } from "../float/cases.ts";
import { loadRecord, TestHost } from "../float/engine.ts";
import { buildHardware, imageRecord, runImages } from "../float/hardware.ts";

const base = 0x1000;
const { size, code, memory } = imageRecord;

interface Form {
  readonly name: string;
  readonly bytes: readonly number[];
  run(cpu: TestHost): void;
  /** Bytes of memory to compare: [from, to), without the last-instruction registers, which modern CPUs keep only for pending exceptions. */
  readonly compared: readonly (readonly [number, number])[];
}

const environment32 = [[0, 12]] as const;
const environment16 = [[0, 6]] as const;
const forms: Form[] = [
  { name: "fnstenv, 28 bytes", bytes: [0xd9, 0x37], run: (c) => x87.fnstenv(c, base, 4), compared: environment32 },
  { name: "fnstenv, 14 bytes", bytes: [0x66, 0xd9, 0x37], run: (c) => x87.fnstenv(c, base, 2), compared: environment16 },
  { name: "fnsave, 108 bytes", bytes: [0xdd, 0x37], run: (c) => x87.fnsave(c, base, 4), compared: [...environment32, [28, 112]] },
  { name: "fnsave, 94 bytes", bytes: [0x66, 0xdd, 0x37], run: (c) => x87.fnsave(c, base, 2), compared: [...environment16, [14, 100]] },
  { name: "fldenv, 28 bytes", bytes: [0xd9, 0x27], run: (c) => x87.fldenv(c, base, 4), compared: [] },
  { name: "fldenv, 14 bytes", bytes: [0x66, 0xd9, 0x27], run: (c) => x87.fldenv(c, base, 2), compared: [] },
  { name: "frstor, 108 bytes", bytes: [0xdd, 0x27], run: (c) => x87.frstor(c, base, 4), compared: [] },
  { name: "frstor, 94 bytes", bytes: [0x66, 0xdd, 0x27], run: (c) => x87.frstor(c, base, 2), compared: [] },
  // FXSAVE: control, status, tags, and the registers; not FOP, FIP, FDP, MXCSR.
  {
    name: "fxsave",
    bytes: [0x0f, 0xae, 0x07],
    run: (c) => x87.fxsave(c, base),
    compared: [
      [0, 5],
      [32, 160],
    ],
  },
  { name: "fxrstor", bytes: [0x0f, 0xae, 0x0f], run: (c) => x87.fxrstor(c, base), compared: [] },
  { name: "emms", bytes: [0x0f, 0x77], run: (c) => x87.emms(c), compared: [] },
  { name: "fnclex", bytes: [0xdb, 0xe2], run: (c) => x87.fnclex(c), compared: [] },
  { name: "fninit", bytes: [0xdb, 0xe3], run: (c) => x87.fninit(c), compared: [] },
  { name: "fldcw", bytes: [0xd9, 0x2f], run: (c) => x87.fldcw(c, base), compared: [] },
  { name: "fnstcw", bytes: [0xd9, 0x3f], run: (c) => x87.fnstcw(c, base), compared: [[0, 4]] },
  { name: "fnstsw", bytes: [0xdd, 0x3f], run: (c) => x87.fnstsw(c, base), compared: [[0, 4]] },
];

function makeRecords(r: Random, form: Form, count: number): Uint8Array {
  const bytes = new Uint8Array(count * size);
  for (let n = 0; n < count; n++) {
    const record = new DataView(bytes.buffer, n * size, size);
    for (let i = 0; i < size; i += 4) record.setInt32(i, r.next(), true);
    const masked = form.name.startsWith("fnst") || form.name.startsWith("fnsave") || form.name.startsWith("fni") || form.name.startsWith("fnc");
    // Waiting instructions must not meet a pending exception: all masked before.
    record.setUint16(0, masked ? 0x40 | r.below(0x1000) : 0x7f | (r.below(16) << 8), true);
    for (let i = 0; i < 8; i++) record.setUint8(code + i, i < form.bytes.length ? form.bytes[i] : i === form.bytes.length ? 0xc3 : 0x90);
    // Mantissas of all kinds: zeros for the tags.
    for (let i = 0; i < 8; i++) {
      if (r.below(4) === 0) for (let k = 0; k < 10; k++) record.setUint8(28 + 10 * i + k, 0);
      if (r.below(3) === 0) record.setUint16(36 + 10 * i, r.pick([0, 0x7fff, 0xffff, 0x8000]), true);
    }
    if (form.name === "fxrstor") record.setInt32(memory + 24, r.next() & 0xffff & ~0x3f, true);
  }
  return bytes;
}

const built = buildHardware();
describe("x87 state images", () => {
  if ("reason" in built) {
    console.warn(`SKIPPED: x87 images against this CPU: ${built.reason}`);
    it.runIf(process.env.CI === "true")("needs gcc and an x86 CPU", () => expect.fail(built.reason));
    return;
  }
  const seed = (Date.now() ^ process.pid) >>> 8;
  const r = new Random(seed);
  for (const form of forms) {
    it(`${form.name} (seed ${seed})`, () => {
      const count = 500;
      const inputs = makeRecords(r, form, count);
      const expected = runImages(built.program, inputs);
      const cpu = new TestHost();
      for (let n = 0; n < count; n++) {
        const record = new DataView(inputs.buffer, n * size, size);
        loadRecord(cpu, record);
        for (let i = 0; i < 512; i++) cpu.bytes.setUint8(i, record.getUint8(memory + i));
        form.run(cpu);
        for (const [from, to] of form.compared) {
          const ours = new Uint8Array(cpu.bytes.buffer, from, to - from);
          expect([...ours], `${form.name} case ${n} memory from ${from}`).toEqual([
            ...expected.subarray(n * size + memory + from, n * size + memory + to),
          ]);
        }
        x87.fnsave(cpu, base + 1024, 4);
        const state = new Uint8Array(cpu.bytes.buffer, 1024, 108);
        const truth = expected.subarray(n * size, n * size + 108);
        expect([...state.subarray(0, 12)], `${form.name} case ${n} words`).toEqual([...truth.subarray(0, 12)]);
        expect([...state.subarray(28)], `${form.name} case ${n} registers`).toEqual([...truth.subarray(28)]);
      }
    });
  }
});
