/**
 * What lies behind a PCI base address register: register banks in I/O or memory space, or device memory. The PCI function says where it is to appear; here is
 * what the address means on this board. RAM and the board's own ranges answer before PCI does (82441FX datasheet, 4.1), and addresses that the CPU cannot make
 * do not exist, so whatever a guest programs is harmless.
 */
import type { RegisterBank } from "./device.ts";
import type { MappedRange, MemoryAccess, MemorySpace } from "./memory-space.ts";
import type { PlacedPorts, PortBus } from "./port-bus.ts";

export interface BarWindow {
  show(address: number): void;
  hide(): void;
}

const portSpace = 0x10000;
/** Physical addresses have 36 bits. */
const addressSpace = 2 ** 36;

/** `count` ports of `bank`. */
export function portWindow(ports: PortBus, count: number, bank: RegisterBank): BarWindow {
  let placed: PlacedPorts | undefined;
  return {
    show(address) {
      if (address + count <= portSpace) placed = ports.place(address, count, bank);
    },
    hide() {
      if (placed) ports.remove(placed);
      placed = undefined;
    },
  };
}

/** `length` bytes of registers. */
export function registerWindow(memory: MemorySpace, length: number, bank: RegisterBank): BarWindow {
  return inMemory(memory, length, (address) => memory.map(address, length, bank, "pci"));
}

/** `length` bytes of device memory at `offset` of the buffer (`PhysicalMemory.reserve`). */
export function memoryWindow(memory: MemorySpace, length: number, offset: number, access: MemoryAccess = "read-write"): BarWindow {
  return inMemory(memory, length, (address) => memory.show(address, offset, length, access, "pci"));
}

function inMemory(memory: MemorySpace, length: number, place: (address: number) => MappedRange): BarWindow {
  let mapping: MappedRange | undefined;
  return {
    show(address) {
      if (address >= memory.size && address + length <= addressSpace) mapping = place(address);
    },
    hide() {
      memory.remove(mapping);
      mapping = undefined;
    },
  };
}
