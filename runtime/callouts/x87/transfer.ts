/** Data transfer and constants (SDM vol. 1, 5.2.1 and 5.2.4). */
import { x87Constants } from "../../../translator/contract/callouts/x87.ts";
import { slot as slotImported } from "../../../translator/contract/slots.ts";
import { fromBcd, toBcd } from "../../float/bcd.ts";
import { extendDouble, extendSingle, fromInt32, fromInt64, quietLoaded, toDouble, toInteger, toSingle } from "../../float/convert.ts";
import { roundToDouble } from "../../float/narrow.ts";
import {
  exception as exceptionImported,
  type FloatUnit,
  roundingControl as roundingControlImported,
  setIndefinite,
  setResult,
} from "../../float/unit.ts";
import {
  begin,
  isEmpty,
  isFull,
  physical,
  pop,
  push,
  readOperand,
  readRegister,
  recordInstruction,
  recordOperand,
  settle,
  stackFault,
  writeRegister,
  type X87Host,
} from "./host.ts";
import { setC1, spill } from "./registers.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;
const exception = exceptionImported;
const roundingControl = roundingControlImported;

type Load = (cpu: X87Host, f: FloatUnit, linear: number) => void;

function loadForm(load: Load) {
  return (cpu: X87Host, info: number, linear: number): void => {
    const f = begin(cpu);
    load(cpu, f, linear);
    finishLoad(cpu, f, info, linear);
  };
}

function finishLoad(cpu: X87Host, f: FloatUnit, info: number, linear: number): void {
  const R = cpu.R;
  recordOperand(R, info, linear);
  if (isFull(R)) {
    if (!stackFault(cpu, true)) return;
  } else {
    // A denormal operand is pushed even when its exception is unmasked: only an invalid one (a signalling NaN) stops a load.
    const refused = (f.flags & ~f.control & exception.invalid) !== 0;
    settle(cpu, f);
    if (refused) return;
  }
  push(cpu, f);
}

/** The commonest load, on its own: closures of one function share V8's call feedback. */
function fldDouble(cpu: X87Host, info: number, linear: number): void {
  const f = begin(cpu);
  cpu.memory.requireAlignment(linear, 8);
  const low = cpu.memory.ld4(linear);
  extendDouble(f, low, cpu.memory.ld4((linear + 4) | 0));
  quietLoaded(f);
  finishLoad(cpu, f, info, linear);
}

/** Computes what to store into f.low, f.high, f.signExponent. */
type Convert = (f: FloatUnit, low: number, high: number, signExponent: number) => void;
type Store = (cpu: X87Host, f: FloatUnit, linear: number) => void;

/** Overflow and underflow, unmasked, also keep a memory destination from being written (SDM vol. 1, 8.5.4). */
const noStore = exception.overflow | exception.underflow;

/** @param whole low parts of what are doubles count too */
function storeForm(convert: Convert, store: Store, whole = false) {
  return (cpu: X87Host, info: number, linear: number, pops: number): void => {
    const f = beginStore(cpu, whole);
    convert(f, f.low, f.high, f.signExponent);
    // The store may fault, so it comes before any change of state.
    if (isStorable(f)) store(cpu, f, linear);
    finishStore(cpu, f, info, linear, pops);
  };
}

/** Puts ST(0), or the indefinite NaN for an empty register, into the unit. */
function beginStore(cpu: X87Host, whole: boolean): FloatUnit {
  const R = cpu.R;
  const f = begin(cpu);
  const top = R[slot.fpuTop];
  if (isEmpty(R, top)) {
    setIndefinite(f);
    f.flags = exception.invalid;
  } else if (whole) readRegister(cpu, top, f);
  else readOperand(cpu, top, f);
  return f;
}

function isStorable(f: FloatUnit): boolean {
  return (f.flags & ~f.control & (exception.invalid | noStore)) === 0;
}

