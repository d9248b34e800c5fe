// What the Debian disk is made with: modules by what they say of themselves, the partition table, the tree of a system. Judged by the kernel's own tools where they are.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openKeptDisk } from "../../src/guest/debian-disk.ts";
import { hasFileSystemTools, PARTITION_OFFSET, partitionTable, writeExt4Disk } from "../../src/guest/ext4-disk.ts";
import { dependencyTable, findModules, inLoadOrder, type KernelModule, moduleInformation } from "../../src/guest/kernel-modules.ts";
import { MemoryStore } from "../../src/storage/index.ts";
import { FileStore, openImageFile } from "../../src/storage/node.ts";
import { ReportingStorage } from "../../src/storage/reporting.ts";
import { cleanCheck, dumpDirectory, partitionOf } from "./debian-guest.ts";
import { type Availability, hostProgram, mustSkip } from "./oracle.ts";

let work = "";
let fileSystemTools: Availability = { available: false, reason: "mke2fs is not installed (Debian: e2fsprogs)" };
beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), "debian-parts-"));
  if (await hasFileSystemTools()) fileSystemTools = { available: true };
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const module = (name: string, depends: string[] = [], before: string[] = []): KernelModule => ({ name, path: `kernel/${name}.ko`, depends, before });
const table = (...modules: KernelModule[]) => new Map(modules.map((entry) => [entry.name, entry]));

describe("kernel modules", () => {
  it("come after what they need, each once; soft dependencies that are there come first", () => {
    const modules = table(
      module("ext4", ["jbd2", "mbcache"], ["crc32c", "builtin"]),
      module("jbd2"),
      module("mbcache"),
      module("crc32c", ["crypto"]),
      module("crypto"),
    );
    expect(inLoadOrder(modules, ["ext4", "jbd2"]).map(({ name }) => name)).toEqual(["crypto", "crc32c", "jbd2", "mbcache", "ext4"]);
  });

  it("one that is missing is named with who needs it", () => {
    expect(() => inLoadOrder(table(module("sd_mod", ["scsi_mod"])), ["sd_mod"])).toThrow("no kernel module scsi_mod, which sd_mod needs");
  });

  it("the table has each file with all it needs, nearest first, as depmod writes it", () => {
    const modules = table(module("a", ["b"]), module("b", ["c"]), module("c"));
    expect(dependencyTable(modules)).toBe("kernel/a.ko: kernel/b.ko kernel/c.ko\nkernel/b.ko: kernel/c.ko\nkernel/c.ko:\n");
  });

  it("say what they need in .modinfo; dashes in names are underscores", async () => {
    const text = "\x7fELF\0license=GPL\0softdep=pre: crc32c post: other\0depends=scsi-common,libata\0name=some_mod\0";
    expect(moduleInformation(Buffer.from(text)).get("depends")).toEqual(["scsi-common,libata"]);
    await mkdir(join(work, "modules/kernel"), { recursive: true });
    await writeFile(join(work, "modules/kernel/some-mod.ko"), text);
    expect(await findModules(join(work, "modules"))).toEqual(
      new Map([["some_mod", { name: "some_mod", path: "kernel/some-mod.ko", depends: ["scsi_common", "libata"], before: ["crc32c"] }]]),
    );
  });
});

