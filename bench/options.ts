// The command line of `npm run bench`.

export interface BenchOptions {
  /** Names of suites and of their parts; null for the kernels and the Linux boot. */
  only: string[] | null;
  /** Names of peers; null for those each suite is meant for. */
  peers: string[] | null;
  /** Processes for each guest and peer; the median counts. Null: each suite's own number. */
  runs: number | null;
  /** Passes in one process for a peer that warms up. */
  passes: number;
  /** Limit for one process; null: each suite's own. */
  timeoutSeconds: number | null;
  /** How long the guest runs whose memory is watched; null: each suite's own time. */
  minutes: number | null;
  /** A short form of everything, to see whether it works at all: its times mean nothing. */
  quick: boolean;
  /** File for the results as JSON, or null. */
  json: string | null;
}

export class BenchUsageError extends Error {
  override name = "BenchUsageError";
}

export const USAGE = `npm run bench -- [options]
  --only NAME,...    what to run; the kernels and the Linux boot when absent
    kernels            each by its name too: sieve, crc32, sha256, ...
    linux              Debian's kernel from the start of the process to the first line of userland
    userland           Debian's python3, perl, gzip, coreutils, openssl and 7zip inside Linux, each workload twice;
                       one alone: userland/python-loop, userland/perl-hash, ...
    nano               single operations of a kernel of our own, ns each; one alone: nano/int80, nano/page-fault, ...
    scaling            scaling/hot: ns for one instruction as more distinct ones are hot, 1,000 to 1,000,000;
                       scaling/memory: resident memory as a guest runs; scaling/machines: 1 to 8 machines in one process
    memory             whether the process stays as large as it is while a guest goes on: FLAT or GROWS
    16-bit             16-bit/real/NAME, 16-bit/protected16/NAME: kernels in 16-bit code, in real mode and in protected mode
    guests             boot loaders, memtest86+, iPXE, Debian's installer from media to a text on the screen; one alone: guests/ipxe, ...
                       guests/disk: Debian on a disk, over IDE and virtio: the time to its prompt, and reading and writing in it
    all                everything
  --peers NAME,...   these peers (xlat86, v86, xlat86-tier0, v86-nojit, qemu, native); userland, nano and scaling
                     are meant for xlat86, v86 and qemu
  --runs N           processes for each guest and peer, the median counts (kernels and Linux boot 3, others 1)
  --passes N         passes in a process for peers that warm up (kernels: 64; 16-bit: 16 at most)
  --minutes N        how long memory (10) and scaling/memory (1) watch a guest
  --quick            a short form of everything: shows what is broken, its times mean nothing
  --timeout SECONDS  limit for one process (180; userland 480)
  --json FILE        also write everything measured

Needed: Debian's apt-get and dpkg-deb for linux, userland, memory and scaling/memory (fetched once, into .cache/guests or
$XLAT86_CACHE/guests), qemu-system-i386 and gcc -m32 for the peers qemu and native. What is missing is said and left out.`;

const DEFAULTS: BenchOptions = { only: null, peers: null, runs: null, passes: 64, timeoutSeconds: null, minutes: null, quick: false, json: null };
const QUICK: Partial<BenchOptions> = { quick: true, runs: 1, passes: 4 };

type Setter = (options: BenchOptions, value: string) => void;

function positiveInteger(name: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new BenchUsageError(`${name}: expected a whole number above 0, found "${value}"`);
  return number;
}

function positiveNumber(name: string, value: string): number {
  const number = Number(value);
  if (!Number.isFinite(number) || number <= 0) throw new BenchUsageError(`${name}: expected a number above 0, found "${value}"`);
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
  "--minutes": (options, value) => {
    options.minutes = positiveNumber("--minutes", value);
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
      Object.assign(options, QUICK);
      continue;
    }
    const setter = SETTERS[args[i]];
    if (!setter) throw new BenchUsageError(`unknown option ${args[i]}\n${USAGE}`);
    if (i + 1 >= args.length) throw new BenchUsageError(`${args[i]} needs a value\n${USAGE}`);
    setter(options, args[++i]);
  }
  return options;
}
