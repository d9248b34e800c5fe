/**
 * The local APIC of one processor (SDM vol. 3, chapter 11), with what QEMU's has: version 14h, six LVT entries, a timer without TSC-deadline mode, no
 * x2APIC.
 *
 * Two ways lead to the processor's INTR. Interrupts with a vector of their own (messages, the LVT) wait in the IRR until their priority class is
 * above that of what is in service and of the TPR. External ones (ExtINT) pass through without priority: the 8259's INTR line on LINT0 ("virtual wire
 * mode"), whose vector the 8259 gives at the acknowledge. With the APIC globally disabled LINT0 and LINT1 are INTR and NMI.
 *
 * Lines carry assertion: on this board nothing is active-low, so the polarity bits are kept and mean nothing.
 */
import type { Clock, Device, Line, RegisterBank, SavedState } from "../device.ts";
import { ApicTimer } from "./apic-timer.ts";
import { broadcastDestination, deliveryMode, firstLegalVector, type InterruptMessageBus, type MessageTarget } from "./message-bus.ts";
import { VectorSet } from "./vector-set.ts";

/** Register numbers: offsets / 16. */
const register = {
  ...{ id: 0x02, version: 0x03, taskPriority: 0x08, arbitrationPriority: 0x09, processorPriority: 0x0a, endOfInterrupt: 0x0b },
  ...{ logicalDestination: 0x0d, destinationFormat: 0x0e, spuriousVector: 0x0f },
  ...{ inService: 0x10, triggerMode: 0x18, requests: 0x20, errorStatus: 0x28 },
  ...{ commandLow: 0x30, commandHigh: 0x31, lvt: 0x32, initialCount: 0x38, currentCount: 0x39, divideConfiguration: 0x3e },
} as const;

/** LVT entries in the order of their registers. */
const lvt = { timer: 0, thermal: 1, performance: 2, lint0: 3, lint1: 4, error: 5 } as const;
const lvtEntries = 6;
const lvtBit = { vector: 0xff, remoteIrr: 1 << 14, levelTriggered: 1 << 15, masked: 1 << 16, periodic: 1 << 17 } as const;
/** Bits of each entry that software can write (SDM vol. 3, figure 11-8). */
const lvtWritable: readonly number[] = [0x300ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff];

const version = 0x14 | ((lvtEntries - 1) << 16);
const softwareEnable = 1 << 8;
const spuriousWritable = 0x3ff;
/** ICR bits 18-19. */
const shorthand = { none: 0, self: 1, all: 2, others: 3 } as const;
const commandWritable = 0xccfff;
/** ESR bits. */
const error = { sendIllegalVector: 1 << 5, receivedIllegalVector: 1 << 6, illegalRegister: 1 << 7 } as const;

/** IA32_APIC_BASE: bootstrap processor, global enable; the address above them. */
const baseBit = { bootstrap: 1 << 8, enable: 1 << 11 } as const;
export const apicBaseAddress = 0xfee00000;
const physicalAddressBits = 36;

export interface LocalApicOptions {
  /** Initial APIC id. */
  readonly id: number;
  readonly isBootstrap: boolean;
  readonly clock: Clock;
  readonly bus: InterruptMessageBus;
  /** The INTA cycle of what drives LINT0. */
  readonly acknowledgeExternal: () => number;
  /** `pending` or `nmi` has become true. */
  readonly signal: () => void;
  /** The page of registers is at this physical address from now on; null: nowhere. At first it is where RESET puts it, `apicBaseAddress`. */
  readonly place?: (address: number | null) => void;
}

/** To its processor it is an `InterruptController` and a `LocalApicPort` (runtime/cpu/cpu.ts). */
export class LocalApic implements Device, MessageTarget {
  readonly name: string;
  /** The 4 KiB page. */
  readonly registers: RegisterBank;
  /** The pins. */
  readonly lint: readonly [Line, Line];
  readonly initialId: number;
  /** INTR to the processor's core. */
  pending = false;
  /** An NMI that the core has not taken yet. */
  nmi = false;

