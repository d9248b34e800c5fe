/**
 * Kernels of a few instructions, as machine code: Multiboot 1 with address fields, loaded and entered at 1 MiB. `gcc` is not needed
 * to run these tests; each listing is what an assembler gives.
 */
import { join, multibootHeader } from "../boot/images.ts";

const base = 0x100000;
const headerSize = 32;
/** Where the code of a kernel begins. */
export const entry = base + headerSize;

export function kernel(code: readonly number[]): Uint8Array {
  return join(multibootHeader(0x10000, [base, base, 0, 0, entry]), Uint8Array.from(code));
}

const movDx = (port: number): number[] => [0x66, 0xba, port & 0xff, port >> 8];
const outAl = (port: number, value: number): number[] => [0xb0, value, ...movDx(port), 0xee];
const text = (s: string): number[] => [...s].flatMap((c) => outAl(0x3f8, c.charCodeAt(0)));
const cliHlt = [0xfa, 0xf4];

/** Writes v to port F4h. */
export const debugExit = (v: number): Uint8Array => kernel([...outAl(0xf4, v), ...cliHlt]);
/** Sends text on COM1, then exits with v. */
export const say = (s: string, v = 0): Uint8Array => kernel([...text(s), ...outAl(0xf4, v), ...cliHlt]);
/** UD2 with an empty interrupt table. */
export const tripleFault = kernel([0xb8, 0x78, 0x56, 0x34, 0x12, 0x0f, 0x0b]);
/** Reset by the keyboard controller, port 92h, port CF9h. */
export const resetBy8042 = kernel([...outAl(0x64, 0xfe), ...cliHlt]);
export const resetByPort92 = kernel([...outAl(0x92, 0x01), ...cliHlt]);
export const resetByCf9 = kernel([...outAl(0xcf9, 0x06), ...cliHlt]);
/** jmp $ */
export const spin = kernel([0xeb, 0xfe]);
/** Says "z", then halts with interrupts off. */
export const sleep = kernel([...text("z"), ...cliHlt, 0xeb, 0xfc]);
/** So many loops, each run two million rounds after the other, without end: mov ecx, 2000000; again: add eax, k; dec ecx; jnz again. A region is made of each. */
export const hotLoops = (loops: number): Uint8Array => {
  const code = Array.from({ length: loops }, (_, k) => [0xb9, 0x80, 0x84, 0x1e, 0x00, 0x05, k, 0, 0, 0, 0x49, 0x75, 0xf8]).flat();
  const back = -(code.length + 5);
  return kernel([...code, 0xe9, back & 0xff, (back >> 8) & 0xff, 0xff, 0xff]);
};
/** inc eax; inc ebx; jmp -4 */
export const count = kernel([0x40, 0x43, 0xeb, 0xfc]);
/** Sends back what it receives by polling, until "q": exits with 0. */
const echoLoop: readonly number[] = [
  ...movDx(0x3fd), // again: mov dx, 3fdh
  0xec, //           in al, dx
  0xa8,
  0x01, //     test al, 1
  0x74,
  0xf7, //     jz again
  ...movDx(0x3f8), // mov dx, 3f8h
  0xec, //           in al, dx
  0xee, //           out dx, al
  0x3c,
  0x71, //     cmp al, 'q'
  0x75,
  0xed, //     jne again
  ...outAl(0xf4, 0),
  ...cliHlt,
];
export const echo = kernel(echoLoop);
/** The same, after it said so. */
export const readyEcho = kernel([...text("ready>"), ...echoLoop]);
/** A million times round a loop (dec ecx; jnz), then "ok" and exit 0. */
export const loop = kernel([0xb9, 0x40, 0x42, 0x0f, 0x00, 0x40, 0x49, 0x75, 0xfc, ...text("ok"), ...outAl(0xf4, 0), ...cliHlt]);
