/** Names of the ATA registers' bits and of the commands (ANSI INCITS 361, ATA/ATAPI-6, clauses 7 and 8). */

/** Offsets in the command block. Features and error, command and status share an offset. */
export const register = { data: 0, features: 1, count: 2, lbaLow: 3, lbaMid: 4, lbaHigh: 5, device: 6, command: 7 } as const;

export const status = { err: 0x01, drq: 0x08, dsc: 0x10, df: 0x20, drdy: 0x40, bsy: 0x80 } as const;

/** Error register; after a packet command bits 7-4 are the sense key. */
export const errorBit = { abort: 0x04, idNotFound: 0x10, mediaChanged: 0x20, uncorrectable: 0x40 } as const;

/** Device register: bits 7 and 5 are obsolete and read as ones. */
export const deviceBit = { always: 0xa0, lba: 0x40, slave: 0x10, head: 0x0f } as const;

/** Device control register: high order byte, software reset, interrupt disabled. */
export const controlBit = { hob: 0x80, reset: 0x04, noInterrupt: 0x02 } as const;

/** Sector count register during PACKET: command or data, to or from the host. */
export const interruptReason = { command: 0x01, toHost: 0x02, mask: 0x07 } as const;

export const diagnosticPassed = 0x01;

export const sectorBytes = 512;

export const command = {
  ...{ nop: 0x00, deviceReset: 0x08, recalibrate: 0x10, seek: 0x70, diagnostic: 0x90, initializeParameters: 0x91 },
  ...{ readSectors: 0x20, readSectorsNoRetry: 0x21, readSectorsExt: 0x24, readMultiple: 0xc4, readMultipleExt: 0x29 },
  ...{ readDma: 0xc8, readDmaNoRetry: 0xc9, readDmaExt: 0x25, readVerify: 0x40, readVerifyNoRetry: 0x41, readVerifyExt: 0x42 },
  ...{ writeSectors: 0x30, writeSectorsNoRetry: 0x31, writeSectorsExt: 0x34, writeMultiple: 0xc5, writeMultipleExt: 0x39 },
  ...{ writeDma: 0xca, writeDmaNoRetry: 0xcb, writeDmaExt: 0x35, setMultiple: 0xc6 },
  ...{ packet: 0xa0, identifyPacket: 0xa1, identify: 0xec, setFeatures: 0xef },
  ...{ standbyImmediate: 0xe0, idleImmediate: 0xe1, standby: 0xe2, idle: 0xe3, checkPower: 0xe5, sleep: 0xe6 },
  // The same by the codes of ATA-1.
  ...{ standbyImmediateOld: 0x94, idleImmediateOld: 0x95, standbyOld: 0x96, idleOld: 0x97, checkPowerOld: 0x98, sleepOld: 0x99 },
  ...{ flush: 0xe7, flushExt: 0xea, readNativeMax: 0xf8, readNativeMaxExt: 0x27 },
} as const;
