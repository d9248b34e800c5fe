/** High words of 32 x 32 bit products, by 16-bit halves. Every partial sum fits 32 bits unsigned, so int32 arithmetic modulo 2^32 is exact. */
export function mulhu(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = (Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16)) | 0;
  const cross = (Math.imul(a0, b1) + (middle & 0xffff)) | 0;
  return (Math.imul(a1, b1) + (middle >>> 16) + (cross >>> 16)) | 0;
}

export function mulhs(a: number, b: number): number {
  return (mulhu(a, b) - ((a >> 31) & b) - ((b >> 31) & a)) | 0;
}
