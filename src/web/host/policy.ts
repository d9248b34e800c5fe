/**
 * The Content-Security-Policy that the page needs (docs/web.md explains each line). The translator's output becomes code by `new Function`, which is what 'unsafe-eval'
 * allows; only the worker does that. A worker is under the policy that comes with its own script, so the page itself goes without.
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

export const workerPolicy: string = [
  ...common,
  "script-src 'self' 'unsafe-eval'",
  // Images by address may be anywhere.
  "connect-src 'self' http: https:",
].join("; ");
