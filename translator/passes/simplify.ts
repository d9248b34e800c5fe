/**
 * Algebra on values, bottom up: constants folded from the rows' own meaning, neutral elements dropped, and the flag words undone where a branch looks at them:
 * "the sign of the borrow vector of a - b" is "a below b". Rules are listed by the op they rewrite.
 */
import { type MicroBlock, ValueMapper } from "../ir/block.ts";
import type { Statement, Value } from "../ir/micro.ts";
import { type PureOp, type PureOpRow, pureOps } from "../ir/pure-ops.ts";
import { laneRules } from "./lanes.ts";

type Pure = Extract<Value, { kind: "pure" }>;
/** Folds an op over constants: see PureTemplates.evaluate. */
export type Fold = (op: PureOp, args: readonly number[]) => number | undefined;

const constant = (value: number): Value => ({ kind: "constant", value: value | 0 });
type Constant = Extract<Value, { kind: "constant" }>;
// Deliberately not type guards on the negative side: `v` may be a constant other than the one asked for.
const isConstant = (v: Value, value?: number): v is Constant & { readonly checked?: never } =>
  v.kind === "constant" && (value === undefined || v.value === value);
const isOp = (v: Value, op: PureOp): v is Pure & { readonly checked?: never } => v.kind === "pure" && v.op === op;
function make(op: PureOp, ...args: Value[]): Value {
  const row: PureOpRow = pureOps[op];
  return { kind: "pure", op, args, type: row.type ?? "i32" };
}

/** Structural equality of values: cheap, for it stops at shared nodes. */
function same(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind) return false;
  if (a.kind === "constant") return a.value === (b as typeof a).value;
  if (a.kind === "result") return a.statement === (b as typeof a).statement;
  if (a.kind === "pure") {
    const other = b as Pure;
    return a.op === other.op && a.args.every((x, k) => same(x, other.args[k]));
  }
  return false;
}

/** Operations that are looked through: values share their operands, and what is behind many of them would be looked at again and again. */
const deepestLook = 5;

/** How many low bits may be set: 8 for a byte load, and so on. */
function width(v: Value, deep = deepestLook): number {
  if (v.kind === "constant") return 32 - Math.clz32(v.value);
  if (v.kind === "result") return v.statement.kind === "load" || v.statement.kind === "fetch" ? v.statement.size * 8 : 32;
  if (v.kind !== "pure" || deep === 0) return 32;
  switch (v.op) {
    case "zeroExtend8":
      return Math.min(8, width(v.args[0], deep - 1));
    case "zeroExtend16":
      return Math.min(16, width(v.args[0], deep - 1));
    case "and":
      return Math.min(width(v.args[0], deep - 1), width(v.args[1], deep - 1));
    case "or":
    case "xor":
      return Math.max(width(v.args[0], deep - 1), width(v.args[1], deep - 1));
    case "shr":
      return isConstant(v.args[1]) ? Math.max(0, width(v.args[0], deep - 1) - (v.args[1].value & 31)) : 32;
    case "toInt":
      return 1;
    case "select":
      return Math.max(width(v.args[1], deep - 1), width(v.args[2], deep - 1));
    default:
      return 32;
  }
}

interface Comparison {
  readonly left: Value;
  readonly right: Value;
  /** Operand size in bits. */
  readonly bits: number;
}

/** flagCarry of a subtraction or comparison: its operands. */
function subtractionOf(v: Value): Comparison | undefined {
  const bits = isOp(v, "carryVector8") ? 8 : isOp(v, "carryVector16") ? 16 : 32;
  const vector = bits === 32 ? v : (v as Pure).args[0];
  if (!isOp(vector, "borrows")) return undefined;
  const [left, right, result] = vector.args;
  // With a borrow in, the result is not left - right.
  const isPlain = same(result, rewrite(make("sub", left, right))) || (isOp(result, "neg") && isConstant(left, 0) && same(result.args[0], right));
  if (!isPlain) return undefined;
  return { left, right, bits };
}

interface Sum {
  readonly op: "carries" | "borrows";
  readonly a: Value;
  readonly b: Value;
  /** a + b, or a - b. */
  readonly plain: Value;
  /** Carry or borrow in, 0 or 1; undefined where there is none. */
  readonly carry: Value | undefined;
}

