/**
 * The quoted meanings of the pure micro-ops as ESTree: each row is parsed by acorn once for a translator, when it is first needed, and then
 * copied with its parameters replaced. The same trees, walked as a tiny interpreter, are the constant folder.
 */
import { parseExpressionAt } from "acorn";
import type { Expression } from "estree";
import { type PureOp, type PureOpRow, pureHelpers, pureOps } from "../ir/pure-ops.ts";

export interface PureTemplate {
  readonly parameters: readonly string[];
  readonly tree: Expression;
  /** How often each parameter occurs: an argument used twice must be a simple expression. */
  readonly uses: readonly number[];
  /** The helpers it calls. */
  readonly helpers: readonly string[];
  /** A fresh copy of the meaning with `args` in place of its parameters. */
  instantiate(args: readonly Expression[]): Expression;
}

/** Any ESTree node of the small expression language the rows are written in. */
interface Node {
  type: string;
  [key: string]: unknown;
}

export class PureTemplates {
  private readonly templates = new Map<PureOp, PureTemplate>();

  get(op: PureOp): PureTemplate {
    let template = this.templates.get(op);
    if (template === undefined) {
      template = templateOf(pureOps[op]);
      this.templates.set(op, template);
    }
    return template;
  }

  /** A fresh copy of the meaning of `op` with `args` in place of its parameters. */
  instantiate(op: PureOp, args: readonly Expression[]): Expression {
    return this.get(op).instantiate(args);
  }

  /** The int32 (or boolean, as 0 or 1) value of `op` over constants; undefined where a helper call makes that impossible. */
  evaluate(op: PureOp, args: readonly number[]): number | undefined {
    const { parameters, tree } = this.get(op);
    const value = evaluate(tree as unknown as Node, parameters, args);
    return value === undefined ? undefined : Number(value);
  }
}

function templateOf(row: PureOpRow): PureTemplate {
  const parameters = row.parameters.split(" ");
  const tree = strip(parseExpressionAt(row.js, 0, { ecmaVersion: 2022 }) as unknown as Node) as unknown as Expression;
  const uses = parameters.map((p) => countUses(tree as unknown as Node, p));
  const helpers = pureHelpers.filter((helper) => countUses(tree as unknown as Node, helper) > 0);
  const instantiate = (args: readonly Expression[]): Expression => substitute(tree as unknown as Node, parameters, args) as unknown as Expression;
  return { parameters, tree, uses, helpers, instantiate };
}

/** Drops acorn's positions. */
function strip(node: Node): Node {
  const out: Node = { type: node.type };
  for (const [key, value] of Object.entries(node)) {
    if (key === "start" || key === "end" || key === "type") continue;
    out[key] = Array.isArray(value) ? value.map((v) => strip(v as Node)) : isNode(value) ? strip(value) : value;
  }
  return out;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value;
}

function countUses(node: Node, name: string): number {
  if (node.type === "Identifier") return node.name === name ? 1 : 0;
  let count = 0;
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) for (const v of value) count += isNode(v) ? countUses(v, name) : 0;
    else if (isNode(value)) count += countUses(value, name);
  }
  return count;
}

function substitute(node: Node, names: readonly string[], args: readonly Expression[]): Node {
  switch (node.type) {
    case "Identifier": {
      const k = names.indexOf(node.name as string);
      return k < 0 ? node : (args[k] as unknown as Node);
    }
    case "Literal":
      return node;
    case "BinaryExpression":
    case "LogicalExpression":
      return {
        type: node.type,
        operator: node.operator,
        left: substitute(node.left as Node, names, args),
        right: substitute(node.right as Node, names, args),
      };
    case "UnaryExpression":
      return { type: node.type, operator: node.operator, prefix: true, argument: substitute(node.argument as Node, names, args) };
    case "ConditionalExpression":
      return {
        type: node.type,
        test: substitute(node.test as Node, names, args),
        consequent: substitute(node.consequent as Node, names, args),
        alternate: substitute(node.alternate as Node, names, args),
      };
    case "MemberExpression":
      return { type: node.type, computed: true, optional: false, object: node.object, property: substitute(node.property as Node, names, args) };
    case "CallExpression":
      return { type: node.type, optional: false, callee: node.callee, arguments: (node.arguments as Node[]).map((a) => substitute(a, names, args)) };
    default:
      throw new Error(`a pure micro-op may not use ${node.type}`);
  }
}

const binaryOperators: Record<string, (a: number, b: number) => number | boolean> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "&": (a, b) => a & b,
  "|": (a, b) => a | b,
  "^": (a, b) => a ^ b,
  "<<": (a, b) => a << b,
  ">>": (a, b) => a >> b,
  ">>>": (a, b) => a >>> b,
  "===": (a, b) => a === b,
  "!==": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};

function evaluate(node: Node, names: readonly string[], args: readonly number[]): number | boolean | undefined {
  switch (node.type) {
    case "Identifier":
      return args[names.indexOf(node.name as string)];
    case "Literal":
      return node.value as number;
    case "BinaryExpression": {
      const a = evaluate(node.left as Node, names, args);
      const b = evaluate(node.right as Node, names, args);
      return a === undefined || b === undefined ? undefined : binaryOperators[node.operator as string]?.(Number(a), Number(b));
    }
    case "LogicalExpression": {
      const a = evaluate(node.left as Node, names, args);
      const b = evaluate(node.right as Node, names, args);
      return a === undefined || b === undefined ? undefined : node.operator === "&&" ? a && b : a || b;
    }
    case "UnaryExpression": {
      const a = evaluate(node.argument as Node, names, args);
      if (a === undefined) return undefined;
      return node.operator === "~" ? ~Number(a) : node.operator === "-" ? -Number(a) : !a;
    }
    case "ConditionalExpression": {
      const test = evaluate(node.test as Node, names, args);
      return test === undefined ? undefined : evaluate((test ? node.consequent : node.alternate) as Node, names, args);
    }
    case "CallExpression": {
      const callee = node.callee as Node;
      if (callee.type !== "MemberExpression" || (callee.object as Node).name !== "Math") return undefined;
      const values = (node.arguments as Node[]).map((a) => evaluate(a, names, args));
      if (values.some((v) => v === undefined)) return undefined;
      const f = Math[(callee.property as Node).name as "imul"];
      return f(...(values.map(Number) as [number, number]));
    }
    default:
      return undefined;
  }
}
