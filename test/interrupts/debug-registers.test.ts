/** Debug registers: code and data breakpoints (SDM vol. 3, 17.2 and 17.3.1), on cold code and on code that was hot before they were armed. */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { assemble, type Program } from "../support/assembler.ts";
import { type Core, tiers } from "../support/core.ts";

const execute = 0;
const write = 1;
const access = 3;
/** LEN field by bytes. */
const lengths: Record<number, number> = { 1: 0, 2: 1, 4: 3 };

/** DR7's bits for breakpoint `n`. */
function enable(n: number, kind: number, length = 1): number {
  return (2 << (2 * n)) | (kind << (16 + 4 * n)) | (lengths[length] << (18 + 4 * n));
}

/** Sets the registers as the guest would: MOV DRn in ring 0, in a program that then jumps where the test wants. */
const arm = assemble("mov dr0, eax\nmov dr1, ecx\nmov dr2, edx\nmov dr3, ebx\nmov dr7, esi\nint3", 0x19000);
function armBreakpoints(core: Core, addresses: readonly number[], dr7: number): void {
  const { R } = core;
  core.load(arm);
  core.protectedMode(0);
  [R[slot.eax], R[slot.ecx], R[slot.edx], R[slot.ebx]] = [0, 1, 2, 3].map((k) => addresses[k] ?? 0);
  R[slot.esi] = dr7 | 0x400;
  R[slot.esp] = 0x2e800;
  R[slot.eip] = arm.origin;
  expect(core.run(100).vector).toBe(3);
}

interface Hit {
  readonly at: string;
  /** DR6's B0-B3. */
  readonly met: number;
}

/** Runs until INT3, noting debug exceptions; RF is set for code breakpoints, as a debugger does. */
function hits(core: Core, program: Program, ring: 0 | 3, dr7: number, registers: Record<string, number> = {}): string {
  const dr = [slot.dr0, slot.dr1, slot.dr2, slot.dr3].map((s) => core.R[s]);
  core.protectedMode(ring);
  [slot.dr0, slot.dr1, slot.dr2, slot.dr3].forEach((s, k) => {
    core.R[s] = dr[k];
  });
  core.R[slot.dr7] = dr7 | 0x400;
  core.cpu.memory.watching = /[13]/.test([0, 1, 2, 3].map((n) => ((dr7 >>> (2 * n)) & 3 ? (dr7 >>> (16 + 4 * n)) & 3 : 0)).join(""));
  core.eflags = 0x202;
  core.R[slot.edx] = 0;
  for (const [name, value] of Object.entries(registers)) core.R[slot[name as "eax"]] = value;
  const out: Hit[] = [];
  for (let k = 0; k < 200; k++) {
    const stop = core.run(20_000);
    if (stop.vector !== 1) {
      expect(stop.vector).toBe(3);
      break;
    }
    out.push({
      at: Object.entries(program.labels).find(([, address]) => address === stop.eip)?.[0] ?? stop.eip.toString(16),
      met: core.R[slot.dr6] & 15,
    });
    core.R[slot.dr6] = 0xffff0ff0 | 0;
    core.resume();
    core.eflags |= 0x10000;
  }
  return out.map(({ at, met }) => `${at}/${met}`).join(" ");
}

/** A loop that has become hot with no breakpoint armed. */
function warmed(core: Core, program: Program, ring: 0 | 3): void {
  core.load(program);
  expect(hits(core, program, ring, 0)).toBe("");
  expect(hits(core, program, ring, 0)).toBe("");
  if (core.hot) core.promote();
  expect(hits(core, program, ring, 0)).toBe("");
}

