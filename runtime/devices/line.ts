/**
 * Helpers around `Line`. A line is driven by exactly one source; where several chips share a wire (A20, a PCI interrupt), each gets
 * its own driver of a `WiredOr`. Devices drive their lines again when restored, so a WiredOr has no state of its own to save.
 */
import type { Line } from "./device.ts";

/** A line that goes nowhere. */
export const unconnected: Line = { set() {} };

/** A line that calls back on changes of level only; starts at `initial` without a call. */
export function onChange(changed: (high: boolean) => void, initial = false): Line {
  let level = initial;
  return {
    set(high) {
      if (high === level) return;
      level = high;
      changed(high);
    },
  };
}

/** High while any of its drivers is high. */
export class WiredOr {
  private readonly output: Line;
  private drivers = 0;
  private high = 0;

  constructor(output: Line) {
    this.output = output;
  }

  driver(): Line {
    if (this.drivers === 31) throw new RangeError("WiredOr: at most 31 drivers on one wire");
    const bit = 1 << this.drivers++;
    return {
      set: (high) => {
        const before = this.high;
        this.high = high ? before | bit : before & ~bit;
        if ((before !== 0) !== (this.high !== 0)) this.output.set(this.high !== 0);
      },
    };
  }
}
