/**
 * The ACPI tables of the platform (ACPI Specification 2.0): RSDP, RSDT, FACS, FADT, MADT, HPET and DSDT in one image. They tell the guest where
 * the fixed hardware is (acpi-pm.ts), how to power off (\_S5), which legacy devices and interrupt controllers there are and how PCI interrupts are wired.
 */
import { acpiPmLayout, sleepTypeSoftOff } from "./acpi-pm.ts";
import {
  type Aml,
  amlPackage,
  busNumbers,
  device,
  eisaId,
  integer,
  interruptRequest,
  memoryWindow,
  name,
  ports,
  portWindow,
  resources,
  scope,
} from "./aml.ts";
import { ioApicAddress } from "./apic/io-apic.ts";
import { apicBaseAddress } from "./apic/local-apic.ts";
import { hpetAddress, hpetIdentity } from "./hpet.ts";
import { isaIrqs, isaPorts, type PortRange, resetControlPort } from "./isa-ports.ts";
import { pirqOf, pirqRouting } from "./piix.ts";
import { rtcCenturyRegister } from "./rtc146818.ts";

export type AcpiTables = {
  /** Guest-physical address of the image: that of the RSDP. */
  readonly address: number;
  readonly bytes: Uint8Array;
};

export type AcpiHardware = {
  /** RAM of the machine: PCI memory begins above it. */
  readonly memoryBytes: number;
  /** Whether there is a VGA adapter that a guest may probe. */
  readonly vga?: boolean;
  /** Whether there are a local APIC and an I/O APIC. */
  readonly apic?: boolean;
  readonly hpet?: boolean;
};

export type AcpiTableOptions = AcpiHardware & {
  /** Guest-physical address, on a 64-byte boundary; for guests that search for the RSDP, in E0000h-FFFFFh. */
  readonly address: number;
};

const oemId = "XLAT86";
const alignment = 64;
const rsdpBytes = 20;
const rsdpChecksum = 8;
const rsdpRsdt = 16;
/** Of every table but the FACS, which has none. */
const tableChecksum = 9;
/** Of the FADT: FACS, DSDT and the low half of X_DSDT. */
const fadtPointers = [36, 40, 140] as const;
const headerBytes = 36;
const facsBytes = 64;
const fadtBytes = 244;
/** Top of the PCI memory window, below the addresses of APICs and firmware. */
const pciMemoryLast = 0xfebfffff;

/** Tables in one piece, addresses in them relative to its start, and what to do once the start is known. */
type TableImage = {
  readonly bytes: Uint8Array;
  readonly rsdt: number;
  /** Offsets of 32-bit addresses to add the start to. */
  readonly pointers: readonly number[];
  /** Offset and length of each table with a checksum at its byte 9. */
  readonly checksums: readonly { readonly at: number; readonly length: number }[];
};

function buildImage(hardware: AcpiHardware): TableImage {
  const dsdt = table("DSDT", 1, Uint8Array.from(definitionBlock(hardware.memoryBytes)));
  let end = 0;
  const place = (bytes: number) => {
    const placed = end;
    end += Math.ceil(bytes / alignment) * alignment;
    return placed;
  };
  const optional = [...(hardware.apic ? [multipleApicDescription()] : []), ...(hardware.hpet ? [highPrecisionTimer()] : [])];
  const others = optional.map((bytes) => ({ bytes, at: 0 }));
  const rsdtBytes = headerBytes + 4 * (1 + others.length);
  const rsdtAt = place(rsdtBytes);
  const facsAt = place(facsBytes);
  const fadtAt = place(fadtBytes);
  const dsdtAt = place(dsdt.length);
  for (const other of others) other.at = place(other.bytes.length);

  const bytes = new Uint8Array(end);
  const listed = [fadtAt, ...others.map(({ at }) => at)];
  bytes.set(table("RSDT", 1, doublewords(listed)), rsdtAt);
  bytes.set(firmwareControl(), facsAt);
  bytes.set(fixedDescription(facsAt, dsdtAt, hardware.vga ?? false), fadtAt);
  bytes.set(dsdt, dsdtAt);
  for (const other of others) bytes.set(other.bytes, other.at);
  return {
    bytes,
    rsdt: rsdtAt,
    pointers: [...listed.map((_, k) => rsdtAt + headerBytes + 4 * k), ...fadtPointers.map((field) => fadtAt + field)],
    checksums: [
      { at: rsdtAt, length: rsdtBytes },
      { at: fadtAt, length: fadtBytes },
    ],
  };
}

