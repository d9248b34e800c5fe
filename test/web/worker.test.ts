/** Parts of the worker and the page that need no browser. */
import { describe, expect, it } from "vitest";
import { demoImage } from "../../src/demo/image.ts";
import { MachineError } from "../../src/machine/options.ts";
import { classify } from "../../src/web/page/classify.ts";
import { HotPlaces } from "../../src/web/session/hot-places.ts";
import { describeProblem } from "../../src/web/session/problems.ts";
import { SerialOutput } from "../../src/web/session/serial-output.ts";
import { slot } from "../../translator/contract/slots.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("serial output", () => {
  it("has one piece under way and joins what waits", () => {
    const sent: string[] = [];
    const output = new SerialOutput((bytes) => sent.push(new TextDecoder().decode(bytes)));
    output.add(bytesOf("a"));
    output.add(bytesOf("b"));
    output.add(bytesOf("c"));
    expect(sent).toEqual(["a"]);
    output.shown();
    expect(sent).toEqual(["a", "bc"]);
    output.shown();
    output.add(bytesOf("d"));
    expect(sent).toEqual(["a", "bc", "d"]);
  });

  it("drops the oldest of what is too much, and says so", () => {
    const sent: Uint8Array[] = [];
    const output = new SerialOutput((bytes) => sent.push(bytes));
    output.add(bytesOf("first"));
    for (let k = 0; k < 300; k++) output.add(new Uint8Array(4096).fill(k));
    output.shown();
    const text = new TextDecoder("latin1").decode(sent[1]);
    const dropped = Number(/^\r\n\[(\d+) bytes were too fast for the terminal\]\r\n/.exec(text)?.[1]);
    expect(dropped).toBeGreaterThan(0);
    expect(dropped % 4096).toBe(0);
    const note = text.indexOf("]\r\n") + 3;
    expect(sent[1]!.length - note + dropped).toBe(300 * 4096);
    expect(sent[1]!.at(-1)).toBe(299 & 0xff);
  });
});

describe("what a dropped file is", () => {
  const file = (length: number, ...parts: readonly (readonly [offset: number, bytes: Uint8Array])[]): File => {
    const bytes = new Uint8Array(length);
    for (const [offset, part] of parts) bytes.set(part, offset);
    return new File([bytes], "file");
  };
  const signature = [510, Uint8Array.of(0x55, 0xaa)] as const;

  it.each([
    ["an ISO 9660 CD", file(40_000, [0x8001, bytesOf("CD001")]), "hdc"],
    ["a CD that is a disk as well", file(40_000, signature, [0x8001, bytesOf("CD001")]), "hdc"],
    ["a qcow2 image", file(512, [0, Uint8Array.of(0x51, 0x46, 0x49, 0xfb)]), "hda"],
    ["a Linux kernel", file(4096, signature, [0x202, bytesOf("HdrS")]), "kernel"],
    ["a Multiboot kernel", new File([demoImage() as Uint8Array<ArrayBuffer>], "demo"), "kernel"],
    ["a compressed initial RAM disk", file(100, [0, Uint8Array.of(0x1f, 0x8b)]), "initrd"],
    ["a cpio archive", file(100, [0, bytesOf("070701")]), "initrd"],
    ["a floppy", file(1440 * 1024, signature), "fda"],
    ["a boot sector", file(512, signature), "fda"],
    ["a floppy of 2.88 MB", file(2880 * 1024), "fda"],
    ["a hard disk", file(3 << 20, signature), "hda"],
    ["an empty file", file(0), "fda"],
  ])("%s", async (_, dropped, role) => {
    expect(await classify(dropped)).toBe(role);
  });
});

describe("hot places", () => {
  it("weighs where slices ended by the instructions that led there, since it was last asked", () => {
    const places = new HotPlaces();
    const R = new Int32Array(4096);
    let retired = 0;
    const at = (eip: number, base: number, inRegion: boolean, instructions = 16_384): void => {
      R[slot.eip] = eip;
      R[slot.segmentBase + 1] = base;
      retired += instructions;
      places.sliceEnded(R, inRegion, retired);
    };
    for (let k = 0; k < 3; k++) at(0x10, 0xf0000, false);
    at(0xc0000000 | 0, 0, true, 10);
    // A loop inside a region is heard of when it is left.
    at(0x1234, 0, false, 1_000_000);
    const { total, places: found } = places.take(10);
    expect(total).toBe(3 * 16_384 + 10 + 1_000_000);
    expect(found).toEqual([
      { address: 0x1234, mode: 0, instructions: 1_000_000, inRegion: true },
      { address: 0xf0010, mode: 0, instructions: 3 * 16_384, inRegion: false },
      { address: 0xc0000000, mode: 0, instructions: 10, inRegion: true },
    ]);
    expect(places.take(10)).toEqual({ total: 0, places: [] });
    for (let k = 0; k < 20_000; k++) at(k & 1, 0, false, 1);
    expect(places.take(1)).toMatchObject({ total: 8192, places: [{ instructions: 4096 }] });
    // A reset counts from the beginning.
    retired = 0;
    at(1, 0, false, 100);
    expect(places.take(1).total).toBe(0);
  });
});

describe("problems", () => {
  it("are told in words, without a stack", () => {
    expect(describeProblem(new MachineError("memory: expected more"))).toBe("memory: expected more");
    expect(describeProblem(new TypeError("x is undefined"))).toBe("an error inside xlat86, which should be reported: x is undefined");
    expect(describeProblem(Object.assign(new Error("unsafe-eval"), { name: "EvalError" }))).toContain("Content-Security-Policy");
  });
});
