/** Locals' names are none that the text has another meaning for. */
import { expect, test } from "vitest";
import { LocalNames } from "../../translator/javascript/local-names.ts";
import { freeNames } from "./contract.ts";

test.each([..."abcdefghijklmnopqrstuvwxyz", "A", "E", "T"])("locals called %s and a number hide nothing of the host's", (hint) => {
  const names = new LocalNames();
  const made = Array.from({ length: 300 }, () => names.next(hint));
  expect(new Set(made).size).toBe(made.length);
  expect(made.filter((name) => freeNames.includes(name))).toEqual([]);
});
