/** FXSAVE and FXRSTOR: the 512-byte image of x87, MMX and SSE state (SDM vol. 1, 10.5). */
import { slot as slotImported, vector } from "../../../translator/contract/slots.ts";
import { loadControl } from "./control.ts";
import { beginNoWait, physical, updateSummary, type X87Host } from "./host.ts";
import { loadStatusWord, spillAll, statusWord, writeIntegers } from "./registers.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;

/** Bits of MXCSR that may be set, as the image's MXCSR_MASK reports them: DAZ included. */
const mxcsrMask = 0xffff;
const registersAt = 32;
const xmmAt = 160;
/** Bytes from 288 on are reserved and stay as they are. */
const written = 288;

function checkAlignment(cpu: X87Host, linear: number): void {
  if ((linear & 15) !== 0) cpu.raise(vector.gp, 0);
}

function fxsave(cpu: X87Host, linear: number): void {
  beginNoWait(cpu);
  checkAlignment(cpu, linear);
  const { R, memory } = cpu;
  memory.probeWrite(linear, written);
  spillAll(cpu);
  const image = new Int32Array(written / 4);
  image[0] = R[slot.fpuControl] | (statusWord(cpu) << 16);
  image[1] = (~R[slot.fpuEmpty] & 0xff) | (R[slot.fpuOpcode] << 16);
  image[2] = R[slot.fpuIp];
  image[3] = R[slot.fpuCs] & 0xffff;
  image[4] = R[slot.fpuDp];
  image[5] = R[slot.fpuDs] & 0xffff;
  image[6] = R[slot.mxcsr];
  image[7] = mxcsrMask;
  for (let i = 0; i < 8; i++) {
    const register = physical(R, i);
    const at = registersAt / 4 + 4 * i;
    image[at] = R[slot.fpuMantissaLow + register];
    image[at + 1] = R[slot.fpuMantissaHigh + register];
    image[at + 2] = R[slot.fpuSignExponent + register] & 0xffff;
  }
  for (let i = 0; i < 32; i++) image[xmmAt / 4 + i] = R[slot.xmm + i];
  const place = memory.wordsAt(linear, written, true);
  if (place >= 0) memory.physical.i32.set(image, place);
  else for (let i = 0; i < image.length; i++) memory.st4((linear + 4 * i) | 0, image[i]);
}

function fxrstor(cpu: X87Host, linear: number): void {
  beginNoWait(cpu);
  checkAlignment(cpu, linear);
  const { R, memory } = cpu;
  const image = new Int32Array(written / 4);
  const place = memory.wordsAt(linear, written, false);
  if (place >= 0) image.set(memory.physical.i32.subarray(place, place + image.length));
  else for (let i = 0; i < image.length; i++) image[i] = memory.ld4((linear + 4 * i) | 0);
  if ((image[6] & ~mxcsrMask) !== 0) cpu.raise(vector.gp, 0);
  loadControl(R, image[0]);
  loadStatusWord(cpu, (image[0] >>> 16) & 0x7f7f);
  R[slot.fpuEmpty] = ~image[1] & 0xff;
  R[slot.fpuOpcode] = (image[1] >>> 16) & 0x7ff;
  R[slot.fpuIp] = image[2];
  R[slot.fpuCs] = image[3] & 0xffff;
  R[slot.fpuDp] = image[4];
  R[slot.fpuDs] = image[5] & 0xffff;
  R[slot.mxcsr] = image[6];
  for (let i = 0; i < 8; i++) {
    const register = physical(R, i);
    const at = registersAt / 4 + 4 * i;
    writeIntegers(cpu, register, image[at], image[at + 1], image[at + 2] & 0xffff);
  }
  for (let i = 0; i < 32; i++) R[slot.xmm + i] = image[xmmAt / 4 + i];
  updateSummary(cpu);
}

export const fxsaveImplementations = { fxsave, fxrstor };
