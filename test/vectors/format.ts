/**
 * The file format of committed vectors, and its reader.
 *
 * A file is brotli over: the magic "XV86", u32 length of a JSON header ({ family, cases, cpu, seed }), the header, then groups
 * until the end. One group is one encoding and the states it ran in:
 *
 *   string name, u8 flags (1 branch, 2 FPU), u8 length, bytes, u16 case count
 *   u8 n, n field ids        what the inputs set apart from `defaultState`
 *   per id: its value for each case, one after the other
 *   u8 n, n field ids        what the outcomes changed relative to their input
 *   per id: its value for each case
 *
 * Values lie column by column because a compressor finds more in them so. Everything is little-endian; a string is u8 length and
 * bytes. Fields are the rows of `fields` below.
 */
import { readdirSync, readFileSync } from "node:fs";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { layout } from "./layout.ts";
import { type Chunk, type CpuState, cloneState, defaultState, fx, type Outcome, type Trap, type VectorCase } from "./state.ts";

interface Machine extends CpuState {
  trap?: Trap;
  eip: number;
}

interface Field {
  readonly size: number;
  get(m: Machine): number[] | Uint8Array;
  set(m: Machine, bytes: Uint8Array): void;
}

const u32 = (v: number) => [v & 255, (v >>> 8) & 255, (v >>> 16) & 255, v >>> 24];
const fromBytes = (b: Uint8Array, at = 0) => (b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24)) >>> 0;

function image(at: number, size: number): Field {
  return { size, get: (m) => m.fpu.subarray(at, at + size), set: (m, b) => m.fpu.set(b, at) };
}

/** Fields of fixed size by id. The last three (memory, trap, EIP) only make sense in outcomes, memory in both. */
const fields: readonly Field[] = [
  ...Array.from(
    { length: 8 },
    (_, i): Field => ({
      size: 4,
      get: (m) => u32(m.gpr[i]),
      set: (m, b) => {
        m.gpr[i] = fromBytes(b);
      },
    }),
  ),
  {
    size: 4,
    get: (m) => u32(m.eflags),
    set: (m, b) => {
      m.eflags = fromBytes(b);
    },
  },
  ...Array.from(
    { length: 4 },
    (_, i): Field => ({
      size: 2,
      get: (m) => u32(m.segments[i]).slice(0, 2),
      set: (m, b) => {
        m.segments[i] = b[0] | (b[1] << 8);
      },
    }),
  ),
  image(fx.control, 2),
  image(fx.status, 2),
  image(fx.tag, 2),
  image(fx.mxcsr, 4),
  ...Array.from({ length: 8 }, (_, i) => image(fx.st + 16 * i, 10)),
  ...Array.from({ length: 8 }, (_, i) => image(fx.xmm + 16 * i, 16)),
  {
    size: 9,
    get: (m) => (m.trap ? [m.trap.vector, ...u32(m.trap.error), ...u32(m.trap.cr2)] : [0xff, 0, 0, 0, 0, 0, 0, 0, 0]),
    set: (m, b) => {
      m.trap = b[0] === 0xff ? undefined : { vector: b[0], error: fromBytes(b, 1), cr2: fromBytes(b, 5) };
    },
  },
  {
    size: 4,
    get: (m) => u32(m.eip),
    set: (m, b) => {
      m.eip = fromBytes(b);
    },
  },
];
const memoryField = 255;

