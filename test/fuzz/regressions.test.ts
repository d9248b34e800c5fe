/** What fuzzing found, reduced. Each once threw in the host, hung it, grew without bound, or made a run depend on the one before it. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { planBoot } from "../../src/boot/detect.ts";
import { pcMemoryMap } from "../../src/boot/memory-map.ts";
import { cr0bit, eflag, segment, slot } from "../../translator/contract/slots.ts";
import { elf32, multibootHeader } from "../boot/images.ts";
import { Core, place, selector } from "../support/core.ts";
import { memorySize } from "./layout.ts";
import { Rig } from "./rig.ts";

const tiers = [{ hot: false }, { hot: true }] as const;

function load(core: Core, ...bytes: number[]): Core {
  core.physical.writeBytes(place.code, Uint8Array.from(bytes));
  return core;
}

describe.each(tiers)("hot: $hot", ({ hot }) => {
  test("a block that runs past the limit of CS executes up to it", () => {
    const core = new Core({ hot }).realMode();
    core.physical.writeBytes(place.code + 0x7fe, Uint8Array.from([0x40, 0x40, 0xb8, 0x34, 0x12])); // inc ax; inc ax; mov ax, 1234h
    core.R[slot.eip] = 0x7fe;
    core.R[slot.segmentLimit + segment.cs] = 0x801;
    expect(core.run()).toMatchObject({ kind: "exception", vector: 13, eip: 0x800 });
    expect(core.reg("eax")).toBe(2);
  });

  test("LOOP in 16-bit code", () => {
    const core = load(new Core({ hot }).realMode(), 0xb9, 0x03, 0x00, 0x40, 0xe2, 0xfd, 0xf4); // mov cx, 3; inc ax; loop -3; hlt
    expect(core.run()).toMatchObject({ kind: "halted", eip: 7 });
    expect([core.reg("eax"), core.reg("ecx")]).toEqual([3, 0]);
  });

  test("#AC handled in ring 3 on a misaligned stack raises #AC for good: a shutdown, not a hang", () => {
    const core = load(new Core({ hot }).protectedMode(3), 0xa1, 0x01, 0x00, 0x02, 0x00); // mov eax, [20001h]
    core.physical.write4(place.idt + 8 * 17, (selector.code3 << 16) | place.handlers);
    core.R[slot.cr0] |= cr0bit.am;
    core.R[slot.esp] = place.stack - 1;
    core.eflags |= eflag.ac;
    expect(core.run()).toMatchObject({ kind: "shutdown" });
  });

  test("a page-fault handler that is not present takes time, and `run` returns", () => {
    const core = load(new Core({ hot }).protectedMode(0), 0xa1, 0x00, 0x00, 0xf0, 0xff); // mov eax, [fff00000h]
    core.handler(14, 0xffe00000 | 0);
    expect(core.run(2000)).toMatchObject({ kind: "limit" });
    expect(core.dispatcher.faults).toBeGreaterThan(1000);
  });

  test("an interrupt that comes again whenever it was taken lets `run` return", () => {
    const core = load(new Core({ hot }).protectedMode(0), 0xeb, 0xfe);
    // A trap gate: IF stays set.
    core.physical.write4(place.idt + 8 * 0x20 + 4, 0x8f00);
    core.poll = () => {
      core.interrupts.pending = true;
    };
    expect(core.run(2000)).toMatchObject({ kind: "limit" });
    expect(core.interrupts.acknowledged).toBeGreaterThan(1000);
  });

  test("single-stepped far jumps do not nest on the host's stack", () => {
    const core = load(new Core({ hot }).protectedMode(0), 0xea, 0x00, 0x00, 0x01, 0x00, selector.code0, 0x00); // jmp 8:10000h
    core.R[slot.dr0] = place.data;
    core.R[slot.dr7] = 0x401;
    core.eflags = 0x202;
    expect(core.run(50_000)).toMatchObject({ kind: "limit", eip: place.code });
    expect(core.dispatcher.retired).toBe(50_000);
  });

  test("an instruction that goes on in a page above 4 GiB, and code up there", () => {
    const core = new Core({ hot }).protectedMode(0);
    const { physical, R } = core;
    const tables = { pointers: 0xb000, directory: 0xc000, table: 0xd000 };
    physical.write4(tables.pointers, tables.directory | 1);
    physical.write4(tables.directory, tables.table | 7);
    for (let page = 0; page < 256; page++) physical.write4(tables.table + 8 * page, (page << 12) | 7);
    physical.write4(tables.table + 8 * 0x11 + 4, 1);
    physical.write4(tables.table + 8 * 0x12, place.code | 7);
    physical.write4(tables.table + 8 * 0x12 + 4, 1);
    load(core, 0x40, 0xf4);
    physical.writeBytes(0x10ffe, Uint8Array.from([0x05, 0xff])); // add eax, imm32: three bytes of it are open bus
    R[slot.cr3] = tables.pointers;
    R[slot.cr4] |= 0x20;
    expect(core.cpu.walker.loadPdptrs(tables.pointers)).toBe(true);
    core.flush();
    for (const stepped of [false, true]) {
      R[slot.dr7] = stepped ? 0x401 : 0x400;
      R[slot.eax] = 1;
      R[slot.eip] = 0x10ffe;
      R[slot.halted] = 0;
      core.eflags = 2;
      expect(core.run(1000)).toMatchObject({ kind: "exception", vector: 6, eip: 0x11003 });
      expect(core.reg("eax")).toBe(0);
    }
    // The same 32 bits of physical address as the code at 10000h, which must not run.
    R[slot.halted] = 0;
    R[slot.eip] = place.code;
    expect(core.run(1000)).toMatchObject({ kind: "halted" });
    R[slot.halted] = 0;
    R[slot.eip] = 0x12000;
    expect(core.run(1000)).toMatchObject({ kind: "exception", vector: 6, eip: 0x12000 });
  });
});

test("code on open bus is not kept", () => {
  const core = new Core({ memory: 1 << 20 }).protectedMode(0, false);
  core.handler(6, place.code);
  // add dword [esp], 2000h; iret: on to the next page
  load(core, 0x81, 0x04, 0x24, 0x00, 0x20, 0x00, 0x00, 0xcf);
  core.R[slot.eip] = 0x00800000;
  core.run(5000);
  expect(core.dispatcher.faults).toBeGreaterThan(1000);
  expect([...core.dispatcher.cache.live()].length).toBeLessThan(8);
});

test("shapes are forgotten before there are too many to number", () => {
  const core = new Core().protectedMode(0);
  const { R } = core;
  const code: number[][] = [];
  for (const repeat of [[], [0xf2], [0xf3]]) {
    for (const override of [[], [0x26], [0x2e], [0x36], [0x3e], [0x64], [0x65]]) {
      for (const operand of [[], [0x66]]) {
        for (let group = 0; group < 8; group++) {
          for (const form of [0, 1, 2, 3]) {
            const prefixes = [...repeat, ...override, ...operand];
            const opcode = 8 * group + form;
            // Nothing is written through CS.
            if (override[0] === 0x2e && form < 2 && group !== 7) continue;
            code.push(
              [...prefixes, opcode, 0x03],
              [...prefixes, opcode, 0x04, 0x33],
              [...prefixes, opcode, 0x05, 0, 8, 0, 0],
              [...prefixes, opcode, 0xc0],
            );
            code.push([...prefixes, 0x67, opcode, 0x07], [...prefixes, 0x67, opcode, 0x00], [...prefixes, 0x67, opcode, 0x06, 0, 8]);
          }
        }
      }
    }
  }
  expect(code.length).toBeGreaterThan(8192);
  let most = 0;
  for (let at = 0; at < code.length; at += 40) {
    load(core, ...code.slice(at, at + 40).flat(), 0x90, 0xf4);
    R[slot.ebx] = 0x800;
    R[slot.esi] = 0x10;
    R[slot.eip] = place.code;
    R[slot.halted] = 0;
    expect(core.run()).toMatchObject({ kind: "halted" });
    most = Math.max(most, core.translator.shapeCount);
  }
  expect(most).toBeGreaterThan(8000);
  expect(most).toBeLessThan(12_500);
  expect(core.translator.shapeCount).toBeLessThan(most);
});

test("what is kept of a region is in proportion to its text", () => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  const used = (): number => {
    gc();
    return process.memoryUsage().heapUsed;
  };
  const core = new Core({ hot: true }).protectedMode(0);
  // Loops of two dozen instructions, one behind the other: mov ecx, 4; 8 x { mov eax, [ebx]; add eax, edx; mov [ebx+4], eax }; dec ecx; jnz
  const body = Array.from({ length: 8 }, () => [0x8b, 0x03, 0x01, 0xd0, 0x89, 0x43, 0x04]).flat();
  const loop = [0xb9, 4, 0, 0, 0, ...body, 0x49, 0x75, -(body.length + 3) & 0xff];
  load(core, ...Array.from({ length: 150 }, () => loop).flat(), 0xf4);
  core.R[slot.ebx] = place.data;
  const before = used();
  expect(core.run()).toMatchObject({ kind: "halted" });
  const live = [...core.dispatcher.regions.live.values()];
  const characters = live.reduce((sum, { code }) => sum + code.text.length, 0);
  expect(live.length).toBeGreaterThan(100);
  expect((used() - before) / characters).toBeLessThan(6);
});

describe("power-on is the same each time", () => {
  test("lines and counters of the board", () => {
    const fresh = new Rig("interpret", memorySize);
    fresh.board.reset();
    const used = new Rig("interpret", memorySize);
    const { ports, setFerr } = used.board.cpuBoard;
    setFerr(true);
    for (const [port, value] of [
      [0x43, 0x34],
      [0x40, 0x12],
      [0x40, 0],
      [0x43, 0xb0],
      [0x42, 7],
      [0x42, 0],
      [0x61, 1],
      [0x43, 0xe2],
    ] as const)
      ports.write(port, 1, value);
    used.board.reset();
    const states = (rig: Rig) => rig.board.devices.map((device) => JSON.stringify([device.name, device.save()]));
    expect(states(used)).toEqual(states(fresh));
  });

  test("the CPU's time stamp; and the count of instructions goes on", () => {
    const core = load(new Core().protectedMode(0), 0x31, 0xc0, 0xba, 0, 0x10, 0, 0, 0xb9, 0x10, 0, 0, 0, 0x0f, 0x30, 0xf4); // wrmsr 10h; hlt
    expect(core.run()).toMatchObject({ kind: "halted" });
    const { retired } = core.dispatcher;
    load(core.protectedMode(0), 0x0f, 0x31, 0xf4); // rdtsc; hlt
    expect(core.dispatcher.retired).toBe(retired);
    expect(core.run()).toMatchObject({ kind: "halted" });
    expect([core.reg("edx"), core.reg("eax")]).toEqual([0, 0]);
  });
});

test("a segment that ends beyond 4 GiB is reported with its end", () => {
  const header = multibootHeader(3);
  const kernel = { name: "k", bytes: elf32(0x100000, [{ virtual: 0x100000, physical: 0x100000, bytes: header, memorySize: 0xffffffff }]) };
  const plan = () => planBoot({ kernel, append: "", modules: [], memorySize, memoryMap: pcMemoryMap(memorySize) });
  expect(plan).toThrow(/0x100000-0x1000ffffe /);
});
