/**
 * A PC driven as a test or a shell script drives it: SeaBIOS boots a floppy with a boot sector of our own, which prints a prompt and echoes what is typed through the
 * BIOS. What is looked at is the text on the screen. docs/driving.md shows the shortest of these.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fetchFirmware } from "../../src/guest/firmware.ts";
import { createMachine, type Machine, type MachineOptions } from "../../src/index.ts";
import { echoDisk } from "./echo-disk.ts";
import { type Availability, mustSkip } from "./oracle.ts";

const firmware: { bios: Uint8Array; vgaBios: Uint8Array } | string = await fetchFirmware().then(
  ({ bios, vgaBios }) => ({ bios: readFileSync(bios), vgaBios: readFileSync(vgaBios) }),
  (error: Error) => error.message,
);
const state: Availability = typeof firmware === "string" ? { available: false, reason: firmware } : { available: true };

/** A disk in memory. */
function inMemory(bytes: Uint8Array): NonNullable<NonNullable<MachineOptions["drives"]>["fda"]> {
  return {
    name: "floppy.img",
    storage: {
      size: bytes.length,
      readOnly: false,
      read: (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
      write: (offset, from) => bytes.set(from, offset),
      flush() {},
    },
  };
}

function boot(disk: Uint8Array, more: Partial<MachineOptions> = {}): Machine {
  if (typeof firmware === "string") throw new Error(firmware);
  return createMachine({ ...firmware, drives: { fda: inMemory(disk) }, boot: "a", memory: 32 * 2 ** 20, ...more });
}

describe("a PC driven by a program", { timeout: 200_000 }, () => {
  it.each([
    { engine: "translate", clock: "host" },
    { engine: "interpret", clock: "virtual" },
  ] as const)("shows a prompt, takes what is typed, and ends: %j", async (how) => {
    if (mustSkip("driving a PC", state)) return;
    const machine = boot(echoDisk(0), how);
    const run = machine.run({ timeout: 180 });
    await machine.screen.waitForText("ready>");
    await machine.keyboard.type("Hello, World! ~{}|\n2nd line");
    const lines = await machine.screen.waitForText(/^2nd line$/m);
    expect(lines).toContain("ready> Hello, World! ~{}|");
    expect(machine.screen.kind).toBe("text");
    expect([...machine.screen.png().subarray(1, 4)]).toEqual([0x50, 0x4e, 0x47]);
    await machine.keyboard.press("Escape");
    expect(await run).toMatchObject({ reason: "debug-exit", value: 0 });
    machine.destroy();
  });

  it("never overruns the BIOS's buffer of 15 keys, however slowly the guest reads", async () => {
    if (mustSkip("pacing of typed keys", state)) return;
    const machine = boot(echoDisk(2));
    const run = machine.run({ timeout: 180 });
    await machine.screen.waitForText("ready>");
    const text = "the quick brown fox jumps over the lazy dog 0123456789";
    void machine.keyboard.type(`${text}\n`);
    await machine.screen.waitForText(`ready> ${text}`, { timeout: 120 });
    machine.pause();
    await run;
    machine.destroy();
  });

  it("says what is on the screen when what was waited for does not come", async () => {
    if (mustSkip("waiting for text", state)) return;
    const machine = boot(new Uint8Array(1440 * 1024));
    const run = machine.run({ timeout: 180 });
    await machine.screen.waitForText("Boot failed");
    await expect(machine.screen.waitForText("login:", { timeout: 0.5 })).rejects.toThrow(
      /did not appear within 0\.5 s; the screen shows:\n(\| .*\n)*\| .*(Boot failed|No bootable)/,
    );
    machine.pause();
    await run;
    machine.destroy();
  });
});
