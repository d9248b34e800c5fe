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
} as const;

export type ModeKey = number;
export const modeKeyCount = 128;

export function describeMode(key: ModeKey): string {
  const level = key & mode.virtual8086 ? "v8086" : key & mode.protected ? "protected" : "real";
  return [
    `${key & mode.code32 ? 32 : 16}-bit ${level}`,
    key & mode.user ? "user" : "supervisor",
    key & mode.flat ? "flat" : "segmented",
    key & mode.stack32 ? "ESP" : "SP",
    ...(key & mode.singleStep ? ["single-step"] : []),
  ].join(", ");
}