/** The tables for firmware-less boots, with the RSDP in front, all addresses in place. */
export function buildAcpiTables(options: AcpiTableOptions): AcpiTables {
  const { address } = options;
  if (address % alignment !== 0) throw new RangeError(`ACPI tables at ${address.toString(16)}h: expected a ${alignment}-byte boundary`);
  const image = buildImage(options);
  const start = address + alignment;
  const bytes = new Uint8Array(alignment + image.bytes.length);
  const view = new DataView(bytes.buffer);
  bytes.set(rootPointer(start + image.rsdt), 0);
  bytes.set(image.bytes, alignment);
  for (const at of image.pointers) view.setUint32(alignment + at, view.getUint32(alignment + at, true) + start, true);
  for (const { at, length } of image.checksums) putChecksum(bytes.subarray(alignment + at, alignment + at + length), tableChecksum);
  return { address, bytes };
}

/** Names of the files that firmware takes the tables from (fw-cfg.ts). */
const loaderFile = { rsdp: "etc/acpi/rsdp", tables: "etc/acpi/tables", script: "etc/table-loader" } as const;
const loaderCommand = { allocate: 1, addPointer: 2, addChecksum: 3 } as const;
const loaderZone = { high: 1, lowFirmware: 2 } as const;
const loaderNameBytes = 56;
const loaderEntryBytes = 128;

/** The tables for a BIOS that places them itself: the files of QEMU's ACPI linker and loader interface (hw/acpi/bios-linker-loader.c there has its format). */
export function acpiLoaderFiles(hardware: AcpiHardware): Readonly<Record<string, Uint8Array>> {
  const image = buildImage(hardware);
  const entries: Uint8Array[] = [];
  const entry = (command: number, names: readonly string[], put: (view: DataView, at: number) => void) => {
    const bytes = new Uint8Array(loaderEntryBytes);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, command, true);
    names.forEach((file, k) => {
      putText(bytes, 4 + loaderNameBytes * k, file);
    });
    put(view, 4 + loaderNameBytes * names.length);
    entries.push(bytes);
  };
  const allocate = (file: string, boundary: number, zone: number) =>
    entry(loaderCommand.allocate, [file], (view, at) => {
      view.setUint32(at, boundary, true);
      view.setUint8(at + 4, zone);
    });
  const pointer = (file: string, offset: number) =>
    entry(loaderCommand.addPointer, [file, loaderFile.tables], (view, at) => {
      view.setUint32(at, offset, true);
      view.setUint8(at + 4, 4);
    });
  const checksum = (file: string, offset: number, from: number, length: number) =>
    entry(loaderCommand.addChecksum, [file], (view, at) => {
      view.setUint32(at, offset, true);
      view.setUint32(at + 4, from, true);
      view.setUint32(at + 8, length, true);
    });
  const rsdp = rootPointer(image.rsdt);
  const tables = image.bytes.slice();
  // The loader adds up what is there, this byte included.
  rsdp[rsdpChecksum] = 0;
  for (const { at } of image.checksums) tables[at + tableChecksum] = 0;
  allocate(loaderFile.tables, alignment, loaderZone.high);
  allocate(loaderFile.rsdp, 16, loaderZone.lowFirmware);
  for (const at of image.pointers) pointer(loaderFile.tables, at);
  pointer(loaderFile.rsdp, rsdpRsdt);
  for (const { at, length } of image.checksums) checksum(loaderFile.tables, at + tableChecksum, at, length);
  checksum(loaderFile.rsdp, rsdpChecksum, 0, rsdpBytes);
  const script = new Uint8Array(loaderEntryBytes * entries.length);
  entries.forEach((bytes, k) => {
    script.set(bytes, loaderEntryBytes * k);
  });
  return { [loaderFile.rsdp]: rsdp, [loaderFile.tables]: tables, [loaderFile.script]: script };
}

function doublewords(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, n) => {
    view.setUint32(n * 4, value, true);
  });
  return bytes;
}

function putText(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}

/** Makes all bytes sum up to zero. */
function putChecksum(bytes: Uint8Array, at: number): void {
  bytes[at] = 0;
  bytes[at] = -bytes.reduce((sum, byte) => sum + byte, 0);
}

