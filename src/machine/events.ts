/** A small typed event emitter: the same in Node and browsers. */
export type Listener<T> = (value: T) => void;

export class Events<Map extends object> {
  readonly #listeners = new globalThis.Map<keyof Map, Set<Listener<never>>>();

  on<K extends keyof Map>(name: K, listener: Listener<Map[K]>): void {
    const set = this.#listeners.get(name) ?? new Set();
    set.add(listener as Listener<never>);
    this.#listeners.set(name, set);
  }

  off<K extends keyof Map>(name: K, listener: Listener<Map[K]>): void {
    this.#listeners.get(name)?.delete(listener as Listener<never>);
  }

  emit<K extends keyof Map>(name: K, value: Map[K]): void {
    // A copy: a listener may remove itself, or another.
    for (const listener of [...(this.#listeners.get(name) ?? [])]) (listener as Listener<Map[K]>)(value);
  }

  has(name: keyof Map): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  clear(): void {
    this.#listeners.clear();
  }
}
