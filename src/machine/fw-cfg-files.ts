/** What the machine tells its BIOS through fw_cfg (runtime/devices/fw-cfg.ts), by the names and layouts that SeaBIOS knows. */
import { processorIdentity } from "../../runtime/callouts/identification.ts";
import { type AcpiHardware, acpiLoaderFiles } from "../../runtime/devices/acpi-tables.ts";
import { type FwCfgFiles, fwCfgItem, littleEndian } from "../../runtime/devices/fw-cfg.ts";
import { buildSmbios } from "../../runtime/devices/smbios.ts";
import { memoryType } from "../boot/memory-map.ts";

/** After a boot that failed SeaBIOS waits for this many milliseconds and reboots; all ones: it does not. */
const neverReboot = 0xffffffff;
/** One entry of etc/e820: address, length, type. */
const e820EntryBytes = 20;

export interface FirmwareSettings extends AcpiHardware {
  readonly bootMenu: { readonly wait: number } | undefined;
}

export function fwCfgItems(settings: FirmwareSettings): Record<number, Uint8Array> {
  return {
    [fwCfgItem.ramSize]: littleEndian(settings.memoryBytes, 8),
    [fwCfgItem.cpus]: littleEndian(1, 2),
    [fwCfgItem.maxCpus]: littleEndian(1, 2),
    [fwCfgItem.irq0Override]: littleEndian(1, 1),
    [fwCfgItem.bootMenu]: littleEndian(settings.bootMenu ? 1 : 0, 2),
  };
}

export function fwCfgFiles(settings: FirmwareSettings): FwCfgFiles {
  const smbios = buildSmbios({ memoryBytes: settings.memoryBytes, processor: processorIdentity });
  return {
    "etc/e820": e820(settings.memoryBytes),
    "etc/boot-fail-wait": littleEndian(neverReboot, 4),
    ...(settings.bootMenu ? { "etc/boot-menu-wait": littleEndian(settings.bootMenu.wait, 2) } : {}),
    "etc/smbios/smbios-anchor": smbios.anchor,
    "etc/smbios/smbios-tables": smbios.structures,
    ...acpiLoaderFiles(settings),
  };
}

/** RAM; what of it is not usable the BIOS knows itself. */
function e820(memoryBytes: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(e820EntryBytes));
  view.setBigUint64(8, BigInt(memoryBytes), true);
  view.setUint32(16, memoryType.usable, true);
  return new Uint8Array(view.buffer);
}
