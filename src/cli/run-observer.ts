/** What is watched beside the guest when `--profile` or `--stats` ask for it. */
import { GuestTrace, guestProfile } from "../inspector/profile.ts";
import type { Symbols } from "../inspector/symbols.ts";
import type { GuestImage } from "../machine/options.ts";
import type { RunOptions } from "./arguments.ts";
import { UsageError } from "./error.ts";
import { Output } from "./files.ts";
import { HostProfiler } from "./host-time.ts";
import type { HostTime } from "./stats.ts";
import { guestSymbols } from "./symbols.ts";

export class RunObserver {
  readonly #wantsTime: boolean;
  readonly #file: Output | undefined;
  readonly #symbols: Symbols | undefined;
  readonly #trace: GuestTrace | undefined;
  #profiler: HostProfiler | undefined;

  /** Opens the files, so that a bad path is reported before the guest starts. Errors: `UsageError`. */
  constructor(options: RunOptions, kernel: GuestImage | undefined) {
    this.#wantsTime = options.profile !== undefined || options.stats !== "no";
    if (options.profile === undefined) {
      if (options.symbols.length > 0) throw new UsageError("--symbols needs --profile FILE, in which the names are shown");
      return;
    }
    this.#symbols = guestSymbols(options, kernel);
    this.#trace = new GuestTrace(() => performance.now());
    this.#file = Output.open("profile", options.profile);
  }

  /** For the machine; undefined if nobody wants to know. */
  get sampler(): GuestTrace | undefined {
    return this.#trace;
  }

  start(): void {
    if (this.#wantsTime) this.#profiler = new HostProfiler();
  }

  /** Writes the profile. */
  async stop(): Promise<HostTime | undefined> {
    if (this.#profiler === undefined) return undefined;
    const { profile, started, time } = await this.#profiler.stop();
    if (this.#trace !== undefined && this.#file !== undefined && this.#symbols !== undefined) {
      const request = { host: profile, guest: this.#trace, started, symbols: this.#symbols };
      this.#file.write(JSON.stringify(guestProfile(request)));
    }
    return time;
  }

  close(): void {
    this.#file?.close();
  }
}
