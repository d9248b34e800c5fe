/**
 * A CPU with memory and a board of test doubles, and the tables a protected-mode system needs, at fixed places. Tests call the VMM's callouts on it
 * directly; what is expected of them is stated from the SDM.
 */
import { expect } from "vitest";
import { systemImplementations } from "../../runtime/callouts/system.ts";
import { Cpu, type CpuBoard } from "../../runtime/cpu/cpu.ts";
import { getEflags, setEflags } from "../../runtime/cpu/flags.ts";
import { updateMode } from "../../runtime/cpu/mode.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { segment, slot } from "../../translator/contract/slots.ts";

export { systemImplementations as callouts } from "../../runtime/callouts/system.ts";

export const place = {
  gdt: 0x1000,
  idt: 0x2000,
  tss: 0x3000,
  ldt: 0x3800,
  tss2: 0x4000,
  stack0: 0x9000,
  stack1: 0xa000,
  stack3: 0xb000,
  code: 0x10000,
};

/** Selectors of the standard GDT (RPL 0). */
export const sel = {
  null: 0,
  code0: 0x08,
  data0: 0x10,
  code3: 0x18,
  data3: 0x20,
  tss: 0x28,
  ldt: 0x30,
  conforming0: 0x38,
  code16: 0x40,
  data16: 0x48,
  readOnly0: 0x50,
  executeOnly0: 0x58,
  absentCode: 0x60,
  absentData: 0x68,
  code1: 0x70,
  data1: 0x78,
  expandDown0: 0x80,
  tss2: 0x88,
  tss16: 0x90,
  small3: 0x98,
  callGate: 0xa0,
  callGate16: 0xa8,
  taskGate: 0xb0,
  conforming3: 0xb8,
  absentTss: 0xc0,
  free: 0xc8,
} as const;
const gdtEntries = 0xf0 / 8;

export interface PortAccess {
  port: number;
  size: number;
  value?: number;
}

export class Machine {
  readonly physical = new PhysicalMemory(1 << 20);
  readonly accesses: PortAccess[] = [];
  portValue = 0;
  now = 0;
  readonly cpu: Cpu;

  constructor() {
    const board: CpuBoard = {
      physical: this.physical,
      ports: {
        read: (port, size) => {
          this.accesses.push({ port, size });
          return this.portValue;
        },
        write: (port, size, value) => void this.accesses.push({ port, size, value }),
      },
      clock: { now: () => this.now, counter: () => this.now, timer: () => ({ at() {}, cancel() {}, deadline: Infinity }) },
      interrupts: { pending: false, acknowledge: () => 0 },
      tscPerNanosecond: 1,
      setFerr() {},
    };
    this.cpu = new Cpu(board);
  }

  get R(): Int32Array {
    return this.cpu.R;
  }
  get flags(): number {
    return getEflags(this.R);
  }
  set flags(value: number) {
    setEflags(this.R, value);
    updateMode(this.cpu);
  }

  read4(address: number): number {
    return this.physical.read4(address) >>> 0;
  }
  read2(address: number): number {
    return this.physical.read2(address);
  }
  write4(address: number, value: number): void {
    this.physical.write4(address, value | 0);
  }
  write2(address: number, value: number): void {
    this.physical.write2(address, value);
  }
  /** `count` words of `size` bytes from the top of the stack up. */
  stack(count: number, size: 2 | 4 = 4): number[] {
    const base = this.R[slot.segmentBase + segment.ss];
    const sp = this.R[slot.segmentAccess + segment.ss] & (1 << 22) ? this.R[slot.esp] : this.R[slot.esp] & 0xffff;
    return Array.from({ length: count }, (_, i) => (size === 4 ? this.read4(base + sp + 4 * i) : this.read2(base + sp + 2 * i)));
  }
  /** Puts `values` on top of the stack (first one lowest). */
  pushAll(values: readonly number[], size: 2 | 4 = 4): void {
    this.R[slot.esp] -= values.length * size;
    const at = this.R[slot.segmentBase + segment.ss] + this.R[slot.esp];
    values.forEach((v, i) => {
      if (size === 4) this.write4(at + 4 * i, v);
      else this.write2(at + 2 * i, v);
    });
  }

