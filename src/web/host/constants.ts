/**
 * Bundlers print a module's top-level constants as `var`. V8 takes a `const` for its value when it optimises, but has to look at a `var` each time: the paths of VM exits, which
 * are full of slot numbers and flags, take half as long again. So what is never assigned to becomes a constant again.
 */
import { parse } from "acorn";

interface Node {
  type: string;
  start: number;
  end: number;
  [key: string]: unknown;
}

/** The text of an ES module (not minified) with `const` for `var` where that changes nothing. */
export function constantsOf(text: string): string {
  const program = parse(text, { ecmaVersion: "latest", sourceType: "module" }) as unknown as Node;
  const assigned = new Set<string>();
  collectAssigned(program, assigned);
  let out = "";
  let from = 0;
  for (const s of program.body as Node[]) {
    if (s.type !== "VariableDeclaration" || s.kind !== "var") continue;
    const isConstant = (d: Node): boolean => d.init != null && (d.id as Node).type === "Identifier" && !assigned.has((d.id as Node).name as string);
    if (!(s.declarations as Node[]).every(isConstant)) continue;
    out += `${text.slice(from, s.start)}const`;
    from = s.start + "var".length;
  }
  return out + text.slice(from);
}

/** Names that something is assigned to anywhere, whatever they mean there. */
function collectAssigned(node: Node, assigned: Set<string>): void {
  const target = node.type === "AssignmentExpression" ? node.left : node.type === "UpdateExpression" ? node.argument : undefined;
  if (target !== undefined) collectNames(target as Node, assigned);
  if ((node.type === "ForInStatement" || node.type === "ForOfStatement") && (node.left as Node).type !== "VariableDeclaration")
    collectNames(node.left as Node, assigned);
  for (const child of childrenOf(node)) collectAssigned(child, assigned);
}

function collectNames(node: Node, names: Set<string>): void {
  if (node.type === "Identifier") names.add(node.name as string);
  else if (node.type !== "MemberExpression") for (const child of childrenOf(node)) collectNames(child, names);
}

function childrenOf(node: Node): Node[] {
  const isNode = (x: unknown): x is Node => typeof x === "object" && x !== null && typeof (x as Node).type === "string";
  return Object.values(node).flatMap((x) => (Array.isArray(x) ? x.filter(isNode) : isNode(x) ? [x] : []));
}
