/** The x87 FPU's callouts by name (translator/contract/callouts/x87.ts). */
import type { x87Callouts } from "../../translator/contract/callouts/x87.ts";
import { arithmeticImplementations } from "./x87/arithmetic.ts";
import { compareImplementations } from "./x87/compare.ts";
import { controlImplementations } from "./x87/control.ts";
import { fxsaveImplementations } from "./x87/fxsave.ts";
import { transcendentalImplementations } from "./x87/transcendental.ts";
import { transferImplementations } from "./x87/transfer.ts";

export const x87Implementations = {
  ...arithmeticImplementations,
  ...compareImplementations,
  ...controlImplementations,
  ...fxsaveImplementations,
  ...transcendentalImplementations,
  ...transferImplementations,
  // biome-ignore lint/complexity/noBannedTypes: signatures differ; the contract's rows say how each is called
} satisfies Record<keyof typeof x87Callouts, Function>;
