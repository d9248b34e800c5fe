/**
 * The same accesses to our controller and to QEMU's, with the same media, over QEMU's qtest protocol: identification, every way to read and write, DMA with
 * odd descriptor tables, packets and their sense data. A program does not know whom it talks to; what it reads goes into a transcript, and the two transcripts
 * must be equal. The interrupt is seen through the bus master's interrupt bit, which rises with it.
 *
 * Deliberate differences, where the programs stay off or a mask is given: docs/devices.md, "IDE".
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "../support.ts";
import { busMasterBase, MemoryStorage, pattern, Rig, same } from "./rig.ts";

const qemu = "qemu-system-i386";
const available = spawnSync(qemu, ["--version"]).error === undefined;
const skip = !available && process.env.CI !== "true";
if (skip) console.warn(`SKIPPED: ${qemu} (Debian: qemu-system-x86) is not installed; the IDE controller is not compared with QEMU's`);

const diskSectors = 20_000;
const slaveSectors = 3_000;
const discFrames = 500;
const memoryBytes = 16 << 20;

/** What a program may do. */
interface Target {
  in(port: number, size?: 1 | 2 | 4): Promise<number>;
  out(port: number, value: number, size?: 1 | 2 | 4): Promise<void>;
  read(address: number, bytes: number): Promise<Uint8Array>;
  write(address: number, bytes: Uint8Array): Promise<void>;
  /** Lets some time pass. */
  turn(): Promise<void>;
}

class Ours implements Target {
  readonly rig: Rig;

  constructor(rig: Rig) {
    this.rig = rig;
  }

  async in(port: number, size: 1 | 2 | 4 = 1): Promise<number> {
    return this.rig.ports.read(port, size);
  }

  async out(port: number, value: number, size: 1 | 2 | 4 = 1): Promise<void> {
    this.rig.ports.write(port, size, value);
  }

  async read(address: number, bytes: number): Promise<Uint8Array> {
    return this.rig.memory.bytes.slice(address, address + bytes);
  }

  async write(address: number, bytes: Uint8Array): Promise<void> {
    this.rig.memory.bytes.set(bytes, address);
  }

  async turn(): Promise<void> {
    this.rig.clock.run(50_000);
  }
}

class Qemu implements Target {
  private readonly process: ChildProcessWithoutNullStreams;
  private readonly answers: ((line: string) => void)[] = [];

  constructor(parameters: string[]) {
    this.process = spawn(qemu, parameters);
    createInterface({ input: this.process.stdout }).on("line", (line) => this.answers.shift()?.(line));
    this.process.stderr.on("data", (text) => console.error(String(text)));
  }

  private command(line: string): Promise<string> {
    return new Promise((resolve) => {
      this.answers.push(resolve);
      this.process.stdin.write(`${line}\n`);
    });
  }

  async in(port: number, size: 1 | 2 | 4 = 1): Promise<number> {
    return Number((await this.command(`in${"?bw?l"[size]} 0x${port.toString(16)}`)).replace("OK ", ""));
  }

  async out(port: number, value: number, size: 1 | 2 | 4 = 1): Promise<void> {
    await this.command(`out${"?bw?l"[size]} 0x${port.toString(16)} 0x${(value >>> 0).toString(16)}`);
  }

  async read(address: number, bytes: number): Promise<Uint8Array> {
    const hex = (await this.command(`read 0x${address.toString(16)} 0x${bytes.toString(16)}`)).replace("OK 0x", "");
    return Uint8Array.from(Buffer.from(hex, "hex"));
  }

  async write(address: number, bytes: Uint8Array): Promise<void> {
    await this.command(`write 0x${address.toString(16)} 0x${bytes.length.toString(16)} 0x${Buffer.from(bytes).toString("hex")}`);
  }

  /** QEMU writes its images in threads of its own: what it takes depends on how busy the host is. */
  async turn(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }

  /** Ends QEMU so that its images are written. */
  async quit(): Promise<void> {
    const ended = new Promise((resolve) => this.process.on("exit", resolve));
    this.process.kill("SIGTERM");
    await ended;
  }
}

