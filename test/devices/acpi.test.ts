import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { AcpiPm, buildAcpiTables, isaPorts, PciBus, resetControlPort } from "../../runtime/devices/index.ts";
import { Probe, TestClock } from "./support.ts";

/** Facts from the ACPI Specification 2.0. */

const port = { status: 0, enable: 2, control: 4, timer: 8 };

describe("fixed hardware", () => {
  let clock: TestClock;
  let sci: Probe;
  let offs: number;
  let pm: AcpiPm;
  const get = (offset: number, size: 1 | 2 | 4 = 2) => pm.registers.read(offset, size);
  const put = (offset: number, value: number, size: 1 | 2 | 4 = 2) => pm.registers.write(offset, size, value);

  beforeEach(() => {
    clock = new TestClock();
    sci = new Probe();
    offs = 0;
    pm = new AcpiPm(clock, sci, () => offs++);
  });

  test("the PM timer runs at 3.579545 MHz in 24 bits", () => {
    expect(get(port.timer, 4)).toBe(0);
    clock.runTo(1e9);
    expect(get(port.timer, 4)).toBe(3_579_545);
    clock.runTo(10e9);
    expect(get(port.timer, 4)).toBe(35_795_454 & 0xffffff);
    expect(get(port.timer)).toBe(35_795_454 & 0xffff);
    expect(get(port.timer + 2, 1)).toBe((35_795_454 >> 16) & 0xff);
  });

  test("TMR_STS whenever the top bit changes, SCI when enabled, cleared by writing one", () => {
    const half = Math.ceil(((1 << 23) * 17600) / 63);
    clock.runTo(half - 1);
    expect(get(port.status) & 1).toBe(0);
    clock.runTo(half);
    expect(get(port.status) & 1).toBe(1);
    expect(sci.high).toBe(false);
    put(port.status, 0x0001);
    expect(get(port.status) & 1).toBe(0);
    put(port.enable, 0x0001);
    clock.runTo(2 * half);
    expect(sci.high).toBe(true);
    put(port.status, 0xfffe);
    expect(sci.high).toBe(true);
    put(port.status, 0x0001);
    expect(sci.high).toBe(false);
    clock.sleepThrough(100 * half);
    expect(sci.rises).toBe(2);
  });

  test("power button", () => {
    pm.pressPowerButton();
    expect(get(port.status)).toBe(0x0100);
    expect(sci.high).toBe(false);
    put(port.enable, 0x0120);
    expect(get(port.enable)).toBe(0x0120);
    expect(sci.high).toBe(true);
    put(port.status, 0x0100);
    expect(sci.high).toBe(false);
  });

  test("always in ACPI mode; SLP_EN is write-only", () => {
    expect(get(port.control)).toBe(0x0001);
    put(port.control, 0x0000);
    expect(get(port.control)).toBe(0x0001);
    put(port.control, 0x1402);
    expect(get(port.control)).toBe(0x1403);
    put(port.control, 0x3402);
    expect(get(port.control)).toBe(0x1403);
    expect(offs).toBe(0);
  });

  test("power-off as ACPICA does it: SLP_TYP, then SLP_TYP with SLP_EN; by bytes too; and as hobby kernels do it", () => {
    put(port.control, 0x0001);
    expect(offs).toBe(0);
    put(port.control, 0x2001);
    expect(offs).toBe(1);
    put(port.control + 1, 0x20, 1);
    expect(offs).toBe(2);
    put(port.control, 0x2000);
    expect(offs).toBe(3);
  });

  test("save and restore", () => {
    put(port.enable, 0x0101);
    pm.pressPowerButton();
    put(port.control, 0x1c00);
    clock.run(1e9);
    const otherSci = new Probe();
    const other = new TestClock();
    const restored = new AcpiPm(other, otherSci, () => {});
    other.restore(clock.save());
    restored.restore(structuredClone(pm.save()));
    expect(otherSci.high).toBe(true);
    clock.run(5e9);
    other.run(5e9);
    for (const offset of [0, 2, 4]) expect(restored.registers.read(offset, 2)).toBe(get(offset));
  });
});

