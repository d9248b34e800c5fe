/** The switches of a machine, and media that come and go with the files behind them. */
import { describe, expect, it } from "vitest";
import { createMachine, type Machine, MemoryStore, openImage } from "../../src/index.ts";
import { MediaChanger, type OpenMedium } from "../../src/machine/media-changer.ts";
import { Power } from "../../src/web/session/power.ts";
import { SerialHistory } from "../../src/web/session/serial-history.ts";
import * as kernels from "../api/kernels.ts";

async function withPower(kernel: Uint8Array, use: (power: Power, states: string[], machine: Machine) => Promise<void>): Promise<void> {
  const machine = createMachine({ kernel, memory: 8 << 20 });
  const states: string[] = [];
  const power = new Power(machine, (state, why) => states.push(why === undefined ? state : `${state}: ${why}`));
  try {
    await use(power, states, machine);
  } finally {
    power.stop();
    machine.destroy();
  }
}

describe("the switches", () => {
  it("pause, resume and reset a run that goes on; stop ends it, paused or not", async () => {
    await withPower(kernels.sleep, async (power, states, machine) => {
      const ended = power.run();
      await machine.waitForSerial("z");
      power.pause();
      await expect.poll(() => states.at(-1), { timeout: 30_000 }).toBe("paused");
      expect(machine.running).toBe(false);
      power.resume();
      await expect.poll(() => states.at(-1), { timeout: 30_000 }).toBe("running");
      power.reset();
      await machine.waitForSerial("z");
      power.pause();
      await expect.poll(() => states.at(-1), { timeout: 30_000 }).toBe("paused");
      // A reset switches on as well.
      power.reset();
      await machine.waitForSerial("z");
      power.pause();
      // At once again: the run goes on.
      power.resume();
      await expect.poll(() => machine.running, { timeout: 30_000 }).toBe(true);
      power.stop();
      expect(await ended).toEqual({ reason: "paused" });
      expect(await power.run()).toEqual({ reason: "paused" });
    });
  });

  it("count the time of a pause, and leave a pause to others", async () => {
    await withPower(kernels.sleep, async (power, states, machine) => {
      const ended = power.run({ timeout: 0.5 });
      power.pause();
      expect(await ended).toEqual({ reason: "timeout" });
      expect(states).toEqual(["running", "paused", "ended: the time it was given is over"]);
      power.resume();
      const again = power.run();
      await expect.poll(() => machine.running, { timeout: 30_000 }).toBe(true);
      machine.pause();
      expect(await again).toEqual({ reason: "paused" });
    });
  });

  it("say how a guest ended, and start it again", async () => {
    await withPower(kernels.tripleFault, async (power, states) => {
      expect(await power.run()).toMatchObject({ reason: "triple-fault" });
      expect(states.at(-1)).toMatch(/^ended: triple fault/);
      power.reset();
      expect(await power.run()).toMatchObject({ reason: "triple-fault" });
      expect(states.filter((state) => state === "running")).toHaveLength(2);
    });
  });
});

describe("media", () => {
  const floppy = async (name: string, closed: string[], size = 1440 << 10): Promise<OpenMedium> => {
    const image = await openImage(new MemoryStore(new Uint8Array(size), name), { media: "floppy" });
    return { storage: image, name, warnings: [], close: () => void closed.push(name) };
  };

  it("close what leaves a drive, once, and what is in one at the end; everybody hears of it", async () => {
    const closed: string[] = [];
    const first = await floppy("first", closed);
    const machine = createMachine({ kernel: kernels.sleep, memory: 8 << 20, drives: { fda: { storage: first.storage, name: "first" } } });
    const media = new MediaChanger(machine.drives, (place) => void closed.push(`${place} from the start`));
    let changes = 0;
    media.onChange(() => {
      changes++;
    });
    await media.insert("fda", () => floppy("second", closed));
    expect(closed).toEqual(["fda from the start"]);
    // Too large for a floppy: closed again, and nothing has changed.
    await expect(media.insert("fda", () => floppy("large", closed, 2880 << 10))).rejects.toThrow(/large/);
    await expect(media.insert("fda", () => Promise.reject(new Error("not to be opened")))).rejects.toThrow("not to be opened");
    await expect(media.insert("hdc", () => floppy("lost", closed))).rejects.toThrow(/no floppy or CD drive hdc/);
    expect(closed.filter((name) => name !== "large")).toEqual(["fda from the start"]);
    expect(media.list()).toEqual([{ place: "fda", kind: "floppy", medium: "second" }]);
    expect(changes).toBe(1);
    expect(await media.eject("fda")).toBe(true);
    expect(closed.at(-1)).toBe("second");
    await media.insert("fda", () => floppy("third", closed));
    await media.close();
    await media.close();
    expect(closed.filter((name) => name !== "large")).toEqual(["fda from the start", "second", "third"]);
    expect(changes).toBe(3);
    machine.destroy();
  });
});

describe("the serial line's history", () => {
  it("is the last 64 KiB", () => {
    const history = new SerialHistory();
    expect(history.bytes).toEqual(new Uint8Array(0));
    for (let k = 0; k < 1000; k++) history.add(new Uint8Array(100).fill(k));
    const { bytes } = history;
    expect(bytes.length).toBe(64 << 10);
    expect(bytes.at(-1)).toBe(999 & 0xff);
    expect(bytes[0]).toBe((1000 - Math.ceil((64 << 10) / 100)) & 0xff);
    history.add(Uint8Array.of(7));
    expect(history.bytes.length).toBe(64 << 10);
    expect(history.bytes.at(-1)).toBe(7);
  });
});
