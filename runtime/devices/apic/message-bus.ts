/**
 * The bus between interrupt sources and local APICs (SDM vol. 3, 11.1: the system bus, or the three-wire bus of a P6). What travels on it are
 * interrupt messages, from I/O APICs, from processors (IPIs) and from devices that write to FEExxxxxh (MSI), and the EOI broadcasts that go back. A
 * machine has one of these and an instance of `LocalApic` for each processor. Nothing waits on it: a message is delivered in the call that sends it,
 * so it has no state to save.
 */

/** SDM vol. 3, figure 11-12; the other values are reserved. */
export const deliveryMode = { fixed: 0, lowestPriority: 1, smi: 2, nmi: 4, init: 5, startUp: 6, extInt: 7 } as const;

/** Physical destination that means every local APIC. */
export const broadcastDestination = 0xff;
/** Vectors below belong to exceptions. */
export const firstLegalVector = 16;

/** A local APIC. */
export interface MessageTarget {
  /** Whether a message's destination (physical id, or logical set) means this one. */
  isDestination(destination: number, logical: boolean): boolean;
  /** What lowest-priority arbitration compares. */
  arbitrationPriority(): number;
  /** False: not accepted. A level-triggered source tries again. */
  receive(mode: number, vector: number, levelTriggered: boolean): boolean;
}

/** An I/O APIC, which waits for the end of its level-triggered interrupts. */
export interface EndOfInterruptListener {
  endOfInterrupt(vector: number): void;
}

/** MSI address and data (SDM vol. 3, 11.11). */
const msi = { destinationShift: 12, logical: 1 << 2, levelTriggered: 1 << 15 } as const;

export class InterruptMessageBus {
  private readonly targets: MessageTarget[] = [];
  private readonly listeners: EndOfInterruptListener[] = [];

  addTarget(target: MessageTarget): void {
    this.targets.push(target);
  }

  addListener(listener: EndOfInterruptListener): void {
    this.listeners.push(listener);
  }

  /** @returns whether anyone took the message */
  send(destination: number, logical: boolean, mode: number, vector: number, levelTriggered: boolean): boolean {
    if (mode === deliveryMode.lowestPriority) return this.arbitrate(destination, logical, vector, levelTriggered);
    let taken = false;
    for (const target of this.targets) {
      if (target.isDestination(destination, logical)) taken = target.receive(mode, vector, levelTriggered) || taken;
    }
    return taken;
  }

  /** An IPI to all processors, or to all but `except`. */
  sendToAll(except: MessageTarget | null, mode: number, vector: number): void {
    for (const target of this.targets) if (target !== except) target.receive(mode, vector, false);
  }

  /** A device's write of `data` to `address`, FEE00000h-FEEFFFFFh. */
  messageSignalled(address: number, data: number): void {
    const destination = (address >>> msi.destinationShift) & 0xff;
    this.send(destination, (address & msi.logical) !== 0, (data >>> 8) & 7, data & 0xff, (data & msi.levelTriggered) !== 0);
  }

  /** A local APIC's EOI of a level-triggered interrupt. */
  endOfInterrupt(vector: number): void {
    for (const listener of this.listeners) listener.endOfInterrupt(vector);
  }

  private arbitrate(destination: number, logical: boolean, vector: number, levelTriggered: boolean): boolean {
    let chosen: MessageTarget | undefined;
    let lowest = 0x100;
    for (const target of this.targets) {
      if (!target.isDestination(destination, logical)) continue;
      const priority = target.arbitrationPriority();
      if (priority >= lowest) continue;
      lowest = priority;
      chosen = target;
    }
    return chosen?.receive(deliveryMode.fixed, vector, levelTriggered) ?? false;
  }
}
