import { beforeEach, describe, expect, test } from "vitest";
import { Pic8259 } from "../../runtime/devices/index.ts";
import { inb, outb, Probe } from "./support.ts";

/** Facts from the 8259A datasheet (Intel 231468) and the 82371AB's chapter on its interrupt controller. */

const readRequests = 0x0a;
const readInService = 0x0b;
const endOfInterrupt = 0x20;
const poll = 0x0c;

let output: Probe;
let pic: Pic8259;

/** As a PC does: vectors 20h and 28h, cascade at IR2, 8086 mode; everything unmasked. */
function initialize(word4 = 0x01): void {
  for (const [chip, base, word3] of [
    [pic.master, 0x20, 0x04],
    [pic.slave, 0x28, 0x02],
  ] as const) {
    outb(chip, 0, 0x11);
    outb(chip, 1, base);
    outb(chip, 1, word3);
    outb(chip, 1, word4);
    outb(chip, 1, 0x00);
  }
}

function register(chip: Pic8259["master"], which: number): number {
  outb(chip, 0, which);
  return inb(chip, 0);
}

beforeEach(() => {
  output = new Probe();
  pic = new Pic8259(output);
  initialize();
});

describe("edge-triggered requests", () => {
  test("request, acknowledge, end of interrupt", () => {
    const line = pic.irq(4);
    line.set(true);
    expect(output.high).toBe(true);
    expect(register(pic.master, readRequests)).toBe(0x10);
    expect(pic.acknowledge()).toBe(0x24);
    expect(output.high).toBe(false);
    expect(register(pic.master, readRequests)).toBe(0);
    expect(register(pic.master, readInService)).toBe(0x10);
    outb(pic.master, 0, endOfInterrupt);
    expect(register(pic.master, readInService)).toBe(0);
    // Still high, but there was no new edge.
    expect(output.high).toBe(false);
    line.set(false);
    line.set(true);
    expect(output.high).toBe(true);
  });

  test("a request that goes away before the acknowledge leaves the default IR7, without an in-service bit", () => {
    const line = pic.irq(3);
    line.set(true);
    line.set(false);
    expect(output.high).toBe(false);
    expect(pic.acknowledge()).toBe(0x27);
    expect(register(pic.master, readInService)).toBe(0);
  });

  test("two drivers of one request are wired together", () => {
    const first = pic.irq(4);
    const second = pic.irq(4);
    first.set(true);
    pic.acknowledge();
    outb(pic.master, 0, endOfInterrupt);
    second.set(true);
    expect(output.high).toBe(false);
    first.set(false);
    expect(register(pic.master, readRequests)).toBe(0);
    second.set(false);
    second.set(true);
    expect(pic.acknowledge()).toBe(0x24);
  });

  test("IRQ2 is the cascade, and nobody else's", () => {
    expect(() => pic.irq(2)).toThrow(RangeError);
    expect(() => pic.irq(16)).toThrow(RangeError);
  });
});

describe("priority", () => {
  test("fully nested: a higher request interrupts, a lower one waits", () => {
    pic.irq(5).set(true);
    expect(pic.acknowledge()).toBe(0x25);
    pic.irq(6).set(true);
    expect(output.high).toBe(false);
    pic.irq(1).set(true);
    expect(output.high).toBe(true);
    expect(pic.acknowledge()).toBe(0x21);
    expect(register(pic.master, readInService)).toBe(0x22);
    // A non-specific EOI ends the highest, IR1.
    outb(pic.master, 0, endOfInterrupt);
    expect(register(pic.master, readInService)).toBe(0x20);
    expect(output.high).toBe(false);
    outb(pic.master, 0, endOfInterrupt);
    expect(pic.acknowledge()).toBe(0x26);
  });

  test("specific EOI ends the named level", () => {
    pic.irq(5).set(true);
    pic.acknowledge();
    pic.irq(1).set(true);
    pic.acknowledge();
    outb(pic.master, 0, 0x60 | 5);
    expect(register(pic.master, readInService)).toBe(0x02);
  });

  test("the mask holds requests back but keeps them", () => {
    outb(pic.master, 1, 0x10);
    expect(inb(pic.master, 1)).toBe(0x10);
    pic.irq(4).set(true);
    expect(output.high).toBe(false);
    outb(pic.master, 1, 0);
    expect(output.high).toBe(true);
    outb(pic.master, 1, 0x10);
    expect(output.high).toBe(false);
  });

  test("rotation on non-specific EOI makes the served level the lowest", () => {
    const four = pic.irq(4);
    four.set(true);
    pic.acknowledge();
    outb(pic.master, 0, 0xa0);
    // Order is now 5 6 7 0 1 2 3 4.
    four.set(false);
    four.set(true);
    pic.irq(3).set(true);
    pic.irq(7).set(true);
    expect(pic.acknowledge()).toBe(0x27);
    outb(pic.master, 0, endOfInterrupt);
    expect(pic.acknowledge()).toBe(0x23);
    outb(pic.master, 0, endOfInterrupt);
    expect(pic.acknowledge()).toBe(0x24);
  });

  test("set priority and rotation on specific EOI name the lowest level", () => {
    outb(pic.master, 0, 0xc0 | 5);
    pic.irq(0).set(true);
    pic.irq(6).set(true);
    expect(pic.acknowledge()).toBe(0x26);
    outb(pic.master, 0, 0xe0 | 6);
    expect(register(pic.master, readInService)).toBe(0);
    pic.irq(7).set(true);
    expect(pic.acknowledge()).toBe(0x27);
  });

  test("special mask mode lets lower levels in while a masked one is in service", () => {
    pic.irq(3).set(true);
    pic.acknowledge();
    outb(pic.master, 0, 0x68);
    pic.irq(6).set(true);
    expect(output.high).toBe(false);
    outb(pic.master, 1, 0x08);
    expect(output.high).toBe(true);
    expect(pic.acknowledge()).toBe(0x26);
    // "An IS bit that is masked by an IMR bit will not be cleared by a non-specific EOI".
    outb(pic.master, 0, endOfInterrupt);
    expect(register(pic.master, readInService)).toBe(0x08);
    outb(pic.master, 0, endOfInterrupt);
    expect(register(pic.master, readInService)).toBe(0x08);
    outb(pic.master, 0, 0x48);
    outb(pic.master, 0, endOfInterrupt);
    expect(register(pic.master, readInService)).toBe(0);
  });
});

