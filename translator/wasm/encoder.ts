/** Bytes of a WebAssembly module: the few sections and opcodes that handlers need (WebAssembly Core Specification, 5). */

export const valueType = { i32: 0x7f, f64: 0x7c, v128: 0x7b } as const;
export type ValueType = keyof typeof valueType;

/** Opcodes by their names in the text format. */
export const opcode = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  br_if: 0x0d,
  br_table: 0x0e,
  return: 0x0f,
  call: 0x10,
  call_indirect: 0x11,
  return_call: 0x12,
  return_call_indirect: 0x13,
  drop: 0x1a,
  select: 0x1b,
  "local.get": 0x20,
  "local.set": 0x21,
  "local.tee": 0x22,
  "i32.load": 0x28,
  "i64.load": 0x29,
  "f32.load": 0x2a,
  "f64.load": 0x2b,
  "i32.load8_s": 0x2c,
  "i32.load8_u": 0x2d,
  "i32.load16_s": 0x2e,
  "i32.load16_u": 0x2f,
  "i32.store": 0x36,
  "f32.store": 0x38,
  "f64.store": 0x39,
  "i32.store8": 0x3a,
  "i32.store16": 0x3b,
  "i32.const": 0x41,
  "f64.const": 0x44,
  "i32.eqz": 0x45,
  "i32.eq": 0x46,
  "i32.ne": 0x47,
  "i32.lt_s": 0x48,
  "i32.lt_u": 0x49,
  "i32.gt_s": 0x4a,
  "i32.gt_u": 0x4b,
  "i32.le_s": 0x4c,
  "i32.le_u": 0x4d,
  "i32.ge_s": 0x4e,
  "i32.ge_u": 0x4f,
  "f64.eq": 0x61,
  "f64.ne": 0x62,
  "f64.lt": 0x63,
  "f64.gt": 0x64,
  "f64.le": 0x65,
  "f64.ge": 0x66,
  "i32.clz": 0x67,
  "i32.add": 0x6a,
  "i32.sub": 0x6b,
  "i32.mul": 0x6c,
  "i32.div_s": 0x6d,
  "i32.div_u": 0x6e,
  "i32.and": 0x71,
  "i32.or": 0x72,
  "i32.xor": 0x73,
  "i32.shl": 0x74,
  "i32.shr_s": 0x75,
  "i32.shr_u": 0x76,
  "i64.const": 0x42,
  "i64.eq": 0x51,
  "i64.ne": 0x52,
  "i64.lt_s": 0x53,
  "i64.gt_s": 0x55,
  "i64.le_s": 0x57,
  "i64.le_u": 0x58,
  "i64.ge_s": 0x59,
  "i64.add": 0x7c,
  "i64.sub": 0x7d,
  "i64.mul": 0x7e,
  "i64.div_s": 0x7f,
  "i64.div_u": 0x80,
  "i64.or": 0x84,
  "i64.shl": 0x86,
  "i64.shr_u": 0x88,
  "f64.abs": 0x99,
  "f64.neg": 0x9a,
  "f64.ceil": 0x9b,
  "f64.floor": 0x9c,
  "f64.trunc": 0x9d,
  "f64.sqrt": 0x9f,
  "f64.add": 0xa0,
  "f64.sub": 0xa1,
  "f64.mul": 0xa2,
  "f64.div": 0xa3,
  "i32.wrap_i64": 0xa7,
  "i64.extend_i32_s": 0xac,
  "i64.extend_i32_u": 0xad,
  "f32.demote_f64": 0xb6,
  "f64.convert_i32_s": 0xb7,
  "f64.convert_i32_u": 0xb8,
  "f64.promote_f32": 0xbb,
  // Of two bytes.
  "i64.trunc_sat_f64_s": 0xfc06,
  "memory.copy": 0xfc0a,
  "memory.fill": 0xfc0b,
} as const;
export type Opcode = keyof typeof opcode;

const utf8 = new TextEncoder();
/** Bytes of a number of 32 bits. */
const longest = 5;

/** Grows as needed. Nearly all that is written is an instruction with one small operand: those take one call. */
export class Bytes {
  private data: Uint8Array<ArrayBuffer>;
  length = 0;

  /** @param room bytes that fit before it has to grow */
  constructor(room = 1024) {
    this.data = new Uint8Array(room);
  }

