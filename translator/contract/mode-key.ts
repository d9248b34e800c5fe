/**
 * ModeKey: the CPU mode bits that change what a block's bytes mean or what code is generated for them. A block's identity is its
 * physical address plus this key. Kept as a small bit set so that it can be a table index.
 */
export const mode = {
  /** CS.D: 32-bit default operand and address size. */
  code32: 1,
  /** SS.B: pushes and pops use ESP, not SP. */
  stack32: 2,
  /** ES, CS, SS and DS all have base 0 and limit 4 GiB and allow the access: no segment arithmetic, no checks. */
  flat: 4,
  /** CPL = 3. */
  user: 8,
  /** CR0.PE = 1 and EFLAGS.VM = 0. */
  protected: 16,
  /** EFLAGS.VM = 1. */
  virtual8086: 32,
  /** One instruction a block, then look for debug traps (TF, breakpoints, interrupt shadows). */
  singleStep: 64,
  /**
   * Not flat, but ES, CS, SS and DS (outside protected mode FS and GS too) reach to offset FFFFh at least and allow the access: what a 16-bit offset addresses
   * needs no check unless it goes on beyond FFFFh. Real and virtual-8086 mode are practically always so.
   */
  wide: 128,
  /**
   * Only of blocks, never of the CPU: the page lies only partly within the code segment's limit (or within 64 KiB, for 16-bit code). Such a block is for one EIP of
   * its page and one limit only; all others can run wherever CS puts them. See docs/ARCHITECTURE.md, "Code whose EIP is not its address".
   */
  edge: 256,
} as const;

export type ModeKey = number;
/** Bits of a mode key. */
export const modeWidth = 9;
export const modeKeyCount = 1 << modeWidth;

/** Code whose EIP is its linear address: flat, and 32 bits, so that it never wraps around at 64 KiB. */
export const linearCode = mode.code32 | mode.flat;
export function isLinearCode(key: ModeKey): boolean {
  return (key & linearCode) === linearCode;
}

export function describeMode(key: ModeKey): string {
  const level = key & mode.virtual8086 ? "v8086" : key & mode.protected ? "protected" : "real";
  return [
    `${key & mode.code32 ? 32 : 16}-bit ${level}`,
    key & mode.user ? "user" : "supervisor",
    key & mode.flat ? "flat" : key & mode.wide ? "64K segments" : "segmented",
    key & mode.stack32 ? "ESP" : "SP",
    ...(key & mode.singleStep ? ["single-step"] : []),
    ...(key & mode.edge ? ["segment's edge"] : []),
  ].join(", ");
}
