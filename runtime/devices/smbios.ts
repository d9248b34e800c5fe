/**
 * The SMBIOS structures of the machine (DMTF DSP0134, System Management BIOS Reference Specification 2.8): what inventory programs, and kernels that look for quirks,
 * read of a PC's maker, chassis, processor and memory. The same types, in the same lengths and order, as QEMU's `pc` hands to its BIOS; that adds its own type 0 and
 * puts them where guests search for the entry point.
 */

export interface SmbiosHardware {
  /** RAM, from address 0 on. */
  readonly memoryBytes: number;
  /** What CPUID's leaf 1 says in EAX and EDX. */
  readonly processor: { readonly signature: number; readonly features: number };
}

export interface SmbiosTables {
  /** The entry point. The structures are taken to follow it at once; a BIOS writes where it has put them. */
  readonly anchor: Uint8Array;
  readonly structures: Uint8Array;
}

const version = { major: 2, minor: 8 } as const;
const anchorBytes = 31;
/** Fields of the entry point (section 5.2.1). */
const anchorField = {
  ...{ checksum: 4, length: 5, major: 6, minor: 7, largest: 8 },
  ...{ intermediate: 16, intermediateChecksum: 21, tableLength: 22, tableAddress: 24, count: 28, bcdRevision: 30 },
} as const;
const maker = "xlat86";
const product = "Standard PC (i440FX + PIIX, 1996)";

/** Values of fields that say "other", "unknown", "none" or "safe", where they are not 0. */
const other = 1;
const unknown = 2;
const safe = 3;
const noHandle = 0xfffe;
const notProvided = 0xffff;
const handle = {
  system: 0x100,
  chassis: 0x300,
  processor: 0x400,
  memoryArray: 0x1000,
  memoryDevice: 0x1100,
  mappedArray: 0x1300,
  boot: 0x2000,
  end: 0x7f00,
};
const centralProcessor = 3;
/** Socket populated, processor enabled. */
const processorStatus = 0x41;
const megahertz = 2000;
const systemBoard = 3;
const systemMemory = 3;
const noErrorCorrection = 3;
const dimm = 9;
const ram = 7;
const powerSwitch = 6;
const kibibyte = 1024;
const mebibyte = 1 << 20;

/** A field: its bytes and its value; a string is a number into the strings behind the structure. */
type Field = readonly [bytes: 1 | 2 | 4 | 8, value: number] | string;

export function buildSmbios({ memoryBytes, processor }: SmbiosHardware): SmbiosTables {
  const all = [
    // Section 7.2: serial number; UUID, zeros for none; SKU number and family.
    structure(1, handle.system, [maker, product, [1, 0], [1, 0], [8, 0], [8, 0], [1, powerSwitch], [1, 0], [1, 0]]),
    // 7.4: type; version, serial and asset numbers; boot-up, power supply and thermal state; security; OEM; height, cords, contained elements; SKU number.
    structure(3, handle.chassis, [maker, ...bytes(other, 0, 0, 0, safe, safe, safe, unknown), [4, 0], ...bytes(0, 0, 0, 0), [1, 0]]),
    structure(4, handle.processor, [
      ...["CPU 0", ...bytes(centralProcessor, other), maker],
      ...([
        [4, processor.signature],
        [4, processor.features],
      ] as const),
      // Version, voltage, external clock, speeds, status, no upgrade.
      ...([...bytes(0, 0), [2, 0], [2, megahertz], [2, megahertz], [1, processorStatus], [1, other]] as const),
      // Caches; serial number, asset tag, part number; cores, those enabled, threads; characteristics; family.
      ...([[2, notProvided], [2, notProvided], [2, notProvided], ...bytes(0, 0, 0, 1, 1, 1), [2, unknown], [2, other]] as const),
    ]),
    // 7.17
    structure(16, handle.memoryArray, [
      ...bytes(systemBoard, systemMemory, noErrorCorrection),
      ...([
        [4, memoryBytes / kibibyte],
        [2, noHandle],
        [2, 1],
        [8, 0],
      ] as const),
    ]),
    // 7.18: widths; size; form factor, set, locators, type, detail, speed; maker and numbers; attributes; extended size, speed, voltages.
    structure(17, handle.memoryDevice, [
      ...([[2, handle.memoryArray], [2, noHandle], [2, notProvided], [2, notProvided], [2, memoryBytes / mebibyte], ...bytes(dimm, 0)] as const),
      ...(["DIMM 0", [1, 0], [1, ram], [2, unknown], [2, 0], maker, ...bytes(0, 0, 0, 0)] as const),
      ...([
        [4, 0],
        [2, 0],
        [2, 0],
        [2, 0],
        [2, 0],
      ] as const),
    ]),
    // 7.20: first and last KiB.
    structure(19, handle.mappedArray, [
      [4, 0],
      [4, memoryBytes / kibibyte - 1],
      [2, handle.memoryArray],
      [1, 1],
      [8, 0],
      [8, 0],
    ]),
    // 7.33: no errors found at boot.
    structure(32, handle.boot, [...bytes(0, 0, 0, 0, 0, 0), [1, 0]]),
    structure(127, handle.end, []),
  ];
  const structures = new Uint8Array(all.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const each of all) {
    structures.set(each, at);
    at += each.length;
  }
  return { anchor: entryPoint(all, structures.length), structures };
}