  private readonly bus: InterruptMessageBus;
  private readonly isBootstrap: boolean;
  private readonly acknowledgeExternal: () => number;
  private readonly signal: () => void;
  private readonly place: (address: number | null) => void;
  private readonly timer: ApicTimer;
  private readonly requests = new VectorSet();
  private readonly inService = new VectorSet();
  private readonly levelTriggered = new VectorSet();
  private readonly local = new Int32Array(lvtEntries);
  private readonly pins = [false, false];
  private address = apicBaseAddress;
  private enabled = true;
  private id = 0;
  private taskPriority = 0;
  private logicalId = 0;
  private destinationFormat = -1;
  private spurious = 0xff;
  private commandLow = 0;
  private commandHigh = 0;
  /** Errors since the ESR was last written, and what it shows. */
  private errors = 0;
  private errorStatus = 0;
  /** A message asked for an ExtINT. */
  private externalMessage = false;

  constructor(options: LocalApicOptions) {
    this.name = `local-apic${options.id === 0 ? "" : options.id}`;
    this.initialId = options.id;
    this.isBootstrap = options.isBootstrap;
    this.bus = options.bus;
    this.acknowledgeExternal = options.acknowledgeExternal;
    this.signal = options.signal;
    this.place = options.place ?? (() => {});
    this.timer = new ApicTimer(options.clock, () => this.deliverLocal(lvt.timer));
    this.registers = {
      read: (offset, size) => this.readBytes(offset, size),
      write: (offset, size, value) => this.writeRegister(offset, size, value),
    };
    this.lint = [{ set: (high) => this.setPin(0, high) }, { set: (high) => this.setPin(1, high) }];
    this.bus.addTarget(this);
    this.id = options.id;
    this.initialize();
  }

  // ---- the processor's side

  /** The INTA cycle: the vector to deliver, now in service. The spurious vector if what was pending has been held off since. */
  acknowledge(): number {
    const vector = this.deliverable();
    if (vector >= 0) {
      this.requests.delete(vector);
      this.inService.add(vector);
      this.update();
      return vector;
    }
    if (this.hasExternalRequest()) {
      this.externalMessage = false;
      const external = this.acknowledgeExternal();
      this.update();
      return external;
    }
    return this.spurious & 0xff;
  }

  acknowledgeNmi(): void {
    this.nmi = false;
  }

  get isEnabled(): boolean {
    return this.enabled;
  }

  get baseLow(): number {
    return (this.address % 2 ** 32) | (this.isBootstrap ? baseBit.bootstrap : 0) | (this.enabled ? baseBit.enable : 0) | 0;
  }
  get baseHigh(): number {
    return Math.floor(this.address / 2 ** 32);
  }

  /** WRMSR to IA32_APIC_BASE. False: a reserved bit is set (#GP). */
  writeBase(low: number, high: number): boolean {
    if ((low & 0xfff & ~(baseBit.bootstrap | baseBit.enable)) !== 0 || high >>> 0 >= 2 ** (physicalAddressBits - 32)) return false;
    const enabled = (low & baseBit.enable) !== 0;
    const address = (high >>> 0) * 2 ** 32 + ((low & ~0xfff) >>> 0);
    if (enabled && !this.enabled) this.initialize();
    const moves = enabled !== this.enabled || (enabled && address !== this.address);
    this.enabled = enabled;
    this.address = address;
    if (moves) this.place(enabled ? address : null);
    if (!enabled) this.timer.reset();
    this.update();
    return true;
  }

  // ---- device

  /** RESET: as INIT, and at the architectural address, enabled. */
  reset(): void {
    this.id = this.initialId;
    this.address = apicBaseAddress;
    this.enabled = true;
    this.place(this.address);
    this.initialize();
  }

  /** The registers after reset or INIT (SDM vol. 3, 11.4.7.1), but for LINT0 of the bootstrap processor: as firmware leaves it, the 8259's wire. */
  private initialize(): void {
    for (const set of [this.requests, this.inService, this.levelTriggered]) set.clear();
    this.local.fill(lvtBit.masked);
    if (this.isBootstrap) this.local[lvt.lint0] = deliveryMode.extInt << 8;
    this.timer.reset();
    this.taskPriority = 0;
    this.logicalId = 0;
    this.destinationFormat = -1;
    this.spurious = 0xff;
    this.commandLow = this.commandHigh = 0;
    this.errors = this.errorStatus = 0;
    this.externalMessage = false;
    this.nmi = false;
    this.update();
  }

