/**
 * A whole machine saved in the middle of what it does, restored into another one built from the same options, and run on: it must end as the one that was never
 * interrupted, bit by bit - registers, memory, every device, what is on the drives, what came out of the serial port. The guest is SeaBIOS and a boot sector that
 * keeps disk, floppy, CD, screen, timers and the keyboard controller busy; guest time is counted in instructions.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { fetchLinuxGuest, LINUX_COMMAND_LINE, type LinuxGuest } from "../../src/guest/debian.ts";
import { fetchFirmware } from "../../src/guest/firmware.ts";
import { LINUX_READY_LINE } from "../../src/guest/initramfs.ts";
import { createMachine, type Machine, type MachineOptions } from "../../src/index.ts";
import { Random } from "../devices/support.ts";
import { bootRoutines, diskImage, drive, floppySize, program16 } from "./boot-media.ts";
import { type Availability, mustSkip } from "./oracle.ts";

const diskSize = 2 << 20;
/** Of guest time: SeaBIOS waits for a second until a floppy's motor runs, in a loop. */
const nanosecondsPerInstruction = 100;
const savesPerRun = Number(process.env.XLAT86_SAVES ?? 5);
const programSectors = 4;
/** Guest instructions: some ten times what it takes. */
const limit = 300_000_000;
/** Host seconds. */
const linuxSeconds = 120;
const done = { reason: "debug-exit", value: 1, code: 3 };

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

/** Loads the sectors behind the first one, which are the program. */
const loader = `
    mov ax, ${0x0200 + programSectors}
    mov bx, 0x7e00
    mov cx, 2
    mov dx, 0x0080
    int 0x13
    jc failed
    jmp 0x7e00
  failed:
    mov si, offset text
    call print
    mov al, 9
    jmp quit
    text: .asciz "cannot load"
    ${bootRoutines}`;

/** Twelve rounds: a sector from the hard disk to the floppy and back to another sector, a sum of it, a line on the screen, a wait for two ticks, a scan code asked for. */
const program = `
    mov ax, 3
    int 0x10
    mov word ptr [0x600], 0
    mov bp, 12
  round:
    # Hard disk, sector 20 + round of track 1.
    mov ax, 0x0201
    mov bx, 0x8800
    mov cx, bp
    add cx, 0x0101
    mov dx, 0x0080
    int 0x13
    jc bad
    mov si, 0x8800
    mov cx, 256
  sum:
    lodsw
    add [0x600], ax
    rol word ptr [0x600], 1
    loop sum
    # To the floppy: cylinder = round, head 1.
    mov ax, 0x0301
    mov bx, 0x8800
    mov cx, bp
    shl cx, 8
    or cl, 3
    mov dx, 0x0100
    int 0x13
    jc bad
    # And back, into another place.
    mov ax, 0x0201
    mov bx, 0x8a00
    mov dx, 0x0100
    int 0x13
    jc bad
    mov ax, [0x600]
    mov [0x8a00], ax
    mov ax, 0x0301
    mov bx, 0x8a00
    mov cx, bp
    add cx, 0x0301
    mov dx, 0x0080
    int 0x13
    jc bad
    mov ax, [0x600]
    call hex
    mov ah, 0x0e
    mov al, 0x40
    add ax, bp
    mov bx, 7
    int 0x10
    # The keyboard's identity, through the controller.
    cli
    mov al, 0xf2
    out 0x60, al
    sti
    mov ax, [0x46c]
    add ax, 2
  tick:
    hlt
    cmp ax, [0x46c]
    ja tick
    dec bp
    jnz round
    # A picture: planes, latches, the DAC.
    mov ax, 0x12
    int 0x10
    push es
    mov ax, 0xa000
    mov es, ax
    mov dx, 0x3ce
    mov ax, 0x0205
    out dx, ax
    xor di, di
  paint:
    mov al, es:[di]
    mov ax, di
    shr ax, 3
    stosb
    cmp di, 38400
    jb paint
    pop es
    mov ax, [0x600]
    call hex
    mov al, 1
    jmp quit
  bad:
    call hex
    mov al, 2
    jmp quit
    ${bootRoutines}`;

interface Media {
  readonly disk: Uint8Array;
  readonly floppy: Uint8Array;
}

function freshMedia(): Media {
  const disk = diskImage(loader, diskSize);
  const random = new Random(0x5eed);
  for (let at = 512 * (1 + programSectors); at < disk.length; at++) disk[at] = random.below(256);
  const code = program16(program, 0x7e00);
  if (code.length > 512 * programSectors) throw new Error(`the program is ${code.length} bytes`);
  disk.set(code, 512);
  return { disk, floppy: new Uint8Array(floppySize) };
}

const copyOf = ({ disk, floppy }: Media): Media => ({ disk: disk.slice(), floppy: floppy.slice() });

