/** What firmware leaves in memory for a kernel that boots without any: the memory map, the BIOS data area, the ACPI tables, the SMBIOS structures. */
import { processorIdentity } from "../../runtime/callouts/identification.ts";
import { buildAcpiTables } from "../../runtime/devices/acpi-tables.ts";
import { placeSmbios } from "../../runtime/devices/smbios.ts";
import { conventionalEnd, firmwareArea, type MemoryRange, pcMemoryMap } from "../boot/memory-map.ts";

/** IBM PC/AT BIOS data area at 400h: serial port bases, segment of the extended BIOS data area, KiB of conventional memory. */
const biosDataArea = { base: 0x400, serialPorts: 0x00, extendedArea: 0x0e, memoryKiB: 0x13, size: 0x100 } as const;
/** Where kernels search for the entry point of SMBIOS. */
const smbiosAddress = 0xf0000;
/** What the data area says of text mode 3: mode, columns, bytes of a page; the CRTC's port; the last row, the height of characters. */
const videoMode = {
  mode: [0x49, 3],
  columns: [0x4a, 80],
  page: [0x4c, 0x1000],
  crtc: [0x63, 0x3d4],
  lastRow: [0x84, 24],
  height: [0x85, 16],
} as const;

export class Firmware {
  readonly memoryMap: readonly MemoryRange[];
  /** Guest-physical address of the ACPI root pointer. */
  readonly rsdp: number;
  readonly writes: readonly { readonly address: number; readonly bytes: Uint8Array }[];

  constructor(memorySize: number, vga = false) {
    this.memoryMap = pcMemoryMap(memorySize);
    const acpi = buildAcpiTables({ address: firmwareArea.base, memoryBytes: memorySize, vga, apic: true, hpet: true });
    this.rsdp = acpi.address;
    const smbios = { address: smbiosAddress, bytes: placeSmbios({ memoryBytes: memorySize, processor: processorIdentity }, smbiosAddress) };
    this.writes = [{ address: biosDataArea.base, bytes: biosData(vga) }, acpi, smbios];
  }
}

function biosData(vga: boolean): Uint8Array {
  const area = new DataView(new ArrayBuffer(biosDataArea.size));
  for (const [i, base] of [0x3f8, 0x2f8, 0x3e8, 0x2e8].entries()) area.setUint16(biosDataArea.serialPorts + 2 * i, base, true);
  area.setUint16(biosDataArea.extendedArea, conventionalEnd >> 4, true);
  area.setUint16(biosDataArea.memoryKiB, conventionalEnd >> 10, true);
  if (vga) {
    for (const [at, value] of [videoMode.mode, videoMode.lastRow]) area.setUint8(at, value);
    for (const [at, value] of [videoMode.columns, videoMode.page, videoMode.crtc, videoMode.height]) area.setUint16(at, value, true);
  }
  return new Uint8Array(area.buffer);
}
