/**
 * The tables that a guest finds below 1 MiB once SeaBIOS has been through: SMBIOS structures, MultiProcessor configuration, PCI interrupt routing. Compared with what
 * the same BIOS leaves on QEMU's `pc`, and read by dmidecode. A machine that starts a kernel directly has SMBIOS too.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { fetchFirmware } from "../../src/guest/firmware.ts";
import { createMachine } from "../../src/index.ts";
import { spin } from "../api/kernels.ts";
import { type Availability, hostProgram, mustSkip } from "./oracle.ts";

const memory = 96 << 20;
const area = { base: 0xe0000, length: 0x20000 };
const seconds = 60;
const qemu = hostProgram("qemu-system-i386", "qemu-system-x86");
const dmidecode = hostProgram("dmidecode", "dmidecode");

let bios: string;
let vgaBios: string;
let fetched: Availability = { available: false, reason: "not fetched yet" };
let ours: Uint8Array;
let theirs: Uint8Array | undefined;

/** Our memory when SeaBIOS has found nothing to boot. */
async function afterPost(): Promise<Uint8Array> {
  const machine = createMachine({ bios: readFileSync(bios), vgaBios: readFileSync(vgaBios), memory });
  const run = machine.run({ timeout: seconds });
  await machine.screen.waitForText(/No bootable device/, { timeout: seconds });
  machine.pause();
  await run;
  const bytes = machine.memory.readPhysical(area.base, area.length);
  machine.destroy();
  return bytes;
}

/** QEMU's, as soon as all the tables are there. */
async function afterPostOnQemu(): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "xlat86-tables-"));
  const file = join(folder, "memory");
  const options = ["-machine", "pc", "-accel", "tcg", "-m", "96", "-display", "none", "-nodefaults", "-vga", "std", "-bios", bios, "-qmp", "stdio"];
  const child = spawn("qemu-system-i386", options);
  child.stdin.on("error", () => {});
  try {
    const say = (execute: string, args = {}) => child.stdin.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    say("qmp_capabilities");
    for (let tries = 0; tries < 10 * seconds; tries++) {
      say("pmemsave", { val: area.base, size: area.length, filename: file });
      await new Promise((resolve) => setTimeout(resolve, 100));
      const bytes = existsSync(file) ? new Uint8Array(readFileSync(file)) : new Uint8Array();
      if (bytes.length === area.length && ["_SM_", "_MP_", "$PIR", "RSD PTR "].every((name) => find(bytes, name) >= 0)) return bytes;
    }
    throw new Error("SeaBIOS on QEMU made no tables");
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

beforeAll(async () => {
  try {
    ({ bios, vgaBios } = await fetchFirmware());
    fetched = { available: true };
  } catch (error) {
    fetched = { available: false, reason: String(error) };
    return;
  }
  ours = await afterPost();
  if (qemu.available) theirs = await afterPostOnQemu();
}, 300_000);

/** Offset of a signature, as guests search for one: on 16 bytes, in F0000h-FFFFFh. */
function find(bytes: Uint8Array, name: string): number {
  for (let at = 0x10000; at < bytes.length; at += 16) if (text(bytes, at, name.length) === name) return at;
  return -1;
}
const text = (bytes: Uint8Array, at: number, length: number) => String.fromCharCode(...bytes.subarray(at, at + length));
const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset);
const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** Type, length, handle, strings. */
function smbios(bytes: Uint8Array): { type: number; length: number; handle: number; data: string; strings: string[] }[] {
  const at = find(bytes, "_SM_");
  const anchor = bytes.subarray(at, at + 31);
  expect([sum(anchor), sum(anchor.subarray(16)), text(anchor, 16, 5)]).toEqual([0, 0, "_DMI_"]);
  const [length, address, count] = [view(anchor).getUint16(22, true), view(anchor).getUint32(24, true), view(anchor).getUint16(28, true)];
  const found = [];
  let largest = 0;
  let from = address - area.base;
  for (let n = 0; n < count; n++) {
    const size = bytes[from + 1];
    let end = from + size;
    while (bytes[end] !== 0 || bytes[end + 1] !== 0) end++;
    const strings = text(bytes, from + size, end - from - size).split("\0");
    found.push({
      type: bytes[from],
      length: size,
      handle: view(bytes).getUint16(from + 2, true),
      data: hex(bytes.subarray(from, from + size)),
      strings,
    });
    largest = Math.max(largest, end + 2 - from);
    from = end + 2;
  }
  expect({ length: from - (address - area.base), largest }).toEqual({ length, largest: view(anchor).getUint16(8, true) });
  return found;
}

/** The MP configuration table: header and entries (MultiProcessor Specification 1.4, chapter 4). */
function mpTable(bytes: Uint8Array): { header: string; processors: string[]; others: string[] } {
  const pointer = find(bytes, "_MP_");
  expect(sum(bytes.subarray(pointer, pointer + 16))).toBe(0);
  const at = view(bytes).getUint32(pointer + 4, true) - area.base;
  const table = bytes.subarray(at, at + view(bytes).getUint16(at + 4, true));
  expect([text(table, 0, 4), sum(table)]).toEqual(["PCMP", 0]);
  const entries: string[] = [];
  for (let from = 44; from < table.length; ) {
    const size = table[from] === 0 ? 20 : 8;
    entries.push(hex(table.subarray(from, from + size)));
    from += size;
  }
  expect(entries).toHaveLength(view(table).getUint16(34, true));
  const isProcessor = (entry: string) => entry.startsWith("00");
  return { header: text(table, 8, 20), processors: entries.filter(isProcessor), others: entries.filter((entry) => !isProcessor(entry)) };
}