describe("automatic end of interrupt", () => {
  beforeEach(() => initialize(0x03));

  test("nothing stays in service", () => {
    pic.irq(4).set(true);
    pic.irq(5).set(true);
    expect(pic.acknowledge()).toBe(0x24);
    expect(register(pic.master, readInService)).toBe(0);
    expect(output.high).toBe(true);
    expect(pic.acknowledge()).toBe(0x25);
  });

  test("rotates when told to, until told not to", () => {
    outb(pic.master, 0, 0x80);
    const four = pic.irq(4);
    four.set(true);
    pic.acknowledge();
    four.set(false);
    four.set(true);
    pic.irq(6).set(true);
    expect(pic.acknowledge()).toBe(0x26);
    outb(pic.master, 0, 0x00);
    expect(pic.acknowledge()).toBe(0x24);
    pic.irq(7).set(true);
    pic.irq(3).set(true);
    // Lowest is still 6: order 7 0 1 2 3 4 5 6.
    expect(pic.acknowledge()).toBe(0x27);
  });

  test("two requests at the slave both arrive, though INT has to fall in between", () => {
    pic.irq(9).set(true);
    pic.irq(10).set(true);
    expect(pic.acknowledge()).toBe(0x29);
    expect(output.high).toBe(true);
    expect(pic.acknowledge()).toBe(0x2a);
    expect(output.high).toBe(false);
  });
});

describe("cascade", () => {
  test("a slave request takes both chips into service", () => {
    pic.irq(8).set(true);
    expect(register(pic.master, readRequests)).toBe(0x04);
    expect(pic.acknowledge()).toBe(0x28);
    expect(register(pic.master, readInService)).toBe(0x04);
    expect(register(pic.slave, readInService)).toBe(0x01);
    outb(pic.slave, 0, endOfInterrupt);
    outb(pic.master, 0, endOfInterrupt);
    expect(output.high).toBe(false);
  });

  test("IRQ8-15 rank between IRQ1 and IRQ3", () => {
    pic.irq(3).set(true);
    pic.irq(14).set(true);
    pic.irq(1).set(true);
    expect(pic.acknowledge()).toBe(0x21);
    outb(pic.master, 0, endOfInterrupt);
    expect(pic.acknowledge()).toBe(0x2e);
    outb(pic.slave, 0, endOfInterrupt);
    outb(pic.master, 0, endOfInterrupt);
    expect(pic.acknowledge()).toBe(0x23);
  });

  test("a slave request that vanishes is gone at the master too: the default is the master's IR7", () => {
    const nine = pic.irq(9);
    nine.set(true);
    expect(output.high).toBe(true);
    nine.set(false);
    expect(register(pic.master, readRequests)).toBe(0);
    expect(pic.acknowledge()).toBe(0x27);
    nine.set(true);
    outb(pic.slave, 1, 0x02);
    expect(output.high).toBe(false);
    outb(pic.slave, 1, 0x00);
    expect(pic.acknowledge()).toBe(0x29);
  });

  test("special fully nested mode: the slave's higher request interrupts its lower one", () => {
    const twelve = pic.irq(12);
    const eight = pic.irq(8);
    twelve.set(true);
    expect(pic.acknowledge()).toBe(0x2c);
    eight.set(true);
    // Normally the master has its IR2 in service and holds the slave back.
    expect(output.high).toBe(false);
    twelve.set(false);
    eight.set(false);
    initialize(0x11);
    pic.irq(13).set(true);
    expect(pic.acknowledge()).toBe(0x2d);
    pic.irq(9).set(true);
    expect(output.high).toBe(true);
    expect(pic.acknowledge()).toBe(0x29);
    pic.irq(3).set(true);
    expect(output.high).toBe(false);
  });
});

