/**
 * The 64K I/O port space: a flat array from port to register bank. An access that one mapping covers reaches its bank whole (the bank
 * knows its chip's bus width); an access that straddles mappings, or ends past port FFFFh, is split into byte cycles. Nothing
 * answers at an unmapped port: reads float to all ones, writes vanish.
 *
 * Banks that a guest places where it likes (PCI base address registers) lie beneath the fixed ones: they answer at the ports that are left, the first placed first.
 */
import type { RegisterBank } from "./device.ts";

const portCount = 0x10000;

export class PortConflictError extends Error {
  override readonly name = "PortConflictError";
}

class Mapping {
  readonly base: number;
  readonly count: number;
  readonly bank: RegisterBank;

  constructor(base: number, count: number, bank: RegisterBank) {
    // As int32: one base that V8 keeps as a double (addresses of PCI are) would make the offset of every access to any port one.
    this.base = base | 0;
    this.count = count | 0;
    this.bank = bank;
  }
}
/** A bank placed beneath the fixed ones; what `remove` takes. */
export type PlacedPorts = { readonly base: number; readonly count: number };

export class PortBus {
  private readonly mappings: (Mapping | null)[] = new Array(portCount).fill(null);
  /** Those that `place` has made, in order. */
  private placed: readonly Mapping[] = [];

  /** Places a bank's registers at ports `base` to `base + count - 1`. Throws PortConflictError if any of them is taken. */
  map(base: number, count: number, bank: RegisterBank): void {
    if (!(Number.isInteger(base) && Number.isInteger(count) && base >= 0 && count > 0 && base + count <= portCount)) {
      throw new RangeError(`PortBus.map: ports ${base}..${base + count - 1}; expected a range inside 0..${portCount - 1}`);
    }
    for (let port = base; port < base + count; port++) {
      const present = this.mappings[port];
      if (present !== null && !this.placed.includes(present)) {
        throw new PortConflictError(
          `port ${port.toString(16)}h is mapped already; unmap it or place the ${count} ports from ${base.toString(16)}h elsewhere`,
        );
      }
    }
    this.mappings.fill(new Mapping(base, count, bank), base, base + count);
  }

  /** Places a bank's registers beneath whatever is at ports `base` to `base + count - 1`; those past FFFFh do not exist. Never throws. */
  place(base: number, count: number, bank: RegisterBank): PlacedPorts {
    const mapping = new Mapping(base, count, bank);
    this.placed = [...this.placed, mapping];
    this.fillIn(base, count);
    return mapping;
  }

  /** Undoes a `place` by what it returned. */
  remove(ports: PlacedPorts): void {
    this.placed = this.placed.filter((mapping) => mapping !== ports);
    for (let port = ports.base; port < ports.base + ports.count && port < portCount; port++) {
      if (this.mappings[port] === ports) this.mappings[port] = null;
    }
    this.fillIn(ports.base, ports.count);
  }

  /** Gives free ports of a range to the placed banks that want them. */
  private fillIn(base: number, count: number): void {
    for (const mapping of this.placed) {
      const last = Math.min(base + count, mapping.base + mapping.count, portCount);
      for (let port = Math.max(base, mapping.base); port < last; port++) this.mappings[port] ??= mapping;
    }
  }

  /** Frees the ports, mapped or not. */
  unmap(base: number, count: number): void {
    this.mappings.fill(null, base, base + count);
    this.fillIn(base, count);
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

  /** Many reads of one port (`RegisterBank.readBlock`); 0 where its device has no such way. */
  readBlock(port: number, size: 2 | 4, into: Uint8Array): number {
    const mapping = this.mappings[port];
    return mapping !== null && this.mappings[port + size - 1] === mapping ? (mapping.bank.readBlock?.(port - mapping.base, size, into) ?? 0) : 0;
  }

  writeBlock(port: number, size: 2 | 4, from: Uint8Array): number {
    const mapping = this.mappings[port];
    return mapping !== null && this.mappings[port + size - 1] === mapping ? (mapping.bank.writeBlock?.(port - mapping.base, size, from) ?? 0) : 0;
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
