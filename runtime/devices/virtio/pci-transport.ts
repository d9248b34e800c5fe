/**
 * Virtio over PCI, modern devices only (Virtual I/O Device 1.2, section 4.1): a PCI function with vendor-specific capabilities that say where in its one
 * memory BAR the driver finds the common configuration, the notification area, the interrupt status and the device's configuration; firmware without access
 * to memory-mapped registers goes through the PCI configuration access capability instead.
 *
 * Interrupts are INTx. MSI-X would be one more capability and a vector for each queue; both vector registers say that there is none (section 4.1.5.1.2).
 * A notification starts a timer, and the device works when that expires, so that nothing happens within the guest's own access.
 */
import type { Clock, Line, RegisterBank, SavedState, Timer } from "../device.ts";
import { PciFunction, pciCommand, pciRegister } from "../pci-function.ts";
import type { BarWindow } from "../pci-window.ts";
import { restoreDeadline, savedDeadline } from "../saved.ts";
import { ringFeature, type VirtioDevice, type VirtioTransport } from "./device.ts";
import { type VirtioMemory, Virtqueue } from "./virtqueue.ts";

const redHat = 0x1af4;
/** Device ids of modern devices follow their type. */
const firstDeviceId = 0x1040;
/** As QEMU's: programs that look only for "virtio on a virtual machine" find it. */
const subsystem = 0x1100;
const modernRevision = 1;
const intxPin = 1;
const interruptDisable = 0x400;
const interruptStatus = 0x08;
const capabilityList = 0x10;

const bar = 4;
const barBytes = 0x4000;
/** Each area of the BAR has a page, so that a kernel can hand them out one by one. */
const area = { common: 0x0000, isr: 0x1000, device: 0x2000, notify: 0x3000 } as const;
const areaBytes = 0x1000;
const commonBytes = 0x40;
const notifyMultiplier = 4;

const capabilityId = 0x09;
const capability = {
  common: { at: 0x40, type: 1, bytes: 16 },
  notify: { at: 0x50, type: 2, bytes: 20 },
  isr: { at: 0x64, type: 3, bytes: 16 },
  device: { at: 0x74, type: 4, bytes: 16 },
  access: { at: 0x84, type: 5, bytes: 20 },
} as const;
const accessField = {
  bar: capability.access.at + 4,
  offset: capability.access.at + 8,
  length: capability.access.at + 12,
  data: capability.access.at + 16,
};

const status = { driver: 0x02, driverOk: 0x04, featuresOk: 0x08, needsReset: 0x40 } as const;
const isr = { queue: 1, configuration: 2 } as const;
const noVector = 0xffff;
const defaultLatency = 5_000;

export type VirtioPciOptions = {
  readonly clock: Clock;
  readonly memory: VirtioMemory;
  /** The interrupt pin INTA#. */
  readonly interrupt: Line;
  /** Places the BAR's registers. */
  readonly window: (bytes: number, registers: RegisterBank) => BarWindow;
  /** Nanoseconds from a notification to the device's work on it. */
  readonly latency?: number;
  /** Told why a driver must reset the device: for people who write drivers. */
  readonly complain?: (device: string, reason: string) => void;
};

/** A register of the common configuration: its place, and what reading and writing do. */
interface Field {
  readonly at: number;
  readonly bytes: 1 | 2 | 4;
  read(): number;
  write?(value: number): void;
}

export class VirtioPciFunction extends PciFunction implements VirtioTransport {
  readonly queues: readonly Virtqueue[];
  /** What the BAR shows. */
  readonly registers: RegisterBank;

  private readonly device: VirtioDevice;
  private readonly options: VirtioPciOptions;
  private readonly timer: Timer;
  private readonly offered = new Int32Array(2);
  private readonly accepts = new Int32Array(2);
  private readonly fields: readonly Field[];

  private deviceFeatureSelect = 0;
  private driverFeatureSelect = 0;
  private queueSelect = 0;
  private status = 0;
  private isr = 0;
  private generation = 0;
  /** A bit for each queue to notify the device of. */
  private notified = 0;

