/** The executors that the vectors judge: the same guest CPU with cold code only, and with everything translated as hot code. */
import { JavaScriptTranslator } from "../../translator/index.ts";
import { GuestExecutor } from "./guest-executor.ts";

export const tierNames = ["cold", "hot"] as const;

export function makeExecutor(tier: string): GuestExecutor {
  return new GuestExecutor({ name: tier, translator: new JavaScriptTranslator(), hot: tier === "hot" });
}
