/** Near control transfers (SDM vol. 1, 5.1.7). Far ones, interrupts and returns from them are the VMM's: see system lifts. */
import { slot, vector } from "../contract/slots.ts";
import { operandKind } from "../decode/instruction.ts";
import type { Value } from "../ir/micro.ts";
import type { Builder, LiftFunction } from "./builder.ts";
import { conditionNames, conditionValue } from "./conditions.ts";

/** A conditional jump to relative operand 0. */
function branchTo(b: Builder, condition: Value): void {
  b.checkRelative(condition);
  b.branch(condition);
}

function liftConditionalJump(name: string): LiftFunction {
  return (b) => branchTo(b, conditionValue(b, name));
}

const liftJump: LiftFunction = (b) => {
  b.checkRelative();
  b.jump();
};

const liftJumpIndirect: LiftFunction = (b, i) => b.indirect(b.read(i.operands[0]), "jump");

const liftCall: LiftFunction = (b, i) => {
  b.checkRelative();
  b.push(b.nextEip, i.operandSize);
  b.directCall();
};

const liftCallIndirect: LiftFunction = (b, i) => {
  const target = b.read(i.operands[0]);
  b.checkTarget(target);
  b.push(b.nextEip, i.operandSize);
  b.computed(target, "call");
};

const liftReturn: LiftFunction = (b, i) => {
  const size = i.operandSize;
  const target = b.stackTop(size);
  b.checkTarget(target);
  const extra = i.operands.length > 0 && i.operands[0].kind === operandKind.immediate ? b.read(i.operands[0]) : b.constant(0);
  b.setStackPointer(b.popped(i.operands.length > 0 ? b.add(extra, size) : size));
  b.computed(target, "return");
};

/** LOOP, LOOPE, LOOPNE count in CX or ECX by *address* size; JCXZ tests it. */
function liftLoop(condition: "always" | "e" | "ne"): LiftFunction {
  return (b, i) => {
    const count = b.zeroExtend(b.sub(b.get(slot.ecx), 1), i.addressSize);
    const taken = b.pure("notEqual", count, b.constant(0));
    const holds = condition === "always" ? taken : b.pure("logicalAnd", taken, conditionValue(b, condition));
    b.checkRelative(holds);
    b.setRegister(slot.ecx, i.addressSize, count);
    b.branch(holds);
  };
}

const liftJumpIfCountZero: LiftFunction = (b, i) => branchTo(b, b.equal(b.getRegister(slot.ecx, i.addressSize), 0));

/** BOUND: #BR when the signed index lies outside the pair of bounds. */
const liftBound: LiftFunction = (b, i) => {
  const [index, bounds] = i.operands;
  const size = i.operandSize;
  const low = b.address(bounds, 2 * size, false);
  const lower = b.load(low, size);
  const upper = b.load(b.add(low, size), size);
  b.call("bound", b.signExtend(lower, size), b.signExtend(upper, size), b.signExtend(b.read(index), size));
};

const liftUndefined: LiftFunction = (b) => {
  b.call("raiseException", vector.ud);
  // Never gets here: nothing after it belongs to the block.
  b.dispatch();
};

export const controlFlowLifts: Record<string, LiftFunction> = {
  jmp: liftJump,
  "jmp.ind": liftJumpIndirect,
  call: liftCall,
  "call.ind": liftCallIndirect,
  ret: liftReturn,
  loop: liftLoop("always"),
  loope: liftLoop("e"),
  loopne: liftLoop("ne"),
  jcxz: liftJumpIfCountZero,
  bound: liftBound,
  ud0: liftUndefined,
  ud1: liftUndefined,
  ud2: liftUndefined,
  ...Object.fromEntries(conditionNames.map((name) => [`j${name}`, liftConditionalJump(name)])),
};
