// The work done inside Linux. Each workload is a shell script and the files it reads; its last line of output is the result. The amount of work is fixed, and
// what must come out is computed here by other means (JavaScript's arithmetic, Node's crypto), not by any of the peers.

import { createCipheriv, createHash, createPublicKey, createSign, generateKeyPairSync, verify } from "node:crypto";
import { opensslSeconds, opensslSpeeds, rsaSeconds, rsaSpeeds, SPEED_SIZES, sevenZipSeconds, sevenZipSpeeds } from "./self-measured.ts";

export interface Workload {
  name: string;
  what: string;
  /** For /bin/sh (dash), in a directory of its files. */
  script: string;
  files?: Record<string, string>;
  /** The result; a function judges one that varies. */
  expected: string | ((result: string) => boolean);
  /** Seconds of work, from a result that tells; the time between the markers when absent. */
  seconds?: (result: string) => number;
  /** How long a program that works for a fixed time does so by the guest's clock, seconds: a guest whose clock runs at another speed than the host's is told. */
  lasts?: number;
  /** Not among those that the mean is taken of: more of the same programs, with a table of its own. */
  more?: true;
}

/** The data file of several workloads: words in random order, which compress to about a third. */
export const TEXT_FILE = "text";
const TEXT_BYTES = 6_000_000;
export const KEY_FILE = "key.pem";

/** Numerical Recipes' linear congruential generator: the same data everywhere. */
function* randomNumbers(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 8;
  }
}

export function benchText(): Uint8Array {
  const random = randomNumbers(1);
  const next = () => random.next().value as number;
  const syllables = ["ba", "ce", "di", "fo", "gu", "han", "jer", "kil", "lom", "nus", "pra", "que", "rit", "sto", "tru", "ver", "xi", "zen"];
  const words = Array.from({ length: 2000 }, () => Array.from({ length: 1 + (next() % 4) }, () => syllables[next() % syllables.length]).join(""));
  const parts: string[] = [];
  for (let length = 0, column = 0; length < TEXT_BYTES; ) {
    // The smaller of two draws: some words are frequent, most are rare.
    const word = words[Math.min(next() % words.length, next() % words.length)];
    column += word.length + 1;
    const end = column > 72 ? "\n" : " ";
    if (end === "\n") column = 0;
    parts.push(word, end);
    length += word.length + 1;
  }
  return Buffer.from(parts.join("")).subarray(0, TEXT_BYTES);
}

/** A private key for the signing workload, in PEM; kept in the guest cache, so that runs repeat. */
export function newSigningKey(): string {
  return generateKeyPairSync("rsa", { modulusLength: RSA_BITS }).privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}

const hexOf = (algorithm: string, data: Uint8Array) => createHash(algorithm).update(data).digest("hex");

const PYTHON_ROUNDS = 400_000;
const PYTHON_KEYS = 4096;
const pythonLoop: Workload = {
  name: "python-loop",
  what: `Python: ${PYTHON_ROUNDS} rounds of a loop with arithmetic and a dict`,
  script: "python3 -I -S loop.py",
  files: {
    "loop.py": `
def work(rounds):
    counts = {}
    total = 1
    for i in range(rounds):
        total = (total * 31 + i) % 1000003
        key = total % ${PYTHON_KEYS}
        counts[key] = counts.get(key, 0) + 1
    return total, len(counts), sum(k * v for k, v in counts.items())
print(*work(${PYTHON_ROUNDS}))
`,
  },
  expected: expectedOfPython(),
};