/** flagCarry of an addition or subtraction of 32 bits. */
function sumOf(v: Value): Sum | undefined {
  if (!isOp(v, "carries") && !isOp(v, "borrows")) return undefined;
  const [a, b, result] = v.args;
  const step = v.op === "carries" ? "add" : "sub";
  const plain = rewrite(make(step, a, b));
  const sum = { op: v.op as Sum["op"], a, b, plain };
  if (same(result, plain)) return { ...sum, plain: result, carry: undefined };
  const isWithCarry = isOp(result, step) && same(result.args[0], plain) && width(result.args[1]) <= 1;
  return isWithCarry ? { ...sum, carry: result.args[1] } : undefined;
}

function signed(v: Value, bits: number): Value {
  return bits === 8 ? rewrite(make("signExtend8", v)) : bits === 16 ? rewrite(make("signExtend16", v)) : v;
}

/** A value whose zero-ness decides: undoes sign extension and subtraction. */
function zeroTest(v: Value): Value {
  if (isOp(v, "sub")) return rewrite(make("equal", v.args[0], v.args[1]));
  if (isOp(v, "signExtend8") || isOp(v, "signExtend16")) {
    const bits = v.op === "signExtend8" ? 8 : 16;
    const inner = v.args[0];
    if (width(inner) <= bits) return zeroTest(inner);
    if (isOp(inner, "sub") && width(inner.args[0]) <= bits && width(inner.args[1]) <= bits)
      return rewrite(make("equal", inner.args[0], inner.args[1]));
  }
  return make("equal", v, constant(0));
}

/** v < 0 */
function signTest(v: Value): Value {
  const carry = subtractionOf(v);
  if (carry !== undefined && width(carry.left) <= carry.bits && width(carry.right) <= carry.bits) return make("below", carry.left, carry.right);
  // INC and DEC leave CF as it was.
  if (isOp(v, "stepped")) return rewrite(make("less", v.args[0], constant(0)));
  const sum = carry === undefined ? sumOf(v) : undefined;
  if (sum !== undefined) {
    const { op, a, b, plain } = sum;
    if (sum.carry !== undefined) return make(op === "carries" ? "carriesOut" : "borrowsOut", a, b, sum.carry);
    if (op === "carries") return make("below", plain, isConstant(b) ? b : a);
  }
  // OF of INC and DEC is had from their operands alone.
  if (isOp(v, "overflowSign") && isOp(v.args[0], "stepped"))
    return make("less", make("and", v.args[0].args[2], make("not", v.args[0].args[1])), constant(0));
  // SF != OF of a subtraction: less.
  if (isOp(v, "xor") && isOp(v.args[0], "overflowSign")) {
    const vector = v.args[0].args[0];
    if (isConstant(vector, 0)) return make("less", v.args[1], constant(0));
    if (isOp(vector, "stepped")) {
      const [, a, b] = vector.args;
      if (same(v.args[1], a)) return make("less", b, constant(1));
      if (same(v.args[1], b)) return make("less", a, constant(-1));
    }
    const subtraction = subtractionOf(vector);
    if (subtraction !== undefined) return make("less", signed(subtraction.left, subtraction.bits), signed(subtraction.right, subtraction.bits));
    const difference = sumOf(vector);
    if (difference?.op === "borrows" && difference.carry !== undefined && same((vector as Pure).args[2], v.args[1]))
      return make("isNegativeDifference", difference.a, difference.b, difference.carry);
  }
  return make("less", v, constant(0));
}

