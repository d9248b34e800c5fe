/**
 * However tight the loop, the dispatcher looks around within a bounded number of guest instructions, and an interrupt is delivered then. Slices are 500 instructions
 * here; beyond them the block under way may be finished, or a string instruction's run inside a page.
 */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { Core, place, pte } from "../support/core.ts";

const slice = 500;
/** As much as a region can hold without a loop more, or what a string instruction does at a time: the elements of a page. */
const blockBound = slice + 450;
const stringBound = slice + 0x1000 + 100;

/** Endless programs. `prepare` sets registers. */
const loops: readonly { name: string; source: string; registers?: Partial<Record<"eax" | "ecx" | "esi" | "edi", number>>; backward?: true }[] = [
  { name: "JMP to itself", source: "here: jmp here" },
  { name: "LOOP to itself", source: "here: mov ecx, -1\nloop .\njmp here" },
  { name: "JECXZ", source: "xor ecx, ecx\nhere: jecxz here" },
  { name: "Jcc on flags that stay", source: "xor eax, eax\nhere: jz here" },
  { name: "nested loops", source: "outer: mov ecx, 1000000\ninner: inc eax\ndec ecx\njnz inner\njmp outer" },
  { name: "two loops sharing a body", source: "a: inc eax\nb: test eax, 7\njz a\ndec edx\njnz b\njmp a" },
  { name: "indirect jumps", source: "mov eax, offset here\nhere: jmp eax" },
  { name: "indirect jumps back and forth", source: "mov eax, offset a\nmov edx, offset b\na: jmp edx\nb: jmp eax" },
  { name: "calls and returns", source: "here: call f\njmp here\nf: ret" },
  { name: "a return to itself", source: "here: push offset here\nret" },
  { name: "jumps across pages", source: "a: inc eax\njmp b\n.balign 4096, 0xcc\nb: inc edx\njmp a" },
  { name: "a loop over a page edge", source: "jmp a\n.org 0xff8\na: inc eax\nadd edx, 0x1234567\nnop\nnop\njmp a" },
  { name: "a long run without branches", source: "here:\n.rept 600\ninc eax\n.endr\njmp here" },
  { name: "memory traffic", source: "here: add [0x20000], eax\nadc eax, [0x20004]\nxchg eax, [0x20008]\njmp here" },
  { name: "a store into the loop itself", source: "here: inc byte ptr [target + 1]\ntarget: mov al, 0\njmp here" },
  { name: "x87 and SSE", source: "fld1\nhere: fadd st(0), st(0)\nmulsd xmm0, xmm1\npaddb mm0, mm1\nemms\nfld1\njmp here" },
  { name: "REP STOSB of 2 GiB", source: "rep stosb\nhlt", registers: { ecx: 0x80000000, edi: 0x40000000 } },
  { name: "REP STOSD of 4 GiB", source: "rep stosd\nhlt", registers: { ecx: 0x3f000000, edi: 0x00400000 } },
  { name: "REP STOSW backwards", source: "std\nrep stosw\nhlt", registers: { ecx: 0x20000000, edi: 0xf0000000 } },
  { name: "REP MOVSB", source: "rep movsb\nhlt", registers: { ecx: 0x80000000, edi: 0x40000000, esi: 0x01000000 } },
  { name: "REP MOVSD, misaligned, backwards", source: "std\nrep movsd\nhlt", registers: { ecx: 0x20000000, edi: 0xf0000001, esi: 0xe0000003 } },
  { name: "REP LODSD", source: "rep lodsd\nhlt", registers: { ecx: 0x30000000, esi: 0x01000000 } },
  { name: "REPE SCASB", source: "repe scasb\nhlt", registers: { eax: 0, ecx: 0x80000000, edi: 0x01000000 } },
  { name: "REPNE SCASD", source: "repne scasd\nhlt", registers: { eax: 1, ecx: 0x30000000, edi: 0x01000000 } },
  { name: "REPE CMPSB", source: "repe cmpsb\nhlt", registers: { ecx: 0x80000000, edi: 0x01000000, esi: 0x41000000 } },
  {
    name: "REP INSB and OUTSB in a loop",
    source: "here: mov ecx, 100000\nmov edi, 0x20000\nmov esi, 0x20000\nmov dx, 0x300\nrep insb\nmov ecx, 100000\nrep outsb\njmp here",
  },
];

