/**
 * Real guests from boot media: boot loaders, memory test, network boot firmware and Debian's installer, as their packages have them, driven by what is on
 * their screens. All of it takes minutes and a hundred megabytes of packages: `npm run test:guests` runs it.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { MEDIA_GUESTS, type MediaGuestName } from "../../bench/guests/guests.ts";
import type { Machine, MachineOptions } from "../../src/index.ts";
import { bootRoutines, diskImage, drive } from "./boot-media.ts";
import { availableMedia, driven, drivesOf, type Media } from "./media-rig.ts";
import { type Availability, isWhole, mustSkip, progress, sayWhatIsLeftOut } from "./oracle.ts";

/** Host seconds, for a guest that hangs: one takes up to two minutes of an idle host, and the host may be anything but idle. */
const limit = 1800;
const testTime = { timeout: (limit + 30) * 1000 };
const wait = { timeout: limit };

let state: Availability = { available: false, reason: "not fetched yet" };
let files: Media;

sayWhatIsLeftOut("guests from boot media (GRUB, ISOLINUX, SYSLINUX, MEMDISK, memtest86+, iPXE, Debian's installer) and reboot loops");

beforeAll(async () => {
  if (!isWhole) return;
  const found = await availableMedia();
  state = found.state;
  if (found.files) files = found.files;
}, 1_200_000);

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

async function passed(machine: Machine): Promise<void> {
  const lines = await machine.screen.waitForText(/Pass: +1/, wait);
  expect(lines.join("\n")).toMatch(/Errors: 0\s/);
}

describe.skipIf(!isWhole).each(["translate", "interpret"] as const)("--engine %s", { ...testTime }, (engine) => {
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

  test("memtest86+: a whole pass without an error", async () => {
    if (mustSkip("memtest86+", state)) return;
    await driven(guest("memtest86", { engine }), limit, async (machine) => {
      const { screen, keyboard } = machine;
      // Test 10 (bit fade) waits for 80 seconds twice, and is in a test of its own; test 1 is off by default.
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
      await passed(machine);
    });
  });

  test("ISOLINUX: Debian's kernel from a CD, to a shell on the screen", async () => {
    if (mustSkip("ISOLINUX", state)) return;
    await toLandmark("isolinux", { engine }, async (machine) => {
      await machine.keyboard.type("cat /proc/cmdline\n");
      await machine.screen.waitForText(/BOOT_IMAGE=\/vmlinuz/, wait);
    });
  });

  test("SYSLINUX: Debian's kernel from a disk", async () => {
    if (mustSkip("SYSLINUX from a disk", state)) return;
    await toLandmark("syslinux-disk", { engine });
  });

  test("SYSLINUX: Debian's kernel from a volume without partitions", async () => {
    if (mustSkip("SYSLINUX from a volume", state)) return;
    await toLandmark("big-floppy", { engine });
  });

  test("SYSLINUX: Debian's kernel from the floppy that MEMDISK makes of an image", async () => {
    if (mustSkip("MEMDISK", state)) return;
    await toLandmark("memdisk", { engine });
  });

  test("GRUB: Debian's kernel from a disk", async () => {
    if (mustSkip("GRUB from a disk", state)) return;
    await toLandmark("grub-disk", { engine }, async (machine) => {
      await machine.keyboard.sendKeys("{Enter}");
      await machine.screen.waitForText(/Linux is ready\./, wait);
    });
  });

  test("Debian's installer from a CD: its first menu", async () => {
    if (mustSkip("the installer", state)) return;
    await toLandmark("installer", { engine });
  });
});

describe.skipIf(!isWhole)("translated", { ...testTime }, () => {
  test("Debian's installer booted directly: its first menu on the serial line", async () => {
    if (mustSkip("the installer", state)) return;
    const { kernel, initrd } = files.media.installer;
    const options = { kernel: readFileSync(kernel), initrd: readFileSync(initrd), append: "console=ttyS0 fb=false", memory: 512 << 20 };
    await driven(options, limit, (machine) => machine.waitForSerial("Select a language", wait));
  });

  test("memtest86+: a whole pass with every test of it, also the one in which bits may fade", async () => {
    if (mustSkip("memtest86+", state)) return;
    await driven(guest("memtest86"), limit, async (machine) => {
      await machine.screen.waitForText(/Bit fade test/, wait);
      progress("bits may fade for 80 seconds, twice");
      await passed(machine);
    });
  });
});

describe.skipIf(!isWhole)("reboot loops", { ...testTime }, () => {
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

  test("Linux reboots, and GRUB is there again, three times", async () => {
    if (mustSkip("Debian's kernel that reboots", state)) return;
    let resets = 0;
    await driven(guest("grub-disk"), limit, async (machine) => {
      for (let start = 0; start < 3; start++) {
        const reset = new Promise<void>((done) => {
          machine.on("reset", () => done());
        });
        await machine.screen.waitForText(MEDIA_GUESTS["grub-disk"].landmark, wait);
        await machine.keyboard.sendKeys("{Enter}");
        await machine.screen.waitForText(/Linux is ready\.[\s\S]*# *$/, wait);
        await machine.keyboard.type("reboot -f\n");
        await reset;
        progress(`rebooted ${++resets}`);
      }
      await machine.screen.waitForText(MEDIA_GUESTS["grub-disk"].landmark, wait);
    });
    expect(resets).toBe(3);
  });
});