const rules: Partial<Record<PureOp, (v: Pure, a: Value, b: Value, c: Value) => Value>> = {
  ...laneRules({ make, rewrite, constant, same }),
  add: (v, a, b) => {
    if (isConstant(b, 0)) return a;
    if (isConstant(a, 0)) return b;
    if (isConstant(b) && isOp(a, "add") && isConstant(a.args[1])) return rewrite(make("add", a.args[0], constant(a.args[1].value + b.value)));
    if (isConstant(b) && isOp(a, "sub") && isConstant(a.args[1])) return rewrite(make("add", a.args[0], constant(b.value - a.args[1].value)));
    return isConstant(a) ? make("add", b, a) : v;
  },
  sub: (v, a, b) => {
    if (isConstant(b, 0)) return a;
    if (isConstant(b) && isOp(a, "add") && isConstant(a.args[1])) return rewrite(make("add", a.args[0], constant(a.args[1].value - b.value)));
    if (isConstant(b) && isOp(a, "sub") && isConstant(a.args[1])) return rewrite(make("sub", a.args[0], constant(a.args[1].value + b.value)));
    return same(a, b) ? constant(0) : v;
  },
  and: (v, a, b) => {
    if (isConstant(b)) {
      const seen = seenOf(a, b.value);
      if (seen !== a) return rewrite(make("and", seen, b));
    }
    if (isConstant(a) && !isConstant(b)) return rewrite(make("and", b, a));
    if (same(a, b)) return a;
    if (isConstant(b, -1)) return a;
    if (isConstant(b) && (b.value & maskOf(a)) === 0) return constant(0);
    if (isConstant(b) && b.value > 0 && ((b.value + 1) & b.value) === 0 && width(a) <= 32 - Math.clz32(b.value)) return a;
    if (isConstant(b) && isOp(a, "and") && isConstant(a.args[1])) return rewrite(make("and", a.args[0], constant(a.args[1].value & b.value)));
    return v;
  },
  or: (v, a, b) => (isConstant(b, 0) || same(a, b) ? a : isConstant(a, 0) ? b : v),
  xor: (v, a, b) => {
    if (isConstant(b, 0)) return a;
    if (isConstant(a, 0)) return b;
    if (same(a, b)) return constant(0);
    if (isOp(b, "xor") && same(a, b.args[0])) return b.args[1];
    if (isOp(b, "xor") && same(a, b.args[1])) return b.args[0];
    return v;
  },
  // x - x - borrow, 0 - b, and a - 0 (CMP with zero).
  borrows: (v, a, b, r) => {
    if (same(a, b)) return r;
    if (isConstant(a, 0)) return rewrite(make("or", b, r));
    return isConstant(b, 0) && same(a, r) ? constant(0) : v;
  },
  stepped: (v, o, a, b) => {
    const seen = seenOf(o, 1 << 31);
    return seen === o ? v : make("stepped", seen, a, b);
  },
  shl: (v, a, b) => (isConstant(b) && (b.value & 31) === 0 ? a : v),
  shr: (v, a, b) => {
    if (isConstant(b) && (b.value & 31) === 0) return a;
    // CF of the instruction before.
    if (isConstant(b, 31) && isOp(a, "stepped")) return rewrite(make("shr", a.args[0], b));
    if (isConstant(b, 31) && (isOp(a, "carries") || isOp(a, "borrows"))) {
      const test = signTest(a);
      if (!isOp(test, "less")) return make("toInt", test);
    }
    return v;
  },
  sar: (v, a, b) => (isConstant(b) && (b.value & 31) === 0 ? a : v),
  zeroExtend8: (v, a) => {
    if (width(a) <= 8) return a;
    if (isOp(a, "signExtend8") || isOp(a, "zeroExtend16")) return rewrite(make("zeroExtend8", a.args[0]));
    return partWritten(v, a, 0xff) ?? v;
  },
  zeroExtend16: (v, a) => {
    if (width(a) <= 16) return a;
    if (isOp(a, "signExtend16")) return rewrite(make("zeroExtend16", a.args[0]));
    return partWritten(v, a, 0xffff) ?? v;
  },
  signExtend8: (v, a) => (width(a) < 8 ? a : isOp(a, "zeroExtend8") ? rewrite(make("signExtend8", a.args[0])) : v),
  signExtend16: (v, a) => (width(a) < 16 ? a : isOp(a, "zeroExtend16") ? rewrite(make("signExtend16", a.args[0])) : v),
  equal: (v, a, b) => (isConstant(b, 0) ? zeroTest(a) : v),
  notEqual: (v, a, b) => (isConstant(b, 0) && isOp(a, "toInt") ? a.args[0] : v),
  less: (v, a, b) => (isConstant(b, 0) ? signTest(a) : v),
  logicalNot: (v, a) => {
    if (isOp(a, "logicalNot")) return a.args[0];
    if (isOp(a, "equal")) return make("notEqual", a.args[0], a.args[1]);
    if (isOp(a, "notEqual")) return make("equal", a.args[0], a.args[1]);
    if (isOp(a, "less")) return make("lessEqual", a.args[1], a.args[0]);
    if (isOp(a, "below")) return make("belowEqual", a.args[1], a.args[0]);
    if (isOp(a, "lessEqual")) return make("less", a.args[1], a.args[0]);
    if (isOp(a, "belowEqual")) return make("below", a.args[1], a.args[0]);
    return v;
  },
  logicalOr: (v, a, b) => {
    // below or equal, less or equal
    if (isOp(b, "equal") && a.kind === "pure" && (a.op === "below" || a.op === "less")) {
      const unextended = (x: Value): Value => (isOp(x, "signExtend8") || isOp(x, "signExtend16") ? x.args[0] : x);
      const isSamePair =
        (same(a.args[0], b.args[0]) && same(a.args[1], b.args[1])) ||
        (same(stripZero(unextended(a.args[0])), stripZero(b.args[0])) && same(stripZero(unextended(a.args[1])), stripZero(b.args[1])));
      if (isSamePair) return make(a.op === "below" ? "belowEqual" : "lessEqual", a.args[0], a.args[1]);
      // TEST x, x: SF or ZF
      if (a.op === "less" && isConstant(a.args[1], 0) && isConstant(b.args[1], 0) && same(a.args[0], b.args[0]))
        return make("lessEqual", a.args[0], a.args[1]);
    }
    if (isConstant(a, 0)) return b;
    if (isConstant(b, 0)) return a;
    return v;
  },
  select: (v, c, a, b) => {
    if (isConstant(c)) return c.value !== 0 ? a : b;
    return same(a, b) ? a : v;
  },
};

