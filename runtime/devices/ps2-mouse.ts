/**
 * A PS/2 mouse (IBM PS/2 Hardware Interface Technical Reference, "Mouse"): stream, remote and wrap modes, with the two extensions that a driver knocks
 * for by a series of sample rates (Microsoft, "Wheel support in IntelliMouse"): 200, 100, 80 makes it a wheel mouse of four-byte packets (id 3),
 * 200, 200, 80 one of five buttons (id 4).
 *
 * Movement is gathered in counters until the next sample is due and the last packet is gone; what a packet cannot hold stays for the next one, so that
 * nothing is lost while a guest is busy. Changes of buttons wait in order for the same reason: a click shorter than a sample is two packets.
 */
import type { Clock, Device, SavedState, Timer } from "./device.ts";
import type { Ps2Device } from "./ps2-keyboard.ts";
import { restoreDeadline, savedDeadline } from "./saved.ts";

const reply = { acknowledge: 0xfa, resend: 0xfe, error: 0xfc, selfTestPassed: 0xaa };
const command = {
  ...{ scaling1: 0xe6, scaling2: 0xe7, resolution: 0xe8, status: 0xe9, stream: 0xea, readData: 0xeb, resetWrap: 0xec, wrap: 0xee, remote: 0xf0 },
  ...{ identify: 0xf2, sampleRate: 0xf3, enable: 0xf4, disable: 0xf5, defaults: 0xf6, resend: 0xfe, reset: 0xff },
};
const statusBit = { scaling2: 0x10, enabled: 0x20, remote: 0x40 };
/** First byte of a packet. */
const packetBit = { always: 0x08, xSign: 0x10, ySign: 0x20 };

/** Bits of `buttons`. */
export const mouseButtons = { left: 0x01, right: 0x02, middle: 0x04, fourth: 0x08, fifth: 0x10 } as const;

const sampleRates: readonly number[] = [10, 20, 40, 60, 80, 100, 200];
const defaultSampleRate = 100;
/** 4 counts a millimetre. */
const defaultResolution = 2;
/** Series of sample rates that change the protocol. */
const knocks = [
  { rates: [200, 100, 80], identity: 3 },
  { rates: [200, 200, 80], identity: 4 },
] as const;

/** 9-bit counters. */
const movement = { least: -256, most: 255 };
const wheelMovement = { least: -8, most: 7 };
/** What moved while the guest did not look is bounded, as a hand on a table is. */
const gatheredLimit = 4096;
const buttonChangesLimit = 16;
/** The reference allows the basic assurance test 300 to 500 ms; nothing depends on its length but the wait for it. */
const selfTestNanoseconds = 5_000_000;

const clamp = (value: number, { least, most }: { readonly least: number; readonly most: number }): number => Math.max(least, Math.min(most, value));
const gathered = { least: -gatheredLimit, most: gatheredLimit };

/** Scaling 2:1 of a count. */
function scaled(count: number): number {
  const size = Math.abs(count);
  const result = [0, 1, 1, 3, 6, 9][size] ?? 2 * size;
  return count < 0 ? -result : result;
}

export class Ps2Mouse implements Device, Ps2Device {
  readonly name = "ps2-mouse";
  onByte: () => void = () => {};

  private readonly clock: Clock;
  private readonly sampleTimer: Timer;
  private readonly selfTestTimer: Timer;

  /** Bytes on their way to the controller: replies or one packet. */
  private queue: number[] = [];
  /** The last reply or packet, for Resend. */
  private sent: number[] = [];
  private enabled = false;
  private remote = false;
  private wrap = false;
  private scaling2 = false;
  private resolution = defaultResolution;
  private sampleRate = defaultSampleRate;
  private identity: 0 | 3 | 4 = 0;
  /** The last sample rates set, for `knocks`. */
  private rates: number[] = [];
  private awaitsDataFor = 0;
  private isSecondError = false;

