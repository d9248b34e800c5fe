/** The surroundings that each form runs in, and the one experiment: run, fault, look, repair, restart, compare. */
import { forgetPairs } from "../../runtime/callouts/x87/registers.ts";
import { slot } from "../../translator/contract/slots.ts";
import { type Core, differences, place, pte, type Stop, selector } from "../support/core.ts";
import { alValue, type InstructionForm, type MemoryUse, type PageName, pages, plainOffset } from "./forms.ts";

const whole = pte.present | pte.writable | pte.user;
/** Where jumps and returns through memory arrive: an INT3. */
const landing = place.code + 0x800;

/** INC ECX; ADD EDX, 3; the instruction; LEA ECX, [ECX + 1]; INT3: registers and flags are pending in a region when the fault comes. */
function image(instruction: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(0x900).fill(0xcc);
  bytes.set([0x41, 0x83, 0xc2, 0x03, ...instruction, 0x8d, 0x49, 0x01, 0xcc]);
  return bytes;
}
export const instructionAt = place.code + 4;

/** Bytes that the memory operands hold: what the instruction needs in order to succeed. */
function contents(name: string, ring: 0 | 3): readonly number[] {
  const dataSelector = ring === 3 ? selector.data3 : selector.data0;
  if (name === "ldmxcsr") return [0x80, 0x1f, 0, 0];
  if (/^(fxrstor)$/.test(name)) return [0];
  if (/^(ret|jmp\.ind|call\.ind)$/.test(name)) return [landing & 255, landing >> 8, landing >> 16, 0];
  if (/^(mov\.sreg|pop\.sreg)$/.test(name)) return [dataSelector, 0, 0, 0];
  if (/^(l[defgs]s|lss)$/.test(name)) return [dataSelector, 0];
  // ARPL writes when it has something to adjust: RPL 0 against 1.
  if (name === "arpl") return [0x20, 0];
  if (name === "popf") return [0x02, 0x02, 0, 0];
  return [0x7f, 0x03];
}

/** @param offsets where on its page each register points */
function prepare(core: Core, form: InstructionForm, ring: 0 | 3, offsets: Partial<Record<PageName, number>>): void {
  const { physical, R } = core;
  physical.u8.fill(0, 0, place.code);
  // Where 16-bit jumps and returns arrive.
  physical.u8[landing & 0xffff] = 0xcc;
  physical.u8.fill(0xcc, 8, 16);
  core.protectedMode(ring);
  const pattern = contents(form.name, ring);
  // Doubling copies: the pattern's length divides a power of two.
  physical.u8.set(pattern, place.data);
  for (let done = pattern.length; done < dataSize; done *= 2)
    physical.u8.copyWithin(place.data + done, place.data, place.data + Math.min(done, dataSize - done));
  for (const [name, page] of Object.entries(pages)) {
    const offset = offsets[name as PageName] ?? plainOffset;
    R[slot[name as PageName]] = page + offset;
    // What lies at the operand starts there.
    for (let k = 0; k < Math.min(pattern.length, 8); k++) physical.u8[page + offset + k] = pattern[k];
  }
  forgetPairs(core.cpu);
  R[slot.eax] = alValue;
  R[slot.ecx] = 2;
  R[slot.edx] = 0;
  for (let k = 0; k < 8; k++) {
    R[slot.fpuMantissaHigh + k] = -0x80000000 + k;
    R[slot.fpuSignExponent + k] = 0x3fff + k;
  }
  R[slot.fpuEmpty] = /^(fld|fild|fbld)/.test(form.name) && !form.name.startsWith("fldenv") ? 0xff : 0;
  if (/^(?!f(st|ld|nst))/.test(form.name) && R[slot.fpuEmpty] === 0xff) R[slot.fpuEmpty] = 0;
  R[slot.mxcsr] = 0x1f80;
  // Lanes with the sign bit set: MASKMOVDQU writes them all.
  for (let k = 0; k < 32; k++) R[slot.xmm + k] = -0x3f7f7f80 + k;
  for (let k = 0; k < 8; k++) R[slot.fpuMantissaLow + k] = -0x7f7f7f80;
  if (/^maskmovq$/.test(form.name)) for (let k = 0; k < 8; k++) R[slot.fpuMantissaHigh + k] = -0x7f7f7f80;
  core.eflags = 0x202;
}

/** RAM that instructions may write. */
const data = (core: Core): Uint8Array => core.physical.u8.slice(place.data, place.data + dataSize);
const dataSize = 0xb000;

function run(core: Core): { stop: Stop; state: Record<string, number>; memory: Uint8Array } {
  const reason = core.dispatcher.run(100);
  return { stop: core.stopFor(reason), state: core.state(), memory: data(core) };
}

/** Index of the first byte that differs, leaving out the page that exception frames are on; -1 for none. */
function firstChange(a: Uint8Array, b: Uint8Array, framePage: number): number {
  for (let k = 0; k < a.length; k += 0x1000) {
    if (k + place.data === framePage) continue;
    const page = a.subarray(k, k + 0x1000);
    if (Buffer.compare(page, b.subarray(k, k + 0x1000)) !== 0) return k + page.findIndex((byte, n) => byte !== b[k + n]);
  }
  return -1;
}

export interface Experiment {
  readonly use: MemoryUse;
  readonly what:
    | "absent"
    | "read-only"
    | "supervisor"
    | "second page absent"
    | "second page read-only"
    | "second page supervisor"
    | "first page absent, straddling";
}

