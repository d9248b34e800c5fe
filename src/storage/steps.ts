/**
 * Work that is synchronous as long as nothing has to wait. Formats are written once, as generators that yield the promises they have to wait for; over files and
 * memory they yield none and `run` returns the result at once, over HTTP and dropped files it returns a promise.
 */
export type Steps<T> = Generator<Promise<unknown>, T, void>;

export type Settling<T> = T | Promise<T>;

export function run<T>(steps: Steps<T>): Settling<T> {
  const first = steps.next();
  return first.done ? first.value : finish(steps, first.value);
}

async function finish<T>(steps: Steps<T>, first: Promise<unknown>): Promise<T> {
  let pending = first;
  for (;;) {
    let failure: { readonly reason: unknown } | undefined;
    try {
      await pending;
    } catch (reason) {
      failure = { reason };
    }
    const step = failure ? steps.throw(failure.reason) : steps.next();
    if (step.done) return step.value;
    pending = step.value;
  }
}

/** One operation after the other: an operation that comes while another waits for the host starts when that has ended, well or badly. */
export class Serial {
  private last: Promise<void> | undefined;

  run<T>(start: () => Steps<T>): Settling<T> {
    if (this.last) return this.enqueue(this.last.then(() => run(start())));
    const result = run(start());
    return result instanceof Promise ? this.enqueue(result) : result;
  }

  private enqueue<T>(result: Promise<T>): Promise<T> {
    const ended: Promise<void> = result
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        if (this.last === ended) this.last = undefined;
      });
    this.last = ended;
    return result;
  }
}
