/**
 * The 82441FX host bridge (datasheet 290549): what firmware sees between 640 KiB and 1 MiB. The seven PAM registers say, for each 16 KiB from C0000h on and for the 64
 * KiB at F0000h, whether reads and whether writes go to RAM or to the ISA bus, where the BIOS ROM is; SMRAM opens RAM at A0000h, beneath the VGA window.
 */
import type { RegisterBank } from "./device.ts";
import type { MappedRange, MemorySpace } from "./memory-space.ts";
import { PciFunction } from "./pci-function.ts";
import { intel, qemuSubsystem } from "./piix.ts";

/** Memory that the bridge decodes, and the ROM on the ISA bus behind it, which ends at 1 MiB: its place in the buffer. */
export interface HostBridgeMemory {
  readonly memory: MemorySpace;
  readonly rom?: { readonly offset: number; readonly bytes: number };
}

const pam = { first: 0x59, last: 0x5f } as const;
const shadowBits = { read: 1, write: 2 };
const smram = 0x72;
const smramBits = { open: 0x40, locked: 0x10, writable: 0x78 };
const megabyte = 0x100000;
const legacyVga = { base: 0xa0000, length: 0x20000 };

/** The parts of the BIOS area, each with the PAM register it is in and its half: the lower 4 bits or the upper. */
const parts = [
  ...Array.from({ length: 12 }, (_, k) => ({ base: 0xc0000 + 0x4000 * k, length: 0x4000, register: pam.first + 1 + (k >> 1), shift: (k & 1) * 4 })),
  { base: 0xf0000, length: 0x10000, register: pam.first, shift: 4 },
];

export class HostBridge440Fx extends PciFunction {
  private readonly decoded: HostBridgeMemory | undefined;
  /** Per part, how it is mapped now (shadowBits; -1: not yet) and by what. */
  private readonly shadows: { state: number; mapping: MappedRange | undefined }[] = parts.map(() => ({ state: -1, mapping: undefined }));
  private openSmram: MappedRange | undefined;

  /** @param decoded without it the registers only hold what is written */
  constructor(decoded?: HostBridgeMemory) {
    super("host-bridge", { vendor: intel, device: 0x1237, revision: 2, classCode: 0x060000, ...qemuSubsystem });
    this.decoded = decoded;
    for (let register = pam.first; register <= pam.last; register++) this.define(register, 1, 0, 0x33);
    this.define(smram, 1, 0x02, smramBits.writable);
    this.configWritten(0, 256);
  }

  /** As firmware leaves it for a system that needs none: RAM everywhere. */
  shadowAll(): void {
    for (let register = pam.first; register <= pam.last; register++) this.writeConfig(register, 1, 0x33);
  }

  override writeConfig(register: number, size: 1 | 2 | 4, value: number): void {
    const locked = (this.config[smram] & smramBits.locked) !== 0;
    const before = this.config[smram];
    super.writeConfig(register, size, value);
    // D_LCK clears D_OPEN, and the register stays as it is until reset.
    if (locked) this.config[smram] = before;
    else if ((this.config[smram] & smramBits.locked) !== 0) this.config[smram] &= ~smramBits.open;
    this.configWritten(register, size);
  }

  protected override configWritten(register: number, bytes: number): void {
    if (this.decoded === undefined || register > smram || register + bytes <= pam.first) return;
    const { memory } = this.decoded;
    for (const [k, part] of parts.entries()) {
      const shadow = this.shadows[k];
      const state = (this.config[part.register] >> part.shift) & (shadowBits.read | shadowBits.write);
      if (state === shadow.state) continue;
      shadow.state = state;
      memory.remove(shadow.mapping);
      shadow.mapping = this.mapPart(this.decoded, part.base, part.length, state);
    }
    const isOpen = (this.config[smram] & smramBits.open) !== 0;
    if (isOpen === (this.openSmram !== undefined)) return;
    memory.remove(this.openSmram);
    const { base, length } = legacyVga;
    this.openSmram = isOpen ? memory.show(base, base, length, "read-write", "chipset") : undefined;
  }

  private mapPart({ memory, rom }: HostBridgeMemory, base: number, length: number, state: number): MappedRange | undefined {
    if (state === (shadowBits.read | shadowBits.write)) return undefined;
    if (state === shadowBits.read) return memory.show(base, base, length, "read-only", "chipset");
    const inRom = rom === undefined ? -1 : rom.bytes - (megabyte - base);
    if (state === 0 && rom !== undefined && inRom >= 0) return memory.show(base, rom.offset + inRom, length, "read-only", "chipset");
    // Reads and writes go different ways: no memory to the CPU's TLBs, so byte by byte.
    const writesRam = state === shadowBits.write;
    const bank: RegisterBank = {
      read: (offset, size) => {
        let value = 0;
        for (let k = 0; k < size; k++) value |= (rom !== undefined && inRom >= 0 ? memory.u8[rom.offset + inRom + offset + k] : 0xff) << (8 * k);
        return value >>> 0;
      },
      write: (offset, size, value) => {
        if (!writesRam) return;
        for (let k = 0; k < size; k++) memory.writeAt1(base + offset + k, (value >>> (8 * k)) & 0xff);
      },
    };
    return memory.map(base, length, bank, "chipset");
  }
}
