/** SSE4.1, SSE4.2, POPCNT and MOVBE (SDM vol. 1, 5.10 and 5.11), without the floating-point arithmetic, which is float.ts's. */
import { slot } from "../../contract/slots.ts";
import type { Value } from "../../ir/micro.ts";
import type { PureOp } from "../../ir/pure-ops.ts";
import type { Builder, LiftFunction } from "../builder.ts";
import type { ShapeOperand } from "../shape.ts";
import { pairwise, vectorwise, type Whole, wordwise } from "./integer.ts";
import { bytes, maximumSigned, maximumUnsigned, minimumSigned, minimumUnsigned, pureLane, words } from "./lanes.ts";
import { isMemory, isWhole, readVector, readWords, requireSse, slotOf, sourceSlot, writeVector, writeWords } from "./operands.ts";
import { pick } from "./shuffle.ts";

// ---- blending

/** By bits of an immediate. @param mask of word k of the result, from the bits */
function blendByImmediate(mask: (b: Builder, bits: Value, k: number) => Value, whole: PureOp): LiftFunction {
  return (b, i) => {
    const [target, source, immediate] = i.operands;
    requireSse(b);
    const bits = b.read(immediate);
    if (isWhole(b, target)) {
      const from = readVector(b, source);
      return writeVector(b, target, b.pure(whole, readVector(b, target), from, bits));
    }
    const y = readWords(b, source, 4);
    const x = readWords(b, target, 4);
    writeWords(
      b,
      target,
      x.map((word, k) => b.pure("blend", mask(b, bits, k), y[k], word)),
    );
  };
}
/** All ones if bit `at` is set. */
const maskOfBit = (b: Builder, bits: Value, at: number): Value => b.sar(b.shl(bits, 31 - at), 31);

/** By the sign bits of the lanes of XMM0. */
function blendBySigns(mask: (b: Builder, signs: Value[], k: number) => Value, whole: PureOp): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireSse(b);
    if (isWhole(b, target)) {
      const from = readVector(b, source);
      return writeVector(b, target, b.pure(whole, readVector(b, target), from, b.getAt(b.constant(slot.xmm), 0, "v128")));
    }
    const y = readWords(b, source, 4);
    const x = readWords(b, target, 4);
    const m = [0, 1, 2, 3].map((k) => b.get(slot.xmm + k));
    writeWords(
      b,
      target,
      x.map((word, k) => b.pure("blend", mask(b, m, k), y[k], word)),
    );
  };
}

// ---- widening

/** Lane `n` of `size` bytes in the words `y`, extended to 32 bits. */
function lane(b: Builder, y: readonly Value[], n: number, size: 1 | 2 | 4, isSigned: boolean): Value {
  const at = n * size;
  const word = b.shr(y[at >> 2], 8 * (at & 3));
  if (size === 4) return y[n];
  return isSigned ? b.signExtend(word, size) : b.zeroExtend(word, size);
}

/** PMOVSX and PMOVZX: lanes of `from` bytes become lanes of `to`. */
function extend(from: 1 | 2 | 4, to: 2 | 4 | 8, isSigned: boolean): LiftFunction {
  const sizes = ([1, 2, 4] as const).filter((size) => size >= from && size < to);
  const steps = sizes.map((size): PureOp => `${isSigned ? "extendSigned" : "extendUnsigned"}${(8 * size) as 8 | 16 | 32}`);
  return (b, i) => {
    const [target, source] = i.operands;
    requireSse(b);
    if (isWhole(b, target)) {
      const narrow = isMemory(source) ? narrowVector(b, source) : readVector(b, source);
      return writeVector(
        b,
        target,
        steps.reduce((vector, op) => b.pure(op, vector), narrow),
      );
    }
    const y =
      isMemory(source) && source.size < 8 ? [b.load(b.address(source), source.size as 2 | 4)] : readWords(b, source, source.size === 8 ? 2 : 1);
    const result: Value[] = [];
    for (let k = 0; k < 4; k++) {
      if (to === 4) result.push(lane(b, y, k, from, isSigned));
      else if (to === 2) result.push(b.or(b.zeroExtend(lane(b, y, 2 * k, from, isSigned), 2), b.shl(lane(b, y, 2 * k + 1, from, isSigned), 16)));
      else {
        const low = lane(b, y, k >> 1, from, isSigned);
        result.push(k & 1 ? (isSigned ? b.sar(low, 31) : b.constant(0)) : low);
      }
    }
    writeWords(b, target, result);
  };
}
/** Eight bytes of memory or fewer, at the bottom of a vector. */
function narrowVector(b: Builder, source: ShapeOperand): Value {
  if (source.size < 8) return b.pure("fromWord", b.load(b.address(source), source.size as 2 | 4));
  b.call("load64", b.address(source, 8), slot.scratch);
  return b.getAt(b.constant(slot.scratch), 0, "v128");
}

