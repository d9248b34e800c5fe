/** JavaScript quoted as text, with names to fill in: what is too long to build node by node, and better read as what it becomes. */
import { parse } from "acorn";
import type { Expression } from "../estree.ts";
import * as js from "../estree.ts";

interface Node {
  type: string;
  [key: string]: unknown;
}

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && typeof (value as Node).type === "string";

/** A copy without acorn's positions, names replaced. */
function copy(node: Node, names: Readonly<Record<string, Expression>>): Node {
  if (node.type === "Identifier") return (names[node.name as string] as unknown as Node | undefined) ?? { type: "Identifier", name: node.name };
  if (node.type === "MemberExpression" && node.computed === false) {
    return { type: node.type, object: copy(node.object as Node, names), property: copy(node.property as Node, {}), computed: false, optional: false };
  }
  const out: Node = { type: node.type };
  for (const [key, value] of Object.entries(node)) {
    if (key === "type" || key === "start" || key === "end" || key === "raw") continue;
    out[key] = Array.isArray(value) ? value.map((v) => (isNode(v) ? copy(v, names) : v)) : isNode(value) ? copy(value, names) : value;
  }
  return out;
}

/** A constant that takes a while to make (acorn's first texts are 13 ms of a start), and that most guests never need. */
function whenNeeded<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** Declares locals in straight-line code. */
export interface Declaring {
  name(hint: string): string;
  push(...statements: ReturnType<typeof js.declare>[]): void;
}

/**
 * Definitions, one after the other: "s = a + b; z = s - a;". Names defined become fresh constants, others stand for what they are given.
 * @returns what the defined names have become
 */
export class Definitions<Name extends string> {
  private readonly list: () => readonly { readonly name: string; readonly value: Node }[];

  constructor(text: string) {
    this.list = whenNeeded(() => {
      const { body } = parse(text, { ecmaVersion: 2022 }) as unknown as { body: { expression: { left: Node; right: Node } }[] };
      return body.map(({ expression: { left, right } }) => ({ name: left.name as string, value: right }));
    });
  }

  define(into: Declaring, given: Readonly<Record<string, Expression>>): Record<Name, Expression> {
    const names: Record<string, Expression> = { ...given };
    for (const { name, value } of this.list()) {
      // Numbers are the caller's, to tell names apart: a1 must not become what a with number 1 does.
      const local = into.name(`${name.replace(/\d/g, "")}_`);
      into.push(js.declare("const", local, copy(value, names) as unknown as Expression));
      names[name] = js.identifier(local);
    }
    return names as Record<Name, Expression>;
  }
}

/** An expression. */
export class Quoted {
  private readonly tree: () => Node;

  constructor(text: string) {
    this.tree = whenNeeded(() => (parse(`(${text})`, { ecmaVersion: 2022 }) as unknown as { body: { expression: Node }[] }).body[0].expression);
  }

  fill(names: Readonly<Record<string, Expression>>): Expression {
    return copy(this.tree(), names) as unknown as Expression;
  }
}
