/**
 * A region as JavaScript:
 *
 *     function f_c0123456() {
 *       const PB = R[13];                        // EIP of the page's first byte: the region does not care where it is mapped
 *       let eax = R[0], ...;                     // only registers it uses
 *       let n = R[14], n0 = n, x = 0, t = 0;     // budget; exit number; computed target
 *       try { X: { ...structured code... } }
 *       catch (e) { x = guestFault(e) }          // rethrows what is not a guest exception
 *       R[0] = eax; ...                          // one epilogue, dirty registers only
 *       R[14] = R[14] - (n0 - n) | 0;
 *       return leave(x)
 *     }
 *
 * Exit numbers: k >= 0, the static exit whose link word is C[L + k]; below, see `leaving`. Budget: each block takes its instructions off `n`, a back edge looks at it;
 * leaving in the middle gives back what was not executed.
 */
import { type CalloutRow, callouts } from "../contract/callouts.ts";
import { type ModeKey, mode } from "../contract/mode-key.ts";
import { type SlotName, slot } from "../contract/slots.ts";
import type { RegionCode } from "../contract/translator.ts";
import { type MicroBlock, slotNumber } from "../ir/block.ts";
import type { SlotRef, Terminator, Value } from "../ir/micro.ts";
import { analyse } from "../region/structure.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";
import { print } from "./print.ts";
import type { PureTemplates } from "./pure-templates.ts";
import { StatementEmitter, type Target } from "./statements.ts";
import { tailValues } from "./tier0.ts";

/** Exits other than to a link. */
const leaving = {
  /** jump to EIP t */ computed: -1,
  /** R[eip] = t is set below; go on there through the dispatcher */ dispatchAt: -2,
  /** R[eip] is right */ dispatch: -3,
  fault: -4,
} as const;

/** In R[faultOffset] beside the page offset: a callout that may change general registers is under way. */
const inGeneralCall = 1 << 12;
/** Above that: instructions of the block not executed, the faulting one included. */
const unexecutedShift = 13;

/** Slots that live in locals: general registers and flag words. */
const localNames: Partial<Record<number, string>> = {};
for (const name of ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "flagZero", "flagSign", "flagCarry"] satisfies SlotName[]) {
  localNames[slot[name]] = name.replace("flag", "f");
}
Object.freeze(localNames);

export interface RegionInput {
  readonly name: string;
  readonly mode: ModeKey;
  /** Blocks after the passes; the entry first. */
  readonly blocks: readonly MicroBlock[];
  /** Static successors of each block by page offset, in the order of its terminator (branch: taken, fall). */
  readonly successors: readonly (readonly number[])[];
}

export function regionCode(input: RegionInput, templates: PureTemplates): RegionCode {
  return new RegionPrinter(input, templates).print();
}

class RegionPrinter implements Target {
  private readonly input: RegionInput;
  private readonly templates: PureTemplates;
  private readonly numbers = new Map<number, number>();
  private readonly freeNames = new Set<string>(["R", "C", "L", "guestFault"]);
  private readonly used = new Set<number>();
  private readonly dirty = new Set<number>();
  private readonly exits: number[] = [];
  private names = 0;
  /** Page offset of the instruction being printed, and of its successor. */
  private offset = 0;
  private next = 0;
  /** Instructions of the block from the current one on. */
  private unexecuted = 0;
  private current: MicroBlock;
  /** The instruction under way made a callout that may write memory. */
  private calledOut = false;
  /** Some callout may fault after it changed general registers. */
  private callsGeneral = false;
  private readonly analysis;
  private readonly leavesBy = new Set<number>();

  constructor(input: RegionInput, templates: PureTemplates) {
    this.input = input;
    this.templates = templates;
    this.current = input.blocks[0];
    for (const [k, block] of input.blocks.entries()) this.numbers.set(block.offset, k);
    const graph = input.successors.map((list) => list.map((to) => this.numbers.get(to) ?? -1).filter((to) => to >= 0));
    this.analysis = analyse({ successors: graph });
    for (const block of input.blocks) {
      for (const { s } of block.statements) {
        if (s.kind !== "get" && s.kind !== "set") continue;
        const n = slotNumber(s.slot);
        if (localNames[n] === undefined) continue;
        this.used.add(n);
        if (s.kind === "set") this.dirty.add(n);
      }
    }
  }

