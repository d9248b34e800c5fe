/**
 * The machine's keyboard for programs: text is typed as a patient person would type it. A key goes out when the guest has read the one before, so that the
 * keyboard's 16-byte buffer never overruns, and when a guest that uses the BIOS has taken most of what waits in the BIOS's own buffer. Keys that
 * programs type do not repeat, however long the guest takes; a key held by `down` does, as on a real keyboard.
 */
import type { Clock, Timer } from "../../runtime/devices/device.ts";
import type { Ps2Keyboard } from "../../runtime/devices/ps2-keyboard.ts";
import { keyByCode } from "../../runtime/devices/ps2-scan-codes.ts";
import { parseKeys, parseText } from "./key-layout.ts";
import { MachineError } from "./options.ts";

/** Guest time between two events of keys. */
const gap = 4_000_000;
/** How often to look whether a guest that does not read has begun to; after `patience`, less often. */
const patience = 1_000_000_000;
const slowGap = 50_000_000;
/** Guest time after which a BIOS buffer that nobody reads is taken for left over. */
const biosPatience = 10_000_000_000;
/** Of the 15 keys the BIOS's buffer holds, as many may wait when another is pressed. */
const biosKeysWaiting = 8;
/** Keys held down by hand that wait; more is a guest that does not read. */
const handLimit = 64;

interface KeyEvent {
  readonly key: number;
  readonly action: "press" | "release" | "hold";
  readonly done?: () => void;
}

/** The BIOS keyboard buffer (IBM PC/AT BIOS data area, 40:1Ah-3Dh): offsets of its first key and of the place behind its last. */
export interface BiosKeyBuffer {
  readonly head: number;
  readonly tail: number;
}

export interface KeyboardHost {
  readonly keyboard: Ps2Keyboard;
  /** Whether the controller has passed on all that it was sent. */
  readonly isControllerIdle: () => boolean;
  readonly clock: Clock;
  readonly biosBuffer: () => BiosKeyBuffer;
  /** Guest time has something to wait for that it did not have before. */
  readonly wake: () => void;
}

export class Keyboard {
  readonly #host: KeyboardHost;
  readonly #timer: Timer;
  #events: KeyEvent[] = [];
  /** Guest time of the last event, and of the last one that the guest has not yet read. */
  #lastEvent = 0;
  readonly #bios: BiosPace;
  #isClosed = false;

  constructor(host: KeyboardHost) {
    this.#host = host;
    this.#timer = host.clock.timer(() => this.#step());
    this.#bios = new BiosPace(host.biosBuffer);
  }

  /** Types text on a US keyboard; "\n" is Enter. Resolves when the guest has read it all, when the run has ended, and at once when the machine is destroyed. Errors: `MachineError`. */
  type(text: string): Promise<void> {
    return this.#strike(parseText(text));
  }

  /** The same with keys between braces: "root{Enter}", "{F12}", "{Ctrl-Alt-Delete}", "{{" for a brace. Errors: `MachineError`. */
  sendKeys(text: string): Promise<void> {
    return this.#strike(parseKeys(text, isKey));
  }

  /** Presses keys together, by KeyboardEvent.code, in order, and releases them in reverse. Errors: `MachineError`. */
  press(...codes: string[]): Promise<void> {
    return this.#strike([codes]);
  }

