/** A machine that is no more: what programs still ask of it is answered, and nobody waits for ever. And what it has to say while it is. */
import { describe, expect, it } from "vitest";
import { createMachine, MachineError } from "../../src/index.ts";
import * as kernels from "../api/kernels.ts";
import { badVirtioDriver } from "../cli/guests.ts";
import { memoryStorage } from "../guests/boot-media.ts";

describe("a machine that is destroyed", () => {
  const destroyed = () => {
    const machine = createMachine({ kernel: kernels.spin, memory: 8 << 20, vga: true });
    machine.destroy();
    return machine;
  };

  it("takes keys, and nobody reads them", async () => {
    const { keyboard } = destroyed();
    await Promise.all([keyboard.type("hello\n"), keyboard.press("ControlLeft", "KeyC"), keyboard.sendKeys("{F12}")]);
    keyboard.down("KeyA");
    keyboard.up("KeyA");
    expect(() => keyboard.type("\u00ef")).toThrow(MachineError);
  });

  it("refuses to wait for text on its screen or its serial line", async () => {
    const machine = destroyed();
    await expect(machine.screen.waitForText("login:")).rejects.toThrow(
      /waited for text "login:" on the screen, but the machine is destroyed; the screen/,
    );
    await expect(machine.waitForSerial("login:")).rejects.toThrow(/but the machine is destroyed/);
  });

  it("lets go of who types and waits when it happens", async () => {
    const machine = createMachine({ kernel: kernels.spin, memory: 8 << 20, vga: true });
    const typed = machine.keyboard.type("x".repeat(100));
    const waited = machine.screen.waitForText("login:").catch((error: Error) => error.message);
    machine.destroy();
    await typed;
    expect(await waited).toMatch(/the run ended \(destroyed\)/);
  });
});

describe("what a person may want to know", () => {
  it("a floppy that is cut off: among the warnings", () => {
    const storage = memoryStorage(new Uint8Array(512 * 100));
    const machine = createMachine({ kernel: kernels.spin, memory: 8 << 20, drives: { fda: { storage, name: "cut.img" } } });
    expect(machine.warnings).toEqual([expect.stringMatching(/^cut\.img: floppy image of 51200 bytes is no whole format; taken for 360K/)]);
    machine.destroy();
  });

  it("a driver that breaks virtio's rules: the event", async () => {
    const storage = memoryStorage(new Uint8Array(1 << 20));
    const machine = createMachine({ kernel: badVirtioDriver, memory: 8 << 20, drives: { virtio: [{ storage, name: "disk.img" }] } });
    expect(machine.warnings).toEqual([]);
    const said: string[] = [];
    machine.on("warning", (message) => said.push(message));
    const ended = machine.run({ timeout: 20 });
    await machine.waitForSerial("v");
    machine.pause();
    await ended;
    expect(said).toEqual([expect.stringMatching(/^disk\.img: the virtio drive has stopped, for the guest's driver broke its rules: queue 0: /)]);
    machine.destroy();
  });
});
