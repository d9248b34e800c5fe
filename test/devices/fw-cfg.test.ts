/** The firmware configuration device as docs/specs/fw_cfg.rst of QEMU has it, and the debug and APM ports beside it. */
import { beforeEach, describe, expect, test } from "vitest";
import { ApmPorts, acpiLoaderFiles, buildAcpiTables, DebugPort, FwCfg, fwCfgItem, littleEndian } from "../../runtime/devices/index.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { Random } from "./support.ts";

let memory: PhysicalMemory;
let device: FwCfg;
const files = { "opt/b": Uint8Array.of(1, 2, 3, 4, 5), "etc/a": new TextEncoder().encode("hello") };

beforeEach(() => {
  memory = new PhysicalMemory(1 << 20);
  device = new FwCfg(memory, { [fwCfgItem.ramSize]: littleEndian(0x1_2345_6000, 8) }, files);
  device.reset();
});

const select = (item: number) => device.registers.write(0, 2, item);
const bytes = (count: number) => Array.from({ length: count }, () => device.registers.read(1, 1));
const text = (values: readonly number[]) => String.fromCharCode(...values);

describe("ports", () => {
  test("signature, features, little-endian items; zeros past the end and where nothing is", () => {
    select(0);
    expect(text(bytes(4))).toBe("QEMU");
    expect(bytes(3)).toEqual([0, 0, 0]);
    select(0x8000);
    expect(bytes(2)).toEqual([0, 0]);
    select(1);
    expect(bytes(4)).toEqual([3, 0, 0, 0]);
    select(3);
    expect(bytes(8)).toEqual([0, 0x60, 0x45, 0x23, 1, 0, 0, 0]);
  });

  test("the directory: big-endian, sorted, items from 20h", () => {
    select(0x19);
    expect(bytes(4)).toEqual([0, 0, 0, 2]);
    const entry = () => {
      const [size, number, name] = [bytes(4), bytes(4), bytes(56)];
      return [size[3], (number[0] << 8) | number[1], text(name).replace(/\0+$/, "")];
    };
    expect([entry(), entry()]).toEqual([
      [5, 0x20, "etc/a"],
      [5, 0x21, "opt/b"],
    ]);
    select(0x21);
    expect(bytes(6)).toEqual([1, 2, 3, 4, 5, 0]);
  });

  test("a byte does not select; names are checked", () => {
    select(0x20);
    device.registers.write(0, 1, 0);
    expect(text(bytes(5))).toBe("hello");
    expect(() => new FwCfg(memory, {}, { ["x".repeat(56)]: new Uint8Array(1) })).toThrow(RangeError);
  });
});

describe("DMA", () => {
  const command = (control: number, length: number, address: number, at = 0x1000) => {
    const view = new DataView(new ArrayBuffer(16));
    view.setUint32(0, control);
    view.setUint32(4, length);
    view.setUint32(12, address);
    memory.writeBytes(at, new Uint8Array(view.buffer));
    device.registers.write(4, 4, 0);
    // The low half starts it; the bus is little-endian, the register is not.
    device.registers.write(8, 4, new DataView(Uint8Array.of(at >>> 24, at >>> 16, at >>> 8, at).buffer).getUint32(0, true));
    return new DataView(memory.readBytes(at, 4).buffer).getUint32(0);
  };

  test("the register reads as its signature", () => {
    const word = (offset: number) => device.registers.read(offset, 4);
    expect(text([word(4), word(8)].flatMap((value) => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff)))).toBe("QEMU CFG");
  });

  test("select, read, skip; beyond the end zeros; a write is an error", () => {
    memory.u8.fill(0xee, 0x2000, 0x2010);
    expect(command((0x20 << 16) | 8 | 2, 3, 0x2000)).toBe(0);
    expect(text([...memory.readBytes(0x2000, 3)])).toBe("hel");
    expect(command(4, 1, 0)).toBe(0);
    expect(command(2, 4, 0x2000)).toBe(0);
    expect([...memory.readBytes(0x2000, 5)]).toEqual([0x6f, 0, 0, 0, 0xee]);
    expect(command((0x20 << 16) | 8 | 16, 4, 0x2000)).toBe(1);
    // Ports and DMA share the item and the place in it.
    expect(text(bytes(5))).toBe("hello");
  });

  test("nonsense: lengths and addresses that mean nothing end at once", () => {
    const random = new Random(0x6677);
    for (let k = 0; k < 300; k++) {
      command((random.next() << 16) | random.below(32), random.next() >>> random.below(32), random.next(), random.below(1 << 19));
    }
    expect(command(2, 0xffffffff, 0xfffffff0)).toBe(0);
  });

  test("save and restore", () => {
    select(0x20);
    bytes(2);
    const other = new FwCfg(memory, {}, files);
    other.restore(structuredClone(device.save()));
    expect(String.fromCharCode(other.registers.read(1, 1))).toBe("l");
  });
});

