// Debian 12 with a full userland on an ext4 disk: over IDE and over virtio, raw and qcow2. Real programs run, 100 MB are written with checksums, the power goes off or the
// host's process is killed, the host's disk is full or somebody shortens the image. What was on the disk then is told by e2fsck, debugfs and qemu-img.
//
// Two of the tests run always, one for each bus and each kind of image; `npm run test:guests` runs all of them.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MEDIA_GUESTS } from "../../bench/guests/guests.ts";
import { type DebianBus, type DebianDisk, debianCommandLine, fetchDebianDisk } from "../../src/guest/debian-disk.ts";
import { DEBIAN_PROMPT } from "../../src/guest/debian-root.ts";
import { openImageFile } from "../../src/storage/node.ts";
import {
  checkSums,
  cleanCheck,
  DebianGuest,
  dumpDirectory,
  fileSystemCheck,
  type GuestSetup,
  guestSeconds,
  killAllGuests,
  partitionOf,
  sha256OfFile,
} from "./debian-guest.ts";
import { availableMedia, drivesOf } from "./media-rig.ts";
import { type Availability, hostProgram, isWhole, mustSkip, progress, sayWhatIsLeftOut } from "./oracle.ts";
import { SerialSession } from "./serial-session.ts";

const minutes = 60_000;
/** What ends a test should be its guest's own limit. */
const oneGuest = guestSeconds * 1000 + minutes;
const onlyWhole = test.skipIf(!isWhole);
sayWhatIsLeftOut(
  "Debian on the other pairs of bus and image, killed again and again, rebooted, on a full host, on a file cut off, without translation",
);
const seedBytes = 10 << 20;
const parts = 10;

let disk: DebianDisk;
let work = "";
let state: Availability = { available: false, reason: "not fetched yet" };

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), "debian-disk-"));
  state = hostProgram("qemu-img", "qemu-utils");
  if (!state.available) return;
  try {
    disk = await fetchDebianDisk();
  } catch (error) {
    state = { available: false, reason: String(error) };
  }
}, 20 * minutes);

// Of tests that failed: each would go on until its time-out, and keep its image locked.
afterEach(killAllGuests);
afterAll(() => rmSync(work, { recursive: true, force: true }));

const img = (...args: string[]): string => execFileSync("qemu-img", args, { encoding: "utf8" });

/** A disk to write to; raw ones are sparse copies. */
function newImage(name: string, format: "raw" | "qcow2"): string {
  const image = join(work, `${name}.${format === "raw" ? "img" : "qcow2"}`);
  rmSync(image, { force: true });
  if (format === "raw") {
    execFileSync("cp", ["--sparse=always", disk.base, image]);
    execFileSync("chmod", ["644", image]);
  } else img("create", "-q", "-f", "qcow2", "-b", disk.base, "-F", "raw", image);
  return image;
}

/** A copy of the disk's partition as it is now, for e2fsprogs. */
function partition(image: string, format: "raw" | "qcow2"): string {
  const raw = join(work, "judged.raw");
  if (format === "qcow2") img("convert", "-O", "raw", image, raw);
  const copied = partitionOf(format === "raw" ? image : raw, join(work, "judged.ext4"));
  rmSync(raw, { force: true });
  return copied;
}

/** 0: sound; 3: clusters that nothing uses, which a crash may leave. */
const imageCheck = (image: string): number | null => spawnSync("qemu-img", ["check", image], { stdio: "ignore" }).status;

/** Ten different files of 10 MB, and their checksums as the guest sees them. */
const writeFiles = `mkdir data; cd data; head -c ${seedBytes} /dev/urandom > seed; for i in $(seq ${parts}); do (echo $i; cat seed) > f$i; done; sha256sum * > /tmp/sums; mv /tmp/sums sums; cd`;
const readBack = "sync; echo 3 > /proc/sys/vm/drop_caches; cd data; sha256sum -c --quiet sums && echo ALL RIGHT; cd";
const troubles = /Kernel panic|Oops|BUG:|Call Trace|I\/O error|failed command|SError|EXT4-fs error/;