  /** @param access bits 8-15 of the high word; flags: G and D/B as 0xc, 4, 8 or 0 */
  descriptor(selector: number, base: number, limit: number, access: number, flags = 0, table: number = place.gdt): void {
    const at = table + (selector & 0xfff8);
    this.write4(at, (limit & 0xffff) | (base << 16));
    this.write4(at + 4, ((base >>> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (flags << 20) | (base & 0xff000000));
  }
  /** Call, interrupt, trap or task gate; type with P and DPL as in byte 5. */
  gate(at: number, selector: number, offset: number, type: number, parameters = 0): void {
    this.write4(at, (offset & 0xffff) | (selector << 16));
    this.write4(at + 4, (offset & 0xffff0000) | (type << 8) | parameters);
  }
  idtGate(vector: number, selector: number, offset: number, type: number): void {
    this.gate(place.idt + 8 * vector, selector, offset, type);
  }
  accessByte(selector: number, table: number = place.gdt): number {
    return this.physical.read1(table + (selector & 0xfff8) + 5);
  }

  /** Flat protected mode at ring 0, with the standard tables; everything usual is present and unaccessed. */
  enterProtected(): this {
    const { R } = this;
    const d = (s: number, access: number, flags = 0xc, base = 0, limit = 0xfffff) => this.descriptor(s, base, limit, access, flags);
    d(sel.code0, 0x9a);
    d(sel.data0, 0x92);
    d(sel.code3, 0xfa);
    d(sel.data3, 0xf2);
    d(sel.tss, 0x89, 0, place.tss, 0x67);
    d(sel.ldt, 0x82, 0, place.ldt, 0x7f);
    d(sel.conforming0, 0x9e);
    d(sel.code16, 0x9a, 0, 0x10000, 0xffff);
    d(sel.data16, 0x92, 0, 0x20000, 0xffff);
    d(sel.readOnly0, 0x90);
    d(sel.executeOnly0, 0x98);
    d(sel.absentCode, 0x1a);
    d(sel.absentData, 0x12);
    d(sel.code1, 0xba);
    d(sel.data1, 0xb2);
    d(sel.expandDown0, 0x96, 4, 0, 0xfff);
    d(sel.tss2, 0x89, 0, place.tss2, 0x67);
    d(sel.tss16, 0x81, 0, place.tss2, 0x2b);
    d(sel.small3, 0xf2, 4, 0x30000, 0xff);
    d(sel.conforming3, 0xfe);
    d(sel.absentTss, 0x09, 0, place.tss2, 0x67);
    R[slot.gdtBase] = place.gdt;
    R[slot.gdtLimit] = gdtEntries * 8 - 1;
    R[slot.idtBase] = place.idt;
    R[slot.idtLimit] = 0x7ff;
    // Stacks of the inner rings.
    this.write4(place.tss + 4, place.stack0);
    this.write4(place.tss + 8, sel.data0);
    this.write4(place.tss + 12, place.stack1);
    this.write4(place.tss + 16, sel.data1 | 1);
    this.write2(place.tss + 102, 0x68);
    systemImplementations.writeControl(this.cpu, 0, 0x60000011);
    systemImplementations.farJump(this.cpu, sel.code0, place.code);
    for (const s of [segment.es, segment.ss, segment.ds, segment.fs, segment.gs]) systemImplementations.loadSegment(this.cpu, s, sel.data0);
    systemImplementations.loadTask(this.cpu, -1, sel.tss);
    R[slot.interruptShadow] = 0;
    R[slot.esp] = 0x8000;
    return this;
  }

  /** To ring `level` by IRET; 3 by default. */
  enterRing(level: 1 | 3, flags = 0x202): this {
    const code = level === 3 ? sel.code3 | 3 : sel.code1 | 1;
    const data = level === 3 ? sel.data3 | 3 : sel.data1 | 1;
    const { R } = this;
    R[slot.esp] = 0x8000;
    this.pushAll([place.code, code, flags, place.stack3, data]);
    systemImplementations.interruptReturn(this.cpu, 4);
    for (const s of [segment.es, segment.ds, segment.fs, segment.gs]) systemImplementations.loadSegment(this.cpu, s, data);
    return this;
  }

  /** To virtual-8086 mode at 1000:0100 with the stack at 2000:fff0. */
  enterVirtual8086(flags = 0x202): this {
    this.R[slot.esp] = 0x8000;
    this.pushAll([0x100, 0x1000, flags | 0x20000, 0xfff0, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000]);
    systemImplementations.interruptReturn(this.cpu, 4);
    return this;
  }

  /** Runs `act`, which must raise this guest exception and leave every register as it was. */
  expectFault(act: () => unknown, vector: number, errorCode: number): void {
    const before = this.R.slice();
    const { cpu } = this;
    let thrown: unknown;
    try {
      act();
    } catch (e) {
      thrown = e;
    }
    if (thrown !== undefined && thrown !== cpu.fault) throw thrown;
    expect(thrown, "a guest exception").toBe(cpu.fault);
    expect({ vector: cpu.fault.vector, errorCode: cpu.fault.errorCode }).toEqual({ vector, errorCode });
    const after = this.R.slice();
    // CR2 and DR6 describe the exception itself.
    for (const s of [slot.cr2, slot.dr6]) before[s] = after[s] = 0;
    expect(after).toEqual(before);
  }
}

export function selectorOf(m: Machine, s: number): number {
  return m.R[slot.selector + s];
}