  print(): RegionCode {
    const body = this.tree(0);
    const fault = leaving.fault;
    const spill = [...this.dirty].map((n) => js.expressionStatement(js.assign(this.register(n) as never, js.identifier(localNames[n] as string))));
    const statements: Statement[] = [
      js.declare("const", "PB", this.register(slot.page)),
      ...[...this.used].map((n) => js.declare("let", localNames[n] as string, this.register(n))),
      js.declare("let", "n", this.register(slot.budget)),
      js.declare("let", "n0", js.identifier("n")),
      js.declare("let", "x", js.literal(0)),
      js.declare("let", "t", js.literal(0)),
      js.tryCatch([js.labeled("X", js.block(body))], "e", [
        js.expressionStatement(js.call("guestFault", [js.identifier("e")])),
        js.expressionStatement(js.assign(js.identifier("x"), js.literal(fault))),
        ...this.faultInGeneralCall(),
      ]),
      ...spill,
      this.spillBudget(),
      ...this.epilogue(),
    ];
    const text = print(js.functionExpression(this.input.name, [], statements));
    const ranges = this.input.blocks.map((block) => {
      const last = block.instructions[block.instructions.length - 1];
      return [block.offset, last.next - block.offset] as const;
    });
    const instructions = this.input.blocks.reduce((sum, block) => sum + block.instructions.length, 0);
    return { text, freeNames: [...this.freeNames], exits: this.exits, ranges, instructions };
  }

  /** A callout that may change general registers and then fault (a string instruction under way): what it left in R counts, not the locals from before. */
  private faultInGeneralCall(): Statement[] {
    if (!this.callsGeneral) return [];
    const isGeneral = js.binary("!==", js.binary("&", this.register(slot.faultOffset), js.literal(inGeneralCall)), js.literal(0));
    return [js.ifStatement(isGeneral, this.reload())];
  }

  /** Locals from R, after a callout may have changed it. */
  private reload(): Statement[] {
    return [
      ...[...this.used].map((n) => js.expressionStatement(js.assign(js.identifier(localNames[n] as string), this.register(n)))),
      js.expressionStatement(js.assign(js.identifier("n"), this.register(slot.budget))),
      js.expressionStatement(js.assign(js.identifier("n0"), js.identifier("n"))),
    ];
  }

  private epilogue(): Statement[] {
    const out: Statement[] = [];
    const when = (x: number, ...then: Statement[]): void => {
      out.push(js.ifStatement(js.binary("===", js.identifier("x"), js.literal(x)), then));
    };
    if (this.exits.length > 0) {
      const link = js.index("C", js.binary("+", js.identifier("L"), js.identifier("x")));
      out.push(js.ifStatement(js.binary(">=", js.identifier("x"), js.literal(0)), [js.returnStatement(link)]));
    }
    if (this.leavesBy.has(leaving.computed)) {
      this.freeNames.add("jump");
      when(leaving.computed, js.returnStatement(js.call("jump", [js.identifier("t")])));
    }
    this.freeNames.add("faulted");
    this.freeNames.add("dispatch");
    when(leaving.fault, js.returnStatement(js.call("faulted", [])));
    when(leaving.dispatchAt, js.expressionStatement(js.assign(this.register(slot.eip) as never, js.identifier("t"))));
    out.push(js.returnStatement(js.call("dispatch", [])));
    return out;
  }

  private register(n: number): Expression {
    return js.index("R", js.literal(n));
  }

  /** R[budget] may have been changed under us (attention requested): subtract what was used since n0. */
  private spillBudget(): Statement {
    const usedUp = js.binary("-", js.identifier("n0"), js.identifier("n"));
    return js.expressionStatement(js.assign(this.register(slot.budget) as never, js.toInt32(js.binary("-", this.register(slot.budget), usedUp))));
  }

  // ---- structure

