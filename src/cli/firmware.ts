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
  const files = await fetchFirmware({ onProgress: progressBar(process.stderr) }).catch((error: unknown) => {
    if (!(error instanceof GuestFetchError)) throw error;
    throw new UsageError(`no BIOS to boot the drives with: ${error.message}; or name one: --bios FILE --vga-bios FILE`);
  });
  return { bios: readGuestFile("bios", files.bios), vgaBios: readGuestFile("vga-bios", vgaBios ?? files.vgaBios) };
}
