/**
 * An MF2 (101/102-key) PS/2 keyboard (IBM PS/2 Hardware Interface Technical Reference, "Keyboards"): scan code sets 2, 1 and 3, typematic
 * repeat, and the commands of the system. What it wants to send waits in two queues until the controller takes it: replies
 * first, then keys. A command from the system throws the waiting keys away only where the reference says so.
 */
import type { Clock, Device, SavedState, Timer } from "./device.ts";
import { pauseKey, scanCodes, set3Code } from "./ps2-scan-codes.ts";
import { restoreDeadline, savedDeadline } from "./saved.ts";

/** The serial link between the 8042 and a device on it. */
export interface Ps2Device {
  /** A byte from the controller. */
  write(byte: number): void;
  /** Whether a byte waits to be taken. */
  hasByte(): boolean;
  /** Takes the next byte; only when there is one. */
  take(): number;
  /** Called when a byte begins to wait; set by the controller. */
  onByte: () => void;
}

const reply = { acknowledge: 0xfa, resend: 0xfe, echo: 0xee, selfTestPassed: 0xaa };
const command = {
  ...{ setLeds: 0xed, echo: 0xee, scanCodeSet: 0xf0, identify: 0xf2, typematic: 0xf3, enable: 0xf4, disable: 0xf5, defaults: 0xf6 },
  ...{ allKeysFirst: 0xf7, allKeysLast: 0xfa, keyTypeFirst: 0xfb, keyTypeLast: 0xfd, resend: 0xfe, reset: 0xff },
};
const identity = [0xab, 0x83];
/** Commands that a data byte follows. */
const withData: readonly number[] = [command.setLeds, command.scanCodeSet, command.typematic, 0xfb, 0xfc, 0xfd];

/** What a key does besides sending its make code; only set 3 lets the system choose. */
const keyType = { typematic: 1, breaks: 2 };
/** For F7h-FAh, and for FBh-FDh, which take a list of keys. */
const typeByCommand: readonly number[] = [keyType.typematic, keyType.breaks, 0, keyType.typematic | keyType.breaks];
/** Set 3 codes that are not typematic at first: modifiers send breaks; Escape, function keys, keypad, locks and the keys beside them neither. */
const breaksAtFirst: readonly number[] = [0x11, 0x12, 0x14, 0x19, 0x59];
const makesOnlyAtFirst: readonly number[] = [
  ...[0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x56, 0x5e, 0x08, 0x57, 0x5f, 0x62, 0x39, 0x58, 0x8b, 0x8c, 0x8d],
  ...[0x67, 0x6e, 0x6f, 0x65, 0x6d, 0x76, 0x77, 0x7e, 0x84, 0x6c, 0x75, 0x7d, 0x6b, 0x73, 0x74, 0x69, 0x72, 0x7a, 0x70, 0x71, 0x79],
];

/** The keyboard's buffer holds 16 codes, then one overrun code. */
const bufferBytes = 16;
const overrun = { 1: 0xff, 2: 0x00, 3: 0x00 };
/** The reference allows the basic assurance test 300 to 500 ms; nothing depends on its length but the wait for it. */
const selfTestNanoseconds = 5_000_000;
const defaultTypematic = 0x2b;

export class Ps2Keyboard implements Device, Ps2Device {
  readonly name = "ps2-keyboard";
  onByte: () => void = () => {};

  private readonly clock: Clock;
  private readonly typematicTimer: Timer;
  private readonly selfTestTimer: Timer;

