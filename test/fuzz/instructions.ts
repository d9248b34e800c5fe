/**
 * Instructions and short sequences for the structured cases, encoded from the decoder's own rows with random operands. What they do is up
 * to chance; that most of them are valid, and point at memory, ports, selectors and registers that mean something, is not.
 */
import { isaPorts } from "../../runtime/devices/isa-ports.ts";
import { operandCodes } from "../../translator/decode/operands.ts";
import { parseEncoding, type TableRow } from "../../translator/decode/table-row.ts";
import { extensionRows } from "../../translator/decode/tables/extensions.ts";
import { groupRows } from "../../translator/decode/tables/groups.ts";
import { mmxRows } from "../../translator/decode/tables/mmx.ts";
import { oneByteRows } from "../../translator/decode/tables/one-byte.ts";
import { sseRows } from "../../translator/decode/tables/sse.ts";
import { sse2IntegerRows } from "../../translator/decode/tables/sse2-integer.ts";
import { twoByteRows } from "../../translator/decode/tables/two-byte.ts";
import { x87Rows } from "../../translator/decode/tables/x87.ts";
import { place, sel } from "./layout.ts";
import type { Random } from "./random.ts";

const isGeneral = ([, name]: TableRow): boolean => /^(movbe|crc32|popcnt)$/.test(name);
const integerRows = [...oneByteRows, ...groupRows, ...twoByteRows, ...extensionRows.filter(isGeneral)];
const floatRows = [...x87Rows, ...mmxRows, ...sseRows, ...sse2IntegerRows, ...extensionRows.filter((row) => !isGeneral(row))];
const prefixes = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** Every port something answers at, and some where nothing does. */
export const devicePorts: readonly number[] = [
  ...Object.values(isaPorts).flatMap(({ base, count }) => Array.from({ length: count }, (_, i) => base + i)),
  0xf0,
  0xcf9,
  0x80,
  0x1ce,
  0xffff,
  0,
];
/** Ports that end a run: fine once in a while. */
const endingPorts = new Set([0x92, 0x64, 0xf4, 0xf5, 0xf6, 0xf7, 0xcf9, 0x604, 0x605, 0x606, 0x607]);
/** Commands that set devices going, by port. */
const deviceValues: Readonly<Record<number, readonly number[]>> = {
  0x20: [0x11, 0x20, 0x0a, 0x0b, 0x68, 0x48, 0x1b, 0x13, 0x60, 0x61, 0x0c],
  0xa0: [0x11, 0x20, 0x0b, 0x68, 0x19],
  0x21: [0x08, 0x20, 0x04, 0x01, 0x03, 0, 0xff, 0xfe],
  0xa1: [0x70, 0x28, 0x02, 0x01, 0x03, 0, 0xff],
  0x43: [0x34, 0x36, 0x30, 0x32, 0x38, 0x3a, 0xb6, 0x70, 0xe2, 0xc2, 0x00, 0x40],
  0x40: [0, 1, 2, 0xff, 0x10],
  0x42: [0, 1, 0xff],
  0x61: [0, 1, 2, 3],
  0x70: [0, 2, 4, 6, 0x0a, 0x0b, 0x0c, 0x0d, 0x0f, 0x32, 0x8b],
  0x71: [0x26, 0x2f, 0x72, 0x42, 0x12, 0x82, 0, 0x59],
  0x64: [0x20, 0x60, 0xaa, 0xab, 0xad, 0xae, 0xa7, 0xa8, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4],
  0x60: [0xdf, 0xdd, 0x47, 0xff, 0xf4, 0xed, 0xf0, 0xf3, 0xf2],
  0x3f9: [0, 1, 2, 3, 15],
  0x3fa: [1, 7, 0xc7, 0],
  0x3fb: [3, 0x83, 0x80],
  0x3fc: [0x0b, 0x1b, 0x10, 0],
  0x3f8: [0, 1, 0x41, 0xff],
  0xcf8: [0x80000000, 0x80000800, 0x80000b00, 0x80000b04, 0x80000b40, 0x80000b80, 0x80000860].map((v) => v | 0),
  0x600: [0xffff, 0x20, 0x100],
  0x602: [0x20, 0x100, 0x300],
  0x608: [0],
  0x4d0: [0, 0x20, 0xff],
  0x4d1: [0, 0x0e],
};

const msrs = [0x10, 0x1b, 0x174, 0x175, 0x176, 0x1a0, 0x1d9, 0xc0000080 | 0, 0x8b, 0x2a, 0x79, 0x3a];

