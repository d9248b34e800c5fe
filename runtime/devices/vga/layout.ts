/**
 * Where the bytes of video memory are. The four planes are interleaved, so that one 32-bit word holds the byte of each plane at one plane
 * address and the whole graphics controller works on words; to the linear framebuffer the same array is plain bytes.
 *
 * Plane address to word is not the identity: a chained (256-colour) pixel at CPU address A lives in plane A1:A0 at plane address A15:A2 followed
 * by A15:A14 (the CRTC's doubleword addressing puts its bits 13:12 there, IBM PS/2 Hardware Interface Technical Reference, "CRT Mode Control").
 * The permutation below sends that plane address to word A >>> 2, so that the chained window is plain bytes too and may be shown to the CPU as RAM,
 * while programs that switch between chained and planar access on the way see what the hardware shows them.
 */

/** Plane address (bits 16 and up: further banks of 64 KiB planes) to word of video memory. */
export function wordOf(planeAddress: number): number {
  return (planeAddress & ~0xffff) | ((planeAddress & 0xffff) >>> 2) | (((planeAddress ^ (planeAddress >>> 14)) & 3) << 14);
}

/** Plane address of a CPU address in chained mode, in which A1:A0 select the plane. */
export function chainedPlaneAddress(address: number): number {
  return (address & 0xfffc) | ((address >>> 14) & 3);
}

/** FFh in the bytes of the planes whose bits are set. */
export const planesMask: Int32Array = Int32Array.from({ length: 16 }, (_, planes) =>
  [0, 1, 2, 3].reduce((mask, plane) => mask | (((planes >> plane) & 1) * (0xff << (8 * plane))), 0),
);
