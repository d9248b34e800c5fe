// How fetching shows on standard error: one redrawn line on a terminal, a line for each new stage elsewhere (a log file does not want carriage returns).

import type { FetchProgress } from "./debian.ts";

const BAR_WIDTH = 30;

interface ProgressOutput {
  isTTY?: boolean;
  write(text: string): unknown;
}

/** A function for `FetchOptions.onProgress` that draws on `output`; `what` is being fetched. */
export function progressBar(output: ProgressOutput, what = "the Debian guest"): (progress: FetchProgress) => void {
  let lastMessage = "";
  return ({ fraction, message }) => {
    if (output.isTTY) {
      const filled = Math.round(fraction * BAR_WIDTH);
      const bar = "#".repeat(filled).padEnd(BAR_WIDTH, ".");
      const percent = `${Math.round(fraction * 100)}`.padStart(3);
      output.write(`\r[${bar}] ${percent}%  ${message}\x1b[K${fraction >= 1 ? "\n" : ""}`);
    } else if (message !== lastMessage) {
      output.write(`fetching ${what}: ${message}\n`);
    }
    lastMessage = message;
  };
}
