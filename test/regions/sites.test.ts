/**
 * Accesses that have sites (translator/region/sites.ts): they must be those that are meant, and each thing that the TLB takes back must be taken back from sites as well. All run cold
 * and hot; the expected values are what the manual says.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import { demoImage } from "../../src/demo/image.ts";
import { createMachine } from "../../src/index.ts";
import { cr0bit, cr4bit, slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { assemble, type Program } from "../support/assembler.ts";
import { Core, place, pte } from "../support/core.ts";

const all = pte.present | pte.writable | pte.user;
const entryOf = (linear: number): number => place.pageTable + (linear >>> 12) * 4;

interface Scenario {
  readonly source: string;
  readonly prepare?: (core: Core, program: Program) => void;
  readonly ring?: 0 | 3;
  readonly origin?: number;
  /** Passes left out. */
  readonly without?: readonly string[];
}

/** Runs to the exception that ends the program; where it was hot, some region must have had sites. */
function run(
  { source, prepare, ring = 0, origin, without = [] }: Scenario,
  hot: boolean,
): { core: Core; stop: ReturnType<Core["run"]>; texts: string[] } {
  const texts: string[] = [];
  const core = new Core({ hot, step: 3, translator: new JavaScriptTranslator({ disabledPasses: new Set(without) }) });
  core.dispatcher.regions.made = ({ code }) => void texts.push(code.text);
  core.protectedMode(ring);
  const program = assemble(source, origin);
  core.load(program);
  core.R[slot.eip] = program.origin;
  prepare?.(core, program);
  const stop = core.run(200_000);
  if (hot) expect(texts.some((text) => text.includes("isOnSite("))).toBe(true);
  return { core, stop, texts };
}

/** Bytes of two pages at linear 40000h, which are not neighbours in memory. */
const twoPages = [0x60000, 0x64000].map((page) => Array.from({ length: 0x1000 }, (_, k) => (k * 37 + (page >> 13)) & 0xff));
const mapTwoPages = (core: Core): void => {
  twoPages.forEach((bytes, k) => {
    core.map(0x40000 + 0x1000 * k, 0x60000 + 0x4000 * k, all);
    core.physical.writeBytes(0x60000 + 0x4000 * k, Uint8Array.from(bytes));
  });
};

const tiers = [
  ["cold", false],
  ["hot", true],
] as const;

