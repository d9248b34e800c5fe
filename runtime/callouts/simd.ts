/** The callouts of MMX, SSE and what came after it (rows in translator/contract/callouts/simd.ts). */
import type { simdCallouts } from "../../translator/contract/callouts/simd.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { approximateImplementations } from "./simd/approximate.ts";
import { arithmeticImplementations } from "./simd/arithmetic.ts";
import { compareImplementations } from "./simd/compare.ts";
import { controlImplementations } from "./simd/control.ts";
import { convertImplementations } from "./simd/convert.ts";
import { cryptoImplementations } from "./simd/crypto.ts";
import { horizontalImplementations } from "./simd/horizontal.ts";
import { memoryImplementations } from "./simd/memory.ts";
import { roundImplementations } from "./simd/round.ts";
import { ssse3Implementations } from "./simd/ssse3.ts";
import { textImplementations } from "./simd/text.ts";

export const simdImplementations = {
  ...controlImplementations,
  ...memoryImplementations,
  ...arithmeticImplementations,
  ...compareImplementations,
  ...convertImplementations,
  ...approximateImplementations,
  ...ssse3Implementations,
  ...cryptoImplementations,
  ...horizontalImplementations,
  ...roundImplementations,
  ...textImplementations,
} satisfies Record<keyof typeof simdCallouts, (cpu: Cpu, ...args: number[]) => number | void>;
