/**
 * The ACPI tables of the platform (ACPI Specification 2.0): RSDP, RSDT, FACS, FADT and DSDT in one image. They tell the guest where the
 * fixed hardware is (acpi-pm.ts), how to power off (\_S5), which legacy devices there are and how PCI interrupts are wired. There is no
 * MADT, because there is no APIC: interrupts are the 8259 pair's.
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
import { isaIrqs, isaPorts, type PortRange, resetControlPort } from "./isa-ports.ts";
import { pirqOf, pirqRouting } from "./piix.ts";
import { rtcCenturyRegister } from "./rtc146818.ts";

export type AcpiTables = {
  /** Guest-physical address of the image: that of the RSDP. */
  readonly address: number;
  readonly bytes: Uint8Array;
};

export type AcpiTableOptions = {
  /** Guest-physical address, on a 64-byte boundary; for guests that search for the RSDP, in E0000h-FFFFFh. */
  readonly address: number;
  /** RAM of the machine: PCI memory begins above it. */
  readonly memoryBytes: number;
  /** Whether there is a VGA adapter that a guest may probe. */
  readonly vga?: boolean;
};

const oemId = "XLAT86";
const alignment = 64;
const rsdpBytes = 20;
const headerBytes = 36;
const facsBytes = 64;
const fadtBytes = 244;
/** Top of the PCI memory window, below the addresses of APICs and firmware. */
const pciMemoryLast = 0xfebfffff;

export function buildAcpiTables(options: AcpiTableOptions): AcpiTables {
  const { address } = options;
  if (address % alignment !== 0) throw new RangeError(`ACPI tables at ${address.toString(16)}h: expected a ${alignment}-byte boundary`);
  const dsdt = table("DSDT", 1, Uint8Array.from(definitionBlock(options.memoryBytes)));
  let at = alignment;
  const place = (bytes: number) => {
    const placed = at;
    at += Math.ceil(bytes / alignment) * alignment;
    return placed;
  };
  const rsdtAt = place(headerBytes + 4);
  const facsAt = place(facsBytes);
  const fadtAt = place(fadtBytes);
  const dsdtAt = place(dsdt.length);

  const bytes = new Uint8Array(at);
  bytes.set(rootPointer(address + rsdtAt), 0);
  bytes.set(table("RSDT", 1, doublewords([address + fadtAt])), rsdtAt);
  bytes.set(firmwareControl(), facsAt);
  bytes.set(fixedDescription(address + facsAt, address + dsdtAt, options.vga ?? false), fadtAt);
  bytes.set(dsdt, dsdtAt);
  return { address, bytes };
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
  bytes.set(doublewords([rsdt]), 16);
  putChecksum(bytes, 8);
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
  putChecksum(bytes, 9);
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

/** For each device number and pin, the interrupt request: address, pin, no link device, IRQ. */
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
    ...([1, 2, 3, 4] as const).map(serial),
  ];
}
