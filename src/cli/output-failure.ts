/** Standard output that takes nothing any more. Node would throw where nobody can catch it. */
import { reason } from "./files.ts";
import { exitCode } from "./options.ts";

/** What a shell says of a program that a closed pipe has ended. */
const brokenPipe = 128 + 13;

/** The exit code, and what to say: nothing of a reader that has seen enough (`| head`). */
export function outputFailure(error: NodeJS.ErrnoException): { readonly code: number; readonly message?: string } {
  return error.code === "EPIPE" ? { code: brokenPipe } : { code: exitCode.usage, message: `standard output: ${reason(error)}` };
}

/** For the whole process: one line at the first failure, and its exit code, unless the command has one of its own. */
export function watchOutputs(): { readonly code: number | undefined } {
  const seen: { code: number | undefined } = { code: undefined };
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (seen.code !== undefined) return;
    const { code, message } = outputFailure(error);
    seen.code = code;
    process.exitCode = code;
    if (message !== undefined) process.stderr.write(`xlat86: ${message}\n`);
  });
  // Of this one nobody can be told.
  process.stderr.on("error", () => {});
  return seen;
}
