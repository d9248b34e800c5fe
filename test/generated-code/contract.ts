/**
 * What generated text may consist of, checked on its syntax tree: node types, names from outside, property accesses, calls, assignments. Whatever a guest's bytes are,
 * the text can do no more than compute numbers, read and write the arrays it is given and call the functions it is given.
 */
import { type Node, parseExpressionAt } from "acorn";
import { callouts } from "../../translator/contract/callouts.ts";
import { pureHelpers } from "../../translator/ir/pure-ops.ts";
import { isVectorObject, vectorObjects, vectorOperation } from "../../translator/wasm/vectors.ts";

export const nodeTypes: ReadonlySet<string> = new Set([
  "FunctionExpression",
  "BlockStatement",
  "VariableDeclaration",
  "VariableDeclarator",
  "ExpressionStatement",
  "IfStatement",
  "ForStatement",
  "LabeledStatement",
  "SwitchStatement",
  "SwitchCase",
  "BreakStatement",
  "ContinueStatement",
  "ReturnStatement",
  "TryStatement",
  "CatchClause",
  "AssignmentExpression",
  "SequenceExpression",
  "ConditionalExpression",
  "LogicalExpression",
  "BinaryExpression",
  "UnaryExpression",
  "CallExpression",
  "MemberExpression",
  "Identifier",
  "Literal",
  "UpdateExpression",
]);

/** Arrays of the host, and whether generated code may store into them. */
const arrays: Readonly<Record<string, boolean>> = {
  R: true,
  F: true,
  S: true,
  M8: true,
  M16: true,
  M32: true,
  M64: true,
  MS: true,
  X: true,
  EV: false,
  C: false,
  J: true,
  H: false,
  TR: false,
  TW: false,
  TX: false,
  SW: false,
  RJ: false,
  RG: true,
  K: false,
  AT: false,
};
const functions: ReadonlySet<string> = new Set([
  ...pureHelpers.filter((name) => !isVectorObject(name) && name !== "AT"),
  ...Object.keys(callouts).map((name) => `v_${name}`),
  "isOnSite",
  "readSite",
  "writeSite",
  "findPlace",
  ...[1, 2, 4].flatMap((size) => [`ld${size}`, `ldw${size}`, `st${size}`, `sg${size}`]),
  "checkSegment",
  ...["readDouble", "readSingle", "doubleLimit", "singleLimit", "readRam", "writeRam"],
  "jump",
  ...["jumpSegmented", "follow", "followTo", "returnTo", "callee", "calleeAt"],
  "dispatch",
  "faulted",
  "gaveUp",
  "moreTime",
  "guestFault",
]);
const mathFunctions: ReadonlySet<string> = new Set(["imul", "clz32", "min", "max", "abs", "sqrt", "fround", "trunc"]);
const isObject = (name: string): boolean => name === "Math" || isVectorObject(name);
/** Values: the CPU, only ever handed on to callouts; a region's first link word. */
const values: ReadonlySet<string> = new Set(["cpu", "L"]);

/** All of them, `Math` aside. */
export const freeNames: readonly string[] = [...Object.keys(arrays), ...functions, ...vectorObjects, ...values];

// biome-ignore lint/suspicious/noExplicitAny: acorn's nodes are walked generically
type AnyNode = any;

/**
 * @param declared the names that the translator says the host has to bind
 * @returns what is wrong with the text; empty if nothing
 */
