// A guest driven over its serial line, as a person at a terminal would: wait for some text, type, wait for more.

import { createMachine, type ExitInfo, type Machine, type MachineOptions } from "../../src/index.ts";

interface Waiter {
  text: string;
  from: number;
  found: (end: number) => void;
}

export class SerialSession {
  readonly machine: Machine;
  output = "";
  private readonly waiters = new Set<Waiter>();
  private readonly decoder = new TextDecoder("latin1");
  private read = 0;
  private readonly ended: Promise<ExitInfo>;

  constructor(options: MachineOptions, timeoutSeconds: number) {
    this.machine = createMachine(options);
    this.machine.on("serial", (bytes) => this.receive(bytes));
    this.ended = this.machine.run({ timeout: timeoutSeconds });
  }

  /** Waits until `text` appears after what was waited for before; returns what came before it. Rejects when the run ends without it. */
  async expect(text: string): Promise<string> {
    const from = this.read;
    let waiter: Waiter | undefined;
    const appeared = new Promise<number>((found) => {
      waiter = { text, from, found };
      this.waiters.add(waiter);
      this.check(waiter);
    });
    const end = await Promise.race([
      appeared,
      this.ended.then((exit): number => {
        const at = this.output.indexOf(text, from);
        if (at >= 0) return at + text.length;
        throw new Error(`the run ended (${exit.reason}) before ${JSON.stringify(text)} appeared; the guest printed:\n${this.output.slice(-3000)}`);
      }),
    ]).finally(() => {
      if (waiter) this.waiters.delete(waiter);
    });
    this.read = end;
    return this.output.slice(from, end - text.length);
  }

  type(text: string): void {
    this.machine.serial.write(text);
  }

  /** Waits for the end of the run. */
  exit(): Promise<ExitInfo> {
    return this.ended;
  }

  private receive(bytes: Uint8Array): void {
    this.output += this.decoder.decode(bytes, { stream: true });
    for (const waiter of [...this.waiters]) this.check(waiter);
  }

  private check(waiter: Waiter): void {
    const at = this.output.indexOf(waiter.text, waiter.from);
    if (at >= 0) waiter.found(at + waiter.text.length);
  }
}
