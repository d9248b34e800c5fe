/**
 * Binary operators as WebAssembly. An operation that could leave the int32 range is done in wrapped integers only where its user wraps it anyway (`| 0`, `>>>`, an array's element), in
 * 64 bits where sums of integers are compared, else in doubles, as JavaScript does it.
 */
import type { Expression } from "estree";
import { CallWriter } from "./calls.ts";
import type { Opcode } from "./encoder.ts";
import { isNotNegative, literalOf, refuse, type Type, typeOfOperation } from "./names.ts";

/** Instructions for a binary operator. All fields are there in all rows, for V8 reads them faster then. */
interface Operator {
  /** Of integers, signed or not, with a result of 32 bits. */
  readonly bitwise: Opcode | undefined;
  /** Of integers, its result wrapped. */
  readonly wrapping: Opcode | undefined;
  /** Of doubles, with a double for a result. */
  readonly double: Opcode | undefined;
  readonly comparison: { readonly signed: Opcode; readonly unsigned: Opcode; readonly double: Opcode; readonly long: Opcode } | undefined;
}
const bitwise = (opcode: Opcode): Operator => ({ bitwise: opcode, wrapping: undefined, double: undefined, comparison: undefined });
const arithmetic = (double: Opcode, wrapping?: Opcode): Operator => ({ bitwise: undefined, wrapping, double, comparison: undefined });
const comparison = (signed: Opcode, unsigned: Opcode, double: Opcode, long: Opcode): Operator => ({
  bitwise: undefined,
  wrapping: undefined,
  double: undefined,
  comparison: { signed, unsigned, double, long },
});
export const operators: ReadonlyMap<string, Operator> = new Map([
  ["&", bitwise("i32.and")],
  ["|", bitwise("i32.or")],
  ["^", bitwise("i32.xor")],
  ["<<", bitwise("i32.shl")],
  [">>", bitwise("i32.shr_s")],
  [">>>", bitwise("i32.shr_u")],
  ["+", arithmetic("f64.add", "i32.add")],
  ["-", arithmetic("f64.sub", "i32.sub")],
  ["*", arithmetic("f64.mul")],
  ["/", arithmetic("f64.div")],
  ["<", comparison("i32.lt_s", "i32.lt_u", "f64.lt", "i64.lt_s")],
  ["<=", comparison("i32.le_s", "i32.le_u", "f64.le", "i64.le_s")],
  [">", comparison("i32.gt_s", "i32.gt_u", "f64.gt", "i64.gt_s")],
  [">=", comparison("i32.ge_s", "i32.ge_u", "f64.ge", "i64.ge_s")],
  ["===", comparison("i32.eq", "i32.eq", "f64.eq", "i64.eq")],
  ["!==", comparison("i32.ne", "i32.ne", "f64.ne", "i64.ne")],
]);

export type Binary = Expression & { type: "BinaryExpression" };

export abstract class ArithmeticWriter extends CallWriter {
  /** `M8[...] & 255` and `M16[...] & 65535`: whether it was one of them, and is pushed. */
  protected abstract loadUnsigned(e: Expression, mask: Expression): boolean;

  /** Pushes what an operator yields, modulo 2^32. */
  protected wrapped(e: Binary): void {
    const row = operators.get(e.operator) ?? refuse(e.operator);
    const operation = row.wrapping !== undefined && this.fitsWrapped(e, 0) ? row.wrapping : e.operator === "/" ? this.integerQuotient(e) : undefined;
    if (operation === undefined) {
      if (this.binary(e, row) === "f64") this.wrap();
      return;
    }
    this.int(e.left as Expression);
    this.int(e.right);
    return this.op(operation);
  }

  /**
   * The instruction for a quotient that is wrapped: of two unsigned numbers (n >>> 0), or of two signed ones. Generated code divides only after it has looked at the divisor
   * and, of signed numbers, at the quotient that overflows.
   */
  private integerQuotient(e: Binary): Opcode | undefined {
    const a = this.names.typeOf(e.left as Expression);
    const b = this.names.typeOf(e.right);
    if (a === "u32" && b === "u32") return "i32.div_u";
    return a === "i32" && b === "i32" ? "i32.div_s" : undefined;
  }

