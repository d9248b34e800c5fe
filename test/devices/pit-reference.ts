/**
 * The 8254's counter as its datasheet (Intel 231164, "Mode Definitions" and figures 15-20) describes it, clocked one CLK at a time: the
 * judge of the device, which computes the same from elapsed time. Writes take effect at the CLK pulse after them.
 */
export class ReferenceCounter {
  control = 0x30;
  out = false;
  gate = true;
  private reload = 0;
  private element = 0;
  /** A load of the counting element at the next CLK. */
  private loadNext = false;
  private hasCount = false;
  private loaded = false;
  private period = 0;
  /** Modes 4 and 5: the strobe has been given. */
  private strobed = false;
  private lowByte: number | null = null;
  nullCount = true;

  get mode(): number {
    const mode = (this.control >> 1) & 7;
    return mode > 5 ? mode - 4 : mode;
  }

  private get full(): number {
    return (this.control & 1) !== 0 ? 10000 : 0x10000;
  }

  /** The count as a number, 0 to full - 1. */
  get count(): number | null {
    return this.loaded ? this.element % this.full : null;
  }

  writeControl(value: number): void {
    this.control = value & 0x3f;
    this.out = this.mode !== 0;
    this.loaded = false;
    this.hasCount = false;
    this.loadNext = false;
    this.lowByte = null;
    this.nullCount = true;
  }

  writeByte(value: number): void {
    const access = this.control >> 4;
    if (access === 1) this.write(value);
    else if (access === 2) this.write(value << 8);
    else if (this.lowByte === null) {
      this.lowByte = value;
      if (this.mode === 0) {
        this.loaded = false;
        this.loadNext = false;
        this.out = false;
      }
    } else {
      const low = this.lowByte;
      this.lowByte = null;
      this.write((value << 8) | low);
    }
  }

  private write(written: number): void {
    let count = written;
    if (this.full === 10000) {
      count = (written & 15) + ((written >> 4) & 15) * 10 + ((written >> 8) & 15) * 100 + (written >> 12) * 1000;
      count %= 10000;
    }
    this.reload = count === 0 ? this.full : count;
    this.hasCount = true;
    this.nullCount = true;
    const { mode } = this;
    if (mode === 0 || mode === 4) this.loadNext = true;
    else if (mode === 2 || mode === 3) {
      // A running cycle takes the count register at its end by itself.
      if (!this.loaded) this.loadNext = true;
    }
  }

  setGate(high: boolean): void {
    if (high === this.gate) return;
    this.gate = high;
    const { mode } = this;
    if (mode === 1 || mode === 2 || mode === 3 || mode === 5) {
      if (high && this.hasCount) this.loadNext = true;
    }
    if ((mode === 2 || mode === 3) && !high) {
      this.out = true;
      if (this.loaded) this.loadNext = false;
    }
  }

  /** One CLK pulse. */
  clock(): void {
    const { mode } = this;
    if (this.loadNext) {
      this.load();
      if (mode === 0 || mode === 1) this.out = false;
      if (mode >= 4) this.out = true;
      if (mode === 2 || mode === 3) this.out = true;
      return;
    }
    if (!this.loaded) return;
    const gated = mode === 0 || mode === 2 || mode === 3 || mode === 4;
    if (gated && !this.gate) return;
    if (mode === 2) this.clockRate();
    else if (mode === 3) this.clockSquare();
    else this.clockOnce(mode);
  }

  private load(): void {
    this.loadNext = false;
    this.loaded = true;
    this.nullCount = false;
    this.element = this.mode === 3 ? this.reload & ~1 : this.reload;
    this.period = this.reload;
    this.strobed = false;
  }

  private clockOnce(mode: number): void {
    this.element = this.element === 0 ? this.full - 1 : this.element - 1;
    const expired = this.element === 0;
    if (mode <= 1) this.out ||= expired;
    else this.out = !(expired && !this.strobed);
    this.strobed ||= expired;
  }

  private clockRate(): void {
    this.element--;
    if (this.element === 0) this.load();
    this.out = this.element !== 1;
  }

  /** "Decremented by two on succeeding CLK pulses"; an odd count's high half has one CLK more, at 0. */
  private clockSquare(): void {
    const odd = (this.period & 1) !== 0;
    this.element -= 2;
    const expired = odd && this.out ? this.element < 0 : this.element === 0;
    if (!expired) return;
    const out = !this.out;
    this.load();
    this.out = out;
  }
}