  constructor(device: VirtioDevice, options: VirtioPciOptions) {
    super(device.name, {
      ...{ vendor: redHat, device: firstDeviceId + device.type, revision: modernRevision, classCode: device.classCode },
      ...{ subsystemVendor: redHat, subsystem, interruptPin: intxPin },
    });
    this.device = device;
    this.options = options;
    this.queues = device.queueSizes.map((size) => new Virtqueue(options.memory, size));
    this.timer = options.clock.timer(() => this.work());
    for (const bit of [...device.features, ...Object.values(ringFeature)]) this.offered[bit >> 5] |= 1 << (bit & 31);
    this.fields = this.commonConfiguration();
    this.registers = {
      read: (offset, size) => this.readBar(offset, size),
      write: (offset, size, value) => this.writeBar(offset, size, value),
    };
    this.define(pciRegister.command, 2, 0, interruptDisable | pciCommand.master);
    this.define(pciRegister.status, 2, capabilityList);
    this.defineCapabilities();
    this.defineBar(bar, "memory", barBytes, { window: options.window(barBytes, this.registers) });
    device.attach(this);
  }

  // --- for the device

  accepted(feature: number): boolean {
    return (this.accepts[feature >> 5] & (1 << (feature & 31))) !== 0;
  }

  interrupt(queue: number): void {
    this.checkQueue(queue);
    if (this.works() && this.queues[queue].wantsInterrupt()) this.raise(isr.queue);
  }

  configurationChanged(): void {
    this.generation = (this.generation + 1) & 0xff;
    if ((this.status & status.driverOk) !== 0) this.raise(isr.configuration);
  }

  again(queue: number): void {
    this.notify(queue);
  }

  needsReset(reason: string): void {
    if ((this.status & status.needsReset) !== 0) return;
    this.options.complain?.(this.name, reason);
    this.status |= status.needsReset;
    if ((this.status & status.driverOk) !== 0) this.raise(isr.configuration);
  }

  // --- PCI configuration space

  override reset(): void {
    this.resetDevice();
    super.reset();
  }

  override readConfig(register: number, size: 1 | 2 | 4): number {
    if (register !== accessField.data) return super.readConfig(register, size);
    const target = this.accessTarget();
    const value = target === null ? 0 : this.readBar(target.offset, target.bytes);
    return size === 4 ? value >>> 0 : value & ((1 << (8 * size)) - 1);
  }

  override writeConfig(register: number, size: 1 | 2 | 4, value: number): void {
    super.writeConfig(register, size, value);
    if (register !== accessField.data) return;
    const target = this.accessTarget();
    if (target !== null) this.writeBar(target.offset, target.bytes, target.bytes === 4 ? value : value & ((1 << (8 * target.bytes)) - 1));
  }

  protected override configWritten(register: number, bytes: number): void {
    if (register >= pciRegister.command + 2 || register + bytes <= pciRegister.command) return;
    this.drive();
    // Buffers may have waited for the right to read them.
    if (this.notified !== 0) this.arm();
  }

  /** What the PCI configuration access capability points to; null for nonsense. */
  private accessTarget(): { readonly offset: number; readonly bytes: 1 | 2 | 4 } | null {
    const offset = super.readConfig(accessField.offset, 4);
    const bytes = super.readConfig(accessField.length, 4);
    const valid = (bytes === 1 || bytes === 2 || bytes === 4) && offset % bytes === 0 && offset + bytes <= barBytes;
    return valid && super.readConfig(accessField.bar, 1) === bar ? { offset, bytes } : null;
  }

  private defineCapabilities(): void {
    const all = Object.entries(capability) as [keyof typeof capability, (typeof capability)[keyof typeof capability]][];
    this.define(pciRegister.capabilities, 1, all[0][1].at);
    all.forEach(([name, { at, type, bytes }], n) => {
      this.define(at, 1, capabilityId);
      this.define(at + 1, 1, all[n + 1]?.[1].at ?? 0);
      this.define(at + 2, 1, bytes);
      this.define(at + 3, 1, type);
      if (name === "access") {
        this.define(at + 4, 1, 0, 0xff);
        this.define(at + 8, 4, 0, -1);
        this.define(at + 12, 4, 0, -1);
        return;
      }
      this.define(at + 4, 1, bar);
      this.define(at + 8, 4, area[name]);
      this.define(at + 12, 4, { common: commonBytes, isr: 1, device: this.device.configuration.length, notify: areaBytes }[name]);
      if (name === "notify") this.define(at + 16, 4, notifyMultiplier);
    });
  }

  // --- the BAR

