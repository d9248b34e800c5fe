/** The worker's end of the protocol: messages become calls of the session, one after the other where they take time. */
import type { FromHost, ToHost } from "../protocol.ts";
import { describeProblem } from "../session/problems.ts";
import { WorkerSession } from "./session.ts";

/** DedicatedWorkerGlobalScope, which TypeScript knows in its types for workers only. */
interface WorkerScope {
  onmessage: ((event: { readonly data: ToHost }) => void) | null;
  postMessage(message: FromHost, transfer: readonly Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;

const session = new WorkerSession((message) => scope.postMessage(message, transferables(message)));

scope.onmessage = ({ data }) => {
  session.handle(data).catch((error: unknown) => scope.postMessage({ kind: "error", message: describeProblem(error) }, []));
};
scope.postMessage({ kind: "ready" }, []);

/** What is moved instead of copied. */
function transferables(message: FromHost): Transferable[] {
  if (message.kind === "frame") return [message.buffer];
  if (message.kind === "serial") return [message.bytes.buffer as ArrayBuffer];
  return [];
}
