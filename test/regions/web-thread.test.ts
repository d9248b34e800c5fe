/** The thread that makes regions as browsers have it: a worker that messages go to and come from, and nothing else. Its two ends over a channel of this process. */
import { availableParallelism } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RegionAnswer, RegionJob } from "../../runtime/code/region-thread.ts";
import { BackgroundThread } from "../../src/machine/background/thread.ts";
import { webThread } from "../../src/machine/background/web-channel.ts";
import type { FromRegionWorker, ToRegionWorker } from "../../src/machine/background/web-messages.ts";
import { serveRegions } from "../../src/machine/background/web-service.ts";
import { createMachine } from "../../src/machine/machine.ts";
import { MachineError } from "../../src/machine/options.ts";
import type { RegionWorker, RegionWorkerEvent } from "../../src/machine/region-worker.ts";
import { usualRequest } from "../../src/machine/tier-request.ts";
import { linearCode, mode } from "../../translator/contract/mode-key.ts";
import type { RegionSnapshot } from "../../translator/contract/region-snapshot.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { hotLoops, say } from "../api/kernels.ts";

/** A worker whose two ends are here. */
class ChannelWorker implements RegionWorker {
  readonly failures: unknown[] = [];
  readonly posted: ToRegionWorker[] = [];
  readonly answered: FromRegionWorker[] = [];
  isTerminated = false;
  private readonly channel = new MessageChannel();
  private readonly listeners = new Map<string, (event: RegionWorkerEvent) => void>();
  /** Errors that did not go on to the program that began it. */
  prevented = 0;

  constructor() {
    const { port1, port2 } = this.channel;
    port1.onmessage = ({ data }: MessageEvent<FromRegionWorker>) => {
      this.answered.push(data);
      this.tell("message", data);
    };
    serveRegions(port2 as unknown as Parameters<typeof serveRegions>[0], (error) => {
      this.failures.push(error);
      this.tell("error");
    });
  }

  tell(type: "message" | "messageerror" | "error", data?: unknown): void {
    const preventDefault = (): void => {
      this.prevented++;
    };
    if (!this.isTerminated) this.listeners.get(type)?.({ data, preventDefault });
  }

  postMessage(message: ToRegionWorker): void {
    this.posted.push(message);
    this.channel.port1.postMessage(message);
  }

  addEventListener(type: string, listener: (event: RegionWorkerEvent) => void): void {
    this.listeners.set(type, listener);
  }

  terminate(): void {
    this.isTerminated = true;
    this.channel.port1.close();
    this.channel.port2.close();
  }
}

const { layout } = usualRequest();
const snapshot = increments(3);
let worker: ChannelWorker;
let thread: BackgroundThread;

/** The region of so many times INC EAX, and RET. */
function increments(count: number): RegionSnapshot {
  const bytes = new Uint8Array(0x1000);
  bytes.fill(0x40, 0, count).fill(0xc3, count, count + 1);
  const made = new JavaScriptTranslator().snapshot({
    page: (k) => (k === 0 ? { bytes, address: 0x40000 } : undefined),
    ...{ entry: 0, mode: linearCode | mode.stack32 | mode.protected, followsCalls: true, hotCall: 1, name: "f_40000", base: 0x40000 },
    ...{ heat: () => 1000, word: () => undefined, segmentBase: () => 0 },
  });
  if (made === undefined) throw new Error("no snapshot");
  return made;
}

const job = (id: number, of = snapshot): RegionJob => ({ id, snapshot: of, links: 5000 });

