/**
 * The guest in which vectors are replayed: physical memory and control registers that give ring 3 the same view the captured process
 * had (layout.ts), and a ring-0 HLT behind every exception vector. A case ends when the CPU halts: which HLT, and the frame on the
 * ring-0 stack, tell the outcome. Nothing here knows how the guest is executed.
 *
 * Physical memory is 128 KiB. Supervisor structures are seen at linear C0000000h + physical address, which ring 3 cannot reach.
 */
import { layout, ldtSegments, selectors } from "./layout.ts";

export const physicalSize = 0x20000;
const supervisor = 0xc0000000;

const at = {
  directory: 0x1000,
  lowTable: 0x2000,
  codeTable: 0x3000,
  dataTable: 0x4000,
  supervisorTable: 0x5000,
  gdt: 0x6000,
  ldt: 0x6200,
  idt: 0x6800,
  tss: 0x7000,
  handlers: 0x8000,
  stack: 0x9000,
  code: 0x10000,
  data: 0x11000,
  constant: 0x13000,
} as const;

/** Physical addresses a driver writes to. */
export const physical = { code: at.code, entry: at.code + (layout.entry - layout.code), data: at.data } as const;

/** Linear addresses and selectors for the control registers. */
export const control = {
  cr0: 0x80050033, // PG AM WP NE ET MP PE
  cr3: at.directory,
  cr4: 0x600, // OSFXSR OSXMMEXCPT
  gdt: { base: supervisor + at.gdt, limit: 0x7f },
  idt: { base: supervisor + at.idt, limit: 0x7ff },
  ldtSelector: 0x50,
  ldt: { base: supervisor + at.ldt, limit: ldtSegments.length * 8 - 1 },
  taskSelector: 0x40,
  task: { base: supervisor + at.tss, limit: 0x67 },
  kernelCode: 0x10,
  kernelData: 0x18,
  /** Top of the ring-0 stack, linear; the exception frame lies below it. */
  stackTop: supervisor + at.stack + 0x1000,
  /** Linear address of vector v's HLT: handlers + 16 v. */
  handlers: supervisor + at.handlers,
} as const;

/** Physical address of the ring-0 stack's top. */
export const stackTopPhysical = at.stack + 0x1000;

export interface Descriptor {
  readonly base: number;
  /** Limit field as stored, before granularity. */
  readonly limit: number;
  /** Bits 8-15 of the high word: type, S, DPL, P. */
  readonly rights: number;
  /** G, D/B, L, AVL: bits 20-23, as a nibble. */
  readonly flags: number;
}

const flat = (rights: number): Descriptor => ({ base: 0, limit: 0xfffff, rights, flags: 0xc });

/** GDT by selector (RPL 0). Entries 2 to 5 are where a 64-bit Linux has its kernel and 32-bit user segments. */
export const gdt: ReadonlyMap<number, Descriptor> = new Map([
  [control.kernelCode, flat(0x9b)],
  [control.kernelData, flat(0x93)],
  [selectors.code & ~7, flat(0xfb)],
  [selectors.data & ~7, flat(0xf3)],
  [control.taskSelector, { base: control.task.base, limit: control.task.limit, rights: 0x8b, flags: 0 }],
  [control.ldtSelector, { base: control.ldt.base, limit: control.ldt.limit, rights: 0x82, flags: 0 }],
]);

/** The LDT's descriptors in order. Linux sets AVL in what modify_ldt writes only if asked; it was not. */
export const ldt: readonly Descriptor[] = ldtSegments.map((s) => ({
  base: s.base,
  limit: s.limit,
  rights: 0x70 | s.type | (s.present ? 0x80 : 0),
  flags: (s.pages ? 8 : 0) | (s.big ? 4 : 0),
}));

/** The descriptor a selector names, undefined for null ones and those beyond the tables. */
export function descriptorOf(selector: number): Descriptor | undefined {
  return selector & 4 ? ldt[selector >> 3] : gdt.get(selector & ~7);
}

function encode(d: Descriptor): [number, number] {
  const low = ((d.base << 16) | (d.limit & 0xffff)) >>> 0;
  const high = ((d.base & 0xff000000) | (d.flags << 20) | (d.limit & 0xf0000) | (d.rights << 8) | ((d.base >>> 16) & 0xff)) >>> 0;
  return [low, high];
}

/** The whole of physical memory as a case finds it; code and data are the driver's to fill. */
export function physicalImage(): Uint8Array {
  const bytes = new Uint8Array(physicalSize);
  const view = new DataView(bytes.buffer);
  const put = (address: number, value: number) => view.setUint32(address, value >>> 0, true);
  const present = 1,
    writable = 2,
    user = 4,
    accessedAndDirty = 0x60;
  const directoryEntry = (linear: number, table: number, rights: number) => put(at.directory + 4 * (linear >>> 22), table | rights | 0x20);
  const map = (table: number, linear: number, page: number, rights: number) =>
    put(table + 4 * ((linear >>> 12) & 0x3ff), page | rights | accessedAndDirty);
  directoryEntry(layout.low, at.lowTable, present | writable | user);
  directoryEntry(layout.code, at.codeTable, present | writable | user);
  directoryEntry(layout.data, at.dataTable, present | writable | user);
  directoryEntry(supervisor, at.supervisorTable, present | writable);
  map(at.codeTable, layout.code, at.code, present | writable | user);
  for (let page = 0; page < layout.dataSize; page += 0x1000) {
    map(at.dataTable, layout.data + page, at.data + page, present | writable | user);
    map(at.lowTable, layout.low + page, at.data + page, present | writable | user);
  }
  map(at.dataTable, layout.constant, at.constant, present | user);
  for (let page = 0; page < physicalSize; page += 0x1000) map(at.supervisorTable, supervisor + page, page, present | writable);

  const putDescriptor = (address: number, descriptor: Descriptor) => {
    const [low, high] = encode(descriptor);
    put(address, low);
    put(address + 4, high);
  };
  for (const [selector, descriptor] of gdt) putDescriptor(at.gdt + selector, descriptor);
  for (const [n, descriptor] of ldt.entries()) putDescriptor(at.ldt + 8 * n, descriptor);
  for (let vector = 0; vector < 256; vector++) {
    const handler = control.handlers + 16 * vector;
    // Linux lets ring 3 reach INT3, INTO and its system call; other INT n are #GP.
    const privilege = vector === 3 || vector === 4 || vector === 0x80 ? 3 : 0;
    put(at.idt + 8 * vector, (control.kernelCode << 16) | (handler & 0xffff));
    put(at.idt + 8 * vector + 4, (handler & 0xffff0000) | 0x8e00 | (privilege << 13));
    bytes[at.handlers + 16 * vector] = 0xf4;
  }
  put(at.tss + 4, control.stackTop);
  put(at.tss + 8, control.kernelData);
  view.setUint16(at.tss + 0x66, 0x68, true);
  bytes.fill(0xcc, at.code, at.code + 0x1000);
  for (let i = 0; i < layout.dataSize; i++) bytes[at.data + i] = Math.imul(i, 2654435761 | 0) >>> 24;
  bytes.copyWithin(at.constant, at.data, at.data + 0x1000);
  return bytes;
}

/** Exceptions that push an error code (SDM vol. 3, table 6-1). */
export const pushesError: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17]);