  save(): SavedState {
    const { address, enabled, id, nmi, taskPriority, logicalId, destinationFormat, spurious } = this;
    const { commandLow, commandHigh, errors, errorStatus, externalMessage } = this;
    return {
      ...{ address, enabled, id, nmi, taskPriority, logicalId, destinationFormat, spurious },
      ...{ commandLow, commandHigh, errors, errorStatus, externalMessage },
      pins: [...this.pins],
      requests: this.requests.words.slice(),
      inService: this.inService.words.slice(),
      levelTriggered: this.levelTriggered.words.slice(),
      local: this.local.slice(),
      timer: this.timer.save(),
    };
  }

  restore(state: SavedState): void {
    this.address = state.address as number;
    this.enabled = state.enabled as boolean;
    this.id = state.id as number;
    this.nmi = state.nmi as boolean;
    this.taskPriority = state.taskPriority as number;
    this.logicalId = state.logicalId as number;
    this.destinationFormat = state.destinationFormat as number;
    this.spurious = state.spurious as number;
    this.commandLow = state.commandLow as number;
    this.commandHigh = state.commandHigh as number;
    this.errors = state.errors as number;
    this.errorStatus = state.errorStatus as number;
    this.externalMessage = state.externalMessage as boolean;
    [this.pins[0], this.pins[1]] = state.pins as boolean[];
    this.requests.restore(state.requests as Int32Array);
    this.inService.restore(state.inService as Int32Array);
    this.levelTriggered.restore(state.levelTriggered as Int32Array);
    this.local.set(state.local as Int32Array);
    this.timer.restore(state.timer as SavedState);
    this.place(this.enabled ? this.address : null);
    this.update();
  }

  // ---- messages

  isDestination(destination: number, logical: boolean): boolean {
    if (!this.enabled) return false;
    if (!logical) return destination === this.id || destination === broadcastDestination;
    if (destination === broadcastDestination) return true;
    // The flat model has a bit for each of eight processors; the cluster model a number of the cluster and a bit for each of four in it.
    if (this.destinationFormat >>> 28 === 0xf) return (destination & this.logicalId) !== 0;
    return destination >> 4 === this.logicalId >> 4 && (destination & this.logicalId & 0xf) !== 0;
  }

  arbitrationPriority(): number {
    const requested = this.requests.highest < 0 ? 0 : this.requests.highest & 0xf0;
    const serving = this.inService.highest < 0 ? 0 : this.inService.highest & 0xf0;
    const task = this.taskPriority & 0xf0;
    return task >= requested && task > serving ? this.taskPriority : Math.max(task & requested, serving);
  }

  receive(mode: number, vector: number, levelTriggered: boolean): boolean {
    if (!this.enabled) return false;
    switch (mode) {
      case deliveryMode.fixed:
      case deliveryMode.lowestPriority:
        return this.accept(vector, levelTriggered);
      case deliveryMode.nmi:
        this.requestNmi();
        return true;
      case deliveryMode.extInt:
        this.externalMessage = true;
        this.update();
        return true;
      default:
        // There is no SMM, and no second processor to start: INIT and start-up of the only one are taken without effect.
        return true;
    }
  }

  private accept(vector: number, levelTriggered: boolean): boolean {
    if ((this.spurious & softwareEnable) === 0) return false;
    if (vector < firstLegalVector) {
      this.noteError(error.receivedIllegalVector);
      return true;
    }
    this.requests.add(vector);
    if (levelTriggered) this.levelTriggered.add(vector);
    else this.levelTriggered.delete(vector);
    this.update();
    return true;
  }

  private requestNmi(): void {
    if (this.nmi) return;
    this.nmi = true;
    this.signal();
  }

  // ---- priority

  /** The PPR (SDM vol. 3, 11.8.3.1). */
  private processorPriority(): number {
    const serving = this.inService.highest < 0 ? 0 : this.inService.highest & 0xf0;
    return (this.taskPriority & 0xf0) >= serving ? this.taskPriority : serving;
  }

