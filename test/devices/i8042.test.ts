import { beforeEach, describe, expect, test } from "vitest";
import { I8042, keyByCode, Port92, type Ps2Device, Ps2Keyboard, pauseKey, WiredOr } from "../../runtime/devices/index.ts";
import { scanCodes, set2ToSet1 } from "../../runtime/devices/ps2-scan-codes.ts";
import { inb, outb, Probe, TestClock } from "./support.ts";

let clock: TestClock;
let irq: Probe;
let auxIrq: Probe;
let gateA20: Probe;
let resets: number;
let keyboard: Ps2Keyboard;
let controller: I8042;

/** A device that echoes what it is sent. */
class EchoDevice implements Ps2Device {
  onByte = () => {};
  queue: number[] = [];
  write(byte: number): void {
    this.queue.push(byte);
    this.onByte();
  }
  hasByte(): boolean {
    return this.queue.length > 0;
  }
  take(): number {
    return this.queue.shift()!;
  }
}

function create(aux?: Ps2Device): void {
  clock = new TestClock();
  irq = new Probe();
  auxIrq = new Probe();
  gateA20 = new Probe();
  resets = 0;
  keyboard = new Ps2Keyboard(clock);
  controller = new I8042({ clock, keyboard, keyboardIrq: irq, aux, auxIrq, gateA20, resetMachine: () => resets++ });
}

beforeEach(() => create());

const status = () => inb(controller.control, 0);
const read = () => inb(controller.data, 0);

/** A controller command with a parameter or none; the reply if there is one. */
function command(code: number, ...parameters: number[]): number | null {
  outb(controller.control, 0, code);
  for (const parameter of parameters) outb(controller.data, 0, parameter);
  return (status() & 1) !== 0 ? read() : null;
}

/** Everything that comes within a time. */
function drain(nanoseconds = 20e6): number[] {
  const bytes: number[] = [];
  const end = clock.now() + nanoseconds;
  while (clock.now() < end) {
    clock.run(100_000);
    while ((status() & 1) !== 0) bytes.push(read());
  }
  return bytes;
}

/** To the keyboard, and what it answers. */
function keyboardCommand(...bytes: number[]): number[] {
  const answers: number[] = [];
  for (const byte of bytes) {
    outb(controller.data, 0, byte);
    answers.push(...drain());
  }
  return answers;
}

describe("controller", () => {
  test("self test, interface test, command byte", () => {
    expect(status() & 0x15).toBe(0x14);
    expect(command(0xaa)).toBe(0x55);
    expect(command(0xab)).toBe(0x00);
    expect(command(0x20)).toBe(0x65);
    expect(command(0x60, 0x30)).toBe(null);
    expect(command(0x20)).toBe(0x30);
    expect(status() & 0x04).toBe(0);
    expect(command(0xc0)).toBe(0x80);
  });

  test("the controller's RAM", () => {
    command(0x65, 0x99);
    expect(command(0x25)).toBe(0x99);
    expect(command(0x26)).toBe(0x00);
  });

  test("the command/data flag tells which port was written last", () => {
    outb(controller.control, 0, 0x60);
    expect(status() & 0x08).toBe(0x08);
    outb(controller.data, 0, 0x65);
    expect(status() & 0x08).toBe(0);
  });

  test("enabling and disabling the keyboard shows in the command byte, and holds its bytes back", () => {
    command(0xad);
    expect(command(0x20)! & 0x10).toBe(0x10);
    keyboard.press(keyByCode.get("KeyA")!);
    expect(drain()).toEqual([]);
    command(0xae);
    expect(drain()).toEqual([0x1e]);
  });

  test("output port: A20 through D1h, DDh and DFh; reset through D1h and FEh", () => {
    expect(gateA20.high).toBe(true);
    command(0xd1, 0xdd);
    expect(gateA20.high).toBe(false);
    expect(command(0xd0)! & 0x03).toBe(0x01);
    command(0xd1, 0xdf);
    expect(gateA20.high).toBe(true);
    command(0xdd);
    expect(gateA20.high).toBe(false);
    command(0xdf);
    expect(gateA20.high).toBe(true);
    expect(resets).toBe(0);
    outb(controller.control, 0, 0xff);
    expect(resets).toBe(0);
    outb(controller.control, 0, 0xfe);
    expect(resets).toBe(1);
    command(0xd1, 0xde);
    expect(resets).toBe(2);
  });

  test("IRQ1 while the output buffer is full and its interrupt enabled; reading again gives the same byte", () => {
    keyboard.press(keyByCode.get("Enter")!);
    expect(irq.high).toBe(false);
    clock.run(1e6);
    expect(irq.high).toBe(true);
    expect(status() & 0x21).toBe(0x01);
    expect([read(), read()]).toEqual([0x1c, 0x1c]);
    expect(irq.high).toBe(false);
    command(0x60, 0x64);
    keyboard.release(keyByCode.get("Enter")!);
    // Two bytes on the link: F0h, which the translation swallows, and the code.
    clock.run(2e6);
    expect(status() & 1).toBe(1);
    expect(irq.high).toBe(false);
    command(0x60, 0x65);
  });

  test("each byte of a sequence makes its own edge", () => {
    keyboard.press(keyByCode.get("ArrowUp")!);
    keyboard.release(keyByCode.get("ArrowUp")!);
    expect(drain()).toEqual([0xe0, 0x48, 0xe0, 0xc8]);
    expect(irq.rises).toBe(4);
  });

  test("D2h puts a byte into the output buffer as if from the keyboard", () => {
    expect(command(0xd2, 0x77)).toBe(0x77);
    expect(irq.rises).toBe(1);
  });

  test("without translation the keyboard's own set 2 comes through", () => {
    command(0x60, 0x25);
    keyboard.press(keyByCode.get("KeyA")!);
    keyboard.release(keyByCode.get("KeyA")!);
    expect(drain()).toEqual([0x1c, 0xf0, 0x1c]);
  });
});