  private grow(more: number): void {
    const larger = new Uint8Array(2 * (this.data.length + more));
    larger.set(this.data);
    this.data = larger;
  }

  byte(value: number): void {
    if (this.length === this.data.length) this.grow(1);
    this.data[this.length++] = value;
  }
  /** Two of them. */
  pair(first: number, second: number): void {
    const { length } = this;
    if (length + 2 > this.data.length) this.grow(2);
    this.data[length] = first;
    this.data[length + 1] = second;
    this.length = length + 2;
  }

  unsigned(value: number): void {
    if (this.length + longest > this.data.length) this.grow(longest);
    const { data } = this;
    let { length } = this;
    let rest = value >>> 0;
    for (; rest >= 0x80; rest >>>= 7) data[length++] = (rest & 0x7f) | 0x80;
    data[length++] = rest;
    this.length = length;
  }

  signed(value: number): void {
    if (this.length + longest > this.data.length) this.grow(longest);
    const { data } = this;
    let { length } = this;
    let rest = value | 0;
    for (; rest < -0x40 || rest >= 0x40; rest >>= 7) data[length++] = (rest & 0x7f) | 0x80;
    data[length++] = rest & 0x7f;
    this.length = length;
  }

  double(value: number): void {
    for (const b of new Uint8Array(new Float64Array([value]).buffer)) this.byte(b);
  }

  name(text: string): void {
    const start = this.length;
    for (let k = 0; k < text.length; k++) {
      const code = text.charCodeAt(k);
      if (code >= 0x80) {
        this.length = start;
        for (const b of utf8.encode(text)) this.byte(b);
        break;
      }
      this.byte(code);
    }
    this.prefixLength(start);
  }

  /** Puts the number of bytes from `start` on in front of them. */
  prefixLength(start: number): void {
    const count = this.length - start;
    this.unsigned(count);
    const size = this.length - start - count;
    this.data.copyWithin(start + size, start, start + count);
    this.length = start;
    this.unsigned(count);
    this.length = start + size + count;
  }

  append(other: Bytes): void {
    const length = this.length + other.length;
    if (length > this.data.length) {
      const larger = new Uint8Array(2 * length);
      larger.set(this.data.subarray(0, this.length));
      this.data = larger;
    }
    this.data.set(other.data.subarray(0, other.length), this.length);
    this.length = length;
  }

  toArray(): Uint8Array<ArrayBuffer> {
    return this.data.slice(0, this.length);
  }
}