/** Writes instructions for code of one size. */
export class Writer {
  readonly bytes: Uint8Array;
  at = 0;
  private readonly random: Random;
  private readonly wide: boolean;
  private readonly base: number;

  /** @param base offset of bytes[0] in its code segment */
  constructor(random: Random, bytes: Uint8Array, wide: boolean, base: number) {
    this.random = random;
    this.bytes = bytes;
    this.wide = wide;
    this.base = base;
  }

  get full(): boolean {
    return this.at > this.bytes.length - 64;
  }

  byte(...values: number[]): void {
    for (const value of values) this.bytes[this.at++] = value;
  }
  word(value: number): void {
    this.byte(value & 0xff, (value >> 8) & 0xff);
  }
  dword(value: number): void {
    this.word(value);
    this.word(value >> 16);
  }
  /** Makes the next instruction's operand 32 bits wide. */
  private wideOperand(): void {
    if (!this.wide) this.byte(0x66);
  }
  private wideAddress(): void {
    if (!this.wide) this.byte(0x67);
  }

  /** MOV r32, imm32. */
  load(register: number, value: number): void {
    this.wideOperand();
    this.byte(0xb8 + register);
    this.dword(value);
  }
  push(value: number): void {
    this.wideOperand();
    this.byte(0x68);
    this.dword(value);
  }

  /** An address of data, now and then of something that matters more. */
  address(): number {
    const { random } = this;
    switch (random.below(12)) {
      case 0:
        return place.code + random.below(place.codeSize);
      case 1:
        return random.pick([place.gdt, place.ldt, place.idt, place.tss, place.directory, place.tables, place.stack]) + random.below(0x800);
      case 2:
        return random.next();
      case 3:
        return place.data + 0x1000 * random.below(16) - random.below(16);
      default:
        return place.data + random.below(place.dataSize);
    }
  }

  selector(): number {
    const { random } = this;
    if (random.once(4)) return random.below(place.gdtEntries * 8);
    if (random.once(5)) return (random.below(place.ldtEntries) << 3) | 4 | random.below(4);
    const plain: number = random.pick(Object.values(sel));
    return plain | (random.once(3) ? random.below(4) : 0);
  }

  codeOffset(): number {
    return this.random.once(8) ? this.random.next() : this.base + this.random.below(this.bytes.length);
  }

  /** Any valid instruction. */
  any(): void {
    const { random } = this;
    this.row(random.pick(random.once(4) ? floatRows : integerRows));
  }

  row(row: TableRow): void {
    const { random } = this;
    const encoding = parseEncoding(row[0]);
    const codes = row[2] === "" ? [] : row[2].split(",").map((name) => operandCodes[name]);
    let operandSize: 2 | 4 = this.wide ? 4 : 2;
    let addressSize: 2 | 4 = this.wide ? 4 : 2;
    const flip = (prefix: number): void => {
      if (prefix === 0x66) operandSize = this.wide ? 2 : 4;
      if (prefix === 0x67) addressSize = this.wide ? 2 : 4;
      this.byte(prefix);
    };
    if (random.once(5)) for (let n = 1 + random.below(2); n > 0; n--) flip(random.pick(prefixes));
    if (!this.wide && addressSize === 2 && random.once(2)) flip(0x67);
    if (encoding.prefix === "66") flip(0x66);
    else if (encoding.prefix === "F3") this.byte(0xf3);
    else if (encoding.prefix === "F2") this.byte(0xf2);
    for (const byte of encoding.escape) this.byte(byte);
    this.byte(encoding.opcode + (encoding.plusRegister ? random.below(8) : 0));
    if (encoding.modrm !== undefined) this.byte(encoding.modrm + (encoding.plusStack ? random.below(8) : 0));
    else if (encoding.reg !== undefined || codes.some((code) => code.modrm !== "none")) {
      const registerOnly = encoding.form === "reg" || codes.some((code) => code.modrm === "register" || code.modrm === "mod ignored");
      const memoryOnly = encoding.form === "mem" || codes.some((code) => code.modrm === "memory");
      const reg = encoding.reg ?? random.below(8);
      if (registerOnly || (!memoryOnly && random.once(3))) this.byte(0xc0 | (reg << 3) | random.below(8));
      else this.memory(reg, addressSize);
    }
    const { operands } = { operands: row[2] };
    if (/\bJb\b/.test(operands)) return this.byte(random.once(3) ? random.below(256) : random.below(24));
    if (/\bJz\b/.test(operands)) {
      const distance = random.below(0x200) - 0x80;
      return operandSize === 4 ? this.dword(distance) : this.word(distance);
    }
    if (/\bAp\b/.test(operands)) {
      const offset = this.codeOffset();
      if (operandSize === 4) this.dword(offset);
      else this.word(offset);
      return this.word(this.selector());
    }
    if (/\bO[bv]\b/.test(operands)) return addressSize === 4 ? this.dword(this.address()) : this.word(this.address());
    const count = codes.reduce((n, code) => n + code.immediateBytes(operandSize, addressSize), 0);
    let value = random.word();
    for (let i = 0; i < count; i++, value >>= 8) this.byte(value & 0xff);
  }