// ---- lanes in and out

function extract(size: 1 | 4): LiftFunction {
  return (b, i) => {
    const [target, source, immediate] = i.operands;
    requireSse(b);
    const index = b.read(immediate);
    if (isWhole(b, source)) return b.write(target, b.pure(size === 1 ? "extractByte" : "extractDoubleword", readVector(b, source), index));
    const x = readWords(b, source, 4);
    const word = pick(b, x, index, size === 1 ? 2 : 0);
    b.write(target, size === 1 ? b.zeroExtend(b.shr(word, b.shl(b.and(index, 3), 3)), 1) : word);
  };
}

function insert(size: 1 | 4): LiftFunction {
  return (b, i) => {
    const [target, source, immediate] = i.operands;
    requireSse(b);
    const value = b.read(source);
    const index = b.read(immediate);
    if (isWhole(b, target))
      return writeVector(b, target, b.pure(size === 1 ? "insertByte" : "insertDoubleword", readVector(b, target), index, value));
    const wanted = b.and(size === 1 ? b.shr(index, 2) : index, 3);
    writeWords(
      b,
      target,
      readWords(b, target, 4).map((word, k) =>
        b.select(b.equal(wanted, k), size === 1 ? b.pure("insertByteInWord", word, value, index) : value, word),
      ),
    );
  };
}

/** INSERTPS: a single from anywhere to anywhere, and zeros where the low bits say so. */
const liftInsertSingle: LiftFunction = (b, i) => {
  const [target, source, immediate] = i.operands;
  requireSse(b);
  const order = b.read(immediate);
  const value = isMemory(source) ? b.load(b.address(source, 4), 4) : pick(b, readWords(b, source, 4), order, 6);
  const wanted = b.and(b.shr(order, 4), 3);
  writeWords(
    b,
    target,
    readWords(b, target, 4).map((word, k) => b.and(b.select(b.equal(wanted, k), value, word), b.pure("not", maskOfBit(b, order, k)))),
  );
};

// ---- arithmetic and comparison

const minimum =
  (op: "less" | "below") =>
  (b: Builder, x: Value, y: Value): Value =>
    b.select(b.pure(op, x, y), x, y);
const maximum =
  (op: "less" | "below") =>
  (b: Builder, x: Value, y: Value): Value =>
    b.select(b.pure(op, x, y), y, x);

const packUnsigned = vectorwise((b, x, y) => {
  const result: Value[] = [];
  for (const lanes of [x, y]) {
    for (let k = 0; k < 4; k += 2)
      result.push(b.or(b.pure("saturateWordUnsigned", lanes[k]), b.shl(b.pure("saturateWordUnsigned", lanes[k + 1]), 16)));
  }
  return result;
}, "i16x8.narrow_i32x4_u");

const toMask = (b: Builder, condition: Value): Value => b.pure("neg", b.pure("toInt", condition));

/** The flags that instructions set which have no carry of their own. @param zero ZF if it is 0; @param carry CF if it is not */
function setFlags(b: Builder, zero: Value, carry?: Value): void {
  // CF to bits 31 and 30, so that OF, their difference, is 0; the low byte of flagSign gives odd parity.
  b.set(slot.flagCarry, carry === undefined ? 0 : b.select(b.equal(carry, 0), 0, 0xc0000000 | 0));
  b.set(slot.flagZero, zero);
  b.set(slot.flagSign, 1);
}

