/**
 * Function 1 of the PIIX3: two IDE channels at their legacy ports and interrupt requests, and the bus master registers behind base address register 4
 * (datasheet 290550, "IDE Controller"). A channel answers when its decode bit in IDETIM and the function's I/O space bit are set; QEMU's answers always,
 * but firmware sets both before anything reads a disk.
 */
import type { Clock, Line, RegisterBank, SavedState } from "../device.ts";
import { PciFunction, pciCommand, pciRegister } from "../pci-function.ts";
import type { BarWindow } from "../pci-window.ts";
import { intel, qemuSubsystem } from "../piix.ts";
import type { BlockStorage, BusMemory } from "../storage/block-storage.ts";
import { AtaDisk } from "./ata-disk.ts";
import { AtapiCdRom } from "./atapi-cdrom.ts";
import { BusMaster } from "./bus-master.ts";
import { IdeChannel } from "./channel.ts";
import type { Activity, IdeDrive } from "./drive.ts";
import type { Translation } from "./geometry.ts";

/** Legacy places of the channels. */
export const idePorts = [
  { command: { base: 0x1f0, count: 8 }, control: { base: 0x3f6, count: 1 }, irq: 14 },
  { command: { base: 0x170, count: 8 }, control: { base: 0x376, count: 1 }, irq: 15 },
] as const;

/** Timing registers, one a channel; the top bit makes the channel answer. Slave timing follows. */
const ideTiming = [0x40, 0x42] as const;
const slaveTiming = 0x44;
const decodeEnable = 0x8000;

const busMasterBar = 4;
const busMasterPorts = 16;
/** Fast back-to-back capable, medium DEVSEL timing. */
const pciStatus = 0x0280;

export type IdeDriveName = "hda" | "hdb" | "hdc" | "hdd";
const driveNames: readonly IdeDriveName[] = ["hda", "hdb", "hdc", "hdd"];

const translationCodes = { none: 0, lba: 1, large: 2 } as const satisfies Record<Translation, number>;

export type IdeDriveOptions =
  | { readonly kind: "disk"; readonly storage: BlockStorage }
  /** `storage` null: an empty drive. */
  | { readonly kind: "cdrom"; readonly storage: BlockStorage | null };

export interface Piix3IdeOptions {
  readonly clock: Clock;
  readonly memory: BusMemory;
  /** Interrupt requests 14 and 15. */
  readonly irqs: readonly [Line, Line];
  readonly drives: { readonly [name in IdeDriveName]?: IdeDriveOptions };
  /** Makes the 16 bus master ports answer where the base address register has them. */
  readonly busMasterWindow: (registers: RegisterBank) => BarWindow;
  /** A drive reads or writes: for indicators. */
  readonly activity?: (drive: IdeDriveName, kind: Activity) => void;
}

export class Piix3Ide extends PciFunction {
  readonly channels: readonly [IdeChannel, IdeChannel];

  constructor({ clock, memory, irqs, drives, busMasterWindow, activity }: Piix3IdeOptions) {
    super("ide", { vendor: intel, device: 0x7010, classCode: 0x010180, ...qemuSubsystem });
    this.define(pciRegister.status, 2, pciStatus);
    for (const register of ideTiming) this.define(register, 2, 0, 0xffff);
    this.define(slaveTiming, 1, 0, 0xff);
    this.channels = [new IdeChannel(clock, irqs[0], new BusMaster(memory)), new IdeChannel(clock, irqs[1], new BusMaster(memory))];
    driveNames.forEach((name, n) => {
      const options = drives[name];
      if (options === undefined) return;
      const host = this.channels[n >> 1];
      const serial = `XL0000${n + 1}`;
      const onActivity = (kind: Activity): void => activity?.(name, kind);
      const drive: IdeDrive =
        options.kind === "disk"
          ? new AtaDisk({
              name,
              host,
              storage: options.storage,
              identity: { model: "XLAT86 HARDDISK", serial, firmware: "1.0" },
              activity: onActivity,
            })
          : new AtapiCdRom({
              name,
              host,
              storage: options.storage,
              identity: { model: "XLAT86 DVD-ROM", serial, firmware: "1.0" },
              activity: onActivity,
            });
      host.drives[n & 1] = drive;
    });
    const bankOf = (offset: number) => this.channels[offset >> 3].busMaster.registers;
    const window = busMasterWindow({
      read: (offset, size) => bankOf(offset).read(offset & 7, size),
      write: (offset, size, value) => bankOf(offset).write(offset & 7, size, value),
    });
    this.defineBar(busMasterBar, "io", busMasterPorts, { window });
  }

  disk(name: IdeDriveName): AtaDisk | undefined {
    const drive = this.drive(name);
    return drive instanceof AtaDisk ? drive : undefined;
  }

  /** Tells how firmware is to translate each disk's geometry, by the disk's number and the code that QEMU's firmware takes from the CMOS. */
  forEachTranslation(tell: (disk: number, code: 0 | 1 | 2) => void): void {
    driveNames.forEach((name, n) => {
      const disk = this.disk(name);
      disk?.whenKnown(() => tell(n, translationCodes[disk.translation]));
    });
  }

  cdRom(name: IdeDriveName): AtapiCdRom | undefined {
    const drive = this.drive(name);
    return drive instanceof AtapiCdRom ? drive : undefined;
  }

  /** What firmware does for a kernel that is booted without one: both channels answer, bus master registers at `base`. */
  configure(base: number): void {
    for (const register of ideTiming) this.writeConfig(register, 2, decodeEnable);
    this.writeConfig(pciRegister.bars + 4 * busMasterBar, 4, base);
    this.writeConfig(pciRegister.command, 2, pciCommand.io | pciCommand.master);
  }

  override reset(): void {
    super.reset();
    for (const channel of this.channels) channel.reset();
  }

  override save(): SavedState {
    return { ...super.save(), channels: this.channels.map((channel) => channel.save()) };
  }

  override restore(state: SavedState): void {
    super.restore(state);
    (state.channels as SavedState[]).forEach((saved, n) => {
      this.channels[n].restore(saved);
    });
  }

  protected override configWritten(): void {
    // The base class resets before there are channels.
    if (this.channels === undefined) return;
    const command = this.readConfig(pciRegister.command, 2);
    const decodes = (command & pciCommand.io) !== 0;
    this.channels.forEach((channel, n) => {
      channel.decode(decodes && (this.readConfig(ideTiming[n], 2) & decodeEnable) !== 0);
      channel.busMaster.enable((command & pciCommand.master) !== 0);
    });
  }

  private drive(name: IdeDriveName): IdeDrive | null {
    const n = driveNames.indexOf(name);
    return this.channels[n >> 1].drives[n & 1];
  }
}