/** The same at a place of their own, for a machine without a BIOS: the entry point at `address`, a multiple of 16 in F0000h-FFFFFh. */
export function placeSmbios(hardware: SmbiosHardware, address: number): Uint8Array {
  const { anchor, structures } = buildSmbios(hardware);
  const behind = Math.ceil(anchorBytes / 16) * 16;
  const image = new Uint8Array(behind + structures.length);
  new DataView(anchor.buffer).setUint32(anchorField.tableAddress, address + behind, true);
  sumUp(anchor);
  image.set(anchor);
  image.set(structures, behind);
  return image;
}

function entryPoint(all: readonly Uint8Array[], length: number): Uint8Array {
  const anchor = new Uint8Array(anchorBytes);
  const view = new DataView(anchor.buffer);
  const { intermediate, count } = anchorField;
  anchor.set(new TextEncoder().encode("_SM_"));
  anchor.set(new TextEncoder().encode("_DMI_"), intermediate);
  anchor[anchorField.length] = anchorBytes;
  anchor[anchorField.major] = version.major;
  anchor[anchorField.minor] = version.minor;
  anchor[anchorField.bcdRevision] = (version.major << 4) | version.minor;
  view.setUint16(anchorField.largest, Math.max(...all.map((each) => each.length)), true);
  view.setUint16(anchorField.tableLength, length, true);
  view.setUint16(count, all.length, true);
  sumUp(anchor);
  return anchor;
}

/** Both checksums: all bytes, and those from _DMI_ on, add up to 0. */
function sumUp(anchor: Uint8Array): void {
  const { intermediate, intermediateChecksum, checksum } = anchorField;
  anchor[intermediateChecksum] = anchor[checksum] = 0;
  const negatedSum = (part: Uint8Array): number => -part.reduce((sum, byte) => sum + byte, 0);
  anchor[intermediateChecksum] = negatedSum(anchor.subarray(intermediate));
  anchor[checksum] = negatedSum(anchor);
}

function bytes(...values: readonly number[]): readonly (readonly [1, number])[] {
  return values.map((value) => [1, value] as const);
}

/** Header, fields, and the strings they name, each ending in a zero and all of them in another one (section 6.1). */
function structure(type: number, itsHandle: number, fields: readonly Field[]): Uint8Array {
  const strings: string[] = [];
  const out: number[] = [type, 0, itsHandle & 0xff, itsHandle >> 8];
  for (const field of fields) {
    if (typeof field === "string") {
      strings.push(field);
      out.push(strings.length);
      continue;
    }
    const [size, value] = field;
    for (let k = 0; k < size; k++) out.push(Math.floor(value / 2 ** (8 * k)) & 0xff);
  }
  out[1] = out.length;
  const text = strings.length === 0 ? "\0\0" : `${strings.join("\0")}\0\0`;
  return Uint8Array.of(...out, ...new TextEncoder().encode(text));
}
