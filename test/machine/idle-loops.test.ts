/**
 * Guests that wait in loops without HLT sleep (src/machine/idle-loops.ts), and find what they waited for. What is no such loop is not taken for one.
 * Small Multiboot kernels: a table of segments, two interrupts (timer at vector 20h, keyboard at 21h), INT 80h.
 */
import { describe, expect, it } from "vitest";
import { createMachine, type Machine, type MachineOptions } from "../../src/index.ts";
import { entry, kernel } from "../api/kernels.ts";
import { assemble } from "../support/assembler.ts";

const ticks = 0x9000;
const flag = 0x9004;

/** Hz of the timer: 1193182 / 11932 = 100. */
const prologue = (masked: number) => `
  mov esp, 0x8000
  lgdt gdtr
  push 8
  push offset begin
  retf
begin:
  mov eax, 16
  mov ds, eax
  mov es, eax
  mov ss, eax
  xor eax, eax
  mov edi, 0x9000
  mov ecx, 64
  rep stosd
  mov edi, 0x4000
  mov ecx, 512
  rep stosd
  mov ebx, 0x4000
  mov eax, offset timer
  mov edx, 0x20
  call gate
  mov eax, offset key
  mov edx, 0x21
  call gate
  mov eax, offset service
  mov edx, 0x80
  call gate
  lidt idtr
  mov al, 0x11
  out 0x20, al
  mov al, 0x20
  out 0x21, al
  mov al, 4
  out 0x21, al
  mov al, 1
  out 0x21, al
  mov al, ${masked}
  out 0x21, al
  mov al, 0x34
  out 0x43, al
  mov al, 0x9c
  out 0x40, al
  mov al, 0x2e
  out 0x40, al
  xor eax, eax
  xor ecx, ecx
  xor edx, edx
  jmp main
gate:
  mov word ptr [ebx + edx * 8], ax
  mov word ptr [ebx + edx * 8 + 2], 8
  mov word ptr [ebx + edx * 8 + 4], 0x8e00
  shr eax, 16
  mov word ptr [ebx + edx * 8 + 6], ax
  ret
timer:
  push eax
  inc dword ptr [${ticks}]
  mov al, 0x20
  out 0x20, al
  pop eax
  iret
key:
  push eax
  in al, 0x60
  mov dword ptr [${flag}], 1
  mov al, 0x20
  out 0x20, al
  pop eax
  iret
service:
  push ebx
  mov ebx, [${ticks}]
  mov eax, ebx
  pop ebx
  iret
end:
  mov al, 7
  out 0xf4, al
  cli
  hlt
  .balign 8
gdt:
  .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:
  .word 23
  .long gdt
idtr:
  .word 0x7ff
  .long 0x4000
main:
`;
const bothInterrupts = 0xfc;
const keyboardOnly = 0xfd;
const none = 0xff;

