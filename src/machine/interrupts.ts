/**
 * The interrupt controllers of the board and how they are wired: ISA's requests lead to the 8259 pair and to the I/O APIC, the 8259's INTR to LINT0
 * of the processor's local APIC, which alone speaks to the processor. The HPET sits between the 8254 and the RTC and their requests, which it can
 * take over.
 */
import { apicBaseAddress, InterruptMessageBus, IoApic, IsaInterrupts, ioApicAddress, LocalApic } from "../../runtime/devices/apic/index.ts";
import type { Clock, Device, Line, RegisterBank } from "../../runtime/devices/device.ts";
import { Hpet, hpetAddress } from "../../runtime/devices/hpet.ts";
import { isaIrqs } from "../../runtime/devices/isa-ports.ts";
import { WiredOr } from "../../runtime/devices/line.ts";
import { Pic8259 } from "../../runtime/devices/pic8259.ts";
import type { PhysicalMemory } from "../../runtime/memory/physical.ts";

const registerPage = 0x1000;
const hpetBytes = 0x400;
/** Writes to these addresses are interrupt messages, but for the page that the local APIC's registers are on (SDM vol. 3, 11.11.1). */
const messageRange = { base: 0xfee00000, bytes: 0x100000 } as const;
/** Where the HPET and IRQ0 meet at the I/O APIC. */
const timerPin = 2;

export class InterruptControllers {
  readonly pic: Pic8259;
  /** What the processor is connected to. */
  readonly apic: LocalApic;
  /** Takes the messages of devices with MSI. */
  readonly messages = new InterruptMessageBus();
  /** Where the 8254's OUT0 and the RTC's interrupt go. */
  readonly timer: Line;
  readonly rtc: Line;
  /** Last on the board, in this order: edges that others make while they are reset are no requests. */
  readonly devices: readonly Device[];
  readonly #isa: IsaInterrupts;

  /** @param signal the processor has to look at its pins */
  constructor(physical: PhysicalMemory, clock: Clock, signal: () => void) {
    const { messages } = this;
    physical.map(messageRange.base, messageRange.bytes, messageBank(messages));
    let mapping: ReturnType<PhysicalMemory["map"]> | undefined;
    this.apic = new LocalApic({
      ...{ id: 0, isBootstrap: true, clock, bus: messages, signal },
      acknowledgeExternal: () => this.pic.acknowledge(),
      place: (address) => {
        if (address === mapping?.base) return;
        physical.remove(mapping);
        mapping = address === null ? undefined : physical.map(address, registerPage, this.apic.registers);
      },
    });
    mapping = physical.map(apicBaseAddress, registerPage, this.apic.registers);
    this.pic = new Pic8259(this.apic.lint[0]);
    const ioApic = new IoApic(messages);
    physical.map(ioApicAddress, registerPage, ioApic.registers);
    const atTimerPin = new WiredOr(ioApic.pin(timerPin));
    const isa = new IsaInterrupts(
      (n) => this.pic.irq(n),
      (n) => (n === timerPin ? atTimerPin.driver() : ioApic.pin(n)),
    );
    const hpet = new Hpet(clock, { irq0: isa.irq(isaIrqs.timer), irq8: isa.irq(isaIrqs.rtc), pin2: atTimerPin.driver() });
    physical.map(hpetAddress, hpetBytes, hpet.registers);
    this.timer = hpet.timerInput;
    this.rtc = hpet.rtcInput;
    this.#isa = isa;
    this.devices = [hpet, isa, ioApic, this.pic, this.apic];
  }

  /** A new driver of ISA interrupt request `n`. */
  irq(n: number): Line {
    return this.#isa.irq(n);
  }
}

function messageBank(messages: InterruptMessageBus): RegisterBank {
  return {
    read: () => 0,
    write: (offset, size, value) => {
      if (size === 4) messages.messageSignalled(messageRange.base + offset, value);
    },
  };
}
