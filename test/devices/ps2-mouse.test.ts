/** The PS/2 mouse against the IBM reference's command descriptions and Microsoft's wheel protocol. Bytes are written out as the documents print them. */
import { beforeEach, describe, expect, test } from "vitest";
import { I8042, keyByCode, mouseButtons, Ps2Keyboard, Ps2Mouse } from "../../runtime/devices/index.ts";
import { inb, outb, Probe, Random, TestClock } from "./support.ts";

let clock: TestClock;
let mouse: Ps2Mouse;
let keyboard: Ps2Keyboard;
let controller: I8042;
let irq1: Probe;
let irq12: Probe;

function create(): void {
  clock = new TestClock();
  irq1 = new Probe();
  irq12 = new Probe();
  keyboard = new Ps2Keyboard(clock);
  mouse = new Ps2Mouse(clock);
  const resetMachine = (): void => {};
  controller = new I8042({ clock, keyboard, keyboardIrq: irq1, aux: mouse, auxIrq: irq12, gateA20: new Probe(), resetMachine });
}
beforeEach(create);

/** What the mouse alone has to say within a time, read at once. */
function bytes(nanoseconds = 50e6): number[] {
  const found: number[] = [];
  const end = clock.now() + nanoseconds;
  for (;;) {
    while (mouse.hasByte()) found.push(mouse.take());
    if (clock.now() >= end) return found;
    clock.run(1e6);
  }
}

/** Sends bytes one at a time; returns all answers. */
function send(...values: number[]): number[] {
  return values.flatMap((value) => {
    mouse.write(value);
    return bytes(20e6);
  });
}

describe("commands", () => {
  test("reset: acknowledge, self test passed, id 0", () => expect(send(0xff)).toEqual([0xfa, 0xaa, 0x00]));

  test("status request: mode and buttons, resolution, sample rate; set defaults", () => {
    expect(send(0xe9)).toEqual([0xfa, 0x00, 0x02, 100]);
    send(0xf4, 0xe7, 0xe8, 0x03, 0xf3, 40);
    mouse.buttons = mouseButtons.left;
    bytes();
    expect(send(0xe9)).toEqual([0xfa, 0x20 | 0x10 | 0x04, 0x03, 40]);
    mouse.buttons = mouseButtons.right | mouseButtons.middle;
    expect(send(0xf0).slice(-1)).toEqual([0xfa]);
    expect(send(0xe9)).toEqual([0xfa, 0x40 | 0x20 | 0x10 | 0x02 | 0x01, 0x03, 40]);
    expect(send(0xf6)).toEqual([0xfa]);
    expect(send(0xe9)).toEqual([0xfa, 0x03, 0x02, 100]);
  });

  test("what is invalid: FEh, then FCh when the next is too", () => {
    expect(send(0x55)).toEqual([0xfe]);
    expect(send(0x55)).toEqual([0xfc]);
    expect(send(0xf2)).toEqual([0xfa, 0x00]);
    // A sample rate or resolution that does not exist, then a right one.
    expect(send(0xf3, 33)).toEqual([0xfa, 0xfe]);
    expect(send(60)).toEqual([0xfa]);
    expect(send(0xe8, 4)).toEqual([0xfa, 0xfe]);
    expect(send(1)).toEqual([0xfa]);
    expect(send(0xe9)).toEqual([0xfa, 0x00, 0x01, 60]);
  });

  test("resend repeats the last answer or packet", () => {
    send(0xe9);
    expect(send(0xfe)).toEqual([0xfa, 0x00, 0x02, 100]);
    send(0xf4);
    mouse.move(3, -2);
    expect(bytes()).toEqual([0x08, 3, 2]);
    expect(send(0xfe)).toEqual([0x08, 3, 2]);
  });

  test("wrap mode echoes all but reset and reset wrap", () => {
    expect(send(0xee, 0xf4, 0xe9, 0x00, 0xee)).toEqual([0xfa, 0xf4, 0xe9, 0x00, 0xee]);
    expect(send(0xec)).toEqual([0xfa]);
    expect(send(0xf2)).toEqual([0xfa, 0x00]);
    send(0xee);
    expect(send(0xff)).toEqual([0xfa, 0xaa, 0x00]);
    expect(send(0xf2)).toEqual([0xfa, 0x00]);
  });
});

