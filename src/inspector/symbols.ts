/**
 * Names for guest addresses: from the symbol table of a 32-bit ELF file (System V ABI, ELF chapter 4), or from a text of "address type name" lines, which is what
 * System.map, /proc/kallsyms and `nm` have in common.
 */
import { Fields } from "../boot/bytes.ts";
import { isElf } from "../boot/elf.ts";

export interface GuestSymbol {
  readonly address: number;
  /** Bytes; 0 if the table does not say. */
  readonly size: number;
  readonly name: string;
}

const symbolTable = 2;
const symbolEntrySize = 16;
/** ELF symbol types that may name code. */
const untyped = 0;
const functionType = 2;
/** How far behind a symbol of no size its code may reach. */
const furthest = 1 << 16;

export class Symbols {
  /** By address; of those at one address one only. */
  readonly list: readonly GuestSymbol[];

  constructor(symbols: Iterable<GuestSymbol>) {
    const byAddress = new Map<number, GuestSymbol>();
    for (const symbol of symbols) {
      const known = byAddress.get(symbol.address);
      // One with a size says more; apart from that the first.
      if (known === undefined || (known.size === 0 && symbol.size > 0)) byAddress.set(symbol.address, symbol);
    }
    this.list = [...byAddress.values()].sort((a, b) => a.address - b.address);
  }

  /** The symbol that the code at `address` belongs to. */
  find(address: number): GuestSymbol | undefined {
    const { list } = this;
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (list[middle]!.address <= address) low = middle + 1;
      else high = middle;
    }
    const found = list[low - 1];
    if (found === undefined) return undefined;
    return address - found.address < (found.size || furthest) ? found : undefined;
  }

  /** "name" or "name+1f". */
  describe(address: number): string | undefined {
    const found = this.find(address);
    if (found === undefined) return undefined;
    return found.address === address ? found.name : `${found.name}+${(address - found.address).toString(16)}`;
  }
}

/** Symbols in a file, or undefined if it is neither kind. A file without any gives an empty list. */
export function readSymbols(bytes: Uint8Array): GuestSymbol[] | undefined {
  return isElf(bytes) ? elfSymbols(bytes) : textSymbols(bytes);
}

function elfSymbols(bytes: Uint8Array): GuestSymbol[] {
  const file = new Fields(bytes);
  const symbols: GuestSymbol[] = [];
  const sections = file.u32(32);
  const entrySize = file.u16(46);
  const header = (n: number): number => sections + n * entrySize;
  for (let n = 0; n < file.u16(48); n++) {
    if (file.u32(header(n) + 4) !== symbolTable) continue;
    const offset = file.u32(header(n) + 16);
    const length = file.u32(header(n) + 20);
    const strings = file.u32(header(file.u32(header(n) + 24)) + 16);
    for (let at = offset; at + symbolEntrySize <= offset + length; at += symbolEntrySize) {
      const type = file.u8(at + 12) & 15;
      const section = file.u16(at + 14);
      // Sections from FF00h on are absolute and common symbols: sizes, versions.
      if ((type !== functionType && type !== untyped) || section === 0 || section >= 0xff00) continue;
      const name = stringAt(bytes, strings + file.u32(at));
      if (name !== "") symbols.push({ address: file.u32(at + 4), size: file.u32(at + 8), name });
    }
  }
  return symbols;
}

function stringAt(bytes: Uint8Array, offset: number): string {
  let end = offset;
  while (end < bytes.length && bytes[end] !== 0) end++;
  return new TextDecoder().decode(bytes.subarray(offset, end));
}

/** Lines such as "c1000000 T _stext" or "f8a41000 t probe [e1000]". */
function textSymbols(bytes: Uint8Array): GuestSymbol[] | undefined {
  const text = new TextDecoder().decode(bytes);
  const symbols: GuestSymbol[] = [];
  for (const line of text.split("\n")) {
    const match = /^([0-9a-f]{8,16}) ([A-Za-z?]) (\S+)(?:\s+\[(\S+)\])?\s*$/i.exec(line);
    if (match === null) {
      if (line.trim() === "" || symbols.length > 0) continue;
      return undefined;
    }
    // Code, and weak symbols, which may be code.
    if (!"tTwW".includes(match[2]!)) continue;
    symbols.push({ address: Number.parseInt(match[1]!, 16), size: 0, name: match[4] === undefined ? match[3]! : `${match[3]} [${match[4]}]` });
  }
  return symbols;
}