function rootPointer(rsdt: number): Uint8Array {
  const bytes = new Uint8Array(rsdpBytes);
  putText(bytes, 0, "RSD PTR ");
  putText(bytes, 9, oemId);
  bytes.set(doublewords([rsdt]), rsdpRsdt);
  putChecksum(bytes, rsdpChecksum);
  return bytes;
}

/** A system description table: the standard header, then its body. */
function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headerBytes + body.length);
  putText(bytes, 0, signature);
  bytes.set(doublewords([bytes.length]), 4);
  bytes[8] = revision;
  putText(bytes, 10, oemId);
  putText(bytes, 16, oemId.padEnd(8));
  bytes.set(doublewords([1]), 24);
  putText(bytes, 28, oemId.slice(0, 4));
  bytes.set(doublewords([1]), 32);
  bytes.set(body, headerBytes);
  putChecksum(bytes, tableChecksum);
  return bytes;
}

function firmwareControl(): Uint8Array {
  const bytes = new Uint8Array(facsBytes);
  putText(bytes, 0, "FACS");
  bytes.set(doublewords([facsBytes]), 4);
  return bytes;
}

/** IA-PC boot architecture flags: ISA devices, an 8042, no VGA, no MSI. */
const bootArchitecture = { legacyDevices: 0x01, keyboardController: 0x02, noVga: 0x04, noMsi: 0x08 };
/** FADT flags: WBINVD works, C1 on every processor, no sleep button, no RTC wake in the fixed registers, RESET_REG works. */
const fixedFeatures = 0x0001 | 0x0004 | 0x0020 | 0x0040 | 0x0400;
/** A latency above these says the C state does not exist. */
const noC2 = 101;
const noC3 = 1001;

/** The FADT of ACPI 2.0 (revision 3), by the offsets of its table 5-5. */
function fixedDescription(facs: number, dsdt: number, vga: boolean): Uint8Array {
  const body = new Uint8Array(fadtBytes - headerBytes);
  const view = new DataView(body.buffer);
  const byte = (at: number, value: number) => view.setUint8(at - headerBytes, value);
  const word = (at: number, value: number) => view.setUint16(at - headerBytes, value, true);
  const doubleword = (at: number, value: number) => view.setUint32(at - headerBytes, value, true);
  /** A generic address structure in I/O space. */
  const portAddress = (at: number, port: number, bits: number) => {
    const accessSize = { 8: 1, 16: 2, 32: 3 }[bits] ?? 0;
    body.set([1, bits, 0, accessSize], at - headerBytes);
    doubleword(at + 4, port);
  };
  const pm = isaPorts.acpiPm.base;

  doubleword(36, facs);
  doubleword(40, dsdt);
  word(46, isaIrqs.acpi);
  doubleword(56, pm + acpiPmLayout.event);
  doubleword(64, pm + acpiPmLayout.control);
  doubleword(76, pm + acpiPmLayout.timer);
  byte(88, acpiPmLayout.eventBytes);
  byte(89, acpiPmLayout.controlBytes);
  byte(91, acpiPmLayout.timerBytes);
  word(96, noC2);
  word(98, noC3);
  byte(108, rtcCenturyRegister);
  word(109, bootArchitecture.legacyDevices | bootArchitecture.keyboardController | bootArchitecture.noMsi | (vga ? 0 : bootArchitecture.noVga));
  doubleword(112, fixedFeatures);
  portAddress(116, resetControlPort, 8);
  byte(128, 0x06);
  doubleword(140, dsdt);
  portAddress(148, pm + acpiPmLayout.event, 32);
  portAddress(172, pm + acpiPmLayout.control, 16);
  portAddress(208, pm + acpiPmLayout.timer, 32);
  return table("FACP", 3, body);
}

/** A PC/AT pair of 8259s is there as well. */
const compatible8259 = 1;
const madtEntry = { localApic: 0, ioApic: 1, interruptOverride: 2, localApicNmi: 4 } as const;
const allProcessors = 0xff;
const processorEnabled = 1;
/** MPS INTI flags: active high, level-triggered; 0 is what the bus does: for ISA high and edge-triggered. */
const activeHighLevel = 0x0d;
/** What PCI interrupts and the SCI can be steered to: they arrive at the I/O APIC under the ISA number, but are levels. */
const levelIrqs = [5, 9, 10, 11] as const;