const digest = (bytes: Uint8Array) => createHash("sha1").update(bytes).digest("hex").slice(0, 12);
const hex = (value: number) => value.toString(16).padStart(2, "0");

/** A driver over a target, with its transcript. */
class Session {
  readonly transcript: string[] = [];
  private readonly target: Target;
  private base = 0x1f0;
  private unit = 0;

  constructor(target: Target) {
    this.target = target;
  }

  note(line: string): void {
    this.transcript.push(line);
  }

  place(channel: number, unit: number): void {
    this.base = channel === 0 ? 0x1f0 : 0x170;
    this.unit = unit;
  }

  private get busMaster(): number {
    return busMasterBase + (this.base === 0x1f0 ? 0 : 8);
  }

  async configure(): Promise<void> {
    const config = async (register: number, value: number) => {
      await this.target.out(0xcf8, 0x80000000 | (1 << 11) | (1 << 8) | register, 4);
      await this.target.out(0xcfc, value, 4);
    };
    await config(0x20, busMasterBase);
    await config(0x04, 5);
    await config(0x40, 0x80008000);
  }

  in(offset: number): Promise<number> {
    return this.target.in(this.base + offset);
  }

  out(offset: number, value: number): Promise<void> {
    return this.target.out(this.base + offset, value & 0xff);
  }

  control(value: number): Promise<void> {
    return this.target.out(this.base + 0x206, value);
  }

  /** Waits while busy (with `drq`, too: for a DMA transfer to end); returns the alternate status. */
  async wait(drq = false): Promise<number> {
    for (let i = 0; i < 20_000; i++) {
      const found = await this.target.in(this.base + 0x206);
      if ((found & 0x80) === 0 && !(drq && (found & 0x08) !== 0)) return found;
      await this.target.turn();
    }
    throw new Error(`the drive stays busy, after\n${this.transcript.slice(-8).join("\n")}`);
  }

  /** Status, error, registers, and whether there was an interrupt since the last time. */
  async state(label: string, registers = [2, 3, 4, 5, 6], { statusMask = 0xff, interruptMask = 7 } = {}): Promise<number> {
    const found = await this.in(7);
    const values = [found & statusMask];
    for (const offset of [1, ...registers]) values.push(await this.in(offset));
    const dma = await this.target.in(this.busMaster + 2);
    await this.target.out(this.busMaster + 2, 0x64);
    this.note(`${label}: ${values.map(hex).join(" ")} bm ${hex(dma & interruptMask)}`);
    return found;
  }

  async registers(values: { feature?: number; count?: number; lba?: number; chs?: [number, number, number]; ext?: boolean }): Promise<void> {
    const { feature = 0, count = 0, lba = 0, chs, ext = false } = values;
    await this.out(6, 0xa0 | (this.unit << 4));
    if (ext) {
      const high = [count >> 8, Math.floor(lba / 2 ** 24), Math.floor(lba / 2 ** 32), Math.floor(lba / 2 ** 40)];
      for (let i = 0; i < 4; i++) await this.out(2 + i, high[i]);
    }
    const low = chs === undefined ? [lba, lba >>> 8, lba >>> 16] : [chs[2], chs[0], chs[0] >> 8];
    await this.out(1, feature);
    await this.out(2, count);
    for (let i = 0; i < 3; i++) await this.out(3 + i, low[i]);
    const head = chs === undefined ? 0x40 | (ext ? 0 : (lba >>> 24) & 15) : chs[1];
    await this.out(6, 0xa0 | (this.unit << 4) | head);
  }

  async data(bytes: number): Promise<Uint8Array> {
    const data = new Uint8Array(bytes + 4);
    const read = async (at: number, size: 2 | 4): Promise<void> => {
      const value = await this.target.in(this.base, size);
      for (let k = 0; k < size; k++) data[at + k] = value >>> (8 * k);
    };
    // All asked at once: the answers come in order, and a round trip for each would be most of the test's time.
    await Promise.all(Array.from({ length: Math.ceil(bytes / 4) }, (_, n) => read(4 * n, bytes - 4 * n >= 4 ? 4 : 2)));
    return data.subarray(0, bytes);
  }

