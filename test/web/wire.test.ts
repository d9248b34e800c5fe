/** Messages over a WebSocket, and the parts of frames. */
import { describe, expect, it } from "vitest";
import type { FromHost, ToHost } from "../../src/web/protocol.ts";
import { changedParts, gather } from "../../src/web/session/frame-parts.ts";
import { decodeFromHost, decodeToHost, encodeFromHost, encodeToHost } from "../../src/web/wire.ts";

/** What a browser's WebSocket hands over. */
const received = (data: string | Uint8Array): string | ArrayBuffer => (typeof data === "string" ? data : (data.slice().buffer as ArrayBuffer));

describe("messages of a host", () => {
  it.each<FromHost>([
    { kind: "ready", name: "a disk, “quoted”" },
    { kind: "state", state: "running", hasDisplay: true },
    { kind: "serial", bytes: Uint8Array.of(0, 255, 27, 10) },
    { kind: "serial", bytes: new Uint8Array(0) },
    {
      kind: "frame",
      width: 2,
      height: 1,
      mode: "text",
      parts: [{ x: 0, y: 0, width: 2, height: 1 }],
      buffer: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer,
    },
    { kind: "screenshot", png: Uint8Array.of(0x89, 0x50) },
    { kind: "media", drives: [{ place: "fda", kind: "floppy" }] },
  ])("arrive as they were: $kind", (message) => {
    expect(decodeFromHost(received(encodeFromHost(message)))).toEqual(message);
  });

  it("carry bytes that are a part of something larger", () => {
    const bytes = Uint8Array.of(1, 2, 3, 4, 5).subarray(1, 3);
    expect(decodeFromHost(received(encodeFromHost({ kind: "serial", bytes })))).toEqual({ kind: "serial", bytes: Uint8Array.of(2, 3) });
  });
});

describe("messages of a page", () => {
  it.each<ToHost>([
    { kind: "pause" },
    { kind: "key", code: "KeyA", isDown: true },
    { kind: "chord", codes: ["ControlLeft", "KeyC"] },
    { kind: "type", text: "\u0000é" },
    { kind: "mouseMove", dx: -3, dy: 0, notches: 1 },
    { kind: "insert", place: "hdc", source: { kind: "url", url: "https://example.org/x.iso" } },
    { kind: "insert", place: "fda", source: { kind: "upload", name: "x", id: "0" } },
    { kind: "eject", place: "hdc", force: false },
  ])("arrive as they were: $kind", (message) => {
    expect(decodeToHost(encodeToHost(message))).toEqual(message);
  });

  it("leave behind the buffer that only a worker takes back", () => {
    expect(decodeToHost(encodeToHost({ kind: "frameDrawn", buffer: new ArrayBuffer(8) }))).toEqual({ kind: "frameDrawn" });
  });

  it.each([
    "",
    "null",
    "7",
    "[]",
    "{",
    "{}",
    '{"kind":"constructor"}',
    '{"kind":"__proto__"}',
    '{"kind":["pause"]}',
    '{"kind":"key","code":"KeyA"}',
    '{"kind":"key","code":7,"isDown":true}',
    '{"kind":"chord","codes":"Enter"}',
    `{"kind":"chord","codes":${JSON.stringify(Array(17).fill("KeyA"))}}`,
    '{"kind":"mouseMove","dx":null,"dy":0,"notches":0}',
    '{"kind":"mouseMove","dx":1e999,"dy":0,"notches":0}',
    '{"kind":"mouseButton","button":"fourth","isDown":true}',
    '{"kind":"eject","place":"virtio","force":false}',
    '{"kind":"insert","place":"fda","source":null}',
    '{"kind":"insert","place":"fda","source":{"kind":"stored","name":"x"}}',
    '{"kind":"insert","place":"fda","source":{"kind":"file","path":"/etc/passwd"}}',
    // A machine elsewhere is not the page's to make.
    '{"kind":"switchOn","setup":{"name":"x","kernel":"demo","drives":[],"memory":67108864}}',
  ])("are refused when they are none: %s", (text) => {
    expect(decodeToHost(text)).toBeUndefined();
  });
});

describe("the parts of a frame that have changed", () => {
  const [width, height] = [50, 70];
  const apply = (before: Uint32Array, after: Uint32Array) => {
    const parts = changedParts(before, after, width, height);
    const pixels = new Uint32Array(gather(after, width, parts));
    const shown = before.slice();
    let at = 0;
    for (const part of parts) {
      for (let y = part.y; y < part.y + part.height; y++) {
        for (let x = part.x; x < part.x + part.width; x++) shown[y * width + x] = pixels[at++]!;
      }
    }
    expect(at).toBe(pixels.length);
    return { parts, shown };
  };

  it("are none where nothing has", () => {
    const frame = new Uint32Array(width * height).fill(7);
    expect(changedParts(frame, frame.slice(), width, height)).toEqual([]);
  });

  it("are one pixel's columns, in a band of lines", () => {
    const before = new Uint32Array(width * height);
    const after = before.slice();
    after[69 * width + 49] = 1;
    after[0] = 1;
    const { parts, shown } = apply(before, after);
    expect(parts).toEqual([
      { x: 0, y: 0, width: 1, height: 16 },
      { x: 49, y: 64, width: 1, height: 6 },
    ]);
    expect(shown).toEqual(after);
  });

  it("are one where all of it has", () => {
    const before = new Uint32Array(width * height);
    expect(
      apply(
        before,
        before.map(() => 1),
      ).parts,
    ).toEqual([{ x: 0, y: 0, width, height }]);
  });

  it("make the new frame of the old one, whatever changes", () => {
    let seed = 1;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    let before = new Uint32Array(width * height);
    for (let round = 0; round < 200; round++) {
      const after = before.slice();
      for (let k = random(12); k > 0; k--) after[random(after.length)] = random(4);
      expect(apply(before, after).shown).toEqual(after);
      before = after;
    }
  });
});
