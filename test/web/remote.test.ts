/**
 * `--display web` from end to end: the real command in a process of its own, and Debian's Chromium at the address that it prints. What is looked at is what a person sees, the
 * files of the drives, and how the command ends.
 */
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { demoImage } from "../../src/demo/image.ts";
import { fetchFirmware } from "../../src/guest/firmware.ts";
import { finish, type Outcome, start } from "../cli/command.ts";
import { echoDisk } from "../guests/echo-disk.ts";
import { labelledCd, labelledFloppy, watcherDisk } from "../guests/media-watcher.ts";
import { type Availability, mustSkip } from "../guests/oracle.ts";
import {
  canvasPixels,
  chromiumState,
  drop,
  launchBrowser,
  openPage,
  screenshotFolder,
  terminalText,
  waitForPage,
  waitForScreenText,
  waitForState,
  waitForTerminal,
} from "./browser.ts";
import { countingDisk } from "./counting-disk.ts";

let browser: Browser | undefined;
let firmwareState: Availability = { available: false, reason: "SeaBIOS could not be fetched (Debian's package seabios)" };
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "xlat86-remote-"));
  mkdirSync(scratch());
  if (chromiumState.available) browser = await launchBrowser();
  await fetchFirmware().then(
    () => {
      firmwareState = { available: true };
    },
    () => {},
  );
}, 240_000);
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Temporary files of the command. */
const scratch = (): string => join(folder, "scratch");

interface Command {
  readonly child: ChildProcessWithoutNullStreams;
  readonly url: string;
  readonly ended: Promise<Outcome>;
}

/** Starts the command and waits for the address that it prints. */
async function command(...args: readonly string[]): Promise<Command> {
  const child = start(["run", ...args, "--display", "web"], { env: { TMPDIR: scratch() } });
  const ended = finish(child);
  let told = "";
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.on("data", (chunk: Buffer) => {
      told += chunk.toString();
      const found = /http:\/\/\S+\//.exec(told);
      if (found) resolve(found[0]);
    });
    child.on("close", () => reject(new Error(`the command ended: ${told}`)));
  });
  return { child, url, ended };
}

async function withCommand(args: readonly string[], use: (running: Command) => Promise<void>): Promise<void> {
  const running = await command(...args);
  try {
    await use(running);
    running.child.kill("SIGTERM");
    await running.ended;
    // The page that was built, and media that pages sent.
    expect(readdirSync(scratch()).filter((name) => name.startsWith("xlat86-"))).toEqual([]);
  } finally {
    running.child.kill("SIGKILL");
    await running.ended;
  }
}

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** Whether the browser and the BIOS are there; says so where not. */
const isMissing = (what: string): boolean => mustSkip(what, chromiumState) || mustSkip(what, firmwareState);

