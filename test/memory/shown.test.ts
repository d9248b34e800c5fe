/**
 * Programs that use device memory: a frame buffer, code in ROM, mappings that change under the running code. All of it behind page tables, at linear addresses
 * that are those of the device memory in the buffer.
 */
import { afterEach, describe } from "vitest";
import type { Mapping } from "../../runtime/memory/memory-map.ts";
import type { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { eflag } from "../../translator/contract/slots.ts";
import { scenario, sumTo } from "../self-modifying/scenario.ts";
import { type Core, deviceMemory, pte } from "../support/core.ts";

const top = 0xfd000000;
const code = pte.present | pte.writable | pte.user;

type Show = PhysicalMemory["show"];
/** Cores are used again by the next scenario. */
afterEach(() => {
  for (const undo of undoing) undo();
  undoing = [];
});
let undoing: (() => void)[] = [];

/** Remembered, to be undone after the test. */
function show(core: Core, ...args: Parameters<Show>): Mapping {
  const mapping = core.physical.show(...args);
  undoing.push(() => core.physical.remove(mapping));
  return mapping;
}

/** All of the device memory at physical `top`, and at linear addresses that are its offsets in the buffer. Returns where it begins there. */
function shown(core: Core, access: "read-write" | "read-only"): number {
  const offset = core.physical.size;
  show(core, top, offset, deviceMemory, access);
  for (let page = 0; page < deviceMemory; page += 0x1000) core.map(offset + page, top + page, code);
  return offset;
}
/** mov eax, value; ret */
const returns = (value: number) => Uint8Array.of(0xb8, value, 0, 0, 0, 0xc3);

describe("a frame buffer", () => {
  scenario("stores and loads of every width", {
    source: `
      xor ebx, ebx
      mov ecx, 300
      mov edi, 0x100000
    again:
      mov [edi], ecx
      mov byte ptr [edi + 4], cl
      mov word ptr [edi + 5], cx
      add ebx, [edi]
      movzx eax, byte ptr [edi + 4]
      add ebx, eax
      movzx eax, word ptr [edi + 5]
      sub ebx, eax
      add edi, 7
      dec ecx
      jnz again
      mov edi, 0x100000
      mov eax, 0x12345678
      mov ecx, 64
      rep stosd
      int3`,
    prepare: (core) => void shown(core, "read-write"),
    expected: { ebx: Array.from({ length: 300 }, (_, k) => (k + 1) & 0xff).reduce((a, b) => a + b, 0), eax: 0x12345678, edi: 0x100100 },
    after: (core) => {
      const seen = core.physical.read4(top + 0xfc) >>> 0;
      if (seen !== 0x12345678) throw new Error(`the frame buffer holds ${seen.toString(16)}`);
    },
  });

  scenario("it moves while a loop writes to it: the old addresses are nobody's", {
    source: `
      mov ecx, 100
      xor ebx, ebx
      mov edi, 0x100000
    again:
      mov [edi], ecx
      mov dx, 0x300
      mov al, cl
      out dx, al
      cmp dword ptr [edi], -1
      sete al
      movzx eax, al
      add ebx, eax
      dec ecx
      jnz again
      int3`,
    prepare: (core) => {
      core.eflags |= eflag.iopl;
      const offset = shown(core, "read-write");
      core.portWrite = () => {
        const here = core.physical.addressOf(offset);
        core.physical.hide(here, deviceMemory);
        show(core, here === top ? 0xe0000000 : top, offset, deviceMemory, "read-write");
      };
    },
    expected: { ebx: 50 },
  });
});

describe("ROM", () => {
  scenario("code in it runs; stores to it vanish, and change no code", {
    source: `
      xor ebx, ebx
      mov ecx, 100
      mov esi, 0x100000
    again:
      mov dword ptr [esi], 0
      add byte ptr [esi + 1], 1
      mov al, 9
      xchg al, [esi + 1]
      call esi
      add ebx, eax
      dec ecx
      jnz again
      int3`,
    prepare: (core) => core.physical.writeOffset(shown(core, "read-only"), returns(7)),
    expected: { ebx: 700 },
  });

  scenario("an instruction over the edge of two of its pages", {
    source: `
      xor ebx, ebx
      mov ecx, 60
      mov esi, 0x100ffd
    again:
      call esi
      add ebx, eax
      dec ecx
      jnz again
      int3`,
    prepare: (core) => core.physical.writeOffset(shown(core, "read-only") + 0xffd, returns(5)),
    expected: { ebx: 300 },
  });

  scenario("another bank of it is switched in: its code runs from then on", {
    source: `
      xor ebx, ebx
      mov ecx, 100
      mov esi, 0x100000
      mov dx, 0x300
    again:
      call esi
      add ebx, eax
      mov al, cl
      out dx, al
      dec ecx
      jnz again
      int3`,
    prepare: (core) => {
      core.eflags |= eflag.iopl;
      const offset = core.physical.size;
      core.physical.writeOffset(offset, returns(1));
      core.physical.writeOffset(offset + 0x1000, returns(100));
      show(core, top, offset, 0x1000, "read-only");
      core.map(0x100000, top, code);
      core.portWrite = (_port, _size, value) => {
        core.physical.hide(top, 0x1000);
        show(core, top, offset + (value & 1) * 0x1000, 0x1000, "read-only");
      };
    },
    // Before the OUT of n it is the bank of n + 1; the first time the first.
    expected: { ebx: 51 * 1 + 49 * 100 },
    // Regions are made for blocks at their own addresses: the second bank is elsewhere in the buffer.
    only: /cold/,
  });

  scenario("shadowed: RAM beneath it is made visible, patched, and made read-only", {
    source: `
      xor ebx, ebx
      mov ecx, 30
      mov dx, 0x300
    again:
      mov al, 0
      out dx, al
      mov byte ptr [0x80001], 50
      call target
      add ebx, eax
      mov al, 1
      out dx, al
      mov byte ptr [0x80001], 3
      call target
      add ebx, eax
      mov al, 2
      out dx, al
      mov byte ptr [0x80001], 70
      call target
      add ebx, eax
      dec ecx
      jnz again
      int3
      .equ target, 0x80000`,
    prepare: (core) => {
      core.eflags |= eflag.iopl;
      const { physical } = core;
      const offset = physical.size;
      physical.writeOffset(offset, returns(1));
      physical.writeBytes(0x80000, returns(2));
      let cover: Mapping | undefined;
      core.portWrite = (_port, _size, value) => {
        physical.remove(cover);
        const state = value & 3;
        cover =
          state === 0
            ? show(core, 0x80000, offset, 0x1000, "read-only")
            : state === 2
              ? show(core, 0x80000, 0x80000, 0x1000, "read-only")
              : undefined;
      };
    },
    expected: { ebx: 30 * (1 + 3 + 3) },
    only: /cold/,
  });
});

scenario("code written through another address of the same memory", {
  source: `
    xor ebx, ebx
    mov ecx, 100
    mov esi, 0x100000
  again:
    mov byte ptr [0x${(0x90001).toString(16)}], cl
    call esi
    add ebx, eax
    dec ecx
    jnz again
    int3`,
  prepare: (core) => {
    const offset = shown(core, "read-write");
    core.physical.writeOffset(offset, returns(0));
    show(core, 0xe0000000, offset, 0x1000, "read-write");
    core.map(0x90000, 0xe0000000, code);
  },
  expected: { ebx: sumTo(100) },
});
