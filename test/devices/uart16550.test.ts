import { beforeEach, describe, expect, test } from "vitest";
import { modemInput, Uart16550 } from "../../runtime/devices/index.ts";
import { inb, outb, Probe, TestClock } from "./support.ts";

/** Facts from the PC16550D datasheet; the probe sequences are what Linux's 8250 driver does. */

const reg = { data: 0, ier: 1, iir: 2, fcr: 2, lcr: 3, mcr: 4, lsr: 5, msr: 6, scr: 7 };
const out2 = 0x08;

let clock: TestClock;
let irq: Probe;
let sent: number[];
let uart: Uart16550;
let spaceOffers: number;

function create(paced = false): void {
  clock = new TestClock();
  irq = new Probe();
  sent = [];
  spaceOffers = 0;
  uart = new Uart16550({ name: "com1", clock, irq, onTransmit: (byte) => sent.push(byte), onReceiveSpace: () => spaceOffers++, paced });
}

const get = (register: number) => inb(uart.registers, register);
const put = (register: number, value: number) => outb(uart.registers, register, value);
const text = (string: string) => [...string].map((character) => character.charCodeAt(0));

/** 115200 8N1: a character takes 10 bits of 8.68 us. */
function configure(): void {
  put(reg.lcr, 0x83);
  put(0, 1);
  put(1, 0);
  put(reg.lcr, 0x03);
  put(reg.mcr, 0x0b);
}

beforeEach(() => create());

describe("registers", () => {
  test("after reset", () => {
    expect(get(reg.ier)).toBe(0);
    expect(get(reg.iir)).toBe(0x01);
    expect(get(reg.lcr)).toBe(0);
    expect(get(reg.mcr)).toBe(0);
    expect(get(reg.lsr)).toBe(0x60);
    expect(get(reg.msr) & 0x0f).toBe(0);
    expect(irq.high).toBe(false);
  });

  test("the divisor latch hides data and IER; unused bits of IER and MCR read 0; scratch holds", () => {
    put(reg.ier, 0xff);
    expect(get(reg.ier)).toBe(0x0f);
    put(reg.ier, 0);
    put(reg.lcr, 0x80);
    put(0, 0x34);
    put(1, 0x12);
    expect([get(0), get(1)]).toEqual([0x34, 0x12]);
    put(reg.lcr, 0x03);
    expect(get(reg.ier)).toBe(0);
    put(reg.mcr, 0xff);
    expect(get(reg.mcr)).toBe(0x1f);
    put(reg.scr, 0xa5);
    expect(get(reg.scr)).toBe(0xa5);
    expect(sent).toEqual([]);
  });
});

describe("Linux's 8250 probe", () => {
  test("autoconfig: IER, loopback and FIFO tests say 16550A and nothing newer", () => {
    put(reg.ier, 0);
    expect(get(reg.ier) & 0x0f).toBe(0);
    put(reg.ier, 0x0f);
    expect(get(reg.ier) & 0x0f).toBe(0x0f);
    put(reg.ier, 0);
    put(reg.mcr, 0x10 | 0x0a);
    expect(get(reg.msr) & 0xf0).toBe(0x90);
    put(reg.mcr, 0);
    put(reg.lcr, 0xbf);
    put(reg.fcr, 0);
    put(reg.lcr, 0);
    put(reg.fcr, 0x01);
    expect(get(reg.iir) >> 6).toBe(3);
    // EFR, where a 16650 has one, is IIR here and not 0.
    put(reg.lcr, 0xbf);
    expect(get(reg.iir)).not.toBe(0);
    // A 16750 would show bit 5 with its 64-byte FIFO enabled.
    put(reg.lcr, 0);
    put(reg.fcr, 0x21);
    expect(get(reg.iir) >> 5).toBe(6);
    put(reg.fcr, 0x01);
    put(reg.lcr, 0x80);
    put(reg.fcr, 0x21);
    expect(get(reg.iir) >> 5).toBe(6);
    put(reg.lcr, 0);
    // The UUE bit of an XScale port does not stick.
    put(reg.ier, 0x40);
    expect(get(reg.ier)).toBe(0);
  });

  test("startup: neither UART_BUG_THRE nor UART_BUG_TXEN", () => {
    configure();
    put(reg.fcr, 0x07);
    put(reg.fcr, 0x00);
    for (const register of [reg.lsr, 0, reg.iir, reg.msr]) get(register);
    put(reg.lcr, 0x03);
    put(reg.ier, 0x02);
    const first = get(reg.iir);
    put(reg.ier, 0x00);
    put(reg.ier, 0x02);
    const second = get(reg.iir);
    expect([first & 1, second & 1]).toEqual([0, 0]);
    put(reg.ier, 0x00);
    put(reg.ier, 0x02);
    expect(get(reg.lsr) & 0x40).toBe(0x40);
    expect(get(reg.iir) & 1).toBe(0);
  });
});

