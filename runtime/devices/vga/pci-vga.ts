/** The adapter as a PCI function with QEMU's identity: framebuffer (BAR 0), registers (BAR 2), option ROM. */
import { PciFunction } from "../pci-function.ts";
import type { BarWindow } from "../pci-window.ts";
import type { Vga } from "./vga.ts";

export const vgaRegistersLength = 0x1000;

export interface VgaPciWindows {
  /** All of video memory. */
  readonly framebuffer: BarWindow;
  /** `vga.memoryRegisters`. */
  readonly registers: BarWindow;
  /** The option ROM: a power of two of bytes. */
  readonly rom?: { readonly size: number; readonly window: BarWindow };
}

/** Bytes that an option ROM's register decodes. */
export function romSize(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(bytes, 0x800)));
}

export class VgaPciFunction extends PciFunction {
  constructor(vga: Vga, { framebuffer, registers, rom }: VgaPciWindows) {
    super("vga-pci", { vendor: 0x1234, device: 0x1111, revision: 2, classCode: 0x030000, subsystemVendor: 0x1af4, subsystem: 0x1100 });
    const shown: BarWindow = {
      show(address) {
        framebuffer.show(address);
        vga.framebufferShown = true;
      },
      hide() {
        framebuffer.hide();
        vga.framebufferShown = false;
      },
    };
    this.defineBar(0, "memory", vga.memory.length, { window: shown, prefetchable: true });
    this.defineBar(2, "memory", vgaRegistersLength, { window: registers });
    if (rom !== undefined) this.defineRom(rom.size, rom.window);
  }
}
