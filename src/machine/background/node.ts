/** What is used of Node's modules, where there is Node. Nothing is imported: the same code is loaded in browsers. */
import type { WorkerData } from "./worker-data.ts";

export interface NodeWorker {
  on(event: "error", listener: (error: Error) => void): void;
  unref(): void;
  terminate(): Promise<number>;
}

/** An end of a channel between threads, as Node has it. */
export interface NodePort {
  postMessage(message: unknown): void;
  on<Message>(event: "message", listener: (message: Message) => void): void;
  close(): void;
}

export interface WorkerThreads {
  readonly MessageChannel: new () => { readonly port1: NodePort; readonly port2: NodePort };
  readonly Worker: new (script: URL, options: { workerData: WorkerData; transferList: readonly unknown[]; name: string }) => NodeWorker;
  readonly workerData: WorkerData | undefined;
  receiveMessageOnPort<Message>(port: NodePort): { readonly message: Message } | undefined;
}

interface OperatingSystem {
  availableParallelism(): number;
  setPriority(id: number, niceness: number): void;
}

interface NodeProcess {
  readonly platform: string;
  getBuiltinModule?(name: string): unknown;
}

const { process } = globalThis as { process?: NodeProcess };

export const workerThreads = process?.getBuiltinModule?.("node:worker_threads") as WorkerThreads | undefined;

/** Whether the host has a core that the guest leaves idle. */
export function hasSpareCore(): boolean {
  const os = process?.getBuiltinModule?.("node:os") as OperatingSystem | undefined;
  const { navigator } = globalThis as { navigator?: { readonly hardwareConcurrency?: number } };
  return (os?.availableParallelism() ?? navigator?.hardwareConcurrency ?? 1) > 1;
}

/** Lets other threads go first, where that can be said of a thread: only Linux takes 0 for the thread, to others it is the process. */
export function yieldToOthers(niceness: number): void {
  const os = process?.getBuiltinModule?.("node:os") as OperatingSystem | undefined;
  if (process?.platform === "linux") os?.setPriority(0, niceness);
}
