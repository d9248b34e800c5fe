/** AES (SDM vol. 1, 12.13; FIPS 197) and SHA (SDM vol. 1, 5.18; FIPS 180-4). The state of AES is column by column in a register; words of SHA stand in it from the top down. */
import { slot } from "../../contract/slots.ts";
import type { Value } from "../../ir/micro.ts";
import type { PureOp } from "../../ir/pure-ops.ts";
import type { Builder, LiftFunction } from "../builder.ts";
import { vectorwise } from "./integer.ts";
import { isWhole, readVector, readWords, requireSse, slotOf, sourceSlot, writeAll, writeVector, writeWords } from "./operands.ts";

// ---- AES

/** Columns of the new state from rows of the old one. @param step from a row's column to the next row's */
function round(column: PureOp, step: 1 | -1): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireSse(b);
    const key = isWhole(b, target) ? readVector(b, source) : undefined;
    const keyWords = key === undefined ? readWords(b, source, 4) : [];
    const state = readWords(b, target, 4);
    const columns = [0, 1, 2, 3].map((k) => b.pure(column, ...[0, 1, 2, 3].map((row) => state[(k + step * row) & 3])));
    if (key !== undefined) writeVector(b, target, b.pure("v128.xor", b.pure("ofWords", ...columns), key));
    else
      writeWords(
        b,
        target,
        columns.map((word, k) => b.xor(word, keyWords[k])),
      );
  };
}

/** InvMixColumns is MixColumns behind another product: 4(a + c) added to a, for every byte a and the next but one, c. */
const liftInverseMixColumns: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  requireSse(b);
  if (!isWhole(b, target)) return void b.call("aesimc", slotOf(b, target), sourceSlot(b, source));
  const state = readVector(b, source);
  const pairs = b.pure("aesWithSecondNext", state);
  const ready = b.pure("v128.xor", state, b.pure("aesDoubled", b.pure("aesDoubled", pairs)));
  writeVector(b, target, b.pure("aesMixed", ready, b.pure("aesWithNext", ready)));
};

const liftKeyAssist: LiftFunction = (b, i) => {
  const [target, source, immediate] = i.operands;
  requireSse(b);
  b.call("aeskeygenassist", slotOf(b, target), sourceSlot(b, source), b.read(immediate));
};

// ---- SHA

const sum = (b: Builder, ...terms: Value[]): Value => terms.reduce((x, y) => b.add(x, y));
const turned = (b: Builder, x: Value, n: number): Value => b.pure("rotatedLeft", x, b.constant(n));

/** Two rounds: target has C, D, G, H from the top down, source A, B, E, F; XMM0 words plus constants. */
const liftSha256Rounds: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  requireSse(b);
  const [f0, e0, b0, a0] = readWords(b, source, 4);
  const [h0, g0, d0, c0] = readWords(b, target, 4);
  const words = [b.get(slot.xmm), b.get(slot.xmm + 1)];
  let [A, B, C, D, E, F, G, H] = [a0, b0, c0, d0, e0, f0, g0, h0];
  for (const word of words) {
    const first = sum(b, b.pure("shaChoice", E, F, G), b.pure("sha256Large1", E), word, H);
    const second = sum(b, first, b.pure("shaMajority", A, B, C), b.pure("sha256Large0", A));
    [A, B, C, D, E, F, G, H] = [second, A, B, C, b.add(first, D), E, F, G];
  }
  writeAll(b, target, [F, E, B, A]);
};

/** Four rounds: target has A, B, C, D from the top down, source words, the first with E in it. */
const liftSha1Rounds: LiftFunction = (b, i) => {
  const [target, source, immediate] = i.operands;
  requireSse(b);
  const [w3, w2, w1, w0] = readWords(b, source, 4);
  let [D, C, B, A] = readWords(b, target, 4);
  const which = b.read(immediate);
  const constant = b.pure("sha1Constant", which);
  let E: Value | undefined;
  for (const word of [w0, w1, w2, w3]) {
    const next = sum(b, b.pure("sha1Function", B, C, D, which), turned(b, A, 5), word, constant, ...(E === undefined ? [] : [E]));
    [A, B, C, D, E] = [next, A, turned(b, B, 30), C, D];
  }
  writeAll(b, target, [D, C, B, A]);
};

const liftSha1Next = vectorwise(
  (b, x, y) => [y[0], y[1], y[2], b.add(y[3], turned(b, x[3], 30))],
  (b, x, y) => {
    const top = b.constant(3);
    const next = b.add(b.pure("extractDoubleword", y, top), turned(b, b.pure("extractDoubleword", x, top), 30));
    return b.pure("insertDoubleword", y, top, next);
  },
);

const liftSha1Message1 = vectorwise(
  (b, x, y) => [b.xor(x[0], y[2]), b.xor(x[1], y[3]), b.xor(x[2], x[0]), b.xor(x[3], x[1])],
  (b, x, y) => b.pure("v128.xor", x, b.pure("middle", y, x)),
);

const liftSha1Message2 = vectorwise(
  (b, x, y) => {
    const last = turned(b, b.xor(x[3], y[2]), 1);
    return [turned(b, b.xor(x[0], last), 1), turned(b, b.xor(x[1], y[0]), 1), turned(b, b.xor(x[2], y[1]), 1), last];
  },
  (b, x, y) => {
    const three = b.pure("turnedLeft1", b.pure("v128.xor", x, b.pure("wordsUp", y)));
    return b.pure("v128.xor", three, b.pure("turnedLeft1", b.pure("topWordBelow", three)));
  },
);

const liftSha256Message1 = vectorwise(
  (b, x, y) => x.map((word, k) => b.add(word, b.pure("sha256SmallWord0", k < 3 ? x[k + 1] : y[0]))),
  (b, x, y) => b.pure("i32x4.add", x, b.pure("sha256Small0", b.pure("nextWords", x, y))),
);

const liftSha256Message2 = vectorwise(
  (b, x, y) => {
    const first = b.add(x[0], b.pure("sha256SmallWord1", y[2]));
    const second = b.add(x[1], b.pure("sha256SmallWord1", y[3]));
    return [first, second, b.add(x[2], b.pure("sha256SmallWord1", first)), b.add(x[3], b.pure("sha256SmallWord1", second))];
  },
  (b, x, y) => {
    const two = b.pure("i32x4.add", x, b.pure("sha256Small1", b.pure("upperWords", y)));
    return b.pure("i32x4.add", two, b.pure("sha256Small1", b.pure("lowWordsAbove", two)));
  },
);

export const cryptoLifts: Record<string, LiftFunction> = {
  aesenc: round("aesColumn", 1),
  aesenclast: round("aesLast", 1),
  aesdec: round("aesColumnBack", -1),
  aesdeclast: round("aesLastBack", -1),
  aesimc: liftInverseMixColumns,
  aeskeygenassist: liftKeyAssist,

  sha1rnds4: liftSha1Rounds,
  sha1nexte: liftSha1Next,
  sha1msg1: liftSha1Message1,
  sha1msg2: liftSha1Message2,
  sha256rnds2: liftSha256Rounds,
  sha256msg1: liftSha256Message1,
  sha256msg2: liftSha256Message2,
};
