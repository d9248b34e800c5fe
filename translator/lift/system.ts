/**
 * System instructions (SDM vol. 1, 5.1.14 to 5.1.20 and 5.20): every one that is sensitive is patched into the callout of the VMM that sensitive.ts
 * names. What the mode alone decides (LLDT in real mode is #UD; segment registers outside protected mode, see real-segments.ts) is settled here; what CPL decides, in
 * the callout.
 */

import type { CalloutName } from "../contract/callouts.ts";
import { segment, slot, vector } from "../contract/slots.ts";
import { operandKind } from "../decode/instruction.ts";
import type { Value } from "../ir/micro.ts";
import type { Builder, LiftFunction } from "./builder.ts";
import { overflow, setStatus, statusByte } from "./eflags.ts";
import { isPlainLoad, loadRealFarPointer, popRealSegment, realFarCall, realFarJump, realFarReturn, setRealSegment } from "./real-segments.ts";
import type { Shape, ShapeOperand } from "./shape.ts";

/** A callout without operands that falls through, or one that ends the block. */
const plain =
  (callout: CalloutName): LiftFunction =>
  (b) => {
    b.call(callout);
  };
const ending =
  (callout: CalloutName): LiftFunction =>
  (b) => {
    b.call(callout);
    b.dispatch();
  };

function raiseUndefined(b: Builder): void {
  b.call("raiseException", vector.ud);
  b.dispatch();
}

/** #UD in real and virtual-8086 mode. */
const protectedOnly =
  (lift: LiftFunction): LiftFunction =>
  (b, i) => {
    if (b.isProtected) lift(b, i);
    else raiseUndefined(b);
  };

/** Segment and offset of a memory operand, or -1 and the value of a register: for callouts that check CPL before they read. */
function place(b: Builder, o: ShapeOperand): [Value | number, Value] {
  return o.kind === operandKind.memory ? [o.segment, b.offsetOf(o)] : [-1, b.read(o)];
}

// ---- segment registers

/** MOV to or from a segment register. A load of SS, and of what the mode key depends on, ends the block. */
const liftMoveSegment: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  if (source.kind === operandKind.segmentRegister) {
    b.write(target, b.isProtected ? b.call("readSegment", source.reg) : b.get(slot.selector + source.reg));
    return;
  }
  const selector = b.read(source);
  if (isPlainLoad(b, target.reg)) setRealSegment(b, target.reg, selector);
  else if (target.reg >= segment.fs) b.call("loadExtraSegment", target.reg, selector);
  else {
    b.call("loadSegment", target.reg, selector);
    b.dispatch();
  }
};

/** With a 32-bit operand the selector is pushed zero-extended. */
const liftPushSegment: LiftFunction = (b, i) => {
  const { reg } = i.operands[0];
  b.push(b.isProtected ? b.call("readSegmentToPush", reg) : b.get(slot.selector + reg), i.operandSize);
};

const liftPopSegment: LiftFunction = (b, i) => {
  const [target] = i.operands;
  if (isPlainLoad(b, target.reg)) popRealSegment(b, target.reg, i.operandSize);
  else if (target.reg >= segment.fs) b.call("popExtraSegment", target.reg, i.operandSize);
  else {
    b.call("popSegment", target.reg, i.operandSize);
    b.dispatch();
  }
};

/** A far pointer in memory: offset first, then selector. */
function loadFarPointer(b: Builder, o: ShapeOperand, size: 2 | 4): { offset: Value; selector: Value } {
  const address = b.address(o, size + 2);
  return { offset: b.load(address, size), selector: b.load(b.add(address, size), 2) };
}

function liftLoadFarPointer(s: number): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    const { offset, selector } = loadFarPointer(b, source, i.operandSize);
    if (!b.isProtected) return loadRealFarPointer(b, s, target, offset, selector);
    const isExtra = s >= segment.fs;
    b.call(isExtra ? "loadExtraFarPointer" : "loadFarPointer", s, b.field(target.field), i.operandSize, offset, selector);
    if (!isExtra) b.dispatch();
  };
}

/** LAR and LSL: the destination register is written only with ZF, so the callout does it. */
const liftLoadFromDescriptor = (callout: "loadAccessRights" | "loadSegmentLimit"): LiftFunction =>
  protectedOnly((b, i) => {
    const [target, source] = i.operands;
    b.call(callout, b.zeroExtend(b.read(source), 2), b.field(target.field), i.operandSize);
  });

