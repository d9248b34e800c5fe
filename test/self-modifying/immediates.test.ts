/**
 * Immediates and displacements that are written again and again: the region with the instruction goes once, and lives on from the next time it is made, computing with what memory holds.
 * That the region does so, and not tier 0, is seen from its entries.
 */
import { describe, expect, it } from "vitest";
import { often } from "../../runtime/code/doubts.ts";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { assemble } from "../support/assembler.ts";
import { Core, type CoreOptions, place } from "../support/core.ts";
import { HeldThread } from "../support/held-thread.ts";

const data = 0x20000;
const rounds = 4000;

/** `patched` in a loop that counts ECX down, from an address that is `skew` more than a multiple of 64. */
const loop = (patched: string, before = "", skew = 0): string => `
    jmp again
    .balign 64
    .skip ${skew}
  again:
    ${before}
  target:
    ${patched}
    dec ecx
    jnz again
    hlt`;

const hosts: readonly { readonly name: string; readonly options: CoreOptions }[] = [
  { name: "WebAssembly", options: {} },
  { name: "JavaScript", options: { disabled: new Set(["wasm"]) } },
];

class Run {
  readonly core: Core;
  readonly labels: Readonly<Record<string, number>>;

  constructor(source: string, options: CoreOptions = {}) {
    const program = assemble(source, place.code);
    this.core = new Core(options).load(program).protectedMode(0);
    this.labels = program.labels;
    this.core.R[slot.ecx] = rounds;
    this.core.R[slot.esi] = data;
    this.core.R[slot.eax] = 0;
  }

  get regions() {
    return this.core.dispatcher.regions;
  }
  get target(): number {
    return this.labels["target"];
  }
  get eax(): number {
    return this.core.reg("eax");
  }
  get ecx(): number {
    return this.core.reg("ecx");
  }

  /** Runs a little, then makes regions. */
  promote(): void {
    this.core.run(100);
    this.core.promote();
  }

  /** Makes regions, and loses those with the byte at `at` in them for another value there; then makes them again. */
  soften(at: number): void {
    this.promote();
    const { invalidated } = this.regions;
    this.core.physical.write1(at, this.core.physical.read1(at) ^ 1);
    expect(this.regions.invalidated).toBeGreaterThan(invalidated);
    this.promote();
    this.#invalidated = this.regions.invalidated;
  }
  #invalidated = 0;

