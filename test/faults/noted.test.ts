/**
 * Guest exceptions by the ways they leave an instruction: noted, where the WebAssembly tiers call the host, and thrown everywhere else. What the guest sees is the same
 * (SDM vol. 3, 4.7 for error codes, 6.15 for each vector, 6.5 for restarts): nothing is written when a later part of an access faults, CR2 is loaded by page faults alone, and what faulted
 * can be repaired and goes on.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import { segment, slot } from "../../translator/contract/slots.ts";
import { assemble, type Program } from "../support/assembler.ts";
import { Core, type CoreOptions, place, pte } from "../support/core.ts";

const all = pte.present | pte.writable | pte.user;
/** Nothing but code is here: stores elsewhere are not beside code. */
const page = 0x24000;
const next = page + 0x1000;
const cr2Before = 0x12345678;

const ways: readonly { name: string; options: CoreOptions; isThrown: boolean }[] = [
  { name: "tier 0, WebAssembly", options: {}, isThrown: false },
  { name: "regions, WebAssembly", options: { hot: true }, isThrown: false },
  { name: "tier 0, JavaScript", options: { disabled: new Set(["wasm"]) }, isThrown: true },
  { name: "regions, JavaScript", options: { hot: true, disabled: new Set(["wasm"]) }, isThrown: true },
  { name: "regions in JavaScript, called by WebAssembly", options: { hot: true, disabled: new Set(["wasmRegions"]) }, isThrown: true },
];

interface Case {
  readonly name: string;
  readonly instruction: string;
  readonly vector: number;
  readonly errorCode: number;
  readonly cr2?: number;
  readonly prepare?: (core: Core) => void;
  /** Makes the instruction possible; absent: it never is. */
  readonly repair?: (core: Core) => void;
  /** Of the bytes around the page boundary, once it is repaired. */
  readonly written?: readonly number[];
  /** Regions leave it to tier 0, which executes it alone. */
  readonly isGivenUp?: true;
}

const missing = (address: number, bits = 0) => ({
  prepare: (core: Core) => {
    core.map(address, address, bits);
    core.flush();
  },
  repair: (core: Core) => {
    core.map(address, address, all);
    core.flush();
  },
});
const alignmentChecked = {
  prepare: (core: Core) => {
    core.R[slot.cr0] |= 1 << 18;
    core.eflags = 0x40202;
  },
  repair: (core: Core) => {
    core.R[slot.cr0] &= ~(1 << 18);
  },
};
const bounded = (s: number) => ({
  prepare: (core: Core) => {
    core.R[slot.segmentBase + s] = page;
    core.R[slot.segmentLimit + s] = 0x7f;
    core.R[slot.segmentChecked + s] = 1;
  },
  repair: (core: Core) => {
    core.R[slot.segmentLimit + s] = 0x83;
  },
});
const filler = [0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7];
const edge = `[0x${(next - 2).toString(16)}]`;
const plain = `[0x${page.toString(16)}]`;
const value = "0x11223344";
const stored = [0xe0, 0xe1, 0x44, 0x33, 0x22, 0x11, 0xe6, 0xe7];