function build(body: string, { masked = bothInterrupts, ...options }: Partial<MachineOptions> & { masked?: number } = {}): Machine {
  const { bytes } = assemble(prologue(masked) + body, entry);
  return createMachine({ kernel: kernel([...bytes]), memory: 8 << 20, ...options });
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits, for a while, until the guest has slept. How soon that is depends on what else the host does. */
async function untilIdle(machine: Machine, seconds = 0, loops = 1): Promise<void> {
  for (let k = 0; k < 1000; k++) {
    const { idleLoops, idleSeconds } = machine.stats();
    if (idleLoops >= loops && idleSeconds > seconds) return;
    await pause(20);
  }
  throw new Error(`the guest was not found waiting: ${JSON.stringify(machine.stats())}`);
}

/** Timer interrupts that the guest has counted. */
const ticked = (machine: Machine): number => new Uint32Array(machine.memory.readPhysical(ticks, 4).slice().buffer)[0]!;

/** Times that a guest which never ends was found waiting. */
async function found(machine: Machine): Promise<number> {
  expect((await machine.run({ timeout: 0.4 })).reason).toBe("timeout");
  const { idleLoops } = machine.stats();
  machine.destroy();
  return idleLoops;
}

const waiting = {
  "a jump to itself, interrupts off": "cli\nstop: jmp stop",
  "a jump to itself, interrupts off, one of them waiting": "cli\nmov ecx, 10000000\nlater: loop later\nstop: jmp stop",
  "a jump to itself": "sti\nstop: jmp stop",
  "a word that a handler changes": `sti\nagain: cmp dword ptr [${ticks}], -1\njne again`,
  "the same with PAUSE": `sti\nagain: pause\nmov eax, [${ticks}]\ntest eax, eax\njns again`,
  "a call of the system": "sti\nagain: int 0x80\ncmp eax, -1\njne again",
  "interrupts let in now and then": `again: cli\ncmp dword ptr [${ticks}], -1\nje end\nsti\nnop\ncli\njmp again`,
  "memory that changes and changes back": "sti\nagain: xor dword ptr [0x9008], 1\njmp again",
  "a hundred rounds of a loop in a loop": "sti\nagain: mov ecx, 100\ninner: loop inner\njmp again",
} as const;

describe.each(["translate", "interpret"] as const)("--engine %s", (engine) => {
  it.each(Object.keys(waiting) as (keyof typeof waiting)[])("sleeps: %s", async (name) => {
    const machine = build(waiting[name], { engine });
    const run = machine.run({ timeout: 60 });
    await untilIdle(machine, 0.3);
    machine.pause();
    expect((await run).reason).toBe("paused");
    // The timer's interrupt comes a hundred times a second, where it may.
    if (name.includes("interrupts off")) expect(ticked(machine)).toBe(0);
    else expect(ticked(machine)).toBeGreaterThan(20);
    machine.destroy();
  });

  it("wakes at each interrupt, loses none", async () => {
    const machine = build(`sti\nagain: cmp dword ptr [${ticks}], 100\njb again\ncmp dword ptr [${ticks}], 100\njmp end`, { engine });
    const before = performance.now();
    expect(await machine.run({ timeout: 30 })).toMatchObject({ reason: "debug-exit", value: 7 });
    const { idleLoops, guestSeconds } = machine.stats();
    expect(ticked(machine)).toBe(100);
    expect(guestSeconds).toBeGreaterThan(0.99);
    expect(performance.now() - before).toBeGreaterThan(990);
    expect(idleLoops).toBeGreaterThan(0);
    machine.destroy();
  });

  it("wakes for a key", async () => {
    const machine = build(`sti\nagain: pause\ncmp dword ptr [${flag}], 0\nje again\njmp end`, { engine, masked: keyboardOnly });
    const run = machine.run({ timeout: 30 });
    await untilIdle(machine);
    await machine.keyboard.press("KeyA");
    expect((await run).reason).toBe("debug-exit");
    machine.destroy();
  });

  it("wakes for memory written from outside, and registers", async () => {
    const machine = build(`cli\nagain: cmp dword ptr [${flag}], 0\nje again\nstop: jmp stop`, { engine, masked: none });
    const run = machine.run({ timeout: 30 });
    await untilIdle(machine);
    const eip = machine.registers.read("eip");
    machine.memory.writePhysical(flag, Uint8Array.of(1));
    await untilIdle(machine, 0, 2);
    expect(machine.registers.read("eip")).toBeGreaterThan(eip);
    machine.pause();
    expect((await run).reason).toBe("paused");
    const end = assemble(prologue(none), entry).labels["end"]!;
    machine.registers.write("eip", end);
    expect((await machine.run({ timeout: 30 })).reason).toBe("debug-exit");
    machine.destroy();
  });

  it("can be paused, saved and taken up again", async () => {
    const machine = build(`sti\nagain: cmp dword ptr [${flag}], 0\nje again\njmp end`, { engine });
    const run = machine.run({ timeout: 30 });
    await untilIdle(machine);
    machine.pause();
    expect((await run).reason).toBe("paused");
    const other = build("ud2", { engine });
    other.restore(machine.save());
    machine.step(1000);
    for (const each of [other, machine]) {
      const again = each.run({ timeout: 30 });
      await untilIdle(each);
      await each.keyboard.press("KeyB");
      expect((await again).reason).toBe("debug-exit");
      each.destroy();
    }
  });
});

const working = {
  "counts in a register": "again: inc eax\njmp again",
  "counts in memory": "again: inc dword ptr [0x9008]\nmov eax, 1\njmp again",
  "counts in memory, and registers come back": "again: add dword ptr [0x9008], 2\npush eax\npop eax\ntest eax, eax\njmp again",
  "polls a port": "again: in al, 0x64\ntest al, 1\nxor eax, eax\njmp again",
  "polls a port by INS": "again: mov edi, 0x9010\nmov dx, 0x64\ninsb\njmp again",
  "writes to a port": "again: xor eax, eax\nout 0x80, al\njmp again",
  "reads the local APIC": "again: mov eax, [0xfee00390]\nxor eax, eax\njmp again",
  "reads the time-stamp counter": "again: rdtsc\nxor eax, eax\nxor edx, edx\njmp again",
  "asks CPUID": "again: xor eax, eax\nxor ecx, ecx\ncpuid\njmp again",
  "waits in too long a loop": "again: mov ecx, 100000\ninner: loop inner\njmp again",
} as const;

describe("is not taken for waiting: a guest that", () => {
  it.each(Object.keys(working) as (keyof typeof working)[])("%s", async (name) => {
    expect(await found(build(working[name], { masked: none }))).toBe(0);
  });

  it("waits, but virtual time is counted in its instructions", async () => {
    expect(await found(build("sti\nstop: jmp stop", { clock: "virtual" }))).toBe(0);
  });

  it("waits, and is told not to sleep", async () => {
    expect(await found(build("sti\nstop: jmp stop", { disable: ["idle"] }))).toBe(0);
  });

  it("waits, and is run for a number of instructions", async () => {
    const machine = build("sti\nstop: jmp stop");
    expect((await machine.run({ instructions: 3e8, timeout: 60 })).reason).toBe("timeout");
    expect(machine.stats().instructions).toBeGreaterThan(3e8 - 1);
    expect(machine.stats().idleLoops).toBe(0);
    machine.destroy();
  });
});
