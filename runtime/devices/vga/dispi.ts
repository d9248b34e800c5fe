/**
 * The Bochs display interface ("DISPI"): the few 16-bit registers through which the VGA BIOS's VBE functions and the guests' drivers set
 * linear modes, as QEMU's standard VGA has them: at ports 1CEh (index), 1CFh and 1D0h (data), and one after the other in the PCI function's
 * memory registers. Values that make no sense together are made to fit the video memory as they are written, and read back so.
 */
import type { SavedState } from "../device.ts";

export const dispiRegister = {
  ...{ id: 0, width: 1, height: 2, bitsPerPixel: 3, enable: 4, bank: 5, virtualWidth: 6, virtualHeight: 7, xOffset: 8, yOffset: 9 },
  memory64K: 10,
} as const;
export const dispiEnable = { enabled: 0x01, capabilities: 0x02, dac8Bit: 0x20, linear: 0x40, keepMemory: 0x80 } as const;

const firstId = 0xb0c0;
const lastId = 0xb0c5;
const maximum = { width: 16000, height: 12000, bitsPerPixel: 32 };
const depths = [4, 8, 15, 16, 24, 32];

export class Dispi {
  readonly registers = new Uint16Array(10);
  /** Bytes from one row to the next. */
  lineBytes = 0;
  /** Byte (planar: word) of video memory at the top left of the screen. */
  start = 0;
  /** First byte (planar: plane address) of the 64 KiB that the window at A0000h shows. */
  bankStart = 0;
  private readonly memory: Uint8Array;
  private readonly changed: () => void;
  private readonly cleared: (length: number) => void;

  /**
   * @param changed called after a write took effect
   * @param cleared called after the first `length` bytes of video memory were filled with zeros
   */
  constructor(memory: Uint8Array, changed: () => void, cleared: (length: number) => void = () => {}) {
    this.memory = memory;
    this.changed = changed;
    this.cleared = cleared;
    this.reset();
  }

  get enabled(): boolean {
    return (this.registers[dispiRegister.enable] & dispiEnable.enabled) !== 0;
  }

  get is8BitDac(): boolean {
    return (this.registers[dispiRegister.enable] & dispiEnable.dac8Bit) !== 0;
  }

  /** 4 (planar), 8, 15, 16, 24 or 32. */
  get bitsPerPixel(): number {
    return this.registers[dispiRegister.bitsPerPixel];
  }

  reset(): void {
    this.registers.fill(0);
    this.registers[dispiRegister.id] = lastId;
    this.lineBytes = this.start = this.bankStart = 0;
    this.changed();
  }

  save(): SavedState {
    return { registers: [...this.registers], lineBytes: this.lineBytes, start: this.start, bankStart: this.bankStart };
  }

  restore(state: SavedState): void {
    this.registers.set(state.registers as number[]);
    this.lineBytes = state.lineBytes as number;
    this.start = state.start as number;
    this.bankStart = state.bankStart as number;
    this.changed();
  }

  read(index: number): number {
    if (index === dispiRegister.memory64K) return this.memory.length >>> 16;
    if ((this.registers[dispiRegister.enable] & dispiEnable.capabilities) !== 0) {
      if (index === dispiRegister.width) return maximum.width;
      if (index === dispiRegister.height) return maximum.height;
      if (index === dispiRegister.bitsPerPixel) return maximum.bitsPerPixel;
    }
    return this.registers[index] ?? 0;
  }

  write(index: number, value: number): void {
    const { registers } = this;
    if (index === dispiRegister.id) {
      if (value >= firstId && value <= lastId) registers[index] = value;
      return;
    }
    if (index === dispiRegister.enable) this.writeEnable(value);
    else if (index === dispiRegister.bank) {
      registers[index] = value & ((this.memory.length >>> 16) - 1);
      this.bankStart = registers[index] << 16;
    } else if (index < registers.length && index !== dispiRegister.virtualHeight) {
      registers[index] = value;
      this.fit();
    } else return;
    this.changed();
  }

  private writeEnable(value: number): void {
    const { registers } = this;
    const { enable, virtualWidth, xOffset, yOffset, height } = dispiRegister;
    const turnsOn = (value & dispiEnable.enabled) !== 0 && !this.enabled;
    if (!turnsOn) this.bankStart = 0;
    registers[enable] = value;
    if (!turnsOn) return;
    registers[virtualWidth] = registers[xOffset] = registers[yOffset] = 0;
    this.fit();
    if ((value & dispiEnable.keepMemory) !== 0) return;
    const bytes = registers[height] * this.lineBytes;
    // Plane addresses of one bank are spread over its 256 KiB (layout.ts).
    const length = Math.min(this.memory.length, registers[dispiRegister.bitsPerPixel] === 4 ? Math.ceil(bytes / 0x40000) * 0x40000 : bytes);
    this.memory.fill(0, 0, length);
    this.cleared(length);
  }

  /** Makes the geometry one that the memory holds. Rows are whole multiples of eight pixels. */
  private fit(): void {
    if (!this.enabled) return;
    const { registers, memory } = this;
    const { width, height, bitsPerPixel, virtualWidth, virtualHeight, xOffset, yOffset } = dispiRegister;
    if (!depths.includes(registers[bitsPerPixel])) registers[bitsPerPixel] = 8;
    const bits = registers[bitsPerPixel] === 15 ? 16 : registers[bitsPerPixel];
    registers[width] = Math.max(8, Math.min(registers[width], maximum.width) & ~7);
    registers[virtualWidth] = Math.max(registers[width], Math.min(registers[virtualWidth], maximum.width) & ~7);
    const lineBytes = (registers[virtualWidth] * bits) / 8;
    const rows = Math.floor(memory.length / lineBytes);
    registers[height] = Math.max(1, Math.min(registers[height], maximum.height, rows));
    registers[xOffset] = Math.min(registers[xOffset], maximum.width);
    registers[yOffset] = Math.min(registers[yOffset], maximum.height);
    const startOf = (): number => Math.floor((registers[xOffset] * bits) / 8) + registers[yOffset] * lineBytes;
    const fits = (): boolean => startOf() + registers[height] * lineBytes <= memory.length;
    if (!fits()) registers[yOffset] = 0;
    if (!fits()) registers[xOffset] = 0;
    registers[virtualHeight] = rows;
    this.lineBytes = lineBytes;
    this.start = startOf();
  }
}
