/**
 * Real guests from boot media: boot loaders, memory test, network boot firmware and Debian's installer, as their packages have them, driven by what is on
 * their screens. On both engines where tier 0 alone takes less than a minute; `npm run test:guests` adds those that take minutes.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { MEDIA_GUESTS, type MediaGuestName } from "../../bench/guests/guests.ts";
import type { Machine, MachineOptions } from "../../src/index.ts";
import { bootRoutines, diskImage, drive } from "./boot-media.ts";
import { availableMedia, driven, drivesOf, leftOut, type Media } from "./media-rig.ts";
import { type Availability, mustSkip } from "./oracle.ts";

/** Host seconds: a guest takes 1 to 20 of an idle host. */
const limit = 400;
const testTime = { timeout: (limit + 30) * 1000 };
const wait = { timeout: limit };

let state: Availability = { available: false, reason: "not fetched yet" };
let files: Media;

beforeAll(async () => {
  if (!isAsked) return;
  const found = await availableMedia();
  state = found.state;
  if (found.files) files = found.files;
}, 600_000);

function guest(name: MediaGuestName, more: Partial<MachineOptions> = {}): MachineOptions {
  const { memoryMiB, boot, drives } = MEDIA_GUESTS[name];
  return { ...files.firmware, memory: memoryMiB << 20, boot, drives: drivesOf(drives(files.media)), ...more };
}

/** Boots a guest to its landmark, then lets `more` go on. */
async function toLandmark(name: MediaGuestName, options: Partial<MachineOptions>, more?: (machine: Machine) => Promise<unknown>): Promise<void> {
  await driven(guest(name, options), limit, async (machine) => {
    await machine.screen.waitForText(MEDIA_GUESTS[name].landmark, wait);
    await more?.(machine);
  });
}

/** Minutes of boots and a few hundred megabytes fetched: by `npm run test:guests` alone, and said so where it is left out. */
const isAsked = !leftOut("guests from boot media");

describe.skipIf(!isAsked).each(["translate", "interpret"] as const)("--engine %s", { ...testTime }, (engine) => {
  test("GRUB's rescue CD: its menu, and its command line", async () => {
    if (mustSkip("GRUB from a CD", state)) return;
    await toLandmark("grub-rescue", { engine }, async (machine) => {
      await machine.keyboard.type("c");
      await machine.screen.waitForText(/^grub> *$/m, wait);
      await machine.keyboard.type("echo $prefix\n");
      await machine.screen.waitForText(/^\((memdisk|cd\d*|hd96)\)?.*grub/m, wait);
    });
  });

  test("GRUB on a hard disk: its menu starts a Multiboot kernel", async () => {
    if (mustSkip("GRUB from a disk", state)) return;
    await toLandmark("grub-disk", { engine }, async (machine) => {
      await machine.keyboard.sendKeys("{Down}{Enter}");
      await machine.waitForSerial("Power off.", wait);
    });
  });

  test("SYSLINUX on a floppy: its menu starts a Multiboot kernel", async () => {
    if (mustSkip("SYSLINUX from a floppy", state)) return;
    await toLandmark("syslinux-floppy", { engine }, async (machine) => {
      await machine.keyboard.sendKeys("{Enter}");
      await machine.waitForSerial("Power off.", wait);
    });
  });

  test("iPXE: Ctrl-B, its prompt, a command", async () => {
    if (mustSkip("iPXE", state)) return;
    await driven(guest("ipxe", { engine }), limit, async (machine) => {
      await machine.screen.waitForText(/ctrl-b/i, wait);
      await machine.keyboard.press("ControlLeft", "KeyB");
      await machine.screen.waitForText(/^iPXE>/m, wait);
      await machine.keyboard.type("cpuid --ext 29 && echo has || echo has no long mode\n");
      await machine.screen.waitForText(/^has no long mode$/m, wait);
    });
  });

  test("memtest86+ starts testing", async () => {
    if (mustSkip("memtest86+", state)) return;
    await toLandmark("memtest86", { engine });
  });
});