  private tree(node: number): Statement[] {
    const { isLoopHeader, isMerge, children } = this.analysis;
    const merges = children[node].filter((child) => isMerge[child]);
    const inner = this.within(node, merges);
    if (!isLoopHeader[node]) return inner;
    return [js.labeled(`L${node}`, js.forever(inner))];
  }

  /** Code of `node` with the merge nodes it dominates behind labelled blocks, the latest outermost. */
  private within(node: number, merges: readonly number[]): Statement[] {
    if (merges.length === 0) return this.block(node);
    const [latest, ...rest] = merges;
    return [js.labeled(`B${latest}`, js.block(this.within(node, rest))), ...this.tree(latest)];
  }

  /** An edge from `from` to page offset `target`. */
  private edge(from: number, target: number): Statement[] {
    const to = this.numbers.get(target);
    const { order, isMerge, cut } = this.analysis;
    if (to === undefined || cut.has(from * this.input.blocks.length + to)) return this.exit(target);
    // Out of time: back to the dispatcher at the loop's header. Looked at here rather than there, so that only the way out needs the flags.
    if (order[to] <= order[from]) {
      return [
        js.ifStatement(js.binary("<", js.identifier("n"), js.literal(0)), this.leaveAt(this.codeAddress(js.literal(target)), 0)),
        js.continueTo(`L${to}`),
      ];
    }
    return isMerge[to] ? [js.breakTo(`B${to}`)] : this.tree(to);
  }

  private exit(target: number): Statement[] {
    let k = this.exits.indexOf(target);
    if (k < 0) k = this.exits.push(target) - 1;
    return this.leaveBy(k);
  }

  private leaveBy(x: number): Statement[] {
    this.leavesBy.add(x);
    return [js.expressionStatement(js.assign(js.identifier("x"), js.literal(x))), js.breakTo("X")];
  }

  /** @param unexecuted instructions of the block that were paid for in advance */
  private leaveAt(eip: Expression, unexecuted: number): Statement[] {
    const paidBack = js.assign(js.identifier("n"), js.toInt32(js.binary("+", js.identifier("n"), js.literal(unexecuted))));
    return [
      ...(unexecuted === 0 ? [] : [js.expressionStatement(paidBack)]),
      js.expressionStatement(js.assign(js.identifier("t"), eip)),
      ...this.leaveBy(leaving.dispatchAt),
    ];
  }
  /** What R[faultOffset] holds while the current instruction may fault. */
  private faultPlace(flags = 0): Expression {
    return js.literal(this.offset | flags | (this.unexecuted << unexecutedShift));
  }

  private block(node: number): Statement[] {
    const block = this.input.blocks[node];
    const count = js.literal(block.instructions.length);
    const out: Statement[] = [];
    const less = js.expressionStatement(js.assign(js.identifier("n"), js.toInt32(js.binary("-", js.identifier("n"), count))));
    out.push(less);
    const emitter = new StatementEmitter(this, this.templates);
    this.current = block;
    this.calledOut = false;
    const last = block.instructions[block.instructions.length - 1];
    emitter.emit(
      block.statements.map(({ s }) => s),
      tailValues(block.terminator),
    );
    const tail = this.terminator(node, block, emitter, last.offset, last.next);
    for (const name of emitter.freeNames) this.freeNames.add(name);
    return [...out, ...emitter.out, ...tail];
  }

  private terminator(node: number, block: MicroBlock, emitter: StatementEmitter, offset: number, next: number): Statement[] {
    const t: Terminator | undefined = block.terminator;
    if (t === undefined) return this.edge(node, this.input.successors[node][0]);
    switch (t.kind) {
      case "jump":
        return this.edge(node, constant(t.target));
      case "call":
        return this.exit(constant(t.target));
      case "branch": {
        const condition = emitter.value(t.condition);
        const taken = this.edge(node, constant(t.taken));
        return [js.ifStatement(condition, taken), ...this.edge(node, constant(t.fall))];
      }
      case "again":
        return [
          js.ifStatement(emitter.value(t.condition), this.leaveAt(this.codeAddress(js.literal(offset)), 0)),
          js.ifStatement(js.binary("!==", this.register(slot.leave), js.literal(0)), this.leaveAt(this.codeAddress(js.literal(next)), 0)),
          ...this.edge(node, next),
        ];
      case "indirect":
        return [js.expressionStatement(js.assign(js.identifier("t"), emitter.value(t.target))), ...this.leaveBy(leaving.computed)];
      case "dispatch":
        return this.leaveBy(leaving.dispatch);
    }
  }

