/** Registers by name, for people and programs outside the machine. All values are unsigned 32-bit numbers. */

import type { Cpu } from "../../runtime/cpu/cpu.ts";
import { getEflags, setEflags } from "../../runtime/cpu/flags.ts";
import { updateMode } from "../../runtime/cpu/mode.ts";
import { cr0bit, eflag, type SlotName, segment, slot } from "../../translator/contract/slots.ts";
import { MachineError } from "./options.ts";

const general = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip"] as const;
const segments = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"] as const;
const control = ["cr0", "cr2", "cr3", "cr4", "dr0", "dr1", "dr2", "dr3", "dr6", "dr7", "mxcsr", "efer"] as const;
/** These have effects beyond their bits (paging, breakpoints): changing them is the guest's business. */
const writable: ReadonlySet<string> = new Set([...general, "eflags", "cr2", "mxcsr"]);

export type RegisterName = (typeof general)[number] | (typeof segments)[number] | (typeof control)[number] | "eflags";
export const registerNames: readonly RegisterName[] = [...general, "eflags", ...segments, ...control];

/** A segment register with its hidden part. */
export interface SegmentInfo {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly access: number;
}

export class Registers {
  readonly #cpu: Cpu;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
  }

  /** For a segment register: its selector. Errors: `MachineError` for an unknown name. */
  read(name: RegisterName): number {
    const { R } = this.#cpu;
    if (name === "eflags") return getEflags(R) >>> 0;
    if ((segments as readonly string[]).includes(name)) return R[slot.selector + segment[name as keyof typeof segment]] & 0xffff;
    if (!registerNames.includes(name)) throw new MachineError(`no register "${String(name)}"; there are ${registerNames.join(" ")}`);
    return R[slot[name as SlotName]] >>> 0;
  }

  /** Errors: `MachineError` for a register that only the guest can change. */
  write(name: RegisterName, value: number): void {
    const { R } = this.#cpu;
    if (!writable.has(name)) throw new MachineError(`register ${name} cannot be written from outside; these can: ${[...writable].join(" ")}`);
    if (name !== "eflags") {
      R[slot[name as SlotName]] = value;
      return;
    }
    // VM decides what segment registers mean, so it stays.
    setEflags(R, (value & ~eflag.vm) | (R[slot.eflags] & eflag.vm));
    updateMode(this.#cpu);
  }

  segment(name: (typeof segments)[number]): SegmentInfo {
    const { R } = this.#cpu;
    const s = segment[name];
    return {
      selector: R[slot.selector + s] & 0xffff,
      base: R[slot.segmentBase + s] >>> 0,
      limit: R[slot.segmentLimit + s] >>> 0,
      access: R[slot.segmentAccess + s] >>> 0,
    };
  }

  /** Current privilege level. */
  get cpl(): number {
    return this.#cpu.R[slot.cpl];
  }

  all(): Record<RegisterName, number> {
    return Object.fromEntries(registerNames.map((name) => [name, this.read(name)])) as Record<RegisterName, number>;
  }

  /** The whole CPU state as text: what a person needs to see why a guest died. */
  describe(): string {
    const { R } = this.#cpu;
    const hex = (value: number, digits = 8): string => (value >>> 0).toString(16).padStart(digits, "0");
    const words = (names: readonly RegisterName[]): string => names.map((name) => `${name.toUpperCase()}=${hex(this.read(name))}`).join(" ");
    const flags = getEflags(R);
    const flagLetters = (["of", "df", "if", "tf", "sf", "zf", "af", "pf", "cf"] as const)
      .map((f) => (flags & eflag[f] ? f.toUpperCase() : "--"))
      .join(" ");
    const isProtected = (R[slot.cr0] & cr0bit.pe) !== 0;
    const mode = flags & eflag.vm ? "virtual-8086" : isProtected ? "protected" : "real";
    const paging = R[slot.cr0] & cr0bit.pg ? "paging on" : "paging off";
    const halted = R[slot.halted] ? ", halted" : "";
    const segmentLines = segments.map((name) => {
      const s = this.segment(name);
      return `${name.toUpperCase().padEnd(4)} ${hex(s.selector, 4)}  base ${hex(s.base)}  limit ${hex(s.limit)}  access ${hex(s.access)}`;
    });
    return [
      `${mode} mode, CPL ${this.cpl}, ${paging}${halted}`,
      words(["eax", "ebx", "ecx", "edx"]),
      words(["esi", "edi", "ebp", "esp"]),
      `EIP=${hex(this.read("eip"))} EFLAGS=${hex(flags)} [${flagLetters}] IOPL=${(flags >>> 12) & 3}`,
      ...segmentLines,
      `GDTR base ${hex(R[slot.gdtBase])} limit ${hex(R[slot.gdtLimit], 4)}   IDTR base ${hex(R[slot.idtBase])} limit ${hex(R[slot.idtLimit], 4)}`,
      words(["cr0", "cr2", "cr3", "cr4"]),
      words(["dr6", "dr7"]),
    ].join("\n");
  }
}
