/**
 * Booting through SeaBIOS, Debian's, fetched by the test itself: boot sectors of our own from every kind of drive, the boot order and menu, resets, and what
 * the firmware tells a program about the machine, compared with what the same firmware says on QEMU.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { BlockStorage } from "../../runtime/devices/storage/block-storage.ts";
import { fetchFirmware } from "../../src/guest/firmware.ts";
import { createMachine, type ExitInfo, type Machine, type MachineOptions } from "../../src/index.ts";
import { bootRoutines, cdImage, diskImage, drive, emulatingCd, floppySize, program16 } from "./boot-media.ts";
import { type Availability, hostProgram, mustSkip } from "./oracle.ts";

const diskSize = 8 << 20;
/** Host seconds: a boot takes about one. */
const limit = 60;

let firmware: Pick<MachineOptions, "bios" | "vgaBios">;
let fetched: Availability = { available: false, reason: "not fetched yet" };
const qemu = hostProgram("qemu-system-i386", "qemu-system-x86");

beforeAll(async () => {
  try {
    const files = await fetchFirmware();
    firmware = { bios: { name: "bios", bytes: readFileSync(files.bios) }, vgaBios: { name: "vgabios", bytes: readFileSync(files.vgaBios) } };
    fetched = { available: true };
  } catch (error) {
    fetched = { available: false, reason: String(error) };
  }
}, 240_000);

interface Outcome {
  readonly exit: ExitInfo;
  readonly serial: string;
  readonly screen: string;
  readonly log: string;
  readonly resets: readonly string[];
}

async function boot(options: Partial<MachineOptions>, during?: (machine: Machine) => Promise<unknown>): Promise<Outcome> {
  let log = "";
  const machine = createMachine({
    ...firmware,
    memory: 32 << 20,
    debug: {
      categories: ["firmware"],
      write: (_, text) => {
        log += text;
      },
    },
    ...options,
  });
  let serial = "";
  const resets: string[] = [];
  machine.on("serial", (bytes) => {
    serial += new TextDecoder().decode(bytes);
  });
  machine.on("reset", ({ reason }) => resets.push(reason));
  try {
    const [exit] = await Promise.all([machine.run({ timeout: limit }), during?.(machine)]);
    return { exit, serial, screen: machine.screen.text().join("\n"), log, resets };
  } finally {
    machine.destroy();
  }
}

/** Says which boot sector runs, and from which BIOS drive. */
const names = (name: string) => `
  mov si, offset text
  call print
  mov ax, dx
  call hex
  mov al, 1
  jmp quit
  text: .asciz "${name} from "
  ${bootRoutines}`;
const disk = (name: string) => drive(diskImage(names(name), diskSize), name);
const floppy = (name: string) => drive(diskImage(names(name), floppySize), name);
const cd = (name: string) => drive(cdImage(names(name)), name, "cdrom");
const done = { reason: "debug-exit", value: 1, code: 3 };

