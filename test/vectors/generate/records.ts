/** The records the capture program reads and writes (capture/harness.c). */
import { spawnSync } from "node:child_process";
import { layout } from "../layout.ts";
import { type CaseGroup, type Chunk, type CpuState, defaultState, fpuImageSize, type Outcome } from "../state.ts";

const caseHeaderSize = 68;
const outcomeHeaderSize = 60;

export function encodeCases(groups: readonly CaseGroup[]): Uint8Array {
  let size = 0;
  for (const g of groups)
    for (const s of g.states) size += caseHeaderSize + (g.usesFpu ? fpuImageSize : 0) + s.memory.reduce((n, c) => n + 4 + c.bytes.length, 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const g of groups)
    for (const s of g.states) {
      if (g.bytes.length > 20) throw new Error(`${g.name}: ${g.bytes.length} bytes of code, the capture program takes 20`);
      bytes.set([g.bytes.length, g.usesFpu ? 1 : 0, g.branch ? 1 : 0, s.memory.length, ...g.bytes], at);
      for (let i = 0; i < 8; i++) view.setUint32(at + 24 + 4 * i, s.gpr[i], true);
      view.setUint32(at + 56, s.eflags, true);
      for (let i = 0; i < 4; i++) view.setUint16(at + 60 + 2 * i, s.segments[i], true);
      at += caseHeaderSize;
      if (g.usesFpu) {
        bytes.set(s.fpu, at);
        at += fpuImageSize;
      }
      for (const c of s.memory) {
        view.setUint16(at, c.offset, true);
        view.setUint16(at + 2, c.bytes.length, true);
        bytes.set(c.bytes, at + 4);
        at += 4 + c.bytes.length;
      }
    }
  return bytes;
}

export function decodeOutcomes(groups: readonly CaseGroup[], bytes: Uint8Array): Outcome[][] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const one = (g: CaseGroup, s: CpuState): Outcome => {
    if (at + outcomeHeaderSize > bytes.length) throw new Error(`capture: output ends inside ${g.name} (${Buffer.from(g.bytes).toString("hex")})`);
    const chunks = view.getUint16(at + 2, true);
    const outcome: Outcome = {
      eip: view.getUint32(at + 12, true),
      gpr: s.gpr.map((_, i) => view.getUint32(at + 16 + 4 * i, true)),
      // RF (bit 16) is an artefact of the kernel's exception frame.
      eflags: view.getUint32(at + 48, true) & ~0x10000,
      segments: s.segments.map((_, i) => view.getUint16(at + 52 + 2 * i, true)),
      fpu: g.usesFpu ? s.fpu : defaultState().fpu,
      memory: [],
    };
    if (bytes[at]) {
      outcome.trap = { vector: bytes[at + 1], error: view.getUint32(at + 4, true), cr2: bytes[at + 1] === 14 ? view.getUint32(at + 8, true) : 0 };
      // INT3 around a branch marks where it went; the one under test is no marker.
      if (g.branch && outcome.trap.vector === 3) {
        delete outcome.trap;
        outcome.eip = (outcome.eip - 1) >>> 0;
      }
    }
    at += outcomeHeaderSize;
    if (g.usesFpu) {
      outcome.fpu = bytes.slice(at, at + fpuImageSize);
      // MXCSR_MASK is a constant of the CPU model, not an outcome; bytes 10-15 of each register are reserved.
      outcome.fpu.set(s.fpu.subarray(28, 32), 28);
      for (let i = 0; i < 8; i++) outcome.fpu.fill(0, 32 + 16 * i + 10, 32 + 16 * i + 16);
      // So are bytes 5-23 but for the x87 pointers, which this format leaves out: whether a CPU keeps them while no exception is pending
      // depends on the model.
      outcome.fpu.fill(0, 5, 24);
      at += fpuImageSize;
    }
    for (let i = 0; i < chunks; i++) {
      const length = view.getUint16(at + 2, true);
      outcome.memory.push({ offset: view.getUint16(at, true), bytes: bytes.slice(at + 4, at + 4 + length) } satisfies Chunk);
      at += 4 + length;
    }
    return outcome;
  };
  const result = groups.map((g) => g.states.map((s) => one(g, s)));
  if (at !== bytes.length) throw new Error(`capture: ${bytes.length - at} bytes too many in the output`);
  return result;
}

/** Runs groups in the capture program; `command` is it, perhaps behind an emulator's name. */
export function capture(command: readonly string[], groups: readonly CaseGroup[]): Outcome[][] {
  const [program, ...args] = command;
  const run = spawnSync(program, args, { input: encodeCases(groups), maxBuffer: 1 << 30 });
  if (run.error) throw run.error;
  if (run.status !== 0) throw new Error(`${command.join(" ")}: exit ${run.status} ${run.signal ?? ""} ${run.stderr.toString()}`);
  return decodeOutcomes(groups, run.stdout);
}

/** Where branch targets and returns may lead: INT3 everywhere but at the instruction. */
export const landing = { first: layout.code + 0x100, last: layout.code + 0xf00 } as const;