function finishStore(cpu: X87Host, f: FloatUnit, info: number, linear: number, pops: number): void {
  const R = cpu.R;
  const unmasked = f.flags & ~f.control;
  recordOperand(R, info, linear);
  if (isEmpty(R, R[slot.fpuTop]) ? !stackFault(cpu, false) : !settle(cpu, f)) return;
  if ((unmasked & noStore) !== 0) return;
  if (pops > 0) pop(R);
}

function fstDouble(cpu: X87Host, info: number, linear: number, pops: number): void {
  const f = beginStore(cpu, false);
  toDouble(f, f.low, f.high, f.signExponent);
  if (isStorable(f)) store8(cpu, f, linear);
  finishStore(cpu, f, info, linear, pops);
}

function store2(cpu: X87Host, f: FloatUnit, linear: number): void {
  cpu.memory.st2(linear, f.low & 0xffff);
}
function store4(cpu: X87Host, f: FloatUnit, linear: number): void {
  cpu.memory.st4(linear, f.low);
}
function store8(cpu: X87Host, f: FloatUnit, linear: number): void {
  const memory = cpu.memory;
  memory.requireAlignment(linear, 8);
  memory.probeWrite(linear, 8);
  memory.st4(linear, f.low);
  memory.st4((linear + 4) | 0, f.high);
}
export function store10(cpu: X87Host, f: FloatUnit, linear: number): void {
  const memory = cpu.memory;
  memory.requireAlignment(linear, 8);
  memory.probeWrite(linear, 10);
  memory.st4(linear, f.low);
  memory.st4((linear + 4) | 0, f.high);
  memory.st2((linear + 8) | 0, f.signExponent & 0xffff);
}

function integerOf(bits: number): Convert {
  return (f, low, high, signExponent) => toInteger(f, low, high, signExponent, bits);
}

/** FISTTP: RC is taken for truncation, which leaves C1 clear. */
function truncatedOf(bits: number): Convert {
  return (f, low, high, signExponent) => {
    f.control |= roundingControl.zero;
    toInteger(f, low, high, signExponent, bits);
  };
}

function fld(cpu: X87Host, info: number, i: number): void {
  const R = cpu.R;
  const f = begin(cpu);
  recordInstruction(R, info);
  const source = physical(R, i);
  const empty = isEmpty(R, source);
  if (empty || isFull(R)) {
    if (!stackFault(cpu, !empty)) return;
  } else {
    readRegister(cpu, source, f);
    setC1(cpu, false);
  }
  push(cpu, f);
}

/** FST and FSTP to a register: a copy, whatever it holds. */
function fst(cpu: X87Host, info: number, i: number, pops: number): void {
  const R = cpu.R;
  const f = begin(cpu);
  recordInstruction(R, info);
  const top = R[slot.fpuTop];
  if (isEmpty(R, top)) {
    if (!stackFault(cpu, false)) return;
  } else {
    readRegister(cpu, top, f);
    setC1(cpu, false);
  }
  writeRegister(cpu, physical(R, i), f);
  if (pops > 0) pop(R);
}

/** FSTPNCE, the undocumented D9 D8+i: FSTP without the check for an empty register, which it only pops. */
function fstpnce(cpu: X87Host, info: number, i: number): void {
  const R = cpu.R;
  const f = begin(cpu);
  recordInstruction(R, info);
  const top = R[slot.fpuTop];
  if (!isEmpty(R, top)) {
    readRegister(cpu, top, f);
    writeRegister(cpu, physical(R, i), f);
  }
  setC1(cpu, false);
  pop(R);
}

/** Empty registers become the indefinite NaN first. */
function fxch(cpu: X87Host, info: number, i: number): void {
  const R = cpu.R;
  const f = begin(cpu);
  recordInstruction(R, info);
  const a = R[slot.fpuTop];
  const b = physical(R, i);
  if (isEmpty(R, a) || isEmpty(R, b)) {
    if (!stackFault(cpu, false)) return;
    if (isEmpty(R, a)) writeRegister(cpu, a, f);
    if (isEmpty(R, b)) writeRegister(cpu, b, f);
  } else setC1(cpu, false);
  spill(cpu, a);
  const low = R[slot.fpuMantissaLow + a];
  const high = R[slot.fpuMantissaHigh + a];
  const signExponent = R[slot.fpuSignExponent + a];
  readRegister(cpu, b, f);
  writeRegister(cpu, a, f);
  setResult(f, low, high, signExponent);
  writeRegister(cpu, b, f);
}