  expectNoneLost(): void {
    expect(this.regions.invalidated).toBe(this.#invalidated);
    expect(this.regions.live.size).toBeGreaterThan(0);
  }

  /** By what the loop has to run more often than other code to get a region. */
  get patience(): number {
    const header = this.core.dispatcher.cache.find(this.labels["again"], this.core.R[slot.mode]);
    const { policy } = this.core.dispatcher;
    policy.noteEntered(header);
    return policy.patience(header);
  }

  /** To where a round begins. */
  toAgain(): void {
    for (let k = 0; this.core.eip !== this.labels["again"]; k++) {
      expect(k).toBeLessThan(20);
      this.core.run(1);
    }
  }

  /** Instructions that tier 0 executed. */
  private get cold(): number {
    return this.core.dispatcher.cache.executed + this.regions.tierZeroInstructions;
  }

  /** To the end, in regions. */
  end(): void {
    const { cold } = this;
    const { entries } = this.regions;
    expect(this.core.run(1_000_000).kind).toBe("halted");
    expect(this.regions.entries).toBeGreaterThan(entries);
    // A group of accesses to this page, which has code, is given up so often, up to four instructions each time.
    expect(this.cold - cold).toBeLessThan(100 + 4 * often);
    this.expectNoneLost();
  }
}

/** Instructions that add to EAX: where in them the bytes are that are written, and what each round adds with the bytes that are written last. */
const adders: readonly {
  readonly text: string;
  readonly at: number;
  readonly bytes: readonly number[];
  readonly adds: number;
  readonly mask?: number;
}[] = [
  { text: "add eax, 0x11111111", at: 1, bytes: [0x78, 0x56, 0x34, 0x92], adds: 0x92345678 },
  { text: "add ax, 0x1111", at: 2, bytes: [0x34, 0x92], adds: 0x9234, mask: 0xffff },
  { text: "add al, 0x11", at: 1, bytes: [0x93], adds: 0x93, mask: 0xff },
  { text: "add eax, 17", at: 2, bytes: [0x85], adds: 0x85 - 256 },
  { text: "add ax, 17", at: 3, bytes: [0x85], adds: 0x85 - 256, mask: 0xffff },
  { text: "mov edx, 0x11111111\n add eax, edx", at: 1, bytes: [0x78, 0x56, 0x34, 0x92], adds: 0x92345678 },
  { text: "add eax, [esi + 16]", at: 2, bytes: [0xf0], adds: 1000 - 16 },
  { text: "add eax, [esi + 0x1000]", at: 2, bytes: [0x04, 0x02, 0x00, 0x00], adds: 1000 + 0x204 },
  { text: `add eax, [${data + 4}]`, at: 2, bytes: [0x08], adds: 1000 + 8 },
  { text: `mov edx, eax\n mov eax, [${data + 4}]\n add eax, edx`, at: 3, bytes: [0x08], adds: 1000 + 8 },
  { text: "lea eax, [eax + esi * 4 + 0x11111111]", at: 3, bytes: [0x78, 0x56, 0x34, 0x92], adds: 0x92345678 + 4 * data },
];

describe.each(hosts)("in $name", ({ options }) => {
  /** Words that say where they are. */
  const prepare = (run: Run): Run => {
    for (let k = -0x400; k < 0x400; k += 4) run.core.physical.write4(data + k, 1000 + k);
    return run;
  };

  describe.each([0, 1, 2, 3])("written from outside, %d bytes behind a word's beginning", (skew) => {
    it.each(adders)("$text", ({ text, at, bytes, adds, mask = 0xffffffff }) => {
      const run = prepare(new Run(loop(text, "", skew), options));
      run.soften(run.target + at);
      bytes.forEach((byte, k) => {
        run.core.physical.write1(run.target + at + k, byte);
      });
      run.expectNoneLost();
      const [before, left] = [run.eax, run.ecx];
      run.end();
      expect((run.eax & mask) >>> 0).toBe(((before + Number(BigInt.asUintN(32, BigInt(left) * BigInt(adds)))) & mask) >>> 0);
    });
  });

  it("one byte of four, at every place of a slice", () => {
    const run = new Run(loop("add eax, 0x11111111"), options);
    run.soften(run.target + 1);
    let value = run.core.physical.read4(run.target + 1);
    for (let k = 0; run.ecx > 100; k++) {
      const [before, left] = [run.eax, run.ecx];
      run.core.run(30 + k);
      expect(run.eax).toBe((before + Math.imul(left - run.ecx, value)) >>> 0);
      run.core.physical.write1(run.target + 1 + (k & 3), 37 * k);
      value = run.core.physical.read4(run.target + 1);
      // Where a round is not over.
      run.toAgain();
    }
    run.end();
  });

  it.each([
    ["mov [target + 1], ecx", rounds],
    ["mov [target + 1], cl", 255],
    ["mov [target + 1], cx", 65535],
    ["mov edx, ecx\n xor edx, 0x55\n mov [target + 1], edx\n mov [target + 1], ecx", rounds],
    ["push ecx\n pop dword ptr [target + 1]", rounds],
  ])("written by the region that it is in, right before: %s", (store, mask) => {
    const run = new Run(loop("add eax, 0x11111111", store), options);
    run.soften(run.target + 1);
    run.core.physical.write4(run.target + 1, 0);
    run.toAgain();
    let expected = run.eax;
    for (let k = run.ecx; k > 0; k--) expected += mask === rounds ? k : k & mask;
    run.end();
    expect(run.eax).toBe(expected);
  });

  it("written behind, in the same round", () => {
    const run = new Run(`again:\n target:\n add eax, 0x11111111\n mov [target + 1], ecx\n dec ecx\n jnz again\n hlt`, options);
    run.soften(run.target + 1);
    run.toAgain();
    run.core.physical.write4(run.target + 1, 0);
    const [before, left] = [run.eax, run.ecx];
    run.end();
    expect(run.eax).toBe(before + (left * (left + 1)) / 2 - 1);
  });

  it("between the instruction and what uses its result", () => {
    const run = new Run(`again:\n target:\n mov edx, 0x11111111\n mov [target + 1], ecx\n add eax, edx\n dec ecx\n jnz again\n hlt`, options);
    run.soften(run.target + 1);
    run.toAgain();
    run.core.physical.write4(run.target + 1, 0);
    const [before, left] = [run.eax, run.ecx];
    run.end();
    expect(run.eax).toBe(before + (left * (left + 1)) / 2 - 1);
  });

  it("an instruction that writes its own immediate does with what was there before", () => {
    // C7 05 disp32 imm32: the immediate becomes 7 by the first round.
    const run = new Run(`again:\n target:\n mov dword ptr [target + 6], 7\n add eax, [target + 6]\n dec ecx\n jnz again\n hlt`, options);
    run.soften(run.target + 6);
    run.toAgain();
    run.core.physical.write4(run.target + 6, 7);
    const [before, left] = [run.eax, run.ecx];
    run.end();
    expect(run.eax).toBe(before + 7 * left);
  });

  it("what is not a number ends the region", () => {
    const run = new Run(loop("add eax, 3"), options);
    run.soften(run.target + 2);
    run.core.physical.write1(run.target + 2, 3);
    run.expectNoneLost();
    // 83 /5: SUB.
    run.core.physical.write1(run.target + 1, 0xe8);
    expect(run.regions.live.size).toBe(0);
    const [before, left] = [run.eax, run.ecx];
    run.core.run(1_000_000);
    expect(run.eax).toBe((before - 3 * left) >>> 0);
  });

  it("nor does a branch's target or a shift's count stay", () => {
    for (const [text, at] of [
      ["jmp 1f\n nop\n 1: add eax, 1", 1],
      ["mov edx, 2\n shl edx, 3\n add eax, edx", 7],
    ] as const) {
      const run = new Run(loop(text), options);
      run.promote();
      const { invalidated } = run.regions;
      for (let k = 0; k < 3; k++) {
        const byte = run.core.physical.read1(run.target + at);
        run.core.physical.write1(run.target + at, byte ^ 1);
        expect(run.regions.live.size).toBe(0);
        run.core.physical.write1(run.target + at, byte);
        run.promote();
      }
      expect(run.regions.invalidated).toBeGreaterThanOrEqual(invalidated + 3);
      const [before, left] = [run.eax, run.ecx];
      run.core.run(1_000_000);
      expect(run.eax).toBe(before + left * (text.startsWith("jmp") ? 1 : 16));
    }
  });

  it("what a callout is told may be anything", () => {
    const run = new Run(loop("pshufd xmm1, xmm0, 0\n movd edx, xmm1\n add eax, edx", "movd xmm0, esi"), options);
    for (const order of [1, 0, 2, 0]) {
      run.promote();
      run.promote();
      run.toAgain();
      run.core.physical.write1(run.target + 4, order);
      const [before, left] = [run.eax, run.ecx];
      run.core.run(200);
      run.toAgain();
      expect(run.eax).toBe((before + (left - run.ecx) * (order === 0 ? data : 0)) >>> 0);
    }
  });

  it("the block that a region stood in for has the new numbers when it runs again", () => {
    const run = new Run(loop("add eax, 0x11111111\n test ecx, 1\n jz 1f\n nop\n 1:"), options);
    run.soften(run.target + 1);
    run.core.physical.write4(run.target + 1, 5);
    run.core.physical.write1(run.target + 2, 1);
    run.expectNoneLost();
    // NOP, in another block, becomes INC EDX.
    run.core.physical.write1(run.target + 13, 0x42);
    expect(run.regions.live.size).toBe(0);
    const [before, left] = [run.eax, run.ecx];
    run.core.R[slot.edx] = 0;
    // The round under way may have its addition behind it.
    run.core.run(200);
    const [between, rest] = [run.eax, run.ecx];
    expect(Math.abs((between - before) / 0x105 - (left - rest))).toBeLessThanOrEqual(1);
    // And again when it is tier 0's.
    run.core.physical.write1(run.target + 1, 9);
    run.core.run(1_000_000);
    expect([rest * 0x109, (rest - 1) * 0x109]).toContain(run.eax - between);
    expect(Math.abs(run.core.reg("edx") - left / 2)).toBeLessThanOrEqual(1);
  });

  it("nor does that block miss a write where its region was lost for another page", () => {
    const source = `jmp again\n .balign 64\n again:\n target:\n add eax, 0x11111111\n jmp other\n back:\n dec ecx\n jnz again\n hlt\n .balign 4096\n other:\n nop\n jmp back`;
    const run = new Run(source, options);
    run.soften(run.target + 1);
    run.core.physical.write4(run.target + 1, 5);
    run.expectNoneLost();
    run.core.physical.write1(run.labels["other"], 0x42);
    run.core.run(100);
    run.core.physical.write4(run.target + 1, 9);
    const [before, left] = [run.eax, run.ecx];
    run.core.run(1_000_000);
    expect([left * 9, (left - 1) * 9]).toContain(run.eax - before);
  });
});

describe("made beside the guest", () => {
  /** A region that was lost, and asked for again. */
  const askAgain = (): { run: Run; thread: HeldThread } => {
    const thread = new HeldThread();
    const run = new Run(loop("add eax, 0x11111111"), { regionThread: thread });
    thread.layout = run.regions.wasm?.layout;
    run.promote();
    thread.finish();
    run.core.dispatcher.making.receive();
    run.core.physical.write1(run.target + 1, 0x12);
    expect(run.regions.live.size).toBe(0);
    run.promote();
    expect(thread.jobs.length).toBeGreaterThan(0);
    return { run, thread };
  };

  it("is put in place although its immediate was written meanwhile", () => {
    const { run, thread } = askAgain();
    run.core.physical.write1(run.target + 2, 0x34);
    run.core.physical.write1(run.target + 3, 0x56);
    thread.finish();
    run.core.promote();
    expect(run.regions.live.size).toBeGreaterThan(0);
    const [before, left, { invalidated, entries }] = [run.eax, run.ecx, run.regions];
    run.core.physical.write4(run.target + 1, 7);
    run.core.run(1_000_000);
    expect(run.eax).toBe((before + 7 * left) >>> 0);
    expect(run.regions.invalidated).toBe(invalidated);
    expect(run.regions.entries).toBeGreaterThan(entries);
  });

  it("but not if its opcode was", () => {
    const { run, thread } = askAgain();
    const { translated } = run.regions;
    thread.finish();
    // 2D: SUB.
    run.core.physical.write1(run.target, 0x2d);
    run.core.dispatcher.making.receive();
    expect(run.regions.translated).toBe(translated);
    const [before, left] = [run.eax, run.ecx];
    run.core.run(1_000_000);
    expect(run.eax).toBe((before - Math.imul(left, 0x11111112)) >>> 0);
  });

  it("and the next one reads what was found to be written meanwhile", () => {
    const thread = new HeldThread();
    const run = new Run(loop("add eax, 0x11111111"), { regionThread: thread });
    thread.layout = run.regions.wasm?.layout;
    run.promote();
    thread.finish();
    run.core.physical.write1(run.target + 4, 0x12);
    run.core.dispatcher.making.receive();
    expect(run.regions.live.size).toBe(0);
    run.promote();
    thread.finish();
    run.core.dispatcher.making.receive();
    expect([...run.regions.live.values()].some(({ code }) => code.soft.has((run.target & 0xfff) + 4))).toBe(true);
  });
});

describe("what it costs", () => {
  it("nothing is soft where the optimisation is off", () => {
    const translator = new JavaScriptTranslator({ disabledPasses: new Set(["immediates"]) });
    const run = new Run(loop("add eax, 0x11111111"), { translator });
    run.soften(run.target + 1);
    const { invalidated } = run.regions;
    run.core.physical.write1(run.target + 1, 3);
    expect(run.regions.invalidated).toBeGreaterThan(invalidated);
  });

  it("the first loss for an immediate does not count; those for the opcode do", () => {
    const run = new Run(loop("add eax, 0x11111111"));
    run.soften(run.target + 1);
    run.core.physical.write1(run.target + 1, 1);
    run.core.run(100);
    expect(run.patience).toBe(1);
    const seen: number[] = [];
    for (let k = 0; k < 4; k++) {
      for (const opcode of [0x2d, 0x05]) run.core.physical.write1(run.target, opcode);
      run.core.run(100);
      seen.push(run.patience);
      run.promote();
    }
    expect(seen).toEqual([1, 2, 4, 8]);
  });

  it("however many bytes of a page are written for the first time, the next region is to be earned in the end", () => {
    const run = new Run(loop(`${"nop\n ".repeat(19)}nop`));
    run.promote();
    for (let k = 0; k < 20; k++) {
      // INC EDX.
      run.core.physical.write1(run.target + k, 0x42);
      run.promote();
    }
    expect(run.patience).toBeGreaterThanOrEqual(2 ** 8);
  });

  it("code that is written over itself stays", () => {
    const run = new Run(loop("add eax, 0x11111111", "mov byte ptr [target], 5\n mov dword ptr [target + 1], 0x11111111"));
    const { cache } = run.core.dispatcher;
    run.promote();
    const { invalidatedBlocks } = cache;
    run.core.run(1_000_000);
    expect(run.eax).toBe(Math.imul(rounds, 0x11111111) >>> 0);
    expect(cache.invalidatedBlocks).toBe(invalidatedBlocks);
    expect(run.regions.invalidated).toBe(0);
  });
});
