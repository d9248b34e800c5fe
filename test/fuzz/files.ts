/** Files as kernels: random bytes, valid images, and everything in between. */
import { bzImage, elf32, multibootHeader } from "../boot/images.ts";
import { Writer } from "./instructions.ts";
import { place } from "./layout.ts";
import type { Random } from "./random.ts";

export interface ImageCase {
  readonly bytes: Uint8Array;
  readonly initrd: Uint8Array | undefined;
  readonly modules: readonly Uint8Array[];
  readonly append: string;
}

const loadAddress = 0x100000;

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function multibootKernel(body: Uint8Array): Uint8Array {
  const length = 32 + body.length;
  return join(multibootHeader(0x10003, [loadAddress, loadAddress, loadAddress + length, 0, loadAddress + 32]), body);
}

/** Fits 4 MiB: the defaults of `bzImage` ask for more. */
function linuxKernel(payload: Uint8Array): Uint8Array {
  return bzImage({ payload, prefAddress: loadAddress, initSize: 0x100000, relocatable: 0 });
}

const codeSelector = 0x10;
/** Vectors that push an error code. */
const pushesError = new Set([8, 10, 11, 12, 13, 14, 17]);

/**
 * A kernel's body that lives longer than its first fault: it loads an interrupt table whose handlers skip a byte and go on, then runs a soup of
 * instructions round and round. `address` is where body[0] is loaded.
 */
function soupBody(random: Random, address: number): Uint8Array {
  const layout = { code: 0, codeSize: random.pick([0x400, 0x1000, 0x2000]), table: 0x2000, handlers: 0x2800, size: 0x3800 };
  const bytes = new Uint8Array(layout.size);
  const view = new DataView(bytes.buffer);
  for (let vector = 0; vector < 256; vector++) {
    const handler = layout.handlers + 16 * vector;
    const code = [
      ...(pushesError.has(vector) ? [0x83, 0xc4, 0x04] : []),
      ...(vector < 32 && vector !== 1 ? [0xff, 0x04, 0x24] : [0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58]),
      0xcf,
    ];
    bytes.set(code, handler);
    view.setUint32(layout.table + 8 * vector, (codeSelector << 16) | ((address + handler) & 0xffff), true);
    view.setUint32(layout.table + 8 * vector + 4, ((address + handler) & 0xffff0000) | 0x8e00, true);
  }
  view.setUint16(layout.size - 6, 0x7ff, true);
  view.setUint32(layout.size - 4, address + layout.table, true);
  const writer = new Writer(random, bytes.subarray(0, layout.codeSize), true, address);
  writer.byte(0x0f, 0x01, 0x1d);
  writer.dword(address + layout.size - 6);
  writer.load(4, place.stack);
  if (random.once(2)) writer.byte(0xfb);
  const start = writer.at;
  while (!writer.full) writer.step();
  writer.byte(0xe9);
  writer.dword(start - (writer.at + 4));
  return bytes;
}

/** A kernel that the loaders take, random but for its header. */
export function randomKernel(random: Random): Uint8Array {
  if (random.once(2)) {
    return random.once(2) ? multibootKernel(soupBody(random, loadAddress + 32)) : linuxKernel(soupBody(random, loadAddress));
  }
  const body = random.bytes(random.pick([64, 512, 4096, 20000]));
  switch (random.below(3)) {
    case 0:
      return multibootKernel(body);
    case 1:
      return linuxKernel(body);
    default:
      return elf32(loadAddress + 16, [{ virtual: loadAddress, physical: loadAddress, bytes: join(multibootHeader(3), new Uint8Array(4), body) }]);
  }
}

const fieldValues = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0, 0x100000, 0x3ff000, 0x400000];

/** Changes bytes, words and the length. */
function mutate(random: Random, original: Uint8Array, within: number): Uint8Array {
  let bytes = original.slice();
  for (let n = random.below(6); n > 0; n--) {
    const at = random.below(Math.min(within, bytes.length) || 1);
    if (random.once(3)) bytes[at] = random.below(256);
    else if (at + 4 <= bytes.length)
      new DataView(bytes.buffer).setUint32(at & ~(random.once(4) ? 0 : 3), random.once(3) ? random.next() : random.pick(fieldValues), true);
  }
  if (random.once(5)) bytes = bytes.slice(0, random.below(bytes.length + 1));
  return bytes;
}

/** Keeps the checksum of a Multiboot header at 0 right after a mutation of its flags, so that the rest of it is looked at. */
function repair(random: Random, bytes: Uint8Array): Uint8Array {
  if (bytes.length < 12 || random.once(4)) return bytes;
  const view = new DataView(bytes.buffer);
  if (view.getUint32(0, true) === 0x1badb002) view.setUint32(8, -(0x1badb002 + view.getUint32(4, true)), true);
  return bytes;
}

export function mutatedImage(random: Random): ImageCase {
  const body = random.bytes(random.pick([0, 16, 600, 3000, 9000]));
  let bytes: Uint8Array;
  switch (random.below(8)) {
    case 0:
      bytes = body;
      break;
    case 1:
      bytes = repair(random, mutate(random, multibootKernel(body), 32));
      break;
    case 2:
      bytes = mutate(random, randomKernel(random), 0x280);
      break;
    case 3:
      bytes = mutate(random, linuxKernel(body), 0x280).map((byte, i) => (i >= 0x1f1 && i < 0x1f5 && random.once(10) ? random.below(256) : byte));
      break;
    case 4: {
      // A Linux header over noise.
      bytes = random.bytes(Math.max(0x300, body.length));
      bytes.set([0x55, 0xaa], 0x1fe);
      bytes.set([0x48, 0x64, 0x72, 0x53], 0x202);
      bytes[0x207] = 2;
      if (random.once(2)) bytes[0x211] |= 1;
      if (random.once(2)) bytes[0x236] &= ~1;
      bytes = mutate(random, bytes, 0x280);
      break;
    }
    case 5: {
      const segments = Array.from({ length: random.below(5) }, () => {
        const address = random.once(3) ? random.next() : loadAddress + 0x1000 * random.below(0x400);
        const content = random.bytes(random.below(600));
        return {
          virtual: address,
          physical: address,
          bytes: content,
          memorySize: random.once(3) ? random.next() : content.length + random.below(0x10000),
        };
      });
      const first = { virtual: loadAddress, physical: loadAddress, bytes: join(multibootHeader(random.below(8)), body) };
      bytes = mutate(random, elf32(loadAddress + random.below(64), [first, ...segments]), 52 + 32 * 5);
      break;
    }
    case 6:
      bytes = join(
        random.bytes(4 * random.below(2100)),
        multibootHeader(random.once(2) ? 0x10000 | random.below(8) : random.next(), [
          random.next(),
          random.next(),
          random.next(),
          random.next(),
          random.next(),
        ]),
        body,
      );
      break;
    default:
      bytes = join(
        new Uint8Array(
          random.pick([
            [0x7f, 0x45, 0x4c, 0x46],
            [0x1f, 0x8b],
            [0x30, 0x37, 0x30, 0x37, 0x30],
            [0x23, 0x21],
          ]),
        ),
        body,
      );
  }
  return {
    bytes,
    initrd: random.once(4) ? random.bytes(random.pick([0, 1, 5000, 70000])) : undefined,
    modules: random.once(4) ? Array.from({ length: random.below(4) }, () => random.bytes(random.below(3000))) : [],
    append: random.once(3) ? "x".repeat(random.below(5000)) : "",
  };
}
