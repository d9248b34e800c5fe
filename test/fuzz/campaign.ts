/** Runs cases in a child process under a watchdog: a hang or a crash of the child is a failure of the case it was at, and the rest goes on. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Totals, WorkerLine, WorkerRequest } from "./worker.ts";

export interface CampaignOptions {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  readonly instructions?: number;
  /** Host seconds in one case after which it counts as hung. */
  readonly hangSeconds?: number;
  /** A case that is made to hang, to test the watchdog. */
  readonly hangAt?: number;
  /** Told of everything as it happens. */
  readonly line?: (line: WorkerLine) => void;
}

export interface CampaignResult {
  readonly failures: readonly { readonly number: number; readonly message: string }[];
  readonly digests: ReadonlyMap<number, string>;
  /** Bytes in use after garbage collection, with the machines of the moment and without any. */
  readonly memory: readonly { readonly live: number; readonly released: number }[];
  readonly ends: Readonly<Record<string, number>>;
  readonly totals: Totals;
}

const workerPath = fileURLToPath(new URL("./worker.ts", import.meta.url));
const defaultHangSeconds = 60;
/** Two orders of magnitude above what a case takes, so that a busy host does not matter. */
const processorLimit = 6_000_000;

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const failures: { number: number; message: string }[] = [];
  const digests = new Map<number, string>();
  const memory: { live: number; released: number }[] = [];
  const ends: Record<string, number> = {};
  const totals: Totals = { instructions: 0, faults: 0, interrupts: 0, regions: 0 };
  const folder = mkdtempSync(join(tmpdir(), "xlat86-fuzz-"));
  const progressFile = join(folder, "case");
  const take = (line: WorkerLine): void => {
    options.line?.(line);
    if (line.kind === "failure") failures.push({ number: line.number, message: line.message });
    else if (line.kind === "memory") memory.push({ live: line.live, released: line.released });
    else if (line.kind === "digest") digests.set(line.number, line.digest);
    else if (line.kind === "totals") {
      for (const [end, count] of Object.entries(line.ends)) ends[end] = (ends[end] ?? 0) + count;
      for (const name of ["instructions", "faults", "interrupts", "regions"] as const) totals[name] += line.totals[name];
    }
  };
  try {
    for (let from = options.from; from < options.to; ) {
      const request: WorkerRequest = {
        seed: options.seed,
        from,
        to: options.to,
        instructions: options.instructions ?? 20_000,
        processorLimit,
        progressFile,
        hangAt: options.hangAt ?? -1,
      };
      const stopped = await runChild(request, options.hangSeconds ?? defaultHangSeconds, take);
      if (stopped === undefined) break;
      take({ kind: "failure", number: stopped.number, message: stopped.message });
      from = stopped.number + 1;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return { failures, digests, memory, ends, totals };
}

function runChild(
  request: WorkerRequest,
  hangSeconds: number,
  take: (line: WorkerLine) => void,
): Promise<{ number: number; message: string } | undefined> {
  const child = spawn(process.execPath, ["--expose-gc", "--max-old-space-size=1500", workerPath, JSON.stringify(request)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  let errors = "";
  let done = false;
  let hung = false;
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (chunk: string) => {
    const lines = (text + chunk).split("\n");
    text = lines.pop() as string;
    for (const line of lines) {
      const parsed = JSON.parse(line) as WorkerLine;
      if (parsed.kind === "done") done = true;
      take(parsed);
    }
  });
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (chunk: string) => {
    errors = (errors + chunk).slice(-4000);
  });
  let seen = -1;
  let since = performance.now();
  const watchdog = setInterval(() => {
    const now = currentCase(request);
    if (now !== seen) {
      seen = now;
      since = performance.now();
    } else if (performance.now() - since > hangSeconds * 1000) {
      hung = true;
      child.kill("SIGKILL");
    }
  }, 250);
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      clearInterval(watchdog);
      if (done && code === 0) return resolve(undefined);
      const number = Math.max(currentCase(request), request.from);
      if (done) return resolve({ number: request.to - 1, message: `the process ended with code ${code} after its last case: ${errors}` });
      resolve({ number, message: hung ? `hangs: no end after ${hangSeconds} s` : `the process died (${code ?? signal}): ${errors}` });
    });
  });
}

function currentCase(request: WorkerRequest): number {
  try {
    return readFileSync(request.progressFile).readInt32LE(0);
  } catch {
    return request.from;
  }
}