const liftVerify = (callout: "verifyRead" | "verifyWrite"): LiftFunction =>
  protectedOnly((b, i) => {
    b.call(callout, b.read(i.operands[0]));
  });

/** ARPL: raises the destination's RPL to the source's, ZF telling whether it was below. Not sensitive: it looks at operands only. */
const liftAdjustPrivilege: LiftFunction = protectedOnly((b, i) => {
  const [target, source] = i.operands;
  const wanted = b.and(b.read(source), 3);
  const selector = b.read(target);
  const isBelow = b.pure("less", b.and(selector, 3), wanted);
  // A memory operand is written only if it changes: a read-only one faults only then.
  if (target.kind === operandKind.memory) b.call("storeHigherRpl", target.segment, b.address(target), selector, wanted);
  else b.write(target, b.select(isBelow, b.or(b.and(selector, ~3), wanted), selector));
  // ZF = (flagZero === 0).
  b.set(slot.flagZero, b.pure("toInt", b.pure("logicalNot", isBelow)));
});

// ---- far transfers

/** Selector and offset of a far JMP's or CALL's target. */
function farTarget(b: Builder, i: Shape): { offset: Value; selector: Value } {
  const [target] = i.operands;
  if (target.kind === operandKind.memory) return loadFarPointer(b, target, i.operandSize);
  return { offset: b.field(target.field), selector: b.field(target.field + 1) };
}

const liftFarJump: LiftFunction = (b, i) => {
  const { offset, selector } = farTarget(b, i);
  if (!b.isProtected) return realFarJump(b, selector, offset);
  b.call("farJump", selector, offset);
  b.dispatch();
};

const liftFarCall: LiftFunction = (b, i) => {
  const { offset, selector } = farTarget(b, i);
  if (!b.isProtected) return realFarCall(b, i.operandSize, selector, offset);
  b.call("farCall", selector, offset, i.operandSize);
  b.dispatch();
};

const liftFarReturn: LiftFunction = (b, i) => {
  if (!b.isProtected) return realFarReturn(b, i);
  b.call("farReturn", i.operandSize, i.operands.length > 0 ? b.read(i.operands[0]) : 0);
  b.dispatch();
};

const liftInterruptReturn: LiftFunction = (b, i) => {
  b.call("interruptReturn", i.operandSize);
  b.dispatch();
};

const liftInterrupt: LiftFunction = (b, i) => {
  b.call("softwareInterrupt", b.read(i.operands[0]));
  b.dispatch();
};

// ---- EFLAGS

/** What the flags words say is put together here, so that they need not be where the callout could find them. */
const liftPushFlags: LiftFunction = (b, i) => {
  if (b.isVirtual8086) return b.push(b.call("readFlags", i.operandSize), i.operandSize);
  b.push(b.or(b.or(b.call("systemFlags"), statusByte(b)), b.shl(overflow(b), 11)), i.operandSize);
};

const liftPopFlags: LiftFunction = (b, i) => {
  if (b.isVirtual8086) return b.proceed(b.call("popFlags", i.operandSize));
  const image = b.stackTop(i.operandSize);
  const attend = b.call("restoreFlags", image, i.operandSize);
  b.setStackPointer(b.popped(i.operandSize));
  setStatus(b, image, b.and(b.shr(image, 11), 1));
  b.proceed(attend);
};

// ---- descriptor tables

const liftLoadTable =
  (callout: "loadGdt" | "loadIdt"): LiftFunction =>
  (b, i) => {
    const [source] = i.operands;
    b.call(callout, source.segment, b.offsetOf(source), i.operandSize);
  };

const liftStoreTable =
  (callout: "storeGdt" | "storeIdt"): LiftFunction =>
  (b, i) => {
    const [target] = i.operands;
    b.call(callout, target.segment, b.offsetOf(target));
  };

/** LLDT, LTR. */
const liftLoadSystemSegment = (callout: "loadLdt" | "loadTask"): LiftFunction =>
  protectedOnly((b, i) => {
    const [s, value] = place(b, i.operands[0]);
    b.call(callout, s, value);
  });

