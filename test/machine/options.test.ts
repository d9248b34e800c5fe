/** What a program passes wrong is said at once, by name, before anything exists. */
import { describe, expect, it } from "vitest";
import { createMachine, MachineError } from "../../src/index.ts";

/** Sixteen bytes from its end, a BIOS has its first instruction: here a jump to itself. */
const bios = new Uint8Array(0x10000);
bios.set([0xeb, 0xfe], 0xfff0);

describe("options that cannot be", () => {
  it.each([
    [undefined, /expected options, such as/],
    [{}, /nothing to boot/],
    [{ bios: "bios.bin" }, /bios: expected a Uint8Array/],
    [{ bios: new Uint8Array(0x10000) }, /bios: expected a BIOS with its first instruction at offset 0xfff0, found nothing but zeros/],
    [{ bios: new Uint8Array(0x10000).fill(0xff) }, /found nothing but FFh/],
    [{ bios: new Uint8Array(1000) }, /bios: expected a BIOS of whole 64 KiB/],
    [{ bios, memory: Number.NaN }, /memory: expected 4 MiB to 3\.5 GiB/],
    [{ bios, boot: "" }, /boot: expected the letters/],
    [{ bios, drives: null }, /drives: expected \{ hda.*found null/],
    [{ bios, drives: { hdz: {} } }, /drives: expected .*found \{ hdz \}/],
    [{ bios, drives: { hda: "disk.img" } }, /drives\.hda: expected \{ storage, name \}; openImage/],
    [{ bios, drives: { hda: { storage: null } } }, /drives\.hda: expected \{ storage, name \}/],
    [{ bios, drives: { virtio: {} } }, /drives\.virtio: expected an array/],
    [{ bios, bootMenu: { wait: "x" } }, /bootMenu: expected \{ wait \}/],
    [{ bios, append: 5 }, /append: expected a string, found 5/],
    [{ bios, modules: 5 }, /modules: expected an array/],
    [{ bios, disable: "regions" }, /disable: expected a list/],
    [{ bios, debug: {} }, /debug: expected \{ categories, write/],
    [{ bios, vga: "no" }, /vga: expected true or false, found "no"/],
    [{ bios, memroy: 1 << 26 }, /unknown option memroy; did you mean memory\?/],
    [{ bios, hda: "disk.img" }, /unknown option hda; there are .*drives/],
  ])("%j", (options, message) => {
    const create = () => createMachine(options as never);
    expect(create).toThrow(MachineError);
    expect(create).toThrow(message);
  });
});

it("limits of a run are numbers", async () => {
  const machine = createMachine({ bios, memory: 4 << 20 });
  for (const control of [{ timeout: Number.NaN }, { timeout: -1 }, { instructions: "5" as never }]) {
    await expect(machine.run(control)).rejects.toThrow(/run: (timeout|instructions): expected a number from 0 up/);
  }
  expect(await machine.run({ instructions: 1000 })).toEqual({ reason: "timeout" });
  machine.destroy();
});
