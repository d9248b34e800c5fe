/** `xlat86 bisect`: where, and by which optimisation, two configurations part. */
import { describeOptimisations } from "../../translator/contract/optimisations.ts";
import { bisect } from "../inspector/bisect.ts";
import { renderBisection } from "../inspector/bisect-report.ts";
import type { RunOptions } from "./arguments.ts";
import { UsageError } from "./error.ts";
import { exitCode } from "./options.ts";
import { bootImages } from "./run.ts";
import { guestSymbols } from "./symbols.ts";

/** Errors: `UsageError`, `BootError`. */
export async function bisectKernel(options: RunOptions): Promise<number> {
  const images = bootImages("bisect", options);
  const { disable, against, after, timeout } = options;
  const names = { subject: describeOptimisations(disable), reference: describeOptimisations(against) };
  if (names.subject === names.reference) throw new UsageError(`--opt and --against both are "${names.subject}": give two that differ`);
  const seconds = Math.min(timeout ?? Number.POSITIVE_INFINITY, after?.seconds ?? Number.POSITIVE_INFINITY);
  const result = bisect({
    machine: { ...images, memory: options.memory, x87: options.x87 },
    subject: disable,
    reference: against,
    seconds,
    ...(after?.instructions === undefined ? {} : { instructions: after.instructions }),
    progress: (text) => process.stderr.write(`xlat86: ${text}\n`),
  });
  process.stdout.write(renderBisection(result, { ...names, symbols: guestSymbols(options, images.kernel) }));
  return result.parting === undefined ? exitCode.success : exitCode.different;
}