function same(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

class Writer {
  bytes = new Uint8Array(1 << 20);
  length = 0;
  put(values: ArrayLike<number>): void {
    while (this.length + values.length > this.bytes.length) {
      const bigger = new Uint8Array(this.bytes.length * 2);
      bigger.set(this.bytes);
      this.bytes = bigger;
    }
    this.bytes.set(values, this.length);
    this.length += values.length;
  }
  u8(v: number): void {
    this.put([v]);
  }
  u16(v: number): void {
    this.put([v & 255, (v >> 8) & 255]);
  }
  string(s: string): void {
    const b = new TextEncoder().encode(s);
    this.u8(b.length);
    this.put(b);
  }
}

/** Columns of what differs between `before[i]` and `after[i]`. */
function writeColumns(w: Writer, before: readonly Machine[], after: readonly Machine[]): void {
  const ids = fields.map((_, id) => id).filter((id) => after.some((m, i) => !same(fields[id].get(m), fields[id].get(before[i]))));
  const memory = after.some((m) => m.memory.length > 0);
  w.u8(ids.length + (memory ? 1 : 0));
  w.put(ids);
  if (memory) w.u8(memoryField);
  for (const id of ids) for (const m of after) w.put(fields[id].get(m));
  if (!memory) return;
  for (const m of after) {
    w.u8(m.memory.length);
    for (const c of m.memory) {
      w.u16(c.offset);
      w.u16(c.bytes.length);
    }
  }
  for (const m of after) for (const c of m.memory) w.put(c.bytes);
}

export interface FileHeader {
  readonly family: string;
  readonly cases: number;
  readonly groups: number;
  readonly cpu: string;
  readonly seed: string;
}

export interface CapturedGroup {
  readonly name: string;
  readonly bytes: ArrayLike<number>;
  readonly branch: boolean;
  readonly usesFpu: boolean;
  readonly states: readonly CpuState[];
  readonly outcomes: readonly Outcome[];
}

const endOf = (length: number) => layout.entry + length;

export function encodeFile(header: Omit<FileHeader, "cases" | "groups">, groups: readonly CapturedGroup[]): Uint8Array {
  const w = new Writer();
  const cases = groups.reduce((n, g) => n + g.states.length, 0);
  const json = new TextEncoder().encode(JSON.stringify({ ...header, cases, groups: groups.length } satisfies FileHeader));
  w.put(new TextEncoder().encode("XV86"));
  w.put(u32(json.length));
  w.put(json);
  for (const g of groups) {
    w.string(g.name);
    w.u8((g.branch ? 1 : 0) | (g.usesFpu ? 2 : 0));
    w.u8(g.bytes.length);
    w.put(g.bytes);
    w.u16(g.states.length);
    const eip = endOf(g.bytes.length);
    const inputs = g.states.map((s) => ({ ...s, eip }));
    writeColumns(
      w,
      inputs.map(() => ({ ...defaultState(), eip })),
      inputs,
    );
    writeColumns(w, inputs, g.outcomes);
  }
  const raw = w.bytes.subarray(0, w.length);
  return brotliCompressSync(raw, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 10, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length },
  });
}

class Reader {
  at = 0;
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  take(n: number): Uint8Array {
    if (this.at + n > this.bytes.length) throw new Error(`vector file ends at ${this.bytes.length}, ${n} bytes expected at ${this.at}`);
    this.at += n;
    return this.bytes.subarray(this.at - n, this.at);
  }
  u8(): number {
    return this.take(1)[0];
  }
  u16(): number {
    const b = this.take(2);
    return b[0] | (b[1] << 8);
  }
  string(): string {
    return new TextDecoder().decode(this.take(this.u8()));
  }
}

function readColumns(r: Reader, machines: readonly Machine[]): void {
  const ids = Array.from(r.take(r.u8()));
  for (const id of ids) {
    if (id === memoryField) continue;
    for (const m of machines) fields[id].set(m, r.take(fields[id].size));
  }
  if (!ids.includes(memoryField)) return;
  const shapes = machines.map(() => Array.from({ length: r.u8() }, () => ({ offset: r.u16(), length: r.u16() })));
  machines.forEach((m, i) => {
    m.memory = shapes[i].map(({ offset, length }): Chunk => ({ offset, bytes: r.take(length) }));
  });
}

export interface VectorFile {
  readonly header: FileHeader;
  groups(): Generator<VectorCase[]>;
  cases(): Generator<VectorCase>;
}

export function decodeFile(compressed: Uint8Array): VectorFile {
  const bytes = new Uint8Array(brotliDecompressSync(compressed));
  const start = new Reader(bytes);
  if (new TextDecoder().decode(start.take(4)) !== "XV86") throw new Error("not a vector file: it should start with XV86");
  const header = JSON.parse(new TextDecoder().decode(start.take(fromBytes(start.take(4))))) as FileHeader;
  function* groups(): Generator<VectorCase[]> {
    const r = new Reader(bytes);
    r.at = start.at;
    for (let group = 0; r.at < bytes.length; group++) {
      const name = r.string();
      const flags = r.u8();
      const code = r.take(r.u8());
      const eip = endOf(code.length);
      const inputs = Array.from({ length: r.u16() }, (): Machine => ({ ...defaultState(), eip }));
      readColumns(r, inputs);
      const outcomes = inputs.map((s): Machine => ({ ...cloneState(s), eip, memory: [] }));
      readColumns(r, outcomes);
      yield inputs.map((input, index) => ({
        family: header.family,
        name,
        group,
        index,
        bytes: code,
        branch: (flags & 1) !== 0,
        usesFpu: (flags & 2) !== 0,
        input,
        expected: outcomes[index],
      }));
    }
  }
  return {
    header,
    groups,
    *cases() {
      for (const group of groups()) yield* group;
    },
  };
}

const dataDirectory = new URL("./data/", import.meta.url);

/** Names of the committed families, sorted. */
export function families(): string[] {
  return readdirSync(dataDirectory)
    .filter((f) => f.endsWith(".bin.br"))
    .map((f) => f.slice(0, -".bin.br".length))
    .sort();
}

export function loadFamily(family: string): VectorFile {
  return decodeFile(readFileSync(new URL(`${family}.bin.br`, dataDirectory)));
}
