/**
 * The mainboard: every device, the ports its registers answer at, and the lines it drives. Where things are is in runtime/devices/isa-ports.ts;
 * a new device is a line or two here. The order of `devices` is the order of reset.
 */
import type { CpuBoard } from "../../runtime/cpu/cpu.ts";
import { AcpiPm } from "../../runtime/devices/acpi-pm.ts";
import { type MachineClock, VirtualClock } from "../../runtime/devices/clock.ts";
import { DebugExit } from "../../runtime/devices/debug-exit.ts";
import type { Device, RegisterBank } from "../../runtime/devices/device.ts";
import { I8042 } from "../../runtime/devices/i8042.ts";
import { type IsaPortName, isaIrqs, isaPorts } from "../../runtime/devices/isa-ports.ts";
import { onChange, unconnected, WiredOr } from "../../runtime/devices/line.ts";
import { PciBus } from "../../runtime/devices/pci.ts";
import { Pic8259 } from "../../runtime/devices/pic8259.ts";
import { HostBridge440Fx, IsaBridgePiix3, PowerManagementPiix4 } from "../../runtime/devices/piix.ts";
import { Pit8254 } from "../../runtime/devices/pit8254.ts";
import { PortBus } from "../../runtime/devices/port-bus.ts";
import { Port61 } from "../../runtime/devices/port61.ts";
import { Port92 } from "../../runtime/devices/port92.ts";
import { Ps2Keyboard } from "../../runtime/devices/ps2-keyboard.ts";
import { Rtc146818 } from "../../runtime/devices/rtc146818.ts";
import { Uart16550 } from "../../runtime/devices/uart16550.ts";
import type { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { SerialPipe } from "./serial.ts";
import type { ExitInfo } from "./types.ts";

/** Virtual time begins here, so that runs repeat: 2026-01-01T00:00:00Z. */
const virtualEpoch = 1_767_225_600_000;
/** Port 92h: the bit that opens gate A20. */
const fastGateA20 = 2;
/** FERR# reaches the CPU as IRQ13; a write to port F0h releases it (82371AB datasheet, "Coprocessor Error"). */
const coprocessor = { irq: 13, port: 0xf0 } as const;

/** What the board tells the machine. */
export interface BoardSignals {
  /** The CPU's INTR pin rose. */
  interrupt(): void;
  gateA20(open: boolean): void;
  exit(exit: ExitInfo): void;
  /** Output of serial port 0. */
  serial(bytes: Uint8Array): void;
}

export class Board {
  readonly cpuBoard: CpuBoard;
  readonly serial: SerialPipe;
  readonly devices: readonly Device[];
  readonly #port92: Port92;

  constructor(physical: PhysicalMemory, clock: MachineClock, signals: BoardSignals) {
    const ports = new PortBus();
    const map = (name: IsaPortName, bank: RegisterBank): void => ports.map(isaPorts[name].base, isaPorts[name].count, bank);
    const reset = (): void => signals.exit({ reason: "reset" });

    const interrupts = { pending: false, acknowledge: () => pic.acknowledge() };
    const intr = onChange((high) => {
      interrupts.pending = high;
      if (high) signals.interrupt();
    });
    const pic = new Pic8259(intr);
    map("picMaster", pic.master);
    map("picSlave", pic.slave);
    map("picEdgeLevel", pic.edgeLevel);

    const pit = new Pit8254(clock, [pic.irq(isaIrqs.timer), null, null]);
    map("pit", pit.registers);
    const port61 = new Port61(clock, pit);
    map("port61", port61.registers);

    const hasVirtualTime = clock instanceof VirtualClock;
    const rtc = new Rtc146818({
      clock,
      wallClock: hasVirtualTime ? () => virtualEpoch + clock.now() / 1e6 : () => Date.now(),
      irq: pic.irq(isaIrqs.rtc),
      nmiMask: unconnected,
      memoryBytes: physical.size,
    });
    map("rtc", rtc.registers);

    const a20 = new WiredOr(onChange((high) => signals.gateA20(high)));
    this.#port92 = new Port92(a20.driver(), reset);
    map("port92", this.#port92.registers);
    const keyboard = new Ps2Keyboard(clock);
    const i8042 = new I8042({ clock, keyboard, keyboardIrq: pic.irq(isaIrqs.keyboard), gateA20: a20.driver(), resetMachine: reset });
    map("keyboardData", i8042.data);
    map("keyboardControl", i8042.control);

    const pci = new PciBus(reset);
    pci.add(0, 0, new HostBridge440Fx());
    pci.add(1, 0, new IsaBridgePiix3((n) => pic.irq(n)));
    pci.add(1, 3, new PowerManagementPiix4(isaPorts.acpiPm.base, isaIrqs.acpi));
    map("pciConfig", pci.registers);
    const pm = new AcpiPm(clock, pic.irq(isaIrqs.acpi), () => signals.exit({ reason: "power-off" }));
    map("acpiPm", pm.registers);

    const uart = (name: "com1" | "com2" | "com3" | "com4", onTransmit: (byte: number) => void, onReceiveSpace?: () => void): Uart16550 =>
      new Uart16550({ name, clock, irq: pic.irq(isaIrqs[name]), onTransmit, ...(onReceiveSpace ? { onReceiveSpace } : {}) });
    this.serial = new SerialPipe((transmit, space) => uart("com1", transmit, space), signals.serial);
    map("com1", this.serial.registers);
    const otherUarts = (["com2", "com3", "com4"] as const).map((name) => {
      const device = uart(name, () => {});
      map(name, device.registers);
      return device;
    });

    const debugExit = new DebugExit((value) => signals.exit({ reason: "debug-exit", value, code: (value << 1) | 1 }));
    map("debugExit", debugExit);

    const ferr = pic.irq(coprocessor.irq);
    ports.map(coprocessor.port, 1, { read: () => 0xff, write: () => ferr.set(false) });

    // The 8259s last: edges that others make while they are reset are no requests.
    this.devices = [pit, port61, rtc, this.#port92, keyboard, i8042, pci, pm, this.serial.device, ...otherUarts, debugExit, pic];
    this.cpuBoard = { physical, ports, clock, interrupts, tscPerNanosecond: 1, setFerr: (high) => ferr.set(high) };
    this.reset();
  }

  reset(): void {
    this.cpuBoard.setFerr(false);
    for (const device of this.devices) device.reset();
    this.serial.reset();
  }

  /** What firmware does before it passes control on: opens gate A20. */
  handOver(): void {
    this.#port92.registers.write(0, 1, fastGateA20);
  }

  /** Passes on gathered output. */
  flush(): void {
    this.serial.flush();
  }
}
