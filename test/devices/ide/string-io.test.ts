/**
 * REP INS and REP OUTS with a data port that hands over many elements at once must leave what they leave with one that does not: registers, memory, the order of
 * bytes at the port, and where a page fault strikes. The judge is the path element by element.
 */
import { describe, expect, test } from "vitest";
import { assemble } from "../../support/assembler.ts";
import { Core, place, pte } from "../../support/core.ts";
import { Random } from "../support.ts";

const port = 0x1f0;

/** A device whose n-th byte is a function of n, and that keeps what it gets. In bulk it gives up to `blocks` bytes at a time, and none every third time. */
function attach(core: Core, bulk: boolean, random: Random): { readonly out: number[] } {
  const out: number[] = [];
  let given = 0;
  const next = () => (given++ * 167 + 13) & 0xff;
  core.portRead = (_, size) => {
    let value = 0;
    for (let k = 0; k < size; k++) value |= next() << (8 * k);
    return value >>> 0;
  };
  core.portWrite = (_, size, value) => {
    for (let k = 0; k < size; k++) out.push((value >>> (8 * k)) & 0xff);
  };
  const ports = core.cpu.board.ports as { -readonly [key in keyof typeof core.cpu.board.ports]: (typeof core.cpu.board.ports)[key] };
  if (bulk) {
    const some = (wanted: number, size: number) => (random.below(3) === 0 ? 0 : Math.min(wanted, 2 + random.below(700)) & -size);
    ports.readBlock = (at, size, into) => {
      const bytes = at === port ? some(into.length, size) : 0;
      for (let i = 0; i < bytes; i++) into[i] = next();
      return bytes;
    };
    ports.writeBlock = (at, size, from) => {
      const bytes = at === port ? some(from.length, size) : 0;
      out.push(...from.subarray(0, bytes));
      return bytes;
    };
  }
  return { out };
}

const programs = (["insb", "insw", "insd", "outsb", "outsw", "outsd"] as const).flatMap((instruction) =>
  ["", "addr16 ", "std\n", "single "].map((kind) => ({
    name: `${kind.trim() || "plain"} ${instruction}`,
    program: assemble(
      `${kind === "std\n" ? "std\n" : ""}${kind === "single " ? "" : "rep "}${kind === "addr16 " ? "addr16 " : ""}${instruction}\nhlt`,
      place.code,
    ),
  })),
);

/** Slices so short that they end in the middle of what is moved. */
const slice = 60;
const cores = { bulk: new Core({ slice }), single: new Core({ slice }) };

describe.each(programs)("$name", ({ program, name }) => {
  test("in bulk and one by one", () => {
    const random = new Random(name.length * 7919 + program.bytes.length);
    for (let round = 0; round < 8; round++) {
      const count = random.pick([0, 1, 2, 255, 256, 1500, 3000]);
      const at = 0x20000 + random.below(0x1100);
      const hole = random.below(3) === 0 ? 0x21000 : -1;
      const run = (bulk: boolean) => {
        const core = (bulk ? cores.bulk : cores.single).reset().protectedMode(0).load(program);
        core.cpu.portCounts[port] = 0;
        const device = attach(core, bulk, new Random(round + 5));
        for (let i = 0; i < 0x6000; i++) core.physical.u8[0x1e000 + i] = (i * 31) & 0xff;
        // 16-bit addresses wrap at 64 KiB.
        const isWord = name.startsWith("addr16");
        const offset = isWord ? 0xf000 + (at & 0xfff) : at;
        if (isWord) {
          core.map(0, 0x1e000, pte.present | pte.writable);
          core.map(0xf000, 0x1f000, pte.present | pte.writable);
        }
        if (hole >= 0) core.map(isWord ? 0 : hole, 0, 0);
        core.flush();
        const { R } = core;
        const set = (register: "eax" | "ecx" | "edx" | "esi" | "edi", value: number) => {
          R[{ eax: 0, ecx: 1, edx: 2, esi: 6, edi: 7 }[register]] = value;
        };
        set("ecx", count);
        set("edx", port);
        set("esi", offset);
        set("edi", offset);
        const stop = core.run(1_000_000);
        const registers = (["ecx", "esi", "edi"] as const).map((register) => core.reg(register));
        return {
          stop,
          registers,
          memory: Buffer.from(core.physical.readBytes(0x1e000, 0x6000)).toString("hex"),
          out: device.out,
          counts: core.cpu.portCounts[port],
        };
      };
      const one = run(false);
      expect(run(true)).toEqual(one);
    }
  });
});
