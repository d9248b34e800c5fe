/** The page's way to its machine: a worker of its own (worker-host.ts), or a process of Node that has a machine already (remote-host.ts). */
import type { FromHost, MachineSetup, PowerState, ToHost } from "../protocol.ts";

export interface MachineHost {
  readonly state: PowerState;
  send(message: ToHost, transfer?: Transferable[]): void;
  switchOff(): Promise<void>;
  /** Switches off what runs, then this on. Absent where the machine is not the page's to make. */
  switchOn?(setup: MachineSetup): Promise<void>;
}

export type Receive = (message: FromHost) => void;
