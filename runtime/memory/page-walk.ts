/**
 * The page walk: 32-bit two-level tables with 4 MiB pages, and PAE with 2 MiB pages and execute-disable (SDM vol. 3, chapter 4).
 * Sets accessed and dirty bits only when the access is allowed, as hardware does. Results are left in fields, so that a walk
 * allocates nothing.
 */
import { cr0bit as cr0bitImported, cr4bit as cr4bitImported, slot as slotImported } from "../../translator/contract/slots.ts";
import type { PhysicalMemory } from "./physical.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const cr0bit = cr0bitImported;
const cr4bit = cr4bitImported;
const slot = slotImported;

export const walkFlag = { write: 2, user: 4, fetch: 16 } as const;

const present = 1;
const writable = 2;
const user = 4;
const accessed = 32;
const dirty = 64;
const large = 128;
const globalPage = 256;
const reservedViolation = 8;
/** Physical address bits 36-51 of a PAE entry's high word, and bits 52-62, which are reserved or ignored: MAXPHYADDR is 36. */
const paeReservedHigh = 0x7ffffff0;
const noExecute = 1 << 31;
const eferNxe = 1 << 11;

export class PageWalker {
  /** Physical address of the page found, as a number up to 2^36. */
  page = 0;
  isGlobal = false;
  isLarge = false;
  /** The #PF error code of a failed walk. */
  errorCode = 0;
  /** PAE page-directory-pointer registers, low and high word each: loaded by MOV CR3, not read at each walk (SDM vol. 3, 4.4.1). */
  readonly pdptr = new Int32Array(8);

  private readonly R: Int32Array;
  private readonly physical: PhysicalMemory;
  /** ANDed to every physical address: clears bit 20 while the A20 gate is closed. */
  a20Mask = -1;

  constructor(R: Int32Array, physical: PhysicalMemory) {
    this.R = R;
    this.physical = physical;
  }

  /** Loads the PDPTRs from CR3. False if one that is present has reserved bits set, which is a #GP. */
  loadPdptrs(cr3: number): boolean {
    const base = (cr3 & ~31) >>> 0;
    const loaded = new Int32Array(8);
    for (let i = 0; i < 8; i++) loaded[i] = this.physical.read4(base + 4 * i);
    for (let i = 0; i < 8; i += 2) {
      if (loaded[i] & present && (loaded[i] & 0x1e6 || loaded[i + 1] & ~15)) return false;
    }
    this.pdptr.set(loaded);
    return true;
  }

  /** Walks for an access of kind `access` (walkFlag bits). True: `page`, `isGlobal`, `isLarge` are set; false: `errorCode`. */
  walk(linear: number, access: number): boolean {
    const R = this.R;
    this.isGlobal = false;
    this.isLarge = false;
    if ((R[slot.cr0] & cr0bit.pg) === 0) {
      this.page = (linear & ~0xfff & this.a20Mask) >>> 0;
      return true;
    }
    return R[slot.cr4] & cr4bit.pae ? this.walkPae(linear, access) : this.walk32(linear, access);
  }

  private walk32(linear: number, access: number): boolean {
    const { R, physical } = this;
    const pdeAddress = ((R[slot.cr3] & ~0xfff) >>> 0) + (linear >>> 22) * 4;
    const pde = physical.read4(pdeAddress);
    if ((pde & present) === 0) return this.fail(access, 0);
    if (pde & large && R[slot.cr4] & cr4bit.pse) {
      // No PSE-36: bits 13-21 are reserved.
      if (pde & 0x3fe000) return this.fail(access, present | reservedViolation);
      if (!this.allowed(pde, access)) return this.fail(access, present);
      this.mark(pdeAddress, pde, access);
      return this.found(((pde & 0xffc00000) | (linear & 0x3ff000)) >>> 0, pde, true);
    }
    const pteAddress = ((pde & ~0xfff) >>> 0) + ((linear >>> 12) & 0x3ff) * 4;
    const pte = physical.read4(pteAddress);
    if ((pte & present) === 0) return this.fail(access, 0);
    if (!this.allowed(pde & pte, access)) return this.fail(access, present);
    if ((pde & accessed) === 0) physical.write4(pdeAddress, pde | accessed);
    this.mark(pteAddress, pte, access);
    return this.found((pte & ~0xfff) >>> 0, pte, false);
  }

