/** Every callout of the contract, implemented. A name missing here does not compile. */
import type { CalloutName } from "../../translator/contract/callouts.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { integerImplementations } from "./integer.ts";
import { simdImplementations } from "./simd.ts";
import { systemImplementations } from "./system.ts";
import { x87Implementations } from "./x87.ts";

export const calloutImplementations = {
  ...integerImplementations,
  ...systemImplementations,
  ...x87Implementations,
  ...simdImplementations,
} satisfies Record<CalloutName, (cpu: Cpu, ...args: number[]) => number | void>;
