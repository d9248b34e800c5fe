/** The count of retired instructions, by which machines are compared: exact, and the same whatever the guest is optimised with. Expected counts are counted by hand. */
import { describe, expect, it } from "vitest";
import { createLockstepMachine } from "../../src/machine/machine.ts";
import { type OptimisationName, optimisationNames } from "../../translator/contract/optimisations.ts";
import { entry, kernel } from "../api/kernels.ts";

const le32 = (n: number): number[] => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
const cliHlt = [0xfa, 0xf4];

const configurations: readonly (readonly [string, readonly OptimisationName[]])[] = [
  ["all", []],
  ["none", optimisationNames],
  ["regions alone", optimisationNames.filter((name) => name !== "regions")],
];

/** Instructions up to the halt, which is the last of them. */
function count(code: readonly number[], disable: readonly OptimisationName[], how: "run" | "step" | "both"): number {
  const machine = createLockstepMachine({ kernel: kernel(code), memory: 4 << 20, disable });
  const { lockstep } = machine;
  for (let k = 0; k < 100_000_000 && !lockstep.isHalted && machine.ended === undefined; k++) {
    if (how === "step" || (how === "both" && k % 3 === 0)) lockstep.step();
    else lockstep.run(how === "both" ? 1 + (k % 90) : 1_000_000);
  }
  expect(machine.ended).toBeUndefined();
  const { instructions } = lockstep;
  machine.destroy();
  return instructions;
}

describe.each(configurations)("with optimisations: %s", (_, disable) => {
  const counts = (code: readonly number[]): number[] => (["run", "step", "both"] as const).map((how) => count(code, disable, how));

  it("a loop", () => {
    // mov ecx, 20000; again: inc eax; dec ecx; jnz again; cli; hlt
    const turns = 20_000;
    expect(counts([0xb9, ...le32(turns), 0x40, 0x49, 0x75, 0xfc, ...cliHlt])).toEqual(Array(3).fill(1 + 3 * turns + 2));
  });

  it("a repeated string instruction is one, whatever it does", () => {
    // mov edi, 200000h; mov ecx, 70000; rep stosb; mov esi, 200001h; mov edi, 210000h; mov ecx, 30000; rep movsb; cli; hlt
    const code = [
      0xbf,
      ...le32(0x200000),
      0xb9,
      ...le32(70_000),
      0xf3,
      0xaa,
      0xbe,
      ...le32(0x200001),
      0xbf,
      ...le32(0x210000),
      0xb9,
      ...le32(30_000),
    ];
    expect(counts([...code, 0xf3, 0xa4, ...cliHlt])).toEqual(Array(3).fill(9));
  });

  it("a block that overwrites what is left of itself", () => {
    // Each turn changes the immediate behind the store: mov ecx, 3000; again: mov [next + 1], cl; next: mov eax, 0; nop x5; dec ecx; jnz again; cli; hlt
    const turns = 3000;
    const next = entry + 5 + 6;
    const body = [0x88, 0x0d, ...le32(next + 1), 0xb8, ...le32(0), 0x90, 0x90, 0x90, 0x90, 0x90, 0x49];
    const code = [0xb9, ...le32(turns), ...body, 0x75, 256 - body.length - 2, ...cliHlt];
    expect(counts(code)).toEqual(Array(3).fill(1 + 9 * turns + 2));
  });

  it("an instruction that faults does not retire", () => {
    // DIV by zero goes through gate 0 of an IDT in the image to a handler that makes the divisor 1 and returns to the DIV.
    const turns = 5000;
    const place = { idt: 0x40, gate: 0x48, handler: 0x50 } as const;
    const code = [
      ...[0xbc, ...le32(0x300000)], //                mov esp, 300000h
      ...[0x0f, 0x01, 0x1d, ...le32(entry + place.idt)], // lidt [idt]
      ...[0xb9, ...le32(turns)], //                   mov ecx, turns
      ...[0x31, 0xdb], //                             again: xor ebx, ebx
      ...[0xb8, ...le32(6), 0x99, 0x90], //           mov eax, 6; cdq; nop
      ...[0xf7, 0xf3], //                             div ebx
      ...[0x49, 0x75, 0xf2, ...cliHlt], //            dec ecx; jnz again
    ];
    const image = new Uint8Array(0x60);
    image.set(code);
    image.set([7, 0, ...le32(entry + place.gate)], place.idt);
    const [low, next, third, high] = le32(entry + place.handler);
    // An interrupt gate to our boot loader's code segment, 10h.
    image.set([low!, next!, 0x10, 0, 0, 0x8e, third!, high!], place.gate);
    image.set([0x43, 0xcf], place.handler); // inc ebx; iretd
    // A turn: four, the DIV that faults for nothing, the handler's two, the DIV, the last two.
    expect(counts([...image])).toEqual(Array(3).fill(3 + turns * (4 + 2 + 1 + 2) + 2));
  });
});
