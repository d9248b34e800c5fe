/** Promises for something that appears while a guest runs: text on its screen or on its serial line. */
import { MachineError } from "./options.ts";

export interface WaitOptions {
  /** Host seconds; 60 if not told. */
  readonly timeout?: number;
}

export interface PatternWaiter<T> {
  /** What is waited for, for the message. */
  readonly what: string;
  /** The result, once it is there. */
  check(): T | undefined;
  /** What there is instead, for the message. */
  describe(): string;
}

interface Pending {
  check(): void;
  fail(why: string): void;
}

const defaultTimeout = 60;

export class Waiters {
  readonly #pending = new Set<Pending>();
  #isClosed = false;

  get size(): number {
    return this.#pending.size;
  }

  /** Errors: `MachineError` after the timeout, or when the run ends first. */
  wait<T>(waiter: PatternWaiter<T>, { timeout = defaultTimeout }: WaitOptions): Promise<T> {
    const there = waiter.check();
    if (there !== undefined) return Promise.resolve(there);
    if (this.#isClosed) return Promise.reject(new MachineError(`waited for ${waiter.what}, but the machine is destroyed; ${waiter.describe()}`));
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#pending.delete(pending);
      };
      const pending: Pending = {
        check() {
          const found = waiter.check();
          if (found === undefined) return;
          settle();
          resolve(found);
        },
        fail(why) {
          settle();
          reject(new MachineError(`waited for ${waiter.what}, but ${why}; ${waiter.describe()}`));
        },
      };
      const timer = setTimeout(() => pending.fail(`it did not appear within ${timeout} s`), Math.min(timeout * 1000, 2 ** 31 - 1));
      this.#pending.add(pending);
    });
  }

  check(): void {
    for (const pending of [...this.#pending]) pending.check();
  }

  /** Nothing will ever appear again. */
  close(): void {
    this.#isClosed = true;
  }

  /** What has not appeared by now will not. */
  end(why: string): void {
    for (const pending of [...this.#pending]) pending.fail(why);
  }
}
