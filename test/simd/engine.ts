/** Runs a case the way a guest would: decoded, lifted, printed as a tier 0 handler, and run on a Cpu. */
import { simdImplementations } from "../../runtime/callouts/simd.ts";
import { compile } from "../../runtime/code/compile.ts";
import { Cpu, GuestFault } from "../../runtime/cpu/cpu.ts";
import { getEflags, setEflags } from "../../runtime/cpu/flags.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { mode } from "../../translator/contract/mode-key.ts";
import { cr0bit, cr4bit, slot, vector } from "../../translator/contract/slots.ts";
import { decode, decodeStatus } from "../../translator/decode/decode.ts";
import { newInstruction } from "../../translator/decode/instruction.ts";
import { invalidRow } from "../../translator/decode/opcode-map.ts";
import { verify } from "../../translator/ir/verify.ts";
import { PureTemplates } from "../../translator/javascript/pure-templates.ts";
import { tierZeroCode } from "../../translator/javascript/tier0.ts";
import { Builder } from "../../translator/lift/builder.ts";
import { shapeKey, shapeOf, writeFields } from "../../translator/lift/shape.ts";
import { simdLifts } from "../../translator/lift/simd/index.ts";
import { bodyOf } from "../../translator/passes/fuse.ts";
import { inputAt, memorySize, outcomeAt, outcomeSize } from "./cases.ts";

/** Where the case's memory lies in the guest; what the harness reports is relative to it. */
const memoryBase = 0x2000;
/** The signal a Linux program gets for each exception. */
const signalOf: Record<number, number> = { [vector.xm]: 8, [vector.gp]: 11, [vector.ud]: 4, [vector.pf]: 11, [vector.mf]: 8 };

type Handler = (p: number) => number;
const modeKey = mode.code32 | mode.stack32 | mode.flat | mode.protected;

export function newCpu(): Cpu {
  const cpu = new Cpu({
    physical: new PhysicalMemory(1 << 16),
    ports: { read: () => 0xff, write: () => {} },
    clock: { now: () => 0 },
    interrupts: { pending: false, acknowledge: () => 0 },
    tscPerNanosecond: 1,
    setFerr: () => {},
  } as unknown as ConstructorParameters<typeof Cpu>[0]);
  cpu.R[slot.cr0] |= cr0bit.pe | cr0bit.ne;
  cpu.R[slot.cr4] |= cr4bit.osfxsr | cr4bit.osxmmexcpt;
  return cpu;
}

export class Engine {
  readonly cpu = newCpu();
  private readonly C = new Int32Array(64);
  private readonly handlers = new Map<number, { handler: Handler; layout: readonly number[] }>();
  private readonly templates = new PureTemplates();
  private readonly instruction = newInstruction(invalidRow);
  private readonly fields = new Int32Array(32);

