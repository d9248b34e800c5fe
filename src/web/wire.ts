/**
 * Messages over a WebSocket. One without bytes is JSON in a text message. One with bytes (pixels, serial output, a PNG file) is a binary message: the length of its JSON in
 * 32 bits, little-endian, the JSON, and the bytes of the field that the JSON names. What a page says is checked field by field: the other end of a socket is not the
 * compiler's business.
 */
import type { DrivePlace, FromHost, MediumSource, MouseButtonName, ToHost } from "./protocol.ts";

const lengthSize = 4;
/** The JSON's name for the field whose bytes follow; and whether it is a typed array. */
interface Envelope {
  readonly message: object;
  readonly field: string;
  readonly isArray: boolean;
}

export function encodeFromHost(message: FromHost): string | Uint8Array {
  const found = Object.entries(message).find(([, value]) => value instanceof ArrayBuffer || value instanceof Uint8Array);
  if (found === undefined) return JSON.stringify(message);
  const [field, value] = found as [string, ArrayBuffer | Uint8Array];
  const bytes = value instanceof Uint8Array ? value : new Uint8Array(value);
  const envelope: Envelope = { message: { ...message, [field]: undefined }, field, isArray: value instanceof Uint8Array };
  const head = new TextEncoder().encode(JSON.stringify(envelope));
  const whole = new Uint8Array(lengthSize + head.length + bytes.length);
  new DataView(whole.buffer).setUint32(0, head.length, true);
  whole.set(head, lengthSize);
  whole.set(bytes, lengthSize + head.length);
  return whole;
}

export function decodeFromHost(data: string | ArrayBuffer): FromHost {
  if (typeof data === "string") return JSON.parse(data) as FromHost;
  const start = lengthSize + new DataView(data).getUint32(0, true);
  const { message, field, isArray } = JSON.parse(new TextDecoder().decode(new Uint8Array(data, lengthSize, start - lengthSize))) as Envelope;
  const bytes = data.slice(start);
  return { ...message, [field]: isArray ? new Uint8Array(bytes) : bytes } as unknown as FromHost;
}

/** Errors: none; a file or a setup, which no process but the page's own can be given, is a mistake of the caller's. */
export function encodeToHost(message: ToHost): string {
  if (message.kind === "frameDrawn") return JSON.stringify({ kind: message.kind });
  return JSON.stringify(message);
}

// ---- what pages say, checked ----

type Check = (value: unknown) => boolean;
type Fields<K extends ToHost["kind"]> = Omit<Extract<ToHost, { kind: K }>, "kind" | "buffer">;
type Checks = { readonly [K in ToHost["kind"]]?: { readonly [F in keyof Fields<K>]: Check } };

const text: Check = (value) => typeof value === "string";
const flag: Check = (value) => typeof value === "boolean";
const number: Check = (value) => typeof value === "number" && Number.isFinite(value);
const oneOf = (names: readonly string[]): Check => {
  return (value) => typeof value === "string" && names.includes(value);
};
const places: readonly DrivePlace[] = ["hda", "hdb", "hdc", "hdd", "fda", "fdb"];
const buttons: readonly MouseButtonName[] = ["left", "middle", "right"];
const mostKeys = 16;

/** Files and stored disks are the browser's own: over a socket come addresses and what was sent before. */
const source: Check = (value) => {
  const { kind, url, name, id } = (value ?? {}) as Partial<Record<"kind" | "url" | "name" | "id", unknown>>;
  return (
    (kind === ("url" satisfies MediumSource["kind"]) && text(url)) || (kind === ("upload" satisfies MediumSource["kind"]) && text(name) && text(id))
  );
};

/** The messages that come over a socket. Switching on is the host's own affair there. */
const checks: Checks = {
  pause: {},
  resume: {},
  reset: {},
  switchOff: {},
  flush: {},
  serial: { text },
  key: { code: text, isDown: flag },
  chord: { codes: (value) => Array.isArray(value) && value.length <= mostKeys && value.every(text) },
  type: { text },
  mouseMove: { dx: number, dy: number, notches: number },
  mouseButton: { button: oneOf(buttons), isDown: flag },
  frameDrawn: {},
  serialShown: {},
  watchTranslator: { isWatched: flag },
  inspect: { address: number },
  screenshot: {},
  insert: { place: oneOf(places), source },
  eject: { place: oneOf(places), force: flag },
};

/** What a page said; undefined if it is none of the messages that come over a socket. */
export function decodeToHost(data: string): ToHost | undefined {
  let message: unknown;
  try {
    message = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (typeof message !== "object" || message === null) return undefined;
  const fields = message as Record<string, unknown>;
  const { kind } = fields;
  if (typeof kind !== "string" || !Object.hasOwn(checks, kind)) return undefined;
  const rows = Object.entries(checks[kind as ToHost["kind"]] ?? {}) as [string, Check][];
  return rows.every(([name, check]) => check(fields[name])) ? (message as ToHost) : undefined;
}
