/** Every family of vectors: what it holds, and how many cases of each row. */
import type { CaseGroup } from "../state.ts";
import { control } from "./control.ts";
import * as extensions from "./extensions.ts";
import * as integers from "./integer.ts";
import { Random } from "./random.ts";
import { type Effort, expandRow, type Row } from "./rows.ts";
import * as simd from "./simd.ts";
import { stack } from "./stack.ts";
import { strings } from "./strings.ts";
import { alignment, system } from "./system.ts";
import { transcendental, x87 } from "./x87.ts";

/** Names this set of cases: another seed or another version of the generator gives another set. */
export const seed = "xlat86 vectors 1";

export interface Family {
  readonly name: string;
  groups(r: Random): Iterable<CaseGroup>;
}

/** @param others what is not made from rows */
function fromRows(name: string, rows: readonly Row[], effort: Effort, others?: (r: Random) => Iterable<CaseGroup>): Family {
  return {
    name,
    *groups(r) {
      // A row's cases depend on the row alone: adding one leaves the others as they were.
      for (const [i, rw] of rows.entries()) {
        const id = `${seed}/${name}/${rw.name}/${[...(rw.prefixes ?? []), ...rw.opcode].join(".")}/${rw.digit}/${rw.operands.join()}/${rows.slice(0, i).filter((o) => o.name === rw.name).length}`;
        yield* expandRow(rw, new Random(id), effort);
      }
      if (others) yield* others(r);
    },
  };
}

export const catalogue: readonly Family[] = [
  fromRows("arithmetic", integers.arithmetic(), { encodings: 12, states: 12 }),
  fromRows("multiply-divide", integers.multiplyDivide(), { encodings: 14, states: 14 }),
  fromRows("shifts", integers.shifts(), { encodings: 11, states: 11 }),
  fromRows("bits", integers.bits(), { encodings: 12, states: 12 }),
  fromRows("moves", integers.moves(), { encodings: 10, states: 9 }),
  fromRows("adjust", integers.adjust(), { encodings: 10, states: 20 }),
  { name: "strings", groups: strings },
  { name: "stack", groups: stack },
  { name: "control", groups: control },
  { name: "system", groups: system },
  { name: "alignment", groups: alignment },
  { name: "x87", groups: x87 },
  { name: "x87-transcendental", groups: transcendental },
  fromRows("mmx", simd.mmxRows(), { encodings: 9, states: 11 }),
  fromRows("sse2-integer", simd.sse2IntegerRows(), { encodings: 9, states: 11 }),
  fromRows("sse-float", simd.floatRows(), { encodings: 10, states: 12 }),
  fromRows("sse-convert", simd.conversionRows(), { encodings: 10, states: 14 }),
  { name: "simd-state", groups: simd.simdState },
  fromRows("sse3", extensions.sse3Rows(), { encodings: 10, states: 11 }, extensions.sse3),
  fromRows("ssse3", extensions.ssse3Rows(), { encodings: 6, states: 10 }, extensions.ssse3),
  fromRows("sse41", extensions.sse41Rows(), { encodings: 5, states: 9 }, extensions.sse41),
  fromRows("sse42", extensions.sse42Rows(), { encodings: 10, states: 6 }, extensions.sse42),
  fromRows("aes-sha", extensions.aesShaRows(), { encodings: 9, states: 14 }, extensions.aesSha),
];