  private memory(reg: number, addressSize: 2 | 4): void {
    const { random } = this;
    if (addressSize === 2) {
      const modrm = (random.below(3) << 6) | (reg << 3) | random.below(8);
      this.byte(modrm);
      if ((modrm & 0xc7) === 6 || modrm >= 0x80) this.word(random.once(3) ? random.next() & 0xffff : 0x200 + random.below(0x400));
      else if (modrm >= 0x40) this.byte(random.below(256));
      return;
    }
    const kind = random.below(4);
    if (kind === 0) {
      // [disp32]
      this.byte((reg << 3) | 5);
      this.dword(this.address());
    } else if (kind === 1) {
      // [base + index * scale + disp]
      this.byte(0x84 | (reg << 3), random.below(256));
      this.dword(random.once(3) ? this.address() : random.below(64));
    } else {
      const base = random.pick([0, 1, 2, 3, 5, 6, 7]);
      this.byte(0x40 | (reg << 3) | base, random.below(256));
    }
  }

  /** A port access that means something to a device. */
  port(): void {
    const { random } = this;
    let port = random.pick(devicePorts);
    if (endingPorts.has(port) && !random.once(20)) port = random.pick([0x20, 0x21, 0x43, 0x40, 0x71, 0x3f8, 0xcfc, 0x3f9, 0x70]);
    this.load(2, port);
    if (random.once(3)) {
      if (random.once(2)) this.byte(0x66);
      return this.byte(random.once(3) ? 0xec : 0xed);
    }
    const known = deviceValues[port];
    let value = known && !random.once(3) ? random.pick(known) : random.word();
    // A pulse of the reset line, or of A20 off for good, would make everything behind it much alike.
    if (port === 0x64 && (value & 0xf0) === 0xf0) value = 0xae;
    if (port === 0x92) value = random.once(10) ? value : 2;
    this.load(0, value);
    if (random.once(8)) this.byte(0x66);
    this.byte(port === 0xcf8 || random.once(6) ? 0xef : 0xee);
  }

  controlRegister(): void {
    const { random } = this;
    const number = random.pick([0, 0, 2, 3, 3, 4, 4]);
    const keep = 0x60000011;
    const value =
      number === 0
        ? random.pick([keep, keep | 0x80000000, keep | 0x80010000, keep | 8, keep | 4, keep | 2, keep | 0x20, 0x10, keep | 0x80040020, random.next()])
        : number === 3
          ? random.pick([place.directory, place.directory | 0x18, place.paePointers, place.data, random.next()])
          : number === 4
            ? random.pick([0, 0x10, 0x20, 0x30, 0x90, 0xb0, 0x200, 0x600, 0x601, 0x602, 0x8, 0x4, 0x6ff, random.next()])
            : random.next();
    this.load(0, value);
    this.byte(0x0f, 0x22, 0xc0 | (number << 3));
    if (random.once(3)) this.byte(0x0f, 0x20, 0xc0 | (random.below(8) << 3) | random.below(8));
  }

  debugRegister(): void {
    const { random } = this;
    const number = random.below(8);
    const value =
      number < 4
        ? this.address()
        : number === 7 || number === 5
          ? random.pick([0x400, 0x401, 0x403, 0xd0401, 0x99990455, 0x2000, random.next()])
          : random.next();
    this.load(3, value);
    this.byte(0x0f, random.once(4) ? 0x21 : 0x23, 0xc3 | (number << 3));
  }