export function violations(text: string, declared: readonly string[]): string[] {
  const wrong: string[] = [];
  let root: AnyNode;
  try {
    root = parseExpressionAt(text, 0, { ecmaVersion: 2015 });
  } catch (e) {
    return [`does not parse: ${(e as Error).message}`];
  }
  if (text.slice((root as Node).end).trim() !== "") wrong.push("text behind the function");
  if (root.type !== "FunctionExpression") wrong.push(`is a ${root.type}, not a function`);
  const used = new Set<string>();

  /** Locals that hold a handler, and may be called: a region is one. */
  const handlers = new Set<string>();
  const initialValues = new Set<AnyNode>();
  const scopes: Set<string>[] = [];
  const isLocal = (name: string): boolean => scopes.some((scope) => scope.has(name));
  const reference = (name: string, as: "array" | "function" | "value" | "object"): void => {
    if (isLocal(name)) {
      if (as !== "value") wrong.push(`local ${name} used as ${as}`);
      return;
    }
    used.add(name);
    const isKnown = as === "array" ? name in arrays : as === "function" ? functions.has(name) : as === "object" ? isObject(name) : values.has(name);
    if (!isKnown) wrong.push(`name ${name} as ${as}`);
  };

  const visit = (node: AnyNode): void => {
    if (node === null || node === undefined) return;
    if (!nodeTypes.has(node.type)) {
      wrong.push(`node type ${node.type}`);
      return;
    }
    switch (node.type) {
      case "FunctionExpression":
        if (scopes.length > 0) wrong.push("a function inside the function");
        if (node.async || node.generator) wrong.push("async or generator");
        scopes.push(new Set(node.params.map((p: AnyNode) => (p.type === "Identifier" ? p.name : wrong.push("parameter pattern")))));
        visit(node.body);
        scopes.pop();
        return;
      case "BlockStatement":
        scopes.push(
          new Set(node.body.flatMap((s: AnyNode) => (s.type === "VariableDeclaration" ? s.declarations.map((d: AnyNode) => d.id.name) : []))),
        );
        node.body.forEach((s: AnyNode, k: number) => {
          if (s.type === "ContinueStatement" && !looksAtBudget(node.body[k - 1])) wrong.push("a loop that does not look at the budget");
          visit(s);
        });
        scopes.pop();
        return;
      case "VariableDeclaration":
        if (node.kind === "var") wrong.push("var");
        for (const d of node.declarations) {
          if (d.id.type !== "Identifier" || d.init === null) wrong.push("declaration without a value");
          if (d.id.name in arrays || functions.has(d.id.name) || isObject(d.id.name) || values.has(d.id.name))
            wrong.push(`${d.id.name} hidden by a local`);
          if (node.kind === "const") initialValues.add(d.init);
          if (node.kind === "const" && d.init?.type === "MemberExpression" && d.init.object.name === "H") handlers.add(d.id.name);
          visit(d.init);
        }
        return;
      case "CatchClause":
        scopes.push(new Set([node.param.name]));
        visit(node.body);
        scopes.pop();
        return;
      case "MemberExpression":
        if (node.object.type !== "Identifier") wrong.push("property of an expression");
        else if (node.object.name === "H" && !initialValues.has(node)) wrong.push("a handler that is not just called");
        else if (node.computed) {
          reference(node.object.name, "array");
          visit(node.property);
        } else wrong.push(`property .${node.property.name}`);
        return;
      case "CallExpression":
        visitCall(node);
        return;
      case "AssignmentExpression":
        if (node.operator !== "=") wrong.push(`operator ${node.operator}`);
        if (node.left.type === "MemberExpression") {
          if (arrays[node.left.object.name] !== true) wrong.push(`store to ${node.left.object.name}`);
          visit(node.left);
        } else if (node.left.type !== "Identifier" || !isLocal(node.left.name)) wrong.push("assignment to something not its own");
        visit(node.right);
        return;
      case "Identifier":
        reference(node.name, "value");
        if (node.name === "cpu") wrong.push("cpu outside a callout's first argument");
        return;
      case "Literal":
        if (typeof node.value !== "number") wrong.push(`literal ${node.raw}`);
        return;
      case "ForStatement":
        if (node.init !== null || node.test !== null || node.update !== null) wrong.push("a loop with a head");
        visit(node.body);
        return;
      case "UpdateExpression":
        // VM exits are counted.
        if (node.argument.type !== "MemberExpression" || node.argument.object.name !== "X") wrong.push("++ of something other than an exit count");
        visit(node.argument);
        return;
      case "UnaryExpression":
        if (!["-", "~", "!", "+"].includes(node.operator)) wrong.push(`operator ${node.operator}`);
        visit(node.argument);
        return;
      case "BinaryExpression":
        if (["in", "instanceof", "**"].includes(node.operator)) wrong.push(`operator ${node.operator}`);
        visit(node.left);
        visit(node.right);
        return;
      case "LabeledStatement":
        visit(node.body);
        return;
      case "SwitchStatement":
        visit(node.discriminant);
        for (const { test, consequent } of node.cases) {
          if (test?.type !== "Literal") wrong.push("a case that is no number");
          for (const s of consequent) visit(s);
        }
        return;
      case "BreakStatement":
      case "ContinueStatement":
        if (node.label === null) wrong.push("jump without a label");
        return;
      default:
        for (const key of ["test", "consequent", "alternate", "block", "handler", "finalizer", "expression", "argument", "left", "right"])
          visit(node[key]);
        for (const e of node.expressions ?? []) visit(e);
    }
  };

  const visitCall = (node: AnyNode): void => {
    const { callee } = node;
    let args = node.arguments;
    if (callee.type === "Identifier" && handlers.has(callee.name)) {
      if (args.length > 0) wrong.push("a handler called with arguments");
    } else if (callee.type === "Identifier") {
      reference(callee.name, "function");
      if (callee.name.startsWith("v_")) {
        const first = args[0];
        if (first?.type !== "Identifier" || first.name !== "cpu") wrong.push(`${callee.name} without the cpu`);
        used.add("cpu");
        args = args.slice(1);
        const row = callouts[callee.name.slice(2) as keyof typeof callouts];
        if (row !== undefined && row.args !== args.length) wrong.push(`${callee.name} with ${args.length} arguments`);
      }
    } else if (callee.type === "MemberExpression" && !callee.computed && callee.object.type === "Identifier") {
      const { object, property } = callee;
      reference(object.name, "object");
      const isKnown = object.name === "Math" ? mathFunctions.has(property.name) : vectorOperation(object.name, property.name) !== undefined;
      if (!isKnown) wrong.push(`${object.name}.${property.name}`);
    } else wrong.push("call of an expression");
    args.forEach(visit);
  };

  visit(root);
  const listed = new Set(["R", "C", ...declared]);
  for (const name of used) if (name !== "Math" && !listed.has(name)) wrong.push(`${name} is used but not declared free`);
  for (const name of declared)
    if (!(name in arrays) && !functions.has(name) && !values.has(name) && !isObject(name)) wrong.push(`${name} declared free`);
  return [...new Set(wrong)];
}

/** if (n < 0) ... */
function looksAtBudget(s: AnyNode): boolean {
  const test = s?.type === "IfStatement" ? s.test : undefined;
  return test?.type === "BinaryExpression" && test.operator === "<" && test.left.name === "n" && test.right.value === 0;
}