  /** Runs the case in `input` and writes its outcome to `out`. */
  run(input: DataView, out: DataView): void {
    const { cpu } = this;
    const { R } = cpu;
    const { u8 } = cpu.memory.physical;
    const bytes = (at: number, length: number) => new Uint8Array(input.buffer, input.byteOffset + at, length);
    const words = (at: number, place: number, count: number) => {
      for (let k = 0; k < count; k++) R[place + k] = input.getInt32(at + 4 * k, true);
    };
    R[slot.mxcsr] = input.getUint32(inputAt.mxcsr, true);
    R[slot.eax] = input.getInt32(inputAt.eax, true);
    R[slot.ecx] = R[slot.edi] = memoryBase + input.getUint8(inputAt.offset);
    setEflags(R, 0x202);
    words(inputAt.xmm0, slot.xmm, 4);
    words(inputAt.xmm1, slot.xmm + 4, 4);
    for (const [i, at] of [
      [0, inputAt.mm0],
      [1, inputAt.mm1],
    ]) {
      R[slot.fpuMantissaLow + i] = input.getInt32(at, true);
      R[slot.fpuMantissaHigh + i] = input.getInt32(at + 4, true);
      R[slot.fpuSignExponent + i] = 0;
    }
    R[slot.fpuControl] = 0x37f;
    R[slot.fpuStatus] = 0;
    R[slot.fpuTop] = 3;
    R[slot.fpuEmpty] = 0xff;
    u8.set(bytes(inputAt.memory, memorySize), memoryBase);

    let trap = 0;
    try {
      this.execute(bytes(inputAt.code, input.getUint8(inputAt.length)));
    } catch (e) {
      if (!(e instanceof GuestFault)) throw e;
      trap = signalOf[e.vector] ?? 100 + e.vector;
    }

    new Uint8Array(out.buffer, out.byteOffset, outcomeSize).fill(0);
    out.setUint32(outcomeAt.trap, trap, true);
    out.setUint32(outcomeAt.mxcsr, R[slot.mxcsr], true);
    out.setUint32(outcomeAt.eax, R[slot.eax], true);
    out.setUint32(outcomeAt.eflags, getEflags(R) & 0x8d5, true);
    out.setUint16(outcomeAt.fsw, R[slot.fpuStatus] | (R[slot.fpuTop] << 11), true);
    out.setUint8(outcomeAt.ftw, ~R[slot.fpuEmpty] & 0xff);
    for (let k = 0; k < 4; k++) {
      out.setInt32(outcomeAt.xmm0 + 4 * k, R[slot.xmm + k], true);
      out.setInt32(outcomeAt.xmm1 + 4 * k, R[slot.xmm + 4 + k], true);
    }
    out.setInt32(outcomeAt.mm0, R[slot.fpuMantissaLow], true);
    out.setInt32(outcomeAt.mm0 + 4, R[slot.fpuMantissaHigh], true);
    out.setUint16(outcomeAt.mm0 + 8, R[slot.fpuSignExponent], true);
    new Uint8Array(out.buffer, out.byteOffset + outcomeAt.memory, memorySize).set(u8.subarray(memoryBase, memoryBase + memorySize));
  }

  /** Executes one instruction. */
  execute(code: Uint8Array): void {
    const i = this.instruction;
    if (decode(code, 0, code.length, true, i) !== decodeStatus.ok) this.cpu.raise(vector.ud);
    const key = shapeKey(i, modeKey, 0);
    let known = this.handlers.get(key);
    if (known === undefined) {
      const lift = simdLifts[i.row.name];
      if (lift === undefined) throw new Error(`no lift for ${i.row.name} ${i.row.operands}`);
      const shape = shapeOf(i, modeKey, 0);
      const b = new Builder(shape);
      lift(b, shape);
      const template = b.finish();
      verify(template, i.row.name);
      const { text, freeNames, layout } = tierZeroCode(bodyOf(template, shape.nextField), this.templates, i.row.name);
      known = { handler: compile<Handler>(text, [...freeNames, "R", "F", "C"], this.host()), layout };
      this.handlers.set(key, known);
    }
    writeFields(i, 0, this.fields, 0);
    known.layout.forEach((field, k) => {
      this.C[k + 1] = this.fields[field];
    });
    known.handler(0);
  }

  private host(): Record<string, unknown> {
    const { cpu } = this;
    const { memory } = cpu;
    const { physical } = memory;
    const callouts = Object.fromEntries(Object.entries(simdImplementations).map(([name, f]) => [`v_${name}`, f]));
    const { ld1, ld2, ld4, ldw1, ldw2, ldw4, st1, st2, st4, TR, TW } = memory;
    return {
      cpu,
      R: cpu.R,
      F: cpu.F,
      C: this.C,
      AT: cpu.aesTable,
      M8: physical.i8,
      M16: physical.i16,
      M32: physical.i32,
      TR,
      TW,
      ld1,
      ld2,
      ld4,
      ldw1,
      ldw2,
      ldw4,
      st1,
      st2,
      st4,
      mulhu: (a: number, b: number) => Number((BigInt(a >>> 0) * BigInt(b >>> 0)) >> 32n) | 0,
      mulhs: (a: number, b: number) => Number((BigInt(a) * BigInt(b)) >> 32n) | 0,
      ...callouts,
    };
  }
}