/** The test's own limit of time is the one there is. */
async function eventually(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Takes so many answers. */
async function take(count: number): Promise<RegionAnswer[]> {
  const answers: RegionAnswer[] = [];
  await eventually(() => {
    for (let answer = thread.receive(); answer !== undefined; answer = thread.receive()) answers.push(answer);
    return answers.length >= count;
  });
  return answers;
}

/** Makes it begin. */
async function begin(): Promise<void> {
  for (let k = 0; k < 8; k++) thread.madeHere(layout);
  await eventually(() => thread.state !== "absent");
}

async function becomeReady(): Promise<void> {
  await begin();
  for (let k = 0; k < 4; k++) {
    thread.send(job(0));
    await take(1);
  }
}

beforeEach(() => {
  thread = new BackgroundThread(
    { disabled: [], x87: "exact" },
    webThread(() => {
      worker = new ChannelWorker();
      return worker;
    }),
  );
});
afterEach(() => thread.close());

describe("a browser's worker that makes regions", () => {
  it("is begun after some regions, learns, and makes what it is sent", async () => {
    for (let k = 0; k < 7; k++) thread.madeHere(layout);
    expect(thread.state).toBe("absent");
    await begin();
    expect(thread.state).toBe("learning");
    await becomeReady();
    expect(thread.state).toBe("ready");
    thread.send(job(77));
    const [answer] = await take(1);
    expect(answer.id).toBe(77);
    expect(answer.made?.module).toBeInstanceOf(WebAssembly.Module);
    expect(answer.made?.facts.instructions).toBe(4);
  });

  it("does jobs that wait together, four at most", async () => {
    await becomeReady();
    const before = worker.answered.length;
    for (let id = 1; id <= 6; id++) thread.send(job(id, increments(id + 2)));
    const answers = await take(6);
    expect(answers.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(worker.answered.slice(before).map((message) => (message.kind === "answers" ? message.answers.length : 0))).toEqual([4, 2]);
    const modules = answers.map(({ made }) => made?.module);
    expect(new Set(modules).size).toBe(2);
    expect(new Set(answers.slice(0, 4).map(({ made }) => made?.name)).size).toBe(4);
  });

  it("does not make what nobody waits for any more", async () => {
    await becomeReady();
    for (let id = 1; id <= 3; id++) thread.send(job(id));
    thread.forget(2);
    expect((await take(2)).map(({ id }) => id)).toEqual([1, 3]);
  });

  it("is absent once it has had an error, and is ended", async () => {
    await becomeReady();
    thread.send(job(5, {} as RegionSnapshot));
    await eventually(() => thread.state === "absent");
    expect(worker.failures.length).toBe(1);
    expect(worker.prevented).toBe(1);
    expect(worker.isTerminated).toBe(true);
    thread.send(job(6));
    thread.forget(6);
    expect(thread.receive()).toBe(undefined);
  });

  it("or has answered with what does not arrive", async () => {
    await becomeReady();
    worker.tell("messageerror");
    expect(thread.state).toBe("absent");
    expect(worker.isTerminated).toBe(true);
  });

  it("stays absent where none can be begun", () => {
    const without = new BackgroundThread(
      { disabled: [], x87: "exact" },
      webThread(() => {
        throw new ReferenceError("Worker is not defined");
      }),
    );
    for (let k = 0; k < 20; k++) without.madeHere(layout);
    expect(without.state).toBe("absent");
    expect(without.receive()).toBe(undefined);
  });

  it("ends with the machine, and no other is begun", async () => {
    await becomeReady();
    thread.close();
    expect(worker.isTerminated).toBe(true);
    expect(thread.state).toBe("absent");
    const ended = worker;
    for (let k = 0; k < 20; k++) thread.madeHere(layout);
    expect(worker).toBe(ended);
  });
});

/** Without another core the machine begins no worker. */
const hasTwoCores = availableParallelism() > 1;

describe("the machine's option", () => {
  it.runIf(hasTwoCores)("has regions made beside the guest, until the worker ends with the machine", { timeout: 60_000 }, async () => {
    let begun = 0;
    const machine = createMachine({
      kernel: hotLoops(40),
      memory: 8 << 20,
      regionWorker: () => {
        begun++;
        worker = new ChannelWorker();
        return worker;
      },
    });
    while (machine.stats().backgroundRegions < 5) await machine.run({ timeout: 0.1 });
    const { regions, backgroundRegions, backgroundSeconds } = machine.stats();
    expect(regions).toBeGreaterThanOrEqual(backgroundRegions + 8);
    expect(backgroundSeconds).toBeGreaterThan(0);
    expect(begun).toBe(1);
    machine.destroy();
    expect(worker.isTerminated).toBe(true);
  });

  it.runIf(hasTwoCores)("is worth nothing where the worker dies: the guest goes on", { timeout: 60_000 }, async () => {
    const machine = createMachine({
      kernel: hotLoops(40),
      memory: 8 << 20,
      regionWorker: () => {
        worker = new ChannelWorker();
        return worker;
      },
    });
    while (machine.stats().backgroundRegions < 1) await machine.run({ timeout: 0.02 });
    worker.tell("error");
    // What had come before is not lost.
    await machine.run({ timeout: 0.1 });
    const { backgroundRegions } = machine.stats();
    while (machine.stats().regions < 38) await machine.run({ timeout: 0.1 });
    expect(machine.stats().backgroundRegions).toBe(backgroundRegions);
    machine.destroy();
  });

  it("is a function", () => {
    const regionWorker = "region-worker.js" as unknown as () => RegionWorker;
    expect(() => createMachine({ kernel: say("", 0), regionWorker })).toThrow(MachineError);
  });

  it("takes the worker of a browser", () => {
    // The compiler says so; nothing is run.
    const options: Parameters<typeof createMachine>[0] = { regionWorker: () => new Worker("region-worker.js", { type: "module" }) };
    expect(options.regionWorker).toBeTypeOf("function");
  });
});
