/**
 * Entries of L1 and L2 tables (qcow2.txt, "Cluster mapping"): 64 bits, big-endian, handled as two 32-bit halves. An offset is bits 9 to 55; bit 63 ("copied") says that
 * the cluster's refcount is exactly one, so that it may be written in place; bit 62 of an L2 entry marks a compressed cluster, bit 0 one that reads as zeros.
 */

export const copiedBit = 0x8000_0000;
const compressedBit = 0x4000_0000;
const offsetHigh = 0x00ff_ffff;
const offsetLow = 0xffff_fe00;

/** What an L2 entry says; "unallocated" is what the backing file has. */
export type EntryKind = "unallocated" | "zero" | "data" | "compressed";

export interface L2Entry {
  readonly kind: EntryKind;
  /** Of the cluster in the file; 0: none. For a compressed one, of its first byte. */
  readonly host: number;
  /** May be written in place. */
  readonly copied: boolean;
  /** Bytes of the sectors that hold a compressed cluster. */
  readonly length: number;
  /** Why the entry cannot be right, whatever the file looks like. */
  readonly fault?: string;
}

export const entryOffset = (high: number, low: number): number => (high & offsetHigh) * 0x1_0000_0000 + ((low & offsetLow) >>> 0);

export function decodeL2(high: number, low: number, clusterBits: number, version: number): L2Entry {
  if (high & compressedBit) return decodeCompressed(high, low, clusterBits);
  const host = entryOffset(high, low);
  const copied = (high & copiedBit) !== 0;
  const reserved = (high & 0x3f00_0000) !== 0 || (low & 0x1fe) !== 0;
  if (reserved) return { kind: "data", host, copied, length: 0, fault: "reserved bits are set" };
  if (host % 2 ** clusterBits !== 0) return { kind: "data", host, copied, length: 0, fault: "the cluster is not aligned" };
  if (low & 1) {
    if (version < 3) return { kind: "zero", host, copied, length: 0, fault: "version 2 has no zero clusters" };
    return { kind: "zero", host, copied, length: 0 };
  }
  if (host === 0) return { kind: "unallocated", host, copied, length: 0, fault: copied ? "there is no cluster to be copied" : undefined };
  return { kind: "data", host, copied, length: 0 };
}

/** The offset has `bits` bits, the number of further 512-byte sectors the rest up to bit 61. */
function decodeCompressed(high: number, low: number, clusterBits: number): L2Entry {
  const bits = 62 - (clusterBits - 8);
  const host = (high & (2 ** (bits - 32) - 1)) * 0x1_0000_0000 + (low >>> 0);
  const sectors = ((high & 0x3fff_ffff) >>> (bits - 32)) + 1;
  const fault = high & copiedBit ? "a compressed cluster is marked as copied" : host > 2 ** 53 ? "the offset is too large" : undefined;
  return { kind: "compressed", host, copied: false, length: sectors * 512 - (host % 512), fault };
}