describe("after SeaBIOS", () => {
  test("SMBIOS: the structures of QEMU's, the BIOS's own the same byte by byte", () => {
    if (mustSkip("SMBIOS", fetched)) return;
    const found = smbios(ours);
    expect(found.map(({ type }) => type)).toEqual([0, 1, 3, 4, 16, 17, 19, 32, 127]);
    expect(found[1].strings).toEqual(["xlat86", "Standard PC (i440FX + PIIX, 1996)"]);
    if (mustSkip("SMBIOS beside QEMU's", qemu)) return;
    const expected = smbios(theirs!);
    const shape = (all: typeof found) => all.map(({ type, length, handle }) => ({ type, length, handle }));
    expect(shape(found)).toEqual(shape(expected));
    expect(found[0]).toEqual(expected[0]);
    // Which KiB of memory there are, and where the module is: no strings in these.
    expect(found[6]).toEqual(expected[6]);
    expect(found[5].data.slice(0, 2 * 16)).toBe(expected[5].data.slice(0, 2 * 16));
  });

  test("MP configuration table: one processor; buses, I/O APIC and interrupts as on QEMU", () => {
    if (mustSkip("the MP table", fetched)) return;
    const found = mpTable(ours);
    // APIC version 14h, enabled, bootstrap, CPUID's signature.
    expect(found.processors).toEqual([expect.stringMatching(/^00001403c90605007fab8807/)]);
    // IRQ0 at pin 2 of the I/O APIC, none at pin 0.
    expect(found.others).toContain("0300000001000002");
    expect(found.others.filter((entry) => entry.startsWith("03") && entry.endsWith("00"))).toEqual([]);
    if (mustSkip("the MP table beside QEMU's", qemu)) return;
    const expected = mpTable(theirs!);
    expect(found.header).toBe(expected.header);
    expect(found.others).toEqual(expected.others);
    expect(found.processors).toHaveLength(expected.processors.length);
  });

  test("PCI interrupt routing and the ACPI root pointer", () => {
    if (mustSkip("the PCI routing table", fetched)) return;
    const table = (bytes: Uint8Array) => {
      const at = find(bytes, "$PIR");
      return bytes.subarray(at, at + view(bytes).getUint16(at + 6, true));
    };
    expect(sum(table(ours))).toBe(0);
    expect(find(ours, "RSD PTR ")).toBeGreaterThan(0);
    if (mustSkip("the PCI routing table beside QEMU's", qemu)) return;
    expect(hex(table(ours))).toBe(hex(table(theirs!)));
  });
});

/** What dmidecode makes of the first MiB of a machine. */
function decoded(bytes: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), "xlat86-dmi-"));
  try {
    const image = new Uint8Array(0x100000);
    image.set(bytes, area.base);
    writeFileSync(join(folder, "memory"), image);
    return execFileSync("dmidecode", ["--no-sysfs", "-d", join(folder, "memory")], { encoding: "utf8" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const inventory = [
  /SMBIOS 2\.8 present/,
  /System Information\n\tManufacturer: xlat86\n\tProduct Name: Standard PC \(i440FX \+ PIIX, 1996\)\n/,
  /UUID: Not Settable/,
  /Wake-up Type: Power Switch/,
  /Chassis Information\n\tManufacturer: xlat86\n\tType: Other\n/,
  /Socket Designation: CPU 0\n\tType: Central Processor\n/,
  /ID: C9 06 05 00 7F AB 88 07/,
  /Status: Populated, Enabled\n/,
  /Core Count: 1\n\tCore Enabled: 1\n\tThread Count: 1\n/,
  /Error Correction Type: None\n\tMaximum Capacity: 96 MB\n\tError Information Handle: Not Provided\n\tNumber Of Devices: 1\n/,
  /Size: 96 MB\n\tForm Factor: DIMM\n\tSet: None\n\tLocator: DIMM 0\n/,
  /Ending Address: 0x00005FFFFFF\n\tRange Size: 96 MB\n/,
  /Status: No errors detected/,
  /End Of Table/,
];

describe("dmidecode", () => {
  test("reads what SeaBIOS left", () => {
    if (mustSkip("SMBIOS by dmidecode", fetched) || mustSkip("SMBIOS by dmidecode", dmidecode)) return;
    const said = decoded(ours);
    for (const part of [/BIOS Information\n\tVendor: SeaBIOS\n/, ...inventory]) expect(said).toMatch(part);
    expect(said).not.toMatch(/OUT OF SPEC|BAD INDEX|[Ii]nvalid|broken|truncated/);
  });

  test("reads what a kernel finds that is started without a BIOS", () => {
    if (mustSkip("SMBIOS by dmidecode", dmidecode)) return;
    const machine = createMachine({ kernel: spin, memory });
    const said = decoded(machine.memory.readPhysical(area.base, area.length));
    machine.destroy();
    for (const part of inventory) expect(said).toMatch(part);
    expect(said).not.toMatch(/OUT OF SPEC|BAD INDEX|[Ii]nvalid|broken|truncated/);
  });
});