  /** Far transfers through pushed or immediate pointers. */
  far(): void {
    const { random } = this;
    switch (random.below(8)) {
      case 0:
      case 1:
        this.wideOperand();
        this.byte(random.once(2) ? 0xea : 0x9a);
        this.dword(this.codeOffset());
        return this.word(this.selector());
      case 2:
        this.push(this.selector());
        this.push(this.codeOffset());
        this.wideOperand();
        return this.byte(0xcb);
      case 3: {
        const flags = random.pick([2, 0x202, 0x102, 0x3002, 0x3202, 0x4002, 0x10002, 0x20002, 0x23202, random.next()]);
        if (flags & 0x20000) for (let i = 0; i < 6; i++) this.push(random.pick([0, 0x1000, 0x2000, random.below(0x10000)]));
        else if (random.once(2)) {
          this.push(this.selector());
          this.push(place.stack - random.below(0x1000));
        }
        this.push(flags);
        this.push(flags & 0x20000 ? random.pick([0x1000, 0x1400]) : this.selector());
        this.push(flags & 0x20000 ? random.below(0x8000) : this.codeOffset());
        this.wideOperand();
        return this.byte(0xcf);
      }
      case 4:
        return this.byte(0xcd, random.once(3) ? random.below(256) : random.below(0x30));
      case 5:
        return this.byte(random.pick([0xcc, 0xce, 0xf1, 0xcf]));
      case 6: {
        // A task: through its TSS or a gate.
        const selector = random.once(2) ? sel.moreTss + 8 * random.below(8) : sel.gates + 8 * random.below(16);
        this.wideOperand();
        this.byte(random.once(2) ? 0xea : 0x9a);
        this.dword(0);
        return this.word(selector | (random.below(2) * 3));
      }
      default:
        return this.byte(0x0f, random.once(2) ? 0x34 : 0x35);
    }
  }

  /** Descriptor tables, segment registers, MSRs and the like. */
  system(): void {
    const { random } = this;
    switch (random.below(16)) {
      case 0: {
        // LGDT, LIDT, SGDT, SIDT
        this.wideAddress();
        this.byte(0x0f, 0x01, 0x05 | (random.below(4) << 3));
        return this.dword(random.once(3) ? this.address() : place.pointers + 8 * random.below(16));
      }
      case 1:
        this.load(0, this.selector());
        return this.byte(0x0f, 0x00, 0xc0 | (random.below(6) << 3));
      case 2:
      case 3:
        this.load(0, this.selector());
        return this.byte(0x8e, 0xc0 | (random.pick([0, 2, 3, 4, 5]) << 3));
      case 4:
        this.push(random.pick([2, 0x102, 0x202, 0x302, 0x3202, 0x4202, 0x40202, 0x200202, 0x602, random.next()]));
        this.wideOperand();
        return this.byte(0x9d);
      case 5: {
        this.load(1, random.pick(msrs));
        if (random.once(2)) return this.byte(0x0f, 0x32);
        this.load(0, random.once(2) ? this.codeOffset() : random.word());
        this.load(2, random.once(3) ? random.word() : 0);
        return this.byte(0x0f, 0x30);
      }
      case 6:
        return this.byte(
          ...random.pick([
            [0xfb],
            [0xfa],
            [0xf4],
            [0xfb, 0xf4],
            [0x0f, 0x06],
            [0x0f, 0x08],
            [0x0f, 0x09],
            [0x0f, 0xa2],
            [0x0f, 0x31],
            [0x9b],
            [0xf3, 0x90],
          ]),
        );
      case 7:
        this.wideAddress();
        this.byte(0x0f, 0x01, 0x3d);
        return this.dword(this.address());
      case 8:
        // LxS
        this.wideOperand();
        this.wideAddress();
        if (random.once(2)) this.byte(random.pick([0xc4, 0xc5]), 0x05);
        else this.byte(0x0f, random.pick([0xb2, 0xb4, 0xb5]), 0x05);
        return this.dword(place.pointers + 8 * random.below(16));
      case 9:
        this.load(0, this.selector());
        return this.byte(0x0f, random.pick([0x02, 0x03]), 0xc8);
      case 10: {
        // x87, MMX and SSE state
        this.wideAddress();
        const [opcode, reg] = random.pick([
          [0xae, 0],
          [0xae, 1],
          [0xae, 2],
          [0xae, 3],
          [0xae, 7],
        ]);
        this.byte(0x0f, opcode, 0x05 | (reg << 3));
        return this.dword((place.data + random.below(0x1000)) & ~(random.once(4) ? 0 : 15));
      }
      case 11: {
        this.wideAddress();
        const [opcode, reg] = random.pick([
          [0xd9, 4],
          [0xd9, 5],
          [0xd9, 6],
          [0xd9, 7],
          [0xdd, 4],
          [0xdd, 6],
          [0xdd, 7],
          [0xdb, 5],
          [0xdb, 7],
          [0xdf, 4],
          [0xdf, 6],
        ]);
        this.byte(opcode, 0x05 | (reg << 3));
        return this.dword(this.address());
      }
      case 12:
        return this.controlRegister();
      case 13:
        return this.debugRegister();
      case 14:
        // ENTER, LEAVE, PUSHA, POPA, BOUND, ARPL
        return this.byte(
          ...random.pick([
            [0xc8, random.below(256), random.below(4), random.below(64)],
            [0xc9],
            [0x60],
            [0x61],
            [0x62, 0x00],
            [0x63, 0xc8],
            [0x17],
            [0x1f, 0x07],
          ]),
        );
      default:
        this.load(0, random.next());
        return this.byte(0x0f, 0x01, random.pick([0xf0, 0xe0]));
    }
  }