async function realPrograms(guest: DebianGuest): Promise<void> {
  expect(await guest.run("uname -rm")).toMatch(/^6\.1\.0-\d+-686-pae i686$/);
  expect(await guest.run("cat /etc/debian_version; id -un; tty")).toMatch(/^12\.\d+\nroot\n\/dev\/ttyS0$/);
  expect(await guest.run(`python3 -c 'import json, hashlib; print(json.dumps({"n": 2**100}), hashlib.sha1(b"abc").hexdigest())'`)).toBe(
    `{"n": ${2n ** 100n}} a9993e364706816aba3e25717850c26c9cd0d89d`,
  );
  expect(await guest.run(`perl -e 'use POSIX; print join(",", map { $_ ** 3 } 1..5), " ", floor(-2.5)'`)).toMatch(/^1,8,27,64,125 -3/);
  expect(await guest.run("apt --version")).toMatch(/^apt 2\.6\.\d+ \(i386\)$/);
  // As many packages as were installed, all of them in order.
  expect(await guest.run("dpkg -l | grep -c ^ii")).toBe(`${disk.packages.length}`);
  expect(await guest.run("echo '2^200 % 1000007' | bc")).toBe(`${2n ** 200n % 1000007n}`);
}

async function hundredMegabytes(setup: GuestSetup): Promise<void> {
  const guest = new DebianGuest(disk, setup);
  try {
    await guest.booted();
    progress("booted");
    await realPrograms(guest);
    progress("programs did what they should");
    expect(await guest.run(writeFiles)).toBe("");
    expect(await guest.run(readBack)).toBe("ALL RIGHT");
    progress("100 MB written and read back");
    expect(await guest.run("dmesg")).not.toMatch(troubles);
    expect(await guest.powerOff()).toBe(0);
    expect(guest.output).toContain("The disk is clean.");
    expect(guest.errors).toBe("");
  } finally {
    await guest.kill();
  }
  const { image, format } = setup;
  if (format === "qcow2") expect(imageCheck(image)).toBe(0);
  const written = partition(image, format);
  expect(cleanCheck(written)).toMatchObject({ status: 0 });
  const dumped = join(work, "dump");
  dumpDirectory(written, "/root/data", dumped);
  // The seed and the files that begin with a line of their own.
  expect(checkSums(join(dumped, "data"), "sums")).toBe(parts + 1);
  expect(statSync(join(dumped, "data", "f10")).size).toBe(seedBytes + 3);
}

/** Writes and renames without end, with a sync now and then, once what comes before the marker is on the disk. */
const writeOn = "n=0; while :; do n=$((n+1)); cp data/seed n$n; sha256sum n$n > s$n; [ $((n % 3)) = 0 ] && sync; rm -f n$((n-4)) s$((n-4)); done";
const writeAndSync = `mkdir data; cd data; for i in 1 2 3 4 5; do head -c 4000000 /dev/urandom > f$i; done; cp f1 seed; sha256sum * > ../sums; mv ../sums sums; cd; sync; echo MARK''ER`;

async function killed(setup: GuestSetup, milliseconds: number, bootsAgain: boolean): Promise<void> {
  const guest = new DebianGuest(disk, setup);
  try {
    await guest.booted();
    guest.type(`${writeAndSync}; ${writeOn}\n`);
    await guest.expect("MARKER");
    await new Promise((done) => setTimeout(done, milliseconds));
  } finally {
    await guest.kill();
  }
  progress(`killed ${milliseconds} ms after the sync`);
  const { image, format } = setup;
  // Consistent as it lies there; clusters that were taken and not used yet are no error.
  if (format === "qcow2") expect([0, 3]).toContain(imageCheck(image));
  const left = partition(image, format);
  expect(fileSystemCheck(left, "-E", "journal_only", "-y")).toMatchObject({
    output: expect.stringMatching(/recovering journal/),
    status: expect.toSatisfy((n) => n <= 1),
  });
  expect(cleanCheck(left)).toMatchObject({ status: 0 });
  const dumped = join(work, "dump");
  dumpDirectory(left, "/root/data", dumped);
  expect(checkSums(join(dumped, "data"), "sums")).toBe(6);
  if (!bootsAgain) return;

  const again = new DebianGuest(disk, setup);
  try {
    await again.booted();
    expect(await again.run("dmesg | grep -c 'EXT4-fs.*recovery complete'")).toBe("1");
    expect(await again.run(readBack)).toBe("ALL RIGHT");
    expect(await again.powerOff()).toBe(0);
    progress("came up again");
  } finally {
    await again.kill();
  }
  if (format === "qcow2") expect([0, 3]).toContain(imageCheck(image));
  expect(cleanCheck(partition(image, format))).toMatchObject({ status: 0 });
}