  private readBar(offset: number, size: 1 | 2 | 4): number {
    const at = offset % areaBytes;
    const page = offset - at;
    if (page === area.common) return this.readCommon(at, size);
    if (page === area.isr) return at === 0 ? this.readIsr() : 0;
    if (page !== area.device) return 0;
    const { configuration } = this.device;
    let value = 0;
    for (let i = 0; i < size; i++) value |= (configuration[at + i] ?? 0) << (8 * i);
    return value >>> 0;
  }

  private writeBar(offset: number, size: 1 | 2 | 4, value: number): void {
    const at = offset % areaBytes;
    const page = offset - at;
    if (page === area.common) this.writeCommon(at, size, value);
    else if (page === area.notify && at % notifyMultiplier === 0 && at / notifyMultiplier < this.queues.length) this.notify(at / notifyMultiplier);
  }

  /** Any bytes of the common configuration, though drivers are to access whole fields (section 4.1.3.1). */
  private readCommon(at: number, size: number): number {
    let value = 0;
    for (const field of this.fields) {
      const shift = 8 * (field.at - at);
      if (field.at + field.bytes <= at || field.at >= at + size) continue;
      const bits = field.read();
      value |= shift >= 0 ? bits << shift : bits >>> -shift;
    }
    return size === 4 ? value >>> 0 : value & ((1 << (8 * size)) - 1);
  }

  private writeCommon(at: number, size: number, value: number): void {
    const field = this.fields.find((candidate) => candidate.at === at);
    // An access to part of a field, or to several, is no driver's.
    if (field?.write === undefined || size !== field.bytes) return;
    field.write(value);
  }

  private readIsr(): number {
    const value = this.isr;
    this.isr = 0;
    this.drive();
    return value;
  }

  private commonConfiguration(): readonly Field[] {
    const selected = (): Virtqueue | undefined => this.queues[this.queueSelect];
    const word = (words: Int32Array, n: number): number => (n < 2 ? words[n] : 0);
    const addresses: Field[] = [0, 1, 2, 3, 4, 5].map((n) => ({
      at: 0x20 + 4 * n,
      bytes: 4,
      read: () => selected()?.addresses[n] ?? 0,
      write: (value) => {
        const queue = selected();
        if (queue !== undefined && !queue.enabled) queue.addresses[n] = value;
      },
    }));
    return [
      { at: 0x00, bytes: 4, read: () => this.deviceFeatureSelect, write: (value) => (this.deviceFeatureSelect = value >>> 0) },
      { at: 0x04, bytes: 4, read: () => word(this.offered, this.deviceFeatureSelect) },
      { at: 0x08, bytes: 4, read: () => this.driverFeatureSelect, write: (value) => (this.driverFeatureSelect = value >>> 0) },
      { at: 0x0c, bytes: 4, read: () => word(this.accepts, this.driverFeatureSelect), write: (value) => this.accept(value) },
      { at: 0x10, bytes: 2, read: () => noVector, write: () => {} },
      { at: 0x12, bytes: 2, read: () => this.queues.length },
      { at: 0x14, bytes: 1, read: () => this.status, write: (value) => this.writeStatus(value) },
      { at: 0x15, bytes: 1, read: () => this.generation },
      { at: 0x16, bytes: 2, read: () => this.queueSelect, write: (value) => (this.queueSelect = value & 0xffff) },
      { at: 0x18, bytes: 2, read: () => selected()?.size ?? 0, write: (value) => this.writeQueueSize(value) },
      { at: 0x1a, bytes: 2, read: () => noVector, write: () => {} },
      { at: 0x1c, bytes: 2, read: () => Number(selected()?.enabled ?? false), write: (value) => this.enableQueue(value) },
      { at: 0x1e, bytes: 2, read: () => (selected() === undefined ? 0 : this.queueSelect) },
      ...addresses,
    ];
  }

  private accept(value: number): void {
    if (this.driverFeatureSelect < 2 && (this.status & status.featuresOk) === 0) this.accepts[this.driverFeatureSelect] = value;
  }

  /** Only powers of two up to the device's size: anything else leaves it as it is. */
  private writeQueueSize(value: number): void {
    const queue = this.queues[this.queueSelect];
    if (queue !== undefined && !queue.enabled && value > 0 && value <= queue.largestSize && (value & (value - 1)) === 0) queue.size = value;
  }

  /** A queue is switched off by a reset only (section 4.1.4.3.2). */
  private enableQueue(value: number): void {
    const queue = this.queues[this.queueSelect];
    if (queue === undefined || (value & 1) === 0 || queue.enabled) return;
    queue.enabled = true;
    queue.start(this.ringFeatures());
    this.checkQueue(this.queueSelect);
  }

