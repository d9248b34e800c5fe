/** Calls as WebAssembly: of functions that are instructions here, of the host's functions, and of those in its table. */
import type { Expression } from "estree";
import { literalOf, Refused, refuse, type Type } from "./names.ts";
import { VectorWriter } from "./vector-expressions.ts";

/** What `return` is in code taken in line: a value for a local, and a jump. */
export interface ReturnTo {
  readonly local: number;
  /** Depth of the label. */
  readonly label: number;
  /** The value is a link: its complement is wanted. */
  readonly isLink: boolean;
  /** Depth of the label where the local is a block's header. */
  readonly blocks: number;
}

/** Functions of generated code that are instructions here. */
const intrinsics = new Set(["mulhu", "mulhs", "divu", "divs", "isOnSite"]);

export abstract class CallWriter extends VectorWriter {
  /** Set while code is taken in line. */
  protected returnTo: ReturnTo | undefined;
  /** In a `try`: the depth of the label behind which its handler is. */
  protected handler: number | undefined;
  /** Names that stand for functions of the table: locals with their indices. */
  protected readonly functions = new Map<string, number>();

  /** Functions of Math, and long multiplication and division, that are instructions. */
  protected instruction(e: Expression & { type: "CallExpression" }): Type | undefined {
    const { callee } = e;
    const args = e.arguments as Expression[];
    if (callee.type === "Identifier") return callee.name === "isOnSite" ? this.isOnSite(args) : this.longArithmetic(callee.name, args);
    if (callee.type !== "MemberExpression") return undefined;
    const name = callee.object.type === "Identifier" && callee.object.name === "Math" ? (callee.property as { name: string }).name : "";
    if (name === "") return this.vectorCall(e);
    const [a, b] = args;
    switch (name) {
      case "imul":
        this.int(a);
        this.int(b);
        this.op("i32.mul");
        return "i32";
      case "clz32":
        this.int(a);
        this.op("i32.clz");
        return "i32";
      case "abs":
      case "sqrt":
      case "trunc":
      case "floor":
      case "ceil":
        this.double(a);
        this.op(`f64.${name}`);
        return "f64";
      case "fround":
        this.double(a);
        this.op("f32.demote_f64");
        this.op("f64.promote_f32");
        return "f64";
      case "min":
      case "max": {
        if (this.names.typeOf(e) !== "i32") throw new Refused(`Math.${name} of doubles`);
        const values = [a, b].map((x) => {
          const local = this.acquire("i32");
          this.int(x);
          this.local("local.tee", local);
          return local;
        });
        for (const local of values) this.local("local.get", local);
        this.op(name === "min" ? "i32.lt_s" : "i32.gt_s");
        this.op("select");
        for (const local of values) this.release(local, "i32");
        return "i32";
      }
      default:
        throw new Refused(`Math.${name}`);
    }
  }

  /** copyRam(to, from, bytes), fillRam(to, value, bytes): places of guest memory by the byte. Only helpers name them. */
  protected bulk(name: "copyRam" | "fillRam", args: readonly Expression[]): void {
    const { offset } = this.place("M8");
    args.forEach((x, k) => {
      this.int(x);
      if (k === 0 || (k === 1 && name === "copyRam")) {
        this.constant(offset);
        this.op("i32.add");
      }
    });
    this.op(name === "copyRam" ? "memory.copy" : "memory.fill");
    // Memory 0, from memory 0.
    this.body.byte(0);
    if (name === "copyRam") this.body.byte(0);
  }

  /** The host's functions of the same names (ir/pure-ops.ts). */
  private longArithmetic(name: string, args: readonly Expression[]): Type | undefined {
    if (name === "mulhu" || name === "mulhs") {
      for (const x of args) {
        this.int(x);
        this.op(name === "mulhu" ? "i64.extend_i32_u" : "i64.extend_i32_s");
      }
      this.op("i64.mul");
      this.longConstant(32);
      this.op("i64.shr_u");
    } else if (name === "divu" || name === "divs") {
      // Whoever divides has looked whether the quotient fits 32 bits: it is neither a division by zero nor does it overflow here.
      const [high, low, d] = args;
      this.int(high);
      this.op("i64.extend_i32_u");
      this.longConstant(32);
      this.op("i64.shl");
      this.int(low);
      this.op("i64.extend_i32_u");
      this.op("i64.or");
      this.int(d);
      this.op(name === "divu" ? "i64.extend_i32_u" : "i64.extend_i32_s");
      this.op(name === "divu" ? "i64.div_u" : "i64.div_s");
    } else return undefined;
    this.op("i32.wrap_i64");
    return "i32";
  }

  /** isOnSite(k, A, bytes): as 64 bits, A - site's page <= 1000h - bytes; no A is near the page of an empty site (contract/sites.ts). */
  private isOnSite([index, address, bytes]: readonly Expression[]): Type {
    this.int(address);
    this.op("i64.extend_i32_u");
    this.constant(0);
    this.access("i64.load", this.place("SW").offset + 4 * (literalOf(index) ?? refuse("a site")));
    this.op("i64.sub");
    const size = literalOf(bytes) ?? refuse("a site");
    if (size > 0x1000) refuse("a site larger than a page");
    this.longConstant(0x1000 - size);
    this.op("i64.le_u");
    return "bool";
  }

  /** Whether a call whose value is returned needs nothing of this function any more. */
  protected isTailCall({ callee }: Expression & { type: "CallExpression" }): boolean {
    if (!this.host.tailCalls || callee.type !== "Identifier" || intrinsics.has(callee.name)) return false;
    return this.functions.has(callee.name) || (!this.host.mayFault(callee.name) && !this.host.isDouble(callee.name));
  }

  protected calling(e: Expression & { type: "CallExpression" }, hasResult: boolean, isTail = false): Type {
    if (e.callee.type !== "Identifier") throw new Refused("a call");
    const { name } = e.callee;
    const index = this.functions.get(name);
    if (index !== undefined) {
      this.constant(0);
      this.local("local.get", index);
      this.release(index, "i32");
      this.functions.delete(name);
      this.callIndirect(this.host.table?.type ?? refuse("the table"), isTail);
      return "i32";
    }
    // The callouts' first argument is the CPU, which the host knows.
    let count = 0;
    for (const a of e.arguments as Expression[]) {
      if (a.type === "Identifier" && a.name === "cpu") continue;
      if (this.names.typeOf(a) === "u32") throw new Refused("a uint32 as an argument");
      this.int(a);
      count++;
    }
    const result = this.host.isDouble(name) ? "f64" : "i32";
    const yields = hasResult || this.host.isHelper(name);
    this.call(this.host.imported(name, count, yields ? result : undefined) ?? refuse(`call of ${name}`), isTail);
    if (yields && !hasResult) this.op("drop");
    if (this.host.mayFault(name)) this.leaveOnFault();
    return result;
  }

  /** Ends the handler, with the fault block next. An exception of JavaScript would do that too, but it takes a microsecond to pass through here. */
  private leaveOnFault(): void {
    this.constant(0);
    this.access("i32.load", this.host.faulted);
    if (this.handler !== undefined) return this.branchIf(this.handler, false);
    this.begin("if", undefined, false);
    const { returnTo } = this;
    if (returnTo === undefined) {
      this.constant(~this.host.faultBlock);
      this.op("return");
    } else {
      this.constant(this.host.faultBlock);
      this.local("local.set", returnTo.local);
      this.branch(returnTo.blocks);
    }
    this.end();
  }
}