const cases: readonly Case[] = [
  { name: "a load", instruction: `mov ebx, ${plain}`, vector: 14, errorCode: 4, cr2: page, ...missing(page) },
  { name: "a byte loaded", instruction: `mov bl, ${plain}`, vector: 14, errorCode: 4, cr2: page, ...missing(page) },
  { name: "a supervisor's page", instruction: `mov bx, ${plain}`, vector: 14, errorCode: 5, cr2: page, ...missing(page, 3) },
  { name: "a store", instruction: `mov byte ptr ${plain}, 1`, vector: 14, errorCode: 6, cr2: page, ...missing(page) },
  { name: "a store to a read-only page", instruction: `mov word ptr ${plain}, 1`, vector: 14, errorCode: 7, cr2: page, ...missing(page, 5) },
  { name: "a read to be written", instruction: `add dword ptr ${plain}, 1`, vector: 14, errorCode: 7, cr2: page, ...missing(page, 5) },
  { name: "a straddling load, second page", instruction: `mov ebx, ${edge}`, vector: 14, errorCode: 4, cr2: next, ...missing(next) },
  {
    name: "a straddling store, second page",
    instruction: `mov dword ptr ${edge}, ${value}`,
    vector: 14,
    errorCode: 6,
    cr2: next,
    ...missing(next),
    written: stored,
  },
  {
    name: "a straddling store, second page read-only",
    instruction: `mov dword ptr ${edge}, ${value}`,
    vector: 14,
    errorCode: 7,
    cr2: next,
    ...missing(next, 5),
    written: stored,
  },
  {
    name: "a straddling store, first page",
    instruction: `mov dword ptr ${edge}, ${value}`,
    vector: 14,
    errorCode: 6,
    cr2: next - 2,
    ...missing(page),
    written: stored,
  },
  {
    name: "a straddling word",
    instruction: `mov word ptr [0x${(next - 1).toString(16)}], 0x1122`,
    vector: 14,
    errorCode: 6,
    cr2: next,
    ...missing(next),
    written: [0xe0, 0xe1, 0xe2, 0x22, 0x11, 0xe5, 0xe6, 0xe7],
  },
  {
    name: "a straddling read to be written",
    instruction: `xor dword ptr ${edge}, ${value}`,
    vector: 14,
    errorCode: 6,
    cr2: next,
    isGivenUp: true,
    ...missing(next),
    written: [0xe0, 0xe1, 0xe2 ^ 0x44, 0xe3 ^ 0x33, 0xe4 ^ 0x22, 0xe5 ^ 0x11, 0xe6, 0xe7],
  },
  { name: "a misaligned load", instruction: `mov ebx, [0x${(page + 1).toString(16)}]`, vector: 17, errorCode: 0, ...alignmentChecked },
  {
    name: "a misaligned store",
    instruction: `mov dword ptr [0x${(next - 2).toString(16)}], ${value}`,
    vector: 17,
    errorCode: 0,
    ...alignmentChecked,
    written: stored,
  },
  { name: "beyond a segment", instruction: "mov eax, fs:[0x80]", vector: 13, errorCode: 0, ...bounded(segment.fs) },
  { name: "a store beyond a segment", instruction: "mov dword ptr gs:[0x7e], eax", vector: 13, errorCode: 0, ...bounded(segment.gs) },
  { name: "DIV by zero", instruction: "div ebp", vector: 0, errorCode: -1 },
  { name: "DIV, quotient too large", instruction: "div esi", vector: 0, errorCode: -1 },
  { name: "IDIV by zero", instruction: "idiv ebp", vector: 0, errorCode: -1 },
  { name: "IDIV, quotient too large", instruction: "idiv esi", vector: 0, errorCode: -1 },
  { name: "DIV, 16 bits", instruction: "div si", vector: 0, errorCode: -1 },
  { name: "IDIV, 16 bits, by zero", instruction: "idiv bp", vector: 0, errorCode: -1 },
  { name: "DIV, 8 bits", instruction: "div cl", vector: 0, errorCode: -1 },
  { name: "IDIV, 8 bits", instruction: "idiv cl", vector: 0, errorCode: -1 },
];

/** The instruction, with flags and registers before it that a region holds back. */
const programOf = ({ instruction }: Case): Program => assemble(`inc edi\nadd edx, 3\nat:\n${instruction}\nlea edi, [edi + 1]\nint3`);

/** Everything but the code, which must stay what regions were made of. */
function prepare(core: Core): void {
  core.protectedMode(3);
  core.physical.u8.set(filler, next - 4);
  const { R } = core;
  Object.entries({ eax: 0x77665544, ebx: 0x01020304, ecx: 1, edx: 0x100, esi: 2, edi: 0, ebp: 0 }).forEach(([name, v]) => {
    R[slot[name as "eax"]] = v;
  });
  R[slot.cr2] = cr2Before;
}

const registers = (core: Core) => (["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp"] as const).map((name) => core.reg(name));

