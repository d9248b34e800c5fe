// A guest of the bench as options of v86's constructor.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { V86 } from "v86";
import type { ChildJob, LoadedGuest } from "./guest-process.ts";

type V86Options = ConstructorParameters<typeof V86>[0];

export function v86Options(guest: LoadedGuest, settings: ChildJob["settings"]): V86Options {
  const buildDirectory = dirname(createRequire(import.meta.url).resolve("v86"));
  const image = (bytes: Uint8Array<ArrayBuffer>) => ({ buffer: bytes.buffer });
  const firmware = settings.bios ? { bios: { url: String(settings.bios) }, vga_bios: { url: String(settings.vgaBios) } } : {};
  const boot =
    guest.boot === "linux" && guest.initrd ? { bzimage: image(guest.kernel), initrd: image(guest.initrd) } : { multiboot: image(guest.kernel) };
  return {
    wasm_path: join(buildDirectory, "v86.wasm"),
    memory_size: guest.memoryBytes,
    vga_memory_size: 2 << 20,
    ...firmware,
    ...boot,
    cmdline: guest.commandLine,
    acpi: guest.usesApic,
    disable_jit: settings.interpret === true,
    autostart: true,
  };
}
