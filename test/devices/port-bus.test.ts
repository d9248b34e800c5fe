import { describe, expect, test } from "vitest";
import { isaPorts, PortBus, PortConflictError, type RegisterBank, WiredOr } from "../../runtime/devices/index.ts";
import { Probe } from "./support.ts";

/** A bank that logs its accesses and reads as its offset plus 10h. */
function logging(log: string[], name: string): RegisterBank {
  return {
    read(offset, size) {
      log.push(`${name}r${offset}/${size}`);
      return size === 1 ? 0x10 + offset : size === 2 ? 0x1000 + offset : 0x90000000 | offset;
    },
    write(offset, size, value) {
      log.push(`${name}w${offset}/${size}=${value.toString(16)}`);
    },
  };
}

describe("PortBus", () => {
  test("nothing answers at an unmapped port", () => {
    const bus = new PortBus();
    expect(bus.read(0x1234, 1)).toBe(0xff);
    expect(bus.read(0x1234, 2)).toBe(0xffff);
    expect(bus.read(0x1234, 4)).toBe(0xffffffff);
    expect(bus.read(0xffff, 4)).toBe(0xffffffff);
    bus.write(0xffff, 4, 0);
  });

  test("an access inside one bank reaches it whole, at its offset", () => {
    const bus = new PortBus();
    const log: string[] = [];
    bus.map(0x300, 8, logging(log, "a"));
    expect(bus.read(0x307, 1)).toBe(0x17);
    expect(bus.read(0x306, 2)).toBe(0x1006);
    expect(bus.read(0x304, 4)).toBe(0x90000004);
    bus.write(0x302, 2, 0xbeef);
    bus.write(0x304, 4, 0xdeadbeef | 0);
    expect(log).toEqual(["ar7/1", "ar6/2", "ar4/4", "aw2/2=beef", "aw4/4=-21524111"]);
  });

  test("an access that straddles banks is split into bytes, lowest first", () => {
    const bus = new PortBus();
    const log: string[] = [];
    bus.map(0x300, 2, logging(log, "a"));
    bus.map(0x302, 1, logging(log, "b"));
    expect(bus.read(0x301, 4)).toBe(0xffff1011);
    bus.write(0x301, 4, 0x44332211);
    expect(log).toEqual(["ar1/1", "br0/1", "aw1/1=11", "bw0/1=22"]);
  });

  test("adjacent mappings of the same bank are still two", () => {
    const bus = new PortBus();
    const log: string[] = [];
    const bank = logging(log, "a");
    bus.map(0x300, 1, bank);
    bus.map(0x301, 1, bank);
    bus.read(0x300, 2);
    expect(log).toEqual(["ar0/1", "ar0/1"]);
  });

  test("overlaps and ranges outside the port space are refused", () => {
    const bus = new PortBus();
    bus.map(0x60, 1, logging([], "a"));
    expect(() => bus.map(0x5e, 4, logging([], "b"))).toThrow(PortConflictError);
    expect(bus.read(0x5e, 1)).toBe(0xff);
    expect(() => bus.map(0xfffe, 3, logging([], "b"))).toThrow(RangeError);
    expect(() => bus.map(-1, 1, logging([], "b"))).toThrow(RangeError);
    bus.map(0xfffe, 2, logging([], "b"));
    bus.unmap(0x60, 1);
    bus.map(0x60, 1, logging([], "c"));
  });

  test("the platform's table maps without conflicts", () => {
    const bus = new PortBus();
    for (const { base, count } of Object.values(isaPorts)) bus.map(base, count, logging([], "x"));
  });
});

test("WiredOr is high while any driver is", () => {
  const out = new Probe();
  const wire = new WiredOr(out);
  const a = wire.driver();
  const b = wire.driver();
  a.set(true);
  b.set(true);
  a.set(false);
  expect([out.high, out.rises]).toEqual([true, 1]);
  b.set(false);
  b.set(false);
  expect([out.high, out.falls]).toEqual([false, 1]);
});
