/** What a machine uses of the worker that `MachineOptions.regionWorker` begins: a browser's `Worker` has all that. */
export interface RegionWorker {
  postMessage(message: unknown): void;
  addEventListener(type: "message" | "messageerror" | "error", listener: (event: RegionWorkerEvent) => void): void;
  terminate(): void;
}

export interface RegionWorkerEvent {
  /** Of a message. */
  readonly data?: unknown;
  /** Keeps a worker's error from being one of the program that began it. */
  preventDefault(): void;
}
