/** qemu-img and qemu-io as judges of images: they make them, fill them, check them and read them back. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Availability, hostProgram } from "../guests/oracle.ts";

export const qemuImg: Availability = hostProgram("qemu-img", "qemu-utils");

export function img(...args: readonly string[]): string {
  return execFileSync("qemu-img", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Runs commands of qemu-io ("write -P 7 0 64k", ...) on an image. */
export function io(file: string, commands: readonly string[], ...options: readonly string[]): string {
  const args = commands.flatMap((command) => ["-c", command]);
  return execFileSync("qemu-io", [...options, ...args, file], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

export type Verdict = "clean" | "leaks" | "errors";

/** What `qemu-img check` says: leaked clusters cost space, errors cost data. */
export function check(file: string): { readonly verdict: Verdict; readonly report: string } {
  const { status, stdout, stderr } = spawnSync("qemu-img", ["check", "-f", "qcow2", file], { encoding: "utf8" });
  return { verdict: status === 0 ? "clean" : status === 3 ? "leaks" : "errors", report: `${stdout}${stderr}` };
}

/** Undefined where both have the same content. */
export function difference(a: string, b: string, formats: readonly [string, string] = ["qcow2", "raw"]): string | undefined {
  const { status, stdout, stderr } = spawnSync("qemu-img", ["compare", "-f", formats[0], "-F", formats[1], a, b], { encoding: "utf8" });
  return status === 0 ? undefined : `${stdout}${stderr}`;
}

/** A folder of its own, and how to remove it. In memory where the host has such a place: QEMU's tools flush a lot. */
export function scratch(): { readonly folder: string; readonly file: (name: string) => string; readonly remove: () => void } {
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "xlat86-storage-"));
  return { folder, file: (name) => join(folder, name), remove: () => rmSync(folder, { recursive: true, force: true }) };
}