describe("movement", () => {
  test("nothing before it is enabled, nor what happened meanwhile", () => {
    mouse.move(10, 10);
    expect(bytes()).toEqual([]);
    expect(send(0xf4)).toEqual([0xfa]);
    expect(bytes()).toEqual([]);
    mouse.move(1, 0);
    expect(bytes()).toEqual([0x08, 1, 0]);
    expect(send(0xf5)).toEqual([0xfa]);
    mouse.move(1, 0);
    expect(bytes()).toEqual([]);
  });

  test("signs: right and up are positive", () => {
    send(0xf4);
    mouse.move(-1, -1);
    expect(bytes()).toEqual([0x18, 0xff, 0x01]);
    mouse.move(5, 7);
    expect(bytes()).toEqual([0x28, 0x05, 0xf9]);
  });

  test("buttons: left bit 0, right bit 1, middle bit 2; a short click is two packets", () => {
    send(0xf4);
    for (const [button, bit] of [
      ["left", 1],
      ["right", 2],
      ["middle", 4],
    ] as const) {
      mouse.buttons = mouseButtons[button];
      mouse.buttons = 0;
      expect(bytes()).toEqual([0x08 | bit, 0, 0, 0x08, 0, 0]);
    }
  });

  test("a long way is several packets and loses nothing", () => {
    send(0xf4);
    mouse.move(600, -600);
    const all = bytes(100e6);
    let [x, y] = [0, 0];
    for (let i = 0; i < all.length; i += 3) {
      expect(all[i]! & 0xc8).toBe(0x08);
      x += all[i + 1]! - (all[i]! & 0x10 ? 256 : 0);
      y += all[i + 2]! - (all[i]! & 0x20 ? 256 : 0);
    }
    expect([x, y]).toEqual([600, 600]);
  });

  test("packets come no faster than the sample rate", () => {
    send(0xf3, 20, 0xf4);
    const start = clock.now();
    let packets = 0;
    while (clock.now() < start + 1e9) {
      mouse.move(1, 0);
      clock.run(1e6);
      if (!mouse.hasByte()) continue;
      packets++;
      while (mouse.hasByte()) mouse.take();
    }
    expect(packets).toBeGreaterThanOrEqual(19);
    expect(packets).toBeLessThanOrEqual(21);
  });

  test("scaling 2:1 in stream mode, not for Read Data", () => {
    send(0xe7, 0xf4);
    const table = [
      [1, 1],
      [2, 1],
      [3, 3],
      [4, 6],
      [5, 9],
      [6, 12],
      [20, 40],
    ] as const;
    for (const [moved, reported] of table) {
      mouse.move(moved, moved);
      expect(bytes()).toEqual([0x28, reported, 256 - reported]);
    }
    send(0xf0);
    mouse.move(5, 0);
    expect(send(0xeb)).toEqual([0xfa, 0x08, 5, 0]);
  });

  test("remote mode answers Read Data only; counters start anew with the mode", () => {
    send(0xf4);
    expect(send(0xf0)).toEqual([0xfa]);
    mouse.move(4, 4);
    expect(bytes()).toEqual([]);
    expect(send(0xeb)).toEqual([0xfa, 0x28, 4, 0xfc]);
    expect(send(0xeb)).toEqual([0xfa, 0x08, 0, 0]);
    mouse.move(4, 4);
    expect(send(0xea)).toEqual([0xfa]);
    expect(bytes()).toEqual([]);
    mouse.move(1, 1);
    expect(bytes()).toEqual([0x28, 1, 0xff]);
  });
});

