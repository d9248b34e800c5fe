import { Random } from "../fuzz/random.ts";

/** For every sector the contents that it may have: what was flushed last, and everything since. */
export class SectorModel {
  private readonly flushed: Uint8Array;
  private readonly later = new Map<number, Uint8Array[]>();

  constructor(content: Uint8Array) {
    this.flushed = content.slice();
  }

  write(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += 512) {
      const sector = (offset + at) / 512;
      const contents = this.later.get(sector) ?? [];
      contents.push(bytes.slice(at, at + 512));
      this.later.set(sector, contents);
    }
  }

  flush(): void {
    for (const [sector, contents] of this.later) this.flushed.set(contents.at(-1)!, sector * 512);
    this.later.clear();
  }

  /** Sectors that have none of the contents they may have. */
  lost(found: Uint8Array): number[] {
    const lost: number[] = [];
    for (let at = 0; at < found.length; at += 512) {
      const sector = found.subarray(at, at + 512);
      const same = (bytes: Uint8Array): boolean => Buffer.compare(bytes, sector) === 0;
      if (!same(this.flushed.subarray(at, at + 512)) && !this.later.get(at / 512)?.some(same)) lost.push(at / 512);
    }
    return lost;
  }

  /** What writer.ts said it was about to do and had done. Returns the number of its lines. */
  replay(output: string, seed: number): number {
    const contents = new Random(seed);
    const lines = output.split("\n").slice(0, -1);
    for (const line of lines) {
      const [what, offset, length] = line.split(" ");
      if (what === "write") this.write(Number(offset), contents.bytes(Number(length)));
      else if (what === "flushed") this.flush();
    }
    return lines.length;
  }
}
