/**
 * The Content-Security-Policy that the page needs (docs/web.md explains each line). The translator's output becomes code by `new Function`, which is what 'unsafe-eval'
 * allows; only the machine's worker does that. A worker is under the policy that comes with its own script, so the page itself goes without.
 */
const common = ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"];

export const pagePolicy: string = [
  ...common,
  "script-src 'self'",
  "worker-src 'self'",
  // xterm.js measures its font and colours its cells with style elements and attributes.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
].join("; ");

/**
 * Of a page whose machine is in the process that serves it: no worker, and no code from text anywhere. `host` is the request's, checked before: not all browsers take 'self'
 * for the WebSocket as well.
 */
export const remotePagePolicy = (host: string): string =>
  [...common, "script-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:", `connect-src 'self' ws://${host} wss://${host}`].join(
    "; ",
  );

const workerPolicy: string = [
  ...common,
  "script-src 'self' 'unsafe-eval'",
  // The worker that it begins itself.
  "worker-src 'self'",
  // Images by address may be anywhere.
  "connect-src 'self' http: https:",
].join("; ");

/** Of the worker that makes regions: WebAssembly, and nothing of text. */
const regionWorkerPolicy: string = [...common, "script-src 'self' 'wasm-unsafe-eval'"].join("; ");

/** By the paths of the scripts that make code; all else is served with the page's policy. */
export const workerPolicies: ReadonlyMap<string, string> = new Map([
  ["/worker.js", workerPolicy],
  ["/region-worker.js", regionWorkerPolicy],
]);
