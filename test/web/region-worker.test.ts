/** The page's second worker, which makes regions beside the guest: in Debian's Chromium, under the policies that `npm run web` serves the scripts with. */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hotLoops } from "../api/kernels.ts";
import { type Availability, mustSkip } from "../guests/oracle.ts";
import { chromiumState, drop, openSite, type Site, waitForPage, waitForState } from "./browser.ts";

let site: Site | undefined;

beforeAll(async () => {
  if (chromiumState.available) site = await openSite();
}, 120_000);
afterAll(async () => {
  await site?.close();
});

const state: Availability =
  chromiumState.available && availableParallelism() < 2
    ? { available: false, reason: "a host with one core begins no second worker" }
    : chromiumState;
/** So many that it comes to new ones for seconds: a second worker takes its time to begin on a busy host. */
const guest = { name: "loops", bytes: hotLoops(1000) };

/** What the translator's panel says of regions: all that were made, and those made beside the guest. */
const counts = (page: Page): Promise<{ made: number; beside: number }> =>
  page.evaluate(() => {
    const text = document.getElementById("figures")?.textContent ?? "";
    const [, made, beside] = /\((\d+)(?:, (\d+) beside)?\)\D/.exec(text.slice(text.indexOf("regions"))) ?? [];
    return { made: Number(made ?? 0), beside: Number(beside ?? 0) };
  });

/** Waits for so many regions, and so many made beside. */
const waitForRegions = (page: Page, made: number, beside: number): Promise<void> =>
  waitForPage(
    page,
    `${made} regions, ${beside} of them made beside the guest`,
    (wanted) => {
      const text = document.getElementById("figures")?.textContent ?? "";
      const found = /\((\d+)(?:, (\d+) beside)?\)\D/.exec(text.slice(text.indexOf("regions")));
      return Number(found?.[1] ?? 0) >= wanted.made && Number(found?.[2] ?? 0) >= wanted.beside;
    },
    { made, beside },
  );

describe("the worker that makes regions, in Chromium", { timeout: 300_000 }, () => {
  it("makes them beside the guest, under a policy without code from text, and ends with the machine", async () => {
    if (mustSkip("the second worker", state)) return;
    const { page, problems } = await site!.open();
    const session = await page.context().browser()!.newBrowserCDPSession();
    const workers = async (): Promise<string[]> => {
      const { targetInfos } = await session.send("Target.getTargets");
      return targetInfos.filter(({ type, url }) => type === "worker" && url.startsWith(site!.url)).map(({ url }) => url.slice(site!.url.length));
    };
    await waitForState(page, "running");
    await drop(page, guest);
    await waitForRegions(page, 20, 5);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
    expect((await workers()).sort()).toEqual(["region-worker.js", "worker.js"]);
    await page.click("#power");
    await waitForState(page, "off");
    await expect.poll(workers, { timeout: 30_000 }).toEqual([]);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it("may die, and be missing: the guest goes on, with regions made on its own thread", async () => {
    if (mustSkip("the second worker's end", state)) return;
    const script = join(site!.folder, "region-worker.js");
    const real = readFileSync(script);
    // Fails at the first job after an answer that was not for practice.
    const dying = `import "./real-region-worker.js";
      const [listen, post] = [self.onmessage, self.postMessage.bind(self)];
      let hasAnswered = false;
      self.postMessage = (message) => {
        post(message);
        hasAnswered ||= message.answers?.some(({ id, made }) => id !== 0 && made) === true;
      };
      self.onmessage = (event) => {
        if (event.data.kind === "job" && hasAnswered) throw new Error("the region worker's end");
        listen(event);
      };`;
    try {
      writeFileSync(join(site!.folder, "real-region-worker.js"), real);
      for (const [text, beside] of [
        [dying, 1],
        ["not a script", 0],
      ] as const) {
        writeFileSync(script, text);
        const { page, problems } = await site!.open();
        await waitForState(page, "running");
        await drop(page, guest);
        await waitForRegions(page, 100, beside);
        const before = await counts(page);
        await waitForRegions(page, before.made + 100, beside);
        expect((await counts(page)).beside).toBe(before.beside);
        expect(await page.evaluate(() => document.body.dataset["state"])).toBe("running");
        expect(await page.textContent("#notices")).toBe("");
        expect(problems).toEqual([]);
        await page.context().close();
      }
    } finally {
      writeFileSync(script, real);
    }
  });
});
