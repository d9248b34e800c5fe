/** Where the platform's register banks and interrupt requests are: as on QEMU's `pc`. The composition root maps from this table. */

export type PortRange = { readonly base: number; readonly count: number };

export const isaPorts = {
  picMaster: { base: 0x20, count: 2 },
  picSlave: { base: 0xa0, count: 2 },
  picEdgeLevel: { base: 0x4d0, count: 2 },
  pit: { base: 0x40, count: 4 },
  port61: { base: 0x61, count: 1 },
  keyboardData: { base: 0x60, count: 1 },
  keyboardControl: { base: 0x64, count: 1 },
  rtc: { base: 0x70, count: 2 },
  port92: { base: 0x92, count: 1 },
  debugExit: { base: 0xf4, count: 4 },
  com1: { base: 0x3f8, count: 8 },
  com2: { base: 0x2f8, count: 8 },
  com3: { base: 0x3e8, count: 8 },
  com4: { base: 0x2e8, count: 8 },
  dmaFirst: { base: 0x00, count: 16 },
  dmaSecond: { base: 0xc0, count: 32 },
  dmaPages: { base: 0x80, count: 16 },
  dmaHighPages: { base: 0x480, count: 16 },
  floppy: { base: 0x3f0, count: 6 },
  floppyDirectory: { base: 0x3f7, count: 1 },
  apm: { base: 0xb2, count: 2 },
  debugPort: { base: 0x402, count: 1 },
  fwCfg: { base: 0x510, count: 12 },
  /** Where firmware places it (PIIX4 configuration register 40h). */
  acpiPm: { base: 0x600, count: 64 },
  pciConfig: { base: 0xcf8, count: 8 },
} as const satisfies Record<string, PortRange>;

export type IsaPortName = keyof typeof isaPorts;

export const isaIrqs = {
  timer: 0,
  keyboard: 1,
  com1: 4,
  com2: 3,
  com3: 4,
  com4: 3,
  floppy: 6,
  rtc: 8,
  acpi: 9,
  aux: 12,
} as const satisfies Record<string, number>;

/** The reset control register, inside the PCI configuration ports: a write of 06h resets. */
export const resetControlPort = isaPorts.pciConfig.base + 1;