describe("Debian on an ext4 disk", () => {
  test(
    "over IDE, raw: programs, 100 MB with checksums, power-off; a second process is refused",
    async () => {
      if (mustSkip("Debian on IDE", state)) return;
      const image = newImage("ide", "raw");
      const running = hundredMegabytes({ bus: "ide", image, format: "raw" });
      await new Promise((done) => setTimeout(done, 5000));
      const second = new DebianGuest(disk, { bus: "ide", image, format: "raw" });
      expect(await second.exit()).toBe(2);
      expect(second.errors).toMatch(
        /ide\.img: expected an image that nothing else writes to, found one that process \d+ has open for writing; end that first/,
      );
      await running;
    },
    oneGuest,
  );

  test(
    "over virtio, qcow2: killed while it writes, the journal makes it whole and what was synced is there",
    async () => {
      if (mustSkip("Debian killed", state)) return;
      await killed({ bus: "virtio", image: newImage("killed", "qcow2"), format: "qcow2" }, 1500, false);
    },
    oneGuest,
  );

  for (const [bus, format] of [
    ["virtio", "raw"],
    ["ide", "qcow2"],
    ["virtio", "qcow2"],
  ] as const) {
    onlyWhole(
      `over ${bus}, ${format}: programs, 100 MB with checksums, power-off`,
      async () => {
        if (mustSkip("Debian's disk", state)) return;
        await hundredMegabytes({ bus, image: newImage("written", format), format });
      },
      oneGuest,
    );
  }

  for (const bus of ["ide", "virtio"] satisfies DebianBus[]) {
    for (const format of ["raw", "qcow2"] as const) {
      onlyWhole(
        `over ${bus}, ${format}: killed three times, started again each time`,
        async () => {
          if (mustSkip("Debian killed", state)) return;
          for (const milliseconds of [100, 2100, 5300]) await killed({ bus, image: newImage("killed", format), format }, milliseconds, true);
        },
        6 * oneGuest,
      );
    }

    onlyWhole(
      `over ${bus}: --snapshot and read-only leave the file as it is`,
      async () => {
        if (mustSkip("Debian with a snapshot", state)) return;
        const image = newImage("kept", "raw");
        const before = sha256OfFile(image);
        const guest = new DebianGuest(disk, { bus, image, format: "raw", words: ",snapshot=on" });
        await guest.booted();
        expect(await guest.run("head -c 5000000 /dev/urandom > x; sha256sum x > s; sync; echo 3 > /proc/sys/vm/drop_caches; sha256sum -c s")).toBe(
          "x: OK",
        );
        expect(await guest.powerOff()).toBe(0);
        expect(sha256OfFile(image)).toBe(before);

        const reader = new DebianGuest(disk, { bus, image, format: "raw", words: ",readonly=on", append: "keepro rootflags=noload" });
        await reader.booted();
        expect(await reader.run("touch /x; python3 -c 'print(6*7)'")).toBe("touch: cannot touch '/x': Read-only file system\n42");
        // What the drive says of itself.
        const name = bus === "ide" ? "sda" : "vda";
        if (bus === "virtio") expect(await reader.run(`cat /sys/block/${name}/ro`)).toBe("1");
        await reader.run(`dd if=/dev/zero of=/dev/${name}1 bs=4096 count=1 seek=100000 conv=fsync`);
        expect(await reader.powerOff()).toBe(0);
        expect(sha256OfFile(image)).toBe(before);
      },
      2 * oneGuest,
    );
  }

  for (const bus of ["ide", "virtio"] satisfies DebianBus[]) {
    onlyWhole(
      `over ${bus}: reboots, three times, the disk clean each time`,
      async () => {
        if (mustSkip("Debian rebooted", state)) return;
        const image = newImage("rebooted", "raw");
        for (let start = 0; start < 3; start++) {
          const guest = new DebianGuest(disk, { bus, image, format: "raw" });
          try {
            await guest.booted();
            expect(await guest.run("date >> starts; dmesg")).not.toMatch(troubles);
            guest.type("reboot\n");
            // A kernel that was started directly has no BIOS to go back to: the reset ends the run.
            expect(await guest.exit()).toBe(0);
            expect(guest.output).toContain("The disk is clean.");
          } finally {
            await guest.kill();
          }
          const left = partition(image, "raw");
          expect(cleanCheck(left)).toMatchObject({ status: 0 });
          progress(`rebooted ${start + 1}`);
        }
        const dumped = join(work, "dump");
        dumpDirectory(partition(image, "raw"), "/root", dumped);
        expect(readFileSync(join(dumped, "root", "starts"), "utf8").split("\n")).toHaveLength(3 + 1);
      },
      3 * oneGuest,
    );

    onlyWhole(
      `over ${bus}, without translation: programs, a file with its checksum, power-off`,
      async () => {
        if (mustSkip("Debian on tier 0", state)) return;
        const image = newImage("interpreted", "qcow2");
        const guest = new DebianGuest(disk, { bus, image, format: "qcow2", engine: "interpret" });
        try {
          await guest.booted();
          progress("booted");
          await realPrograms(guest);
          expect(await guest.run("head -c 20000000 /dev/urandom > x; sha256sum x > s; sync; echo 3 > /proc/sys/vm/drop_caches; sha256sum -c s")).toBe(
            "x: OK",
          );
          expect(await guest.powerOff()).toBe(0);
        } finally {
          await guest.kill();
        }
        expect(imageCheck(image)).toBe(0);
        expect(cleanCheck(partition(image, "qcow2"))).toMatchObject({ status: 0 });
      },
      oneGuest,
    );
  }

  onlyWhole(
    "the BIOS, GRUB's rescue CD, and Debian off the disk that GRUB found it on; a reboot goes all the way again",
    async () => {
      const found = await availableMedia();
      if (mustSkip("Debian through GRUB", state) || mustSkip("Debian through GRUB", found.state)) return;
      const { firmware, media } = found.files!;
      const image = newImage("grub", "raw");
      const storage = await openImageFile(image, { media: "disk", format: "raw" });
      const drives = { ...drivesOf({ hdc: media.grubRescue }), hda: { storage, name: image } };
      const wait = { timeout: guestSeconds };
      const session = new SerialSession({ ...firmware, drives, boot: "d", memory: 256 << 20 }, guestSeconds);
      const { screen, keyboard } = session.machine;
      const command = async (line: string): Promise<string> => {
        session.type(`${line}\n`);
        await session.expect("\r\n");
        return (await session.expect(DEBIAN_PROMPT)).replaceAll("\r\n", "\n").trim();
      };
      try {
        for (let start = 0; start < 2; start++) {
          await screen.waitForText(MEDIA_GUESTS["grub-rescue"].landmark, wait);
          await keyboard.type("c");
          await screen.waitForText(/^grub> *$/m, wait);
          await keyboard.type(`linux (hd0,msdos1)/vmlinuz ${debianCommandLine("ide")}\n`);
          await keyboard.type("initrd (hd0,msdos1)/initrd.img\nboot\n");
          await session.expect(DEBIAN_PROMPT);
          await command("stty cols 3000; dmesg -n 1");
          expect(await command("echo started >> starts; dmesg")).not.toMatch(troubles);
          session.type(start === 0 ? "reboot\n" : "poweroff\n");
          await session.expect("The disk is clean.");
          progress(`started ${start + 1}`);
        }
        expect((await session.exit()).reason).toBe("power-off");
      } finally {
        session.machine.destroy();
      }
      await storage.close();
      const left = partition(image, "raw");
      expect(cleanCheck(left)).toMatchObject({ status: 0 });
      const dumped = join(work, "dump");
      dumpDirectory(left, "/root", dumped);
      expect(readFileSync(join(dumped, "root", "starts"), "utf8")).toBe("started\nstarted\n");
    },
    oneGuest,
  );

  onlyWhole(
    "every file of every package is what dpkg says it should be",
    async () => {
      if (mustSkip("Debian's packages", state)) return;
      const guest = new DebianGuest(disk, { bus: "virtio", image: newImage("packages", "qcow2"), format: "qcow2" });
      await guest.booted();
      expect(await guest.run("dpkg --verify")).toBe("");
      expect(await guest.powerOff()).toBe(0);
    },
    oneGuest,
  );

  for (const bus of ["ide", "virtio"] satisfies DebianBus[]) {
    onlyWhole(
      `over ${bus}: a full host is an I/O error for the guest, and the image stays sound`,
      async () => {
        if (mustSkip("a full host", state)) return;
        const image = newImage("full", "qcow2");
        // 30 MB in units of 512 bytes; what is written beyond fails with EFBIG instead of a signal.
        const guest = new DebianGuest(disk, { bus, image, format: "qcow2", shell: 'trap "" XFSZ; ulimit -f 60000;' });
        await guest.booted();
        await guest.run("head -c 4000000 /dev/urandom > kept; sha256sum kept > sums; sync");
        expect(await guest.run("dd if=/dev/zero of=big bs=1M count=60 conv=fsync 2>&1 | grep -c error")).toMatch(/^1$/m);
        expect(guest.errors).toMatch(
          /xlat86: the guest got an I\/O error: \S+full\.qcow2: expected to write \d+ bytes.* the host's file system or a limit/,
        );
        expect(guest.errors.match(/got an I\/O error/g)!.length).toBeLessThanOrEqual(3);
        await guest.kill();
        expect([0, 3]).toContain(imageCheck(image));
        // With space again it comes up, and what was synced is there.
        const again = new DebianGuest(disk, { bus, image, format: "qcow2" });
        await again.booted();
        expect(await again.run("sha256sum -c sums")).toBe("kept: OK");
        expect(await again.powerOff()).toBe(0);
        const left = partition(image, "qcow2");
        // ext4 has noted the errors in its superblock; a check puts that right and finds nothing else.
        expect(fileSystemCheck(left, "-fp").status).toBeLessThanOrEqual(1);
        expect(cleanCheck(left)).toMatchObject({ status: 0 });
      },
      2 * oneGuest,
    );

    onlyWhole(
      `over ${bus}: an image that is cut off while the guest runs`,
      async () => {
        if (mustSkip("an image cut off", state)) return;
        const image = newImage("cut", "raw");
        const guest = new DebianGuest(disk, { bus, image, format: "raw" });
        await guest.booted();
        truncateSync(image, 100 << 20);
        const name = bus === "ide" ? "sda" : "vda";
        expect(await guest.run(`dd if=/dev/${name} of=/dev/null bs=1M skip=1000 count=1 iflag=direct 2>&1 | grep -c 'Input/output error'`)).toMatch(
          /^1$/m,
        );
        expect(guest.errors).toMatch(/cut\.img: expected \d+ bytes at offset 0x\w+, found the end of the file .* shortened while in use/);
        await guest.run("head -c 1000000 /dev/urandom > /root/x; sync");
        expect(guest.errors).toMatch(/found 104857600: something else has shortened the file/);
        await guest.kill();
        // Nothing has made it longer.
        expect(statSync(image).size).toBe(100 << 20);
      },
      oneGuest,
    );
  }
});

test("the disk's files are in the cache and nothing else is", () => {
  if (mustSkip("the Debian disk", state)) return;
  const names = readdirSync(join(disk.base, ".."));
  expect(names.filter((name) => !/^(vmlinuz|initrd\.img|base\.img|debian\.json|disk\.qcow2(\.base)?|\..*lock.*)$/.test(name))).toEqual([]);
});