  /** Whether a sum of int32 and uint32 parts is exact in doubles, so that wrapping it is what ToInt32 does: fewer than 2^20 of them. */
  private fitsWrapped(e: Expression, depth: number): boolean {
    if (depth > 16) return false;
    if (e.type === "BinaryExpression" && (e.operator === "+" || e.operator === "-"))
      return this.fitsWrapped(e.left as Expression, depth + 1) && this.fitsWrapped(e.right, depth + 1);
    const value = this.constantOf(e);
    if (value !== undefined) return Number.isInteger(value) && Math.abs(value) <= 2 ** 32;
    return this.names.typeOf(e) !== "f64";
  }

  /** The double that was pushed becomes an integer. */
  protected wrap(): void {
    // JavaScript's ToInt32 for magnitudes below 2^63; what is larger here is compared with the number it was, and differs from it either way.
    this.op("i64.trunc_sat_f64_s");
    this.op("i32.wrap_i64");
  }

  protected doubleOperation(operation: Opcode, e: Binary): void {
    if (e.operator === "/" && literalOf(e.left as Expression) === 0 && literalOf(e.right) === 0) return this.doubleConstant(Number.NaN);
    this.double(e.left as Expression);
    this.double(e.right);
    this.op(operation);
  }

  /** Pushes what an operator yields. */
  protected binary(e: Binary, row = operators.get(e.operator) ?? refuse(e.operator)): Type {
    const left = e.left as Expression;
    const { right, operator } = e;
    if (row.bitwise !== undefined) {
      if (operator === "&" && this.loadUnsigned(left, right)) return "i32";
      this.int(left);
      // `x | 0` only says that x is wrapped, `x >>> 0` how it is to be read.
      if ((operator === "|" || operator === ">>>") && literalOf(right) === 0) return typeOfOperation(e);
      this.int(right);
      this.op(row.bitwise);
      return typeOfOperation(e);
    }
    if (row.double !== undefined) {
      this.doubleOperation(row.double, e);
      return "f64";
    }
    const { signed, unsigned, double, long } = row.comparison ?? refuse(operator);
    const a = this.names.typeOf(left);
    const b = this.names.typeOf(right);
    if (isSigned(a) && isSigned(b)) {
      this.int(left);
      if (operator === "===" && literalOf(right) === 0) this.op("i32.eqz");
      else {
        this.int(right);
        this.op(signed);
      }
    } else if (this.isUnsigned(a, left) && this.isUnsigned(b, right)) {
      this.int(left);
      this.int(right);
      this.op(unsigned);
    } else if (this.fitsLong(left, 0) && this.fitsLong(right, 0)) {
      this.long(left);
      this.long(right);
      this.op(long);
    } else {
      this.double(left);
      this.double(right);
      this.op(double);
    }
    return "bool";
  }

  /** Whether a value is a sum of a few integers of at most 32 bits. */
  private fitsLong(e: Expression, depth: number): boolean {
    if (isSumOrDifference(e)) return depth < 4 && this.fitsLong(e.left as Expression, depth + 1) && this.fitsLong(e.right, depth + 1);
    const value = this.constantOf(e);
    return value === undefined ? integers.has(this.names.typeOf(e)) : value === (value | 0);
  }

  /** Pushes it as an integer of 64 bits. */
  private long(e: Expression): void {
    const value = this.constantOf(e);
    if (value !== undefined) return this.longConstant(value);
    if (isSumOrDifference(e)) {
      this.long(e.left as Expression);
      this.long(e.right);
      return this.op(e.operator === "+" ? "i64.add" : "i64.sub");
    }
    const type = this.names.typeOf(e);
    this.int(e);
    this.op(type === "i32" ? "i64.extend_i32_s" : "i64.extend_i32_u");
  }

  /** Whether a value may be compared as an uint32. */
  private isUnsigned(type: Type, e: Expression): boolean {
    if (type === "u32" || type === "bool") return true;
    const value = this.constantOf(e);
    return value === undefined ? isNotNegative(e) : type === "i32" && value >= 0;
  }
}

const integers: ReadonlySet<Type> = new Set(["i32", "u32", "bool"]);

function isSumOrDifference(e: Expression): e is Binary {
  return e.type === "BinaryExpression" && (e.operator === "+" || e.operator === "-");
}

/** Whether a value may be compared as an int32. */
function isSigned(type: Type): boolean {
  return type === "i32" || type === "bool";
}
