/** Ctrl-A C: the line that is typed, what its commands do, and all of it at a real terminal. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openMedium } from "../../src/cli/drives.ts";
import { LineEditor, runMonitorCommand } from "../../src/cli/monitor.ts";
import { fetchFirmware } from "../../src/guest/firmware.ts";
import { createMachine, type Machine } from "../../src/index.ts";
import { MediaChanger } from "../../src/machine/media-changer.ts";
import { openImageFile } from "../../src/storage/node.ts";
import * as kernels from "../api/kernels.ts";
import { labelledCd, labelledFloppy, watcherDisk } from "../guests/media-watcher.ts";
import { type Availability, mustSkip } from "../guests/oracle.ts";
import { finish, main } from "./command.ts";

let folder: string;
let firmwareState: Availability = { available: true };
const path = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "xlat86-monitor-"));
  writeFileSync(path("one.img"), labelledFloppy("1"));
  writeFileSync(path("two disks.img"), labelledFloppy("2"));
  writeFileSync(path("c.iso"), labelledCd("c"));
  writeFileSync(path("d.iso"), labelledCd("d"));
  writeFileSync(path("watch.img"), watcherDisk());
  await fetchFirmware().catch((error: Error) => {
    firmwareState = { available: false, reason: error.message };
  });
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a line", () => {
  const type = (...pieces: string[]) => {
    const editor = new LineEditor();
    const ends = pieces.map((piece) => editor.feed(new TextEncoder().encode(piece)));
    return [editor.line, ends.at(-1)];
  };

  it("is what was typed, corrected", () => {
    expect(type("drivez\x7fs\r")).toEqual(["drives", "done"]);
    expect(type("ä", "b\bc")).toEqual(["äc", undefined]);
    expect(type("nonsense\x15eject fda\r")).toEqual(["eject fda", "done"]);
    expect(type("\x7f\x7fx\x1b[D\x1bOHy\r")).toEqual(["xy", "done"]);
  });

  it("is given up with Escape and Ctrl-C", () => {
    expect(type("abc", "\x1b")[1]).toBe("cancelled");
    expect(type("abc\x03")[1]).toBe("cancelled");
  });
});

describe("the monitor's commands", () => {
  interface Setting {
    readonly machine: Machine;
    readonly media: MediaChanger;
    readonly closed: string[];
    readonly left: () => boolean;
    say(line: string): Promise<string[]>;
  }

  async function withMachine(use: (setting: Setting) => Promise<void>): Promise<void> {
    const storage = await openImageFile(path("one.img"), { media: "floppy" });
    const machine = createMachine({
      kernel: kernels.sleep,
      memory: 8 << 20,
      drives: { fda: { storage, name: "one.img" }, hdc: { storage: null, media: "cdrom" } },
    });
    const closed: string[] = [];
    const media = new MediaChanger(machine.drives, async (place) => {
      closed.push(place);
      await storage.close();
    });
    let hasLeft = false;
    const host = {
      media,
      openMedium: (place: Parameters<typeof openMedium>[0], file: string) => openMedium(place, file, false, () => {}),
      leave: () => {
        hasLeft = true;
      },
    };
    try {
      await use({ machine, media, closed, left: () => hasLeft, say: (line) => runMonitorCommand(host, line) });
    } finally {
      await media.close();
      machine.destroy();
    }
  }

  it("list, insert and eject, by our names and QEMU's; the file taken out is free at once", async () => {
    await withMachine(async ({ machine, closed, say }) => {
      expect(await say("drives")).toEqual(["fda (floppy): one.img", "hdc (CD): empty"]);
      expect(await say(`insert hdc ${path("c.iso")}`)).toEqual([`hdc: ${path("c.iso")}`]);
      expect(await say(`change fda ${path("two disks.img")}`)).toEqual([`fda: ${path("two disks.img")}`]);
      expect(closed).toEqual(["fda"]);
      expect(machine.drives.list().map(({ medium }) => medium)).toEqual([path("two disks.img"), path("c.iso")]);
      // It is written and locked as one from the command line is; the one before is not any more.
      await expect(openImageFile(path("two disks.img"), { media: "floppy" })).rejects.toThrow(/two disks/);
      await (await openImageFile(path("one.img"), { media: "floppy" })).close();
      expect(await say("  eject   fda ")).toEqual(["fda: empty"]);
      await (await openImageFile(path("two disks.img"), { media: "floppy" })).close();
      expect(await say("eject -f hdc")).toEqual(["hdc: empty"]);
      expect(await say("info block")).toEqual(["fda (floppy): empty", "hdc (CD): empty"]);
    });
  });

  it("say what is wrong, and change nothing", async () => {
    await withMachine(async ({ closed, left, say }) => {
      for (const [line, answer] of [
        ["insert fdb x", /no floppy or CD drive "fdb"; there are: fda, hdc/],
        ["eject", /which drive\?/],
        ["insert fda", /insert DRIVE FILE/],
        [`insert fda ${path("none.img")}`, /none\.img: .*(no such file|not there|exist)/i],
        [`insert fda ${path("watch.img")} x`, /watch\.img x/],
        ["insert hdc /", /expected|director/i],
        ["frobnicate", /no command "frobnicate"; there are: drives/],
      ] as const) {
        const answers = await say(line);
        expect(answers, line).toHaveLength(1);
        expect(answers[0], line).toMatch(answer);
      }
      expect(await say("")).toEqual([]);
      expect(await say("help")).toHaveLength(1);
      expect(await say("drives")).toEqual(["fda (floppy): one.img", "hdc (CD): empty"]);
      expect(closed).toEqual([]);
      expect(left()).toBe(false);
      await say("quit");
      expect(left()).toBe(true);
    });
  });
});

const hasScript = spawnSync("script", ["--version"]).status === 0 && process.platform === "linux";

// Retried, and loudly: Node itself can hang while it shuts down (nodejs/node#54918, #64560).
describe("at a terminal", { retry: 2 }, () => {
  it("has script(1) in CI", () => {
    if (process.env.CI) expect(hasScript).toBe(true);
  });

  it.skipIf(!hasScript).each(["--serial stdio", "--display text"])(
    "Ctrl-A C changes a floppy while the guest runs (%s)",
    { timeout: 110_000 },
    async (display) => {
      if (mustSkip("the monitor at a terminal", firmwareState)) return;
      const screen = path(`screen ${display.length}.txt`);
      const drives = `--hda '${path("watch.img")}' --snapshot --fda '${path("one.img")}' --cdrom '${path("c.iso")}' --boot c`;
      const command = `exec ${process.execPath} ${main} run ${drives} ${display} --screen-text '${screen}'`;
      const child = spawn("script", ["-qec", command, "/dev/null"], { env: { ...process.env, TERM: "dumb" } });
      const typing = [
        ["A1", "\x01c"],
        ["(xlat86) ", `insert fda ${path("two disks.img")}\r`],
        ["A2", "\x01x"],
      ] as const;
      let shown = "";
      let next = 0;
      child.stdout.on("data", (chunk: Buffer) => {
        shown += chunk.toString("latin1");
        const [after, keys] = typing[next] ?? [];
        // A screen is drawn piece by piece, with sequences in between.
        if (after === undefined || !shown.replaceAll(/\x1b\[[0-9;?]*[A-Za-z]/g, "").includes(after)) return;
        next++;
        child.stdin.write(keys!);
      });
      child.stdin.on("error", () => {});
      const watchdog = setTimeout(() => child.kill("SIGKILL"), 100_000);
      const { code } = await finish(child);
      clearTimeout(watchdog);
      expect(code, shown).toBe(0);
      expect(shown).toContain("(xlat86) insert fda");
      expect(readFileSync(screen, "utf8"), shown).toMatch(/A1.*A2/);
    },
  );
});
