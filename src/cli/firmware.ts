/** The BIOS images a PC boots with: those named, else SeaBIOS and its VGA BIOS from Debian's package. */
import { GuestFetchError } from "../guest/debian.ts";
import { fetchFirmware } from "../guest/firmware.ts";
import { progressBar } from "../guest/progress.ts";
import type { MachineOptions } from "../machine/options.ts";
import type { RunOptions } from "./arguments.ts";
import { UsageError } from "./error.ts";
import { readGuestFile } from "./files.ts";

/** Errors: `UsageError`. */
export async function firmwareImages({ bios, vgaBios }: RunOptions): Promise<Pick<MachineOptions, "bios" | "vgaBios">> {
  // Someone who brings a BIOS may do without the other one.
  if (bios !== undefined) {
    return { bios: readGuestFile("bios", bios), ...(vgaBios === undefined ? {} : { vgaBios: readGuestFile("vga-bios", vgaBios) }) };
  }
  const files = await fetchFirmware({ onProgress: progressBar(process.stderr, "SeaBIOS") }).catch((error: unknown) => {
    if (!(error instanceof GuestFetchError)) throw error;
    throw new UsageError(`no BIOS to boot the drives with: ${error.message}; or name one: --bios FILE --vga-bios FILE`);
  });
  return { bios: readGuestFile("bios", files.bios), vgaBios: readGuestFile("vga-bios", vgaBios ?? files.vgaBios) };
}

/** For a kernel that is booted without a BIOS, and of which there shall be a picture: the font of its text screen is in the VGA BIOS. Errors: `UsageError`. */
export async function fontImage({ vgaBios, screenshot, display }: RunOptions): Promise<Pick<MachineOptions, "vgaBios">> {
  if (vgaBios !== undefined) return { vgaBios: readGuestFile("vga-bios", vgaBios) };
  if (screenshot === undefined && display !== "web") return {};
  try {
    const files = await fetchFirmware({ onProgress: progressBar(process.stderr, "SeaBIOS") });
    return { vgaBios: readGuestFile("vga-bios", files.vgaBios) };
  } catch (error) {
    if (!(error instanceof GuestFetchError)) throw error;
    process.stderr.write(
      `xlat86: no VGA BIOS to take a font from: the text screen has no letters in pictures: ${error.message}; or name one: --vga-bios FILE\n`,
    );
    return {};
  }
}