/** SLDT, STR: a 32-bit register gets the selector zero-extended. */
const liftStoreSystemSegment = (callout: "storeLdt" | "storeTask"): LiftFunction => protectedOnly((b, i) => b.write(i.operands[0], b.call(callout)));

// ---- control and debug registers

const liftMoveControl: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  if (source.kind === operandKind.controlRegister) b.write(target, b.call("readControl", source.reg));
  else {
    b.call("writeControl", target.reg, b.read(source));
    b.dispatch();
  }
};

const liftMoveDebug: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  if (source.kind === operandKind.debugRegister) b.write(target, b.call("readDebug", source.reg));
  else {
    b.call("writeDebug", target.reg, b.read(source));
    b.dispatch();
  }
};

const liftStoreMachineStatus: LiftFunction = (b, i) => b.write(i.operands[0], b.call("storeMachineStatusWord"));

const liftLoadMachineStatus: LiftFunction = (b, i) => {
  const [s, value] = place(b, i.operands[0]);
  b.call("loadMachineStatusWord", s, value);
  b.dispatch();
};

const liftInvalidatePage: LiftFunction = (b, i) => {
  const [address] = i.operands;
  b.call("invalidatePage", address.segment, b.offsetOf(address));
  b.dispatch();
};

// ---- ports

/** Bytes moved: the accumulator's. */
const liftIn: LiftFunction = (b, i) => {
  const [target, port] = i.operands;
  b.write(target, b.call("portRead", b.read(port), target.size));
};

const liftOut: LiftFunction = (b, i) => {
  const [port, source] = i.operands;
  b.call("portWrite", b.read(port), source.size, b.read(source));
};

export const systemLifts: Record<string, LiftFunction> = {
  "mov.sreg": liftMoveSegment,
  "push.sreg": liftPushSegment,
  "pop.sreg": liftPopSegment,
  les: liftLoadFarPointer(segment.es),
  lds: liftLoadFarPointer(segment.ds),
  lss: liftLoadFarPointer(segment.ss),
  lfs: liftLoadFarPointer(segment.fs),
  lgs: liftLoadFarPointer(segment.gs),
  lar: liftLoadFromDescriptor("loadAccessRights"),
  lsl: liftLoadFromDescriptor("loadSegmentLimit"),
  verr: liftVerify("verifyRead"),
  verw: liftVerify("verifyWrite"),
  arpl: liftAdjustPrivilege,
  "jmp.far": liftFarJump,
  "call.far": liftFarCall,
  "ret.far": liftFarReturn,
  iret: liftInterruptReturn,
  int: liftInterrupt,
  int3: ending("breakpointInterrupt"),
  into: ending("overflowInterrupt"),
  icebp: ending("debugInterrupt"),
  sysenter: ending("sysenter"),
  sysexit: ending("sysexit"),
  // Outside system-management mode, which there is none of, RSM is #UD.
  rsm: raiseUndefined,
  pushf: liftPushFlags,
  popf: liftPopFlags,
  cli: plain("clearInterruptFlag"),
  sti: (b) => b.proceed(b.call("setInterruptFlag")),
  lgdt: liftLoadTable("loadGdt"),
  lidt: liftLoadTable("loadIdt"),
  sgdt: liftStoreTable("storeGdt"),
  sidt: liftStoreTable("storeIdt"),
  lldt: liftLoadSystemSegment("loadLdt"),
  ltr: liftLoadSystemSegment("loadTask"),
  sldt: liftStoreSystemSegment("storeLdt"),
  str: liftStoreSystemSegment("storeTask"),
  "mov.cr": liftMoveControl,
  "mov.dr": liftMoveDebug,
  smsw: liftStoreMachineStatus,
  lmsw: liftLoadMachineStatus,
  clts: plain("clearTaskSwitched"),
  invlpg: liftInvalidatePage,
  invd: plain("invalidateCaches"),
  wbinvd: plain("writeBackCaches"),
  hlt: ending("halt"),
  cpuid: plain("cpuid"),
  rdtsc: plain("readTimeStamp"),
  rdpmc: plain("readPerformanceCounter"),
  rdmsr: plain("readMsr"),
  wrmsr: ending("writeMsr"),
  in: liftIn,
  out: liftOut,
};
