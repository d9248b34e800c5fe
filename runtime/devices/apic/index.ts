/** The local APIC, the I/O APIC and what is between them. */
export { IoApic, ioApicAddress, ioApicPins } from "./io-apic.ts";
export { IsaInterrupts } from "./isa-interrupts.ts";
export { apicBaseAddress, LocalApic, type LocalApicOptions } from "./local-apic.ts";
export { broadcastDestination, deliveryMode, type EndOfInterruptListener, InterruptMessageBus, type MessageTarget } from "./message-bus.ts";