describe.each(tiers)("%s", (_, hot) => {
  it("INVLPG: a page that is read and written in a loop changes places", () => {
    const { core } = run(
      {
        source: `
          xor edx, edx
          mov ecx, 100
        again:
          add edx, [0x40000]
          mov dword ptr [0x40004], ecx
          jmp on
        on:
          # By now the TLB has the page: these fill the sites.
          add edx, [0x40000]
          mov dword ptr [0x40008], ecx
          xor dword ptr [${entryOf(0x40000)}], 0x3000
          invlpg [0x40000]
          add edx, [0x40000]
          dec ecx
          jnz again
          int3`,
        prepare: (core) => {
          core.map(0x40000, 0x41000, all);
          core.physical.write4(0x41000, 1);
          core.physical.write4(0x42000, 1000);
        },
      },
      hot,
    );
    expect(core.reg("edx")).toBe(50 * 3003);
    // The last round wrote to the second of the two, the one before it to the first.
    expect([core.physical.read4(0x41004), core.physical.read4(0x42004)]).toEqual([2, 1]);
    expect([core.physical.read4(0x41008), core.physical.read4(0x42008)]).toEqual([2, 1]);
  });

  it("CR3: a stack in another place in each address space", () => {
    const { core } = run(
      {
        source: `
          mov esp, 0x40800
          mov ecx, 60
          mov esi, cr3
          mov edi, 0x50000
        again:
          push ecx
          push ecx
          jmp here
        here:
          add [esp + 4], ecx
          mov cr3, edi
          add dword ptr [esp], 3
          jmp on
        on:
          add dword ptr [esp + 4], 5
          mov cr3, esi
          add esp, 8
          dec ecx
          jnz again
          mov esp, ${place.stack}
          int3`,
        prepare: (core) => {
          core.map(0x40000, 0x41000, all);
          core.physical.writeBytes(0x51000, core.physical.readBytes(place.pageTable, 0x1000));
          core.physical.write4(0x50000, 0x51000 | all);
          core.physical.write4(0x51000 + 0x40 * 4, 0x44000 | all);
        },
      },
      hot,
    );
    expect([core.physical.read4(0x417f8), core.physical.read4(0x417fc)]).toEqual([1, 2]);
    expect([core.physical.read4(0x447f8), core.physical.read4(0x447fc)]).toEqual([60 * 3, 60 * 5]);
  });

  it("CR3: the TLB keeps what is global, and what a site says of it; not so when CR4.PGE changes", () => {
    const { core } = run(
      {
        source: `
          mov eax, cr4
          or eax, ${cr4bit.pge}
          mov cr4, eax
          xor edx, edx
          xor ebx, ebx
          mov esi, cr3
          mov edi, 0x50000
          call f
          mov eax, cr4
          and eax, ${~cr4bit.pge}
          mov cr4, eax
          call f
          int3
        f:
          mov ecx, 100
        again:
          xchg esi, edi
          mov cr3, esi
          add edx, [0x40000]
          inc dword ptr [0x40004]
          add ebx, [0x43000]
          inc dword ptr [0x43004]
          jmp on
        on:
          # By now the TLB has the pages: these fill the sites.
          inc dword ptr [0x40008]
          inc dword ptr [0x43008]
          dec ecx
          jnz again
          ret`,
        prepare: (core) => {
          const pages: readonly [number, readonly number[], number][] = [
            [0x40000, [0x41000, 0x44000], pte.global],
            [0x43000, [0x45000, 0x46000], 0],
          ];
          core.map(0x40000, 0x41000, all | pte.global);
          core.map(0x43000, 0x45000, all);
          core.physical.writeBytes(0x51000, core.physical.readBytes(place.pageTable, 0x1000));
          core.physical.write4(0x50000, 0x51000 | all);
          for (const [linear, [, second], global] of pages) core.physical.write4(0x51000 + (linear >>> 12) * 4, second | all | global);
          for (const [, [first, second]] of pages) {
            core.physical.write4(first, 1);
            core.physical.write4(second, 1000);
          }
        },
      },
      hot,
    );
    // The first round is in the second address space.
    const words = (at: number): number[] => [core.physical.read4(at + 4), core.physical.read4(at + 8)];
    expect(core.reg("edx")).toBe(100 * 1000 + 50 * 1001);
    expect([words(0x41000), words(0x44000)]).toEqual([
      [50, 50],
      [150, 150],
    ]);
    expect(core.reg("ebx")).toBe(100 * 1001);
    expect([words(0x45000), words(0x46000)]).toEqual([
      [100, 100],
      [100, 100],
    ]);
    // Once for the page that is global while it is, and twice a round for each page that is not.
    const { siteMisses } = core.cpu.memory;
    if (hot) expect(siteMisses).toBeLessThan(2 * 100 + 2 * 2 * 100 + 50);
  });

  it("a page that is not writable any more", () => {
    const { core, stop } = run(
      {
        source: `
          mov ecx, 100
        again:
          mov eax, [0x40000]
          jmp write
        write:
          mov [0x40000], ecx
          cmp ecx, 20
          jne on
          and dword ptr [${entryOf(0x40000)}], ${~pte.writable}
          invlpg [0x40000]
          mov eax, [0x40000]
        on:
          dec ecx
          jnz again
          int3`,
        prepare: (core) => {
          core.R[slot.cr0] |= cr0bit.wp;
          core.flush();
        },
      },
      hot,
    );
    expect(stop).toMatchObject({ kind: "exception", vector: 14, errorCode: 3, cr2: 0x40000 });
    expect(core.reg("ecx")).toBe(19);
    expect(core.physical.read4(0x40000)).toBe(20);
  });

  it("user mode does not read what supervisor mode has read at the same instruction", () => {
    const { core, stop } = run(
      {
        ring: 3,
        source: `
            xor edx, edx
            call f
            int 0x80
            call f
            int3
          f:
            mov ecx, 200
          again:
            add edx, [0x40000]
            dec ecx
            jnz again
            ret
          handler:
            and dword ptr [${entryOf(0x40000)}], ${~pte.user}
            mov eax, cr3
            mov cr3, eax
            call f
            iretd`,
        prepare: (core, program) => {
          core.handler(0x80, program.labels["handler"]);
          core.physical.write4(0x40000, 7);
        },
      },
      hot,
    );
    expect(stop).toMatchObject({ kind: "exception", vector: 14, errorCode: 5, cr2: 0x40000 });
    expect(core.reg("edx")).toBe(2 * 200 * 7);
    expect(core.reg("ecx")).toBe(200);
  });

  it("a frame across two pages, the lower one missing at last: each word that was pushed before the fault is there", () => {
    const { core, stop } = run(
      {
        source: `
          mov ecx, 40
        again:
          mov esp, 0x4100c
          cmp ecx, 1
          jne on
          mov esp, 0x4300c
        on:
          push ecx
          push 2
          push 3
          push 4
          push 5
          pop eax
          pop ebx
          pop edx
          pop esi
          pop edi
          dec ecx
          jnz again
          int3`,
        prepare: (core) => {
          core.map(0x40000, 0x60000, all);
          core.map(0x41000, 0x62000, all);
          core.map(0x42000, 0, 0);
          core.map(0x43000, 0x64000, all);
        },
        ring: 3,
      },
      hot,
    );
    expect(stop).toMatchObject({ kind: "exception", vector: 14, errorCode: 6, cr2: 0x42ffc });
    expect([core.physical.read4(0x62008), core.physical.read4(0x62004), core.physical.read4(0x62000), core.physical.read4(0x60ffc)]).toEqual([
      2, 2, 3, 4,
    ]);
    expect([core.physical.read4(0x64008), core.physical.read4(0x64004), core.physical.read4(0x64000)]).toEqual([1, 2, 3]);
    expect([core.reg("eax"), core.reg("ebx"), core.reg("edx"), core.reg("esi"), core.reg("edi")]).toEqual([5, 4, 3, 2, 2]);
  });

  it("words across the end of a page that is last in a row", () => {
    const { core } = run(
      {
        source: `
          mov ecx, 4200
          xor edx, edx
          xor ebx, ebx
        again:
          add edx, [0x40000 + ebx]
          jmp on
        on:
          movzx eax, word ptr [0x40000 + ebx]
          add edx, eax
          inc ebx
          dec ecx
          jnz again
          int3`,
        prepare: mapTwoPages,
      },
      hot,
    );
    const memory = twoPages.flat();
    let sum = 0;
    for (let at = 0; at < 4200; at++) {
      sum = (sum + memory[at] + (memory[at + 1] << 8) + (memory[at + 2] << 16) + (memory[at + 3] << 24) + memory[at] + (memory[at + 1] << 8)) | 0;
    }
    expect(core.R[slot.edx]).toBe(sum);
  });

  it.each([[[]], [["forward"]]])("a register that moves between two accesses, without passes %j", (without) => {
    const { core } = run(
      {
        without,
        source: `
          mov ecx, 40
          mov ebx, 0x40000
          xor edx, edx
        again:
          add edx, [ebx]
          add ebx, 64
          add edx, [ebx]
          sub ebx, 64
          dec ecx
          jnz again
          int3`,
        prepare: (core) => {
          core.physical.write4(0x40000, 1);
          core.physical.write4(0x40040, 1000);
        },
      },
      hot,
    );
    expect(core.reg("edx")).toBe(40 * 1001);
  });

  it("a table as large as a page, and a word that goes over its end", () => {
    const { core } = run(
      {
        source: `
          mov ecx, 4100
          xor edx, edx
        again:
          mov esi, ecx
          and esi, 4095
          add edx, [0x40000 + esi]
          movzx eax, byte ptr [0x40000 + esi]
          add edx, eax
          movzx eax, byte ptr [0x40000 + esi]
          sub edx, eax
          dec ecx
          jnz again
          int3`,
        prepare: mapTwoPages,
      },
      hot,
    );
    const memory = twoPages.flat();
    let sum = 0;
    for (let n = 4100; n > 0; n--) {
      const at = n & 4095;
      sum = (sum + memory[at] + (memory[at + 1] << 8) + (memory[at + 2] << 16) + (memory[at + 3] << 24)) | 0;
    }
    expect(core.R[slot.edx]).toBe(sum);
  });

  it("bytes of a table that lies in one page, and in two", () => {
    const { core } = run(
      {
        source: `
          mov ecx, 200
          xor edx, edx
        again:
          movzx esi, cl
          mov al, [ebx + esi + 2]
          movzx edi, byte ptr [ebx + esi]
          mov ah, [ebx + edi]
          mov [ebx + esi + 1], ah
          movzx eax, ax
          add edx, eax
          cmp ecx, 100
          jne on
          mov ebx, 0x40f80
        on:
          dec ecx
          jnz again
          int3`,
        prepare: (core) => {
          mapTwoPages(core);
          core.R[slot.ebx] = 0x40800;
        },
      },
      hot,
    );
    const memory = twoPages.flat();
    let sum = 0;
    for (let n = 200; n > 0; n--) {
      const ebx = n >= 100 ? 0x800 : 0xf80;
      const low = memory[ebx + n + 2];
      const high = memory[ebx + memory[ebx + n]];
      memory[ebx + n + 1] = high;
      sum += low + 256 * high;
    }
    expect(core.reg("edx")).toBe(sum);
  });

  it("code comes to stand on a page that a loop writes to", () => {
    const { core } = run(
      {
        source: `
          xor edx, edx
          mov ecx, 50
          mov dword ptr [0x40000], 0x000001b8
          mov word ptr [0x40004], 0xc300
          mov ebx, 0x40000
        again:
          mov [0x40001], cl
          cmp ecx, 25
          jg on
          call ebx
          add edx, eax
        on:
          dec ecx
          jnz again
          int3`,
      },
      hot,
    );
    expect(core.reg("edx")).toBe((25 * 26) / 2);
  });

  it("a write finds the page table entry changed, without INVLPG: what is read then is there, too", () => {
    const { core } = run(
      {
        source: `
          mov ecx, 40
          xor edx, edx
        again:
          cmp ecx, 10
          jne on
          mov dword ptr [${entryOf(0x40000)}], ${0x42000 | all}
          mov dword ptr [0x40004], 1
        on:
          add edx, [0x40000]
          dec ecx
          jnz again
          int3`,
        prepare: (core) => {
          core.R[slot.cr0] |= cr0bit.wp;
          core.map(0x40000, 0x41000, pte.present | pte.user);
          core.physical.write4(0x41000, 1);
          core.physical.write4(0x42000, 1000);
          core.flush();
        },
      },
      hot,
    );
    expect(core.reg("edx")).toBe(30 + 10 * 1000);
  });

  it("a page that is read becomes dirty when it is written", () => {
    const { core } = run(
      {
        source: `
          mov ecx, 40
        again:
          mov eax, [0x40000]
          cmp ecx, 5
          jne on
          mov ebx, [${entryOf(0x40000)}]
          mov dword ptr [0x40010], 1
          mov edx, [${entryOf(0x40000)}]
        on:
          dec ecx
          jnz again
          int3`,
      },
      hot,
    );
    expect(core.reg("ebx") & pte.dirty).toBe(0);
    expect(core.reg("edx") & pte.dirty).toBe(pte.dirty);
  });
});