  // --- status

  private writeStatus(value: number): void {
    if (value === 0) {
      this.resetDevice();
      return;
    }
    const before = this.status;
    // Bits are only ever added; the device's own one stays.
    let next = before | (value & ~status.needsReset & 0xff);
    if ((next & ~before & status.featuresOk) !== 0 && !this.featuresWork()) next &= ~status.featuresOk;
    // Without agreed features there is nothing to start.
    if ((next & status.featuresOk) === 0) next &= ~status.driverOk;
    this.status = next;
    if ((next & ~before & status.driverOk) === 0) return;
    for (const queue of this.queues) if (queue.enabled) queue.start(this.ringFeatures());
    this.device.start();
    this.queues.forEach((_, n) => {
      this.checkQueue(n);
    });
    if (this.notified !== 0) this.arm();
  }

  /** A subset of what is offered, with VERSION_1 in it (section 6.1). */
  private featuresWork(): boolean {
    const { accepts, offered } = this;
    return (accepts[0] & ~offered[0]) === 0 && (accepts[1] & ~offered[1]) === 0 && this.accepted(ringFeature.version1);
  }

  private ringFeatures(): { indirect: boolean; eventIndex: boolean } {
    return { indirect: this.accepted(ringFeature.indirectDescriptors), eventIndex: this.accepted(ringFeature.eventIndex) };
  }

  private resetDevice(): void {
    this.timer.cancel();
    this.notified = 0;
    this.accepts.fill(0);
    this.deviceFeatureSelect = this.driverFeatureSelect = this.queueSelect = this.status = this.isr = 0;
    for (const queue of this.queues) queue.reset();
    this.device.reset();
    this.drive();
  }

  // --- notifications and interrupts

  /** The device may use the queues. */
  private works(): boolean {
    const isMaster = (this.config[pciRegister.command] & pciCommand.master) !== 0;
    return isMaster && (this.status & (status.driverOk | status.needsReset)) === status.driverOk;
  }

  private notify(queue: number): void {
    this.notified |= 1 << queue;
    this.arm();
  }

  private arm(): void {
    if (this.works() && this.timer.deadline === Number.POSITIVE_INFINITY)
      this.timer.at(this.options.clock.now() + (this.options.latency ?? defaultLatency));
  }

  private work(): void {
    if (!this.works()) return;
    const { notified } = this;
    this.notified = 0;
    for (let n = 0; n < this.queues.length; n++) {
      if ((notified & (1 << n)) !== 0) this.device.notified(n);
      this.checkQueue(n);
    }
  }

  private checkQueue(n: number): void {
    const { broken } = this.queues[n];
    if (broken !== null) this.needsReset(`queue ${n}: ${broken}`);
  }

  private raise(bit: number): void {
    this.isr |= bit;
    this.drive();
  }

  private drive(): void {
    const pending = this.isr !== 0;
    const at = pciRegister.status;
    this.config[at] = pending ? this.config[at] | interruptStatus : this.config[at] & ~interruptStatus;
    this.options.interrupt.set(pending && (super.readConfig(pciRegister.command, 2) & interruptDisable) === 0);
  }

  // --- snapshot

  override save(): SavedState {
    const { deviceFeatureSelect, driverFeatureSelect, queueSelect, status: deviceStatus, isr: pending, generation, device } = this;
    return {
      ...super.save(),
      registers: { deviceFeatureSelect, driverFeatureSelect, queueSelect, status: deviceStatus, isr: pending, generation },
      accepts: this.accepts.slice(),
      // A restored device is notified of what it had under way.
      notified: this.notified | (device.underWay > 0 ? 1 : 0),
      deadline: savedDeadline(this.timer),
      queues: this.queues.map((queue) => queue.save()),
      device: device.save(),
    };
  }

  override restore(state: SavedState): void {
    this.timer.cancel();
    this.device.reset();
    Object.assign(this, state.registers);
    this.accepts.set(state.accepts as Int32Array);
    this.notified = state.notified as number;
    (state.queues as SavedState[]).forEach((saved, n) => {
      this.queues[n].restore(saved);
    });
    this.device.restore(state.device as SavedState);
    super.restore(state);
    if (state.deadline !== null) restoreDeadline(this.timer, state.deadline as number);
    this.drive();
  }
}
