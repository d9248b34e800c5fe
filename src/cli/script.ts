/**
 * Driving a guest from the command line: `--type TEXT --after "SCREEN TEXT"` pairs, one after another. Either may come first: `--type` first, and each text waits
 * for the `--after` behind it; `--after` first, and it belongs to the `--type` behind it.
 */
import { parseKeys } from "../machine/key-layout.ts";
import { isKey } from "../machine/keyboard.ts";
import type { Machine } from "../machine/machine.ts";
import { UsageError } from "./error.ts";

export interface ScriptStep {
  /** What to wait for on the screen (text, or a RegExp between slashes); then it is typed. */
  readonly after?: string | RegExp;
  readonly type?: string;
}

/** The options in the order they were given. Errors: `UsageError`. */
export function parseScript(given: readonly { readonly name: string; readonly value: string }[]): ScriptStep[] {
  const steps: { after?: string | RegExp; type?: string }[] = [];
  const conditionFirst = given[0]?.name === "after";
  for (const { name, value } of given) {
    const last = steps.at(-1);
    if (name === "type") {
      const text = unescapeText(value);
      checkKeys(value, text);
      if (conditionFirst && last !== undefined && last.type === undefined) last.type = text;
      else steps.push({ type: text });
    } else {
      const pattern = parsePattern(value);
      if (!conditionFirst && last !== undefined && last.after === undefined) last.after = pattern;
      else steps.push({ after: pattern });
    }
  }
  return steps;
}

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\n", t: "\t", b: "\b", e: "\x1b", "\\": "\\" };

/** \n, \t, \e (Escape), \b, \\ and \xHH. */
function unescapeText(text: string): string {
  return text.replaceAll(/\\(?:x([0-9a-f]{2})|([\s\S]))/gi, (whole, hex: string | undefined, letter: string | undefined) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    return escapes[letter!] ?? whole;
  });
}

function checkKeys(value: string, text: string): void {
  try {
    parseKeys(text, isKey);
  } catch (error) {
    throw new UsageError(`--type ${value}: ${(error as Error).message}`);
  }
}

function parsePattern(value: string): string | RegExp {
  const match = /^\/(.+)\/([imsu]*)$/.exec(value);
  if (match === null) return value;
  try {
    return new RegExp(match[1]!, match[2]);
  } catch (error) {
    throw new UsageError(`--after ${value}: ${(error as Error).message}; without the slashes it is plain text`);
  }
}

/** Types as the screen asks for it. Rejects when something that is waited for does not appear before the run ends. */
export async function playScript(machine: Machine, steps: readonly ScriptStep[]): Promise<void> {
  for (const { after, type } of steps) {
    // The run's own end is the time limit.
    if (after !== undefined) await machine.screen.waitForText(after, { timeout: Number.POSITIVE_INFINITY });
    if (type !== undefined) await machine.keyboard.sendKeys(type);
  }
}
