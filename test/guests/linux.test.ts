// Debian's kernel to a shell, commands typed over the serial line, and power-off: on both engines. The guest is fetched by the test itself.

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { fetchLinuxGuest, LINUX_COMMAND_LINE, type LinuxGuest } from "../../src/guest/debian.ts";
import { LINUX_READY_LINE } from "../../src/guest/initramfs.ts";
import { type Availability, mustSkip } from "./oracle.ts";
import { SerialSession } from "./serial-session.ts";

const BOOT_LIMIT_SECONDS = 500;
const PROMPT = "/root # ";

/** Typed at the prompt, and what must come back. Short enough for one line of an 80-column terminal, beyond which the shell's own echo wraps. */
const COMMANDS: [line: string, output: string][] = [
  ["uname -sm", "Linux i686"],
  ["id -u", "0"],
  // The shell computes in 64 bits.
  ["echo $((6 * 7)) $((-7 / 2)) $((1000000007 * 998244353 % 4294967291))", "42 -3 559885264"],
  // FIPS 180-4's example message, through a pipe.
  ["echo -n abc | sha256sum", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -"],
  ["seq 1 1000 | awk '{ s += $1 * 1.5 } END { print s }'", "750750"],
  ["seq 1 5000 > n && gzip n && gunzip n.gz && sort -rn n | head -1", "5000"],
  ["awk 'BEGIN { print 1 / 3, 1e300 * 10, -7 % 3, 22 / 7 * 1e6 }'", "0.333333 1e+301 -1 3.14286e+06"],
  ["grep -c . /proc/interrupts > i && test -s i && echo some", "some"],
];

let guest: LinuxGuest;
let fetched: Availability = { available: false, reason: "not fetched yet" };

beforeAll(async () => {
  try {
    guest = await fetchLinuxGuest();
    fetched = { available: true };
  } catch (error) {
    fetched = { available: false, reason: String(error) };
  }
}, 240_000);

/** The output of one command typed at the prompt. */
async function command(session: SerialSession, line: string): Promise<string> {
  session.type(`${line}\n`);
  await session.expect(`${line}\r\n`);
  return (await session.expect(PROMPT)).trim().replaceAll("\r\n", "\n");
}

describe.each(["translate", "interpret"] as const)("Debian 12's i386 kernel, --engine %s", (engine) => {
  test(
    "boots to a shell, runs commands and powers off",
    async () => {
      if (mustSkip(`the Linux boot on engine ${engine}`, fetched)) return;
      const session = new SerialSession(
        { kernel: readFileSync(guest.kernel), initrd: readFileSync(guest.initrd), append: LINUX_COMMAND_LINE, memory: 256 << 20, engine },
        BOOT_LIMIT_SECONDS,
      );
      try {
        await session.expect("Linux version 6.1.");
        await session.expect(LINUX_READY_LINE);
        await session.expect(PROMPT);
        // The kernel still logs for a moment after the shell has started; from here on not to the console.
        await command(session, "dmesg -n 1");
        for (const [line, output] of COMMANDS) expect(await command(session, line), line).toBe(output);
        // A program that is stopped from the keyboard.
        session.type("sh -c 'echo started; exec sleep 1000'\n");
        // Its own word, not the echo of the command: only then has the terminal left the mode in which the shell edits lines and takes Ctrl-C as a character.
        await session.expect("\r\nstarted\r\n");
        session.type("\x03");
        await session.expect(PROMPT);
        expect(await command(session, "echo status $?")).toBe("status 130");
        session.type("exit\n");
        expect((await session.exit()).reason).toBe("power-off");
        expect(session.output).not.toMatch(/Kernel panic|Oops|BUG:|Call Trace|general protection/);
      } finally {
        session.machine.destroy();
      }
    },
    (BOOT_LIMIT_SECONDS + 20) * 1000,
  );
});