describe("wheel and more buttons", () => {
  const knock = (a: number, b: number, c: number) => send(0xf3, a, 0xf3, b, 0xf3, c);

  test("200, 100, 80: id 3, four bytes, the wheel in the last; down is positive", () => {
    expect(send(0xf2)).toEqual([0xfa, 0]);
    knock(200, 100, 80);
    expect(send(0xf2)).toEqual([0xfa, 3]);
    send(0xf4);
    mouse.move(1, 0);
    expect(bytes()).toEqual([0x08, 1, 0, 0]);
    mouse.wheel(1);
    expect(bytes()).toEqual([0x08, 0, 0, 0x01]);
    mouse.wheel(-2);
    expect(bytes()).toEqual([0x08, 0, 0, 0xfe]);
    // Eight steps at most to a packet.
    mouse.wheel(-20);
    expect(bytes(100e6)).toEqual([0x08, 0, 0, 0xf8, 0x08, 0, 0, 0xf8, 0x08, 0, 0, 0xfc]);
  });

  test("200, 200, 80: id 4, two more buttons in bits 4 and 5", () => {
    knock(200, 100, 80);
    knock(200, 200, 80);
    expect(send(0xf2)).toEqual([0xfa, 4]);
    send(0xf4);
    mouse.buttons = mouseButtons.fourth;
    expect(bytes()).toEqual([0x08, 0, 0, 0x10]);
    mouse.buttons = mouseButtons.fifth | mouseButtons.left;
    expect(bytes()).toEqual([0x09, 0, 0, 0x20]);
    mouse.wheel(-1);
    expect(bytes()).toEqual([0x09, 0, 0, 0x2f]);
  });

  test("other series do not; a reset takes it back", () => {
    knock(200, 80, 100);
    knock(100, 80, 80);
    expect(send(0xf2)).toEqual([0xfa, 0]);
    knock(200, 100, 80);
    send(0xff);
    expect(send(0xf2)).toEqual([0xfa, 0]);
    send(0xf4);
    mouse.wheel(3);
    expect(bytes()).toEqual([]);
  });
});

describe("behind the 8042", () => {
  const status = () => inb(controller.control, 0);
  const aux = (value: number) => {
    outb(controller.control, 0, 0xd4);
    outb(controller.data, 0, value);
  };
  /** Everything that comes within a time, with the status bit that says whose it is. */
  const drain = (nanoseconds = 30e6): [boolean, number][] => {
    const found: [boolean, number][] = [];
    for (const end = clock.now() + nanoseconds; clock.now() < end; clock.run(1e5)) {
      while ((status() & 1) !== 0) found.push([(status() & 0x20) !== 0, inb(controller.data, 0)]);
    }
    return found;
  };
  const fromMouse = (...values: number[]) => values.map((value) => [true, value]);

  test("what Linux's psmouse does to find a wheel mouse", () => {
    outb(controller.control, 0, 0x60);
    outb(controller.data, 0, 0x47);
    aux(0xff);
    expect(drain()).toEqual(fromMouse(0xfa, 0xaa, 0x00));
    expect(irq12.rises).toBe(3);
    aux(0xf2);
    expect(drain()).toEqual(fromMouse(0xfa, 0x00));
    for (const rate of [200, 100, 80]) {
      aux(0xf3);
      expect(drain()).toEqual(fromMouse(0xfa));
      aux(rate);
      expect(drain()).toEqual(fromMouse(0xfa));
    }
    aux(0xf2);
    expect(drain()).toEqual(fromMouse(0xfa, 0x03));
    aux(0xf4);
    expect(drain()).toEqual(fromMouse(0xfa));
    expect(irq1.rises).toBe(0);
    mouse.move(-3, 0);
    expect(drain()).toEqual(fromMouse(0x18, 0xfd, 0, 0));
  });

  test("mouse and keyboard share the buffer, each with its interrupt and status bit; nothing of the mouse is translated", () => {
    outb(controller.control, 0, 0x60);
    outb(controller.data, 0, 0x47);
    aux(0xf4);
    drain();
    const [before1, before12] = [irq1.rises, irq12.rises];
    // 1Ch, the set 2 code of A, as movement.
    mouse.move(0x1c, 0);
    keyboard.press(keyByCode.get("KeyA")!);
    const found = drain();
    expect(found.filter(([isAux]) => isAux).map(([, value]) => value)).toEqual([0x08, 0x1c, 0]);
    expect(found.filter(([isAux]) => !isAux).map(([, value]) => value)).toEqual([0x1e]);
    expect([irq1.rises - before1, irq12.rises - before12]).toEqual([1, 3]);
  });

  test("disabled by A7h or the command byte's bit 5 it is held back, not lost; without bit 1 there is no interrupt", () => {
    outb(controller.control, 0, 0x60);
    outb(controller.data, 0, 0x45);
    aux(0xf4);
    drain();
    expect(irq12.rises).toBe(0);
    outb(controller.control, 0, 0xa7);
    mouse.move(1, 0);
    expect(drain()).toEqual([]);
    outb(controller.control, 0, 0xa8);
    expect(drain()).toEqual(fromMouse(0x08, 1, 0));
    expect(irq12.rises).toBe(0);
    outb(controller.control, 0, 0xa9);
    expect(drain()).toEqual([[false, 0x00]]);
    outb(controller.control, 0, 0xd3);
    outb(controller.data, 0, 0x99);
    expect(drain()).toEqual(fromMouse(0x99));
  });
});

