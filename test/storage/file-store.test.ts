/** Files of the host: one writer at a time, changes noticed, errors of the host with a name. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { openImageFile } from "../../src/storage/node.ts";
import { mustSkip } from "../guests/oracle.ts";
import { check, img, qemuImg, scratch } from "./qemu.ts";
import { SectorModel } from "./sector-model.ts";
import { problem, readAll } from "./stores.ts";

const { folder, file, remove } = scratch();
afterAll(remove);
afterEach(() => {
  vi.useRealTimers();
});

const lockOf = (name: string): string => file(`.${name}.xlat86-lock`);

/** A program that says something when it has the image open, and goes on until it is ended. */
async function started(child: ChildProcess): Promise<ChildProcess> {
  await new Promise((resolve) => child.stdout!.once("data", resolve));
  return child;
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = new Promise((resolve) => child.once("close", resolve));
  child.kill(signal);
  await gone;
}

describe("locks", () => {
  it("two drives do not write one image, whatever it is called", async () => {
    writeFileSync(file("disk.img"), new Uint8Array(4096));
    symlinkSync("disk.img", file("link.img"));
    const disk = await openImageFile(file("disk.img"));
    for (const name of ["disk.img", "link.img"]) {
      const error = await problem(() => openImageFile(file(name)));
      expect(error).toMatchObject({ kind: "locked", file: file(name) });
      expect(error.message).toMatch(/another drive of this machine/);
      expect(await problem(() => openImageFile(file(name), { readOnly: true }))).toMatchObject({ kind: "locked" });
    }
    await disk.close();
    expect(readdirSync(folder).filter((name) => name.includes("lock"))).toEqual([]);
    const readers = [await openImageFile(file("disk.img"), { readOnly: true }), await openImageFile(file("disk.img"), { snapshot: true })];
    for (const reader of readers) await reader.close();
  });

  it("two processes do not either; the lock of a process that was killed is taken over", async () => {
    if (mustSkip("locks of two processes", qemuImg)) return;
    img("create", "-f", "qcow2", file("shared.qcow2"), "8M");
    const writer = fileURLToPath(new URL("writer.ts", import.meta.url));
    const child = await started(spawn(process.execPath, [writer, file("shared.qcow2"), "1"], { stdio: ["ignore", "pipe", "ignore"] }));
    child.stdout!.resume();
    const error = await problem(() => openImageFile(file("shared.qcow2")));
    expect(error.message).toMatch(new RegExp(`process ${child.pid} has open for writing`));
    expect(await problem(() => openImageFile(file("shared.qcow2"), { readOnly: true }))).toMatchObject({ kind: "locked" });
    await ended(child, "SIGKILL");
    expect(existsSync(lockOf("shared.qcow2"))).toBe(true);
    const disk = await openImageFile(file("shared.qcow2"));
    expect(JSON.parse(readFileSync(lockOf("shared.qcow2"), "utf8"))).toMatchObject({ pid: process.pid });
    await disk.close();
    expect(existsSync(lockOf("shared.qcow2"))).toBe(false);
  });

  it("a lock of another machine counts, a damaged one and one of a former process with our number do not", async () => {
    writeFileSync(file("net.img"), new Uint8Array(4096));
    writeFileSync(lockOf("net.img"), JSON.stringify({ pid: 1, host: "elsewhere", started: "", token: "x" }));
    expect((await problem(() => openImageFile(file("net.img")))).message).toMatch(/process 1 on elsewhere.*delete .*net\.img\.xlat86-lock/);
    writeFileSync(lockOf("net.img"), "{");
    await (await openImageFile(file("net.img"))).close();
    if (!existsSync("/proc/self/stat")) return;
    const disk = await openImageFile(file("net.img"));
    const mine = JSON.parse(readFileSync(lockOf("net.img"), "utf8"));
    await disk.close();
    writeFileSync(lockOf("net.img"), JSON.stringify({ ...mine, started: "boot:1" }));
    await (await openImageFile(file("net.img"))).close();
  });

  it("an image that QEMU has open is refused", async () => {
    if (mustSkip("QEMU's locks", qemuImg)) return;
    if (!existsSync("/proc/locks")) return;
    img("create", "-f", "qcow2", file("qemu.qcow2"), "8M");
    const child = spawn("qemu-io", [file("qemu.qcow2")], { stdio: ["pipe", "pipe", "ignore"] });
    child.stdin!.write("length\n");
    await started(child);
    expect((await problem(() => openImageFile(file("qemu.qcow2")))).message).toMatch(/QEMU has open/);
    expect((await problem(() => openImageFile(file("qemu.qcow2"), { readOnly: true }))).message).toMatch(/QEMU has open/);
    await ended(child, "SIGTERM");
    await (await openImageFile(file("qemu.qcow2"))).close();
  });
});

describe("the host", () => {
  it("a read-only image that changes is noticed", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    for (const change of [() => appendFileSync(file("cd.iso"), "x"), () => truncateSync(file("cd.iso"), 1000)]) {
      writeFileSync(file("cd.iso"), new Uint8Array(8192).fill(1));
      const disk = await openImageFile(file("cd.iso"), { readOnly: true, format: "raw" });
      await disk.read(0, new Uint8Array(512));
      change();
      vi.setSystemTime(Date.now() + 5000);
      expect(await problem(() => disk.read(0, new Uint8Array(512)))).toMatchObject({ kind: "changed", file: file("cd.iso") });
      await disk.close();
    }
  });

  it("a file that is cut under a writer is an error, not zeros", async () => {
    writeFileSync(file("cut.img"), new Uint8Array(8192).fill(1));
    const disk = await openImageFile(file("cut.img"));
    truncateSync(file("cut.img"), 4096);
    expect((await problem(() => disk.read(2048, new Uint8Array(4096)))).message).toMatch(/truncated or was shortened/);
    expect(await problem(() => disk.close())).toMatchObject({ kind: "changed", file: file("cut.img") });
  });

  it("what is no file is refused by name", async () => {
    mkdirSync(file("folder"));
    expect(await problem(() => openImageFile(file("missing.img")))).toMatchObject({ kind: "unavailable", file: file("missing.img") });
    expect((await problem(() => openImageFile(file("folder"), { readOnly: true }))).message).toMatch(/directory/);
    expect(await problem(() => openImageFile("/dev/null"))).toMatchObject({ kind: "unavailable" });
    expect(await problem(() => openImageFile(file("missing/disk.img")))).toMatchObject({ kind: "unavailable" });
  });

  it("a full host is an error for the guest; the image stays sound and what was flushed is there", async () => {
    if (mustSkip("a full host", qemuImg)) return;
    img("create", "-f", "qcow2", "-o", "cluster_size=4k", file("full.qcow2"), "8M");
    const writer = fileURLToPath(new URL("writer.ts", import.meta.url));
    // 2000 blocks of 512 bytes is all that this process may have in a file. The signal for it is ignored, so that the write fails instead.
    const limited = 'trap "" XFSZ; ulimit -f 2000; exec "$@"';
    const { status, stdout } = spawnSync("sh", ["-c", limited, "sh", process.execPath, writer, file("full.qcow2"), "5"], { encoding: "utf8" });
    expect(status).toBe(3);
    expect(stdout).toMatch(/\nfull\n$/);
    expect(check(file("full.qcow2")).verdict).not.toBe("errors");
    const model = new SectorModel(new Uint8Array(8 << 20));
    model.replay(stdout, 5);
    const disk = await openImageFile(file("full.qcow2"));
    expect(model.lost(await readAll(disk))).toEqual([]);
    await disk.close();
  });
});