  private walkPae(linear: number, access: number): boolean {
    const { R, physical } = this;
    const top = (linear >>> 30) * 2;
    if ((this.pdptr[top] & present) === 0) return this.fail(access, 0);
    const nxe = (R[slot.efer] & eferNxe) !== 0;
    const reservedHigh = nxe ? paeReservedHigh : paeReservedHigh | noExecute;
    const pdeAddress = tableAddress(this.pdptr[top], this.pdptr[top + 1]) + ((linear >>> 21) & 0x1ff) * 8;
    const pde = physical.read4(pdeAddress);
    const pdeHigh = physical.read4(pdeAddress + 4);
    if ((pde & present) === 0) return this.fail(access, 0);
    if (pdeHigh & reservedHigh) return this.fail(access, present | reservedViolation);
    if (pde & large) {
      if (pde & 0x1fe000) return this.fail(access, present | reservedViolation);
      if (!this.allowed(pde, access) || (access & walkFlag.fetch && nxe && pdeHigh < 0)) return this.fail(access, present);
      this.mark(pdeAddress, pde, access);
      return this.found((pdeHigh & 15) * 2 ** 32 + (((pde & 0xffe00000) | (linear & 0x1ff000)) >>> 0), pde, true);
    }
    const pteAddress = tableAddress(pde, pdeHigh) + ((linear >>> 12) & 0x1ff) * 8;
    const pte = physical.read4(pteAddress);
    const pteHigh = physical.read4(pteAddress + 4);
    if ((pte & present) === 0) return this.fail(access, 0);
    if (pteHigh & reservedHigh) return this.fail(access, present | reservedViolation);
    if (!this.allowed(pde & pte, access) || (access & walkFlag.fetch && nxe && (pdeHigh | pteHigh) < 0)) return this.fail(access, present);
    if ((pde & accessed) === 0) physical.write4(pdeAddress, pde | accessed);
    this.mark(pteAddress, pte, access);
    return this.found(tableAddress(pte, pteHigh), pte, false);
  }

  /** `rights`: the AND of the entries' U and W bits along the walk. */
  private allowed(rights: number, access: number): boolean {
    if (access & walkFlag.user) return (rights & user) !== 0 && ((access & walkFlag.write) === 0 || (rights & writable) !== 0);
    return (access & walkFlag.write) === 0 || (rights & writable) !== 0 || (this.R[slot.cr0] & cr0bit.wp) === 0;
  }

  private mark(address: number, entry: number, access: number): void {
    const wanted = entry | accessed | (access & walkFlag.write ? dirty : 0);
    if (wanted !== entry) this.physical.write4(address, wanted);
  }

  private found(page: number, leaf: number, isLarge: boolean): boolean {
    // Above 4 GiB nothing answers; A20 masks bit 20 below that.
    this.page = page < 2 ** 32 ? (page & this.a20Mask) >>> 0 : page;
    this.isGlobal = (leaf & globalPage) !== 0 && (this.R[slot.cr4] & cr4bit.pge) !== 0;
    this.isLarge = isLarge;
    return true;
  }

  private fail(access: number, cause: number): boolean {
    const fetch = access & walkFlag.fetch && this.R[slot.efer] & eferNxe && this.R[slot.cr4] & cr4bit.pae ? 16 : 0;
    this.errorCode = cause | (access & (walkFlag.write | walkFlag.user)) | fetch;
    return false;
  }

  /** The physical address behind `linear`, ignoring rights and changing nothing; -1 when not present. */
  peek(linear: number): number {
    const { R, physical } = this;
    if ((R[slot.cr0] & cr0bit.pg) === 0) return (linear & this.a20Mask) >>> 0;
    if (R[slot.cr4] & cr4bit.pae) {
      const top = (linear >>> 30) * 2;
      if ((this.pdptr[top] & present) === 0) return -1;
      const pdeAddress = tableAddress(this.pdptr[top], this.pdptr[top + 1]) + ((linear >>> 21) & 0x1ff) * 8;
      const pde = physical.read4(pdeAddress);
      if ((pde & present) === 0) return -1;
      if (pde & large) return ((pde & 0xffe00000) | (linear & 0x1fffff)) >>> 0;
      const pteAddress = tableAddress(pde, physical.read4(pdeAddress + 4)) + ((linear >>> 12) & 0x1ff) * 8;
      const pte = physical.read4(pteAddress);
      return pte & present ? tableAddress(pte, physical.read4(pteAddress + 4)) + (linear & 0xfff) : -1;
    }
    const pde = physical.read4(((R[slot.cr3] & ~0xfff) >>> 0) + (linear >>> 22) * 4);
    if ((pde & present) === 0) return -1;
    if (pde & large && R[slot.cr4] & cr4bit.pse) return ((pde & 0xffc00000) | (linear & 0x3fffff)) >>> 0;
    const pte = physical.read4(((pde & ~0xfff) >>> 0) + ((linear >>> 12) & 0x3ff) * 4);
    return pte & present ? ((pte & ~0xfff) | (linear & 0xfff)) >>> 0 : -1;
  }
}

function tableAddress(low: number, high: number): number {
  return (high & 15) * 2 ** 32 + ((low & ~0xfff) >>> 0);
}