const liftTest: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  requireSse(b);
  if (isWhole(b, target)) {
    const y = readVector(b, source);
    const x = readVector(b, target);
    const outside = b.pure("anyBit", b.pure("notAnd", x, y));
    return setFlags(b, b.pure("anyBit", b.pure("v128.and", x, y)), b.xor(outside, 1));
  }
  const y = readWords(b, source, 4);
  const x = readWords(b, target, 4);
  const any = (all: Value[]): Value => all.reduce((p, q) => b.or(p, q));
  const outside = any(x.map((word, k) => b.and(b.pure("not", word), y[k])));
  setFlags(b, any(x.map((word, k) => b.and(word, y[k]))), b.pure("toInt", b.equal(outside, 0)));
};

function operate(callout: "mpsadbw" | "phminposuw"): LiftFunction {
  return (b, i) => {
    const [target, source, immediate] = i.operands;
    requireSse(b);
    const from = sourceSlot(b, source);
    if (immediate === undefined) b.call(callout, slotOf(b, target), from);
    else b.call(callout, slotOf(b, target), from, b.read(immediate));
  };
}

// ---- text

/** PCMPxSTRx: the result is an index in ECX or a mask in XMM0. Memory need not be aligned. */
function compareText(hasLengths: boolean, isIndex: boolean): LiftFunction {
  return (b, i) => {
    const [left, right, immediate] = i.operands;
    requireSse(b);
    let from: Value;
    if (isMemory(right)) {
      b.call("load128", b.address(right, 16), slot.scratch);
      from = b.constant(slot.scratch);
    } else from = slotOf(b, right);
    const control = b.read(immediate);
    const r = hasLengths
      ? b.call("compareTextOfLength", slotOf(b, left), from, control, b.get(slot.eax), b.get(slot.eax + 2))
      : b.call("compareText", slotOf(b, left), from, control);
    const bits = b.zeroExtend(r, 2);
    const wantsLast = b.pure("notEqual", b.and(control, 0x40), b.constant(0));
    if (isIndex) {
      const lanes = b.pure("shr", b.constant(16), b.and(control, 1));
      const bounded = b.or(bits, b.pure("shl", b.constant(1), lanes));
      const bitNumber = (x: Value): Value => b.sub(b.constant(31), b.pure("clz", x));
      const first = bitNumber(b.and(bounded, b.pure("neg", bounded)));
      const last = b.select(b.equal(bits, 0), lanes, bitNumber(bits));
      b.set(slot.eax + 1, b.select(wantsLast, last, first));
    } else {
      const isWords = b.pure("notEqual", b.and(control, 1), b.constant(0));
      for (let k = 0; k < 4; k++) {
        const mask = b.select(isWords, b.pure("maskOfWords", b.shr(bits, 2 * k)), b.pure("maskOfBytes", b.shr(bits, 4 * k)));
        b.set(slot.xmm + k, b.select(wantsLast, mask, k === 0 ? bits : 0));
      }
    }
    // CF in bit 16, ZF 17, SF 18, OF 19: bit 30 of flagCarry is CF xor OF.
    const carry = b.and(b.shr(r, 16), 1);
    b.set(slot.flagCarry, b.or(b.shl(carry, 31), b.shl(b.xor(carry, b.and(b.shr(r, 19), 1)), 30)));
    b.set(slot.flagZero, b.xor(b.and(r, 1 << 17), 1 << 17));
    b.set(slot.flagSign, b.or(b.and(b.shl(r, 13), 0x80000000 | 0), 1));
  };
}

// ---- general registers

const liftCrc: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  const value = b.read(source);
  b.write(target, b.call("crc32", b.read(target), value, b.constant(source.size)));
};

const liftPopulationCount: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  const value = b.read(source);
  b.write(target, b.pure("sumNibbles", b.pure("countNibbles", b.pure("countPairs", value))));
  setFlags(b, value);
};

