// The embedded guest: its image is what its sources assemble to, and it prints on our machine what it prints under QEMU.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { assembleDemo } from "../../src/demo/build.ts";
import { demoImage } from "../../src/demo/image.ts";
import { type Availability, hostProgram, mustSkip } from "../guests/oracle.ts";
import { SerialSession } from "../guests/serial-session.ts";
import { EXPECTED_OUTPUT, masked, runInQemu } from "./qemu.ts";

const LIMIT_SECONDS = 50;
const MEMORY = 16 << 20;
const expected = readFileSync(EXPECTED_OUTPUT, "utf8");

function binutils(): Availability {
  const missing = ["as", "ld", "objcopy"].map((name) => hostProgram(name, "binutils")).find((state) => !state.available);
  return missing ?? { available: true };
}

test("the committed image is what the sources assemble to", () => {
  if (mustSkip("the demo's image against its sources", binutils())) return;
  expect(Buffer.from(assembleDemo()).equals(Buffer.from(demoImage()))).toBe(true);
});

test("QEMU still prints what is expected", () => {
  if (mustSkip("the demo's expected output against QEMU", hostProgram("qemu-system-i386", "qemu-system-x86"))) return;
  expect(masked(runInQemu())).toBe(expected);
});

describe.each(["translate", "interpret"] as const)("the demo, --engine %s", (engine) => {
  test("prints what it prints under QEMU and powers off by itself", async () => {
    const session = new SerialSession({ kernel: demoImage(), memory: MEMORY, engine }, LIMIT_SECONDS);
    try {
      const exit = await session.exit();
      expect(masked(session.output)).toBe(expected);
      expect(exit.reason).toBe("power-off");
    } finally {
      session.machine.destroy();
    }
  });

  test("with a terminal it offers its prompt", async () => {
    const session = new SerialSession({ kernel: demoImage(), append: "interactive", memory: MEMORY, engine }, LIMIT_SECONDS);
    const command = async (line: string) => {
      session.type(`${line}\r`);
      await session.expect("\r\n");
      return session.expect("\r\n> ");
    };
    try {
      await session.expect("Type 'help' for the commands.\r\n> ");
      expect(await command("help")).toMatch(/primes .*popf .*smc .*fault .*cpuid .*off /s);
      expect(await command("primes")).toMatch(/primes below 1,000,000, by a sieve +78498\r\n/);
      expect(await command("popf")).toMatch(/ring 0: now IF=0\r\n.*ring 3: now IF=1 /);
      expect(await command("smc")).toMatch(/500500, expected 500500\r\n.* 55 66\r\n.* 77 88\r\n/);
      expect(await command("fault")).toMatch(/ring 3 jumps where nothing is mapped +#PF\(0004\) CR2 c0000456\r\n/);
      expect(await command("cpuid")).toMatch(/family 6 .*\r\nfeatures: fpu .*cmov/);
      expect(await command("nonsense")).toMatch(/^unknown command/);
      // Backspace takes a character back.
      expect(await command("popx\bf")).toMatch(/now IF=0/);
      session.type("off\r");
      await session.expect("Power off.");
      expect((await session.exit()).reason).toBe("power-off");
    } finally {
      session.machine.destroy();
    }
  });
});
