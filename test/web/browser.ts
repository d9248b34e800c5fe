/** Debian's Chromium with the page as `npm run web` builds and serves it. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { preparedPlugin } from "../../src/prepare/generate.ts";
import type { WebAssets } from "../../src/web/assets.ts";
import { buildPage } from "../../src/web/host/build.ts";
import { copyAssets } from "../../src/web/host/copy-assets.ts";
import { type RunningServer, serve } from "../../src/web/host/server.ts";
import type { Availability } from "../guests/oracle.ts";

const executablePath = process.env["XLAT86_CHROMIUM"] ?? "/usr/bin/chromium";
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];

export const chromiumState: Availability = existsSync(executablePath)
  ? { available: true }
  : { available: false, reason: `${executablePath} is not there (Debian: apt-get install chromium)` };

/** Screenshots stay here: to be looked at, and as artefacts of a CI run. */
export const screenshotFolder = resolve(process.env["XLAT86_CACHE"] ?? ".cache", "screenshots");

export interface Site {
  readonly url: string;
  readonly folder: string;
  readonly assets: WebAssets;
  /** A page that has been opened, and what went wrong on it. */
  open(options?: BrowserContextOptions): Promise<OpenedPage>;
  close(): Promise<void>;
}

export interface OpenedPage {
  readonly page: Page;
  /** Uncaught errors, errors on the console, violations of the policy. */
  readonly problems: string[];
}

export async function openSite(): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "xlat86-web-"));
  await mkdir(screenshotFolder, { recursive: true });
  let server: RunningServer | undefined;
  let browser: Browser | undefined;
  const close = async (): Promise<void> => {
    await browser?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await buildPage(folder, [preparedPlugin]);
    const { assets } = await copyAssets(folder);
    const serving = await serve({ folder, host: "127.0.0.1", port: 0 });
    server = serving;
    const running = await launchBrowser();
    browser = running;
    return { url: serving.url, folder, assets, close, open: (options) => openPage(running, serving.url, options) };
  } catch (error) {
    await close();
    throw error;
  }
}

export const launchBrowser = (): Promise<Browser> => chromium.launch({ executablePath, args: flags });

export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<OpenedPage> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  page.setDefaultTimeout(patience.still);
  await page.goto(url);
  return { page, problems };
}

/**
 * How long nothing may change before a test gives up, and how long something may that is not what is waited for, in milliseconds. A machine with much else to do is slow, and
 * a page on it still moves; one that hangs is found sooner.
 */
const patience = { still: 60_000, moving: 240_000 } as const;

/** Waits until the page says so. What the page shows may take long, as long as it changes. Errors: what it shows instead. */
export async function waitForPage<A>(page: Page, what: string, isThere: (argument: A) => boolean, argument: A): Promise<void> {
  let shown = "";
  let changed = performance.now();
  const began = changed;
  for (;;) {
    const found = await page
      .waitForFunction(isThere as (argument: unknown) => boolean, argument, { timeout: 2000, polling: 100 })
      .catch((error: Error) => {
        if (error.name !== "TimeoutError") throw error;
      });
    if (found) return;
    const now = await describePage(page);
    if (now !== shown) changed = performance.now();
    shown = now;
    const time = performance.now();
    if (time - changed > patience.still || time - began > patience.moving) {
      throw new Error(`waited ${Math.round((time - began) / 1000)} s for ${what}, while the page shows:\n${shown}`);
    }
  }
}

/** What a person sees, for messages; and whether the machine gets on. */
function describePage(page: Page): Promise<string> {
  return page.evaluate(() => {
    const text = (selector: string): string => document.querySelector(selector)?.textContent ?? "";
    const rows = [...document.querySelectorAll(".xterm-rows > div")].map((row) => row.textContent);
    const { state, mode } = document.body.dataset;
    return [
      `state ${state}, screen ${mode}, MIPS ${text("#mips")}, ${text("#figures")}`,
      `messages: ${text("#notices")}`,
      `screen: ${text("#screen")}`,
      `terminal: ${rows.join("\n").trimEnd()}`,
    ].join("\n");
  });
}

export const terminalText = (page: Page): Promise<string> =>
  page.evaluate(() => [...document.querySelectorAll(".xterm-rows > div")].map((row) => row.textContent).join("\n"));

export function waitForTerminal(page: Page, text: string): Promise<void> {
  const isThere = (wanted: string): boolean =>
    [...document.querySelectorAll(".xterm-rows > div")].some((row) => row.textContent?.replaceAll("\u00a0", " ").includes(wanted));
  return waitForPage(page, `"${text}" in the terminal`, isThere, text);
}

export function waitForState(page: Page, state: string): Promise<void> {
  return waitForPage(page, `the state "${state}"`, (wanted) => document.body.dataset["state"] === wanted, state);
}

/** Text inside the canvas element, which is for those who do not see it. */
export function waitForScreenText(page: Page, text: string): Promise<void> {
  return waitForPage(page, `"${text}" on the screen`, (wanted) => document.getElementById("screen")?.textContent?.includes(wanted) === true, text);
}

/** Files dropped in the middle of the page. */
export async function drop(page: Page, ...files: readonly { readonly name: string; readonly bytes: Uint8Array }[]): Promise<void> {
  const transfer = await page.evaluateHandle(
    (list) => {
      const data = new DataTransfer();
      for (const { name, base64 } of list)
        data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, { lastModified: 1 }));
      return data;
    },
    files.map(({ name, bytes }) => ({ name, base64: Buffer.from(bytes).toString("base64") })),
  );
  await page.dispatchEvent("main", "dragover", { dataTransfer: transfer });
  await page.dispatchEvent("main", "drop", { dataTransfer: transfer });
}

export interface CanvasPixels {
  readonly width: number;
  readonly height: number;
  /** Colour at x, y as 0xRRGGBB. */
  at(x: number, y: number): number;
}

export async function canvasPixels(page: Page): Promise<CanvasPixels> {
  const { width, height, base64 } = await page.evaluate(() => {
    const canvas = document.getElementById("screen") as HTMLCanvasElement;
    const { data, width, height } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    let text = "";
    for (let at = 0; at < data.length; at += 0x8000) text += String.fromCharCode(...data.subarray(at, at + 0x8000));
    return { width, height, base64: btoa(text) };
  });
  const bytes = Buffer.from(base64, "base64");
  return { width, height, at: (x, y) => bytes.readUIntBE((y * width + x) * 4, 3) };
}