const liftMoveBigEndian: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  const value = b.read(source);
  b.write(target, source.size === 4 ? b.pure("bswap", value) : b.or(b.shl(b.and(value, 255), 8), b.and(b.shr(value, 8), 255)));
};

const lanewise = (op: PureOp, whole: Whole): LiftFunction => wordwise(pureLane(op), whole);

export const sse4Lifts: Record<string, LiftFunction> = {
  pblendw: blendByImmediate((b, bits, k) => b.pure("maskOfWords", b.shr(bits, 2 * k)), "blendWords"),
  blendps: blendByImmediate((b, bits, k) => maskOfBit(b, bits, k), "blendSingles"),
  blendpd: blendByImmediate((b, bits, k) => maskOfBit(b, bits, k >> 1), "blendDoubles"),
  pblendvb: blendBySigns((b, m, k) => b.pure("spreadBytes", b.and(m[k], 0x80808080 | 0)), "blendBytesBy"),
  blendvps: blendBySigns((b, m, k) => b.sar(m[k], 31), "blendSinglesBy"),
  blendvpd: blendBySigns((b, m, k) => b.sar(m[k | 1], 31), "blendDoublesBy"),
  ptest: liftTest,

  pmovsxbw: extend(1, 2, true),
  pmovsxbd: extend(1, 4, true),
  pmovsxbq: extend(1, 8, true),
  pmovsxwd: extend(2, 4, true),
  pmovsxwq: extend(2, 8, true),
  pmovsxdq: extend(4, 8, true),
  pmovzxbw: extend(1, 2, false),
  pmovzxbd: extend(1, 4, false),
  pmovzxbq: extend(1, 8, false),
  pmovzxwd: extend(2, 4, false),
  pmovzxwq: extend(2, 8, false),
  pmovzxdq: extend(4, 8, false),

  pextrb: extract(1),
  pextrd: extract(4),
  extractps: extract(4),
  pinsrb: insert(1),
  pinsrd: insert(4),
  insertps: liftInsertSingle,

  pmuldq: pairwise((b, x, y) => [b.pure("mul", x[0], y[0]), b.pure("mulhs", x[0], y[0])], "mulEvenSigned"),
  pmulld: lanewise("mul", "i32x4.mul"),
  packusdw: packUnsigned,
  pminsb: wordwise(minimumSigned(bytes), "i8x16.min_s"),
  pminsd: wordwise(minimum("less"), "i32x4.min_s"),
  pminuw: wordwise(minimumUnsigned(words), "i16x8.min_u"),
  pminud: wordwise(minimum("below"), "i32x4.min_u"),
  pmaxsb: wordwise(maximumSigned(bytes), "i8x16.max_s"),
  pmaxsd: wordwise(maximum("less"), "i32x4.max_s"),
  pmaxuw: wordwise(maximumUnsigned(words), "i16x8.max_u"),
  pmaxud: wordwise(maximum("below"), "i32x4.max_u"),
  pcmpeqq: pairwise((b, x, y) => {
    const mask = toMask(b, b.equal(b.or(b.xor(x[0], y[0]), b.xor(x[1], y[1])), 0));
    return [mask, mask];
  }, "i64x2.eq"),
  pcmpgtq: pairwise((b, x, y) => {
    const below = b.pure("logicalAnd", b.pure("equal", x[1], y[1]), b.pure("below", y[0], x[0]));
    const mask = toMask(b, b.pure("logicalOr", b.pure("less", y[1], x[1]), below));
    return [mask, mask];
  }, "i64x2.gt_s"),
  mpsadbw: operate("mpsadbw"),
  phminposuw: operate("phminposuw"),

  pcmpestrm: compareText(true, false),
  pcmpestri: compareText(true, true),
  pcmpistrm: compareText(false, false),
  pcmpistri: compareText(false, true),
  crc32: liftCrc,
  popcnt: liftPopulationCount,
  movbe: liftMoveBigEndian,
};
