/** Regions made on another thread: what the runtime sends there, and what comes back. All of it is plain data. */
import type { RegionSnapshot } from "../../translator/contract/region-snapshot.ts";
import type { RegionFacts } from "../../translator/contract/translator.ts";
import type { WasmImport, WasmLayout } from "../../translator/contract/wasm.ts";

export interface RegionJob {
  readonly id: number;
  readonly snapshot: RegionSnapshot;
  /** Index of the first of its links in the code array. */
  readonly links: number;
}

export interface RegionAnswer {
  readonly id: number;
  /** Absent: it cannot be made there, for it is nothing for WebAssembly, or too large. */
  readonly made?: {
    readonly facts: RegionFacts;
    /** Others may be in it, too: this one is exported as `name`. */
    readonly module: WebAssembly.Module;
    readonly imports: readonly WasmImport[];
    readonly name: string;
  };
  /** Host time of that thread that it took. */
  readonly milliseconds: number;
}

/** Answers come in any order, and when the thread dies not at all. */
export interface RegionThread {
  /**
   * `absent`: takes no jobs, for it was not begun yet, or died; the guest's thread makes its regions. `learning`: those it makes are sent here as well, for code that runs for the first
   * time takes ten times as long; answers to them mean nothing. `ready`: makes regions.
   */
  readonly state: "absent" | "learning" | "ready";
  /** A region was made on the guest's thread. @param layout what code is made for, always the same */
  madeHere(layout: WasmLayout): void;
  send(job: RegionJob): void;
  /** Nobody waits for that job any more: if it was not begun, it is not to be. */
  forget(id: number): void;
  /** An answer that has come. Called very often. */
  receive(): RegionAnswer | undefined;
}
