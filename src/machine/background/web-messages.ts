/** What the machine and a browser's worker that makes regions say to each other. */
import type { RegionAnswer, RegionJob } from "../../../runtime/code/region-thread.ts";
import type { RegionMakerOptions } from "./region-maker.ts";

export type ToRegionWorker =
  /** The first message. */
  | { readonly kind: "begin"; readonly options: RegionMakerOptions }
  | { readonly kind: "job"; readonly job: RegionJob }
  /** Nobody waits for the job with that number any more. */
  | { readonly kind: "forget"; readonly id: number };

export type FromRegionWorker =
  /** Jobs are taken from now on. */
  | { readonly kind: "ready" }
  /** To jobs that were done together. */
  | { readonly kind: "answers"; readonly answers: readonly RegionAnswer[] };