describe("transmitter", () => {
  test("THRE interrupt: on enabling while empty, cleared by IIR, set again by each write", () => {
    configure();
    put(reg.ier, 0x02);
    expect(irq.high).toBe(true);
    expect(get(reg.iir)).toBe(0x02);
    expect(irq.high).toBe(false);
    expect(get(reg.iir)).toBe(0x01);
    put(0, 0x41);
    expect([irq.high, irq.rises]).toEqual([true, 2]);
    expect(sent).toEqual([0x41]);
    put(0, 0x42);
    // The edge an 8259 needs is there each time.
    expect([irq.high, irq.rises]).toEqual([true, 3]);
    expect(get(reg.lsr)).toBe(0x60);
    // Writing the same IER again makes no new request.
    get(reg.iir);
    put(reg.ier, 0x02);
    expect(irq.high).toBe(false);
    put(reg.ier, 0x00);
    put(reg.ier, 0x02);
    expect(irq.high).toBe(true);
  });

  test("OUT2 connects the interrupt", () => {
    put(reg.ier, 0x02);
    expect(irq.high).toBe(false);
    put(reg.mcr, out2);
    expect(irq.high).toBe(true);
    put(reg.mcr, 0);
    expect(irq.high).toBe(false);
  });

  test("paced: 16 bytes in the FIFO go at the baud rate; THRE when the FIFO is empty, TEMT when the last byte is out", () => {
    create(true);
    configure();
    put(reg.fcr, 0x01);
    put(reg.ier, 0x02);
    get(reg.iir);
    for (let i = 0; i < 17; i++) put(0, i);
    expect(get(reg.lsr) & 0x60).toBe(0);
    const character = 86_806;
    clock.run(character);
    expect(sent).toEqual([0]);
    expect(irq.high).toBe(false);
    clock.run(15 * character);
    expect(sent.length).toBe(16);
    expect(get(reg.lsr) & 0x60).toBe(0x20);
    expect(irq.high).toBe(true);
    expect(get(reg.iir)).toBe(0xc2);
    clock.run(character);
    expect(sent.length).toBe(17);
    expect(get(reg.lsr) & 0x60).toBe(0x60);
    expect(irq.high).toBe(false);
    expect(clock.armedTimers).toBe(0);
  });

  test("paced, a cleared transmit FIFO forgets its bytes", () => {
    create(true);
    configure();
    put(reg.fcr, 0x01);
    for (let i = 0; i < 5; i++) put(0, i);
    put(reg.fcr, 0x05);
    clock.run(1e9);
    expect(sent).toEqual([0]);
  });
});

describe("receiver", () => {
  test("without FIFOs: one byte, data ready, interrupt until read, backpressure", () => {
    configure();
    put(reg.ier, 0x01);
    expect(uart.receiveSpace).toBe(1);
    expect(uart.receive(text("ab"))).toBe(1);
    expect(uart.receiveSpace).toBe(0);
    expect(irq.high).toBe(true);
    expect(get(reg.iir)).toBe(0x04);
    expect(get(reg.lsr) & 1).toBe(1);
    expect(get(0)).toBe(0x61);
    expect(spaceOffers).toBe(1);
    expect(irq.high).toBe(false);
    expect(get(reg.lsr) & 1).toBe(0);
  });

  test.each([
    [0x00, 1],
    [0x40, 4],
    [0x80, 8],
    [0xc0, 14],
  ])("FIFO trigger %i interrupts at %i bytes and clears below", (trigger, level) => {
    configure();
    put(reg.fcr, 0x01 | trigger);
    put(reg.ier, 0x01);
    for (let i = 1; i < level; i++) uart.receive([i]);
    expect(irq.high).toBe(false);
    uart.receive([level]);
    expect(irq.high).toBe(true);
    expect(get(reg.iir)).toBe(0xc4);
    expect(get(0)).toBe(1);
    expect(irq.high).toBe(false);
  });

  test("character time-out: four character times without a byte in or out, cleared by reading one", () => {
    configure();
    put(reg.fcr, 0x81);
    put(reg.ier, 0x01);
    uart.receive(text("xy"));
    const four = 4 * 86_806;
    clock.run(four - 10);
    expect(irq.high).toBe(false);
    uart.receive(text("z"));
    clock.run(four - 10);
    expect(irq.high).toBe(false);
    clock.run(10);
    expect(irq.high).toBe(true);
    expect(get(reg.iir)).toBe(0xcc);
    expect(get(0)).toBe(0x78);
    expect(irq.high).toBe(false);
    clock.run(four);
    expect(irq.high).toBe(true);
    get(0);
    get(0);
    expect(clock.armedTimers).toBe(0);
    clock.run(1e9);
    expect(irq.high).toBe(false);
  });

  test("the FIFO takes 16 bytes and hands them out in order; the host is told when there is room again", () => {
    configure();
    put(reg.fcr, 0x01);
    const bytes = Array.from({ length: 40 }, (_, i) => i);
    let offset = uart.receive(bytes);
    expect(offset).toBe(16);
    expect(uart.receive(bytes.slice(offset))).toBe(0);
    const seen = [];
    while ((get(reg.lsr) & 1) !== 0) {
      seen.push(get(0));
      if (uart.receiveSpace >= 8) offset += uart.receive(bytes.slice(offset));
    }
    expect(seen).toEqual(bytes);
    expect(spaceOffers).toBeGreaterThan(0);
    expect(get(reg.lsr) & 0x02).toBe(0);
  });

  test("switching FIFOs on or off, or FCR bit 1, empties the receiver", () => {
    configure();
    put(reg.fcr, 0x01);
    uart.receive(text("abc"));
    put(reg.fcr, 0x03);
    expect(get(reg.lsr) & 1).toBe(0);
    uart.receive(text("abc"));
    put(reg.fcr, 0x00);
    expect(get(reg.lsr) & 1).toBe(0);
    expect(get(reg.iir) & 0xc0).toBe(0);
    // Bit 1 without bit 0 does nothing.
    uart.receive(text("a"));
    put(reg.fcr, 0x02);
    expect(get(reg.lsr) & 1).toBe(1);
  });

  test("a break is reported with its byte, at the top of the FIFO, with the highest priority, until LSR is read", () => {
    configure();
    put(reg.fcr, 0x01);
    put(reg.ier, 0x07);
    get(reg.iir);
    uart.receive(text("a"));
    expect(uart.receiveBreak()).toBe(true);
    expect(get(reg.lsr) & 0x9e).toBe(0x80);
    expect(get(0)).toBe(0x61);
    expect(get(reg.iir)).toBe(0xc6);
    expect(get(reg.lsr) & 0x9f).toBe(0x99);
    expect(get(reg.iir)).toBe(0xc4);
    expect(get(reg.lsr) & 0x9e).toBe(0);
    expect(get(0)).toBe(0);
    expect(get(reg.iir)).toBe(0xc1);
  });
});

