/** Outputs must not be what the guest is made of, nor each other: a slip in the names would cost a disk. */
import type { RunOptions } from "./arguments.ts";
import { UsageError } from "./error.ts";
import { fileIdentity } from "./files.ts";

/** Errors: `UsageError`. */
export function refuseOverwriting(options: RunOptions): void {
  const seen = new Map<string, string>();
  const note = (option: string, path: string | undefined): void => {
    const identity = path === undefined ? undefined : fileIdentity(path);
    if (identity !== undefined && !seen.has(identity)) seen.set(identity, option);
  };
  for (const { option, path } of options.drives) note(option, path);
  for (const name of ["kernel", "initrd", "bios"] as const) note(`--${name} ${options[name]}`, options[name]);
  note(`--vga-bios ${options.vgaBios}`, options.vgaBios);
  for (const module of options.modules) {
    note(`--module ${module}`, module);
    note(`--module ${module}`, module.split(" ")[0]);
  }
  for (const path of options.symbols) note(`--symbols ${path}`, path);

  const { serial, screenshot, screenText, debugFile, profile } = options;
  const outputs = [
    ["serial", serial.kind === "file" ? serial.path : undefined],
    ["screenshot", screenshot],
    ["screen-text", screenText],
    ["debug-file", debugFile],
    ["profile", profile],
  ] as const;
  const paths = new Map<string, string>();
  for (const [name, path] of outputs) {
    if (path === undefined) continue;
    const option = `--${name} ${path}`;
    // Of two outputs that are not there yet, only the names can be compared.
    const identity = fileIdentity(path) ?? path;
    const other = seen.get(identity) ?? paths.get(identity);
    if (other !== undefined) throw new UsageError(`${option}: ${other} is the same file, and would be written over; choose another path`);
    paths.set(identity, option);
  }
}