  async send(data: Uint8Array): Promise<void> {
    await Promise.all(Array.from({ length: data.length / 2 }, (_, n) => this.target.out(this.base, data[2 * n] | (data[2 * n + 1] << 8), 2)));
  }

  async command(
    code: number,
    label: string,
    values: Parameters<Session["registers"]>[0] = {},
    shown?: number[],
    masks?: { statusMask?: number },
  ): Promise<number> {
    await this.registers(values);
    await this.out(7, code);
    await this.wait();
    return this.state(label, shown, masks);
  }

  /** A command with data to the host, `block` bytes at a time. */
  async readBlocks(code: number, label: string, values: Parameters<Session["registers"]>[0], sectors: number, block: number): Promise<Uint8Array> {
    const data = new Uint8Array(sectors * 512);
    let found = await this.command(code, label, values);
    for (let at = 0; at < data.length && (found & 8) !== 0; at += block) {
      data.set(await this.data(Math.min(block, data.length - at)), at);
      await this.wait();
      found = await this.state(`${label} ${at}`);
    }
    this.note(digest(data));
    return data;
  }

  async writeBlocks(code: number, label: string, values: Parameters<Session["registers"]>[0], data: Uint8Array, block: number): Promise<void> {
    let found = await this.command(code, label, values);
    for (let at = 0; at < data.length && (found & 8) !== 0; at += block) {
      await this.send(data.subarray(at, at + block));
      await this.wait();
      found = await this.state(`${label} ${at}`);
    }
  }

  async table(regions: readonly [address: number, bytes: number][]): Promise<void> {
    const table = new DataView(new ArrayBuffer(8 * regions.length));
    regions.forEach(([address, bytes], n) => {
      table.setUint32(8 * n, address, true);
      table.setUint32(8 * n + 4, (bytes & 0xffff) | (n === regions.length - 1 ? 0x8000_0000 : 0), true);
    });
    await this.target.write(0x1000, new Uint8Array(table.buffer));
    await this.target.out(this.busMaster, 0);
    await this.target.out(this.busMaster + 4, 0x1000, 4);
    await this.target.out(this.busMaster + 2, 0x66);
  }

  /** A DMA command; the descriptors cover it exactly or are longer. */
  async dma(
    code: number,
    label: string,
    values: Parameters<Session["registers"]>[0],
    regions: readonly [number, number][],
    toMemory: boolean,
  ): Promise<void> {
    await this.table(regions);
    await this.registers(values);
    await this.out(7, code);
    await this.target.out(this.busMaster, toMemory ? 9 : 1);
    await this.wait(true);
    await this.state(label);
    this.note(`command ${hex(await this.target.in(this.busMaster))}`);
    await this.target.out(this.busMaster, 0);
    await this.noteRegions(regions);
  }

  async noteRegions(regions: readonly [number, number][]): Promise<void> {
    for (const [address, bytes] of regions) this.note(`${address.toString(16)} ${digest(await this.target.read(address, bytes))}`);
  }

  fill(address: number, bytes: Uint8Array): Promise<void> {
    return this.target.write(address, bytes);
  }

  /** A packet command through the data port. Shows the data whole when they are few. */
  async packet(
    label: string,
    bytes: readonly number[],
    { limit = 0xfffe, show = true, interruptMask = 7 }: { limit?: number; show?: boolean; interruptMask?: number } = {},
  ): Promise<Uint8Array> {
    await this.registers({ lba: limit << 8 });
    await this.out(7, 0xa0);
    await this.wait();
    this.note(`${label}: packet ${hex(await this.target.in(this.base + 0x206))} reason ${(await this.in(2)) & 7}`);
    await this.send(Uint8Array.from([...bytes, ...new Array<number>(12 - bytes.length).fill(0)]));
    const data: number[] = [];
    for (;;) {
      await this.wait();
      const found = await this.state(label, [2, 4, 5], { interruptMask });
      if ((found & 8) === 0) break;
      const size = (await this.in(4)) | ((await this.in(5)) << 8);
      data.push(...(await this.data((size + 1) & ~1)).subarray(0, size));
    }
    if (show) this.note(`${label}: ${data.length <= 64 ? data.map(hex).join(" ") : `${data.length} ${digest(Uint8Array.from(data))}`}`);
    return Uint8Array.from(data);
  }

