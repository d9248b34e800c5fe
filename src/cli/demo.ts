/** `xlat86 demo`: the embedded guest. At a terminal it ends in a prompt, elsewhere it powers off by itself. */
import { demoImage } from "../demo/image.ts";
import type { RunOptions } from "./arguments.ts";
import { runAtTerminal, withDrives } from "./run.ts";

export function runDemo(options: RunOptions): Promise<number> {
  const isInteractive = process.stdin.isTTY === true && options.serial.kind === "stdio";
  const kernel = { name: "demo", bytes: demoImage() };
  return withDrives([], options, (_, guidance) => runAtTerminal({ kernel, append: isInteractive ? "interactive" : "" }, options, guidance, true));
}
