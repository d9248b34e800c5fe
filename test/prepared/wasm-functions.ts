/**
 * Functions of a WebAssembly module (Core Specification 1.0, 5) with what they call by name instead of by number, so that functions of different modules can be compared.
 */

class Reader {
  at = 0;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  byte(): number {
    return this.bytes[this.at++];
  }
  /** An LEB128 number's bits as they are: enough to go on behind it, and for numbers without a sign. */
  unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value >>> 0;
    }
  }
  name(): string {
    const length = this.unsigned();
    this.at += length;
    return new TextDecoder().decode(this.bytes.subarray(this.at - length, this.at));
  }
  list<T>(read: () => T): T[] {
    return Array.from({ length: this.unsigned() }, read);
  }
  since(from: number): string {
    return Buffer.from(this.bytes.subarray(from, this.at)).toString("hex");
  }
}

/** What follows an opcode: so many LEB128 numbers or bytes. */
function immediates(code: number, r: Reader): void {
  const numbers = (count: number): void => {
    for (let k = 0; k < count; k++) r.unsigned();
  };
  if (code === 0x0e) r.list(() => r.unsigned()).push(r.unsigned());
  else if (code === 0x11 || code === 0x13) numbers(2);
  else if (code >= 0x28 && code <= 0x3e) numbers(2);
  else if ([0x02, 0x03, 0x04, 0x0c, 0x0d, 0x20, 0x21, 0x22, 0x41, 0x42].includes(code)) numbers(1);
  else if (code === 0x43) r.at += 4;
  else if (code === 0x44) r.at += 8;
  else if (code === 0xfc) {
    const more = r.unsigned();
    numbers(more === 10 ? 2 : more === 11 ? 1 : 0);
  }
}

export interface ModuleFunctions {
  /** By number among the module's own: locals and instructions, the operand of a call as a name. */
  readonly texts: readonly string[];
  /** Numbers among the module's own, by the element of the table they are put into. */
  readonly elements: ReadonlyMap<number, number>;
}

export function functionsOf(bytes: Uint8Array): ModuleFunctions {
  const r = new Reader(bytes);
  r.at = 8;
  const names: string[] = [];
  let imports = 0;
  const exported = new Map<number, string>();
  const elements = new Map<number, number>();
  const bodies: { from: number; to: number }[] = [];
  while (r.at < bytes.length) {
    const section = r.byte();
    const end = r.unsigned() + r.at;
    if (section === 2) {
      r.list(() => {
        r.name();
        const name = r.name();
        const kind = r.byte();
        if (kind === 0) {
          names.push(name.replace(/\/.*/, ""));
          r.unsigned();
        } else {
          if (kind === 1) r.byte();
          if (r.byte() !== 0) r.unsigned();
          r.unsigned();
        }
      });
      imports = names.length;
    } else if (section === 7) {
      r.list(() => {
        const name = r.name();
        r.byte();
        exported.set(r.unsigned(), name);
      });
    } else if (section === 9) {
      r.list(() => {
        r.at += 2;
        const first = r.unsigned();
        r.byte();
        r.list(() => r.unsigned()).forEach((number, k) => {
          elements.set(first + k, number - imports);
        });
      });
    } else if (section === 10) {
      r.list(() => {
        const to = r.unsigned() + r.at;
        bodies.push({ from: r.at, to });
        r.at = to;
      });
    }
    r.at = end;
  }
  const nameOf = (number: number): string => names[number] ?? exported.get(number) ?? `function ${number}`;
  const texts = bodies.map(({ from, to }) => {
    r.at = from;
    r.list(() => [r.unsigned(), r.byte()]);
    const parts = [r.since(from)];
    while (r.at < to) {
      const at = r.at;
      const code = r.byte();
      if (code === 0x10 || code === 0x12) parts.push(`${code === 0x10 ? "call" : "tail call"} ${nameOf(r.unsigned())}`);
      else {
        immediates(code, r);
        parts.push(r.since(at));
      }
    }
    return parts.join(" ");
  });
  return { texts, elements };
}
