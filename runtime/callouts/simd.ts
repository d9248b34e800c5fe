/** The callouts of MMX, SSE and SSE2 (rows in translator/contract/callouts/simd.ts). */
import type { simdCallouts } from "../../translator/contract/callouts/simd.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { approximateImplementations } from "./simd/approximate.ts";
import { arithmeticImplementations } from "./simd/arithmetic.ts";
import { compareImplementations } from "./simd/compare.ts";
import { controlImplementations } from "./simd/control.ts";
import { convertImplementations } from "./simd/convert.ts";
import { memoryImplementations } from "./simd/memory.ts";

export const simdImplementations = {
  ...controlImplementations,
  ...memoryImplementations,
  ...arithmeticImplementations,
  ...compareImplementations,
  ...convertImplementations,
  ...approximateImplementations,
} satisfies Record<keyof typeof simdCallouts, (cpu: Cpu, ...args: number[]) => number | void>;