  /** A repeated string instruction, bounded or not. */
  strings(): void {
    const { random } = this;
    this.load(1, random.pick([0, 1, 5, 64, 300, 0x1100, 0x10001, random.next()]));
    this.load(6, this.address());
    this.load(7, random.once(6) ? place.code + random.below(place.codeSize) : place.data + random.below(place.dataSize));
    if (random.once(6)) {
      const port = random.pick([0x21, 0x40, 0x71, 0x3f8, 0x3fd, 0xcfc, 0x80]);
      this.load(2, port);
    }
    this.byte(random.once(4) ? 0xfd : 0xfc);
    if (!this.wide) this.byte(0x67);
    if (random.once(4)) this.byte(0x66);
    this.byte(random.pick([0xf2, 0xf3]), random.pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0x6c, 0x6d, 0x6e, 0x6f]));
  }

  /** Writes code: where it will run, or is running. */
  modify(): void {
    const { random } = this;
    const near = random.once(2) ? this.base + this.at + random.below(48) : place.code + random.below(place.codeSize);
    const opcode = random.pick([0xc6, 0xc7, 0x80, 0xc7]);
    if (opcode === 0xc7) this.wideOperand();
    this.wideAddress();
    this.byte(opcode, 0x05);
    this.dword(near);
    if (opcode === 0xc7) this.dword(random.pick([0x90909090, 0x40404040, random.next()]) | 0);
    else this.byte(random.pick([0x90, 0x40, 0xcc, random.below(256)]));
  }

  /** A loop over a few instructions, often enough to be worth a region. */
  loop(): void {
    const { random } = this;
    this.load(1, random.pick([3, 40, 500, 3000]));
    const start = this.at;
    for (let n = random.below(8); n >= 0 && this.at - start < 90; n--) {
      const kind = random.below(12);
      if (kind === 0) this.modify();
      else if (kind === 1) this.byte(0x0f, 0x31);
      else this.row(random.pick(loopRows));
    }
    const distance = start - (this.at + 2);
    if (random.once(2)) this.byte(0xe2, distance & 0xff);
    else this.byte(0x49, 0x75, (distance - 1) & 0xff);
  }

  /** One step of a soup that stays in the mode it began in. */
  calmStep(): void {
    const kind = this.random.below(16);
    if (kind < 8) this.loop();
    else if (kind < 9) this.modify();
    else if (kind < 10) this.strings();
    else if (kind < 11) this.port();
    else this.row(this.random.pick(loopRows));
  }

  /** One step of a soup. */
  step(): void {
    const kind = this.random.below(40);
    if (kind < 16) this.any();
    else if (kind < 20) this.loop();
    else if (kind < 26) this.system();
    else if (kind < 29) this.port();
    else if (kind < 32) this.far();
    else if (kind < 34) this.strings();
    else if (kind < 36) this.modify();
    else if (kind < 37) this.controlRegister();
    else this.row(this.random.pick(loopRows));
  }
}

/** What loops are made of: no transfers, nothing that needs privilege. */
const notInLoops =
  /^(j|call|ret|iret|int|loop|hlt|in$|out$|ins(?!ert)|outs|sti|cli|popf|mov\.|pop\.sreg|l[defgs]s|enter|leave|lgdt|lidt|lmsw|lldt|ltr|invd|wbinvd|sys|ud|bound|clts|push|pop(?!cnt))/;
const loopRows = [...integerRows, ...floatRows].filter(([, name, , note]) => note !== "end" && !notInLoops.test(name));
