/**
 * An assembler for the ACPI Machine Language that static tables need (ACPI Specification 2.0, chapter 17 for the encoding, 6.4 for
 * resource descriptors): each function returns the bytes of one term.
 */

export type Aml = readonly number[];

function littleEndian(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 0xff);
}

function ascii(text: string): number[] {
  return [...text].map((character) => character.charCodeAt(0));
}

/** "\\_SB.PCI0": root and dots as in ASL; segments are padded to four characters. */
function nameString(path: string): number[] {
  const root = path.startsWith("\\") ? ["\\"] : [];
  const segments = path.slice(root.length).split(".");
  if (segments.some((segment) => !/^[A-Z_][A-Z0-9_]{0,3}$/.test(segment)))
    throw new RangeError(`AML name ${path}: expected segments of one to four of A-Z, 0-9 and _`);
  const prefix = segments.length === 1 ? [] : segments.length === 2 ? [0x2e] : [0x2f, segments.length];
  return [...ascii(root.join("")), ...prefix, ...segments.flatMap((segment) => ascii(segment.padEnd(4, "_")))];
}

/** PkgLength counts itself: one byte to 63, else 4 bits in the first byte and 8 in each of one to three more. */
function withLength(body: readonly number[]): number[] {
  if (body.length + 1 < 0x40) return [body.length + 1, ...body];
  const more = body.length + 2 < 0x1000 ? 1 : body.length + 3 < 0x100000 ? 2 : 3;
  const length = body.length + 1 + more;
  return [(more << 6) | (length & 15), ...littleEndian(length >>> 4, more), ...body];
}

export function integer(value: number): Aml {
  if (value === 0 || value === 1) return [value];
  if (value <= 0xff) return [0x0a, value];
  return value <= 0xffff ? [0x0b, ...littleEndian(value, 2)] : [0x0c, ...littleEndian(value, 4)];
}

/** A Plug and Play identifier, "PNP0A03", as the integer EISAID() makes of it. */
export function eisaId(id: string): Aml {
  const [a, b, c] = ascii(id).map((code) => code - 0x40);
  const product = Number.parseInt(id.slice(3), 16);
  const compressed = (a << 10) | (b << 5) | c;
  return [0x0c, compressed >> 8, compressed & 0xff, product >> 8, product & 0xff];
}

export function name(path: string, value: Aml): Aml {
  return [0x08, ...nameString(path), ...value];
}

export function scope(path: string, ...terms: Aml[]): Aml {
  return [0x10, ...withLength([...nameString(path), ...terms.flat()])];
}

export function device(path: string, ...terms: Aml[]): Aml {
  return [0x5b, 0x82, ...withLength([...nameString(path), ...terms.flat()])];
}

export function amlPackage(...elements: Aml[]): Aml {
  return [0x12, ...withLength([elements.length, ...elements.flat()])];
}

/** A buffer of resource descriptors, closed by the end tag; its checksum of 0 means "not computed". */
export function resources(...descriptors: Aml[]): Aml {
  const bytes = [...descriptors.flat(), 0x79, 0x00];
  return [0x11, ...withLength([...integer(bytes.length), ...bytes])];
}

/** Fixed ports, decoded in 16 bits. */
export function ports(base: number, count: number): Aml {
  return [0x47, 0x01, ...littleEndian(base, 2), ...littleEndian(base, 2), 1, count];
}

/** An edge-triggered, active-high interrupt request. */
export function interruptRequest(irq: number): Aml {
  return [0x22, ...littleEndian(1 << irq, 2)];
}

const addressSpace = { memory: 0, ports: 1, busNumbers: 2 };
/** General flags of an address space descriptor: a producer with fixed ends. */
const fixedProducer = 0x0c;

function wordSpace(type: number, typeFlags: number, first: number, last: number): Aml {
  const words = [0, first, last, 0, last - first + 1].flatMap((word) => littleEndian(word, 2));
  return [0x88, ...littleEndian(13, 2), type, fixedProducer, typeFlags, ...words];
}

export function busNumbers(first: number, last: number): Aml {
  return wordSpace(addressSpace.busNumbers, 0, first, last);
}

/** A window of ports that a bridge passes on. */
export function portWindow(first: number, last: number): Aml {
  const entireRange = 3;
  return wordSpace(addressSpace.ports, entireRange, first, last);
}

/** A window of non-cacheable read-write memory that a bridge passes on. */
export function memoryWindow(first: number, last: number): Aml {
  const readWrite = 1;
  const words = [0, first, last, 0, last - first + 1].flatMap((word) => littleEndian(word, 4));
  return [0x87, ...littleEndian(23, 2), addressSpace.memory, fixedProducer, readWrite, ...words];
}
