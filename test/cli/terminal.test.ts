import { describe, expect, it } from "vitest";
import { EscapeFilter } from "../../src/cli/terminal.ts";

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

describe("Ctrl-A", () => {
  const feed = (...chunks: string[]) => {
    const filter = new EscapeFilter();
    const all = chunks.map((c) => filter.filter(bytes(c)));
    return { data: all.map((r) => String.fromCharCode(...r.data)).join(""), commands: all.flatMap((r) => r.commands) };
  };

  it("passes everything else", () => expect(feed("a\x03\x1b[A\r\xff")).toEqual({ data: "a\x03\x1b[A\r\xff", commands: [] }));
  it("X leaves, in either case and across chunks", () => {
    expect(feed("ls\x01x")).toEqual({ data: "ls", commands: ["leave"] });
    expect(feed("ls\x01", "Xq")).toEqual({ data: "lsq", commands: ["leave"] });
  });
  it("twice sends one", () => expect(feed("\x01\x01x")).toEqual({ data: "\x01x", commands: [] }));
  it("H lists", () => expect(feed("\x01h")).toEqual({ data: "", commands: ["help"] }));
  it("before anything else stands for itself", () => expect(feed("\x01b")).toEqual({ data: "\x01b", commands: [] }));
});
