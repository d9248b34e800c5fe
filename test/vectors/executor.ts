/** What can run a vector case; whatever implements this can be judged by the vectors. */
import type { Outcome, VectorCase } from "./state.ts";

export interface Executor {
  readonly name: string;
  /** Cases of one group (same `bytes` object) come one after the other. */
  run(c: VectorCase): Outcome;
}
