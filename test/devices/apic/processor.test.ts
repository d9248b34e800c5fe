/** What the processor does with its local APIC: NMI delivery, IA32_APIC_BASE and CPUID (SDM vol. 3, 6.7.1 and 11.4.3-4). */
import { describe, expect, test } from "vitest";
import { systemImplementations as callouts } from "../../../runtime/callouts/system.ts";
import { Cpu, type CpuBoard, type InterruptController } from "../../../runtime/cpu/cpu.ts";
import { Dispatcher } from "../../../runtime/execute/dispatcher.ts";
import { PhysicalMemory } from "../../../runtime/memory/physical.ts";
import { slot, vector } from "../../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../../translator/index.ts";
import { assemble } from "../../support/assembler.ts";
import { World } from "./world.ts";

const physical = () => new PhysicalMemory(1 << 20);

function board(interrupts: InterruptController, memory: PhysicalMemory, apic?: CpuBoard["apic"]): CpuBoard {
  return {
    ...{ physical: memory, interrupts, tscPerNanosecond: 1, setFerr() {} },
    ports: { read: () => 0xff, write() {} },
    clock: { now: () => 0, counter: () => 0, timer: () => ({ at() {}, cancel() {}, deadline: Number.POSITIVE_INFINITY }) },
    ...(apic === undefined ? {} : { apic }),
  };
}

/** A real-mode program at 1000h with handlers for NMI and vector 20h, stepped an instruction at a time. */
class Program {
  readonly pins = { pending: false, nmi: false, acknowledged: 0 };
  readonly memory = physical();
  readonly cpu: Cpu;
  readonly dispatcher: Dispatcher;
  readonly labels: Readonly<Record<string, number>>;

  constructor(source: string) {
    const { pins } = this;
    const controller: InterruptController = {
      get pending() {
        return pins.pending;
      },
      get nmi() {
        return pins.nmi;
      },
      acknowledge: () => {
        pins.pending = false;
        pins.acknowledged++;
        return 0x20;
      },
      acknowledgeNmi: () => {
        pins.nmi = false;
      },
    };
    this.cpu = new Cpu(board(controller, this.memory));
    this.dispatcher = new Dispatcher(this.cpu, new JavaScriptTranslator(), { poll() {}, codeWords: 1 << 18 });
    const program = assemble(source, 0x1000, 16);
    this.memory.writeBytes(0x1000, program.bytes);
    this.labels = program.labels;
    this.memory.write4(2 * 4, program.labels["onnmi"]);
    this.memory.write4(0x20 * 4, program.labels["onirq"]);
    const { R } = this.cpu;
    R[slot.selector + 1] = 0;
    R[slot.segmentBase + 1] = 0;
    R[slot.eip] = 0x1000;
    R[slot.esp] = 0x8000;
  }

  /** Delivers what is due and executes one instruction; where the program then is. */
  step(): number {
    this.dispatcher.runOneInstruction();
    return this.cpu.R[slot.eip];
  }
}

describe("NMI", () => {
  const source = "start: nop\nnop\nsti\nnop\nhlt\nnop\nonnmi: nop\nnop\niret\nonirq: iret";

  test("is taken with IF clear, blocks the next until IRET, and that one is taken right behind it", () => {
    const p = new Program(source);
    const { onnmi } = p.labels;
    p.step();
    p.pins.nmi = true;
    expect(p.step()).toBe(onnmi + 1);
    expect(p.pins.nmi).toBe(false);
    p.pins.nmi = true;
    p.pins.pending = true;
    expect(p.step()).toBe(onnmi + 2);
    expect([p.step(), p.pins.nmi]).toEqual([0x1001, true]);
    expect([p.step(), p.pins.nmi]).toEqual([onnmi + 1, false]);
    expect(p.pins.acknowledged).toBe(0);
  });

  test("goes before an external interrupt, wakes HLT, and waits for the instruction behind STI", () => {
    const p = new Program(source);
    const { onnmi } = p.labels;
    p.step();
    p.step();
    p.step();
    p.pins.nmi = true;
    p.pins.pending = true;
    expect([p.step(), p.pins.nmi]).toEqual([0x1004, true]);
    expect(p.step()).toBe(onnmi + 1);
    expect([p.step(), p.step()]).toEqual([onnmi + 2, 0x1004]);
    expect(p.step()).toBe(0x1004);
    expect(p.pins.acknowledged).toBe(1);
    expect(p.step()).toBe(0x1005);
    expect(p.cpu.R[slot.halted]).not.toBe(0);
    expect(p.dispatcher.run(100)).toBe("halted");
    p.pins.nmi = true;
    expect(p.step()).toBe(onnmi + 1);
  });

  test("INT 2 blocks nothing, and what blocks is saved and restored", () => {
    const p = new Program("int 2\nonnmi: nop\niret\nonirq: iret");
    p.step();
    expect(p.cpu.nmiBlocked).toBe(false);
    p.pins.nmi = true;
    expect(p.step()).toBe(p.labels["onnmi"] + 1);
    expect(p.cpu.nmiBlocked).toBe(true);
    const other = new Program("int 2\nonnmi: nop\niret\nonirq: iret");
    other.cpu.restore(structuredClone(p.cpu.save()));
    expect(other.cpu.nmiBlocked).toBe(true);
    other.cpu.reset();
    expect(other.cpu.nmiBlocked).toBe(false);
  });
});

describe("IA32_APIC_BASE and CPUID", () => {
  const make = () => {
    const { apic } = new World();
    const cpu = new Cpu(board(apic, physical(), apic));
    const msr = (write?: readonly [high: number, low: number]) => {
      cpu.R[slot.ecx] = 0x1b;
      if (write !== undefined) {
        [cpu.R[slot.edx], cpu.R[slot.eax]] = write;
        callouts.writeMsr(cpu);
      }
      callouts.readMsr(cpu);
      return [cpu.R[slot.edx] >>> 0, cpu.R[slot.eax] >>> 0];
    };
    const features = () => {
      cpu.R[slot.eax] = 1;
      callouts.cpuid(cpu);
      return [(cpu.R[slot.edx] >>> 9) & 1, cpu.R[slot.ebx] >>> 24];
    };
    return { cpu, msr, features };
  };

  test("enabled and disabled; reserved bits raise #GP(0)", () => {
    const { cpu, msr, features } = make();
    expect([msr(), features()]).toEqual([
      [0, 0xfee00900],
      [1, 0],
    ]);
    expect([msr([0, 0xfee00100 | 0]), features()]).toEqual([
      [0, 0xfee00100],
      [0, 0],
    ]);
    expect([msr([1, 0xfee01900 | 0]), features()]).toEqual([
      [1, 0xfee01900],
      [1, 0],
    ]);
    for (const value of [
      [0, 0xfee00c00 | 0],
      [0x10, 0x900],
      [0, 1],
    ] as const) {
      expect(() => msr(value)).toThrow();
      expect([cpu.fault.vector, cpu.fault.errorCode]).toEqual([vector.gp, 0]);
    }
  });

  test("a processor without one keeps the register and does not advertise it", () => {
    const cpu = new Cpu(board({ pending: false, acknowledge: () => 0 }, physical()));
    cpu.R[slot.eax] = 1;
    callouts.cpuid(cpu);
    expect((cpu.R[slot.edx] >>> 9) & 1).toBe(0);
    cpu.R[slot.ecx] = 0x1b;
    callouts.readMsr(cpu);
    expect(cpu.R[slot.eax] >>> 0).toBe(0xfee00100);
  });
});
