/**
 * Code whose EIP is not its linear address, on both tiers: IP that wraps around, blocks shared between code segments, pages that lie in a segment only in part, limits met by
 * code and by data, segment registers loaded in line (SDM vol. 3, 5.3 and 20.1; vol. 1, 6.2.2 and 6.3).
 */
import { describe, expect, it } from "vitest";
import { updateMode } from "../../runtime/cpu/mode.ts";
import { segment, slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { type Core, place, tiers } from "../support/core.ts";

/** A segment's hidden part in real mode. */
function setReal(core: Core, s: number, selector: number): void {
  core.R[slot.selector + s] = selector;
  core.R[slot.segmentBase + s] = selector << 4;
}

/** Loads `source`, assembled for IP `ip` of segment `cs`, where it wraps around at 64 KiB; DS, ES and SS are 3000h. */
function load(core: Core, source: string, cs: number, ip: number): Readonly<Record<string, number>> {
  const program = assemble(source, ip, 16);
  core.realMode();
  for (const [k, byte] of program.bytes.entries()) core.physical.writeBytes(cs * 16 + ((ip + k) & 0xffff), Uint8Array.of(byte));
  setReal(core, segment.cs, cs);
  for (const s of [segment.ds, segment.es, segment.ss]) setReal(core, s, 0x3000);
  core.R[slot.eip] = ip;
  core.R[slot.esp] = 0x8000;
  core.eflags = 2;
  return program.labels;
}

/** The exception that ended the run, and where. */
function run(core: Core): { vector: number; eip: number } {
  const { kind, vector, eip } = core.run(60_000);
  expect(kind).toBe("exception");
  return { vector, eip };
}

const word = (core: Core, name: "eax" | "ecx" | "edx" | "ebx" | "esp"): number => core.reg(name) & 0xffff;

describe.each(tiers.filter(({ name }) => /cold, ring|25|150/.test(name)))("real mode, $name", (tier) => {
  // The page edge falls on different offsets; only the first is on pages that lie wholly in the segment.
  const segments = [0x1000, 0x1001, 0x10f3, 0x1fff];

  it.each(segments)("a loop through the end of 64 KiB, CS = %i", (cs) => {
    const core = tier.core();
    // The jump forward wraps around to 20h; the one back wraps the other way.
    load(core, "xor dx, dx\nmov cx, 200\na: inc dx\njmp b\n.org 0x2a\n.skip 6\nb: add dx, 2\nloop a\nint3", cs, 0xfff0);
    expect(run(core).vector).toBe(3);
    expect(word(core, "edx")).toBe(600);
  });

  it.each(segments)("a near call through the end of 64 KiB pushes IP as it is, CS = %i", (cs) => {
    const core = tier.core();
    const { r } = load(core, "xor dx, dx\nmov cx, 150\na: call f\nr: loop a\nint3\n.org 0x40\nf: pop ax\nadd dx, 3\npush ax\nret", cs, 0xffe0);
    expect(run(core).vector).toBe(3);
    expect([word(core, "edx"), word(core, "eax")]).toEqual([450, (r as number) & 0xffff]);
  });

  it("x87 instructions are remembered with the segments they had", () => {
    const core = tier.core();
    load(
      core,
      "fninit\nmov cx, 200\nmov ax, ds\na: push 0x2000\npush ax\nmov ds, ax\nfld1\nfdiv qword ptr [0x1230]\nfstp st(0)\npop es\npop ds\nmov dx, ds\nloop a\nint3",
      0x1000,
      0x100,
    );
    core.physical.writeBytes(0x31230, new Uint8Array(new Float64Array([3]).buffer));
    expect(run(core).vector).toBe(3);
    expect([core.R[slot.fpuDp], core.R[slot.fpuDs], core.R[slot.fpuCs], word(core, "edx")]).toEqual([0x1230, 0x3000, 0x1000, 0x2000]);
  });

  it.each(segments)("running off the end of 64 KiB is #GP at the byte behind it, CS = %i", (cs) => {
    const core = tier.core();
    load(core, "mov cx, 100\na: inc dx\nloop a\n.fill 9, 1, 0x40", cs, 0xfff1);
    core.R[slot.edx] = 0;
    core.R[slot.eax] = 0;
    // The frame shows IP in 16 bits.
    expect(run(core)).toEqual({ vector: 13, eip: 0 });
    expect([word(core, "edx"), word(core, "eax")]).toEqual([100, 9]);
  });

  it.each(segments)("an instruction that goes on behind the end of 64 KiB is #GP at its first byte, CS = %i", (cs) => {
    const core = tier.core();
    load(core, "mov cx, 100\na: inc dx\nloop a\n.fill 8, 1, 0x40\nmov ax, 0x1234", cs, 0xfff0);
    core.R[slot.eax] = 0;
    expect(run(core)).toEqual({ vector: 13, eip: 0xfffe });
    expect(word(core, "eax")).toBe(8);
  });

  it("the same code in two segments at once keeps to the IP of each", () => {
    const core = tier.core();
    // f is entered as 1000:0200 and as 0FF5:02B0.
    load(core, "xor bx, bx\nxor dx, dx\nmov cx, 120\na: lcall 0x1000, 0x200\nlcall 0x0ff5, 0x2b0\nloop a\nint3", 0x2000, 0);
    core.physical.writeBytes(
      0x10200,
      assemble("call g\nh: lret\n.org 0x40\ng: pop ax\nxor bx, ax\nadd dx, ax\npush ax\njmp i\n.org 0x60\ni: ret", 0x200, 16).bytes,
    );
    expect(run(core).vector).toBe(3);
    expect([word(core, "edx"), word(core, "ebx")]).toEqual([(120 * (0x203 + 0x2b3)) & 0xffff, 0]);
  });

  it("a short jump back to before IP 0 goes to the segment's end", () => {
    const core = tier.core();
    load(core, "xor dx, dx\nmov cx, 90\na: jmp . - 0x20", 0x1007, 0);
    // 0 + 5 - 20h = FFE5h, wherever the assembler thinks that is.
    core.physical.writeBytes(0x10070 + 0xffe5, assemble("add dx, 5\nloop b\nint3\nb: .byte 0xe9, 0x17, 0\n", 0xffe5, 16).bytes);
    expect(run(core).vector).toBe(3);
    expect(word(core, "edx")).toBe(450);
  });

  it.each([
    ["DS", "mov [bx], ax", 13],
    ["a load", "mov ax, [bx]", 13],
    ["a doubleword", "mov bx, 0xfffd\nnop\nx: mov eax, [bx]", 13],
    ["SS by BP", "mov bp, bx\nx: mov ax, [bp]", 12],
    ["SS by PUSH", "mov sp, 1\nx: push ax", 12],
    ["SS by POP", "mov sp, 0xffff\nx: pop ax", 12],
    ["a near call", "mov sp, 1\nx: call y\ny: nop", 12],
    ["a far call", "mov sp, 3\nx: lcall 0x1000, 0", 12],
    ["a segment loaded from there", "x: mov es, [bx]", 13],
    ["LES", "mov bx, 0xfffd\nx: les di, [bx]", 13],
  ])("a word across the end of 64 KiB faults before anything has changed: %s", (_, source, vector) => {
    const core = tier.core();
    const labelled = source.includes("x:") ? source : `x: ${source}`;
    const { x } = load(
      core,
      `mov cx, 60\nmov bx, 0x100\na: mov ax, [bx]\nmov [bx], cx\nloop a\nmov bx, 0xffff\nmov dx, 7\n${labelled}\nmov dx, 9\nint3`,
      0x1000,
      0x100,
    );
    const end = core.run(60_000);
    // Delivery needs the stack itself: with SP at its very end it is a double fault, and that is the end.
    if (end.kind !== "exception") expect([end.kind, source.includes("sp,")]).toEqual(["shutdown", true]);
    else expect({ vector: end.vector, eip: end.eip }).toEqual({ vector, eip: x });
    expect(word(core, "edx")).toBe(7);
  });

  it("bytes at FFFFh do not fault, and offsets wrap around", () => {
    const core = tier.core();
    load(
      core,
      "mov cx, 70\nmov bx, 0xffff\na: mov [bx], cl\nmov al, [bx]\nadd dl, al\nmov [bx + 1], dl\nmov ah, [bx + 1]\nloop a\nint3",
      0x1000,
      0x100,
    );
    core.R[slot.edx] = 0;
    expect(run(core).vector).toBe(3);
    const sum = ((70 * 71) / 2) & 255;
    expect([core.reg("edx") & 255, core.bytes(0x3ffff, 1)[0], core.bytes(0x30000, 1)[0]]).toEqual([sum, 1, sum]);
  });

  it("segment registers loaded by MOV, POP, LES and LDS mean what they say at once", () => {
    const core = tier.core();
    load(
      core,
      "mov cx, 100\nxor dx, dx\na: mov ax, 0x4000\nadd ax, cx\nmov es, ax\nmov es:[0], cx\npush ax\npop ds\nadd dx, [0]\nmov word ptr ss:[8], 0\nmov ss:[10], ax\nlds si, ss:[8]\nadd dx, [si]\nles di, ss:[8]\nadd dx, es:[di]\nmov bx, ds\nsub bx, ax\nadd dx, bx\nloop a\nint3",
      0x1000,
      0x100,
    );
    expect(run(core).vector).toBe(3);
    expect(word(core, "edx")).toBe((3 * 5050) & 0xffff);
    expect([core.R[slot.selector + segment.ds], core.R[slot.segmentBase + segment.ds]]).toEqual([0x4001, 0x40010]);
  });

  it("far calls, returns and jumps between segments", () => {
    const core = tier.core();
    load(core, "xor dx, dx\nmov cx, 100\na: lcall 0x1200, 5\nloop a\nint3", 0x1000, 0);
    core.physical.writeBytes(0x12005, assemble("inc dx\npush cs\npush offset 1f\nljmp 0x1301, 0x11\n1: lret", 5, 16).bytes);
    core.physical.writeBytes(0x13010 + 0x11, assemble("add dx, 2\nlret", 0x11, 16).bytes);
    expect(run(core).vector).toBe(3);
    expect([word(core, "edx"), word(core, "esp")]).toEqual([300, 0x8000 - 6]);
  });

  it("unreal mode: a segment of 4 GiB takes 32-bit offsets, and 16-bit words at FFFFh, also after a load", () => {
    const core = tier.core();
    load(
      core,
      "mov cx, 80\nxor dx, dx\na: mov ax, 0x3000\nmov ds, ax\nmov ebx, 0x12345\nmov [ebx], cx\nadd dx, [ebx]\nmov si, 0xffff\nmov [si], cx\nadd dx, [si]\nloop a\nint3",
      0x1000,
      0x100,
    );
    core.R[slot.segmentLimit + segment.ds] = -1;
    updateMode(core.cpu);
    expect(run(core).vector).toBe(3);
    expect(word(core, "edx")).toBe((2 * 3240) & 0xffff);
    expect([...core.bytes(0x42345, 1), ...core.bytes(0x3ffff, 2)]).toEqual([1, 1, 0]);
  });
});

describe.each(tiers.filter(({ name }) => /of one|150/.test(name)))("protected mode, $name", (tier) => {
  /** 16-bit code at `base`, CS limit `limit`. */
  function start(source: string, base: number, limit: number, ip: number): { core: Core; labels: Readonly<Record<string, number>> } {
    const core = tier.core().protectedMode(0);
    const { bytes, labels } = assemble(source, ip, 16);
    core.physical.writeBytes(base + ip, bytes);
    core.R[slot.segmentBase + segment.cs] = base;
    core.R[slot.segmentLimit + segment.cs] = limit;
    core.R[slot.segmentAccess + segment.cs] = 0x9b00;
    core.R[slot.eip] = ip;
    core.R[slot.edx] = 0;
    core.eflags = 2;
    updateMode(core.cpu);
    return { core, labels };
  }

  it.each([0x10000, 0x10123, 0x1fff8])("a jump beyond the limit faults at the jump, base %i", (base) => {
    const { core, labels } = start("mov cx, 100\na: inc dx\nloop a\nx: jmp y\n.skip 20\ny: int3", base, 0x115, 0x100);
    const { vector, errorCode, eip } = core.run(20_000);
    expect({ vector, errorCode, eip, dx: core.reg("edx") }).toEqual({ vector: 13, errorCode: 0, eip: labels["x"], dx: 100 });
  });

  it.each([0x10000, 0x10ff0])("a conditional jump beyond the limit faults only if taken, and LOOP leaves CX alone, base %i", (base) => {
    const { core, labels } = start(
      "mov cx, 3\na: inc dx\ncmp dx, 1000\nje y\ndec cx\njnz a\nmov cx, 5\nx: loop y\n.skip 30\ny: int3",
      base,
      0x11f,
      0x100,
    );
    const { vector, eip } = core.run(20_000);
    expect({ vector, eip, cx: core.reg("ecx") & 0xffff }).toEqual({ vector: 13, eip: labels["x"], cx: 5 });
  });

  it("the same page under another limit", () => {
    for (const limit of [0x1ff, 0x10b, 0x1ff, 0x109]) {
      const { core } = start("mov cx, 40\na: inc dx\nloop a\nnop\nnop\nnop\nmov ax, 1\nint3", place.code, limit, 0x100);
      const { vector, eip } = core.run(20_000);
      // The MOV is at 109h to 10Bh, INT3 behind it.
      expect({ vector, eip }).toEqual(limit === 0x1ff ? { vector: 3, eip: 0x10d } : { vector: 13, eip: limit === 0x10b ? 0x10c : 0x109 });
    }
  });
});
