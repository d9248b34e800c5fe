/** Virtio: queues, the PCI transport, and the devices on it. */
export { VirtioBlock, type VirtioBlockOptions } from "./block.ts";
export { ringFeature, type VirtioDevice, type VirtioTransport } from "./device.ts";
export { VirtioPciFunction, type VirtioPciOptions } from "./pci-transport.ts";
export { type DescriptorChain, type RingFeatures, type Segment, type VirtioMemory, Virtqueue } from "./virtqueue.ts";