  /** The vector that may interrupt now, or -1. */
  private deliverable(): number {
    const vector = this.requests.highest;
    if (vector < 0 || !this.enabled || (this.spurious & softwareEnable) === 0) return -1;
    return vector >> 4 > this.processorPriority() >> 4 ? vector : -1;
  }

  private hasExternalRequest(): boolean {
    if (!this.enabled) return this.pins[0];
    if (this.externalMessage) return true;
    const entry = this.local[lvt.lint0];
    return this.pins[0] && (entry & lvtBit.masked) === 0 && ((entry >> 8) & 7) === deliveryMode.extInt;
  }

  private update(): void {
    const pending = this.deliverable() >= 0 || this.hasExternalRequest();
    if (pending === this.pending) return;
    this.pending = pending;
    if (pending) this.signal();
  }

  private endOfInterrupt(): void {
    const vector = this.inService.highest;
    if (vector < 0) return;
    this.inService.delete(vector);
    if (this.levelTriggered.has(vector)) {
      this.bus.endOfInterrupt(vector);
      const entry = this.local[lvt.lint0];
      if ((entry & lvtBit.remoteIrr) !== 0 && (entry & lvtBit.vector) === vector) {
        this.local[lvt.lint0] = entry & ~lvtBit.remoteIrr;
        this.senseLevel();
      }
    }
    this.update();
  }

  // ---- local sources

  private setPin(n: 0 | 1, high: boolean): void {
    if (high === this.pins[n]) return;
    this.pins[n] = high;
    const entry = lvt.lint0 + n;
    if (!this.enabled) {
      if (n === 1 && high) this.requestNmi();
    } else if (((this.local[entry] >> 8) & 7) === deliveryMode.fixed && this.isLevelSensitive(entry)) this.senseLevel();
    else if (high) this.deliverLocal(entry);
    this.update();
  }

  /** Only LINT0 in fixed mode can be level-sensitive by choice; ExtINT always is. */
  private isLevelSensitive(entry: number): boolean {
    return entry === lvt.lint0 && (this.local[entry] & lvtBit.levelTriggered) !== 0;
  }

  private senseLevel(): void {
    const entry = this.local[lvt.lint0];
    const isLevel = ((entry >> 8) & 7) === deliveryMode.fixed && (entry & lvtBit.levelTriggered) !== 0;
    if (!isLevel || !this.pins[0] || (entry & (lvtBit.masked | lvtBit.remoteIrr)) !== 0) return;
    if (this.accept(entry & lvtBit.vector, true)) this.local[lvt.lint0] |= lvtBit.remoteIrr;
  }

  private deliverLocal(entry: number): void {
    const value = this.local[entry];
    if ((value & lvtBit.masked) !== 0) return;
    const mode = entry === lvt.timer || entry === lvt.error ? deliveryMode.fixed : (value >> 8) & 7;
    // ExtINT is a level, which `hasExternalRequest` sees.
    if (mode !== deliveryMode.extInt) this.receive(mode, value & lvtBit.vector, false);
  }

  private noteError(bit: number): void {
    if ((this.errors & bit) !== 0) return;
    this.errors |= bit;
    this.deliverLocal(lvt.error);
  }

  private sendCommand(): void {
    const command = this.commandLow;
    const vector = command & 0xff;
    const mode = (command >> 8) & 7;
    if (mode <= deliveryMode.lowestPriority && vector < firstLegalVector) return this.noteError(error.sendIllegalVector);
    switch ((command >> 18) & 3) {
      case shorthand.self:
        // Only fixed interrupts (SDM vol. 3, table 11-3).
        if (mode === deliveryMode.fixed) this.receive(mode, vector, false);
        break;
      case shorthand.all:
        this.bus.sendToAll(null, mode, vector);
        break;
      case shorthand.others:
        this.bus.sendToAll(this, mode, vector);
        break;
      default:
        this.bus.send(this.commandHigh >>> 24, (command & (1 << 11)) !== 0, mode, vector, false);
    }
  }

  // ---- registers: 32 bits at every sixteenth byte

