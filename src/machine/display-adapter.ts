/**
 * The display adapter on the board: its memory in the machine's buffer, its ports, its window at A0000h and its PCI function. Ports and window are the PC's own and stay
 * whatever the PCI command register says, as firmware leaves them switched on.
 */

import type { Clock } from "../../runtime/devices/device.ts";
import type { PciBus } from "../../runtime/devices/pci.ts";
import { memoryWindow, registerWindow } from "../../runtime/devices/pci-window.ts";
import type { PortBus } from "../../runtime/devices/port-bus.ts";
import { romSize, VgaPciFunction, vgaRegistersLength } from "../../runtime/devices/vga/pci-vga.ts";
import { Vga, vgaPorts, vgaWindow } from "../../runtime/devices/vga/vga.ts";
import type { Mapping } from "../../runtime/memory/memory-map.ts";
import type { PhysicalMemory } from "../../runtime/memory/physical.ts";

/** As QEMU's `-vga std`. */
export const vgaMemoryBytes = 16 << 20;
const bankLength = 0x10000;

/** Bytes of device memory that `placeVga` reserves, for the constructor of PhysicalMemory. */
export function vgaDeviceBytes(rom: Uint8Array | undefined): number {
  return vgaMemoryBytes + (rom === undefined ? 0 : Math.max(romSize(rom.length), 0x1000));
}

export interface VgaSurroundings {
  readonly physical: PhysicalMemory;
  readonly ports: PortBus;
  readonly pci: PciBus;
  readonly clock: Clock;
  /** Device number on PCI bus 0. */
  readonly slot: number;
  /** The option ROM. */
  readonly rom: Uint8Array | undefined;
}

/** Returns the device to reset, save and restore with the others; the PCI function is the bus's. */
export function placeVga({ physical, ports, pci, clock, slot, rom }: VgaSurroundings): Vga {
  const offset = physical.reserve(vgaMemoryBytes);
  let bank: Mapping | undefined;
  const vga = new Vga(clock, physical.u8.subarray(offset, offset + vgaMemoryBytes), {
    window(start) {
      physical.remove(bank);
      bank = start < 0 ? undefined : physical.show(vgaWindow.base, offset + start, bankLength, "read-write");
    },
    code: {
      codePages: physical.codePages.subarray(offset >>> 12, (offset + vgaMemoryBytes) >>> 12),
      written: (byte, length) => {
        physical.codeWritten(offset + byte, length);
      },
    },
  });
  physical.map(vgaWindow.base, vgaWindow.length, vga.window);
  ports.map(vgaPorts.mono.base, vgaPorts.mono.count, vga.monoPorts);
  ports.map(vgaPorts.color.base, vgaPorts.color.count, vga.colorPorts);
  ports.map(vgaPorts.dispi.base, vgaPorts.dispi.count, vga.dispiPorts);
  const windows = {
    framebuffer: memoryWindow(physical, vgaMemoryBytes, offset),
    registers: registerWindow(physical, vgaRegistersLength, vga.memoryRegisters),
  };
  if (rom === undefined) pci.add(slot, 0, new VgaPciFunction(vga, windows));
  else {
    const size = Math.max(romSize(rom.length), 0x1000);
    const romOffset = physical.reserve(size);
    physical.writeOffset(romOffset, rom);
    pci.add(slot, 0, new VgaPciFunction(vga, { ...windows, rom: { size, window: memoryWindow(physical, size, romOffset, "read-only") } }));
  }
  return vga;
}
