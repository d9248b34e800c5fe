/** Puts a CPU into the state a boot loader asks for. */

import type { Cpu } from "../../runtime/cpu/cpu.ts";
import { setEflags } from "../../runtime/cpu/flags.ts";
import { updateMode } from "../../runtime/cpu/mode.ts";
import { type SlotName, segment, slot } from "../../translator/contract/slots.ts";
import type { InitialCpuState } from "../boot/plan.ts";

const registers = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "cr0"] as const satisfies readonly (SlotName &
  keyof InitialCpuState)[];

export function applyCpuState(cpu: Cpu, state: InitialCpuState): void {
  const { R } = cpu;
  for (const name of registers) R[slot[name]] = state[name];
  for (const [name, descriptor] of Object.entries(state.segments)) {
    const s = segment[name as keyof typeof segment];
    R[slot.selector + s] = descriptor.selector;
    R[slot.segmentBase + s] = descriptor.base;
    R[slot.segmentLimit + s] = descriptor.limit;
    R[slot.segmentAccess + s] = descriptor.access;
  }
  R[slot.gdtBase] = state.gdt.base;
  R[slot.gdtLimit] = state.gdt.limit;
  R[slot.idtBase] = state.idt.base;
  R[slot.idtLimit] = state.idt.limit;
  R[slot.cpl] = 0;
  setEflags(R, state.eflags);
  cpu.memory.flush(true);
  updateMode(cpu);
}
