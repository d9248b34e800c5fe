/** Serial output on its way to the page's terminal: one piece under way at a time. A guest that sends faster than a terminal can show loses the oldest of what waits. */

const waitingLimit = 512 << 10;

export class SerialOutput {
  private readonly send: (bytes: Uint8Array) => void;
  private waiting: Uint8Array[] = [];
  private length = 0;
  private dropped = 0;
  private isUnderWay = false;

  constructor(send: (bytes: Uint8Array) => void) {
    this.send = send;
  }

  add(bytes: Uint8Array): void {
    this.waiting.push(bytes);
    this.length += bytes.length;
    while (this.length > waitingLimit && this.waiting.length > 1) {
      const { length } = this.waiting.shift()!;
      this.length -= length;
      this.dropped += length;
    }
    if (!this.isUnderWay) this.next();
  }

  /** The page has shown the last piece. */
  shown(): void {
    this.isUnderWay = false;
    if (this.length > 0) this.next();
  }

  private next(): void {
    const note = this.dropped === 0 ? new Uint8Array(0) : new TextEncoder().encode(`\r\n[${this.dropped} bytes were too fast for the terminal]\r\n`);
    const piece = new Uint8Array(note.length + this.length);
    piece.set(note);
    let at = note.length;
    for (const bytes of this.waiting) {
      piece.set(bytes, at);
      at += bytes.length;
    }
    this.waiting = [];
    this.length = 0;
    this.dropped = 0;
    this.isUnderWay = true;
    this.send(piece);
  }
}
