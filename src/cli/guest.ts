/** `xlat86 guest linux`: Debian's kernel and busybox, fetched once, booted to a shell. */
import { fetchLinuxGuest, LINUX_COMMAND_LINE } from "../guest/debian.ts";
import { progressBar } from "../guest/progress.ts";
import type { RunOptions } from "./arguments.ts";
import { readGuestFile } from "./files.ts";
import { runAtTerminal } from "./run.ts";

export async function runLinuxGuest(options: RunOptions): Promise<number> {
  const files = await fetchLinuxGuest({ onProgress: progressBar(process.stderr) });
  const append = options.append === undefined ? LINUX_COMMAND_LINE : `${LINUX_COMMAND_LINE} ${options.append}`;
  const images = { kernel: readGuestFile("kernel", files.kernel), initrd: readGuestFile("initrd", files.initrd), append };
  return runAtTerminal(images, options);
}
