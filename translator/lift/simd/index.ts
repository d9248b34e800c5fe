/** Lifts of MMX, SSE and what came after it, by row name. */
import type { LiftFunction } from "../builder.ts";
import { cryptoLifts } from "./crypto.ts";
import { floatLifts } from "./float.ts";
import { integerLifts } from "./integer.ts";
import { moveLifts } from "./moves.ts";
import { shuffleLifts } from "./shuffle.ts";
import { sse4Lifts } from "./sse4.ts";
import { ssse3Lifts } from "./ssse3.ts";
import { stateLifts } from "./state.ts";

export const simdLifts: Record<string, LiftFunction> = {
  ...integerLifts,
  ...shuffleLifts,
  ...moveLifts,
  ...floatLifts,
  ...stateLifts,
  ...ssse3Lifts,
  ...sse4Lifts,
  ...cryptoLifts,
};
