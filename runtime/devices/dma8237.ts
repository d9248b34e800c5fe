/**
 * The PC's two cascaded 8237A DMA controllers with their page registers (Intel 8237A datasheet; 82371SB PIIX3 datasheet 290550, "DMA Register
 * Description"). Channels 0-3 move bytes, 5-7 words; channel 4 is the cascade. Bus cycles are not modelled: a device offers a run of bytes with
 * `transfer`, and as many of them move as the channel's count, mask and mode let through, as if DREQ had been held that long. So single, demand
 * and block mode are the same here, and a channel in cascade mode moves nothing.
 *
 * As in the PIIX3 there is no memory-to-memory transfer, no rotating priority to be seen (nothing competes), and no compressed timing; the command
 * register's one effective bit is "controller disable". A request made by software on a channel has no data to move: it runs the count down.
 * Addresses count within 64 KB (128 KB for words): the page registers do not take a carry.
 */
import { ByteBank } from "./byte-bank.ts";
import type { Device, RegisterBank, SavedState } from "./device.ts";
import type { BusMemory } from "./storage/block-storage.ts";

/** What a device asks of its channel. */
export interface DmaChannel {
  /**
   * Moves up to `bytes.length` bytes between `bytes` and memory: "toMemory" is the 8237's write transfer, "fromMemory" its read transfer. Word
   * channels move whole words. A channel set up for a verify, or for the other direction, counts without moving ("fromMemory" then gives FFh,
   * an undriven bus). No bytes move while the channel is masked or its controller disabled.
   */
  transfer(direction: "toMemory" | "fromMemory", bytes: Uint8Array): DmaTransfer;
}

export interface DmaTransfer {
  /** Bytes that the channel took or gave. */
  readonly count: number;
  /** The terminal count was reached with the last of them (the TC pin pulsed). */
  readonly terminal: boolean;
}

const channelCount = 4;
const command = { disable: 0x04 };
const mode = { decrement: 0x20, autoInitialize: 0x10, transfer: 0x0c, writeTransfer: 0x04, readTransfer: 0x08, select: 0xc0, cascade: 0xc0 };
/** Registers 8-15 of each controller; reads of the others than status and mask float. */
const control = { status: 8, request: 9, singleMask: 10, mode: 11, clearFlipFlop: 12, masterClear: 13, clearMask: 14, allMask: 15 };
/** By channel, which of the ports 80h-8Fh holds its address bits 16-23: 8Fh is for refresh (channel 4). The other ports are memory only. */
const pagePort: readonly number[] = [7, 3, 1, 2, 15, 11, 9, 10];
const nothing: DmaTransfer = { count: 0, terminal: false };

/** One channel's counters. */
class Channel {
  baseAddress = 0;
  baseCount = 0;
  address = 0;
  count = 0;
  mode = 0;

  reload(): void {
    this.address = this.baseAddress;
    this.count = this.baseCount;
  }
}

/** One 8237A: its registers know nothing of pages or of the width of its transfers. */
class Controller {
  readonly channels = Array.from({ length: channelCount }, () => new Channel());
  command = 0;
  /** One bit a channel. */
  mask = 0;
  /** Bits 0-3: terminal count since the last read. Bits 4-7, pending requests, are never seen set: what is asked for happens at once. */
  status = 0;
  private highByte = false;

  reset(): void {
    this.masterClear();
    for (const channel of this.channels) {
      channel.baseAddress = channel.baseCount = channel.mode = 0;
      channel.reload();
    }
  }

  private masterClear(): void {
    this.command = 0;
    this.mask = 15;
    this.status = 0;
    this.highByte = false;
  }

  read(register: number): number {
    if (register < 8) {
      const channel = this.channels[register >> 1];
      const value = (register & 1) === 0 ? channel.address : channel.count;
      return this.flip() ? value >> 8 : value & 0xff;
    }
    if (register === control.status) {
      const value = this.status;
      this.status = 0;
      return value;
    }
    return register === control.allMask ? this.mask | 0xf0 : 0xff;
  }