describe("which accesses have sites", () => {
  const sitesIn = (source: string): number => {
    const texts: string[] = [];
    const core = new Core({ hot: true, step: 3 });
    core.dispatcher.regions.made = ({ code }) => void texts.push(code.text);
    core.protectedMode(0);
    core.load(assemble(source));
    core.run();
    const loop = texts.find((text) => text.includes("for (; ; )")) as string;
    return (loop.match(/isOnSite\(/g) ?? []).length;
  };
  const loop = (body: string): string => `
      mov ebx, 0x40000
      mov esi, 0x41000
      mov ecx, 30
    again:
      ${body}
      dec ecx
      jnz again
      int3`;

  it.each([
    ["words of the stack, together", "mov eax, [esp + 8]\nadd eax, [esp + 12]\nmov [esp + 4], eax", 1],
    ["of the stack, further apart than a group is wide", "mov eax, [esp + 8]\nadd eax, [esp + 1024]", 2],
    ["a fixed place", "add eax, [0x40000]", 1],
    ["what a register points to that the loop leaves alone", "add eax, [ebx + 4]", 1],
    ["an array, word by word", "add eax, [ebx]\nadd ebx, 4", 1],
    ["two arrays by one index", "mov eax, [0x40000 + ecx * 4]\nadd [0x42000 + ecx * 4], eax", 2],
    ["a small table by a byte", "movzx edx, cl\nadd al, [ebx + edx]", 1],
    ["a table that may go over two pages", "movzx edx, cl\nadd eax, [ebx + edx * 4]", 0],
    ["one that does not", "movzx edx, cl\nadd eax, [0x40c00 + edx * 4]", 1],
    ["one that does", "movzx edx, cl\nadd eax, [0x40c10 + edx * 4]", 0],
    ["one whose last word does", "mov edx, ecx\nand edx, 4095\nmov eax, [0x40000 + edx]\nadd al, [0x40000 + edx]", 1],
    ["bytes of a small table, together", "movzx edx, cl\nmov al, [ebx + edx]\nmov dl, [ebx + edx + 1]\nadd al, dl", 1],
    ["what FS points to", "mov eax, fs:[0x40000]\nmov eax, fs:[0x40010]", 1],
    ["a list, from link to link", "mov ebx, [ebx]\nmov ebx, 0x40000\nadd ebx, eax", 0],
    ["an array by large steps", "add eax, [ebx]\nadd ebx, 4096\nand ebx, 0x4f000", 0],
  ])("%s", (_name, body, count) => {
    expect(sitesIn(loop(body))).toBe(count);
  });

  it("none without the optimisation", () => {
    const texts: string[] = [];
    const disabled = new Set(["sites"] as const);
    const core = new Core({ hot: true, step: 3, disabled, translator: new JavaScriptTranslator({ disabledPasses: disabled }) });
    core.dispatcher.regions.made = ({ code }) => void texts.push(code.text);
    core.protectedMode(0);
    core.load(assemble(loop("add eax, [esp + 8]")));
    core.run();
    expect(texts.length).toBeGreaterThan(0);
    expect(texts.filter((text) => text.includes("isOnSite"))).toEqual([]);
  });
});

describe("in a machine", () => {
  afterEach(() => void vi.unstubAllGlobals());

  it("only where the host makes WebAssembly of regions", () => {
    const machine = createMachine({ kernel: demoImage() });
    expect(machine.newTranslator().does("sites")).toBe(true);
    vi.stubGlobal("WebAssembly", { ...WebAssembly, validate: () => false });
    expect(machine.newTranslator().does("sites")).toBe(false);
    vi.stubGlobal("WebAssembly", undefined);
    expect(machine.newTranslator().does("sites")).toBe(false);
  });
});