test("the debug port is there and takes bytes; APM's two bytes hold what is written", () => {
  const written: number[] = [];
  const port = new DebugPort((byte) => written.push(byte));
  port.write(0, 1, 0x41);
  expect([port.read(0, 1), written]).toEqual([0xe9, [0x41]]);
  const apm = new ApmPorts();
  apm.registers.write(0, 1, 0xf1);
  apm.registers.write(1, 1, 2);
  expect([apm.registers.read(0, 2)]).toEqual([0x02f1]);
  const other = new ApmPorts();
  other.restore(structuredClone(apm.save()));
  expect(other.registers.read(0, 1)).toBe(0xf1);
  apm.reset();
  expect(apm.registers.read(0, 2)).toBe(0);
});

test("ACPI: the loader's commands, carried out by the book, give the tables that are made for a fixed place", () => {
  const hardware = { memoryBytes: 64 << 20, vga: true, apic: true, hpet: true };
  const loader = acpiLoaderFiles(hardware);
  const script = new DataView(loader["etc/table-loader"].slice().buffer);
  const placed: Record<string, { address: number; bytes: Uint8Array }> = {};
  const order: [string, number, number][] = [];
  for (let at = 0; at < script.byteLength; at += 128) {
    const name = (offset: number) => text([...new Uint8Array(script.buffer, at + offset, 56)]).replace(/\0+$/, "");
    const word = (offset: number) => script.getUint32(at + offset, true);
    const file = name(4);
    switch (word(0)) {
      case 1:
        order.push([file, word(60), script.getUint8(at + 64)]);
        placed[file] = { address: file.endsWith("rsdp") ? 0xe0000 : 0xe0040, bytes: loader[file].slice() };
        break;
      case 2: {
        const source = placed[name(60)];
        const target = new DataView(placed[file].bytes.buffer);
        expect(script.getUint8(at + 120)).toBe(4);
        target.setUint32(word(116), target.getUint32(word(116), true) + source.address, true);
        break;
      }
      case 3: {
        const { bytes: table } = placed[file];
        const [where, from, length] = [word(60), word(64), word(68)];
        table[where] -= table.subarray(from, from + length).reduce((sum, byte) => sum + byte, 0);
        break;
      }
      default:
        throw new Error(`command ${word(0)}`);
    }
  }
  // The tables anywhere in high memory, on the FACS's boundary; the RSDP where guests search for it.
  expect(order).toEqual([
    ["etc/acpi/tables", 64, 1],
    ["etc/acpi/rsdp", 16, 2],
  ]);
  const expected = buildAcpiTables({ ...hardware, address: 0xe0000 }).bytes;
  expect([...placed["etc/acpi/rsdp"].bytes]).toEqual([...expected.subarray(0, 20)]);
  expect([...placed["etc/acpi/tables"].bytes]).toEqual([...expected.subarray(64)]);
});
