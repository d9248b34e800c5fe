/** Lifts of MMX, SSE and SSE2, by row name. */
import type { LiftFunction } from "../builder.ts";
import { floatLifts } from "./float.ts";
import { integerLifts } from "./integer.ts";
import { moveLifts } from "./moves.ts";
import { shuffleLifts } from "./shuffle.ts";
import { stateLifts } from "./state.ts";

export const simdLifts: Record<string, LiftFunction> = { ...integerLifts, ...shuffleLifts, ...moveLifts, ...floatLifts, ...stateLifts };
