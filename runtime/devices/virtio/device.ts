/**
 * The two halves of a virtio device (Virtual I/O Device 1.2, chapter 2): what is its own, and what its transport does for it. A network card or a shared
 * folder is another `VirtioDevice` on the same transport.
 */
import type { Saveable } from "../device.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** Feature bits of rings and transport (chapter 6). */
export const ringFeature = { indirectDescriptors: 28, eventIndex: 29, version1: 32 } as const;

export interface VirtioDevice extends Saveable {
  /** Stable name, also the key of its state in a snapshot. */
  readonly name: string;
  /** Device type (chapter 5). */
  readonly type: number;
  /** PCI class code. */
  readonly classCode: number;
  /** Numbers of the feature bits it offers, besides those of the rings. */
  readonly features: readonly number[];
  /** Largest size of each of its queues, powers of two. */
  readonly queueSizes: readonly number[];
  /** The device-specific configuration the driver reads. */
  readonly configuration: Uint8Array;
  /** Called once, by the transport. */
  attach(transport: VirtioTransport): void;
  /** The driver is there: features are settled. */
  start(): void;
  /** Buffers may have become available on a queue. Called from a timer, not from within a guest's access. */
  notified(queue: number): void;
  /** Forgets everything under way; answers that come later must change nothing. */
  reset(): void;
  /** Requests under way, which a restored device takes up again when notified of queue 0. */
  readonly underWay: number;
}

export interface VirtioTransport {
  readonly queues: readonly Virtqueue[];
  /** Whether the driver has accepted a feature. */
  accepted(feature: number): boolean;
  /** Interrupts for what was given back on a queue, if the driver wants that. */
  interrupt(queue: number): void;
  /** The device's configuration has changed. */
  configurationChanged(): void;
  /** Calls `notified(queue)` soon. */
  again(queue: number): void;
  /** The driver has done what no device can go on from (section 2.1.2, DEVICE_NEEDS_RESET). */
  needsReset(reason: string): void;
}