  private dx = 0;
  private dy = 0;
  private dz = 0;
  /** Pressed now, as the person holds them. */
  private held = 0;
  /** Pressed according to the last packet. */
  private reported = 0;
  /** States the buttons went through since. */
  private changes: number[] = [];
  private nextSample = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.sampleTimer = clock.timer(() => this.sample());
    this.selfTestTimer = clock.timer(() => this.respond(reply.selfTestPassed, this.identity));
    this.reset();
  }

  // ---- the hand ----

  /** Counts to the right and downwards, as a screen counts. */
  move(dx: number, dy: number): void {
    if (!this.listens) return;
    this.dx = clamp(this.dx + Math.trunc(dx), gathered);
    this.dy = clamp(this.dy - Math.trunc(dy), gathered);
    this.schedule();
  }

  /** Notches of the wheel, towards the person (down) when positive. */
  wheel(notches: number): void {
    if (!this.listens || this.identity === 0) return;
    this.dz = clamp(this.dz + Math.trunc(notches), gathered);
    this.schedule();
  }

  /** Buttons pressed now, by `mouseButtons`. */
  get buttons(): number {
    return this.held;
  }

  set buttons(pressed: number) {
    if (pressed === this.held) return;
    this.held = pressed;
    if (!this.listens) {
      this.reported = pressed;
      return;
    }
    if (this.changes.length === buttonChangesLimit) this.changes.pop();
    this.changes.push(pressed);
    this.schedule();
  }

  /** 0, 3 with a wheel, 4 with five buttons. */
  get protocol(): number {
    return this.identity;
  }

  // ---- the link ----

  hasByte(): boolean {
    return this.queue.length > 0;
  }

  take(): number {
    const byte = this.queue.shift()!;
    if (this.queue.length === 0) this.schedule();
    return byte;
  }

  write(byte: number): void {
    // Whatever was on its way is given up for the command.
    this.queue = [];
    if (this.wrap && byte !== command.reset && byte !== command.resetWrap) {
      this.respond(byte);
      return;
    }
    const awaitedBy = this.awaitsDataFor;
    this.awaitsDataFor = 0;
    if (awaitedBy === 0) this.command(byte);
    else this.data(awaitedBy, byte);
    this.schedule();
  }

  /** As after power-on with the self test's answer taken: silent until it is enabled. */
  reset(): void {
    this.queue = [];
    this.sent = [];
    this.awaitsDataFor = 0;
    this.isSecondError = false;
    this.held = 0;
    this.nextSample = 0;
    this.sampleTimer.cancel();
    this.selfTestTimer.cancel();
    this.powerOnDefaults();
  }

  save(): SavedState {
    const { enabled, remote, wrap, scaling2, resolution, sampleRate, identity, awaitsDataFor, isSecondError } = this;
    const { dx, dy, dz, held, reported, nextSample, queue, sent, rates, changes } = this;
    return {
      ...{ enabled, remote, wrap, scaling2, resolution, sampleRate, identity, awaitsDataFor, isSecondError },
      ...{ dx, dy, dz, held, reported, nextSample, queue: [...queue], sent: [...sent], rates: [...rates], changes: [...changes] },
      sampleDeadline: savedDeadline(this.sampleTimer),
      selfTestDeadline: savedDeadline(this.selfTestTimer),
    };
  }

  restore(state: SavedState): void {
    const { sampleDeadline, selfTestDeadline, queue, sent, rates, changes, ...fields } = state;
    Object.assign(this, fields);
    this.queue = [...(queue as number[])];
    this.sent = [...(sent as number[])];
    this.rates = [...(rates as number[])];
    this.changes = [...(changes as number[])];
    restoreDeadline(this.sampleTimer, sampleDeadline as number | null);
    restoreDeadline(this.selfTestTimer, selfTestDeadline as number | null);
  }

  // ---- commands ----

  private command(byte: number): void {
    if (byte === command.resend) {
      this.queue = [...this.sent];
      if (this.queue.length > 0) this.onByte();
      return;
    }
    const execute = this.commands.get(byte);
    if (execute === undefined) {
      this.refuse();
      return;
    }
    this.isSecondError = false;
    this.respond(reply.acknowledge, ...(execute() ?? []));
  }

  /** What each does; bytes returned follow the acknowledge. */
  private readonly commands: ReadonlyMap<number, () => number[] | undefined> = new Map<number, () => number[] | undefined>([
    [command.scaling1, () => void (this.scaling2 = false)],
    [command.scaling2, () => void (this.scaling2 = true)],
    [command.resolution, () => void (this.awaitsDataFor = command.resolution)],
    [command.status, () => [this.status(), this.resolution, this.sampleRate]],
    [command.stream, () => this.setMode(false)],
    [command.readData, () => this.packet(false)],
    [command.resetWrap, () => void (this.wrap = false)],
    [command.wrap, () => void (this.wrap = true)],
    [command.remote, () => this.setMode(true)],
    [command.identify, () => [this.identity]],
    [command.sampleRate, () => void (this.awaitsDataFor = command.sampleRate)],
    [command.enable, () => this.setEnabled(true)],
    [command.disable, () => this.setEnabled(false)],
    [command.defaults, () => this.setDefaults()],
    [command.reset, () => this.startSelfTest()],
  ]);

  private data(commandByte: number, byte: number): void {
    const isRate = commandByte === command.sampleRate;
    if (isRate ? !sampleRates.includes(byte) : byte > 3) {
      // The command still waits for a value that it takes.
      this.awaitsDataFor = this.isSecondError ? 0 : commandByte;
      this.refuse();
      return;
    }
    this.isSecondError = false;
    if (isRate) this.setSampleRate(byte);
    else this.resolution = byte;
    this.respond(reply.acknowledge);
  }

  /** Something invalid: "resend", and when that is invalid too, "error". */
  private refuse(): void {
    this.respond(this.isSecondError ? reply.error : reply.resend);
    this.isSecondError = !this.isSecondError;
  }

  private setSampleRate(rate: number): void {
    this.sampleRate = rate;
    this.rates = [...this.rates, rate].slice(-3);
    const heard = knocks.find(({ rates }) => rates.every((wanted, n) => this.rates[n] === wanted));
    if (heard !== undefined) this.identity = heard.identity;
  }

  private setMode(remote: boolean): undefined {
    this.remote = remote;
    this.forgetMovement();
  }

  private setEnabled(enabled: boolean): undefined {
    this.enabled = enabled;
    this.forgetMovement();
  }

  private setDefaults(): undefined {
    this.sampleRate = defaultSampleRate;
    this.resolution = defaultResolution;
    this.scaling2 = false;
    this.enabled = false;
    this.remote = false;
    this.forgetMovement();
  }

  private powerOnDefaults(): void {
    this.setDefaults();
    this.wrap = false;
    this.identity = 0;
    this.rates = [];
  }

  private startSelfTest(): undefined {
    this.powerOnDefaults();
    this.selfTestTimer.at(this.clock.now() + selfTestNanoseconds);
  }

  private status(): number {
    const { left, right, middle } = mouseButtons;
    const buttons = (this.held & left ? 4 : 0) | (this.held & middle ? 2 : 0) | (this.held & right ? 1 : 0);
    return buttons | (this.scaling2 ? statusBit.scaling2 : 0) | (this.enabled ? statusBit.enabled : 0) | (this.remote ? statusBit.remote : 0);
  }

  private respond(...bytes: number[]): void {
    this.queue.push(...bytes);
    this.sent = [...bytes];
    this.onByte();
  }

  // ---- movement ----

  /** Movement counts while it can be reported: in stream mode when enabled, in remote mode always. */
  private get listens(): boolean {
    return this.enabled || this.remote;
  }

  private get hasNews(): boolean {
    return this.dx !== 0 || this.dy !== 0 || this.dz !== 0 || this.changes.length > 0;
  }

  private forgetMovement(): void {
    this.dx = 0;
    this.dy = 0;
    this.dz = 0;
    this.changes = [];
    this.reported = this.held;
    this.sampleTimer.cancel();
  }

  /** Arms the next sample if there will be something to say. */
  private schedule(): void {
    if (!this.enabled || this.remote || this.wrap || !this.hasNews || this.queue.length > 0) return;
    if (this.sampleTimer.deadline === Number.POSITIVE_INFINITY) this.sampleTimer.at(Math.max(this.clock.now(), this.nextSample));
  }

  private sample(): void {
    if (!this.enabled || this.remote || this.wrap || !this.hasNews || this.queue.length > 0) return;
    this.nextSample = this.clock.now() + Math.ceil(1e9 / this.sampleRate);
    this.respond(...this.packet(this.scaling2));
  }

  /** Takes what was gathered, as far as a packet can hold it. */
  private packet(scales: boolean): number[] {
    const dx = clamp(this.dx, movement);
    const dy = clamp(this.dy, movement);
    const dz = this.identity === 0 ? 0 : clamp(this.dz, wheelMovement);
    this.dx -= dx;
    this.dy -= dy;
    this.dz -= dz;
    this.reported = this.changes.shift() ?? this.held;
    const x = scales ? clamp(scaled(dx), movement) : dx;
    const y = scales ? clamp(scaled(dy), movement) : dy;
    const buttons = this.reported & (mouseButtons.left | mouseButtons.right | mouseButtons.middle);
    const first = packetBit.always | buttons | (x < 0 ? packetBit.xSign : 0) | (y < 0 ? packetBit.ySign : 0);
    const bytes = [first, x & 0xff, y & 0xff];
    if (this.identity === 3) bytes.push(dz & 0xff);
    if (this.identity === 4) bytes.push((dz & 0x0f) | ((this.reported & (mouseButtons.fourth | mouseButtons.fifth)) << 1));
    return bytes;
  }
}
