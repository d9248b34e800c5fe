/**
 * The 64K I/O port space: a flat array from port to register bank. An access that one mapping covers reaches its bank whole (the bank
 * knows its chip's bus width); an access that straddles mappings, or ends past port FFFFh, is split into byte cycles. Nothing
 * answers at an unmapped port: reads float to all ones, writes vanish.
 */
import type { RegisterBank } from "./device.ts";

const portCount = 0x10000;

export class PortConflictError extends Error {
  override readonly name = "PortConflictError";
}

class Mapping {
  readonly base: number;
  readonly bank: RegisterBank;

  constructor(base: number, bank: RegisterBank) {
    this.base = base;
    this.bank = bank;
  }
}

export class PortBus {
  private readonly mappings: (Mapping | null)[] = new Array(portCount).fill(null);

  /** Places a bank's registers at ports `base` to `base + count - 1`. Throws PortConflictError if any of them is taken. */
  map(base: number, count: number, bank: RegisterBank): void {
    if (!(Number.isInteger(base) && Number.isInteger(count) && base >= 0 && count > 0 && base + count <= portCount)) {
      throw new RangeError(`PortBus.map: ports ${base}..${base + count - 1}; expected a range inside 0..${portCount - 1}`);
    }
    for (let port = base; port < base + count; port++) {
      if (this.mappings[port] !== null) {
        throw new PortConflictError(
          `port ${port.toString(16)}h is mapped already; unmap it or place the ${count} ports from ${base.toString(16)}h elsewhere`,
        );
      }
    }
    this.mappings.fill(new Mapping(base, bank), base, base + count);
  }

  /** Frees the ports, mapped or not. */
  unmap(base: number, count: number): void {
    this.mappings.fill(null, base, base + count);
  }

  /** Unsigned value of 1, 2 or 4 bytes. */
  read(port: number, size: 1 | 2 | 4): number {
    const mapping = this.mappings[port];
    if (size === 1) return mapping === null ? 0xff : mapping.bank.read(port - mapping.base, 1);
    if (mapping !== null && this.mappings[port + size - 1] === mapping) {
      const value = mapping.bank.read(port - mapping.base, size);
      return size === 2 ? value : value >>> 0;
    }
    let value = 0;
    for (let i = 0; i < size; i++) value |= (port + i < portCount ? this.read(port + i, 1) : 0xff) << (8 * i);
    return size === 2 ? value : value >>> 0;
  }

  write(port: number, size: 1 | 2 | 4, value: number): void {
    const mapping = this.mappings[port];
    if (mapping !== null && this.mappings[port + size - 1] === mapping) {
      mapping.bank.write(port - mapping.base, size, value);
      return;
    }
    if (size === 1) return;
    for (let i = 0; i < size && port + i < portCount; i++) this.write(port + i, 1, (value >>> (8 * i)) & 0xff);
  }
}