describe.each(tiers)("$name", (tier) => {
  const { ring } = tier;
  const loop = assemble(`
    mov ecx, 4
  again:
    mov eax, [0x20000]
  b:
    add eax, ecx
  c:
    mov [0x20004], eax
  d:
    push eax
  e:
    pop ebx
  f:
    dec ecx
  g:
    jnz again
    int3`);

  it("a code breakpoint in a loop: before the instruction, each time round", () => {
    const core = tier.core();
    warmed(core, loop, ring);
    const dr7 = enable(0, execute) | enable(2, execute);
    armBreakpoints(core, [loop.labels["c"], 0, loop.labels["again"]], dr7);
    expect(hits(core, loop, ring, dr7)).toBe("again/4 c/1 again/4 c/1 again/4 c/1 again/4 c/1");
  });

  it("a code breakpoint on the second byte of an instruction is none", () => {
    const core = tier.core();
    warmed(core, loop, ring);
    armBreakpoints(core, [loop.labels["c"] + 1], enable(0, execute));
    expect(hits(core, loop, ring, enable(0, execute))).toBe("");
  });

  it("data written: after the instruction", () => {
    const core = tier.core();
    warmed(core, loop, ring);
    armBreakpoints(core, [0x20004], enable(0, write, 4));
    expect(hits(core, loop, ring, enable(0, write, 4))).toBe("d/1 d/1 d/1 d/1");
  });

  it("data read or written, several at once", () => {
    const core = tier.core();
    warmed(core, loop, ring);
    const dr7 = enable(0, access, 4) | enable(1, access, 1) | enable(3, write, 2);
    armBreakpoints(core, [0x20000, 0x20003, 0, 0x20006], dr7);
    expect(hits(core, loop, ring, dr7)).toBe("b/3 d/8 b/3 d/8 b/3 d/8 b/3 d/8");
    // A write breakpoint does not mind reads.
    armBreakpoints(core, [0x20000], enable(0, write, 4));
    expect(hits(core, loop, ring, enable(0, write, 4))).toBe("");
  });

  it("the stack", () => {
    const core = tier.core();
    // In ring 3, where exceptions have another stack.
    warmed(core, loop, 3);
    armBreakpoints(core, [0x2fffc], enable(0, access, 4));
    expect(hits(core, loop, 3, enable(0, access, 4))).toBe("e/1 f/1 e/1 f/1 e/1 f/1 e/1 f/1");
  });

  it("not after they are disarmed", () => {
    const core = tier.core();
    warmed(core, loop, ring);
    armBreakpoints(core, [0x20004, loop.labels["b"]], enable(0, write, 4) | enable(1, execute));
    expect(hits(core, loop, ring, enable(0, write, 4) | enable(1, execute))).toBe("b/2 d/1 b/2 d/1 b/2 d/1 b/2 d/1");
    armBreakpoints(core, [0x20004, loop.labels["b"]], 0);
    expect(hits(core, loop, ring, 0)).toBe("");
  });

  it("REP MOVSB: after the iteration that touches it", () => {
    const core = tier.core();
    const program = assemble("mov esi, 0x20000\nmov edi, 0x20100\nmov ecx, 8\nm: rep movsb\nend: int3");
    warmed(core, program, ring);
    armBreakpoints(core, [0x20103], enable(0, write, 1));
    expect(hits(core, program, ring, enable(0, write, 1))).toBe("m/1");
    armBreakpoints(core, [0x20107, 0x20000], enable(0, write, 1) | enable(1, access, 1));
    expect(hits(core, program, ring, enable(0, write, 1) | enable(1, access, 1))).toBe("m/2 end/1");
  });

  it("x87, SSE and read-modify-write accesses", () => {
    const core = tier.core();
    const program = assemble(`
      movups xmm0, [0x20000]
    a:
      movups [0x20010], xmm0
    b:
      fld qword ptr [0x20000]
    c:
      fstp qword ptr [0x20010]
    d:
      inc dword ptr [0x20014]
    e:
      cmpxchg8b [0x20010]
    f:
      int3`);
    warmed(core, program, ring);
    armBreakpoints(core, [0x20014, 0x20004], enable(0, write, 4) | enable(1, access, 2));
    expect(hits(core, program, ring, enable(0, write, 4) | enable(1, access, 2))).toBe("a/2 b/1 c/2 d/1 e/1 f/1");
  });

  it("an access that ends next to it does not touch it", () => {
    const core = tier.core();
    const program = assemble("mov [0x20000], eax\na: mov [0x20005], al\nb: mov [0x20003], ax\nc: int3");
    warmed(core, program, ring);
    armBreakpoints(core, [0x20004], enable(0, write, 1));
    expect(hits(core, program, ring, enable(0, write, 1))).toBe("c/1");
  });
});