  async packetByDma(label: string, bytes: readonly number[], regions: readonly [number, number][]): Promise<void> {
    await this.table(regions);
    await this.registers({ feature: 1 });
    await this.out(7, 0xa0);
    await this.wait();
    await this.send(Uint8Array.from([...bytes, ...new Array<number>(12 - bytes.length).fill(0)]));
    await this.target.out(this.busMaster, 9);
    await this.wait(true);
    await this.state(label, [2]);
    await this.target.out(this.busMaster, 0);
    await this.noteRegions(regions);
  }
}

type Images = { readonly disk: Uint8Array; readonly slave: Uint8Array; readonly disc: Uint8Array };

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "ide-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a program on both and compares transcripts and what is on the media afterwards. Returns the transcript's length. */
async function compare(program: (session: Session) => Promise<void>, images: Images): Promise<number> {
  const paths = { disk: join(directory, "disk"), slave: join(directory, "slave"), disc: join(directory, "disc") };
  writeFileSync(paths.disk, images.disk);
  writeFileSync(paths.slave, images.slave);
  writeFileSync(paths.disc, images.disc);
  const drive = (id: string, path: string, more = "") => ["-drive", `if=none,id=${id},file=${path},format=raw${more}`];
  const target = new Qemu([
    ...["-machine", "pc", "-accel", "tcg", "-S", "-display", "none", "-nodefaults", "-qtest", "stdio", "-qtest-log", "none", "-m", "64"],
    ...drive("a", paths.disk),
    ...["-device", "ide-hd,drive=a,bus=ide.0,unit=0,model=XLAT86 HARDDISK,serial=XL00001,ver=1.0,discard_granularity=0"],
    ...drive("b", paths.slave),
    ...["-device", "ide-hd,drive=b,bus=ide.0,unit=1,model=XLAT86 HARDDISK,serial=XL00002,ver=1.0,discard_granularity=0"],
    ...drive("c", paths.disc, ",readonly=on"),
    ...["-device", "ide-cd,drive=c,bus=ide.1,unit=0,model=XLAT86 DVD-ROM,serial=XL00003,ver=1.0"],
  ]);
  const theirs = new Session(target);
  const media = {
    disk: new MemoryStorage(images.disk.slice()),
    slave: new MemoryStorage(images.slave.slice()),
    disc: new MemoryStorage(images.disc.slice()),
  };
  const rig = new Rig(
    { hda: { kind: "disk", storage: media.disk }, hdb: { kind: "disk", storage: media.slave }, hdc: { kind: "cdrom", storage: media.disc } },
    memoryBytes,
  );
  const ours = new Session(new Ours(rig));
  await theirs.configure();
  await program(theirs);
  await target.quit();
  await program(ours);
  ours.transcript.forEach((line, n) => {
    if (line !== theirs.transcript[n]) {
      const before = ours.transcript.slice(Math.max(0, n - 8), n).join("\n");
      throw new Error(`line ${n}, after\n${before}\n ours ${line}\n QEMU ${theirs.transcript[n]}`);
    }
  });
  expect(theirs.transcript.length).toBe(ours.transcript.length);
  same(media.disk.bytes, new Uint8Array(readFileSync(paths.disk)));
  same(media.slave.bytes, new Uint8Array(readFileSync(paths.slave)));
  return ours.transcript.length;
}

/** Words in which QEMU claims SMART, which is not here. */
const unidentical = new Set([82, 85]);

/** One entry, ending at a head and sector 17, and the signature. */
function partitionTable(lastHead: number): Uint8Array {
  const table = new Uint8Array(66);
  table.set([0x80, 1, 1, 0, 6, lastHead, 17, 9, 17, 0, 0, 0, 0, 8, 0, 0]);
  table.set([0x55, 0xaa], 64);
  return table;
}

