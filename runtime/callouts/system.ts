/** The VMM's callouts, by the names of contract/callouts/system.ts. */
import type { systemCallouts } from "../../translator/contract/callouts/system.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { controlImplementations } from "./control.ts";
import { descriptorTableImplementations } from "./descriptor-tables.ts";
import { farTransferImplementations } from "./far-transfers.ts";
import { flagImplementations } from "./flags.ts";
import { identificationImplementations } from "./identification.ts";
import { msrImplementations } from "./msr.ts";
import { portImplementations } from "./ports.ts";
import { segmentImplementations } from "./segments.ts";

export const systemImplementations = {
  ...segmentImplementations,
  ...farTransferImplementations,
  ...flagImplementations,
  ...descriptorTableImplementations,
  ...controlImplementations,
  ...identificationImplementations,
  ...msrImplementations,
  ...portImplementations,
} satisfies Record<keyof typeof systemCallouts, (cpu: Cpu, ...args: number[]) => number | void>;
