/** Who is told where the guest is: often, so that it must be cheap. */
export interface Sampler {
  /** A slice of some thousand guest instructions ended, at `R[slot.eip]`, before a block that a region heads or that tier 0 runs. */
  sliceEnded(R: Int32Array, inRegion: boolean): void;
}
