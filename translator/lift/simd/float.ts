/** SSE and SSE2 floating point (SDM vol. 1, 5.5 and 5.6): arithmetic, comparison and conversion are callouts on slots. */

import { simdCallouts } from "../../contract/callouts/simd.ts";
import type { CalloutName } from "../../contract/callouts.ts";
import { slot } from "../../contract/slots.ts";
import type { LiftFunction } from "../builder.ts";
import { isMemory, readWords, requireSse, slotOf, sourceSlot, writeWords } from "./operands.ts";

/** Target and source, and an immediate if there is one, go to the callout. */
function operate(callout: CalloutName): LiftFunction {
  return (b, i) => {
    const [target, source, immediate] = i.operands;
    requireSse(b);
    const from = sourceSlot(b, source);
    if (immediate === undefined) b.call(callout, slotOf(b, target), from);
    else b.call(callout, slotOf(b, target), from, b.read(immediate));
  };
}

/** COMISS and its like: ZF, PF and CF from the callout; OF, SF and AF cleared. */
function compare(callout: CalloutName): LiftFunction {
  return (b, i) => {
    const [left, right] = i.operands;
    requireSse(b);
    const flags = b.call(callout, slotOf(b, left), sourceSlot(b, right));
    // CF to bits 31 and 30, so that OF, their difference, is 0; flagSign is 0 (even parity) or 1.
    b.set(slot.flagCarry, b.sar(b.shl(flags, 31), 1));
    b.set(slot.flagZero, b.xor(b.and(flags, 0x40), 0x40));
    b.set(slot.flagSign, b.xor(b.and(b.shr(flags, 2), 1), 1));
  };
}

/** To a general register. */
function convertToRegister(callout: CalloutName): LiftFunction {
  return (b, i) => {
    requireSse(b);
    b.write(i.operands[0], b.call(callout, sourceSlot(b, i.operands[1])));
  };
}

/** From a general register or memory. */
function convertFromRegister(callout: CalloutName): LiftFunction {
  return (b, i) => {
    requireSse(b);
    b.call(callout, slotOf(b, i.operands[0]), b.read(i.operands[1]));
  };
}

/**
 * From an MMX register or memory. Only a register operand makes it an instruction of the MMX state (SDM vol. 2, CVTPI2PD). The CPU switches to
 * that state before it converts, so that an unmasked exception finds it switched.
 */
function convertFromMmx(callout: CalloutName): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireSse(b);
    const usesMmx = !isMemory(source);
    if (usesMmx) b.call("pendingFloatException");
    const [first, second] = readWords(b, source, 2);
    if (usesMmx) b.call("enterMmx");
    b.call(callout, slotOf(b, target), first, second);
  };
}

/** To an MMX register. */
function convertToMmx(callout: CalloutName): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireSse(b);
    b.call("pendingFloatException");
    const from = sourceSlot(b, source);
    b.call("enterMmx");
    b.call(callout, b.constant(slot.scratch2), from);
    writeWords(b, target, [b.get(slot.scratch2), b.get(slot.scratch2 + 1)]);
  };
}

const arithmetic = ["add", "sub", "mul", "div", "min", "max", "sqrt"].flatMap((name) => ["ss", "sd", "ps", "pd"].map((suffix) => name + suffix));
const conversions = ["cvtss2sd", "cvtsd2ss", "cvtps2pd", "cvtpd2ps", "cvtdq2ps", "cvtps2dq", "cvttps2dq", "cvtdq2pd", "cvtpd2dq", "cvttpd2dq"];
/** SSE3's and SSE4.1's; those with an immediate hand it on. */
const later = ["addsubps", "addsubpd", "haddps", "haddpd", "hsubps", "hsubpd", "roundss", "roundsd", "roundps", "roundpd", "dpps", "dppd"];
const approximations = ["rcpss", "rcpps", "rsqrtss", "rsqrtps"];

/** Rows that are called as their callouts are. */
function each(names: readonly string[], lift: (callout: CalloutName) => LiftFunction): Record<string, LiftFunction> {
  return Object.fromEntries(
    names.map((name) => {
      if (!(name in simdCallouts)) throw new Error(`no callout is called ${name}`);
      return [name, lift(name as CalloutName)];
    }),
  );
}

export const floatLifts: Record<string, LiftFunction> = {
  ...each([...arithmetic, ...conversions, ...approximations, ...later, "cmpss", "cmpps", "cmppd"], operate),
  "cmpsd.sse": operate("cmpsd"),
  ...each(["comiss", "comisd", "ucomiss", "ucomisd"], compare),
  ...each(["cvtss2si", "cvttss2si", "cvtsd2si", "cvttsd2si"], convertToRegister),
  ...each(["cvtsi2ss", "cvtsi2sd"], convertFromRegister),
  cvtpi2ps: convertFromMmx("cvtpi2ps"),
  cvtpi2pd: convertFromMmx("cvtpi2pd"),
  ...each(["cvtps2pi", "cvttps2pi", "cvtpd2pi", "cvttpd2pi"], convertToMmx),
};