function build(engine: "translate" | "interpret", { disk, floppy }: Media): Machine {
  const drives = {
    hda: drive(disk, "disk"),
    fda: drive(floppy, "floppy"),
    hdc: { storage: null, media: "cdrom" as const },
    virtio: [drive(new Uint8Array(1 << 20), "virtio")],
  };
  return createMachine({ ...firmware, engine, memory: 8 << 20, boot: "c", drives, clock: "virtual", nanosecondsPerInstruction });
}

/** Runs to the guest's end, or for so many instructions; returns what it sent. */
async function run(machine: Machine, instructions = limit): Promise<string> {
  let serial = "";
  const listen = (bytes: Uint8Array) => {
    serial += new TextDecoder().decode(bytes);
  };
  machine.on("serial", listen);
  await machine.run({ instructions });
  machine.off("serial", listen);
  return serial;
}

const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex").slice(0, 16);

/** All there is, large parts as digests. */
function state(machine: Machine, media: Media): Record<string, unknown> {
  const { memory, board, cpu, clock, instructions } = machine.save();
  const { slots: _, ...rest } = cpu;
  const registers = machine.registers.all();
  const drives = { disk: digest(media.disk), floppy: digest(media.floppy) };
  return { registers, cpu: rest, board, clock, instructions, memory: digest(memory.ram as Uint8Array), exit: machine.ended, drives };
}

describe.each(["translate", "interpret"] as const)("SeaBIOS and a boot sector, --engine %s", (engine) => {
  test("saved at random moments, restored into another machine: both end the same", async () => {
    if (mustSkip("saving a machine that boots through SeaBIOS", fetched)) return;
    const media = freshMedia();
    const machine = build(engine, media);
    const whole = await run(machine);
    expect({ exit: machine.ended, whole }).toEqual({ exit: done, whole: expect.stringMatching(/^([0-9A-F]{4} ){13}$/) });
    const { instructions } = machine.save();
    const written = state(machine, media).drives;
    machine.destroy();

    const random = new Random(0xb00);
    for (let k = 0; k < savesPerRun; k++) {
      const at = random.below(instructions);
      const original = freshMedia();
      const first = build(engine, original);
      const before = await run(first, at);
      const saved = structuredClone(first.save());
      const copy = copyOf(original);
      // Without its code it is where the other one begins: slices end where they end there.
      first.restore(saved);
      const place = `saved after ${saved.instructions} instructions`;
      const second = build(engine, copy);
      // A machine that has run already forgets it all.
      await run(second, 3_000_000);
      copy.disk.set(original.disk);
      copy.floppy.set(original.floppy);
      second.restore(saved);
      expect(state(second, copy), place).toEqual(state(first, original));
      const after = await run(first);
      expect(before + after, place).toBe(whole);
      expect(await run(second), place).toBe(after);
      expect(state(second, copy), place).toEqual(state(first, original));
      expect(state(first, original), place).toMatchObject({ exit: done, drives: written });
      first.destroy();
      second.destroy();
    }
  }, 240_000);
});

describe("Debian's kernel at its prompt", () => {
  let guest: LinuxGuest;
  let guestFetched: Availability = { available: false, reason: "not fetched yet" };

  beforeAll(async () => {
    try {
      guest = await fetchLinuxGuest();
      guestFetched = { available: true };
    } catch (error) {
      guestFetched = { available: false, reason: String(error) };
    }
  }, 240_000);

  test("goes on in other machines, on either engine, as often as one likes", async () => {
    if (mustSkip("saving a machine that runs Linux", guestFetched)) return;
    const options = { kernel: readFileSync(guest.kernel), initrd: readFileSync(guest.initrd), append: LINUX_COMMAND_LINE, memory: 128 << 20 };
    const booted = createMachine(options);
    const running = booted.run({ timeout: linuxSeconds });
    await booted.waitForSerial(LINUX_READY_LINE, { timeout: linuxSeconds });
    await booted.waitForSerial("/root # ", { timeout: linuxSeconds });
    // A command under way, with a process that sleeps and a pipe with something in it.
    booted.serial.write("dmesg -n 1; (sleep 1; seq 1 2000) | sha256sum\n");
    await booted.waitForSerial("sha256sum\r\n");
    booted.pause();
    expect(await running).toEqual({ reason: "paused" });
    const saved = structuredClone(booted.save());
    booted.destroy();
    const expected = createHash("sha256")
      .update(Array.from({ length: 2000 }, (_, k) => `${k + 1}\n`).join(""))
      .digest("hex");
    for (const engine of ["translate", "interpret"] as const) {
      const machine = createMachine({ ...options, engine });
      machine.restore(saved);
      const run = machine.run({ timeout: linuxSeconds });
      expect(await machine.waitForSerial(/[0-9a-f]{64}/, { timeout: linuxSeconds })).toContain(expected);
      machine.serial.write("echo $((6 * 7))\n");
      expect(await machine.waitForSerial(/\n42\r/)).toContain("42");
      machine.serial.write("exit\n");
      expect((await run).reason).toBe("power-off");
      machine.destroy();
    }
  }, 300_000);
});