describe("aux port", () => {
  test("absent: Linux's probe finds out at once", () => {
    // i8042_check_aux: AUX_LOOP must come back flagged as aux data; else AUX_TEST must pass.
    outb(controller.control, 0, 0xd3);
    outb(controller.data, 0, 0x5a);
    expect(status() & 0x21).toBe(0x01);
    read();
    const test = command(0xa9);
    expect(test).not.toBe(null);
    expect([0x00, 0xfa, 0xff]).not.toContain(test);
    expect(command(0xd4, 0xff)).toBe(null);
    expect(drain()).toEqual([]);
  });

  test("present: loop, test, enable bits, traffic with IRQ12", () => {
    create(new EchoDevice());
    outb(controller.control, 0, 0xd3);
    outb(controller.data, 0, 0x5a);
    expect(status() & 0x21).toBe(0x21);
    expect(read()).toBe(0x5a);
    expect(command(0xa9)).toBe(0x00);
    command(0xa7);
    expect(command(0x20)! & 0x20).toBe(0x20);
    command(0xa8);
    expect(command(0x20)! & 0x20).toBe(0);
    command(0x60, 0x47);
    outb(controller.control, 0, 0xd4);
    outb(controller.data, 0, 0xf2);
    clock.run(1e6);
    expect(auxIrq.high).toBe(true);
    expect(irq.high).toBe(false);
    // Not translated, though translation is on.
    expect(read()).toBe(0xf2);
    expect(auxIrq.high).toBe(false);
  });
});

describe("keyboard", () => {
  test("reset: acknowledge, then the self test's result", () => {
    expect(keyboardCommand(0xff)).toEqual([0xfa, 0xaa]);
  });

  test("identify: AB 83, which the translation turns into AB 41", () => {
    expect(keyboardCommand(0xf2)).toEqual([0xfa, 0xab, 0x41]);
    command(0x60, 0x24);
    expect(keyboardCommand(0xf2)).toEqual([0xfa, 0xab, 0x83]);
  });

  test("LEDs, echo, resend, unknown commands", () => {
    expect(keyboardCommand(0xed, 0x05)).toEqual([0xfa, 0xfa]);
    expect(keyboard.leds).toBe(5);
    expect(keyboardCommand(0xee)).toEqual([0xee]);
    expect(keyboardCommand(0xfe)).toEqual([0xee]);
    expect(keyboardCommand(0x00)).toEqual([0xfe]);
    // A command instead of the data byte is a command.
    expect(keyboardCommand(0xed, 0xf4)).toEqual([0xfa, 0xfa]);
    expect(keyboard.leds).toBe(5);
  });

  test("scan code set: query, select 1, no set 4", () => {
    command(0x60, 0x24);
    expect(keyboardCommand(0xf0, 0x00)).toEqual([0xfa, 0xfa, 0x02]);
    expect(keyboardCommand(0xf0, 0x01)).toEqual([0xfa, 0xfa]);
    keyboard.press(keyByCode.get("KeyA")!);
    keyboard.release(keyByCode.get("KeyA")!);
    expect(drain()).toEqual([0x1e, 0x9e]);
    expect(keyboardCommand(0xf0, 0x04)).toEqual([0xfa, 0xfe]);
    expect(keyboardCommand(0xf6)).toEqual([0xfa]);
    expect(keyboardCommand(0xf0, 0x00)).toEqual([0xfa, 0xfa, 0x02]);
  });

  test("disabled, it sends no keys but answers", () => {
    expect(keyboardCommand(0xf5)).toEqual([0xfa]);
    keyboard.press(keyByCode.get("KeyA")!);
    expect(drain()).toEqual([]);
    keyboard.release(keyByCode.get("KeyA")!);
    expect(keyboardCommand(0xf4)).toEqual([0xfa]);
    keyboard.press(keyByCode.get("KeyB")!);
    expect(drain()).toEqual([0x30]);
  });

  test("typematic: 500 ms, then 10.9 a second; programmable; ends with the release", () => {
    const key = keyByCode.get("KeyA")!;
    keyboard.press(key);
    keyboard.press(key);
    expect(drain(450e6)).toEqual([0x1e]);
    expect(drain(1050e6).length).toBe(11);
    keyboard.release(key);
    expect(drain(1e9)).toEqual([0x9e]);
    expect(keyboardCommand(0xf3, 0x00)).toEqual([0xfa, 0xfa]);
    keyboard.press(key);
    expect(drain(1250e6 + 5e6).length).toBe(1 + 31);
    keyboard.release(key);
    drain();
    expect(clock.armedTimers).toBe(0);
  });

  test("a full buffer ends in one overrun code, and goes on after it is read", () => {
    for (const code of ["KeyA", "KeyB", "KeyC", "KeyD", "KeyE", "KeyF", "KeyG", "KeyH"]) {
      keyboard.press(keyByCode.get(code)!);
      keyboard.release(keyByCode.get(code)!);
    }
    command(0x60, 0x25);
    const bytes = drain(40e6);
    expect(bytes.length).toBeLessThanOrEqual(18);
    expect(bytes.filter((byte) => byte === 0x00).length).toBe(1);
    expect(bytes.at(-1)).toBe(0x00);
    keyboard.press(keyByCode.get("KeyZ")!);
    expect(drain()).toEqual([0x1a]);
  });

  test("pause sends its one long code", () => {
    keyboard.press(pauseKey);
    keyboard.release(pauseKey);
    expect(drain()).toEqual([0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]);
  });
});

