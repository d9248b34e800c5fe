/** The table of sensitive instructions against the contract, the lifts and the literature. */
import { describe, expect, it } from "vitest";
import { systemCallouts } from "../../translator/contract/callouts/system.ts";
import { callouts } from "../../translator/contract/callouts.ts";
import { lifts } from "../../translator/lift/index.ts";
import { renderSensitiveTable, sensitiveRowOf, sensitiveRows } from "../../translator/lift/sensitive.ts";
import { systemLifts } from "../../translator/lift/system.ts";

/** J. S. Robin and C. E. Irvine, "Analysis of the Intel Pentium's Ability to Support a Secure Virtual Machine Monitor" (2000), section 3.2. */
const robinIrvine = [
  "sgdt",
  "sidt",
  "sldt",
  "smsw",
  "pushf",
  "popf",
  "lar",
  "lsl",
  "verr",
  "verw",
  "pop.sreg",
  "push.sreg",
  "call.far",
  "jmp.far",
  "int",
  "ret.far",
  "str",
  "mov.sreg",
];
/** SDM vol. 3, 5.9 "Privileged instructions", as far as a 32-bit processor without SMM and VMX has them. */
const privileged = ["lgdt", "lldt", "ltr", "lidt", "mov.cr", "lmsw", "clts", "mov.dr", "invd", "wbinvd", "invlpg", "hlt", "rdmsr", "wrmsr"];

const listed = new Set(sensitiveRows.flatMap((row) => row.rows));

describe("the table of sensitive instructions", () => {
  it("has the whole Robin and Irvine set, none of which always traps", () => {
    for (const name of robinIrvine) expect(listed, name).toContain(name);
    for (const row of sensitiveRows) if (row.rows.some((name) => robinIrvine.includes(name))) expect(row.traps, row.mnemonic).not.toBe("always");
  });

  it("has every privileged instruction, all of which always trap", () => {
    for (const name of privileged) expect(listed, name).toContain(name);
    for (const row of sensitiveRows) if (row.rows.some((name) => privileged.includes(name))) expect(row.traps, row.mnemonic).toBe("always");
  });

  it("lists each callout of the VMM exactly once", () => {
    const names = sensitiveRows.flatMap((row) => row.callouts);
    expect(new Set(names).size).toBe(names.length);
    for (const name of Object.keys(systemCallouts)) expect(names, name).toContain(name);
    for (const name of names) expect(callouts).toHaveProperty(name);
    for (const name of names) expect(sensitiveRows[sensitiveRowOf[name] as number].callouts).toContain(name);
  });

  it("has a lift for every row it names, and a row for every system lift but ARPL and RSM, which touch nothing of the machine", () => {
    for (const name of listed) expect(lifts, name).toHaveProperty([name]);
    for (const name of Object.keys(systemLifts)) if (name !== "arpl" && name !== "rsm") expect(listed, name).toContain(name);
  });

  it("renders a line a row", () => {
    const lines = renderSensitiveTable().trimEnd().split("\n");
    expect(lines).toHaveLength(sensitiveRows.length + 2);
    for (const line of lines) expect(line.split(/(?<!\\)\|/)).toHaveLength(7);
  });
});
