/**
 * The controllers of the machine's drives, on the board: IDE behind the PIIX3, the floppy controller with ISA DMA, a virtio-blk function for each virtio drive.
 * A machine that a BIOS boots has IDE and DMA always, as guests expect of a PC; one that starts a kernel directly only what its drives need.
 */
import type { Clock, Device, Line, RegisterBank } from "../../runtime/devices/device.ts";
import { Dma8237 } from "../../runtime/devices/dma8237.ts";
import { FloppyController, type FloppyDriveType, FloppySizeError, floppyDriveFor, floppyFormat } from "../../runtime/devices/floppy/index.ts";
import { type IdeDriveName, type IdeDriveOptions, idePorts, Piix3Ide } from "../../runtime/devices/ide/index.ts";
import { type IsaPortName, isaIrqs } from "../../runtime/devices/isa-ports.ts";
import type { PciBus } from "../../runtime/devices/pci.ts";
import { portWindow, registerWindow } from "../../runtime/devices/pci-window.ts";
import type { IsaBridgePiix3 } from "../../runtime/devices/piix.ts";
import type { PortBus } from "../../runtime/devices/port-bus.ts";
import { VirtioBlock, VirtioPciFunction } from "../../runtime/devices/virtio/index.ts";
import type { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { type Drive, type Drives, floppyDriveNames, ideDriveNames, MachineError } from "./options.ts";

const ideFunction = { slot: 1, number: 1, busMasterPorts: 16 } as const;
/** The first free PCI device number; 3 is for a network adapter, as on QEMU's `pc`. */
const firstVirtioSlot = 4;
const lastSlot = 31;
const floppyDma = 2;
/** Where bus master registers go when there is no firmware to place them: where SeaBIOS places the first I/O BAR. */
const busMasterBase = 0xc000;

/** Told when a drive reads or writes: for indicators. */
export type DriveActivity = (place: string, kind: "read" | "write") => void;

export interface DriveSurroundings {
  readonly physical: PhysicalMemory;
  readonly ports: PortBus;
  readonly clock: Clock;
  readonly pci: PciBus;
  readonly isaBridge: IsaBridgePiix3;
  readonly irq: (n: number) => Line;
  readonly map: (name: IsaPortName, bank: RegisterBank) => void;
  readonly drives: Drives;
  /** IDE and DMA are there whatever the drives. */
  readonly isWholePc: boolean;
  readonly activity: DriveActivity;
  /** Something that a person may want to know of a drive. */
  readonly warn: (message: string) => void;
}

/** What an empty drive is: the one that takes most; QEMU fits the same. */
const emptyFloppyDrive: FloppyDriveType = "2.88M";

/**
 * Drive types for the CMOS, by unit; null where none is fitted: a whole PC has drive A whether there is something in it or not.
 * Errors: `MachineError` for an image that is no floppy.
 */
export function floppyTypes(drives: Drives, isWholePc: boolean): (FloppyDriveType | null)[] {
  return floppyDriveNames.map((place, unit) => {
    const drive = drives[place];
    if (drive === undefined) return isWholePc && unit === 0 ? emptyFloppyDrive : null;
    if (drive.storage === null) return emptyFloppyDrive;
    try {
      return floppyDriveFor(floppyFormat(drive.storage.size).format);
    } catch (error) {
      if (error instanceof FloppySizeError) throw new MachineError(`${drive.name}: ${error.message}`);
      throw error;
    }
  });
}

export class DriveControllers {
  /** To reset, save and restore; those on PCI are the bus's. */
  readonly devices: readonly Device[];
  readonly ide: Piix3Ide | undefined;
  readonly floppy: FloppyController | undefined;
  /** By unit; null where no drive is fitted. */
  readonly floppyTypes: readonly (FloppyDriveType | null)[];

  constructor(around: DriveSurroundings) {
    const { drives, physical, isWholePc, map } = around;
    const devices: Device[] = [];
    const hasIde = ideDriveNames.some((place) => drives[place] !== undefined);
    this.ide = isWholePc || hasIde ? addIde(around) : undefined;
    const types = floppyTypes(drives, isWholePc);
    this.floppyTypes = types;
    const hasFloppy = types.some((type) => type !== null);
    if (isWholePc || hasFloppy) {
      const dma = new Dma8237(physical);
      map("dmaFirst", dma.first);
      map("dmaSecond", dma.second);
      map("dmaPages", dma.pages);
      map("dmaHighPages", dma.highPages);
      devices.push(dma);
      if (hasFloppy) {
        this.floppy = addFloppy(around, dma, types);
        devices.push(this.floppy);
      }
    }
    (drives.virtio ?? []).forEach((drive, n) => {
      addVirtio(around, drive, n);
    });
    this.devices = devices;
  }

  /** What firmware does where there is none. Base address registers of virtio are the kernel's to set. */
  handOver(): void {
    this.ide?.configure(busMasterBase);
  }
}

function addIde({ physical, ports, clock, pci, irq, drives, activity }: DriveSurroundings): Piix3Ide {
  const places = ideDriveNames.flatMap((place): [IdeDriveName, IdeDriveOptions][] => {
    const drive = drives[place];
    if (drive === undefined) return [];
    const { media, storage } = drive;
    if (media === "cdrom") return [[place, { kind: media, storage }]];
    return storage === null ? [] : [[place, { kind: "disk", storage }]];
  });
  const ide = new Piix3Ide({
    clock,
    memory: physical,
    irqs: [irq(idePorts[0].irq), irq(idePorts[1].irq)],
    drives: Object.fromEntries(places),
    busMasterWindow: (registers) => portWindow(ports, ideFunction.busMasterPorts, registers),
    activity,
  });
  idePorts.forEach(({ command, control }, n) => {
    ports.map(command.base, command.count, ide.channels[n].commandBlock);
    ports.map(control.base, control.count, ide.channels[n].controlBlock);
  });
  pci.add(ideFunction.slot, ideFunction.number, ide);
  return ide;
}

function addFloppy(
  { clock, irq, map, drives, activity, warn }: DriveSurroundings,
  dma: Dma8237,
  types: readonly (FloppyDriveType | null)[],
): FloppyController {
  const floppy = new FloppyController({
    clock,
    irq: irq(isaIrqs.floppy),
    dma: dma.channel(floppyDma),
    drives: types,
    activity: (unit, kind) => activity(floppyDriveNames[unit] ?? "", kind),
  });
  map("floppy", floppy.registers);
  map("floppyDirectory", floppy.directory);
  floppyDriveNames.forEach((place, unit) => {
    const drive = drives[place];
    const notice = drive?.storage ? floppy.insert(unit, drive.storage) : null;
    if (notice !== null) warn(`${drive?.storage ? drive.name : place}: ${notice}`);
  });
  return floppy;
}

function addVirtio({ physical, clock, pci, isaBridge, activity, warn }: DriveSurroundings, drive: Drive, n: number): void {
  const slot = firstVirtioSlot + n;
  if (slot > lastSlot)
    throw new MachineError(`drives.virtio: ${drive.name} is one more than the ${lastSlot - firstVirtioSlot + 1} that the bus has places for`);
  const name = `virtio${n}`;
  const block = new VirtioBlock({ name, storage: drive.storage, memory: physical, identity: name, activity: (kind) => activity(name, kind) });
  const window = (bytes: number, registers: RegisterBank) => registerWindow(physical, bytes, registers);
  // The guest's driver has to reset the device; until then it does nothing (Virtual I/O Device 1.2, 2.1.2).
  const complain = (_: string, reason: string): void =>
    warn(`${drive.name}: the virtio drive has stopped, for the guest's driver broke its rules: ${reason}`);
  const interrupt = isaBridge.interrupt(slot, 1);
  pci.add(slot, 0, new VirtioPciFunction(block, { clock, memory: physical, interrupt, window, complain }));
}
