/** Builders for the ESTree nodes that generated code is made of. Only this folder knows ESTree. */
import type { BlockStatement, CatchClause, Expression, Identifier, MemberExpression, Pattern, Program, Statement, VariableDeclaration } from "estree";

export type { Expression, Program, Statement };

export function identifier(name: string): Identifier {
  return { type: "Identifier", name };
}
/** An int32 (or other finite number) literal; negative numbers as a unary minus, as acorn would parse them. */
export function literal(value: number): Expression {
  if (value < 0 || Object.is(value, -0))
    return { type: "UnaryExpression", operator: "-", prefix: true, argument: { type: "Literal", value: -value } };
  return { type: "Literal", value };
}
export function binary(operator: string, left: Expression, right: Expression): Expression {
  return { type: "BinaryExpression", operator: operator as "+", left, right };
}
export function logical(operator: "&&" | "||", left: Expression, right: Expression): Expression {
  return { type: "LogicalExpression", operator, left, right };
}
/** A test that mostly holds, or mostly does not: a hint for WebAssembly's branches. */
export function mostly(test: Expression, holds: boolean): Expression {
  return { ...test, isLikely: holds } as unknown as Expression;
}
export function likelihoodOf(test: Expression): boolean | undefined {
  return (test as { isLikely?: boolean }).isLikely;
}
export function unary(operator: "!" | "~" | "-", argument: Expression): Expression {
  return { type: "UnaryExpression", operator, prefix: true, argument };
}
export function conditional(test: Expression, consequent: Expression, alternate: Expression): Expression {
  return { type: "ConditionalExpression", test, consequent, alternate };
}
export function call(callee: string, args: Expression[]): Expression {
  return { type: "CallExpression", callee: identifier(callee), arguments: args, optional: false };
}
/** object.name(args) */
export function method(object: string, name: string, args: Expression[]): Expression {
  const callee: MemberExpression = {
    type: "MemberExpression",
    object: identifier(object),
    property: identifier(name),
    computed: false,
    optional: false,
  };
  return { type: "CallExpression", callee, arguments: args, optional: false };
}
export function index(array: string, at: Expression): MemberExpression {
  return { type: "MemberExpression", object: identifier(array), property: at, computed: true, optional: false };
}
export function assign(target: Pattern, value: Expression): Expression {
  return { type: "AssignmentExpression", operator: "=", left: target, right: value };
}
/** place = value; */
export function set(place: Expression, value: Expression): Statement {
  return expressionStatement(assign(place as Pattern, value));
}
/** target++ */
export function increment(argument: MemberExpression): Expression {
  return { type: "UpdateExpression", operator: "++", prefix: false, argument };
}
export function sequence(...expressions: Expression[]): Expression {
  return { type: "SequenceExpression", expressions };
}
/** value | 0 */
export function toInt32(value: Expression): Expression {
  return binary("|", value, literal(0));
}

export function expressionStatement(expression: Expression): Statement {
  return { type: "ExpressionStatement", expression };
}
export function declare(kind: "const" | "let", name: string, init: Expression): VariableDeclaration {
  return { type: "VariableDeclaration", kind, declarations: [{ type: "VariableDeclarator", id: identifier(name), init }] };
}
export function returnStatement(argument: Expression): Statement {
  return { type: "ReturnStatement", argument };
}
export function block(body: Statement[]): BlockStatement {
  return { type: "BlockStatement", body };
}
export function ifStatement(test: Expression, consequent: Statement[], alternate?: Statement[]): Statement {
  return {
    type: "IfStatement",
    test,
    consequent: block(consequent),
    alternate: alternate === undefined || alternate.length === 0 ? null : block(alternate),
  };
}
/** Each case ends by a jump elsewhere. */
export function switchStatement(discriminant: Expression, cases: readonly (readonly [value: number, body: Statement[]])[]): Statement {
  return {
    type: "SwitchStatement",
    discriminant,
    cases: cases.map(([value, body]) => ({ type: "SwitchCase", test: literal(value), consequent: [block(body)] })),
  };
}
export function labeled(label: string, body: Statement): Statement {
  return { type: "LabeledStatement", label: identifier(label), body };
}
export function breakTo(label: string): Statement {
  return { type: "BreakStatement", label: identifier(label) };
}
export function continueTo(label: string): Statement {
  return { type: "ContinueStatement", label: identifier(label) };
}
export function forever(body: Statement[]): Statement {
  return { type: "ForStatement", init: null, test: null, update: null, body: block(body) };
}
export function tryCatch(body: Statement[], parameter: string, handler: Statement[]): Statement {
  const clause: CatchClause = { type: "CatchClause", param: identifier(parameter), body: block(handler) };
  return { type: "TryStatement", block: block(body), handler: clause, finalizer: null };
}
/** A parenthesised function expression is compiled eagerly by V8, once, instead of lazily, twice. */
export function functionExpression(name: string | null, parameters: string[], body: Statement[]): Expression {
  return {
    type: "FunctionExpression",
    id: name === null ? null : identifier(name),
    params: parameters.map(identifier),
    body: block(body),
  } as Expression;
}
export function program(body: Statement[]): Program {
  return { type: "Program", sourceType: "script", body };
}
