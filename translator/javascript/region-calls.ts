/**
 * A CALL of a function outside of the region, by a JavaScript call of its region if it has one: state goes to R before and comes back after. The function's RET returns `returned` when it pops the return
 * address noted in J; anything else that ends the call (an exit to code without a region, an interrupt, a fault) is passed on to the dispatcher, for this region's state is in R too.
 *
 *     R[..] = ..; const d = J[depth];
 *     x = callee(C[L + k]);                           // shape number of the region there, or 0; R[page] is its page then. Asked only if region-targets.ts does not find it
 *     if (x === 0) { x = k; break X }
 *     J[returnTo] = PB + next; J[depth] = d + 1;
 *     const e = H[x]; x = e();                       // an expression of its own for each CALL: V8 learns which function it calls
 *     J[depth] = d;
 *     if (x !== returned) return x;
 *     J[returnTo] = r; R[page] = PB; eax = R[0]; ...
 */
import { deepestCall } from "../contract/region-targets.ts";
import { jsCall, slot } from "../contract/slots.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";
import { leaving, type RegionExits } from "./region-exits.ts";
import type { RegionScope } from "./region-scope.ts";
import { type RegionState, register } from "./region-state.ts";
import type { RegionX87 } from "./x87/region-x87.ts";

/** Where a CALL goes: a computed EIP, or a page offset relative to the entry's page. */
export type CallTarget = { readonly eip: Expression } | { readonly offset: number };

/** Of the region that the CALL is in. */
interface Caller {
  readonly scope: RegionScope;
  readonly state: RegionState;
  readonly exits: RegionExits;
  readonly registers: RegionX87 | undefined;
}

const x = js.identifier("x");
const returnTo = js.index("J", js.literal(jsCall.returnTo));
const depth = js.index("J", js.literal(jsCall.depth));

/** What the caller was called to return to: for `returnTo` when a call is over. */
export const ownReturn = (): Statement => js.declare("const", "r", returnTo);

/** @param next page offset behind the CALL; @param pages that the block of the CALL is on, for these are taken for granted behind it */
export function callOfRegion(caller: Caller, target: CallTarget, next: number, pages: readonly number[]): Statement[] {
  const { scope, state, exits, registers } = caller;
  const back = scope.codeAddress(js.literal(next));
  const out = [...(registers?.beforeCall("subroutine") ?? []), ...state.writeBack(), state.spillBudget(), state.noteBudget()];
  scope.freeNames.add("J");
  scope.freeNames.add("H");
  const callee = scope.name("e");
  const outside = js.identifier(scope.name("d"));
  out.push(
    js.declare("const", outside.name, depth),
    ...findCallee(scope, exits, target, outside),
    js.set(returnTo, back),
    js.set(depth, js.toInt32(js.binary("+", outside, js.literal(1)))),
    js.declare("const", callee, js.index("H", x)),
    js.set(x, js.call(callee, [])),
    js.set(depth, outside),
    js.ifStatement(js.mostly(js.binary("!==", x, js.literal(jsCall.returned)), false), [js.returnStatement(x)]),
    js.set(returnTo, js.identifier("r")),
    js.set(register(slot.page), js.identifier("PB")),
    ...state.reload(),
    ...state.vectors.reload(),
    ...(registers?.afterCall("subroutine") ?? []),
  );
  const leave = exits.leaveAt(back, 0);
  const changed = [0, ...pages.filter((k) => k !== 0)].map((k) => scope.isAnotherPage(k));
  const outOfTime = js.binary("<", js.identifier("n"), js.literal(0));
  const isOver = [...changed, outOfTime].reduce((a, b) => js.logical("||", a, b));
  out.push(js.ifStatement(js.mostly(isOver, false), leave));
  return out;
}

/** x = the shape number of the region called; leaves where there is none. @param outside calls around it */
function findCallee(scope: RegionScope, exits: RegionExits, target: CallTarget, outside: Expression): Statement[] {
  const isZero = js.mostly(js.binary("===", x, js.literal(0)), false);
  const ask: Statement[] = [];
  const before: Statement[] = [];
  let address: Expression;
  if ("offset" in target) {
    const k = exits.numberOf(target.offset);
    scope.freeNames.add("callee");
    const link = js.index("C", js.binary("+", js.identifier("L"), js.literal(k)));
    ask.push(js.set(x, js.call("callee", [link])), js.ifStatement(isZero, exits.leaveBy(k)));
    const a = scope.name("a");
    before.push(js.declare("const", a, scope.codeAddress(js.literal(target.offset))));
    address = js.identifier(a);
  } else {
    scope.freeNames.add("calleeAt");
    const left = [js.set(js.identifier("t"), target.eip), ...exits.leaveBy(leaving.computed)];
    ask.push(js.set(x, js.call("calleeAt", [target.eip])), js.ifStatement(isZero, left));
    address = target.eip;
  }
  const found = scope.target(address);
  if (found === undefined) return ask;
  const isFound = js.mostly(js.logical("&&", found.isFound, js.binary("<", outside, js.literal(deepestCall))), true);
  return [...before, ...found.before, js.ifStatement(isFound, [...found.enter, js.set(x, found.shape)], ask)];
}
