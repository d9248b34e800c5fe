/** The last of what the guest sent on its serial port, for a page that comes later. */

const limit = 64 << 10;

export class SerialHistory {
  private pieces: Uint8Array[] = [];
  private length = 0;

  add(bytes: Uint8Array): void {
    this.pieces.push(bytes);
    this.length += bytes.length;
    while (this.length - this.pieces[0]!.length >= limit) this.length -= this.pieces.shift()!.length;
  }

  get bytes(): Uint8Array {
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const piece of this.pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    this.pieces = this.length === 0 ? [] : [whole];
    return whole.slice(-limit);
  }
}