test("save and restore at any moment; random bytes and hands cannot break it", () => {
  const random = new Random(1914);
  const step = (): number => {
    const choice = random.below(10);
    if (choice === 0) mouse.write(random.below(256));
    else if (choice === 1) mouse.write(random.pick([0xf3, 200, 100, 80, 0xf4, 0xf4, 0xf0, 0xea, 0xe7, 0xff, 0xee, 0xec]));
    else if (choice === 2) mouse.move(random.below(2000) - 1000, random.below(2000) - 1000);
    else if (choice === 3) mouse.wheel(random.below(40) - 20);
    else if (choice === 4) mouse.buttons = random.below(32);
    else if (choice === 5) clock.run(random.below(20e6));
    else if (mouse.hasByte()) return mouse.take();
    return -1;
  };
  for (let round = 0; round < 30; round++) {
    for (let i = 0; i < 3000; i++) {
      const value = step();
      if (!(Number.isInteger(value) && value >= -1 && value <= 255)) throw new Error(`took ${value}`);
    }
    expect(clock.armedTimers).toBeLessThanOrEqual(2);
    const states = structuredClone([clock.save(), mouse.save()]);
    const seed = random.next();
    const play = (): number[] => {
      const again = new Random(seed);
      return Array.from({ length: 300 }, () => {
        if (again.below(3) === 0) mouse.move(again.below(100) - 50, again.below(9));
        if (again.below(3) === 0) mouse.buttons = again.below(8);
        clock.run(again.below(5e6));
        return mouse.hasByte() ? mouse.take() : -1;
      });
    };
    const expected = play();
    create();
    clock.restore(states[0]!);
    mouse.restore(states[1]!);
    expect(play()).toEqual(expected);
  }
});

test("a million random accesses to the controller with both devices in use: values are bytes, nothing hangs or grows", () => {
  const random = new Random(8042);
  const codes = [0x60, 0x20, 0xa7, 0xa8, 0xa9, 0xaa, 0xad, 0xae, 0xd2, 0xd3, 0xd4, 0xd4, 0xd4];
  const data = [0x47, 0xf4, 0xf5, 0xff, 0xf3, 200, 100, 80, 0xf0, 0xed, 0x02];
  for (let i = 0; i < 1_000_000; i++) {
    const choice = random.below(32);
    if (choice === 0) clock.run(random.below(2_000_000));
    else if (choice === 1) keyboard.press(random.below(0x84));
    else if (choice === 2) keyboard.release(random.below(0x84));
    else if (choice === 3) mouse.move(random.below(9) - 4, random.below(9) - 4);
    else if (choice === 4) mouse.buttons = random.below(32);
    else if (choice < 10) outb(controller.control, 0, random.below(2) === 0 ? random.pick(codes) : random.below(256));
    else if (choice < 20) outb(controller.data, 0, random.below(2) === 0 ? random.pick(data) : random.below(256));
    else {
      const value = inb(random.below(2) === 0 ? controller.data : controller.control, 0);
      if (!(value >= 0 && value <= 255)) throw new Error(`read ${value}`);
    }
  }
  expect(clock.armedTimers).toBeLessThanOrEqual(5);
  for (const state of [controller.save(), mouse.save(), keyboard.save()]) expect(JSON.stringify(state).length).toBeLessThan(3000);
});