describe("tables", () => {
  const address = 0xe0000;
  const { bytes } = buildAcpiTables({ address, memoryBytes: 256 << 20 });
  const view = new DataView(bytes.buffer);
  const text = (at: number, length: number) => String.fromCharCode(...bytes.subarray(at, at + length));
  const sum = (at: number, length: number) => bytes.subarray(at, at + length).reduce((total, byte) => total + byte, 0) & 0xff;
  const at = (pointer: number) => view.getUint32(pointer, true) - address;
  const rsdt = at(16);
  const fadt = at(rsdt + 36);
  const facs = at(fadt + 36);
  const dsdt = at(fadt + 40);

  test("pointers, signatures, lengths and checksums hold together", () => {
    expect(text(0, 8)).toBe("RSD PTR ");
    expect(sum(0, 20)).toBe(0);
    for (const [table, signature] of [
      [rsdt, "RSDT"],
      [fadt, "FACP"],
      [dsdt, "DSDT"],
    ] as const) {
      expect(text(table, 4)).toBe(signature);
      expect(sum(table, view.getUint32(table + 4, true))).toBe(0);
    }
    expect(text(facs, 4)).toBe("FACS");
    expect((address + facs) % 64).toBe(0);
    expect(view.getUint32(facs + 4, true)).toBe(64);
    expect(view.getUint32(fadt + 140, true)).toBe(address + dsdt);
    expect(view.getUint32(dsdt + 4, true) + dsdt).toBeLessThanOrEqual(bytes.length);
  });

  test("the FADT names the ports the machine maps", () => {
    expect(view.getUint16(fadt + 46, true)).toBe(9);
    expect(view.getUint32(fadt + 48, true)).toBe(0);
    expect(view.getUint32(fadt + 56, true)).toBe(isaPorts.acpiPm.base);
    expect(view.getUint32(fadt + 64, true)).toBe(isaPorts.acpiPm.base + 4);
    expect(view.getUint32(fadt + 76, true)).toBe(isaPorts.acpiPm.base + 8);
    let resets = 0;
    const pci = new PciBus(() => resets++);
    pci.registers.write(resetControlPort - isaPorts.pciConfig.base, 1, bytes[fadt + 128]);
    expect([view.getUint32(fadt + 120, true), resets]).toEqual([0xcf9, 1]);
  });

  test("alignment is checked", () => {
    expect(() => buildAcpiTables({ address: 0xe0010, memoryBytes: 1 << 24 })).toThrow(RangeError);
  });

  const iasl = spawnSync("iasl", ["-v"]).error === undefined;
  if (!iasl && process.env.CI !== "true") console.warn("SKIPPED: iasl (Debian: acpica-tools) is not installed; the AML is not judged by ACPICA");

  test.skipIf(!iasl && process.env.CI !== "true")(
    "ACPICA disassembles the AML, recompiles it without a complaint, and finds in it what is meant",
    () => {
      const folder = mkdtempSync(join(tmpdir(), "xlat86-acpi-"));
      try {
        for (const [name, table] of [
          ["dsdt", dsdt],
          ["facp", fadt],
          ["rsdt", rsdt],
        ] as const) {
          writeFileSync(join(folder, `${name}.aml`), bytes.subarray(table, table + view.getUint32(table + 4, true)));
          const output = spawnSync("iasl", ["-d", `${name}.aml`], { cwd: folder, encoding: "utf8" });
          expect(output.status, output.stdout + output.stderr).toBe(0);
          expect(output.stdout + output.stderr).not.toMatch(/error|warning|invalid|checksum/i);
        }
        const source = readFileSync(join(folder, "dsdt.dsl"), "utf8");
        const compact = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "").replace(/\s+/g, " ");
        expect(compact).toContain("Name (\\_S5, Package (0x04) { Zero, Zero, Zero, Zero })");
        for (const id of ["PNP0A03", "PNP0303", "PNP0B00", "PNP0501"]) expect(compact).toContain(`EisaId ("${id}")`);
        expect(compact).toMatch(/IO \(Decode16, 0x03F8, 0x03F8, 0x01, 0x08, \) IRQNoFlags \(\) \{4\}/);
        expect(compact).toContain("0x10000000, 0xFEBFFFFF, 0x00000000, 0xEEC00000");
        const compiled = execFileSync("iasl", ["-p", join(folder, "again"), "dsdt.dsl"], { cwd: folder, encoding: "utf8" });
        expect(compiled).toMatch(/0 Errors, 0 Warnings, 0 Remarks/);
        expect(readFileSync(join(folder, "facp.dsl"), "utf8")).toContain("Reset Register Supported (V2) : 1");
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});
