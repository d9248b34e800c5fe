/** Puts SeaBIOS and the guests of the cache beside the page. Nothing of it is part of the project; what is missing is said. */
import { existsSync } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { defaultGuestCache, GuestFetchError, LINUX_COMMAND_LINE } from "../../guest/debian.ts";
import { fetchFirmware } from "../../guest/firmware.ts";
import { progressBar } from "../../guest/progress.ts";
import { assetsFile, type WebAssets } from "../assets.ts";

/** Returns what is there, and for people what is not. */
export async function copyAssets(folder: string): Promise<{ readonly assets: WebAssets; readonly missing: readonly string[] }> {
  const missing: string[] = [];
  const take = async (name: string, file: string): Promise<string> => {
    await mkdir(join(folder, name), { recursive: true });
    await copyFile(file, join(folder, name, basename(file)));
    return `${name}/${basename(file)}`;
  };

  let firmware: WebAssets["firmware"];
  try {
    const files = await fetchFirmware({ onProgress: progressBar(process.stderr, "SeaBIOS") });
    firmware = { bios: await take("firmware", files.bios), vgaBios: await take("firmware", files.vgaBios) };
  } catch (error) {
    if (!(error instanceof GuestFetchError)) throw error;
    missing.push(`no BIOS (${error.message}): disks and CDs boot only with BIOS files that are chosen on the page`);
  }

  const guests: WebAssets["guests"][number][] = [];
  const cache = defaultGuestCache();
  const linux = { kernel: join(cache, "vmlinuz"), initrd: join(cache, "initrd.gz") };
  if ([linux.kernel, linux.initrd, join(cache, "guest.json")].every(existsSync)) {
    guests.push({
      name: "Debian's Linux with a shell",
      kernel: await take("linux", linux.kernel),
      initrd: await take("linux", linux.initrd),
      append: LINUX_COMMAND_LINE,
    });
  } else missing.push("no Linux guest: npm start -- guest linux fetches it, the page offers it from then on");

  const assets: WebAssets = { ...(firmware ? { firmware } : {}), guests };
  await writeFile(join(folder, assetsFile), `${JSON.stringify(assets, null, 2)}\n`);
  return { assets, missing };
}
