/** Conditions as WebAssembly: their truth as a number, branches by them with what is known of their likelihood, and choices. */
import type { Expression } from "estree";
import * as js from "../javascript/estree.ts";
import { nowhere, type PlainAccess } from "../javascript/plain-access.ts";
import type { ValueType } from "./encoder.ts";
import { literalOf, Refused, refuse } from "./names.ts";
import { TreeWriter } from "./tree-writer.ts";

export abstract class ConditionWriter extends TreeWriter {
  /** One or the other. Where a test has parts, each of them branches: a truth put together from them would be tested once more. */
  protected choose(test: Expression, consequent: () => void, alternate: (() => void) | undefined, result?: ValueType): void {
    const isLikely = js.likelihoodOf(test);
    if (!this.hasParts(test)) {
      this.condition(test);
      this.begin("if", result, isLikely);
      consequent();
      if (alternate !== undefined) {
        this.op("else");
        alternate();
      }
      return this.end();
    }
    if (alternate !== undefined) this.begin("block", result);
    const done = this.depth;
    this.begin("block");
    this.branchUnless(test, this.depth, isLikely);
    consequent();
    if (alternate !== undefined) this.branch(done);
    this.end();
    if (alternate === undefined) return;
    alternate();
    this.end();
  }

  private hasParts(e: Expression): boolean {
    if (e.type === "UnaryExpression" && e.operator === "!") return this.hasParts(e.argument);
    return e.type === "LogicalExpression";
  }

  /** @param isLikely whether it mostly holds */
  private branchUnless(e: Expression, label: number, isLikely: boolean | undefined): void {
    if (e.type === "UnaryExpression" && e.operator === "!")
      return this.branchWhen(e.argument, label, opposite(isLikely) ?? js.likelihoodOf(e.argument));
    if (e.type === "LogicalExpression") {
      const [left, right] = likelihoodOfParts(e, isLikely);
      if (e.operator === "&&") {
        this.branchUnless(e.left, label, left);
        return this.branchUnless(e.right, label, right);
      }
      this.begin("block");
      this.branchWhen(e.left, this.depth, left);
      this.branchUnless(e.right, label, right);
      return this.end();
    }
    this.condition(e);
    this.op("i32.eqz");
    this.branchIf(label, opposite(isLikely));
  }

  private branchWhen(e: Expression, label: number, isLikely: boolean | undefined): void {
    if (e.type === "UnaryExpression" && e.operator === "!")
      return this.branchUnless(e.argument, label, opposite(isLikely) ?? js.likelihoodOf(e.argument));
    if (e.type === "LogicalExpression") {
      const [left, right] = likelihoodOfParts(e, isLikely);
      if (e.operator === "||") {
        this.branchWhen(e.left, label, left);
        return this.branchWhen(e.right, label, right);
      }
      this.begin("block");
      this.branchUnless(e.left, this.depth, left);
      this.branchWhen(e.right, label, right);
      return this.end();
    }
    this.condition(e);
    this.branchIf(label, isLikely);
  }

  /** Pushes one integer or the other: without a branch where that costs less than a branch that goes the other way now and then. */
  protected chosen(e: Expression & { type: "ConditionalExpression" }): void {
    const { test, consequent, alternate } = e;
    if (literalOf(consequent) === 1 && literalOf(alternate) === 0) return this.truth(test);
    if (this.isAtHand(consequent) && this.isAtHand(alternate) && this.isComparison(test)) {
      this.int(consequent);
      this.int(alternate);
      this.condition(test);
      return this.op("select");
    }
    this.choose(
      test,
      () => this.int(consequent),
      () => this.int(alternate),
      "i32",
    );
  }

  /** A local or a constant. */
  private isAtHand(e: Expression): boolean {
    return e.type === "Identifier" ? this.names.typeOf(e) !== "f64" : literalOf(e) !== undefined;
  }

  /** A comparison of what is at hand or computed from it. */
  private isComparison(e: Expression): boolean {
    if (e.type === "UnaryExpression") return this.isComparison(e.argument);
    if (e.type === "BinaryExpression") return this.isComparison(e.left as Expression) && this.isComparison(e.right);
    return this.isAtHand(e);
  }

  /** Pushes 0 or not 0. */
  protected condition(e: Expression): void {
    if (e.type === "LogicalExpression" && e.operator !== "??") {
      this.condition(e.left);
      this.begin("if", "i32");
      if (e.operator === "&&") this.truth(e.right);
      else this.constant(1);
      this.op("else");
      if (e.operator === "&&") this.constant(0);
      else this.truth(e.right);
      return this.end();
    }
    if (e.type === "UnaryExpression" && e.operator === "!") {
      this.condition(e.argument);
      return this.op("i32.eqz");
    }
    if (e.type === "BinaryExpression" && (e.operator === "===" || e.operator === "!==") && literalOf(e.right) === 0) {
      if ("bytes" in e) return this.liesInPage(e as PlainAccess);
      const left = e.left as Expression;
      if (this.names.typeOf(left) !== "f64") {
        this.int(left);
        if (e.operator === "===") this.op("i32.eqz");
        return;
      }
    }
    if (this.value(e) === "f64") throw new Refused("a double as a condition");
  }

  /** ((T | A) & 0xfff) <= 0x1000 - bytes, or the same of a place: see ../javascript/plain-access.ts. */
  private liesInPage({ left, bytes }: PlainAccess): void {
    const asked = left as { left: Expression; right: Expression };
    this.int(asked.left);
    this.constant(0xfff | ((literalOf(asked.right) ?? refuse("an access")) & nowhere));
    this.op("i32.and");
    this.constant(0x1000 - bytes);
    this.op("i32.le_u");
  }

  /** Pushes 0 or 1. */
  private truth(e: Expression): void {
    const isTruth =
      e.type === "LogicalExpression" ||
      (e.type === "UnaryExpression" && e.operator === "!") ||
      (literalOf(e) === undefined && this.names.typeOf(e) === "bool");
    if (isTruth && !(e.type === "BinaryExpression" && e.operator === "!==" && literalOf(e.right) === 0)) return this.condition(e);
    this.condition(e);
    this.constant(0);
    this.op("i32.ne");
  }
}

function opposite(isLikely: boolean | undefined): boolean | undefined {
  return isLikely === undefined ? undefined : !isLikely;
}

/** All parts of a conjunction mostly hold if it does; none of a disjunction does if it mostly does not. */
function likelihoodOfParts(e: Expression & { type: "LogicalExpression" }, isLikely: boolean | undefined): (boolean | undefined)[] {
  const ofAll = isLikely === (e.operator === "&&") ? isLikely : undefined;
  return [e.left, e.right].map((part) => js.likelihoodOf(part) ?? ofAll);
}
