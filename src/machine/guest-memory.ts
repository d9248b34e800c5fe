/** Guest memory from outside: by physical address, or by linear address through the guest's page tables without touching them. */
import type { Cpu } from "../../runtime/cpu/cpu.ts";
import type { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { MachineError } from "./options.ts";

/** Of device memory no more is read at once. */
const largestDeviceRead = 16 << 20;
/** Bits of a page table entry. */
const accessedAndDirty = 0x60;

export class GuestMemory {
  readonly #physical: PhysicalMemory;
  readonly #cpu: Cpu;

  constructor(physical: PhysicalMemory, cpu: Cpu) {
    this.#physical = physical;
    this.#cpu = cpu;
  }

  /** Bytes of RAM. */
  get size(): number {
    return this.#physical.size;
  }

  /** A copy. Errors: `MachineError` outside RAM. */
  readPhysical(address: number, length: number): Uint8Array {
    this.#check(address, length);
    return this.#physical.readBytes(address, length);
  }

  /** Translated code over these bytes is dropped. Errors: `MachineError` outside RAM. */
  writePhysical(address: number, bytes: Uint8Array): void {
    this.#check(address, bytes.length);
    this.#physical.writeBytes(address, bytes);
  }

  /** A copy. Errors: `MachineError` where a page is not present. */
  readLinear(address: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.#eachPage(address, length, (physical, offset, count) => out.set(this.readPhysical(physical, count), offset));
    return out;
  }

  /** Writes whatever the page's rights are. Errors: `MachineError` where a page is not present. */
  writeLinear(address: number, bytes: Uint8Array): void {
    this.#eachPage(address, bytes.length, (physical, offset, count) => this.writePhysical(physical, bytes.subarray(offset, offset + count)));
  }

  /** The physical address behind a linear one, or undefined where no page is present. */
  translate(linear: number): number | undefined {
    const physical = this.#cpu.walker.peek(linear | 0);
    return physical < 0 ? undefined : physical;
  }

  /**
   * Physical addresses of the first `limit` words that differ from `other`'s, which must be of the same size. Accessed and dirty bits do not count: when a processor
   * sets them again that a guest has cleared, without flushing its TLB, depends on what the TLB holds (SDM vol. 3, 4.10.2.3).
   */
  differences(other: GuestMemory | Int32Array, limit: number): number[] {
    const a = this.#physical.i32;
    const b = other instanceof GuestMemory ? other.#physical.i32 : other;
    const found: number[] = [];
    for (let k = 0; k < this.#physical.size >>> 2 && found.length < limit; k++) {
      if (a[k] === b[k]) continue;
      const isEntry = (a[k]! & 1) !== 0;
      if (!isEntry || ((a[k]! ^ b[k]!) & ~accessedAndDirty) !== 0) found.push(4 * k);
    }
    return found;
  }

  /** All of RAM, copied. */
  copy(): Int32Array {
    return this.#physical.i32.slice(0, this.#physical.size >>> 2);
  }

  #eachPage(address: number, length: number, visit: (physical: number, offset: number, count: number) => void): void {
    for (let offset = 0; offset < length; ) {
      const linear = (address + offset) >>> 0;
      const count = Math.min(length - offset, 4096 - (linear & 0xfff));
      const physical = this.translate(linear);
      if (physical === undefined) throw new MachineError(`no page at linear address 0x${linear.toString(16)}`);
      visit(physical, offset, count);
      offset += count;
    }
  }

  #check(address: number, length: number): void {
    if (address >= 0 && length >= 0 && address + length <= this.#physical.size) return;
    // Device memory where the guest has it: a frame buffer, the BIOS.
    const isMemory = (at: number): boolean => this.#physical.isRam(this.#physical.locate(at, false));
    if (address >= 0 && length > 0 && length <= largestDeviceRead && isMemory(address) && isMemory(address + length - 1)) return;
    throw new MachineError(`physical 0x${address.toString(16)} + ${length} bytes is outside the ${this.#physical.size / 2 ** 20} MiB of RAM`);
  }
}