  write(register: number, value: number): void {
    if (register < 8) this.writeCounter(this.channels[register >> 1], (register & 1) === 0, value);
    else this.writeControl(register, value);
  }

  private writeCounter(channel: Channel, isAddress: boolean, value: number): void {
    const shift = this.flip() ? 8 : 0;
    const merge = (old: number) => (old & (0xff00 >> shift)) | (value << shift);
    // A write sets the base register and the current one (datasheet, "Base Address and Base Word Count Registers").
    if (isAddress) {
      channel.baseAddress = merge(channel.baseAddress);
      channel.address = merge(channel.address);
    } else {
      channel.baseCount = merge(channel.baseCount);
      channel.count = merge(channel.count);
    }
  }

  private writeControl(register: number, value: number): void {
    const bit = 1 << (value & 3);
    if (register === control.status) this.command = value;
    else if (register === control.request) this.softwareRequest(value & 3, (value & 4) !== 0);
    else if (register === control.singleMask) this.mask = (value & 4) !== 0 ? this.mask | bit : this.mask & ~bit;
    else if (register === control.mode) this.channels[value & 3].mode = value & 0xfc;
    else if (register === control.clearFlipFlop) this.highByte = false;
    else if (register === control.masterClear) this.masterClear();
    else if (register === control.clearMask) this.mask = 0;
    else this.mask = value & 15;
  }

  /** Software requests are not maskable; they need block mode (datasheet, "Request Register"). */
  private softwareRequest(n: number, on: boolean): void {
    const channel = this.channels[n];
    if (!on || (this.command & command.disable) !== 0 || (channel.mode & mode.select) !== 0x80) return;
    channel.address = (channel.address + ((channel.mode & mode.decrement) !== 0 ? -1 : 1) * (channel.count + 1)) & 0xffff;
    this.terminalCount(n);
  }

  /** Cycles the channel can make before its terminal count; 0 when it makes none. */
  cyclesLeft(n: number): number {
    const channel = this.channels[n];
    const off = (this.mask & (1 << n)) !== 0 || (this.command & command.disable) !== 0 || (channel.mode & mode.select) === mode.cascade;
    return off ? 0 : channel.count + 1;
  }

  /** Makes `cycles` of them; true when the count has run out. */
  advance(n: number, cycles: number): boolean {
    const channel = this.channels[n];
    channel.address = (channel.address + ((channel.mode & mode.decrement) !== 0 ? -cycles : cycles)) & 0xffff;
    channel.count -= cycles;
    if (channel.count >= 0) return false;
    channel.count = 0xffff;
    this.terminalCount(n);
    return true;
  }

  private terminalCount(n: number): void {
    const channel = this.channels[n];
    this.status |= 1 << n;
    if ((channel.mode & mode.autoInitialize) !== 0) channel.reload();
    else {
      channel.count = 0xffff;
      this.mask |= 1 << n;
    }
  }

  private flip(): boolean {
    const high = this.highByte;
    this.highByte = !high;
    return high;
  }

  save(): SavedState {
    const { command, mask, status, highByte } = this;
    return { command, mask, status, highByte, channels: this.channels.map((channel) => ({ ...channel })) };
  }

  restore(state: SavedState): void {
    this.command = state.command as number;
    this.mask = state.mask as number;
    this.status = state.status as number;
    this.highByte = state.highByte as boolean;
    (state.channels as SavedState[]).forEach((saved, n) => {
      Object.assign(this.channels[n], saved);
    });
  }
}

export class Dma8237 implements Device {
  readonly name = "dma8237";
  /** Ports 00h-0Fh: channels 0-3. */
  readonly first: RegisterBank;
  /** Ports C0h-DFh, a register at each even one: channels 4-7. */
  readonly second: RegisterBank;
  /** Ports 80h-8Fh; 80h takes firmware's POST codes. */
  readonly pages: RegisterBank;
  /** Ports 480h-48Fh: address bits 24-31 (82374EB ESC; QEMU's are there too). */
  readonly highPages: RegisterBank;

  private readonly memory: BusMemory;
  private readonly controllers = [new Controller(), new Controller()] as const;
  private readonly page = new Uint8Array(16);
  private readonly highPage = new Uint8Array(16);