describe.skipIf(!isAsked)("translated", { ...testTime }, () => {
  test("memtest86+: a whole pass without an error", async () => {
    if (mustSkip("memtest86+", state)) return;
    await driven(guest("memtest86"), limit, async (machine) => {
      const { screen, keyboard } = machine;
      // Test 10 (bit fade) waits for five minutes twice; test 1 is off by default.
      await screen.waitForText(/Test #|<F1> to/, wait);
      await keyboard.press("F1");
      await screen.waitForText(/<F1> +Test/, wait);
      await keyboard.press("F1");
      await screen.waitForText("Remove one test", wait);
      await keyboard.press("F2");
      await screen.waitForText("Enter test", wait);
      await keyboard.type("10\n");
      await screen.waitForText(/\*\.\*{8}\./, wait);
      await keyboard.press("F10");
      await screen.waitForText(/<F1> +Test/, wait);
      await keyboard.press("F10");
      const lines = await screen.waitForText(/Pass: +1/, wait);
      expect(lines.join("\n")).toMatch(/Errors: 0\s/);
    });
  });

  test("ISOLINUX: Debian's kernel from a CD, to a shell on the screen", async () => {
    if (mustSkip("ISOLINUX", state)) return;
    await toLandmark("isolinux", {}, async (machine) => {
      await machine.keyboard.type("cat /proc/cmdline\n");
      await machine.screen.waitForText(/BOOT_IMAGE=\/vmlinuz/, wait);
    });
  });

  test("SYSLINUX: Debian's kernel from a disk", async () => {
    if (leftOut("Debian's kernel through SYSLINUX") || mustSkip("SYSLINUX from a disk", state)) return;
    await toLandmark("syslinux-disk", {});
  });

  test("GRUB: Debian's kernel from a disk", async () => {
    if (leftOut("Debian's kernel through GRUB") || mustSkip("GRUB from a disk", state)) return;
    await toLandmark("grub-disk", {}, async (machine) => {
      await machine.keyboard.sendKeys("{Enter}");
      await machine.screen.waitForText(/Linux is ready\./, wait);
    });
  });

  test("Debian's installer from a CD: its first menu", async () => {
    if (mustSkip("the installer", state)) return;
    await toLandmark("installer", {});
  });

  test("Debian's installer booted directly: its first menu on the serial line", async () => {
    if (leftOut("the installer booted directly") || mustSkip("the installer", state)) return;
    const { kernel, initrd } = files.media.installer;
    const options = { kernel: readFileSync(kernel), initrd: readFileSync(initrd), append: "console=ttyS0 fb=false", memory: 512 << 20 };
    await driven(options, limit, (machine) => machine.waitForSerial("Select a language", wait));
  });
});

describe.skipIf(!isAsked)("reboot loops", { ...testTime }, () => {
  const starts = 24;
  /** The start's number, kept in the disk's second sector, chooses among four ways of starting again. */
  const source = `
    mov ax, 0x0201
    mov bx, 0x7e00
    mov cx, 2
    mov dx, 0x80
    int 0x13
    jc failed
    inc byte ptr [0x7e00]
    mov ax, 0x0301
    mov cx, 2
    mov dx, 0x80
    int 0x13
    jc failed
    mov al, [0x7e00]
    cmp al, ${starts}
    je over
    and al, 3
    jz keyboard
    dec al
    jz port92
    dec al
    jz cf9
    mov word ptr [0x700], 0
    lidt [0x700]
    int3
  keyboard:
    mov al, 0xfe
    out 0x64, al
    jmp wait
  port92:
    mov al, 1
    out 0x92, al
    jmp wait
  cf9:
    mov dx, 0xcf9
    mov al, 2
    out dx, al
    mov al, 6
    out dx, al
  wait: jmp wait
  failed:
    mov al, 2
    jmp quit
  over:
    mov al, 1
    jmp quit
    ${bootRoutines}`;

  test.each(["translate", "interpret"] as const)("a boot sector starts the machine again in four ways, --engine %s", async (engine) => {
    if (mustSkip("reboot loops", state)) return;
    const reasons: string[] = [];
    const drives = { hda: drive(diskImage(source, 8 << 20), "disk") };
    await driven({ ...files.firmware, memory: 32 << 20, drives, engine, clock: "virtual" }, limit, async (machine) => {
      const ended = new Promise((done) => {
        machine.on("exit", done);
        machine.on("reset", ({ reason }) => reasons.push(reason));
      });
      expect(await ended).toMatchObject({ reason: "debug-exit", value: 1 });
    });
    expect(reasons).toEqual(Array.from({ length: starts - 1 }, (_, k) => ((k + 1) % 4 === 3 ? "triple-fault" : "reset")));
  });

  test("GRUB's reboot command, three times", async () => {
    if (mustSkip("GRUB from a disk", state)) return;
    let resets = 0;
    await driven(guest("grub-disk"), limit, async (machine) => {
      for (let start = 0; start < 3; start++) {
        const reset = new Promise<void>((done) => {
          machine.on("reset", () => done());
        });
        await machine.screen.waitForText(MEDIA_GUESTS["grub-disk"].landmark, wait);
        await machine.keyboard.sendKeys("{Down}{Down}{Down}{Enter}");
        await reset;
        resets++;
      }
      await machine.screen.waitForText(MEDIA_GUESTS["grub-disk"].landmark, wait);
    });
    expect(resets).toBe(3);
  });
});
