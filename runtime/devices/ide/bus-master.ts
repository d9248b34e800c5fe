/**
 * One channel's bus master (PIIX3 datasheet 290550, "Bus Master IDE I/O Registers"; SFF-8038i). While it is started it moves bytes between a drive
 * and the regions of guest memory that the physical region descriptor table names. Descriptors are fetched one by one as the transfer reaches them.
 *
 * The active bit falls when the region marked end-of-table is used up, or when the guest stops the engine. So a transfer as long as its table ends
 * with interrupt 1, active 0; a table that is longer leaves active 1; one that is shorter ends the regions with interrupt 0, active 0, and the drive
 * waits with the rest.
 */
import type { RegisterBank, SavedState } from "../device.ts";
import type { BusMemory } from "../storage/block-storage.ts";

const commandRegister = 0;
const statusRegister = 2;
const tableRegister = 4;

const commandBit = { start: 0x01, toMemory: 0x08 } as const;
const statusBit = { active: 0x01, error: 0x02, interrupt: 0x04, drive0Capable: 0x20, drive1Capable: 0x40 } as const;
const clearedByOne = statusBit.error | statusBit.interrupt;
const heldBits = statusBit.drive0Capable | statusBit.drive1Capable;

const descriptorBytes = 8;
const endOfTable = 0x8000_0000;
const reserved = 0xff;

export class BusMaster {
  /** Eight ports: command, status, descriptor table pointer. */
  readonly registers: RegisterBank;
  /** Called when the guest has started the engine. */
  started: () => void = () => {};

  private readonly memory: BusMemory;
  private readonly descriptor = new Uint8Array(descriptorBytes);
  private command = 0;
  private status = 0;
  private table = 0;
  /** Address of the descriptor that comes next. */
  private next = 0;
  /** What is left of the region under way, and whether it is the last. */
  private address = 0;
  private left = 0;
  private last = false;
  private mayMaster = false;

  constructor(memory: BusMemory) {
    this.memory = memory;
    this.registers = {
      read: (offset, size) => this.read(offset, size),
      write: (offset, size, value) => this.write(offset, size, value),
    };
  }

  /** Started, with regions left, and allowed onto the bus. */
  get ready(): boolean {
    return (this.status & statusBit.active) !== 0 && this.mayMaster;
  }

  /** The function's bus master enable bit. */
  enable(mayMaster: boolean): void {
    if (this.mayMaster === mayMaster) return;
    this.mayMaster = mayMaster;
    if (this.ready) this.started();
  }

  /** The channel's interrupt line rose. */
  interrupt(): void {
    this.status |= statusBit.interrupt;
  }

  /** Moves bytes `from` to `to` of `buffer` to (or from) memory, as far as the table reaches; returns how many. */
  transfer(buffer: Uint8Array, from: number, to: number, toMemory: boolean): number {
    let position = from;
    while (position < to && this.ready) {
      if (this.left === 0) this.fetchDescriptor();
      const count = Math.min(this.left, to - position);
      const bytes = buffer.subarray(position, position + count);
      if (toMemory) this.memory.writeBytes(this.address, bytes);
      else this.memory.readInto(this.address, bytes);
      this.address = (this.address + count) >>> 0;
      this.left -= count;
      position += count;
      if (this.left === 0 && this.last) this.status &= ~statusBit.active;
    }
    return position - from;
  }

  reset(): void {
    this.command = this.status = this.table = 0;
    this.next = this.address = this.left = 0;
    this.last = false;
  }

  save(): SavedState {
    const { command, status, table, next, address, left, last } = this;
    return { command, status, table, next, address, left, last };
  }

  restore(state: SavedState): void {
    this.command = state.command as number;
    this.status = state.status as number;
    this.table = state.table as number;
    this.next = state.next as number;
    this.address = state.address as number;
    this.left = state.left as number;
    this.last = state.last as boolean;
  }

  private fetchDescriptor(): void {
    const { descriptor } = this;
    this.memory.readInto(this.next, descriptor);
    this.next = (this.next + descriptorBytes) >>> 0;
    this.address = word(descriptor, 0);
    const control = word(descriptor, 4);
    // A count of 0 is 64 KiB; the counter has no bit 0.
    this.left = control & 0xfffe || 0x10000;
    this.last = (control & endOfTable) !== 0;
  }

  private read(offset: number, size: 1 | 2 | 4): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= (offset + i < 8 ? this.readByte(offset + i) : reserved) << (8 * i);
    return value >>> 0;
  }

  private readByte(offset: number): number {
    if (offset >= tableRegister) return (this.table >>> (8 * (offset - tableRegister))) & 0xff;
    return offset === commandRegister ? this.command : offset === statusRegister ? this.status : reserved;
  }

  private write(offset: number, size: 1 | 2 | 4, value: number): void {
    // The status byte first: one write may acknowledge the old transfer and start the next.
    for (let i = size - 1; i >= 0; i--) if (offset + i < 8) this.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }

  private writeByte(offset: number, value: number): void {
    if (offset >= tableRegister) {
      const shift = 8 * (offset - tableRegister);
      this.table = (((this.table & ~(0xff << shift)) | (value << shift)) & ~3) >>> 0;
    } else if (offset === statusRegister) {
      this.status = (this.status & statusBit.active) | (this.status & ~value & clearedByOne) | (value & heldBits);
    } else if (offset === commandRegister) this.writeCommand(value);
  }

  private writeCommand(value: number): void {
    const changed = value ^ this.command;
    this.command = value & (commandBit.start | commandBit.toMemory);
    if ((changed & commandBit.start) === 0) return;
    if ((value & commandBit.start) === 0) {
      this.status &= ~statusBit.active;
      return;
    }
    this.status |= statusBit.active;
    this.next = this.table;
    this.left = 0;
    this.last = false;
    if (this.ready) this.started();
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}