/** The bits that may be set. */
function maskOf(v: Value): number {
  const bits = width(v);
  return bits === 32 ? -1 : (1 << bits) - 1;
}

/**
 * What is to be computed of a value if only the bits of `mask` are seen: of words put together of masked parts those that matter. Others are what a partial write of a register put
 * beside them, or the AF that a rotation leaves as it was before an INC sets it. (A rotation's own parts have no masks: the whole is had anyway.)
 */
function seenOf(v: Value, mask: number, deep = deepestLook): Value {
  if (v.kind !== "pure" || deep === 0) return v;
  const [a, b] = v.args;
  if (v.op === "or" || v.op === "xor") {
    if (isMasked(a) || isMasked(b)) {
      if ((setBits(b) & mask) === 0) return seenOf(a, mask, deep - 1);
      if ((setBits(a) & mask) === 0) return seenOf(b, mask, deep - 1);
    }
    const [x, y] = [seenOf(a, mask, deep - 1), seenOf(b, mask, deep - 1)];
    return x === a && y === b ? v : rewrite(make(v.op, x, y));
  }
  if (v.op === "stepped") return (mask & ~(1 << 31)) === 0 ? seenOf(a, mask, deep - 1) : v;
  if (v.op === "and") return isConstant(b) && (b.value & mask) === mask ? seenOf(a, mask, deep - 1) : v;
  if (v.op !== "shr" || !isConstant(b)) return v;
  const x = seenOf(a, mask << b.value, deep - 1);
  return x === a ? v : rewrite(make("shr", x, b));
}

function isMasked(v: Value): boolean {
  return isOp(v, "and") && isConstant(v.args[1]);
}

/** The bits that may be set: closer than `maskOf` where there is a mask. */
function setBits(v: Value): number {
  return isOp(v, "and") && isConstant(v.args[1]) ? v.args[1].value & maskOf(v.args[0]) : maskOf(v);
}

/** The low part of a register after a partial write: what was written. `v` is `a` zero-extended from `mask`. */
function partWritten(v: Pure, a: Value, mask: number): Value | undefined {
  if (!isOp(a, "or") || !isOp(a.args[0], "and") || !isConstant(a.args[0].args[1]) || (a.args[0].args[1].value & mask) !== 0) return undefined;
  return rewrite(make(v.op, a.args[1]));
}

function stripZero(v: Value): Value {
  return isOp(v, "zeroExtend8") || isOp(v, "zeroExtend16") ? v.args[0] : v;
}

function rewrite(v: Value): Value {
  if (v.kind !== "pure") return v;
  return rules[v.op]?.(v, v.args[0], v.args[1], v.args[2]) ?? v;
}

/** A store truncates by itself. */
function narrowStore(s: Statement): Statement {
  if (s.kind !== "store" || s.size === 4 || s.value.kind !== "pure") return s;
  const { op, args } = s.value;
  const truncates =
    op === "zeroExtend16" ||
    op === "signExtend16" ||
    (s.size === 1 && (op === "zeroExtend8" || op === "signExtend8" || (op === "and" && isConstant(args[1], 255))));
  return truncates ? narrowStore({ ...s, value: args[0] }) : s;
}

export function simplify(block: MicroBlock, fold: Fold): MicroBlock {
  const mapper = new ValueMapper(
    () => undefined,
    (v) => folded(v, fold) ?? rewrite(v),
  );
  const statements = block.statements.map((statement) => {
    const s = narrowStore(mapper.statement(statement.s));
    return s === statement.s ? statement : { s, instruction: statement.instruction };
  });
  return { ...block, statements, terminator: block.terminator && mapper.terminator(block.terminator) };
}

/** The constant that an op over constants is. */
function folded({ op, type, args }: Pure, fold: Fold): Value | undefined {
  if (type === "f64" || type === "v128") return undefined;
  for (const a of args) if (a.kind !== "constant") return undefined;
  const value = fold(
    op,
    args.map((a) => (a as Constant).value),
  );
  return value === undefined ? undefined : constant(value);
}