/** The MADT (ACPI 2.0, 5.2.10.4): one processor, one I/O APIC with the ISA requests on pins 0-15, the timer's on pin 2, NMI on LINT1. */
function multipleApicDescription(): Uint8Array {
  const le = (value: number, bytes: number) => Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 0xff);
  const entry = (type: number, ...body: number[]) => [type, body.length + 2, ...body];
  const override = (irq: number, pin: number, flags: number) => entry(madtEntry.interruptOverride, 0, irq, ...le(pin, 4), ...le(flags, 2));
  return table(
    "APIC",
    1,
    Uint8Array.from([
      ...le(apicBaseAddress, 4),
      ...le(compatible8259, 4),
      ...entry(madtEntry.localApic, 0, 0, ...le(processorEnabled, 4)),
      ...entry(madtEntry.ioApic, 0, 0, ...le(ioApicAddress, 4), ...le(0, 4)),
      ...override(isaIrqs.timer, 2, 0),
      ...levelIrqs.flatMap((irq) => override(irq, irq, activeHighLevel)),
      ...entry(madtEntry.localApicNmi, allProcessors, ...le(0, 2), 1),
    ]),
  );
}

/** The HPET description table (IA-PC HPET 1.0a, 3.2.4). */
function highPrecisionTimer(): Uint8Array {
  const body = new Uint8Array(20);
  // The block's id, then its address as a generic address structure in memory space.
  body.set(doublewords([hpetIdentity]), 0);
  body.set(doublewords([hpetAddress]), 8);
  return table("HPET", 1, body);
}

/** The DSDT's AML. */
function definitionBlock(memoryBytes: number): Aml {
  const sleep = integer(sleepTypeSoftOff);
  const softOff = name("\\_S5", amlPackage(sleep, sleep, integer(0), integer(0)));
  return [...softOff, ...scope("\\_SB", pciRoot(memoryBytes))];
}

function pciRoot(memoryBytes: number): Aml {
  const { base, count } = isaPorts.pciConfig;
  // Windows start on 1 MiB, as PCI bridges have it.
  const memoryFirst = Math.ceil(memoryBytes / 0x100000) * 0x100000;
  const windows = [
    busNumbers(0, 0xff),
    ports(base, count),
    portWindow(0, base - 1),
    portWindow(base + count, 0xffff),
    memoryWindow(0xa0000, 0xbffff),
    ...(memoryFirst < pciMemoryLast ? [memoryWindow(memoryFirst, pciMemoryLast)] : []),
  ];
  return device(
    "PCI0",
    name("_HID", eisaId("PNP0A03")),
    name("_UID", integer(0)),
    name("_CRS", resources(...windows)),
    name("_PRT", interruptRouting()),
    device("ISA", name("_ADR", integer(0x00010000)), ...legacyDevices()),
  );
}

/**
 * For each device number and pin, the interrupt request: address, pin, no link device, IRQ. The PIIX3 steers PCI interrupts to ISA requests, which arrive at
 * the I/O APIC's pins of the same numbers, so that one table holds with the 8259s and with the APICs, whatever \_PIC is told.
 */
function interruptRouting(): Aml {
  const entries: Aml[] = [];
  for (let slot = 1; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const irq = pirqRouting[pirqOf(slot, pin + 1)];
      entries.push(amlPackage(integer(slot * 0x10000 + 0xffff), integer(pin), integer(0), integer(irq)));
    }
  }
  return amlPackage(...entries);
}

function legacyDevices(): Aml[] {
  const at = ({ base, count }: PortRange) => ports(base, count);
  const legacy = (path: string, id: string, unit: number, ...descriptors: Aml[]) =>
    device(path, name("_HID", eisaId(id)), name("_UID", integer(unit)), name("_CRS", resources(...descriptors)));
  const serial = (unit: 1 | 2 | 3 | 4) => legacy(`COM${unit}`, "PNP0501", unit, at(isaPorts[`com${unit}`]), interruptRequest(isaIrqs[`com${unit}`]));
  return [
    legacy("RTC", "PNP0B00", 0, at(isaPorts.rtc), interruptRequest(isaIrqs.rtc)),
    legacy("KBD", "PNP0303", 0, at(isaPorts.keyboardData), at(isaPorts.keyboardControl), interruptRequest(isaIrqs.keyboard)),
    // Without it Linux takes the controller's second port for switched off.
    legacy("MOU", "PNP0F13", 0, interruptRequest(isaIrqs.aux)),
    ...([1, 2, 3, 4] as const).map(serial),
  ];
}
