/**
 * What a CPU keeps for MMX and SSE: typed views of its state and of RAM, and the working registers of exact arithmetic, so that nothing is
 * allocated while the guest runs. No architectural state: that is in the slots.
 */
import { FloatUnit } from "../../float/unit.ts";

export const kind = { zero: 0, finite: 1, infinity: 2, quietNaN: 3, signallingNaN: 4 } as const;

/** A single or double taken apart: sign 0 or 8000h, exponent biased by 16383, normalized 64-bit mantissa; all as in 80-bit format. */
export class UnpackedFloat {
  kind = 0;
  isDenormal = false;
  sign = 0;
  exponent = 0;
  low = 0;
  high = 0;
}

/** A 64-bit number and 32 bits below it, the last of them sticky. */
export class ShiftedMantissa {
  high = 0;
  low = 0;
  extra = 0;
}

export class SimdUnit {
  /** The slots as singles. */
  readonly S: Float32Array;
  /** RAM as doubles, by guest-physical address / 8. */
  readonly ram64: Float64Array;
  readonly a = new UnpackedFloat();
  readonly b = new UnpackedFloat();
  readonly float = new FloatUnit();
  readonly shifted = new ShiftedMantissa();
  /** Exceptions of the running instruction, in MXCSR's positions, over all its lanes. */
  flags = 0;
  /** Bits of the lane just computed (singles: low only). */
  low = 0;
  high = 0;
  /** Result lanes before they are committed. */
  readonly out = new Int32Array(4);
  readonly outS = new Float32Array(this.out.buffer);
  readonly outF = new Float64Array(this.out.buffer);

  /** @param R the CPU's state slots @param ram the machine's RAM, a multiple of 8 bytes */
  constructor(R: Int32Array, ram: Uint8Array) {
    this.S = new Float32Array(R.buffer, R.byteOffset, R.length);
    this.ram64 = new Float64Array(ram.buffer, ram.byteOffset, ram.length / 8);
  }
}