  // ---- Target: how statements print here

  field(): Expression {
    throw new Error("a region has no fields");
  }
  slotPlace(ref: SlotRef, type: "i32" | "f64"): Expression {
    const n = slotNumber(ref);
    if (type === "f64") {
      this.freeNames.add("F");
      return js.index("F", js.literal(n >> 1));
    }
    const local = localNames[n];
    return local === undefined ? this.register(n) : js.identifier(local);
  }
  codeAddress(offset: Expression): Expression {
    return js.toInt32(js.binary("+", js.identifier("PB"), offset));
  }
  tlbHalf(): Expression | undefined {
    return (this.input.mode & mode.user) !== 0 ? js.literal(1 << 20) : undefined;
  }
  slowPath(call: Expression): Expression {
    // (R[faultOffset] = offset, call)
    return js.sequence(js.assign(this.register(slot.faultOffset) as never, this.faultPlace()), call);
  }
  /**
   * A guarded store (`sg`) refuses, changing nothing, when it would overwrite translated code: the region leaves at this instruction and tier 0, which can stop
   * after any instruction, runs it.
   */
  slowStore(size: number, address: Expression, value: Expression): Statement[] {
    const name = `sg${size}`;
    this.freeNames.add(name);
    const refused = this.slowPath(js.call(name, [address, value]));
    return [js.ifStatement(refused, this.leaveAt(this.codeAddress(js.literal(this.offset)), this.unexecuted))];
  }
  beforeStatement(k: number): void {
    const i = this.current.instructions[this.current.statements[k].instruction];
    this.offset = i.offset;
    this.next = i.next;
    this.unexecuted = this.current.instructions.length - this.current.statements[k].instruction;
  }
  /** After the last statement of an instruction with a callout that may have written memory: leave if that was our code. */
  afterStatement(k: number): Statement[] {
    const { statements } = this.current;
    const { s, instruction } = statements[k];
    if (s.kind === "call") {
      const row: CalloutRow = callouts[s.callout];
      if (row.neverFaults !== true) this.calledOut = true;
    }
    if (!this.calledOut || (k + 1 < statements.length && statements[k + 1].instruction === instruction)) return [];
    this.calledOut = false;
    if (k + 1 === statements.length && this.current.terminator !== undefined) return [];
    const left = js.binary("!==", this.register(slot.leave), js.literal(0));
    return [js.ifStatement(left, this.leaveAt(this.codeAddress(js.literal(this.next)), this.unexecuted - 1))];
  }
  beforeCall(row: CalloutRow): Statement[] {
    const isGeneral = row.general !== false;
    const out: Statement[] = [];
    if (isGeneral && row.neverFaults !== true) this.callsGeneral = true;
    out.push(js.expressionStatement(js.assign(this.register(slot.faultOffset) as never, this.faultPlace(isGeneral ? inGeneralCall : 0))));
    out.push(js.expressionStatement(js.assign(this.register(slot.eip) as never, this.codeAddress(js.literal(this.next)))));
    if (!isGeneral) {
      // Guest time is counted in instructions: whoever looks at it needs the budget up to date.
      if (row.readsTime) out.push(this.spillBudget(), js.expressionStatement(js.assign(js.identifier("n0"), js.identifier("n"))));
      return out;
    }
    for (const n of this.dirty) out.push(js.expressionStatement(js.assign(this.register(n) as never, js.identifier(localNames[n] as string))));
    out.push(this.spillBudget());
    return out;
  }
  afterCall(row: CalloutRow): Statement[] {
    return row.general === false ? [] : this.reload();
  }
  mayAlias(a: SlotRef, b: SlotRef): boolean {
    return slotNumber(a) === slotNumber(b);
  }
  name(hint: string): string {
    return `${hint}${this.names++}`;
  }
}

function constant(v: Value): number {
  if (v.kind !== "constant") throw new Error("a static target is a constant");
  return v.value;
}
