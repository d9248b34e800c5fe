/** What machines of the usual kind ask of tier 0: told by one that is made to be asked. */
import { Cpu, type CpuBoard } from "../../runtime/cpu/cpu.ts";
import { Dispatcher } from "../../runtime/execute/dispatcher.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import type { TierRequest } from "../../translator/contract/wasm.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";

class Recorder extends JavaScriptTranslator {
  request: TierRequest | undefined;

  override prepared(request: TierRequest): undefined {
    this.request = request;
  }
}

export function usualRequest(): TierRequest {
  const board: CpuBoard = {
    physical: new PhysicalMemory(1 << 16),
    ports: { read: () => -1, write() {} },
    clock: { now: () => 0, counter: () => 0, timer: () => ({ at() {}, cancel() {}, deadline: Number.POSITIVE_INFINITY }) },
    interrupts: { pending: false, acknowledge: () => 0 },
    tscPerNanosecond: 1,
    setFerr() {},
  };
  const recorder = new Recorder();
  new Dispatcher(new Cpu(board), recorder, { poll() {} });
  if (recorder.request === undefined) throw new Error("tier 0 is not WebAssembly here");
  return recorder.request;
}