  private replies: number[] = [];
  private keys: number[] = [];
  private down: number[] = [];
  private repeating = 0;
  private typematic = defaultTypematic;
  private scanning = true;
  private set: 1 | 2 | 3 = 2;
  /** By set 3 code. */
  private readonly types = new Uint8Array(256);
  private awaitsDataFor = 0;
  private lastSent = 0;
  private ledBits = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.typematicTimer = clock.timer((deadline) => this.repeat(deadline));
    this.selfTestTimer = clock.timer(() => this.respond(reply.selfTestPassed));
    this.reset();
  }

  /** Scroll lock, num lock and caps lock in bits 0 to 2. */
  get leds(): number {
    return this.ledBits;
  }

  /** Whether a key pressed now would be sent on its own: scanning, with no command or code under way. */
  get ready(): boolean {
    return this.scanning && !this.hasByte() && this.awaitsDataFor === 0 && this.selfTestTimer.deadline === Number.POSITIVE_INFINITY;
  }

  /**
   * Presses a key, named by its set 2 code (see ps2-scan-codes.ts). A key that is down already repeats by itself. `repeats` false: it does not,
   * for keys that a program types, which knows nothing of how long the guest takes.
   */
  press(key: number, repeats = true): void {
    if (this.down.includes(key)) return;
    const held = [...this.down];
    // In sets 1 and 2 Pause sends all at once and is not known to be held.
    const isMomentary = key === pauseKey && this.set !== 3;
    if (!isMomentary) this.down.push(key);
    if (!this.scanning) return;
    this.queueKey(key, true, held);
    if (isMomentary) return;
    this.stopRepeating();
    if (!repeats || (this.set === 3 && (this.types[set3Code(key)] & keyType.typematic) === 0)) return;
    this.repeating = key;
    this.typematicTimer.at(this.clock.now() + typematicDelay(this.typematic));
  }

  release(key: number): void {
    const at = this.down.indexOf(key);
    if (at < 0) return;
    this.down.splice(at, 1);
    if (key === this.repeating) this.stopRepeating();
    if (this.scanning && (this.set !== 3 || (this.types[set3Code(key)] & keyType.breaks) !== 0)) this.queueKey(key, false, this.down);
  }

  hasByte(): boolean {
    return this.replies.length + this.keys.length > 0;
  }

  take(): number {
    this.lastSent = this.replies.length > 0 ? this.replies.shift()! : this.keys.shift()!;
    return this.lastSent;
  }

  write(byte: number): void {
    const awaitedBy = this.awaitsDataFor;
    this.awaitsDataFor = 0;
    // A command where data was expected is taken as a command.
    if (awaitedBy !== 0 && byte < command.setLeds) this.data(awaitedBy, byte);
    else this.command(byte);
  }

  /** As firmware leaves it after power-on: tested (its AAh taken) and scanning. */
  reset(): void {
    this.replies = [];
    this.down = [];
    this.ledBits = 0;
    this.awaitsDataFor = 0;
    this.lastSent = 0;
    this.selfTestTimer.cancel();
    this.setDefaults();
  }

  save(): SavedState {
    const { replies, keys, down, repeating, typematic, scanning, set, awaitsDataFor, lastSent, ledBits } = this;
    return {
      ...{ replies: [...replies], keys: [...keys], down: [...down], repeating, typematic, scanning, set, awaitsDataFor, lastSent, ledBits },
      types: this.types.slice(),
      typematicDeadline: savedDeadline(this.typematicTimer),
      selfTestDeadline: savedDeadline(this.selfTestTimer),
    };
  }

  restore(state: SavedState): void {
    const { typematicDeadline, selfTestDeadline, replies, keys, down, types, ...fields } = state;
    Object.assign(this, fields);
    this.types.set(types as Uint8Array);
    this.replies = [...(replies as number[])];
    this.keys = [...(keys as number[])];
    this.down = [...(down as number[])];
    restoreDeadline(this.typematicTimer, typematicDeadline as number | null);
    restoreDeadline(this.selfTestTimer, selfTestDeadline as number | null);
  }

  private command(byte: number): void {
    this.replies = [];
    if (byte === command.resend) {
      this.respond(this.lastSent);
      return;
    }
    if (byte === command.echo) {
      this.respond(reply.echo);
      return;
    }
    if (byte < command.setLeds || byte === 0xef || byte === 0xf1) {
      this.respond(reply.resend);
      return;
    }
    this.respond(reply.acknowledge);
    if (withData.includes(byte)) this.awaitsDataFor = byte;
    else this.execute(byte);
  }

  private execute(byte: number): void {
    if (byte >= command.allKeysFirst && byte <= command.allKeysLast) {
      this.keys = [];
      this.types.fill(typeByCommand[byte - command.allKeysFirst]);
    } else if (byte === command.identify) {
      for (const part of identity) this.respond(part);
    } else if (byte === command.enable) {
      this.keys = [];
      this.stopRepeating();
      this.scanning = true;
    } else if (byte === command.disable) {
      this.setDefaults();
      this.scanning = false;
    } else if (byte === command.defaults) this.setDefaults();
    else if (byte === command.reset) {
      this.setDefaults();
      this.ledBits = 0;
      this.selfTestTimer.at(this.clock.now() + selfTestNanoseconds);
    }
  }

  private data(commandByte: number, byte: number): void {
    if (commandByte === command.scanCodeSet && byte > 3) {
      this.respond(reply.resend);
      return;
    }
    this.respond(reply.acknowledge);
    if (commandByte === command.setLeds) this.ledBits = byte & 7;
    else if (commandByte === command.typematic) this.typematic = byte & 0x7f;
    else if (commandByte === command.scanCodeSet) {
      if (byte === 0) this.respond(this.set);
      else {
        this.keys = [];
        this.set = byte as 1 | 2 | 3;
      }
    } else {
      // A list of keys, to the next command.
      this.types[byte] = typeByCommand[commandByte - command.keyTypeFirst];
      this.awaitsDataFor = commandByte;
    }
  }

  private setDefaults(): void {
    this.keys = [];
    this.typematic = defaultTypematic;
    this.set = 2;
    this.types.fill(keyType.typematic);
    for (const code of breaksAtFirst) this.types[code] = keyType.breaks;
    for (const code of makesOnlyAtFirst) this.types[code] = 0;
    this.scanning = true;
    this.stopRepeating();
  }

  private respond(byte: number): void {
    this.replies.push(byte);
    this.onByte();
  }

  private queueKey(key: number, pressed: boolean, held: readonly number[]): void {
    const { keys } = this;
    if (keys.length > bufferBytes) return;
    const codes = scanCodes(key, pressed, this.set, held);
    if (keys.length + codes.length > bufferBytes) keys.push(overrun[this.set]);
    else keys.push(...codes);
    if (keys.length > 0) this.onByte();
  }

  private repeat(deadline: number): void {
    const rate = typematicPeriod(this.typematic);
    // A machine that comes late gets one repeat, not all it missed.
    this.typematicTimer.at(Math.max(deadline, this.clock.now() - rate) + rate);
    this.queueKey(this.repeating, true, this.down);
  }

  private stopRepeating(): void {
    this.repeating = 0;
    this.typematicTimer.cancel();
  }
}

/** Bits 6-5 of the typematic byte: 250 ms to 1 s. */
function typematicDelay(typematic: number): number {
  return ((typematic >> 5) + 1) * 250_000_000;
}

/** Bits 4-0: (8 + A) * 2^B * 4.17 ms, A in bits 2-0 and B in bits 4-3; from 30 to 2 characters a second. */
function typematicPeriod(typematic: number): number {
  return Math.ceil((8 + (typematic & 7)) * (1 << ((typematic >> 3) & 3)) * (1e9 / 240));
}
