/** MXCSR, cache control and ordering (SDM vol. 1, 5.5.3, 5.6.4). */
import { slot } from "../../contract/slots.ts";
import type { LiftFunction } from "../builder.ts";
import { requireSse } from "./operands.ts";

const liftLoadControl: LiftFunction = (b, i) => {
  requireSse(b);
  b.call("ldmxcsr", b.read(i.operands[0]));
};

const liftStoreControl: LiftFunction = (b, i) => {
  requireSse(b);
  b.write(i.operands[0], b.get(slot.mxcsr));
};

/** CLFLUSH faults as a load of one byte does; the caches are not modelled. */
const liftFlushLine: LiftFunction = (b, i) => {
  b.load(b.address(i.operands[0], 1), 1);
};

/** One CPU sees its own accesses in order, and hints may be ignored. */
const nothing: LiftFunction = () => {};

export const stateLifts: Record<string, LiftFunction> = {
  ldmxcsr: liftLoadControl,
  stmxcsr: liftStoreControl,
  clflush: liftFlushLine,
  lfence: nothing,
  mfence: nothing,
  sfence: nothing,
  pause: nothing,
  prefetchnta: nothing,
  prefetcht0: nothing,
  prefetcht1: nothing,
  prefetcht2: nothing,
};
