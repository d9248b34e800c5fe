/** One worker from switching on to switching off, then a new one. */
import type { FromHost, MachineSetup, PowerState, ToHost } from "../protocol.ts";
import type { MachineHost, Receive } from "./machine-host.ts";

/** How long a machine may take to bring what was written to where it stays. */
const switchOffPatience = 10_000;

export class WorkerHost implements MachineHost {
  private readonly receive: Receive;
  private worker: Worker | undefined;
  private switching: Promise<void> = Promise.resolve();
  private whenOff: (() => void) | undefined;
  state: PowerState = "off";

  constructor(receive: Receive) {
    this.receive = receive;
  }

  switchOn(setup: MachineSetup): Promise<void> {
    this.switching = this.switching.then(async () => {
      await this.stop();
      this.start(setup);
    });
    return this.switching;
  }

  switchOff(): Promise<void> {
    this.switching = this.switching.then(() => this.stop());
    return this.switching;
  }

  send(message: ToHost, transfer: Transferable[] = []): void {
    this.worker?.postMessage(message, transfer);
  }

  private start(setup: MachineSetup): void {
    const worker = new Worker("worker.js", { type: "module", name: "xlat86" });
    this.worker = worker;
    worker.onmessage = ({ data }: MessageEvent<FromHost>) => {
      // What a worker said before it ended may arrive afterwards.
      if (this.worker !== worker) return;
      if (data.kind === "ready") this.send({ kind: "switchOn", setup });
      if (data.kind === "state") this.setState(data);
      this.receive(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      const message = event.message
        ? `an error inside xlat86, which should be reported: ${event.message}`
        : "the machine's script could not be loaded";
      this.receive({ kind: "error", message });
      this.setState({ state: "off" });
      this.receive({ kind: "state", state: "off", hasDisplay: false });
    };
  }

  private async stop(): Promise<void> {
    const { worker } = this;
    if (!worker) return;
    if (this.state !== "off") {
      const off = new Promise<void>((resolve) => {
        this.whenOff = resolve;
      });
      this.send({ kind: "switchOff" });
      const timer = setTimeout(() => {
        this.receive({ kind: "error", message: "the machine did not end in time; what its guest wrote last may be missing" });
        this.whenOff?.();
      }, switchOffPatience);
      await off;
      clearTimeout(timer);
    }
    worker.terminate();
    this.worker = undefined;
    this.state = "off";
  }

  private setState({ state }: { readonly state: PowerState }): void {
    this.state = state;
    if (state === "off") this.whenOff?.();
  }
}
