/**
 * Branch hints in WebAssembly (a finished proposal, on by default in Chrome 137, Firefox 148 and Safari 16; see translator/wasm/encoder.ts): V8 13.6, which is Node 24's, has them
 * behind a flag. The flag only lets V8 read a section that other modules do not have. A tenth to a sixth of the time of guest code hangs on it.
 */

/** What is used of Node's process and its module `v8`. */
interface NodeProcess {
  readonly versions?: { readonly v8?: string };
  getBuiltinModule?(name: "node:v8"): { setFlagsFromString(flags: string): void } | undefined;
}

/** Versions of V8 that have the flag, and not yet the feature: a flag that is not known would be complained about. */
const first = 11;
const last = 13.6;

/** Has the host read hints, if it must be told. */
export function allowBranchHints(): void {
  const { process } = globalThis as { process?: NodeProcess };
  const version = Number.parseFloat(process?.versions?.v8 ?? "");
  if (version >= first && version <= last) process?.getBuiltinModule?.("node:v8")?.setFlagsFromString("--experimental-wasm-branch-hinting");
}