describe("level-triggered requests", () => {
  test("ask again after EOI for as long as the pin is high", () => {
    outb(pic.edgeLevel, 1, 0x02);
    const line = pic.irq(9);
    line.set(true);
    for (let i = 0; i < 3; i++) {
      expect(pic.acknowledge()).toBe(0x29);
      expect(output.high).toBe(false);
      outb(pic.slave, 0, endOfInterrupt);
      outb(pic.master, 0, endOfInterrupt);
      expect(output.high).toBe(true);
    }
    line.set(false);
    expect(output.high).toBe(false);
  });

  test("a pin made level-triggered while high requests at once; made edge-triggered it does not", () => {
    pic.irq(5).set(true);
    pic.acknowledge();
    outb(pic.master, 0, endOfInterrupt);
    expect(output.high).toBe(false);
    outb(pic.edgeLevel, 0, 0x20);
    expect(output.high).toBe(true);
    outb(pic.edgeLevel, 0, 0x00);
    expect(output.high).toBe(false);
  });

  test("IRQ 0, 1, 2, 8 and 13 stay edge-triggered", () => {
    pic.edgeLevel.write(0, 2, 0xffff);
    expect(pic.edgeLevel.read(0, 2)).toBe(0xdef8);
  });
});

describe("poll", () => {
  test("a read after the poll command is an acknowledge", () => {
    pic.irq(6).set(true);
    outb(pic.master, 0, poll);
    expect(inb(pic.master, 0)).toBe(0x86);
    expect(register(pic.master, readInService)).toBe(0x40);
    outb(pic.master, 0, endOfInterrupt);
    outb(pic.master, 0, poll);
    expect(inb(pic.master, 0) & 0x80).toBe(0);
    // One read only; then the register selected before is back.
    outb(pic.master, 0, readRequests);
    expect(inb(pic.master, 0)).toBe(0);
  });
});

describe("initialization", () => {
  test("ICW1 clears mask, service, edge latches and priority, and selects the IRR", () => {
    const line = pic.irq(4);
    line.set(true);
    pic.acknowledge();
    outb(pic.master, 1, 0xff);
    outb(pic.master, 0, 0xc0 | 3);
    outb(pic.master, 0, readInService);
    initialize();
    expect(inb(pic.master, 0)).toBe(0);
    expect(register(pic.master, readInService)).toBe(0);
    expect(inb(pic.master, 1)).toBe(0);
    // "Following initialization, an input must make a low-to-high transition": still high is not enough.
    expect(output.high).toBe(false);
    pic.irq(7).set(true);
    pic.irq(0).set(true);
    expect(pic.acknowledge()).toBe(0x20);
  });

  test("without ICW4 its functions are off; in single mode there is no ICW3", () => {
    initialize(0x03);
    outb(pic.master, 0, 0x12);
    outb(pic.master, 1, 0x40);
    outb(pic.master, 1, 0x00);
    expect(inb(pic.master, 1)).toBe(0);
    pic.irq(1).set(true);
    expect(pic.acknowledge()).toBe(0x41);
    expect(register(pic.master, readInService)).toBe(0x02);
  });

  test("the low three bits of ICW2 are ignored", () => {
    outb(pic.master, 0, 0x11);
    for (const word of [0x57, 0x04, 0x01]) outb(pic.master, 1, word);
    pic.irq(0).set(true);
    expect(pic.acknowledge()).toBe(0x50);
  });
});

test("save and restore keep requests, service, priority and the drivers' levels", () => {
  outb(pic.edgeLevel, 1, 0x02);
  const lines = [1, 4, 9, 12].map((n) => pic.irq(n));
  for (const line of lines) line.set(true);
  expect(pic.acknowledge()).toBe(0x21);
  outb(pic.slave, 1, 0x10);

  const otherOutput = new Probe();
  const other = new Pic8259(otherOutput);
  const otherLines = [1, 4, 9, 12].map((n) => other.irq(n));
  other.restore(structuredClone(pic.save()));
  expect(otherOutput.high).toBe(output.high);
  for (const [chip, lineSet] of [
    [pic, lines],
    [other, otherLines],
  ] as const) {
    outb(chip.master, 0, endOfInterrupt);
    expect(chip.acknowledge()).toBe(0x29);
    lineSet[2].set(false);
    outb(chip.slave, 0, endOfInterrupt);
    outb(chip.master, 0, endOfInterrupt);
    expect(chip.acknowledge()).toBe(0x24);
    // Its driver was high before the save: no new edge.
    lineSet[1].set(true);
    outb(chip.master, 0, endOfInterrupt);
    outb(chip.slave, 1, 0);
    expect(chip.acknowledge()).toBe(0x2c);
  }
});