describe("--display web", { timeout: 600_000 }, () => {
  it("shows the machine to several pages, takes keys from each, pauses, resumes, resets, and ends with Ctrl-C", async () => {
    if (isMissing("the command's page")) return;
    const image = file("echo.img", echoDisk(0));
    await withCommand(["--fda", image], async ({ child, url, ended }) => {
      const first = await openPage(browser!, url);
      const { page } = first;
      await waitForScreenText(page, "ready>");
      expect(await page.title()).toBe("echo.img – xlat86");
      expect(await page.isVisible("#setup-open")).toBe(false);
      await page.click("#screen");
      await page.keyboard.press("Shift+KeyH");
      await page.keyboard.type("ello");
      await waitForScreenText(page, "ready> Hello");

      // A page that comes later sees the same at once, and types as well.
      const second = await openPage(browser!, url);
      await waitForScreenText(second.page, "ready> Hello");
      await second.page.click("#screen");
      await second.page.keyboard.type(", both");
      await waitForScreenText(page, "Hello, both");
      await waitForScreenText(second.page, "Hello, both");
      const [left, right] = [await canvasPixels(page), await canvasPixels(second.page)];
      expect([left.width, left.height]).toEqual([720, 400]);
      expect([right.width, right.height]).toEqual([720, 400]);

      // Pause and resume, from different pages: what was typed in between waits.
      await page.click("#pause");
      await waitForState(page, "paused");
      await waitForState(second.page, "paused");
      await page.click("#screen");
      await page.keyboard.type("later");
      await page.waitForTimeout(300);
      expect(await page.textContent("#screen")).not.toContain("later");
      await second.page.click("#pause");
      await waitForScreenText(page, "Hello, bothlater");
      await page.screenshot({ path: join(screenshotFolder, "remote-bios.png") });

      // The text is there in pixels: light grey on black, on the text's line and not on the last one; the canvas was put together of parts.
      const lines = (await page.textContent("#screen"))!.split("\n");
      const row = lines.findIndex((line) => line.includes("bothlater"));
      for (const shown of [page, second.page]) {
        await waitForScreenText(shown, "bothlater");
        const lit = async (line: number): Promise<number> => {
          const pixels = await canvasPixels(shown);
          let count = 0;
          for (let y = line * 16; y < line * 16 + 16; y++) for (let x = 0; x < pixels.width; x++) if (pixels.at(x, y) === 0xaaaaaa) count++;
          return count;
        };
        await expect.poll(() => lit(row), { timeout: 60_000 }).toBeGreaterThan(250);
        expect(await lit(24)).toBe(0);
      }

      // A key that is held when its page closes is let go: it does not repeat for ever.
      await second.page.click("#screen");
      await second.page.keyboard.down("KeyX");
      await waitForScreenText(page, "bothlaterx");
      await second.page.context().close();
      await page.click("#screen");
      await page.keyboard.type("z");
      await waitForScreenText(page, "z");
      const settled = await page.textContent("#screen");
      await page.waitForTimeout(1500);
      expect(await page.textContent("#screen")).toBe(settled);

      await page.click("#reset");
      await waitForPage(page, "a new start", () => !document.getElementById("screen")?.textContent?.includes("Hello"), undefined);
      await waitForScreenText(page, "ready>");

      child.kill("SIGINT");
      const { code, stderr } = await ended;
      expect(code).toBe(130);
      expect(stderr).not.toMatch(/error|Error/);
      await waitForState(page, "off");
      expect(await page.textContent("#notices")).toContain("has ended");
      expect(first.problems).toEqual([]);
      await page.context().close();
    });
  });

  it("has the serial line, with what came before a page did, and the translator's panel; the power button ends the command", async () => {
    if (isMissing("the page's serial line")) return;
    const kernel = file("demo.elf", demoImage());
    await withCommand(["--kernel", kernel, "--append", "interactive", "--memory", "64M"], async ({ url, ended }) => {
      const { page, problems } = await openPage(browser!, url);
      const toSerial = async (): Promise<void> => {
        await page.click("#terminal");
      };
      await waitForTerminal(page, "Type 'help' for the commands.");
      await toSerial();
      await page.keyboard.type("help\n");
      await waitForTerminal(page, "off");
      await page.waitForSelector("#hot tr");
      await waitForPage(
        page,
        "guest code beside its JavaScript",
        () => (document.getElementById("code")?.textContent ?? "").includes("function"),
        undefined,
      );
      await page.screenshot({ path: join(screenshotFolder, "remote-demo.png") });

      await page.reload();
      await waitForTerminal(page, "Type 'help' for the commands.");
      await waitForTerminal(page, "off");
      expect(await terminalText(page)).toContain("help");

      await page.click("#power");
      expect((await ended).code).toBe(0);
      await waitForState(page, "off");
      expect(problems).toEqual([]);
      await page.context().close();
    });
  });

  it("ends as the guest does, with its exit code, and leaves the last screen on the page", async () => {
    if (isMissing("the guest's end on the page")) return;
    const image = file("ends.img", echoDisk(0));
    await withCommand(["--fda", image], async ({ url, ended }) => {
      const { page } = await openPage(browser!, url);
      await waitForScreenText(page, "ready>");
      await page.click("#screen");
      await page.keyboard.type("bye");
      await waitForScreenText(page, "ready> bye");
      await page.keyboard.press("Escape");
      expect((await ended).code).toBe(1);
      await waitForState(page, "off");
      expect(await page.textContent("#screen")).toContain("ready> bye");
      expect(await page.textContent("#notices")).toContain("the guest ended with the value 0");
      await page.context().close();
    });
  });

  it("changes media: a dropped floppy, a CD from a file, eject, a wrong file; the file that was taken out is free", async () => {
    if (isMissing("changing media on the page")) return;
    const [disk, first, cd] = [file("watch.img", watcherDisk()), file("first.img", labelledFloppy("1")), file("first.iso", labelledCd("c"))];
    await withCommand(["--hda", disk, "--snapshot", "--fda", first, "--cdrom", cd, "--boot", "c"], async ({ url }) => {
      const { page, problems } = await openPage(browser!, url);
      await waitForScreenText(page, "A1");
      await waitForScreenText(page, "Cc");

      await drop(page, { name: "second floppy.img", bytes: labelledFloppy("2") });
      await page.getByRole("button", { name: "Insert into Floppy A" }).click();
      await waitForScreenText(page, "A2");

      await page.click("#media-open");
      await page.screenshot({ path: join(screenshotFolder, "remote-media.png") });
      expect(await page.textContent('#media-list li[data-place="fda"]')).toContain("second floppy.img");
      await page.getByRole("button", { name: "Eject: Floppy A" }).click();
      await waitForScreenText(page, "A-");
      await page.setInputFiles('#media-list li[data-place="hdc"] input[type="file"]', {
        name: "next.iso",
        mimeType: "application/octet-stream",
        buffer: Buffer.from(labelledCd("d")),
      });
      await waitForScreenText(page, "Cd");
      // What is no floppy is refused, and nothing changes.
      await page.setInputFiles('#media-list li[data-place="fda"] input[type="file"]', {
        name: "large.img",
        mimeType: "application/octet-stream",
        buffer: Buffer.alloc(8 << 20),
      });
      await page.waitForSelector(".notice.error", { state: "attached" });
      expect(await page.textContent(".notice.error p")).toContain("large.img");
      await waitForPage(
        page,
        "an empty drive A",
        () => /empty/.test(document.querySelector('#media-list li[data-place="fda"]')?.textContent ?? ""),
        undefined,
      );
      expect(problems).toEqual([]);
      await page.context().close();
    });
    expect(readFileSync(first)).toEqual(Buffer.from(labelledFloppy("1")));
    expect(existsSync(cd)).toBe(true);
  });

  it("writes the command's own files", async () => {
    if (isMissing("writes of a machine on the page")) return;
    const image = file("counting.img", countingDisk());
    for (const count of [0, 1]) {
      await withCommand(["--hda", image], async ({ child, url, ended }) => {
        const { page } = await openPage(browser!, url);
        await waitForScreenText(page, `boot ${count}, written`);
        // Nobody else gets it while it is in use.
        const other = await finish(start(["run", "--hda", image, "--display", "none", "--timeout", "5"]));
        expect(other.code).toBe(2);
        expect(other.stderr).toContain("counting.img");
        child.kill("SIGTERM");
        expect((await ended).code).toBe(143);
        await page.context().close();
      });
      expect(readFileSync(image)[512]).toBe(count + 1);
    }
  });
});
