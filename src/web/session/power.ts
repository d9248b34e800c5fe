/** The switches of one machine: it runs, is paused, goes on and begins anew as the pages say, until its guest ends or its host wants it to stop. */
import type { Machine, RunControl } from "../../machine/machine.ts";
import type { ExitInfo } from "../../machine/types.ts";
import type { PowerState } from "../protocol.ts";

export class Power {
  private readonly machine: Machine;
  private readonly changed: (state: PowerState, why?: string) => void;
  private current: PowerState = "starting";
  private wanted: "running" | "paused" = "running";
  private wantsReset = false;
  private isStopped = false;
  /** The machine's pause was asked for here, and not by somebody else. */
  private hasAsked = false;
  private wake: (() => void) | undefined;

  /** @param changed told of every change of state; `why` is for the person */
  constructor(machine: Machine, changed: (state: PowerState, why?: string) => void) {
    this.machine = machine;
    this.changed = changed;
  }

  get state(): PowerState {
    return this.current;
  }

  /**
   * Runs until the guest ends, the time is over, or `stop` is called, which gives reason "paused" like a pause that was asked for elsewhere. `timeout` counts while the
   * guest is paused, too. Errors: as for `Machine.run`.
   */
  async run({ timeout }: Pick<RunControl, "timeout"> = {}): Promise<ExitInfo> {
    const end = timeout === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeout * 1000;
    for (;;) {
      if (this.isStopped) return { reason: "paused" };
      const left = Math.max(0, end - performance.now());
      if (this.wantsReset) {
        this.wantsReset = false;
        this.machine.reset();
      } else if (this.wanted === "paused") {
        this.set("paused");
        if (!(await this.isWoken(left))) return this.ended({ reason: "timeout" });
        continue;
      }
      this.hasAsked = false;
      this.set("running");
      const exit = await this.machine.run(timeout === undefined ? {} : { timeout: left / 1000 });
      if (exit.reason !== "paused" || !this.hasAsked) return this.ended(exit);
    }
  }

  pause(): void {
    this.wanted = "paused";
    this.interrupt();
  }

  resume(): void {
    this.wanted = "running";
    this.wake?.();
  }

  reset(): void {
    this.wanted = "running";
    this.wantsReset = true;
    this.interrupt();
    this.wake?.();
  }

  /** Makes `run` return. */
  stop(): void {
    this.isStopped = true;
    this.interrupt();
    this.wake?.();
  }

  /** The run is over by an error: it can be tried from the beginning. */
  failed(why: string): void {
    this.set("ended", why);
  }

  /** Nothing runs any more and nothing will. */
  off(why?: string): void {
    this.set("off", why);
  }

  private interrupt(): void {
    this.hasAsked = true;
    this.machine.pause();
  }

  private ended(exit: ExitInfo): ExitInfo {
    if (exit.reason !== "paused" && exit.reason !== "destroyed") this.set("ended", describeEnd(exit));
    return exit;
  }

  /** False: the time was over before anybody asked for something. */
  private async isWoken(milliseconds: number): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const woken = await new Promise<boolean>((resolve) => {
      this.wake = () => resolve(true);
      // A timer in any case: it tells Node that the program goes on.
      timer = setTimeout(() => resolve(milliseconds === Number.POSITIVE_INFINITY), Math.min(milliseconds, 2 ** 31 - 1));
    });
    clearTimeout(timer);
    this.wake = undefined;
    return woken;
  }

  private set(state: PowerState, why?: string): void {
    if (state === this.current && why === undefined) return;
    this.current = state;
    this.changed(state, why);
  }
}

export function describeEnd(exit: ExitInfo): string {
  switch (exit.reason) {
    case "power-off":
      return "the guest powered off";
    case "reset":
      return "the guest asked for a reset";
    case "debug-exit":
      return `the guest ended with the value ${exit.value}`;
    case "triple-fault":
      return "triple fault: an exception while delivering a double fault";
    case "timeout":
      return "the time it was given is over";
    default:
      return exit.reason;
  }
}