const images = (): Images => ({ disk: pattern(diskSectors * 512, 1), slave: pattern(slaveSectors * 512, 2), disc: pattern(discFrames * 2048, 3) });
const big32 = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];

describe.skipIf(skip)("the same as QEMU", () => {
  test.each(["no partitions", "partitions of 8 heads", "partitions of 255 heads"])(
    "identification, both disks and the CD: %s",
    async (kind) => {
      const media = images();
      if (kind !== "no partitions") media.slave.set(partitionTable(kind === "partitions of 8 heads" ? 7 : 254), 0x1be);
      const count = await compare(async (session) => {
        for (const [channel, unit, code] of [
          [0, 0, 0xec],
          [0, 1, 0xec],
          [1, 0, 0xa1],
        ] as const) {
          session.place(channel, unit);
          await session.command(code, "identify", {}, []);
          const words = new Uint16Array((await session.data(512)).slice().buffer);
          for (let n = 0; n < 256; n++) {
            const isOther = unidentical.has(n) && code === 0xec;
            if (!isOther) session.note(`word ${n} ${words[n].toString(16)}`);
          }
          await session.wait();
          await session.state("after", []);
        }
      }, media);
      expect(count).toBeGreaterThan(700);
    },
    60_000,
  );

  test("resets and signatures", async () => {
    await compare(async (session) => {
      for (const channel of [0, 1]) {
        session.place(channel, 0);
        await session.out(6, 0xa0);
        // QEMU's CD drive does not know it.
        if (channel === 0) await session.command(0xe5, "check power");
        await session.control(4);
        await session.control(0);
        await session.wait();
        // QEMU's disks interrupt after it.
        await session.state("software reset", undefined, { interruptMask: 0 });
        await session.out(6, 0xb0);
        // Alone on its channel the CD would answer for device 1 with a status of 0, and QEMU with registers of nobody's.
        if (channel === 0) await session.state("device 1 after it");
        await session.out(6, 0xa0);
        await session.out(7, 0x90);
        await session.wait();
        if (channel === 0) await session.state("diagnostic");
      }
      session.place(1, 0);
      for (const code of [0xec, 0x20]) await session.command(code, "a disk's command to the CD", {}, [2, 3, 4, 5]);
      await session.out(7, 0x08);
      await session.wait();
      // The diagnostic code is not there in QEMU.
      const found = [await session.in(7), ...(await Promise.all([2, 3, 4, 5].map((offset) => session.in(offset))))];
      session.note(`device reset ${found.map(hex).join(" ")}`);
    }, images());
  }, 60_000);

  test.each([1, 2])(
    "reads and writes through the data port, CHS, LBA and LBA48, both disks, seed %i",
    async (seed) => {
      const random = new Random(seed * 7919);
      const steps = Array.from({ length: 120 }, () => ({
        unit: random.below(2),
        way: random.below(8),
        count: 1 + random.below(random.pick([2, 40])),
        place: random.next() / 2 ** 32,
        multiple: random.pick([1, 2, 4, 8, 16]),
        seed: random.next(),
      }));
      const count = await compare(async (session) => {
        for (const { unit, way, count, place, multiple, seed } of steps) {
          session.place(0, unit);
          const sectors = unit === 0 ? diskSectors : slaveSectors;
          const lba = Math.floor(place * (sectors - count));
          // CHS only inside the whole cylinders.
          const chsLba = Math.floor(place * (Math.floor(sectors / 1008) * 1008 - count));
          const chs: [number, number, number] = [Math.floor(chsLba / 1008), Math.floor(chsLba / 63) % 16, (chsLba % 63) + 1];
          const data = pattern(count * 512, seed);
          if (way === 0) await session.readBlocks(0x20, "read", { lba, count }, count, 512);
          else if (way === 1) await session.readBlocks(0x20, "read chs", { chs, count }, count, 512);
          else if (way === 2) await session.readBlocks(0x24, "read ext", { lba, count, ext: true }, count, 512);
          else if (way === 3) await session.writeBlocks(0x30, "write", { lba, count }, data, 512);
          else if (way === 4) await session.writeBlocks(0x30, "write chs", { chs, count }, data, 512);
          else if (way === 5) await session.writeBlocks(0x34, "write ext", { lba, count, ext: true }, data, 512);
          else {
            await session.command(0xc6, "set multiple", { count: multiple });
            if (way === 6) await session.readBlocks(0xc4, "read multiple", { lba, count }, count, 512 * multiple);
            else await session.writeBlocks(0xc5, "write multiple", { lba, count }, data, 512 * multiple);
          }
        }
      }, images());
      expect(count).toBeGreaterThan(500);
    },
    120_000,
  );

  test.each([1, 2])(
    "DMA with descriptors of every size, seed %i",
    async (seed) => {
      const random = new Random(seed * 104_729);
      const steps = Array.from({ length: 120 }, () => {
        const count = 1 + random.below(random.pick([4, 64, 256]));
        const regions: [number, number][] = [];
        let left = count * 512;
        let at = 0x100000 + random.below(0x10000);
        while (left > 0) {
          const most = Math.min(left, random.pick([2, 62, 512, 4096, 0x10000]));
          const bytes = regions.length > 200 ? Math.min(left, 0x10000) : 2 * Math.max(1, random.below(most / 2 + 1));
          regions.push([at, bytes]);
          at += bytes + random.below(70);
          left -= bytes;
        }
        // Sometimes longer than the transfer.
        if (random.below(5) === 0) regions[regions.length - 1][1] = Math.min(0xfffe, regions[regions.length - 1][1] + 2 * (1 + random.below(600)));
        return { count, regions, way: random.below(4), unit: random.below(2), place: random.next() / 2 ** 32, seed: random.next() };
      });
      const count = await compare(async (session) => {
        for (const { count, regions, way, unit, place, seed } of steps) {
          session.place(0, unit);
          const lba = Math.floor(place * ((unit === 0 ? diskSectors : slaveSectors) - count));
          const code = [0xc8, 0x25, 0xca, 0x35][way];
          const isRead = way < 2;
          await session.fill(0x100000, isRead ? new Uint8Array(0x40000) : pattern(0x40000, seed));
          await session.dma(code, `dma ${hex(code)} ${count}`, { lba, count, ext: (way & 1) === 1 }, regions, isRead);
        }
      }, images());
      expect(count).toBeGreaterThan(500);
    },
    120_000,
  );

  test("commands without data, features, and refusals", async () => {
    await compare(async (session) => {
      session.place(0, 0);
      const plain = [0x10, 0x70, 0x40, 0xe0, 0xe1, 0xe2, 0xe3, 0xe7, 0xea, 0x94, 0x95, 0x96, 0x97];
      // Where QEMU leaves "seek complete" clear, which here is set whenever the disk is ready.
      const seekless = { statusMask: 0xef };
      for (const code of plain) await session.command(code, `command ${hex(code)}`, { count: 1, lba: 5 }, [], seekless);
      // Not in either.
      for (const code of [0x03, 0x38, 0xc0 + 7, 0xf2, 0xa0, 0xa1, 0x08, 0xd0, 0xff])
        await session.command(code, `refused ${hex(code)}`, { count: 1 }, []);
      for (const [feature, count] of [
        [0x03, 0x0c],
        [0x03, 0x22],
        [0x03, 0x45],
        [0x02, 0],
        [0x82, 0],
        [0x02, 0],
        [0xaa, 0],
        [0x55, 0],
        [0x42, 0],
        [0x99, 0],
      ]) {
        await session.command(0xef, `feature ${hex(feature)} ${hex(count)}`, { feature, count }, [], seekless);
      }
      for (const count of [0, 1, 2, 3, 5, 8, 16, 17, 32, 128]) await session.command(0xc6, `multiple ${count}`, { count }, [], seekless);
      await session.command(0xf8, "native max", {}, undefined, seekless);
      await session.command(0x27, "native max ext", { ext: true }, undefined, seekless);
      await session.control(0x80);
      session.note(`${hex(await session.in(3))} ${hex(await session.in(4))} ${hex(await session.in(5))}`);
      await session.command(0x91, "parameters", { count: 17, chs: [0, 3, 0] }, [], seekless);
      await session.readBlocks(0x20, "read chs", { chs: [100, 2, 9], count: 20 }, 20, 512);
      await session.command(0xf8, "native max chs", { chs: [0, 0, 0] }, undefined, seekless);
    }, images());
  }, 60_000);

  test("packets: replies, sense, byte count limits, DMA", async () => {
    const count = await compare(async (session) => {
      session.place(1, 0);
      const { packet } = { packet: session.packet.bind(session) };
      await packet("test unit ready", [0]);
      // Not an odd number of bytes, of which QEMU never hands over the last. Not the name of the maker.
      await packet("inquiry", [0x12, 0, 0, 0, 6]);
      await packet("capacity", [0x25]);
      for (const msf of [0, 2]) {
        for (const track of [0, 1, 0xaa, 2]) {
          await packet(`toc ${msf} ${track}`, [0x43, msf, 0, 0, 0, 0, track, 0, 255]);
          await packet("sense", [3, 0, 0, 0, 18], { show: track === 2 });
        }
        await packet(`full toc ${msf}`, [0x43, msf, 2, 0, 0, 0, 1, 0, 255, 0x80]);
        await packet(`toc cut ${msf}`, [0x43, msf, 0, 0, 0, 0, 0, 0, 10]);
      }
      await packet("information", [0x51, 0, 0, 0, 0, 0, 0, 0, 255]);
      await packet("mechanism", [0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8]);
      for (const page of [1, 0x0e, 0x2a]) await packet(`mode ${hex(page)}`, [0x5a, 0, page, 0, 0, 0, 0, 0, 255]);
      for (const limit of [2048, 4096, 3000, 3001, 1000, 0xffff, 0x8000]) {
        await packet(`read ${limit}`, [0x28, 0, ...big32(17), 0, 0, 4], { limit });
        await packet(`read cd ${limit}`, [0xbe, 0, ...big32(100), 0, 0, 2, 0xf8], { limit });
        await packet(`read 12 ${limit}`, [0xa8, 0, ...big32(400), ...big32(9)], { limit });
      }
      await packet("read nothing", [0x28, 0, ...big32(17), 0, 0, 0]);
      const refusals: [string, number[]][] = [
        ["beyond", [0x28, 0, ...big32(discFrames), 0, 0, 1]],
        ["across", [0x28, 0, ...big32(discFrames - 1), 0, 0, 2]],
        ["seek beyond", [0x2b, 0, ...big32(discFrames)]],
        ["no operation", [0xf1]],
        ["no page", [0x5a, 0, 0x05, 0, 0, 0, 0, 0, 255]],
        ["saved page", [0x5a, 0, 0xc1, 0, 0, 0, 0, 0, 255]],
        ["not polled", [0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8]],
        ["part of a frame", [0xbe, 0, ...big32(100), 0, 0, 2, 0x20]],
      ];
      for (const [label, bytes] of refusals) {
        await packet(label, bytes);
        await packet("sense", [3, 0, 0, 0, 18]);
      }
      await packet("seek", [0x2b, 0, ...big32(discFrames - 1)]);
      // Which QEMU aborts without an interrupt.
      await packet("no limit", [0x28, 0, ...big32(17), 0, 0, 1], { limit: 0, interruptMask: 0 });
      await packet("speed", [0xbb, 0, 255, 255]);
      await packet("event", [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]);
      await packet("other event", [0x4a, 1, 0, 0, 0x02, 0, 0, 0, 8]);
      await packet("lock", [0x1e, 0, 0, 0, 1]);
      await packet("locked page", [0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255]);
      await packet("unlock", [0x1e, 0, 0, 0, 0]);
      await session.packetByDma(
        "read dma",
        [0x28, 0, ...big32(30), 0, 0, 8],
        [
          [0x100000, 1000],
          [0x110000, 8 * 2048 - 1000],
        ],
      );
      await session.packetByDma("capacity dma", [0x25], [[0x100000, 8]]);
    }, images());
    expect(count).toBeGreaterThan(150);
  }, 60_000);
});