/** All of linear memory from 4 MiB up is one and the same page of zeros. */
function mapEverything(core: Core): void {
  const table = 0x3e000;
  for (let k = 0; k < 1024; k++) core.physical.i32[(table >>> 2) + k] = 0x3f000 | pte.present | pte.writable | pte.user;
  for (let k = 1; k < 1024; k++) core.physical.i32[(place.pageDirectory >>> 2) + k] = table | pte.present | pte.writable | pte.user;
  for (let page = 0x20000; page < 0x40000; page += 0x1000) core.map(page, 0x20000, pte.present | pte.writable | pte.user);
  core.map(0x2f000, 0x2f000, pte.present | pte.writable | pte.user);
  for (let page = 0x40000; page < 0x400000; page += 0x1000) core.map(page, 0x20000, pte.present | pte.writable | pte.user);
  core.physical.u8.fill(0, 0x20000, 0x21000);
  core.physical.u8.fill(0, 0x3f000, 0x40000);
}

describe.each([
  { name: "cold", hot: false },
  { name: "hot", hot: true },
])("$name", ({ hot }) => {
  const core = new Core({ hot, slice, memory: 0x40000, step: 600 });

  it.each(loops)("$name", ({ source, registers }) => {
    const program = assemble(source);
    const bound = /^(here: )?(std\n)?rep|insb/.test(source) ? stringBound : blockBound;
    core.reset().protectedMode(0).load(program);
    mapEverything(core);
    core.flush();
    for (const [name, value] of Object.entries(registers ?? {})) core.R[slot[name as "eax"]] = value;
    // Look around at most `bound` instructions apart.
    let last = core.dispatcher.retired;
    let widest = 0;
    core.poll = () => {
      const { retired } = core.dispatcher;
      widest = Math.max(widest, retired - last);
      last = retired;
    };
    const start = core.dispatcher.retired;
    expect(core.run(20_000).kind).toBe("limit");
    expect(core.dispatcher.retired - start).toBeLessThan(20_000 + bound);
    expect(core.dispatcher.retired - start).toBeGreaterThan(20_000 - 1);
    expect(widest).toBeGreaterThan(0);
    expect(widest).toBeLessThan(bound);

    // A device raises its line when some time has passed.
    const due = core.dispatcher.retired + 5000;
    core.poll = () => {
      if (core.dispatcher.retired >= due && core.interrupts.acknowledged === 0) core.interrupts.pending = true;
    };
    const stop = core.run(20_000);
    expect({ kind: stop.kind, vector: stop.vector }).toEqual({ kind: "exception", vector: 0x20 });
    expect(core.dispatcher.retired - due).toBeLessThan(bound);
    // A string instruction is interrupted with its registers in step, and EIP still at it.
    const { ecx, edi, esi } = registers ?? {};
    const match = /rep\w* (\w+)([bwd])\nhlt/.exec(source);
    if (ecx !== undefined && match !== null) {
      const size = { b: 1, w: 2, d: 4 }[match[2]] as number;
      const moved = ((ecx - core.reg("ecx")) * size * (source.startsWith("std") ? -1 : 1)) >>> 0;
      expect([0xf2, 0xf3, 0x66]).toContain(core.physical.u8[stop.eip]);
      if (edi !== undefined) expect((core.reg("edi") - edi) >>> 0).toBe(moved);
      if (esi !== undefined) expect((core.reg("esi") - esi) >>> 0).toBe(moved);
      expect(moved).not.toBe(0);
    }
  });
});

it("an exception in a loop that the handler does not cure", () => {
  // UD2 whose handler returns to it: no instruction but IRET is ever finished.
  const core = new Core({ slice, memory: 0x40000 }).protectedMode(0).load(assemble("ud2"));
  core.load({ ...assemble("iret", 0x18000), origin: 0x18000 });
  core.handler(6, 0x18000);
  const start = core.dispatcher.retired;
  expect(core.run(5000).kind).toBe("limit");
  expect(core.dispatcher.retired - start).toBeLessThan(5000 + blockBound);
});