describe("the disk", () => {
  it("has a partition table that sfdisk reads", () => {
    const sfdisk = hostProgram("sfdisk", "fdisk");
    if (mustSkip("the partition table", sfdisk)) return;
    const file = join(work, "table.img");
    writeFileSync(file, partitionTable(64 << 20));
    truncateSync(file, 64 << 20);
    const read = JSON.parse(execFileSync("sfdisk", ["--json", file], { encoding: "utf8" })) as { partitiontable: { partitions: object[] } };
    expect(read.partitiontable.partitions).toEqual([{ node: expect.anything(), start: 2048, size: (63 << 20) / 512, type: "83", bootable: true }]);
  });

  it("holds the directory it was made from, owned by root, in a clean ext4", async () => {
    if (mustSkip("the file system", fileSystemTools)) return;
    const tree = join(work, "tree");
    await mkdir(join(tree, "a/b"), { recursive: true });
    await writeFile(join(tree, "a/b/file"), "content", { mode: 0o600 });
    const file = join(work, "disk.img");
    await writeExt4Disk(file, tree, { mebibytes: 32, label: "test" });
    expect(statSync(file).size).toBe(32 << 20);
    expect(statSync(file).blocks * 512).toBeLessThan(16 << 20);
    const partition = partitionOf(file, join(work, "part"));
    expect(statSync(partition).size).toBe((32 << 20) - PARTITION_OFFSET);
    expect(cleanCheck(partition)).toMatchObject({ status: 0 });
    dumpDirectory(partition, "/a", join(work, "out"));
    expect(readFileSync(join(work, "out/a/b/file"), "utf8")).toBe("content");
    const listed = execFileSync("debugfs", ["-R", "ls -l /a/b", partition], {
      encoding: "utf8",
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
    expect(listed).toMatch(/100600 \(1\)\s+0\s+0\s+7 .*file/);
  });

  it("is kept in an image over it, which is made anew when asked for or when its base is another, and never while somebody uses it", async () => {
    const base = join(work, "base.img");
    writeFileSync(base, partitionTable(4 << 20));
    truncateSync(base, 4 << 20);
    const disk = { kernel: "", initrd: "", base, packages: [] };
    const write = async (path: string): Promise<void> => {
      const image = await openImageFile(path);
      await image.write(1 << 20, new Uint8Array(512).fill(7));
      await image.close();
    };
    const written = async (path: string): Promise<boolean> => {
      const image = await openImageFile(path);
      const sector = new Uint8Array(512);
      await image.read(1 << 20, sector);
      await image.close();
      return sector[0] === 7;
    };
    const { path } = await openKeptDisk(disk);
    await write(path);
    expect(await openKeptDisk(disk)).toEqual({ path });
    expect(await written(path)).toBe(true);
    const used = await openImageFile(path);
    await expect(openKeptDisk(disk, { fresh: true })).rejects.toThrow(/another drive of this machine has open for writing/);
    await used.close();
    expect(await written(path)).toBe(true);
    expect(await openKeptDisk(disk, { fresh: true })).toEqual({ path });
    expect(await written(path)).toBe(false);
    await write(path);
    writeFileSync(base, partitionTable(4 << 20));
    truncateSync(base, 4 << 20);
    expect(await openKeptDisk(disk)).toEqual({ path, renewed: expect.stringContaining("made anew") });
    expect(await written(path)).toBe(false);
    expect(existsSync(path)).toBe(true);
  });
});

describe("errors of a drive's storage", () => {
  it("are told once for each kind, and passed on", async () => {
    const messages: string[] = [];
    const store = new MemoryStore(new Uint8Array(4096));
    const failing = {
      size: 4096,
      readOnly: false,
      read: (offset: number, into: Uint8Array) => store.read(offset, into),
      write: () => Promise.reject(new Error("no space")),
      flush: () => {
        throw new Error("cannot flush");
      },
    };
    const storage = new ReportingStorage(failing, (message) => messages.push(message));
    expect(storage.read(0, new Uint8Array(512))).toBeUndefined();
    for (let i = 0; i < 3; i++) await expect(storage.write(0, new Uint8Array(512))).rejects.toThrow("no space");
    expect(() => storage.flush()).toThrow("cannot flush");
    expect(messages).toEqual(["no space", "cannot flush"]);
  });

  it("a file that is cut off while it is written is noticed before a write behind its end makes a hole of it", () => {
    const file = join(work, "cut.img");
    writeFileSync(file, new Uint8Array(1 << 20));
    const store = FileStore.open(file);
    store.write(0, new Uint8Array(512));
    truncateSync(file, 1024);
    expect(() => store.write(4096, new Uint8Array(512))).toThrow("something else has shortened");
    expect(statSync(file).size).toBe(1024);
    expect(() => store.flush()).toThrow(/expected 1048576 bytes, found 1024: something else has shortened the file while it was in use/);
    expect(() => store.read(2048, new Uint8Array(512))).toThrow(/shortened while in use/);
    store.close();
  });
});
