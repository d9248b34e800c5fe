/** Status bytes of the result phase (82077AA datasheet, "Status Register Encoding"). */
export const st0 = { abnormal: 0x40, invalid: 0x80, polling: 0xc0, seekEnd: 0x20, equipmentCheck: 0x10, head: 0x04 } as const;
export const st1 = { endOfCylinder: 0x80, dataError: 0x20, overrun: 0x10, noData: 0x04, notWritable: 0x02, missingAddressMark: 0x01 } as const;
export const st2 = { controlMark: 0x40, dataFieldError: 0x20, wrongCylinder: 0x10, scanEqual: 0x08, scanNotSatisfied: 0x04 } as const;
/** Bits 5 and 3 are tied high. */
export const st3 = { writeProtected: 0x40, one5: 0x20, track0: 0x10, one3: 0x08, head: 0x04 } as const;
