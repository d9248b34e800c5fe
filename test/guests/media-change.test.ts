/** Media that are changed while the machine runs: what the BIOS, and a program that uses it, see of the drives. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { fetchFirmware } from "../../src/guest/firmware.ts";
import { createMachine, MachineError, type MachineOptions } from "../../src/index.ts";
import { bootRoutines, cdImage, diskImage, drive, floppySize, memoryStorage } from "./boot-media.ts";
import { type Availability, mustSkip } from "./oracle.ts";

let firmware: Pick<MachineOptions, "bios" | "vgaBios">;
let fetched: Availability = { available: false, reason: "not fetched yet" };

beforeAll(async () => {
  try {
    const files = await fetchFirmware();
    firmware = { bios: readFileSync(files.bios), vgaBios: readFileSync(files.vgaBios) };
    fetched = { available: true };
  } catch (error) {
    fetched = { available: false, reason: String(error) };
  }
}, 240_000);

/** Reads the first sector of drive A for ever, and says so when what is there is another: its first character, or "-" where it cannot be read. */
const watcher = diskImage(
  `
  next:
    mov ax, 0x0201
    mov bx, 0x8000
    mov cx, 1
    xor dx, dx
    int 0x13
    mov al, 45
    jc seen
    mov al, [0x8000]
  seen:
    cmp al, [0x7e00]
    je again
    mov [0x7e00], al
    mov dx, 0x3f8
    out dx, al
  again:
    xor ah, ah
    int 0x13
    jmp next
  ${bootRoutines}`,
  1 << 20,
);

const floppy = (letter: string, size = floppySize) => {
  const bytes = new Uint8Array(size);
  bytes[0] = letter.charCodeAt(0);
  return { storage: memoryStorage(bytes), name: letter };
};

describe("changing media", () => {
  test("a program that polls drive A sees each floppy", async () => {
    if (mustSkip("changing floppies", fetched)) return;
    const machine = createMachine({ ...firmware, memory: 32 << 20, drives: { hda: drive(watcher, "hda") } });
    const ended = machine.run({ timeout: 60 });
    expect(machine.drives.list()).toEqual([{ place: "fda", kind: "floppy", medium: undefined }]);
    await machine.waitForSerial("-");
    machine.drives.insert("fda", floppy("x"));
    await machine.waitForSerial("x");
    expect(machine.drives.list()).toEqual([{ place: "fda", kind: "floppy", medium: "x" }]);
    machine.drives.insert("fda", floppy("y", 2880 << 10));
    await machine.waitForSerial("y");
    expect(machine.drives.insert("fda", floppy("z", 1000 * 512))).toMatch(/taken for/);
    await machine.waitForSerial("z");
    expect(machine.drives.eject("fda")).toBe(true);
    await machine.waitForSerial("-");
    machine.pause();
    expect(await ended).toEqual({ reason: "paused" });
    machine.destroy();
  }, 90_000);

  test("a CD put into an empty drive is booted after a reset", async () => {
    if (mustSkip("changing CDs", fetched)) return;
    const machine = createMachine({ ...firmware, memory: 32 << 20, boot: "d", drives: { hdc: { storage: null, media: "cdrom" } } });
    const first = machine.run({ timeout: 60 });
    await machine.screen.waitForText(/No bootable device/i);
    machine.pause();
    await first;
    machine.drives.insert(
      "hdc",
      drive(cdImage(`mov al, 5\njmp quit\n${bootRoutines}`), "cd", "cdrom") as { storage: ReturnType<typeof memoryStorage>; name: string },
    );
    machine.reset();
    expect(await machine.run({ timeout: 60 })).toMatchObject({ reason: "debug-exit", value: 5 });
    expect(machine.drives.list()).toContainEqual({ place: "hdc", kind: "cdrom", medium: "cd" });
    machine.destroy();
  }, 90_000);

  test("what cannot be is refused, and nothing changes", () => {
    if (mustSkip("refusing media", fetched)) return;
    const machine = createMachine({ ...firmware, memory: 32 << 20, drives: { hda: drive(watcher, "hda"), fda: floppy("f") } });
    const bad = (what: () => unknown, message: RegExp) => {
      expect(what).toThrow(MachineError);
      expect(what).toThrow(message);
    };
    bad(() => machine.drives.insert("hda", floppy("x")), /no floppy or CD drive hda; there are: fda/);
    bad(() => machine.drives.eject("fdb"), /no floppy or CD drive fdb/);
    bad(() => machine.drives.insert("fda", { storage: memoryStorage(new Uint8Array(4 << 20)), name: "big" }), /big: .*larger than any floppy/);
    bad(
      () => machine.drives.insert("fda", { storage: memoryStorage(new Uint8Array(2880 << 10)), name: "2.88" }),
      /2\.88: a 2\.88M floppy does not fit a 1\.44M drive/,
    );
    bad(() => machine.drives.insert("fda", { storage: {} as never, name: "nothing" }), /expected \{ storage, name \}/);
    expect(machine.drives.list()).toEqual([{ place: "fda", kind: "floppy", medium: "f" }]);
    bad(() => createMachine({ ...firmware, drives: { hda: { storage: null } } }), /drives\.hda: expected \{ storage, name \}/);
    machine.destroy();
  });
});
