/** What the process spends its time on while a guest runs: V8's CPU profiler, in the process itself, and the operating system's account of its threads. */
import { Session } from "node:inspector";
import { type CpuProfile, timeShares, without } from "../inspector/profile.ts";
import type { HostTime } from "./stats.ts";

/** Microseconds between two samples. A thousand a second cost the guest two percent or so. */
const interval = 1000;

/** Node 24 tells the main thread's CPU time from the others'. */
type ThreadUsage = { threadCpuUsage?: () => NodeJS.CpuUsage };

const seconds = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1e6;

function otherThreads(): number {
  const { threadCpuUsage } = process as ThreadUsage;
  return threadCpuUsage === undefined ? 0 : seconds(process.cpuUsage()) - seconds(threadCpuUsage.call(process));
}

export class HostProfiler {
  readonly #session = new Session();
  readonly #otherThreads = otherThreads();
  /** `performance.now()` when it began; milliseconds that beginning took. */
  readonly #began = performance.now();
  readonly #beginning: number;

  constructor() {
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.setSamplingInterval", { interval });
    this.#session.post("Profiler.start");
    this.#beginning = performance.now() - this.#began;
  }

  /** `started`: `performance.now()` where the profile begins. */
  async stop(): Promise<{ profile: CpuProfile; started: number; time: HostTime }> {
    const threads = otherThreads() - this.#otherThreads;
    const whole = await new Promise<CpuProfile>((resolve, reject) => {
      this.#session.post("Profiler.stop", (error, result) => {
        this.#session.disconnect();
        if (error) reject(error);
        else resolve(result.profile);
      });
    });
    const profile = without(whole, this.#beginning);
    const started = this.#began + (profile.startTime - whole.startTime) / 1000;
    return { profile, started, time: { parts: timeShares(profile), otherThreads: threads } };
  }
}