/** `condition` is evaluated by the lift; an empty register is a fault whether or not the move happens. */
function fcmov(cpu: X87Host, info: number, condition: number, i: number): void {
  const R = cpu.R;
  const f = begin(cpu);
  recordInstruction(R, info);
  const top = R[slot.fpuTop];
  const source = physical(R, i);
  if (isEmpty(R, top) || isEmpty(R, source)) {
    if (stackFault(cpu, false)) writeRegister(cpu, top, f);
    return;
  }
  if (condition === 0) return;
  readRegister(cpu, source, f);
  writeRegister(cpu, top, f);
}

/** FLD1 FLDL2T FLDL2E FLDPI FLDLG2 FLDLN2 FLDZ: `index` in the order of their opcodes. */
function fldConstant(cpu: X87Host, info: number, index: number): void {
  const R = cpu.R;
  const f = begin(cpu);
  recordInstruction(R, info);
  if (isFull(R)) {
    if (!stackFault(cpu, true)) return;
  } else {
    const c = x87Constants[index];
    const rounding = f.control & roundingControl.mask;
    const up = !c.exact && (rounding === roundingControl.up || (rounding === roundingControl.nearest && c.up));
    setResult(f, (c.low + (up ? 1 : 0)) | 0, c.high | 0, c.exponent);
    if (f.isDouble) roundToDouble(f);
    setC1(cpu, false);
  }
  push(cpu, f);
}

export const transferImplementations = {
  fldSingle: loadForm((cpu, f, linear) => {
    extendSingle(f, cpu.memory.ld4(linear));
    quietLoaded(f);
  }),
  fldDouble,
  fldExtended: loadForm((cpu, f, linear) => {
    const memory = cpu.memory;
    memory.requireAlignment(linear, 8);
    const low = memory.ld4(linear);
    const high = memory.ld4((linear + 4) | 0);
    setResult(f, low, high, memory.ld2((linear + 8) | 0));
    if (!f.isDouble) return;
    roundToDouble(f);
    // A load of this format raises nothing.
    f.flags = 0;
  }),
  fildWord: loadForm((cpu, f, linear) => fromInt32(f, (cpu.memory.ld2(linear) << 16) >> 16)),
  fildDword: loadForm((cpu, f, linear) => fromInt32(f, cpu.memory.ld4(linear))),
  fildQword: loadForm((cpu, f, linear) => {
    cpu.memory.requireAlignment(linear, 8);
    const low = cpu.memory.ld4(linear);
    fromInt64(f, low, cpu.memory.ld4((linear + 4) | 0));
  }),
  fbld: loadForm((cpu, f, linear) => {
    const memory = cpu.memory;
    memory.requireAlignment(linear, 8);
    const word0 = memory.ld4(linear);
    const word1 = memory.ld4((linear + 4) | 0);
    fromBcd(f, word0, word1, memory.ld2((linear + 8) | 0));
  }),
  fstSingle: storeForm(toSingle, store4),
  fstDouble,
  fstExtended: storeForm(setResult, store10, true),
  fistWord: storeForm(integerOf(16), store2),
  fistDword: storeForm(integerOf(32), store4),
  fistQword: storeForm(integerOf(64), store8, true),
  fisttWord: storeForm(truncatedOf(16), store2),
  fisttDword: storeForm(truncatedOf(32), store4),
  fisttQword: storeForm(truncatedOf(64), store8, true),
  fbstp: storeForm(toBcd, store10, true),
  fld,
  fst,
  fstpnce,
  fxch,
  fcmov,
  fldConstant,
};