export interface FunctionType {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

export interface ImportedFunction {
  readonly name: string;
  readonly type: FunctionType;
}

export interface FunctionCode {
  readonly type: FunctionType;
  /** Beyond the parameters. */
  readonly locals: readonly ValueType[];
  /** Conditional branches that mostly go one way, as an `Emitter` notes them. */
  readonly hints?: readonly number[];
  /** Instructions without the final `end`. */
  readonly body: Bytes;
  /** Exported as; none: it is not. */
  readonly name?: string;
  /** For profiles, if the name says nothing. */
  readonly label?: string;
}

export interface ModuleDescription {
  readonly functions: readonly FunctionCode[];
  readonly imports: readonly ImportedFunction[];
  /** 64 KiB pages of the memory `m.memory`: exactly so many, or so many and as many more as there can be. */
  readonly pages: number;
  readonly mayHaveMore?: boolean;
  /** Elements of the table `m.table`. */
  readonly tableSize: number;
  /** Types that instructions name by number, first in the type section. */
  readonly types: readonly FunctionType[];
  /** Functions that instantiation puts into the table: numbers among `functions`, for the elements from `first` on. */
  readonly elements?: { readonly first: number; readonly functions: readonly number[] };
}

/** Pages of 64 KiB in 4 GiB. */
const mostPages = 0x10000;

export function encodeModule({ functions, imports, pages, mayHaveMore, tableSize, types, elements }: ModuleDescription): Uint8Array<ArrayBuffer> {
  // What is not code: types, imports, names.
  const rest = 512 + 32 * imports.length + 64 * functions.length;
  const out = new Bytes(functions.reduce((sum, f) => sum + f.body.length, rest));
  for (const b of [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) out.byte(b);
  const allTypes = [...types];
  const numberOf = (type: FunctionType): number => {
    const known = allTypes.findIndex((t) => isSame(t.parameters, type.parameters) && isSame(t.results, type.results));
    return known >= 0 ? known : allTypes.push(type) - 1;
  };
  const importTypes = imports.map((i) => numberOf(i.type));
  const functionTypes = functions.map((f) => numberOf(f.type));
  const section = (id: number, fill: () => void): void => {
    out.byte(id);
    const start = out.length;
    fill();
    out.prefixLength(start);
  };
  section(1, () => {
    out.unsigned(allTypes.length);
    for (const { parameters, results } of allTypes) {
      out.byte(0x60);
      out.unsigned(parameters.length);
      for (const t of parameters) out.byte(valueType[t]);
      out.unsigned(results.length);
      for (const t of results) out.byte(valueType[t]);
    }
  });
  section(2, () => {
    out.unsigned(imports.length + 2);
    out.name("m");
    out.name("memory");
    out.byte(2);
    out.byte(1);
    out.unsigned(pages);
    out.unsigned(mayHaveMore ? mostPages : pages);
    out.name("m");
    out.name("table");
    out.byte(1);
    out.byte(0x70);
    // As many at most: V8 compares with a constant then.
    out.byte(1);
    out.unsigned(tableSize);
    out.unsigned(tableSize);
    imports.forEach((i, k) => {
      out.name("m");
      out.name(i.name);
      out.byte(0);
      out.unsigned(importTypes[k]);
    });
  });
  section(3, () => {
    out.unsigned(functions.length);
    for (const type of functionTypes) out.unsigned(type);
  });
  section(7, () => {
    out.unsigned(functions.filter(({ name }) => name !== undefined).length);
    functions.forEach(({ name }, k) => {
      if (name === undefined) return;
      out.name(name);
      out.byte(0);
      out.unsigned(imports.length + k);
    });
  });
  if (elements !== undefined) {
    section(9, () => {
      // One segment, active, of table 0.
      out.byte(1);
      out.byte(0);
      out.byte(opcode["i32.const"]);
      out.signed(elements.first);
      out.byte(opcode.end);
      out.unsigned(elements.functions.length);
      for (const k of elements.functions) out.unsigned(imports.length + k);
    });
  }
  const declarations = functions.map(({ locals }) => declarationsOf(locals));
  // The custom section that says which branches are seldom taken (the branch hinting proposal): V8 keeps what is behind them out of the way, and does not save registers before.
  if (functions.some(({ hints }) => hints !== undefined && hints.length > 0)) {
    section(0, () => {
      out.name("metadata.code.branch_hint");
      const hinted = functions.flatMap(({ hints }, k) => (hints !== undefined && hints.length > 0 ? [{ hints, k }] : []));
      out.unsigned(hinted.length);
      for (const { hints, k } of hinted) {
        out.unsigned(imports.length + k);
        out.unsigned(hints.length >> 1);
        for (let at = 0; at < hints.length; at += 2) {
          // From the beginning of the function, where its locals are declared.
          out.unsigned(declarations[k].length + hints[at]);
          out.byte(1);
          out.byte(hints[at + 1]);
        }
      }
    });
  }
  section(10, () => {
    out.unsigned(functions.length);
    for (const [k, f] of functions.entries()) {
      const start = out.length;
      out.append(declarations[k]);
      out.append(f.body);
      out.byte(opcode.end);
      out.prefixLength(start);
    }
  });
  // The custom section that says what functions are called (appendix, "Name Section").
  section(0, () => {
    out.name("name");
    out.byte(1);
    const start = out.length;
    out.unsigned(functions.length);
    functions.forEach(({ name, label }, k) => {
      out.unsigned(imports.length + k);
      out.name(label ?? name ?? "");
    });
    out.prefixLength(start);
  });
  return out.toArray();
}

/** Locals as a function begins with them: runs of one type. */
function declarationsOf(locals: readonly ValueType[]): Bytes {
  const runs: { type: ValueType; count: number }[] = [];
  for (const type of locals) {
    const last = runs[runs.length - 1];
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  const out = new Bytes();
  out.unsigned(runs.length);
  for (const { type, count } of runs) {
    out.unsigned(count);
    out.byte(valueType[type]);
  }
  return out;
}

function isSame(a: readonly ValueType[], b: readonly ValueType[]): boolean {
  return a.length === b.length && a.every((t, k) => t === b[k]);
}
