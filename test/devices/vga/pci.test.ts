/** The adapter as a PCI function, on a memory and a bus of its own, and beside QEMU's. */
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { PciBus, PortBus } from "../../../runtime/devices/index.ts";
import { buildEdid } from "../../../runtime/devices/vga/edid.ts";
import type { Vga } from "../../../runtime/devices/vga/vga.ts";
import { PhysicalMemory } from "../../../runtime/memory/physical.ts";
import { placeVga, vgaDeviceBytes, vgaMemoryBytes } from "../../../src/machine/display-adapter.ts";
import { TestClock } from "../support.ts";
import { QemuVga, skipQemu } from "./qemu-target.ts";
import { modes, setMode } from "./support.ts";

const hasEdidDecode = spawnSync("edid-decode", ["--help"]).error === undefined || process.env.CI === "true";
if (!hasEdidDecode) console.warn("SKIPPED: edid-decode (Debian: edid-decode) is not installed; the EDID is not checked by it");

const slot = 2;
const rom = Uint8Array.from({ length: 39_424 }, (_, i) => (i * 7) >> 2);
const framebufferBase = 0xfd000000;
const registersBase = 0xfebf0000;
const romBase = 0xfebe0000;

class Board {
  readonly physical = new PhysicalMemory(2 << 20, vgaDeviceBytes(rom));
  readonly ports = new PortBus();
  readonly pci = new PciBus(() => {});
  readonly vga: Vga;

  constructor() {
    const { physical, ports, pci } = this;
    ports.map(0xcf8, 8, pci.registers);
    this.vga = placeVga({ physical, ports, pci, clock: new TestClock(), slot, rom });
    pci.reset();
    this.vga.reset();
  }

  out(port: number, value: number, size: 1 | 2 | 4 = 1): void {
    this.ports.write(port, size, value);
  }

  poke(address: number, value: number): void {
    this.physical.write1(address, value);
  }

  config(register: number): number {
    this.out(0xcf8, address(register), 4);
    return this.ports.read(0xcfc, 4);
  }

  setConfig(register: number, value: number): void {
    this.out(0xcf8, address(register), 4);
    this.out(0xcfc, value, 4);
  }

  placeAll(): void {
    this.setConfig(0x10, framebufferBase);
    this.setConfig(0x18, registersBase);
    this.setConfig(0x30, romBase | 1);
    this.setConfig(0x04, 3);
  }
}

const address = (register: number): number => (0x80000000 | (slot << 11) | register) >>> 0;

