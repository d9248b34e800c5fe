/**
 * The host's event loop, in Node and browsers alike: giving it a turn between slices of guest time, and sleeping while the guest
 * is halted until a deadline or until something happens.
 */

interface TimerScope {
  setImmediate?: (callback: () => void) => unknown;
}

/** One turn of the host's event loop: input, timers and rendering get their chance. Much shorter than setTimeout(0), which browsers clamp to 4 ms. */
export function hostTurn(): Promise<void> {
  const { setImmediate } = globalThis as TimerScope;
  if (setImmediate) return new Promise((resolve) => void setImmediate(resolve));
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(0);
  });
}

/** Sleep that can be cut short. */
export class Sleeper {
  #wake: (() => void) | undefined;
  #pending = false;

  /** Resolves after `milliseconds` (Infinity: never by itself) or at the next `wake`, also one that came just before. */
  sleep(milliseconds: number): Promise<void> {
    if (this.#pending) {
      this.#pending = false;
      return hostTurn();
    }
    return new Promise((resolve) => {
      // setTimeout takes 31 bits. A sleep with no end still holds a timer, so that the host does not take the program for finished.
      const timer = setTimeout(() => this.#wake?.(), Math.min(milliseconds, 2 ** 31 - 1));
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }

  wakeIfAsleep(): void {
    this.#wake?.();
  }

  wake(): void {
    if (this.#wake) this.#wake();
    else this.#pending = true;
  }
}
