/** A guest that halts for microseconds at a time is waited for without the host's event loop, which must get its turn all the same. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { NANO_IMAGE } from "../../bench/nano/build.ts";
import { createMachine } from "../../src/index.ts";

it("the host's timers run, and can pause a guest that waits briefly for ever", async () => {
  const machine = createMachine({ kernel: readFileSync(NANO_IMAGE), append: "kernel=timer-halt passes=100000000", memory: 64 << 20 });
  let turns = 0;
  machine.on("serial", () => {
    if (turns === 0) setTimeout(() => void machine.pause(), 30);
    turns++;
  });
  expect((await machine.run({ timeout: 30_000 })).reason).toBe("paused");
  expect(turns).toBeGreaterThan(0);
  machine.destroy();
});