describe.each(ways)("$name", ({ options, isThrown }) => {
  afterEach(() => vi.restoreAllMocks());
  let shared: Core | undefined;
  const coreOf = (): Core => (shared = shared?.reset() ?? new Core(options));

  it.each(cases)("$name", (c) => {
    const program = programOf(c);
    const core = coreOf().load(program);
    for (let round = 0; round < 3; round++) {
      prepare(core);
      if (round === 0 && c.repair !== undefined) {
        // Once without the exception, so that code behind it is known.
        core.dispatcher.run(100);
        prepare(core);
      }
      c.prepare?.(core);
      const before = registers(core);
      const raised = vi.spyOn(core.cpu, "raise");
      const raisedNoted = vi.spyOn(core.cpu, "raiseNoted");
      const stop = core.stopFor(core.dispatcher.run(100));
      const thrown = raised.mock.calls.length + raisedNoted.mock.calls.length;
      expect(stop).toMatchObject({ vector: c.vector, errorCode: c.errorCode, eip: program.labels["at"], cr2: c.cr2 ?? cr2Before });
      // ADD EDX, 3 with 100h, INC EDI; nothing of the instruction itself.
      expect(registers(core)).toEqual(before.map((v, k) => (k === 3 ? v + 3 : k === 5 ? 1 : v)));
      expect(core.bytes(next - 4, 8)).toEqual(filler);
      expect(core.cpu.noted[1]).toBe(0);
      // Regions there are from the second round on.
      if (round > 0 || options.hot !== true) expect(thrown > 0).toBe(isThrown || (options.hot === true && c.isGivenUp === true));
      if (c.repair !== undefined) {
        core.resume();
        c.repair(core);
        expect(core.stopFor(core.dispatcher.run(100)).vector).toBe(3);
        if (c.written !== undefined) expect(core.bytes(next - 4, 8)).toEqual(c.written);
      }
      if (options.hot === true) core.promote();
    }
  });

  it("alignment is checked from the POPF on that sets AC, by code that was not checked before", () => {
    const core = coreOf();
    const program = assemble(`
      mov ebx, [esi + 1]
      mov [esi + 9], ebx
      fld qword ptr [esi + 4]
      fstp qword ptr [esi + 12]
      pushfd
      or dword ptr [esp], 0x40000
      popfd
      at: mov ebx, [esi + 1]
      int3`);
    core.load(program);
    for (let round = 0; round < 6; round++) {
      prepare(core);
      core.R[slot.cr0] |= 1 << 18;
      core.eflags = 0x202;
      core.R[slot.esi] = page;
      expect(core.stopFor(core.dispatcher.run(100))).toMatchObject({ vector: 17, errorCode: 0, eip: program.labels["at"] });
      core.resume();
      // As a handler would that returns without AC.
      core.eflags = 0x202;
      expect(core.stopFor(core.dispatcher.run(100)).vector).toBe(3);
      if (options.hot === true) core.promote();
    }
  });

  /** Where control goes to a page that is not there: by an exit that is linked, by a computed one, by RET. */
  const target = 0x28000;
  it.each([
    ["JMP", "jmp far_away"],
    ["CALL", "call far_away"],
    ["a jump through a register", "mov eax, offset far_away\njmp eax"],
    ["a call through a register", "mov eax, offset far_away\ncall eax"],
    ["RET", "push offset far_away\nret"],
    ["a conditional jump", "cmp eax, eax\nje far_away"],
    ["a jump of a subroutine", "call 1f\nint3\n1: mov eax, offset far_away\njmp eax"],
  ])("code that is not there: %s", (_, way) => {
    const core = coreOf();
    const program = assemble(`.set far_away, 0x${target.toString(16)}\ninc edi\n${way}\nint3`);
    // INC EDI; INT3
    core.load(program).load({ origin: target, bytes: Uint8Array.of(0x47, 0xcc), labels: {} });
    for (let round = 0; round < 4; round++) {
      prepare(core);
      if (round > 1) {
        core.dispatcher.run(100);
        if (options.hot === true) core.promote();
        prepare(core);
      }
      core.map(target, target, 0);
      core.flush();
      for (const count of [1, 2]) {
        const raisedNoted = vi.spyOn(core.cpu, "raiseNoted");
        const stop = core.stopFor(core.dispatcher.run(100));
        expect(stop).toMatchObject({ vector: 14, errorCode: 4, eip: target, cr2: target });
        expect(core.reg("edi")).toBe(1);
        expect(raisedNoted.mock.calls.length).toBe(0);
        expect(core.cpu.noted[1]).toBe(0);
        core.resume();
        if (count === 2) core.map(target, target, all);
      }
      expect(core.stopFor(core.dispatcher.run(100))).toMatchObject({ vector: 3, eip: target + 2 });
      expect(core.reg("edi")).toBe(2);
    }
  });

  it("a jump of ring 3 to where the handler of page faults itself lies faults each time", () => {
    const core = coreOf();
    const handler = 0x2c000;
    const user = assemble(`.set handler, 0x${handler.toString(16)}\nstart: jmp handler\nback: dec ecx\njnz start\nint3`);
    const kernel = assemble(
      `.set back, 0x${user.labels["back"].toString(16)}\nadd esp, 4\nmov dword ptr [esp], offset back\ninc esi\niretd`,
      handler,
    );
    prepare(core);
    core.load(user).load(kernel);
    core.handler(14, handler);
    core.map(handler, handler, pte.present | pte.writable);
    core.flush();
    core.R[slot.ecx] = 400;
    core.R[slot.esi] = 0;
    const stop = core.run(20_000);
    expect({ vector: stop.vector, cr2: stop.cr2, esi: core.reg("esi") }).toEqual({ vector: 3, cr2: handler, esi: 400 });
  });

  it("as many instructions retire, whatever faults in between", () => {
    const core = coreOf();
    // Four instructions, of which one faults, and four of the handler's.
    const user = assemble(`start: inc ebx\nmov eax, ${plain}\ndec ecx\njnz start\nint3`);
    const handler = 0x2c000;
    const kernel = assemble("add esp, 4\nadd dword ptr [esp], 5\ninc esi\niretd", handler);
    prepare(core);
    core.load(user).load(kernel);
    core.handler(14, handler);
    core.map(page, page, 0);
    core.flush();
    core.R[slot.ecx] = 500;
    core.R[slot.esi] = 0;
    const start = core.dispatcher.retired;
    const stop = core.run(20_000);
    expect({ vector: stop.vector, esi: core.reg("esi") }).toEqual({ vector: 3, esi: 500 });
    // INT3 and the HLT of its handler.
    expect(core.dispatcher.retired - start).toBe(500 * 7 + 2);
  });

  it.each([
    ["flat", 0],
    ["in a segment with a base", 0x1000],
  ])("a handler that cannot be fetched, %s: the clock goes on and the dispatcher returns", (_, base) => {
    const core = coreOf();
    const handler = 0x2c000;
    core.protectedMode(0).load(assemble("jmp dword ptr [0x20000]"));
    const { physical, R } = core;
    physical.write4(place.data, 0x28000);
    const descriptor = 0x30;
    physical.write4(place.gdt + descriptor, 0xffff | (base << 16));
    physical.write4(place.gdt + descriptor + 4, 0x00cf9b00);
    R[slot.gdtLimit] = 0x37;
    const gate = place.idt + 8 * 14;
    physical.write4(gate, (descriptor << 16) | ((handler - base) & 0xffff));
    physical.write4(gate + 4, ((handler - base) & 0xffff0000) | 0x8e00);
    core.map(handler, handler, 0);
    core.map(0x28000, 0x28000, 0);
    core.flush();
    // 16 bytes for each: none reaches the tables.
    R[slot.esp] = 0xff000;
    const start = core.dispatcher.retired;
    expect(core.dispatcher.run(30_000)).toBe("slice");
    expect(core.dispatcher.retired - start).toBeGreaterThanOrEqual(30_000);
    expect(core.reg("esp")).toBeLessThan(0xff000 - 16 * 29_000);
    expect(R[slot.selector + segment.cs]).toBe(descriptor);
  });
});