describe("loopback", () => {
  test("what is sent is received, not transmitted; overrun when nobody reads", () => {
    put(reg.mcr, 0x10);
    put(0, 0x55);
    expect(sent).toEqual([]);
    expect(get(0)).toBe(0x55);
    put(0, 1);
    put(0, 2);
    expect(get(reg.lsr) & 0x02).toBe(0x02);
    expect(get(reg.lsr) & 0x02).toBe(0);
    // Without FIFOs the second byte overwrites the first; with them it is lost.
    expect(get(0)).toBe(2);
    put(reg.fcr, 0x01);
    for (let i = 0; i < 17; i++) put(0, i);
    expect(get(reg.lsr) & 0x02).toBe(0x02);
    for (let i = 0; i < 16; i++) expect(get(0)).toBe(i);
    expect(get(reg.lsr) & 1).toBe(0);
    expect(uart.receiveSpace).toBe(0);
  });

  test("modem outputs come back as inputs, with deltas; the interrupt is cut off", () => {
    put(reg.ier, 0x08);
    get(reg.msr);
    for (const [control, status] of [
      [0x01, modemInput.dataSetReady],
      [0x02, modemInput.clearToSend],
      [0x04, modemInput.ringIndicator],
      [0x08, modemInput.carrierDetect],
    ]) {
      put(reg.mcr, 0x10);
      get(reg.msr);
      put(reg.mcr, 0x10 | control);
      expect(get(reg.msr) & 0xf0).toBe(status);
      expect(irq.high).toBe(false);
    }
  });
});

describe("modem status", () => {
  test("changes interrupt until MSR is read; RI only by its trailing edge", () => {
    configure();
    put(reg.ier, 0x08);
    uart.setModemInputs(modemInput.clearToSend | modemInput.dataSetReady);
    expect(irq.high).toBe(true);
    expect(get(reg.iir)).toBe(0x00);
    expect(get(reg.msr)).toBe(0x38);
    expect(irq.high).toBe(false);
    uart.setModemInputs(modemInput.clearToSend | modemInput.dataSetReady | modemInput.ringIndicator);
    expect(irq.high).toBe(false);
    uart.setModemInputs(modemInput.clearToSend | modemInput.dataSetReady);
    expect(get(reg.msr)).toBe(0x34);
  });
});

test("save and restore in the middle of traffic", () => {
  create(true);
  configure();
  put(reg.fcr, 0x41);
  put(reg.ier, 0x03);
  get(reg.iir);
  uart.receive(text("abc"));
  for (const byte of text("hello")) put(0, byte);
  clock.run(100_000);
  const other = new TestClock();
  const otherSent: number[] = [];
  const otherIrq = new Probe();
  const restored = new Uart16550({ name: "com1", clock: other, irq: otherIrq, onTransmit: (byte) => otherSent.push(byte), paced: true });
  other.restore(clock.save());
  restored.restore(structuredClone(uart.save()));
  expect(sent).toEqual(text("h"));
  clock.run(200_000);
  other.run(200_000);
  expect(otherSent).toEqual(sent.slice(1));
  for (let i = 0; i < 4; i++) for (const register of [2, 5, 0, 6]) expect(inb(restored.registers, register)).toBe(get(register));
  clock.run(1e9);
  other.run(1e9);
  expect(otherSent).toEqual(text("ello"));
  expect(otherIrq.high).toBe(irq.high);
});