describe("PCI function", () => {
  test("framebuffer, registers and ROM appear where their BARs say, and go", () => {
    const board = new Board();
    const { physical, vga } = board;
    expect(physical.read4(framebufferBase)).toBe(-1);
    board.placeAll();
    physical.write4(framebufferBase + 0x123456, 0x89abcdef | 0);
    expect(vga.memory[0x123456]).toBe(0xef);
    vga.memory[vgaMemoryBytes - 1] = 0x42;
    expect(physical.read1(framebufferBase + vgaMemoryBytes - 1)).toBe(0x42);
    expect(vga.framebufferShown).toBe(true);
    expect(physical.readBytes(romBase, rom.length)).toEqual(rom);
    physical.write1(romBase, 0x99);
    expect(physical.read1(romBase)).toBe(rom[0]);
    expect(physical.read2(registersBase + 0x500)).toBe(0xb0c5);
    board.setConfig(0x30, romBase);
    expect(physical.read1(romBase)).toBe(0xff);
    board.setConfig(0x10, 0xf0000000);
    expect(physical.read1(framebufferBase)).toBe(0xff);
    expect(physical.read1(0xf0000000 + vgaMemoryBytes - 1)).toBe(0x42);
    board.setConfig(0x04, 0);
    expect(physical.read1(0xf0000000)).toBe(0xff);
    expect(vga.framebufferShown).toBe(false);
  });

  test("the window at A0000h is the adapter's, as registers or as RAM, and never RAM of the machine", () => {
    const board = new Board();
    const { physical, vga } = board;
    setMode(board, modes.vga640x480x16);
    physical.write1(0xa0000, 0x81);
    expect(vga.memory.subarray(0, 4)).toEqual(Uint8Array.of(0x81, 0x81, 0x81, 0x81));
    expect(physical.isRam(physical.locate(0xa0000, true))).toBe(false);
    setMode(board, modes.vga320x200x256);
    expect(physical.isRam(physical.locate(0xa0000, true))).toBe(true);
    physical.write1(0xa0001, 0x33);
    expect(vga.memory.subarray(0, 4)).toEqual(Uint8Array.of(0x81, 0x33, 0x81, 0x81));
    expect(vga.window.read(1, 1)).toBe(0x33);
    // Banks of the Bochs interface.
    for (const [index, value] of [
      [1, 640],
      [2, 480],
      [3, 8],
      [4, 1],
      [5, 4],
    ]) {
      board.out(0x1ce, index, 2);
      board.out(0x1cf, value, 2);
    }
    physical.write1(0xa1234, 0x77);
    expect(vga.memory[0x41234]).toBe(0x77);
    expect(physical.u8[0xa1234]).toBe(0);
  });

  test("the monitor's EDID: header, checksum, and a preferred timing as VESA DMT has it for 1024 x 768 at 60 Hz", () => {
    const board = new Board();
    board.placeAll();
    const edid = board.physical.readBytes(registersBase, 128);
    expect([...edid.subarray(0, 8)]).toEqual([0, 255, 255, 255, 255, 255, 255, 0]);
    expect(edid.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
    expect(board.physical.read4(registersBase + 0x54) >>> 0).toBe(edid[0x54] | (edid[0x55] << 8) | (edid[0x56] << 16) | (edid[0x57] << 24));
    const word = (at: number): number => edid[at] | (edid[at + 1] << 8);
    expect(word(0x36) * 10).toBe(65_000);
    expect([edid[0x38] | ((edid[0x3a] & 0xf0) << 4), edid[0x39] | ((edid[0x3a] & 15) << 8)]).toEqual([1024, 1344 - 1024]);
    expect([edid[0x3b] | ((edid[0x3d] & 0xf0) << 4), edid[0x3c] | ((edid[0x3d] & 15) << 8)]).toEqual([768, 806 - 768]);
  });

  test.skipIf(!hasEdidDecode)("edid-decode finds nothing wrong with it", () => {
    const { stdout } = spawnSync("edid-decode", ["--check"], { input: buildEdid(), encoding: "utf8" });
    expect(stdout).toContain("EDID conformity: PASS");
  });

  test.skipIf(skipQemu)("configuration space and memory registers as QEMU's", { timeout: 60_000 }, async () => {
    const board = new Board();
    const qemu = new QemuVga();
    try {
      const expected: [string, number, number][] = [];
      const config = (register: number, mask = 0xffffffff): void => {
        expected.push([`config ${register.toString(16)}`, board.config(register), mask]);
        qemu.out(0xcf8, address(register), 4);
        qemu.in(0xcfc, 4);
      };
      const setConfig = (register: number, value: number): void => {
        board.setConfig(register, value);
        qemu.out(0xcf8, address(register), 4);
        qemu.out(0xcfc, value, 4);
      };
      const read = (at: number, size: 1 | 2 | 4): void => {
        const { physical } = board;
        expected.push([
          `read ${at.toString(16)}`,
          size === 1 ? physical.read1(at) : size === 2 ? physical.read2(at) : physical.read4(at) >>> 0,
          0xffffffff,
        ]);
        qemu.peek(at, size);
      };
      const write = (at: number, value: number, size: 1 | 2): void => {
        if (size === 1) board.physical.write1(at, value);
        else board.physical.write2(at, value);
        qemu.poke(at, value, size);
      };
      for (let register = 0; register < 0x40; register += 4) config(register);
      for (const register of [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30]) {
        setConfig(register, 0xffffffff);
        config(register);
      }
      setConfig(0x10, framebufferBase);
      setConfig(0x18, registersBase);
      setConfig(0x04, 3);
      config(0x04, 0xffff);
      for (const [index, value] of [
        [1, 400],
        [2, 300],
        [3, 16],
        [4, 0x41],
        [6, 512],
      ]) {
        write(registersBase + 0x500 + 2 * index, value, 2);
      }
      for (let index = 0; index < 11; index++) read(registersBase + 0x500 + 2 * index, 2);
      write(registersBase + 0x402, 0x01, 1);
      write(registersBase + 0x404, 0x0a02, 2);
      read(registersBase + 0x404, 2);
      read(registersBase + 0x40c, 1);
      read(registersBase + 0x600, 4);
      read(registersBase + 0x604, 4);
      for (let i = 0; i < 16; i++) write(framebufferBase + 100 * i, i + 1, 2);
      for (let i = 0; i < 16; i++) read(framebufferBase + 100 * i, 4);
      const found = (await qemu.run()).filter((value) => !Number.isNaN(value));
      expect(found.length).toBe(expected.length);
      const differences = expected.flatMap(([what, value, mask], i) =>
        ((value ^ found[i]) & mask) === 0 ? [] : [`${what}: ours ${value.toString(16)}, QEMU ${found[i].toString(16)}`],
      );
      expect(differences).toEqual([]);
    } finally {
      await qemu.close();
    }
  });
});
