/**
 * The trees that are printed as JavaScript, as WebAssembly: a compiler for the small part of ESTree that generated code uses. A tree with anything else in it is refused: its
 * JavaScript does the work.
 */
import type { Expression, Statement } from "estree";
import type { ReturnTo } from "./calls.ts";
import type { FunctionType } from "./encoder.ts";
import { ExpressionWriter } from "./expressions.ts";
import type { WasmHost } from "./host.ts";
import { localType, Names, Refused, refuse } from "./names.ts";

export class WasmFunction extends ExpressionWriter {
  private readonly parameterNames: readonly string[];
  /** Depths of the labels in force, by name: blocks behind their ends, loops where they begin. */
  private readonly breaks = new Map<string, number>();
  private readonly continues = new Map<string, number>();

  /** @param parameters names of the int32 parameters */
  constructor(host: WasmHost, parameters: readonly string[]) {
    super(host, parameters);
    this.parameterNames = parameters;
  }

  get type(): FunctionType {
    return { parameters: this.parameterNames.map(() => "i32" as const), results: ["i32"] };
  }

  /** All of the function. */
  statements(list: readonly Statement[]): void {
    this.names = new Names(this.host, this.parameterNames, list);
    this.all(list);
  }

  /**
   * Handlers' code in the middle of the function. The place of the instruction is noted first if it calls anything.
   */
  inline(list: readonly Statement[], returnTo: ReturnTo): void {
    this.returnTo = returnTo;
    this.releaseAll();
    this.names = new Names(this.host, this.parameterNames, list);
    if (callsAnything(list)) {
      this.constant(0);
      this.local("local.get", returnTo.local);
      this.access("i32.store", this.host.place);
    }
    this.all(list);
    this.op("unreachable");
    this.returnTo = undefined;
  }

  private all(list: readonly Statement[]): void {
    for (let k = 0; k < list.length; k++) this.statement(list[k]);
  }

  private statement(s: Statement): void {
    switch (s.type) {
      case "ExpressionStatement":
        return this.effect(s.expression);
      case "VariableDeclaration":
        for (const d of s.declarations) {
          if (d.id.type !== "Identifier" || d.init == null) throw new Refused("a declaration without a value");
          this.declaration(d.id.name, d.init);
        }
        return;
      case "ReturnStatement":
        if (s.argument == null) throw new Refused("return");
        if (s.argument.type === "CallExpression" && this.returnTo === undefined && this.isTailCall(s.argument)) {
          this.calling(s.argument, true, true);
          return;
        }
        this.int(s.argument);
        return this.leave();
      case "BlockStatement":
        return this.all(s.body);
      case "IfStatement": {
        const { alternate } = s;
        return this.choose(s.test, () => this.statement(s.consequent), alternate == null ? undefined : () => this.statement(alternate));
      }
      case "LabeledStatement":
        return this.labeled(s.label.name, s.body);
      case "BreakStatement":
        return this.branch(this.breaks.get(s.label?.name ?? "") ?? refuse(s.type));
      case "ContinueStatement":
        return this.branch(this.continues.get(s.label?.name ?? "") ?? refuse(s.type));
      case "SwitchStatement":
        return this.jumpTable(s);
      case "TryStatement":
        return this.tryCatch(s);
      default:
        throw new Refused(s.type);
    }
  }

  private declaration(name: string, init: Expression): void {
    if (init.type === "MemberExpression" && init.object.type === "Identifier" && init.object.name === this.host.table?.array) {
      this.int(init.property as Expression);
      const index = this.acquire("i32");
      this.local("local.set", index);
      this.functions.set(name, index);
      return;
    }
    const known = this.names.of(name);
    const kind = localType(this.names.typeOfKnown(known));
    if (kind === "f64") this.double(init);
    else if (kind === "v128") this.vectorValue(init);
    else this.int(init);
    // From here on the name is in this local.
    known.local = this.acquire(kind);
    this.local("local.set", known.local);
  }

  private labeled(name: string, body: Statement): void {
    if (body.type === "ForStatement") {
      if (body.init != null || body.test != null || body.update != null) throw new Refused("a loop with a head");
      this.begin("loop");
      this.within(this.continues, name, body.body);
      this.branch(this.depth);
    } else {
      this.begin("block");
      this.within(this.breaks, name, body);
    }
    this.end();
  }

  private within(labels: Map<string, number>, name: string, body: Statement): void {
    labels.set(name, this.depth);
    this.statement(body);
    labels.delete(name);
  }

  /**
   * Cases by numbers from 0 on, none of which goes on into the next:
   *
   *     block $none  block $last  ...  block $first  br_table by the number  end  the first case  end  ...  end  the last  end
   */
  private jumpTable({ discriminant, cases }: Statement & { type: "SwitchStatement" }): void {
    const labels: number[] = [];
    cases.forEach(({ test }, k) => {
      if (test?.type !== "Literal" || typeof test.value !== "number") throw new Refused("case");
      labels[test.value] = k;
    });
    const none = cases.length;
    for (let k = 0; k <= none; k++) this.begin("block");
    this.int(discriminant);
    this.branchTable(
      Array.from(labels, (label) => label ?? none),
      none,
    );
    for (const { consequent } of cases) {
      this.end();
      this.all(consequent);
    }
    this.end();
  }

  /**
   * A handler is for guest exceptions, which the host's functions tell by a word.
   *
   *     block $done  block $handler  ...; call; if the word is set, to $handler; ...; br $done  end  the word = 0; ...  end
   */
  private tryCatch(s: Statement & { type: "TryStatement" }): void {
    const { handler, finalizer } = s;
    if (handler == null || finalizer != null || this.handler !== undefined || this.returnTo !== undefined) throw new Refused("try");
    const [first, ...rest] = handler.body.body;
    const isFault = first?.type === "ExpressionStatement" && first.expression.type === "CallExpression";
    if (!isFault || ((first.expression as { callee: { name?: string } }).callee.name ?? "") !== "guestFault") throw new Refused("catch");
    this.begin("block");
    const done = this.depth;
    this.begin("block");
    this.handler = this.depth;
    this.all(s.block.body);
    this.branch(done);
    this.handler = undefined;
    this.end();
    this.constant(0);
    this.constant(0);
    this.access("i32.store", this.host.faulted);
    this.all(rest);
    this.end();
  }

  private leave(): void {
    const { returnTo } = this;
    if (returnTo === undefined) return this.op("return");
    if (returnTo.isLink) {
      this.constant(-1);
      this.op("i32.xor");
    }
    this.local("local.set", returnTo.local);
    this.branch(returnTo.label);
  }
}

/** Whether anything in a tree can leave it in the middle. */
function callsAnything(node: unknown): boolean {
  if (typeof node !== "object" || node === null) return false;
  if (Array.isArray(node)) return node.some(callsAnything);
  const { type, callee } = node as { type?: string; callee?: { type: string } };
  if (type === "CallExpression" && callee?.type === "Identifier") return true;
  return Object.values(node).some(callsAnything);
}