export function experimentsOf(form: InstructionForm, ring: 0 | 3): Experiment[] {
  const out: Experiment[] = [];
  for (const use of form.uses) {
    // A stack fault in ring 0 has no stack to be delivered on: a double fault, which test/system has.
    if (ring === 0 && use.page === "esp") continue;
    out.push({ use, what: "absent" });
    if (use.writes) out.push({ use, what: "read-only" });
    if (ring === 3) out.push({ use, what: "supervisor" });
    if (use.size < 2 || use.isAbsolute) continue;
    out.push({ use, what: "second page absent" }, { use, what: "first page absent, straddling" });
    if (use.writes) out.push({ use, what: "second page read-only" });
    if (ring === 3) out.push({ use, what: "second page supervisor" });
  }
  return out;
}

/** Unfaulted runs of a form, by where its operands lie. */
export type References = Map<string, ReturnType<typeof run>>;

/** Runs one experiment. @returns what is wrong, or undefined */
export function perform(core: Core, form: InstructionForm, ring: 0 | 3, { use, what }: Experiment, references: References): string | undefined {
  const straddles = what.includes("page ");
  const split = use.size >= 4 ? use.size >> 1 : 1;
  const start = straddles ? 0x1000 - split : plainOffset + use.displacement;
  const offsets = straddles ? { [use.page]: start - use.displacement } : {};
  const address = pages[use.page] + start;

  // Unfaulted: the reference result.
  const key = straddles ? `${use.page} ${offsets[use.page]}` : "";
  let good = references.get(key);
  if (good === undefined) {
    prepare(core, form, ring, offsets);
    good = run(core);
    references.set(key, good);
  }
  if (good.stop.vector !== 3) {
    // Operands that must be aligned cannot straddle.
    return straddles && good.stop.vector === 13 ? undefined : `does not run: vector ${good.stop.vector}`;
  }

  prepare(core, form, ring, offsets);
  const faultPage = pages[use.page] + (what.startsWith("second") ? 0x1000 : 0);
  const bits = what.includes("absent") ? 0 : what.includes("read-only") ? whole & ~pte.writable : whole & ~pte.user;
  core.map(faultPage, faultPage, bits);
  core.flush();
  const memory = data(core);
  const before = core.state();
  before["ecx"] = 3;
  before["edx"] = 3;
  // ADD EDX, 3 with EDX = 0: PF; INC's flags are gone.
  before["eflags"] = 0x206;
  const faulted = run(core);
  const { stop } = faulted;
  const problems: string[] = [];
  // ARPL reads first, and writes only if it has something to adjust: so measured on hardware.
  const isWrite = use.writes && !(form.name === "arpl" && !what.includes("read-only"));
  const errorCode = (bits === 0 ? 0 : 1) | (isWrite ? 2 : 0) | (ring === 3 ? 4 : 0);
  if (stop.vector !== 14) return `no page fault but vector ${stop.vector}`;
  if (stop.errorCode !== errorCode) problems.push(`error code ${stop.errorCode} instead of ${errorCode}`);
  if (stop.eip !== instructionAt) problems.push(`EIP ${stop.eip.toString(16)}`);
  // The first access, in the instruction's own order, that touches the page.
  const offset = offsets[use.page] ?? plainOffset;
  const touched = form.uses
    .filter((u) => u.page === use.page)
    .map((u) => ({ from: pages[u.page] + offset + u.displacement, to: pages[u.page] + offset + u.displacement + u.size }))
    .find(({ from, to }) => from < faultPage + 0x1000 && to > faultPage);
  const expectedAddress = use.isAbsolute ? address : Math.max(touched?.from ?? 0, faultPage);
  // How far a large area was read before the page edge is the processor's own affair, not what page it is.
  const isExact = use.size <= 16;
  if (isExact ? stop.cr2 !== expectedAddress : (stop.cr2 & ~0xfff) !== (expectedAddress & ~0xfff)) problems.push(`CR2 ${stop.cr2.toString(16)}`);
  // The frame holds EIP, EFLAGS, and from ring 3 the stack pointer; the rest is in the registers.
  const seen = { ...faulted.state, eflags: stop.eflags & ~0x10000 };
  const difference = differences(before, seen, ["esp", "eip", "cr2", "cpl", "cs", "ss"]);
  if (difference !== "") problems.push(`state at the fault: ${difference}`);
  const frame = ring === 0 ? core.reg("esp") & ~0xfff : -1;
  const changed = firstChange(memory, faulted.memory, frame);
  if (changed >= 0) problems.push(`memory at ${(changed + place.data).toString(16)} changed before the fault`);

  // Repaired and restarted.
  core.resume();
  if (core.reg("esp") !== pages.esp + (use.page === "esp" && straddles ? start - use.displacement : plainOffset)) problems.push("ESP at the fault");
  core.map(faultPage, faultPage, whole);
  core.flush();
  const again = run(core);
  if (again.stop.vector !== 3) problems.push(`restarted: vector ${again.stop.vector}`);
  const end = differences(good.state, again.state, ["cr2"]);
  if (end !== "") problems.push(`restarted: ${end}`);
  const other = firstChange(good.memory, again.memory, frame);
  if (other >= 0) problems.push(`restarted: memory at ${(other + place.data).toString(16)}`);
  return problems.length === 0 ? undefined : problems.join("; ");
}

/** Puts the form's code in place; hot: as a region. */
export function install(core: Core, form: InstructionForm, ring: 0 | 3): void {
  core.dispatcher.forget();
  core.physical.u8.set(image(form.bytes), place.code);
  if (!core.hot) return;
  prepare(core, form, ring, {});
  core.dispatcher.run(100);
  core.promote();
}