  private readBytes(offset: number, size: 1 | 2 | 4): number {
    const within = offset & 15;
    if (within >= 4) return 0;
    const value = this.readRegister(offset >> 4) >>> (8 * within);
    return size === 4 ? value : value & ((1 << (8 * size)) - 1);
  }

  private readRegister(number: number): number {
    switch (number) {
      case register.id:
        return this.id << 24;
      case register.version:
        return version;
      case register.taskPriority:
        return this.taskPriority;
      case register.arbitrationPriority:
        return this.arbitrationPriority();
      case register.processorPriority:
        return this.processorPriority();
      case register.endOfInterrupt:
        return 0;
      case register.logicalDestination:
        return this.logicalId << 24;
      case register.destinationFormat:
        return this.destinationFormat;
      case register.spuriousVector:
        return this.spurious;
      case register.errorStatus:
        return this.errorStatus;
      case register.commandLow:
        return this.commandLow;
      case register.commandHigh:
        return this.commandHigh;
      case register.initialCount:
        return this.timer.initialCount;
      case register.currentCount:
        return this.timer.currentCount();
      case register.divideConfiguration:
        return this.timer.divideConfiguration;
    }
    this.timer.settle();
    if (number >= register.inService && number < register.errorStatus) {
      return [this.inService, this.levelTriggered, this.requests][(number - register.inService) >> 3].words[number & 7];
    }
    if (number >= register.lvt && number < register.lvt + lvtEntries) return this.local[number - register.lvt];
    this.noteError(error.illegalRegister);
    return 0;
  }

  private writeRegister(offset: number, size: 1 | 2 | 4, value: number): void {
    // Software must write whole registers (SDM vol. 3, 11.4.1); anything else is dropped, as in QEMU.
    if (size !== 4 || (offset & 15) !== 0) return;
    const number = offset >> 4;
    switch (number) {
      case register.endOfInterrupt:
        return this.endOfInterrupt();
      case register.taskPriority:
        this.taskPriority = value & 0xff;
        return this.update();
      case register.initialCount:
        this.timer.initialCount = value;
        return;
      case register.divideConfiguration:
        this.timer.divideConfiguration = value;
        return;
      case register.id:
        this.id = value >>> 24;
        return;
      case register.logicalDestination:
        this.logicalId = value >>> 24;
        return;
      case register.destinationFormat:
        this.destinationFormat = value | 0x0fffffff;
        return;
      case register.spuriousVector:
        this.spurious = value & spuriousWritable;
        if ((value & softwareEnable) === 0) this.maskLocal();
        return this.update();
      case register.errorStatus:
        this.errorStatus = this.errors;
        this.errors = 0;
        return;
      case register.commandLow:
        this.commandLow = value & commandWritable;
        return this.sendCommand();
      case register.commandHigh:
        this.commandHigh = value & 0xff000000;
        return;
    }
    if (number >= register.lvt && number < register.lvt + lvtEntries) this.writeLocal(number - register.lvt, value);
    else if (!isReadOnly(number)) this.noteError(error.illegalRegister);
  }

  /** While the APIC is disabled by software every LVT entry is masked (SDM vol. 3, 11.4.7.2). */
  private maskLocal(): void {
    for (let entry = 0; entry < lvtEntries; entry++) this.local[entry] |= lvtBit.masked;
  }

  private writeLocal(entry: number, value: number): void {
    this.timer.settle();
    const writable = lvtWritable[entry];
    const isLevel = entry === lvt.lint0 && (value & lvtBit.levelTriggered) !== 0;
    const forced = (this.spurious & softwareEnable) === 0 ? lvtBit.masked : 0;
    this.local[entry] = (value & writable) | forced | (isLevel ? this.local[entry] & lvtBit.remoteIrr : 0);
    if (entry === lvt.timer) this.timer.setPeriodic((value & lvtBit.periodic) !== 0);
    if (entry === lvt.lint0) {
      this.senseLevel();
      this.update();
    }
  }
}

function isReadOnly(number: number): boolean {
  return (
    number === register.version ||
    number === register.arbitrationPriority ||
    number === register.processorPriority ||
    number === register.currentCount ||
    (number >= register.inService && number < register.errorStatus)
  );
}
