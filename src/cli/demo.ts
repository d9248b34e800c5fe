/** `xlat86 demo`: the embedded guest. At a terminal it ends in a prompt, elsewhere it powers off by itself. */
import { demoImage } from "../demo/image.ts";
import type { RunOptions } from "./arguments.ts";
import { runAtTerminal } from "./run.ts";

export function runDemo(options: RunOptions): Promise<number> {
  const isInteractive = process.stdin.isTTY === true && options.serial.kind === "stdio";
  const kernel = { name: "demo", bytes: demoImage() };
  return runAtTerminal({ kernel, append: isInteractive ? "interactive" : "" }, options, { summary: true });
}