  constructor(memory: BusMemory) {
    this.memory = memory;
    const [first, second] = this.controllers;
    this.first = new ByteBank(
      16,
      (offset) => first.read(offset),
      (offset, value) => first.write(offset, value),
    );
    this.second = new ByteBank(
      32,
      (offset) => (offset & 1 ? 0xff : second.read(offset >> 1)),
      (offset, value) => {
        if ((offset & 1) === 0) second.write(offset >> 1, value);
      },
    );
    this.pages = new ByteBank(
      16,
      (offset) => this.page[offset],
      (offset, value) => {
        this.page[offset] = value;
        // A program that knows only the 8-bit pages means addresses below 16 MB.
        this.highPage[offset] = 0;
      },
    );
    this.highPages = new ByteBank(
      16,
      (offset) => this.highPage[offset],
      (offset, value) => {
        this.highPage[offset] = value;
      },
    );
    this.reset();
  }

  reset(): void {
    for (const controller of this.controllers) controller.reset();
    this.page.fill(0);
    this.highPage.fill(0);
  }

  /** Channel 0-3 or 5-7, for the one device that is wired to it. */
  channel(n: number): DmaChannel {
    if (!Number.isInteger(n) || n < 0 || n > 7 || n === channelCount) throw new RangeError(`DMA channel ${n}: expected 0-3 or 5-7`);
    return { transfer: (direction, bytes) => this.transfer(n, direction, bytes) };
  }

  save(): SavedState {
    return { controllers: this.controllers.map((controller) => controller.save()), page: this.page.slice(), highPage: this.highPage.slice() };
  }

  restore(state: SavedState): void {
    (state.controllers as SavedState[]).forEach((saved, n) => {
      this.controllers[n].restore(saved);
    });
    this.page.set(state.page as Uint8Array);
    this.highPage.set(state.highPage as Uint8Array);
  }

  private transfer(n: number, direction: "toMemory" | "fromMemory", bytes: Uint8Array): DmaTransfer {
    const controller = this.controllers[n >> 2];
    const width = n < channelCount ? 1 : 2;
    const cycles = Math.min(Math.floor(bytes.length / width), controller.cyclesLeft(n & 3));
    if (cycles === 0) return nothing;
    const count = cycles * width;
    const channel = controller.channels[n & 3];
    const moved = bytes.subarray(0, count);
    const wanted = direction === "toMemory" ? mode.writeTransfer : mode.readTransfer;
    if ((channel.mode & mode.transfer) === wanted) this.move(n, width, direction, moved);
    else if (direction === "fromMemory") moved.fill(0xff);
    return { count, terminal: controller.advance(n & 3, cycles) };
  }

  /** Moves bytes in runs that do not wrap around the page. */
  private move(n: number, width: number, direction: "toMemory" | "fromMemory", bytes: Uint8Array): void {
    const { address, mode: flags } = this.controllers[n >> 2].channels[n & 3];
    const span = 0x10000 * width;
    const mask = width === 1 ? 0xff : 0xfe;
    const at = pagePort[n];
    const page = this.highPage[at] * 0x1000000 + (this.page[at] & mask) * 0x10000;
    const down = (flags & mode.decrement) !== 0;
    const ordered = down ? reversed(bytes, width) : bytes;
    // Going down, the last cycle has the lowest address.
    let offset = (down ? address - bytes.length / width + 1 : address) * width;
    for (let done = 0; done < ordered.length; ) {
      offset = ((offset % span) + span) % span;
      const run = ordered.subarray(done, done + Math.min(ordered.length - done, span - offset));
      if (direction === "toMemory") this.memory.writeBytes(page + offset, run);
      else this.memory.readInto(page + offset, run);
      done += run.length;
      offset += run.length;
    }
    if (down && direction === "fromMemory") bytes.set(reversed(ordered, width));
  }
}

/** A copy with the order of its cycles reversed. */
function reversed(bytes: Uint8Array, width: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) out[i] = bytes[bytes.length - width - (i - (i % width)) + (i % width)];
  return out;
}
