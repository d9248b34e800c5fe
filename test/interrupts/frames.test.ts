/**
 * Interrupt frames, descriptors and gates wherever they may lie: aligned or not, on one page or two (SDM vol. 3, 6.12.1 and figure 6-4; vol. 2, IRET). Where nothing
 * can be met on the way they are read and written at once, otherwise word by word; the guest must not see which.
 */
import { describe, expect, it } from "vitest";
import { segment, slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { type Core, place, pte, selector, tiers } from "../support/core.ts";

const handler = 0x2c000;
const rounds = 200;
const interruptFlag = 0x200;

/** Wipes the inner stack each time, for frames are much alike. EBP: its top. */
const wipe = [1, 2, 3, 4, 5, 6].map((k) => `mov dword ptr [ebp - ${4 * k}], ebx`).join("\n");
const user = assemble(`again:\ninc ebx\nint 0x80\nhere:\n${wipe}\ndec ecx\njnz again\nint3`);
const faulting = assemble(`again:\ninc ebx\nat:\nmov eax, [0x24000]\nhere:\n${wipe}\ndec ecx\njnz again\nint3`);
/** Counts, and keeps what it finds on top of its stack: five words. */
const copies = (error: number): string =>
  [0, 1, 2, 3, 4].map((k) => `mov edx, [esp + ${4 * k + error}]\nmov [0x${(place.data + 4 * k).toString(16)}], edx`).join("\n");
const kernel = assemble(`inc esi\n${copies(0)}\niretd`, handler);
const kernelOfFault = assemble(
  `inc esi\n${copies(4)}\nadd esp, 4\nmov dword ptr [esp], offset here\n.set here, 0x${faulting.labels["here"].toString(16)}\niretd`,
  handler,
);

function prepare(core: Core, stack: number): void {
  core.protectedMode(3);
  const { R } = core;
  R[slot.ecx] = rounds;
  R[slot.ebx] = R[slot.esi] = 0;
  R[slot.ebp] = stack;
  core.physical.write4(place.tss + 4, stack);
  core.flush();
}

/** Linear neighbours no longer are neighbours: the page's contents move to another. */
function scatter(core: Core, page: number, to: number): void {
  core.physical.writeBytes(to, core.physical.readBytes(page, 0x1000));
  core.physical.writeBytes(page, new Uint8Array(0x1000).fill(0xff));
  core.map(page, to, pte.present | pte.writable | pte.user);
  core.flush();
}

const frameOf = (core: Core): number[] => Array.from({ length: 5 }, (_, k) => core.physical.read4(place.data + 4 * k) >>> 0);

describe.each(tiers)("$name", (tier) => {
  // The frame is 20 bytes, or 24 with an error code: in the middle of a page, at its end, across it at each word, and misaligned in each way.
  it.each([0xa800, 0xa000, 0xa004, 0xa008, 0xa00c, 0xa010, 0xa014, 0xa018, 0xa801, 0xa802, 0xa803, 0xa001, 0xa002, 0xa00b])(
    "inner stack from %x down",
    (stack) => {
      for (const [program, code, returnsTo] of [
        [user, kernel, user.labels["here"]],
        [faulting, kernelOfFault, faulting.labels["at"]],
      ] as const) {
        const core = tier.core().load(program).load(code);
        prepare(core, stack);
        const isFault = program === faulting;
        core.handler(isFault ? 14 : 0x80, handler);
        if (isFault) core.map(0x24000, 0x24000, 0);
        scatter(core, 0xa000, 0x38000);
        const stop = core.run(20_000);
        expect({ vector: stop.vector, ebx: core.reg("ebx"), esi: core.reg("esi") }).toEqual({ vector: 3, ebx: rounds, esi: rounds });
        const [eip, cs, eflags, esp, ss] = frameOf(core);
        expect({ eip, cs, esp, ss }).toEqual({ eip: returnsTo, cs: selector.code3, esp: place.stack, ss: selector.data3 });
        expect(eflags & interruptFlag).toBe(interruptFlag);
        // RF is set in the image of a fault alone (17.3.1.1).
        expect(eflags & 0x10000).toBe(isFault ? 0x10000 : 0);
        // The end: INT3's frame, from the same stack.
        expect(core.reg("esp")).toBe(stack - 20);
      }
    },
  );

  it.each([
    ["a frame half on a page that is not there", 0xa008, 0x9000, 0],
    ["a frame half on a read-only page", 0xa008, 0x9000, pte.present],
    ["a frame whose upper half is on a page that is not there", 0xa008, 0xa000, 0],
    ["a frame whose upper half is on a read-only page", 0xa008, 0xa000, pte.present],
  ])("%s: no way to deliver anything", (_, stack, page, bits) => {
    const core = tier.core().load(user).load(kernel);
    prepare(core, stack);
    core.R[slot.cr0] |= 0x10000;
    core.handler(0x80, handler);
    core.map(page, page, bits);
    core.flush();
    expect(core.run(1000).kind).toBe("shutdown");
    expect(core.reg("esi")).toBe(0);
    expect(core.R[slot.selector + segment.cs]).toBe(selector.code3);
  });

  // Tables that begin anywhere; the last three put the descriptor of ring 0's code and gate 80h on two pages each.
  it.each([
    [0, 0],
    [4, 4],
    [2, 2],
    [1, 3],
    [0xff4, 0xbfc],
    [0xff6, 0xbfe],
    [0xff3, 0xbfb],
  ])("GDT moved by %x, IDT by %x", (gdtBy, idtBy) => {
    const core = tier.core().load(user).load(kernel);
    prepare(core, place.stack0);
    core.handler(0x80, handler);
    const { R, physical } = core;
    const [gdt, idt] = [0x30000, 0x34000];
    physical.writeBytes(gdt + gdtBy, physical.readBytes(place.gdt, 0x30));
    physical.writeBytes(idt + idtBy, physical.readBytes(place.idt, 0x800));
    for (const table of [gdt, idt]) scatter(core, table + 0x1000, table + 0x8000);
    R[slot.gdtBase] = gdt + gdtBy;
    R[slot.idtBase] = idt + idtBy;
    R[slot.esp] = 0x2f000;
    const stop = core.run(20_000);
    expect({ vector: stop.vector, ebx: core.reg("ebx"), esi: core.reg("esi") }).toEqual({ vector: 3, ebx: rounds, esi: rounds });
    expect(frameOf(core).filter((_, k) => k !== 2)).toEqual([user.labels["here"], selector.code3, 0x2f000, selector.data3]);
  });
});