describe.each(["translate", "interpret"] as const)("a boot sector, --engine %s", (engine) => {
  test("from hard disk, floppy, CD and virtio", async () => {
    if (mustSkip("booting through SeaBIOS", fetched)) return;
    for (const [drives, expected] of [
      [{ hda: disk("hda") }, "hda from 0080 "],
      [{ hdd: disk("hdd") }, "hdd from 0080 "],
      [{ fda: floppy("fda") }, "fda from 0000 "],
      [{ hdc: cd("hdc") }, "hdc from 00E0 "],
      [{ virtio: [disk("virtio")] }, "virtio from 0080 "],
    ] as const) {
      const { exit, serial, screen, log } = await boot({ drives, engine });
      expect({ exit, serial }).toEqual({ exit: done, serial: expected });
      expect(log).toMatch(/^SeaBIOS \(version/);
      expect(log).toContain("Found QEMU fw_cfg");
      expect(screen).toMatch(/^SeaBIOS \(version .*\nBooting from /);
    }
  }, 120_000);
});

describe("what is booted", () => {
  const all = () => ({ hda: disk("disk"), hdc: cd("cd"), fda: floppy("floppy") });

  test("the order of the boot option", async () => {
    if (mustSkip("the boot order", fetched)) return;
    for (const [order, first] of [
      ["cda", "disk"],
      ["dca", "cd"],
      ["ac", "floppy"],
    ]) {
      const { serial } = await boot({ drives: all(), boot: order });
      expect(serial, order).toMatch(new RegExp(`^${first} from`));
    }
    // A disk without a boot sector: the next kind is tried.
    const empty = drive(new Uint8Array(diskSize), "empty");
    const { serial, screen } = await boot({ drives: { hda: empty, fda: floppy("floppy") } });
    expect(serial).toMatch(/^floppy from/);
    expect(screen).toMatch(/not a bootable disk/);
  }, 60_000);

  test("the boot menu, by key", async () => {
    if (mustSkip("the boot menu", fetched)) return;
    const { serial } = await boot({ drives: all(), bootMenu: { wait: 60_000 } }, async (machine) => {
      await machine.screen.waitForText(/Press ESC for boot menu/);
      await machine.keyboard.press("Escape");
      await machine.screen.waitForText(/Select boot device:[\s\S]*3\. Floppy/);
      await machine.keyboard.type("3");
    });
    expect(serial).toMatch(/^floppy from/);
  }, 60_000);

  test("nothing to boot: SeaBIOS says so and waits", async () => {
    if (mustSkip("a machine without drives", fetched)) return;
    const { exit, screen } = await boot({}, async (machine) => {
      await machine.screen.waitForText(/No bootable device\./);
      machine.pause();
    });
    expect(exit).toEqual({ reason: "paused" });
    expect(screen).toContain("Booting from Hard Disk...");
  }, 60_000);
});

test("sectors behind 128 GiB, through the BIOS's extensions: LBA48", async () => {
  if (mustSkip("a large disk", fetched)) return;
  // Extended read and write (AH 42h, 43h) of one sector with a packet; the sector says who it is.
  const lba = 2 ** 28 + 5;
  const source = `
    mov si, offset packet
    mov dl, 0x80
    mov ah, 0x42
    int 0x13
    jc failed
    mov ax, [0x8000]
    call hex
    mov ax, [0x8002]
    call hex
    mov word ptr [0x8000], 0x6b6f
    mov si, offset packet
    inc dword ptr [packet + 8]
    mov dl, 0x80
    mov ax, 0x4300
    int 0x13
    jc failed
    mov al, 1
    jmp quit
  failed:
    call hex
    mov al, 2
    jmp quit
  packet:
    .byte 16, 0
    .word 1, 0x8000, 0
    .long ${lba}, 0
    ${bootRoutines}`;
  const start = diskImage(source, 1 << 20);
  const written = new Map<number, Uint8Array>();
  const storage: BlockStorage = {
    size: 2 ** 38,
    readOnly: false,
    read(offset, into) {
      for (let at = 0; at < into.length; at += 512) {
        const sector = into.subarray(at, at + 512);
        const from = offset + at;
        if (from < start.length) sector.set(start.subarray(from, from + 512));
        else new DataView(sector.buffer, sector.byteOffset).setUint32(0, from / 512, true);
      }
    },
    write(offset, from) {
      for (let at = 0; at < from.length; at += 512) written.set((offset + at) / 512, from.slice(at, at + 2));
    },
    flush() {},
  };
  const { exit, serial } = await boot({ drives: { hda: { storage, name: "large" } } });
  expect({ exit, serial }).toEqual({ exit: done, serial: "0005 1000 " });
  expect([...written]).toEqual([[lba + 1, Uint8Array.of(0x6f, 0x6b)]]);
}, 60_000);

describe("a CD that emulates another drive (El Torito 1.0, 2.2)", () => {
  test.each([
    ["a floppy of 1.2M", 1, "0000", 1200 << 10],
    ["a floppy of 1.44M", 2, "0000", 1440 << 10],
    ["a floppy of 2.88M", 3, "0000", 2880 << 10],
    ["a hard disk", 4, "0080", 4 << 20],
  ] as const)(
    "%s: the sector boots as from one, and reads another one of it",
    async (_, media, from, size) => {
      if (mustSkip("El Torito emulation", fetched)) return;
      // The last sector of the second track.
      const perTrack = ({ 1: 15, 2: 18, 3: 36, 4: 63 } as const)[media];
      const source = `
        mov ax, dx
        xor ah, ah
        call hex
        mov ax, 0x0201
        mov bx, 0x8000
        mov cx, ${perTrack}
        mov dh, 1
        int 0x13
        jc failed
        mov ax, [0x8000]
        call hex
        mov al, 1
        jmp quit
      failed:
        call hex
        mov al, 2
        jmp quit
        ${bootRoutines}`;
      const emulated = diskImage(source, size);
      emulated.set([0x34, 0x12], 512 * (2 * perTrack - 1));
      // A hard disk's partition: its end tells the geometry.
      if (media === 4) emulated.set([0x80, 0, 1, 0, 0x0b, 15, 63, 7, 0, 0, 0, 0, 0, 0x20], 446);
      const { exit, serial } = await boot({ drives: { hdc: drive(emulatingCd(emulated, media), "cd", "cdrom") }, boot: "d" });
      expect({ exit, serial }).toEqual({ exit: done, serial: `${from} 1234 ` });
    },
    60_000,
  );
});

test.each([0x10000, 0x20000, 0x80000])("a BIOS of our own, of %i bytes: started at the reset vector, its end below 1 MiB too", async (size) => {
  const rom = new Uint8Array(size).fill(0xff);
  // F000:FFF0 with the base of CS at FFFF0000h: a far jump to F000:E000, which is the ROM below 1 MiB.
  const reset = program16("ljmp 0xf000, 0xe000", 0xfff0);
  const source = `
    mov ax, 0xf000
    mov ds, ax
    xor ax, ax
    mov ss, ax
    mov sp, 0x7c00
    mov ax, [0xfff1]
    call hex
    mov ax, cs
    call hex
    mov al, 1
    jmp quit
    ${bootRoutines}`;
  rom.set(reset, size - 16);
  rom.set(program16(source, 0xe000), size - 0x2000);
  const machine = createMachine({ bios: { name: "own", bytes: rom }, memory: 4 << 20 });
  let serial = "";
  machine.on("serial", (bytes) => {
    serial += new TextDecoder().decode(bytes);
  });
  expect(await machine.run({ timeout: limit })).toEqual(done);
  expect(serial).toBe("E000 F000 ");
  machine.destroy();
});

describe("power and reset", () => {
  /** The CMOS's free byte 7Fh counts the starts; RAM keeps a word over a reset. */
  const counts = (reset: string) => `
    mov al, 0x7f
    out 0x70, al
    in al, 0x71
    inc al
    out 0x71, al
    cmp al, 3
    je over
    cmp al, 1
    jne again
    mov word ptr [0x600], 0x1234
  again:
    ${reset}
  wait: jmp wait
  over:
    mov ax, [0x600]
    call hex
    mov al, 1
    jmp quit
    ${bootRoutines}`;

  test.each([
    ["keyboard controller", "mov al, 0xfe\n out 0x64, al", "reset"],
    ["port 92h", "mov al, 1\n out 0x92, al", "reset"],
    ["port CF9h", "mov dx, 0xcf9\n mov al, 2\n out dx, al\n mov al, 6\n out dx, al", "reset"],
    ["a triple fault", "mov word ptr [0x700], 0\n lidt [0x700]\n int3", "triple-fault"],
    ["a jump to the reset vector", "ljmp 0xffff, 0", ""],
  ])(
    "%s starts the BIOS again",
    async (_, source, reason) => {
      if (mustSkip("resets", fetched)) return;
      const { exit, serial, resets } = await boot({ drives: { hda: drive(diskImage(counts(source), diskSize), "disk") } });
      expect({ exit, serial }).toEqual({ exit: done, serial: "1234 " });
      if (reason !== "") expect(resets).toEqual([reason, reason]);
    },
    60_000,
  );

  test("onReset: exit", async () => {
    if (mustSkip("resets", fetched)) return;
    const image = diskImage(counts("mov al, 0xfe\n out 0x64, al"), diskSize);
    expect((await boot({ drives: { hda: drive(image, "disk") }, onReset: "exit" })).exit).toEqual({ reason: "reset" });
  }, 60_000);

  test("power-off through ACPI's registers, where firmware has placed them", async () => {
    if (mustSkip("power-off", fetched)) return;
    const source = "mov dx, 0x604\n mov ax, 0x2000\n out dx, ax\n hang: jmp hang";
    expect((await boot({ drives: { hda: drive(diskImage(source, diskSize), "disk") } })).exit).toEqual({ reason: "power-off" });
  }, 60_000);
});

/** BIOS calls, with the registers they are made with: AX, BX, CX, DX. Not the size of memory: QEMU's ACPI tables take more of it. */
const calls: readonly (readonly [what: string, interrupt: number, ax: number, bx?: number, cx?: number, dx?: number])[] = [
  ["equipment", 0x11, 0],
  ["conventional memory", 0x12, 0],
  ["parameters of the disk", 0x13, 0x0800, 0, 0, 0x80],
  ["type of the disk", 0x13, 0x1500, 0, 0, 0x80],
  ["extensions for the disk", 0x13, 0x4100, 0x55aa, 0, 0x80],
  ["parameters of the floppy", 0x13, 0x0800, 0, 0, 0x00],
  ["type of the floppy", 0x13, 0x1500, 0, 0, 0x00],
  ["a disk that is not there", 0x13, 0x0800, 0, 0, 0x81],
  ["A20 support", 0x15, 0x2403],
  ["the PS/2 mouse's controller", 0x15, 0xc205, 0x0300],
  ["video mode", 0x10, 0x0f00],
  ["cursor", 0x10, 0x0300],
  ["PCI BIOS", 0x1a, 0xb101],
  ["host bridge", 0x1a, 0xb102, 0, 0x1237, 0x8086],
  ["ISA bridge", 0x1a, 0xb102, 0, 0x7000, 0x8086],
  ["IDE", 0x1a, 0xb102, 0, 0x7010, 0x8086],
  ["power management", 0x1a, 0xb102, 0, 0x7113, 0x8086],
  ["VGA", 0x1a, 0xb102, 0, 0x1111, 0x1234],
];
/** Configuration registers, words: bus/device/function, register. */
const configurations: readonly (readonly [what: string, place: number, register: number])[] = [
  ["host bridge, command", 0x00, 0x04],
  ["host bridge, PAM 59h and 5Ah", 0x00, 0x58],
  ["ISA bridge, command", 0x08, 0x04],
  ["power management, command", 0x0b, 0x04],
  ["PIRQs A and B", 0x08, 0x60],
  ["PIRQs C and D", 0x08, 0x62],
  ["IDE, command", 0x09, 0x04],
  ["IDE, BAR 4", 0x09, 0x20],
  ["IDE, timing", 0x09, 0x40],
  ["ACPI base", 0x0b, 0x40],
  ["ACPI interrupt", 0x0b, 0x3c],
  ["VGA, command", 0x10, 0x04],
  ["VGA, BAR 0, high half", 0x10, 0x12],
];
const table = [...calls, ...configurations.map(([what, place, register]) => [what, 0x1a, 0xb109, place, 0, 0, register] as const)];

/** One line for each call: AX BX CX DX, and the flags' carry in the last digit. */
const reporting = (first: number, count: number) => `
    mov si, offset table
  again:
    lodsb
    mov [number + 1], al
    lodsw
    push ax
    lodsw
    mov bx, ax
    lodsw
    mov cx, ax
    lodsw
    mov dx, ax
    lodsw
    mov di, ax
    pop ax
    push si
    xor si, si
  number:
    int 0
    pushf
    push dx
    push cx
    push bx
    call hex
    mov bp, 4
  next:
    pop ax
    cmp bp, 1
    jne whole
    and ax, 1
  whole:
    call hex
    dec bp
    jnz next
    mov al, 10
    mov dx, 0x3f8
    out dx, al
    xor ax, ax
    mov es, ax
    pop si
    cmp byte ptr [si], 0
    jne again
    mov al, 1
    jmp quit
  table:
    ${table
      .slice(first, first + count)
      .map(([, interrupt, ax, bx = 0, cx = 0, dx = 0, di = 0]) => `.byte ${interrupt}\n .word ${ax}, ${bx}, ${cx}, ${dx}, ${di}`)
      .join("\n")}
    .byte 0
    ${bootRoutines}`;
/** Every register of every function on the bus: bus/device/function, register, value, a line each. */
const configurationSpace = `
    xor ebp, ebp
  function:
    xor edi, edi
  register:
    mov eax, ebp
    shl eax, 8
    or eax, edi
    or eax, 0x80000000
    mov dx, 0xcf8
    out dx, eax
    mov dx, 0xcfc
    in eax, dx
    cmp eax, 0xffffffff
    je next
    push eax
    mov ax, bp
    call hex
    mov ax, di
    call hex
    pop eax
    push ax
    shr eax, 16
    call hex
    pop ax
    call hex
    mov dx, 0x3f8
    mov al, 10
    out dx, al
  next:
    add di, 4
    cmp di, 256
    jb register
    inc bp
    cmp bp, 256
    jb function
    mov al, 1
    jmp quit
    ${bootRoutines}`;
/** What is not as on QEMU's: a register of QEMU's own that says how much RAM there is; SMRAM, which the BIOS closes there after use; the place of the SMBus's interrupt. */
const otherRegisters = new Set(["0000 0054", "0000 0070", "000B 0064"]);

/** As many as fit into a sector. */
const perSector = 20;

function onQemu(disk: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), "xlat86-bios-"));
  try {
    const file = (name: string, bytes: Uint8Array) => {
      writeFileSync(join(folder, name), bytes);
      return join(folder, name);
    };
    const raw = (name: string, bytes: Uint8Array, where: string) => ["-drive", `format=raw,${where},file=${file(name, bytes)}`];
    const serials = ["-serial", `file:${join(folder, "serial")}`, ...[1, 2, 3].flatMap(() => ["-serial", "null"])];
    const result = spawnSync("qemu-system-i386", [
      ...["-machine", "pc", "-accel", "tcg", "-m", "32", "-display", "none", "-nodefaults", "-vga", "std", ...serials],
      ...["-bios", file("bios", (firmware.bios as { bytes: Uint8Array }).bytes), "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
      ...raw("disk", disk, "if=ide,index=0"),
      ...raw("floppy", new Uint8Array(floppySize), "if=floppy,index=0"),
      ...["-boot", "c"],
    ]);
    if (result.status !== 3) throw new Error(`QEMU ended with ${result.status}: ${result.stderr}`);
    return readFileSync(join(folder, "serial"), "latin1");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("BIOS calls and the chipset as the firmware has set it up: as on QEMU", async () => {
  if (mustSkip("the firmware's view of the machine", fetched) || mustSkip("the firmware's view of the machine", qemu)) return;
  for (let first = 0; first < table.length; first += perSector) {
    const image = diskImage(reporting(first, perSector), diskSize);
    const expected = onQemu(image).trim().split("\n");
    const drives = { hda: drive(image, "disk"), fda: drive(new Uint8Array(floppySize), "floppy") };
    const { serial } = await boot({ drives, boot: "c" });
    const found = serial.trim().split("\n");
    const described = (lines: readonly string[]) => lines.map((line, k) => `${table[first + k][0]}: ${line}`);
    expect(described(found)).toEqual(described(expected));
    expect(found).toHaveLength(Math.min(perSector, table.length - first));
  }
}, 60_000);

test("configuration space, all of it, as the firmware leaves it: as on QEMU", async () => {
  if (mustSkip("the configuration space", fetched) || mustSkip("the configuration space", qemu)) return;
  const image = diskImage(configurationSpace, diskSize);
  const registers = (text: string) =>
    text
      .trim()
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => !otherRegisters.has(line.slice(0, 9)));
  const drives = { hda: drive(image, "disk"), fda: drive(new Uint8Array(floppySize), "floppy") };
  const found = registers((await boot({ drives, boot: "c" })).serial);
  expect(found.length).toBeGreaterThan(300);
  expect(found).toEqual(registers(onQemu(image)));
}, 60_000);