  /** Holds a key down, by KeyboardEvent.code; it repeats until `up`. Errors: `MachineError`. */
  down(code: string): void {
    const key = keyOf(code);
    if (this.#isClosed || this.#events.length >= handLimit) return;
    this.#add({ key, action: "hold" });
  }

  up(code: string): void {
    const key = keyOf(code);
    if (!this.#isClosed) this.#add({ key, action: "release" });
  }

  /** Scroll lock, num lock and caps lock, as the guest has set its lights. */
  get lights(): { readonly scrollLock: boolean; readonly numLock: boolean; readonly capsLock: boolean } {
    const { leds } = this.#host.keyboard;
    return { scrollLock: (leds & 1) !== 0, numLock: (leds & 2) !== 0, capsLock: (leds & 4) !== 0 };
  }

  /**
   * Forgets what waits: the guest is no more.
   * @internal
   */
  clear(): void {
    const events = this.#events;
    this.#events = [];
    this.#timer.cancel();
    for (const event of events) event.done?.();
  }

  /**
   * The machine is destroyed: nobody will read a key.
   * @internal
   */
  close(): void {
    this.clear();
    this.#isClosed = true;
  }

  #strike(chords: readonly (readonly string[])[]): Promise<void> {
    const keys = chords.map((chord) => chord.map(keyOf));
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const events = keys.flatMap((chord): KeyEvent[] => [
        ...chord.map((key): KeyEvent => ({ key, action: "press" })),
        ...chord.toReversed().map((key): KeyEvent => ({ key, action: "release" })),
      ]);
      const last = events.pop();
      if (last === undefined) return resolve();
      for (const event of events) this.#add(event);
      this.#add({ ...last, done: resolve });
    });
  }

  #add(event: KeyEvent): void {
    this.#events.push(event);
    if (this.#timer.deadline !== Number.POSITIVE_INFINITY) return;
    const { clock, wake } = this.#host;
    this.#timer.at(Math.max(clock.now(), this.#lastEvent + gap));
    wake();
  }

  /** Sends the next event if the guest is ready for it, and looks again later if there is more. */
  #step(): void {
    const { keyboard, clock, isControllerIdle } = this.#host;
    const now = clock.now();
    const event = this.#events[0];
    if (event === undefined) return;
    const isRead = keyboard.ready && isControllerIdle();
    if (!isRead || (event.action !== "release" && !this.#bios.hasRoom(now))) {
      this.#timer.at(now + (now - this.#lastEvent > patience ? slowGap : gap));
      return;
    }
    this.#events.shift();
    this.#lastEvent = now;
    if (event.action === "release") keyboard.release(event.key);
    else {
      this.#bios.pressed(now);
      keyboard.press(event.key, event.action === "hold");
    }
    event.done?.();
    if (this.#events.length > 0) this.#timer.at(now + gap);
  }
}

/**
 * Whether the BIOS's buffer has room. Who does not know whether the guest uses the BIOS can see it: the keys pressed so far moved the buffer's tail. A guest
 * that takes the keyboard over leaves a buffer that never changes again; after a while it is not looked at any more.
 */
class BiosPace {
  readonly #buffer: () => BiosKeyBuffer;
  #tailBefore = -1;
  #isUsed = false;
  #head = -1;
  #headMoved = 0;

  constructor(buffer: () => BiosKeyBuffer) {
    this.#buffer = buffer;
  }

  pressed(now: number): void {
    const { head, tail } = this.#buffer();
    this.#tailBefore = tail;
    if (head !== this.#head) this.#headMoved = now;
    this.#head = head;
  }

  hasRoom(now: number): boolean {
    const { head, tail } = this.#buffer();
    const [first, end] = [0x1e, 0x3e];
    const isBuffer = [head, tail].every((offset) => offset >= first && offset < end && (offset & 1) === 0);
    if (!isBuffer) return true;
    if (this.#tailBefore >= 0 && tail !== this.#tailBefore) this.#isUsed = true;
    if (head !== this.#head) {
      this.#head = head;
      this.#headMoved = now;
    }
    if (!this.#isUsed) return true;
    const waiting = ((tail - head + (end - first)) % (end - first)) / 2;
    if (waiting < biosKeysWaiting) return true;
    if (now - this.#headMoved < biosPatience) return false;
    this.#isUsed = false;
    return true;
  }
}

/** Whether the keyboard has a key of this KeyboardEvent.code. */
export function isKey(code: string): boolean {
  return keyByCode.has(code);
}

function keyOf(code: string): number {
  const key = keyByCode.get(code);
  if (key === undefined) throw new MachineError(`no key "${code}"; expected a KeyboardEvent.code such as KeyA, Enter, ControlLeft or F12`);
  return key;
}
