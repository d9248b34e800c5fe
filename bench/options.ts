// The command line of `npm run bench`.

export interface BenchOptions {
  /** Names of kernels, or "linux"; null for all. */
  only: string[] | null;
  /** Names of peers; null for all. */
  peers: string[] | null;
  /** Processes for each kernel and peer; the median counts. */
  runs: number;
  /** Passes in one process for a peer that warms up. */
  passes: number;
  timeoutSeconds: number;
  /** File for the results as JSON, or null. */
  json: string | null;
}

export class BenchUsageError extends Error {
  override name = "BenchUsageError";
}

export const USAGE = `npm run bench -- [options]
  --only NAME,...    these kernels ("linux" is the Linux boot)
  --peers NAME,...   these peers (xlat86, v86, xlat86-tier0, v86-nojit, qemu, native)
  --runs N           processes for each kernel and peer, the median counts (3)
  --passes N         passes in a process for peers that warm up (8)
  --quick            one run, four passes
  --timeout SECONDS  limit for one process (180)
  --json FILE        also write everything measured`;

const DEFAULTS: BenchOptions = { only: null, peers: null, runs: 3, passes: 8, timeoutSeconds: 180, json: null };

type Setter = (options: BenchOptions, value: string) => void;

function positiveInteger(name: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new BenchUsageError(`${name}: expected a whole number above 0, found "${value}"`);
  return number;
}

const SETTERS: Record<string, Setter> = {
  "--only": (options, value) => {
    options.only = value.split(",");
  },
  "--peers": (options, value) => {
    options.peers = value.split(",");
  },
  "--runs": (options, value) => {
    options.runs = positiveInteger("--runs", value);
  },
  "--passes": (options, value) => {
    options.passes = positiveInteger("--passes", value);
  },
  "--timeout": (options, value) => {
    options.timeoutSeconds = positiveInteger("--timeout", value);
  },
  "--json": (options, value) => {
    options.json = value;
  },
};

/** Errors: `BenchUsageError`. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const options = { ...DEFAULTS };
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--quick") {
      options.runs = 1;
      options.passes = 4;
      continue;
    }
    const setter = SETTERS[args[i]];
    if (!setter) throw new BenchUsageError(`unknown option ${args[i]}\n${USAGE}`);
    if (i + 1 >= args.length) throw new BenchUsageError(`${args[i]} needs a value\n${USAGE}`);
    setter(options, args[++i]);
  }
  return options;
}
