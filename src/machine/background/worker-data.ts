/** What the two threads have in common. */

import type { NodePort } from "./node.ts";
import type { RegionMakerOptions } from "./region-maker.ts";

/** What the thread that makes regions is given when it begins. */
export interface WorkerData extends RegionMakerOptions {
  /** Jobs come here, and answers go there. */
  readonly port: NodePort;
  /** Words that both threads see. */
  readonly shared: Int32Array;
}

/** Indices in `WorkerData.shared`: not 0 while jobs are taken; how many messages with answers were sent; numbers of jobs that nobody waits for, each at its number modulo `forgottenMost`. */
export const words = { isReady: 0, answers: 1, forgotten: 2, count: 66 } as const;
export const forgottenMost = words.count - words.forgotten;