function expectedOfPython(): string {
  const counts = new Map<number, number>();
  let total = 1;
  for (let i = 0; i < PYTHON_ROUNDS; i++) {
    total = (total * 31 + i) % 1000003;
    const key = total % PYTHON_KEYS;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return `${total} ${counts.size} ${[...counts].reduce((sum, [key, count]) => sum + key * count, 0)}`;
}

const PERL_ROUNDS = 100_000;
const PERL_KEYS = 5000;
const perlHash: Workload = {
  name: "perl-hash",
  what: `Perl: ${PERL_ROUNDS} rounds of a hash of strings, sort and join`,
  script: "perl hash.pl",
  files: {
    "hash.pl": `
my (%h, $x);
$x = 1;
for my $i (1 .. ${PERL_ROUNDS}) {
  $x = ($x * 16807) % 2147483647;
  $h{"k" . ($x % ${PERL_KEYS})} .= chr(97 + $x % 26);
}
my $all = join(",", map { "$_=$h{$_}" } sort keys %h);
print scalar(keys %h), " ", length($all), " ", unpack("%32C*", $all), "\\n";
`,
  },
  expected: expectedOfPerl(),
};

function expectedOfPerl(): string {
  const table = new Map<string, string>();
  let x = 1;
  for (let i = 0; i < PERL_ROUNDS; i++) {
    x = (x * 16807) % 2147483647;
    const key = `k${x % PERL_KEYS}`;
    table.set(key, (table.get(key) ?? "") + String.fromCharCode(97 + (x % 26)));
  }
  const all = [...table]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
  const sum = [...Buffer.from(all)].reduce((total, byte) => total + byte, 0);
  return `${table.size} ${all.length} ${sum}`;
}

const PIPELINES = 100;
const pipelines: Workload = {
  name: "pipelines",
  what: `${PIPELINES} pipelines of three programs, by fork and exec`,
  script: `i=0
while [ $i -lt ${PIPELINES} ]; do
  i=$((i + 1))
  echo "line $i of the input" | tr a-z A-Z | cut -d ' ' -f 1,2 | cat
done > out
sha256sum < out`,
  expected: `${hexOf("sha256", Buffer.from(Array.from({ length: PIPELINES }, (_, i) => `LINE ${i + 1}\n`).join("")))}  -`,
};

const AES_KEY = "000102030405060708090a0b0c0d0e0f";
const AES_IV = "f0e0d0c0b0a090807060504030201000";
const RSA_BITS = 2048;
const SIGNATURES = 6;
const SHA_ROUNDS = 4;

/**
 * `openssl speed` of one algorithm, a second by the wall clock for each size of block or operation. It says so when a signature that it made does not verify; what
 * the same code of digests and ciphers computes is checked by openssl-sha256 and openssl-aes.
 */
const opensslSpeed = (algorithm: string) => `openssl speed -elapsed -seconds 1 ${algorithm} > log 2>&1
busybox grep -i fail log || busybox tail -n 1 log`;

/** Dictionary of 2^18 bytes, one thread, one pass over the methods. */
const SEVEN_ZIP_BENCH = "7zz b -mmt1 -md18 -mtime=0 1";

/** All workloads, for this text and signing key. */
export function userlandWorkloads(text: Uint8Array, key: string): Workload[] {
  const sha256 = hexOf("sha256", text);
  const many = Buffer.concat(Array.from({ length: SHA_ROUNDS }, () => text));
  const encrypt = createCipheriv("aes-128-cbc", Buffer.from(AES_KEY, "hex"), Buffer.from(AES_IV, "hex"));
  const encrypted = Buffer.concat([encrypt.update(text), encrypt.final()]);
  const signature = createSign("sha256").update(text.subarray(0, 1000)).sign(key);
  if (!verify("sha256", text.subarray(0, 1000), createPublicKey(key), signature))
    throw new Error("the signing key does not verify its own signature");
  return [
    pythonLoop,
    perlHash,
    {
      name: "gzip-sha256",
      what: `gzip, gunzip and sha256sum of ${TEXT_BYTES / 1e6} MB`,
      script: `gzip -nc ${TEXT_FILE} > text.gz\ngunzip -c text.gz | sha256sum`,
      expected: `${sha256}  -`,
    },
    pipelines,
    ...Object.entries({ "speed-sha256": "sha256", "speed-aes": "aes-128-cbc" }).map(
      ([name, algorithm]): Workload => ({
        name,
        what: `openssl speed ${algorithm}: seconds for 100 MB, geometric mean of its ${SPEED_SIZES} sizes of blocks, by its own clock`,
        script: opensslSpeed(algorithm),
        expected: (result) => opensslSpeeds(result) !== null,
        seconds: opensslSeconds,
        lasts: SPEED_SIZES,
      }),
    ),
    {
      name: "speed-rsa",
      what: `openssl speed rsa${RSA_BITS}: seconds for 100 signatures and 100 verifications, by its own clock`,
      script: opensslSpeed(`rsa${RSA_BITS}`),
      expected: (result) => rsaSpeeds(result) !== null,
      seconds: rsaSeconds,
      lasts: 2,
    },
    {
      name: "7zz-bench",
      what: "7zz b, a dictionary of 2^18 bytes and one thread: seconds for 1 MiB compressed and 4 MiB decompressed, by its own clock",
      // It checks the data it decompresses, and fails when they are not what it compressed.
      script: `${SEVEN_ZIP_BENCH} > log 2>&1 && busybox grep Avr: log || busybox tail -n 1 log`,
      expected: (result) => sevenZipSpeeds(result) !== null,
      seconds: sevenZipSeconds,
    },
    {
      name: "openssl-sha256",
      what: `openssl dgst -sha256 of ${(SHA_ROUNDS * TEXT_BYTES) / 1e6} MB`,
      script: `cat${` ${TEXT_FILE}`.repeat(SHA_ROUNDS)} | openssl dgst -sha256 -r`,
      expected: `${hexOf("sha256", many)} *stdin`,
      more: true,
    },
    {
      name: "openssl-aes",
      what: `openssl enc -aes-128-cbc of ${TEXT_BYTES / 1e6} MB, and md5sum`,
      script: `openssl enc -aes-128-cbc -K ${AES_KEY} -iv ${AES_IV} -in ${TEXT_FILE} | md5sum`,
      expected: `${hexOf("md5", encrypted)}  -`,
      more: true,
    },
    {
      name: "openssl-rsa",
      what: `${SIGNATURES} signatures with RSA of ${RSA_BITS} bits`,
      script: `head -c 1000 ${TEXT_FILE} > signed
i=0
while [ $i -lt ${SIGNATURES} ]; do
  i=$((i + 1))
  openssl dgst -sha256 -sign ${KEY_FILE} signed > signature
done
sha256sum < signature`,
      expected: `${hexOf("sha256", signature)}  -`,
      more: true,
    },
    {
      name: "7zz-lzma",
      what: `7zz a (LZMA2) of 1 MB and 7zz t`,
      script: `head -c 1000000 ${TEXT_FILE} > part
rm -f part.7z
7zz a -mx=5 -md=18 -mmt=1 part.7z part > log || cat log
7zz x -so part.7z | sha256sum`,
      expected: `${hexOf("sha256", text.subarray(0, 1_000_000))}  -`,
      more: true,
    },
  ];
}

export const WORKLOAD_NAMES = [
  "python-loop",
  "perl-hash",
  "gzip-sha256",
  "pipelines",
  "speed-sha256",
  "speed-aes",
  "speed-rsa",
  "7zz-bench",
  "openssl-sha256",
  "openssl-aes",
  "openssl-rsa",
  "7zz-lzma",
] as const;
