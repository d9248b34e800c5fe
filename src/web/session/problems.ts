/** What people are told of an error: the message where it was written for them, and never a stack. */
const forPeople = new Set(["StorageError", "BootError", "MachineError"]);

export function describeProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (forPeople.has(error.name)) return error.message;
  if (error.name === "EvalError") {
    return "this page's Content-Security-Policy forbids what the translator does: its worker needs script-src 'unsafe-eval' (docs/web.md)";
  }
  if (error.name === "RangeError" && /alloc|buffer|memory/i.test(error.message))
    return "the browser gives this page no more memory: choose less for the machine";
  return `an error inside xlat86, which should be reported: ${error.message}`;
}
