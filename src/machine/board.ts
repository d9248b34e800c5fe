/**
 * The mainboard: every device, the ports its registers answer at, and the lines it drives. Where things are is in runtime/devices/isa-ports.ts;
 * a new device is a line or two here. The order of `devices` is the order of reset.
 */
import type { CpuBoard } from "../../runtime/cpu/cpu.ts";
import { AcpiPm } from "../../runtime/devices/acpi-pm.ts";
import { ApmPorts } from "../../runtime/devices/apm.ts";
import { type MachineClock, VirtualClock } from "../../runtime/devices/clock.ts";
import { DebugExit } from "../../runtime/devices/debug-exit.ts";
import { DebugPort } from "../../runtime/devices/debug-port.ts";
import type { Device, RegisterBank, SavedState } from "../../runtime/devices/device.ts";
import { floppyCmos } from "../../runtime/devices/floppy/index.ts";
import { FwCfg } from "../../runtime/devices/fw-cfg.ts";
import { HostBridge440Fx } from "../../runtime/devices/i440fx.ts";
import { I8042 } from "../../runtime/devices/i8042.ts";
import { type IsaPortName, isaIrqs, isaPorts } from "../../runtime/devices/isa-ports.ts";
import { onChange, unconnected, WiredOr } from "../../runtime/devices/line.ts";
import { PciBus } from "../../runtime/devices/pci.ts";
import { portWindow } from "../../runtime/devices/pci-window.ts";
import { IsaBridgePiix3, PowerManagementPiix4 } from "../../runtime/devices/piix.ts";
import { Pit8254 } from "../../runtime/devices/pit8254.ts";
import { PortBus } from "../../runtime/devices/port-bus.ts";
import { Port61 } from "../../runtime/devices/port61.ts";
import { Port92 } from "../../runtime/devices/port92.ts";
import { Ps2Keyboard } from "../../runtime/devices/ps2-keyboard.ts";
import { Ps2Mouse } from "../../runtime/devices/ps2-mouse.ts";
import { Rtc146818 } from "../../runtime/devices/rtc146818.ts";
import { Uart16550 } from "../../runtime/devices/uart16550.ts";
import type { Display } from "../../runtime/devices/vga/display.ts";
import type { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { placeVga, vgaDeviceBytes } from "./display-adapter.ts";
import { DriveControllers, floppyTypes } from "./drive-controllers.ts";
import { type FirmwareSettings, fwCfgFiles, fwCfgItems } from "./fw-cfg-files.ts";
import { InterruptControllers } from "./interrupts.ts";
import type { ResolvedOptions } from "./options.ts";
import { SerialPipe } from "./serial.ts";
import type { ExitInfo } from "./types.ts";
import { powerOnTextMode } from "./vga-text-mode.ts";

/** Virtual time begins here, so that runs repeat: 2026-01-01T00:00:00Z. */
const virtualEpoch = 1_767_225_600_000;
/** Device number of the display adapter, as on QEMU's `pc`. */
const vgaSlot = 2;
/** Port 92h: the bit that opens gate A20. */
const fastGateA20 = 2;
/** FERR# reaches the CPU as IRQ13; a write to port F0h releases it (82371AB datasheet, "Coprocessor Error"). */
const coprocessor = { irq: 13, port: 0xf0 } as const;

/** Lines from the debug port are cut at this length. */
const longestLine = 4096;
const lineFeed = 10;

type MapPorts = (name: IsaPortName, bank: RegisterBank) => void;

/** What the board tells the machine. */
export interface BoardSignals {
  /** The CPU's INTR pin rose. */
  interrupt(): void;
  gateA20(open: boolean): void;
  exit(exit: ExitInfo): void;
  /** Output of serial port 0. */
  serial(bytes: Uint8Array): void;
  /** A drive reads or writes: its place (`Drives`), virtio drives numbered. */
  drive?(place: string, kind: "read" | "write"): void;
  /** A line that firmware wrote to the debug port. */
  firmware?(line: string): void;
  /** Something that a person may want to know. */
  warning?(message: string): void;
}

export type BoardOptions = Partial<Pick<ResolvedOptions, "bios" | "vgaBios" | "vga" | "drives" | "boot" | "bootMenu" | "cpuidLevel">>;

export class Board {
  readonly cpuBoard: CpuBoard;
  readonly serial: SerialPipe;
  readonly devices: readonly Device[];
  readonly keyboard: Ps2Keyboard;
  readonly mouse: Ps2Mouse;
  readonly keyboardController: I8042;
  /** What the graphics adapter shows, if there is one. */
  readonly display: Display | undefined;
  readonly drives: DriveControllers;
  /** Sets the adapter up as its BIOS would. */
  readonly #powerOnDisplay: () => void;
  readonly #port92: Port92;
  readonly #pci: PciBus;
  readonly #hostBridge: HostBridge440Fx;
  readonly #isaBridge: IsaBridgePiix3;
  readonly #powerManagement: PowerManagementPiix4;

  /** Bytes of device memory that a board with these options needs (`PhysicalMemory`). */
  static deviceBytes({ bios, vga, vgaBios }: BoardOptions): number {
    return (bios?.bytes.length ?? 0) + (vga === true ? vgaDeviceBytes(vgaBios?.bytes) : 0);
  }

  constructor(physical: PhysicalMemory, clock: MachineClock, signals: BoardSignals, options: BoardOptions = {}) {
    const ports = new PortBus();
    const map: MapPorts = (name, bank) => ports.map(isaPorts[name].base, isaPorts[name].count, bank);
    const reset = (): void => signals.exit({ reason: "reset" });

    const interrupts = new InterruptControllers(physical, clock, () => signals.interrupt());
    const { pic } = interrupts;
    map("picMaster", pic.master);
    map("picSlave", pic.slave);
    map("picEdgeLevel", pic.edgeLevel);

    const pit = new Pit8254(clock, [interrupts.timer, null, null]);
    map("pit", pit.registers);
    const port61 = new Port61(clock, pit);
    map("port61", port61.registers);

    const hasVirtualTime = clock instanceof VirtualClock;
    const rtc = new Rtc146818({
      clock,
      wallClock: hasVirtualTime ? () => virtualEpoch + clock.now() / 1e6 : () => Date.now(),
      irq: interrupts.rtc,
      nmiMask: unconnected,
      memoryBytes: physical.size,
      floppies: floppyCmos(floppyTypes(options.drives ?? {}, options.bios !== undefined)),
      ...(options.boot === undefined ? {} : { bootOrder: options.boot }),
    });
    map("rtc", rtc.registers);

    const a20 = new WiredOr(onChange((high) => signals.gateA20(high)));
    this.#port92 = new Port92(a20.driver(), reset);
    map("port92", this.#port92.registers);
    const keyboard = new Ps2Keyboard(clock);
    const mouse = new Ps2Mouse(clock);
    const ps2Irqs = { keyboardIrq: interrupts.irq(isaIrqs.keyboard), auxIrq: interrupts.irq(isaIrqs.aux) };
    const i8042 = new I8042({ clock, keyboard, aux: mouse, ...ps2Irqs, gateA20: a20.driver(), resetMachine: reset });
    this.keyboard = keyboard;
    this.mouse = mouse;
    this.keyboardController = i8042;
    map("keyboardData", i8042.data);
    map("keyboardControl", i8042.control);

    const pci = new PciBus(reset);
    this.#pci = pci;
    const pm = new AcpiPm(clock, interrupts.irq(isaIrqs.acpi), () => signals.exit({ reason: "power-off" }));
    const rom = options.bios === undefined ? undefined : installRom(physical, options.bios.bytes);
    this.#hostBridge = new HostBridge440Fx({ memory: physical, ...(rom ? { rom } : {}) });
    this.#isaBridge = new IsaBridgePiix3((n) => interrupts.irq(n));
    this.#powerManagement = new PowerManagementPiix4(portWindow(ports, isaPorts.acpiPm.count, pm.registers));
    pci.add(0, 0, this.#hostBridge);
    pci.add(1, 0, this.#isaBridge);
    pci.add(1, 3, this.#powerManagement);
    map("pciConfig", pci.registers);
    const vga = options.vga === true ? placeVga({ physical, ports, pci, clock, slot: vgaSlot, rom: options.vgaBios?.bytes }) : undefined;
    this.display = vga;
    this.#powerOnDisplay = () => vga && powerOnTextMode(vga, options.vgaBios?.bytes);
    const drives = new DriveControllers({
      ...{ physical, ports, clock, pci, isaBridge: this.#isaBridge, irq: (n) => interrupts.irq(n), map },
      ...{ drives: options.drives ?? {}, isWholePc: options.bios !== undefined, activity: (place, kind) => signals.drive?.(place, kind) },
      warn: (message) => signals.warning?.(message),
    });
    this.drives = drives;
    drives.ide?.forEachTranslation((disk, code) => rtc.recordDiskTranslation(disk, code));
    const apm = new ApmPorts();
    map("apm", apm.registers);

    const uart = (name: "com1" | "com2" | "com3" | "com4", onTransmit: (byte: number) => void, onReceiveSpace?: () => void): Uart16550 =>
      new Uart16550({ name, clock, irq: interrupts.irq(isaIrqs[name]), onTransmit, ...(onReceiveSpace ? { onReceiveSpace } : {}) });
    this.serial = new SerialPipe((transmit, space) => uart("com1", transmit, space), signals.serial);
    map("com1", this.serial.registers);
    const otherUarts = (["com2", "com3", "com4"] as const).map((name) => {
      const device = uart(name, () => {});
      map(name, device.registers);
      return device;
    });

    const hardware = { memoryBytes: physical.size, vga: options.vga === true, apic: true, hpet: true };
    const firmwareDevices =
      options.bios === undefined ? [] : this.#firmwareDevices(physical, { ...hardware, bootMenu: options.bootMenu }, signals, map);

    const debugExit = new DebugExit((value) => signals.exit({ reason: "debug-exit", value, code: (value << 1) | 1 }));
    map("debugExit", debugExit);

    const ferr = interrupts.irq(coprocessor.irq);
    ports.map(coprocessor.port, 1, { read: () => 0xff, write: () => ferr.set(false) });

    this.devices = [
      pit,
      port61,
      rtc,
      this.#port92,
      keyboard,
      mouse,
      i8042,
      pci,
      pm,
      apm,
      this.serial.device,
      ...otherUarts,
      ...firmwareDevices,
      ...(vga ? [vga] : []),
      ...drives.devices,
      debugExit,
      ...interrupts.devices,
    ];
    this.cpuBoard = {
      physical,
      ports,
      clock,
      interrupts: interrupts.apic,
      apic: interrupts.apic,
      tscPerNanosecond: 1,
      ...(options.cpuidLevel === undefined ? {} : { cpuidLevel: options.cpuidLevel }),
      setFerr: (high) => ferr.set(high),
    };
    this.reset();
  }

  reset(): void {
    this.cpuBoard.setFerr(false);
    for (const device of this.devices) device.reset();
    this.serial.reset();
  }

  /** Every device, and every function of the PCI bus: what the machine is made of. */
  deviceNames(): string[] {
    return [...this.devices.map(({ name }) => name), ...this.#pci.all().map(({ name }) => name)];
  }

  save(): SavedState {
    return { devices: Object.fromEntries(this.devices.map((device) => [device.name, device.save()])), serial: this.serial.save() };
  }

  /** The states are of a board with the same devices. */
  restore(state: SavedState): void {
    const devices = state.devices as { readonly [name: string]: SavedState };
    for (const device of this.devices) device.restore(devices[device.name]!);
    this.serial.restore(state.serial as SavedState);
  }

  /** What there is only for a BIOS: the memory mapped behind it, its configuration and debug ports. */
  #firmwareDevices(physical: PhysicalMemory, settings: FirmwareSettings, signals: BoardSignals, map: MapPorts): Device[] {
    const fwCfg = new FwCfg(physical, fwCfgItems(settings), fwCfgFiles(settings));
    map("fwCfg", fwCfg.registers);
    let line = "";
    const debugPort = new DebugPort((byte) => {
      line += String.fromCharCode(byte);
      if (byte !== lineFeed && line.length < longestLine) return;
      signals.firmware?.(line);
      line = "";
    });
    map("debugPort", debugPort);
    return [fwCfg, debugPort];
  }

  /** What firmware does before it passes control on, where there is none: opens gate A20, maps RAM instead of ROM, steers PCI interrupts, places ACPI's registers, sets a text mode. */
  handOver(): void {
    this.#hostBridge.shadowAll();
    this.#isaBridge.steer();
    this.#powerManagement.enableAt(isaPorts.acpiPm.base, isaIrqs.acpi);
    this.drives.handOver();
    this.#powerOnDisplay();
    this.#port92.registers.write(0, 1, fastGateA20);
  }

  /** Passes on gathered output. */
  flush(): void {
    this.serial.flush();
  }
}

/** Puts the BIOS into the buffer and at the top of 4 GiB; below 1 MiB the host bridge shows its end. */
function installRom(physical: PhysicalMemory, bytes: Uint8Array): { readonly offset: number; readonly bytes: number } {
  const offset = physical.reserve(bytes.length);
  physical.writeOffset(offset, bytes);
  physical.show(2 ** 32 - bytes.length, offset, bytes.length, "read-only");
  return { offset, bytes: bytes.length };
}
