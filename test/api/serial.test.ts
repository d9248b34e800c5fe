/** Input that is there before the guest listens: a driver's probing must not eat it. */
import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../runtime/devices/clock.ts";
import { Uart16550 } from "../../runtime/devices/uart16550.ts";
import { SerialPipe } from "../../src/machine/serial.ts";

const register = { data: 0, ier: 1, fcr: 2, lcr: 3, mcr: 4, lsr: 5 } as const;

function pipe() {
  const sent: number[][] = [];
  const clock = new VirtualClock(() => 0);
  const serial = new SerialPipe(
    (onTransmit, onReceiveSpace) => new Uart16550({ name: "com1", clock, irq: { set() {} }, onTransmit, onReceiveSpace }),
    (bytes) => sent.push([...bytes]),
  );
  const { registers } = serial;
  const read = (r: keyof typeof register): number => registers.read(register[r], 1);
  const write = (r: keyof typeof register, value: number): void => registers.write(register[r], 1, value);
  const readAll = (): string => {
    let text = "";
    while ((read("lsr") & 1) !== 0) text += String.fromCharCode(read("data"));
    return text;
  };
  return { serial, sent, read, write, readAll };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const long = "The quick brown fox jumps over the lazy dog. ".repeat(5);

describe("serial input", () => {
  it("waits through a driver's probing until RTS", () => {
    const { serial, read, write, readAll } = pipe();
    serial.receive(bytes(long));
    // What Linux's 8250 driver does first: interrupt enable probed, loopback tested, FIFOs tried and cleared.
    write("ier", 0);
    write("ier", 0x0f);
    write("ier", 0);
    write("mcr", 0x1a);
    write("mcr", 0x08);
    for (const value of [1, 7, 0]) write("fcr", value);
    expect(read("lsr") & 1).toBe(0);
    serial.flush();
    write("lcr", 0x83);
    write("ier", 1); // the divisor's high byte while DLAB is set
    write("lcr", 0x03);
    write("fcr", 1);
    serial.flush();
    expect(readAll()).toBe("");
    write("mcr", 0x0b);
    expect(readAll()).toBe(long);
  });

  it("stops while RTS is off", () => {
    const { serial, write, readAll } = pipe();
    write("fcr", 1);
    write("mcr", 2);
    serial.receive(bytes("one"));
    expect(readAll()).toBe("one");
    write("mcr", 0);
    serial.receive(bytes("two"));
    expect(readAll()).toBe("");
    write("mcr", 2);
    expect(readAll()).toBe("two");
  });

  it("reaches a guest that leaves the receive interrupt enabled, or only polls", () => {
    const interrupts = pipe();
    interrupts.serial.receive(bytes("a"));
    interrupts.write("ier", 1);
    expect(interrupts.readAll()).toBe("");
    interrupts.serial.flush();
    expect(interrupts.readAll()).toBe("a");

    const polls = pipe();
    polls.serial.receive(bytes(long));
    let text = "";
    for (let i = 0; i < 1000; i++) text += polls.readAll();
    expect(text).toBe(long);
  });

  it("takes a copy of what it is given", () => {
    const { serial, write, readAll } = pipe();
    const buffer = bytes("abc");
    serial.receive(buffer);
    buffer.fill(0);
    write("mcr", 2);
    expect(readAll()).toBe("abc");
  });

  it("gathers output into pieces", () => {
    const { serial, sent, write } = pipe();
    for (const byte of bytes("hello")) write("data", byte);
    expect(sent).toEqual([]);
    serial.flush();
    serial.flush();
    expect(sent).toEqual([[...bytes("hello")]]);
  });
});
