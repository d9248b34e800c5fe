/** Who is told where the guest is: often, so that it must be cheap. */
export interface Sampler {
  /**
   * A slice of some thousand guest instructions ended, at `R[slot.eip]`, before a block that a region heads or that tier 0 runs; `retired` guest instructions were executed
   * so far. A loop inside a region goes on for many slices and is heard of when it is left.
   */
  sliceEnded(R: Int32Array, inRegion: boolean, retired: number): void;
}
