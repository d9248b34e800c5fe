/** Waiting for what a guest sends on serial port 0. */
import { describe, expect, it } from "vitest";
import { createMachine, type Machine } from "../../src/machine/machine.ts";
import * as kernels from "../api/kernels.ts";

const boot = (kernel: Uint8Array): Machine => createMachine({ kernel, memory: 8 * 2 ** 20 });

describe("waitForSerial", () => {
  it("resolves to what came up to the match; the next one goes on behind it", async () => {
    const machine = boot(kernels.say("one two one\r\nthree"));
    const first = machine.waitForSerial("one");
    const second = machine.waitForSerial(/one\r\n/);
    const run = machine.run({ timeout: 30 });
    expect([await first, await second]).toEqual(["one", " two one\r\n"]);
    await run;
    // Also once the run has ended: it was sent.
    expect(await machine.waitForSerial("three")).toBe("three");
    machine.destroy();
  });

  it("drives a guest with serial.write", async () => {
    const machine = boot(kernels.readyEcho);
    const run = machine.run({ timeout: 30 });
    await machine.waitForSerial("ready>");
    machine.serial.write("héllo");
    expect(await machine.waitForSerial("é")).toBe("hé");
    expect(await machine.waitForSerial(/o/)).toBe("llo");
    machine.serial.write("q");
    expect(await run).toMatchObject({ reason: "debug-exit" });
    machine.destroy();
  });

  it("rejects when the run ends or the time is over, with the last lines", async () => {
    const machine = boot(kernels.say("some text\r\nmore"));
    const waiting = machine.waitForSerial("login:");
    const run = machine.run({ timeout: 30 });
    await expect(waiting).rejects.toThrow(
      /waited for "login:" on serial port 0, but the run ended \(debug-exit\); the last it sent:\n\| some text\n\| more$/,
    );
    await run;
    await expect(machine.waitForSerial("login:", { timeout: 0.01 })).rejects.toThrow(/did not appear within 0\.01 s/);
    machine.destroy();
  });

  it("goes on after a pause", async () => {
    const machine = boot(kernels.readyEcho);
    const paused = machine.run({ timeout: 30 });
    await machine.waitForSerial("ready>");
    const waiting = machine.waitForSerial("x");
    machine.pause();
    expect(await paused).toEqual({ reason: "paused" });
    machine.serial.write("x");
    const run = machine.run({ timeout: 30 });
    expect(await waiting).toBe("x");
    machine.serial.write("q");
    await run;
    machine.destroy();
  });
});