test("the translation takes each key's set 2 code to its set 1 code", () => {
  // Pairs as printed in the scan code tables of the IBM reference.
  for (const [code, set1] of Object.entries({
    Escape: 0x01,
    Digit1: 0x02,
    KeyQ: 0x10,
    Enter: 0x1c,
    ControlLeft: 0x1d,
    KeyA: 0x1e,
    ShiftLeft: 0x2a,
  })) {
    expect(scanCodes(keyByCode.get(code)!, true, 1)).toEqual([set1]);
  }
  for (const [code, set1] of Object.entries({
    ShiftRight: 0x36,
    Space: 0x39,
    F1: 0x3b,
    F7: 0x41,
    F10: 0x44,
    NumLock: 0x45,
    Numpad5: 0x4c,
    F12: 0x58,
  })) {
    expect(scanCodes(keyByCode.get(code)!, true, 1)).toEqual([set1]);
  }
  expect(scanCodes(keyByCode.get("Delete")!, false, 1)).toEqual([0xe0, 0xd3]);
  expect(scanCodes(keyByCode.get("Delete")!, false, 2)).toEqual([0xe0, 0xf0, 0x71]);
  const keys = [...keyByCode.values()];
  expect(new Set(keys).size).toBe(keys.length);
  const translated = keys.map((key) => (key & 0xffff00) | set2ToSet1[key & 0xff]);
  expect(new Set(translated).size).toBe(keys.length);
});

describe("port 92h", () => {
  test("gates A20 together with the 8042 and resets on a rising bit 0", () => {
    const a20 = new Probe();
    const wire = new WiredOr(a20);
    let resets = 0;
    const port = new Port92(wire.driver(), () => resets++);
    const other = wire.driver();
    outb(port.registers, 0, 0x02);
    expect(a20.high).toBe(true);
    expect(inb(port.registers, 0)).toBe(0x02);
    other.set(true);
    outb(port.registers, 0, 0x00);
    expect(a20.high).toBe(true);
    outb(port.registers, 0, 0x03);
    outb(port.registers, 0, 0x03);
    expect(resets).toBe(1);
    const state = port.save();
    port.reset();
    expect(inb(port.registers, 0)).toBe(0);
    port.restore(state);
    expect(inb(port.registers, 0)).toBe(0x03);
  });
});

test("save and restore with keys in flight", () => {
  keyboard.press(keyByCode.get("ArrowUp")!);
  clock.run(700_000);
  outb(controller.control, 0, 0x20);
  const states = structuredClone([clock.save(), keyboard.save(), controller.save()]);
  const first = drain(700e6);
  create();
  clock.restore(states[0]);
  keyboard.restore(states[1]);
  controller.restore(states[2]);
  expect(irq.high).toBe(true);
  expect(drain(700e6)).toEqual(first);
  expect(first.slice(0, 3)).toEqual([0xe0, 0x65, 0x48]);
});
