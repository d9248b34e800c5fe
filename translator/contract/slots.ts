/**
 * The guest CPU's architectural state as generated code sees it: one Int32Array per CPU (`R` in generated code, `cpu.R` in the
 * runtime), indexed by the names below and by nothing else. A Float64Array (`cpu.F`) views the same buffer for doubles.
 *
 * EFLAGS is kept in two parts. The system and control bits live in `eflags`. The six arithmetic flags are *derived* from three
 * words, so that an instruction sets flags with at most three plain stores and a pass needs to know nothing about flags: they
 * are ordinary slots with ordinary liveness.
 *
 *   flagZero   ZF = (flagZero === 0)
 *   flagSign   SF = bit 31;  PF = even parity of bits 0-7     (the result, sign-extended to 32 bits)
 *   flagCarry  CF = bit 31;  OF = bit 31 ^ bit 30;  AF = bit 3 (the vector of carries out of each bit position)
 *
 * For a 32-bit addition flagCarry = (a & b) | ((a | b) & ~r); for 8 and 16 bits that vector is shifted left by 24 or 16 with
 * bits 0-3 kept, so that CF and OF stay at bits 31 and 30 and AF at bit 3.
 */
export const slot = {
  // General registers, in the order ModRM numbers them.
  eax: 0,
  ecx: 1,
  edx: 2,
  ebx: 3,
  esp: 4,
  ebp: 5,
  esi: 6,
  edi: 7,
  /** EIP. While a callout runs: the *next* instruction's; between blocks: the next to execute. */
  eip: 8,
  flagZero: 9,
  flagSign: 10,
  flagCarry: 11,
  /** EFLAGS without CF PF AF ZF SF OF (those bits are 0 here); bit 1 is always 1. */
  eflags: 12,
  /** EIP of the first byte of the physical page that holds the running block: linear page base - CS base. */
  page: 13,
  /** Guest instructions left before the dispatcher must look at time and interrupts; negative = now. */
  budget: 14,
  /** Non-zero: leave the running region after the current instruction (its code was overwritten, or a debug trap is due). */
  leave: 15,
  /** 0 when CPL < 3, 1 << 20 when CPL = 3: which half of the TLBs applies. */
  tlbHalf: 16,
  cpl: 17,
  /** Index of the current ModeKey (contract/mode-key.ts). */
  mode: 18,
  /** Where a region is about to let an instruction fault: see `faultPlace`. In a superinstruction of tier 0, the page offset of the part. */
  faultOffset: 19,

  // Segment registers in the order ModRM numbers them: ES CS SS DS FS GS, then LDTR and TR. Each quantity is a row of eight.
  selector: 20,
  segmentBase: 28,
  /** Last valid offset as an unsigned number, granularity already applied. */
  segmentLimit: 36,
  /** Descriptor bits 8-15 and 20-23 of its high word, in place (type, S, DPL, P, AVL, D/B, G); 0 for an unusable segment. */
  segmentAccess: 44,
  /** 0 when every offset may be read and written without a check, otherwise 1: the fast test before a segmented access. */
  segmentChecked: 52,

  gdtBase: 60,
  gdtLimit: 61,
  idtBase: 62,
  idtLimit: 63,
  cr0: 64,
  cr2: 65,
  cr3: 66,
  cr4: 67,
  dr0: 68,
  dr1: 69,
  dr2: 70,
  dr3: 71,
  dr6: 72,
  dr7: 73,
  sysenterCs: 74,
  sysenterEsp: 75,
  sysenterEip: 76,
  /** Bit 0: interrupts held off for one instruction (STI, MOV SS, POP SS); bit 1: debug traps held off too (MOV/POP SS). */
  interruptShadow: 77,
  /** Non-zero while HLT waits. */
  halted: 78,
  efer: 79,

  // x87. Registers are physical (not ST-relative): mantissa low and high words, and sign << 15 | biased exponent.
  fpuMantissaLow: 80,
  fpuMantissaHigh: 88,
  fpuSignExponent: 96,
  fpuControl: 104,
  /** Status word with TOP and C1 kept apart (bits 11-13 and 9 are 0 here), and perhaps PE: see fpuResidue and fpuInexact. */
  fpuStatus: 105,
  fpuTop: 106,
  /** Bit i set = physical register i is empty. */
  fpuEmpty: 107,
  fpuOpcode: 108,
  fpuIp: 109,
  fpuCs: 110,
  fpuDp: 111,
  fpuDs: 112,

  mxcsr: 113,
  /** Two words: of a region that runs, the addends that its carries come from (javascript/lazy-carry.ts). */
  carryAddends: 114,
  /** Staging for 64- and 128-bit memory operands: four words, 16-byte aligned. */
  scratch: 116,
  /** XMM0-7, four words each, 16-byte aligned. */
  xmm: 120,
  /** A second staging area (four words), and one word beyond it for helpers. */
  scratch2: 152,

  // The second home of the x87 registers' values (runtime/callouts/x87/registers.ts): value = high + low, two rows of eight doubles indexed by physical
  // register. A NaN in the row of highs: the value is in the three integer rows above. Otherwise those are stale.
  fpuPairHigh: 160,
  fpuPairLow: 176,
  /** Non-zero: some register may be held as a pair. */
  fpuPairs: 192,
  /** Two words in which a double is taken apart or put together. */
  fpuBits: 194,
  // Doubles that say what the last rounding was, so that nobody need know before the status word is read. C1: the residue (exact value minus rounded) is not
  // zero and its sign is not that of fpuRounded. PE is also set while fpuInexact, a sum of magnitudes of residues, is not zero.
  fpuResidue: 196,
  fpuRounded: 198,
  fpuInexact: 200,

  /** An unsigned number: pages whose first byte has a smaller EIP (`page`) lie within the code segment, and for 16-bit code within 64 KiB, as a whole. */
  codeEnd: 202,
  /** Of a region that runs: what `budget` was when the region read it last. */
  budgetNoted: 203,
  count: 204,
} as const;

/**
 * R[faultOffset] of a region: the offset relative to the entry's page, signed, in `offsetBits`; a bit that says that a callout that may change general registers is under way;
 * above that, instructions of the block not executed, the faulting one included: up to 511.
 */
export const faultPlace = { offsetBits: 22, inGeneralCall: 1 << 22, unexecutedShift: 23 } as const;

/** Words of the array J, about calls of regions by regions: where the RET of the running function is to return to, how deep calls nest; what a region then returns. */
export const jsCall = { returnTo: 0, depth: 1, returned: 0x3fffffff } as const;

/** Words of the array EV: what is asked before anything goes on without the dispatcher. */
export const attention = {
  /** Something waits for the dispatcher, or may soon: it is to look itself whenever an instruction ends that may have changed what may be done. */
  look: 0,
  /** A region left at a store that tier 0 is to make. */
  refused: 1,
  /** Interrupts and exceptions have an observer. */
  observed: 2,
  /** No question, but the dispatcher's note that R[eip] itself is right, which no longer holds where code goes on by itself (runtime/execute/entry.ts). */
  eipIsCurrent: 3,
} as const;

/** Instructions left in the slice above which the dispatcher does not look before the block behind STI has begun. */
export const farFromSliceEnd = 64;

export type SlotName = keyof typeof slot;

/** Segment register numbers as ModRM and prefixes encode them; LDTR and TR follow. */
export const segment = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5, ldtr: 6, tr: 7 } as const;
export type SegmentNumber = (typeof segment)[keyof typeof segment];

/** EFLAGS bits (SDM vol. 1, 3.4.3). */
export const eflag = {
  cf: 1 << 0,
  pf: 1 << 2,
  af: 1 << 4,
  zf: 1 << 6,
  sf: 1 << 7,
  tf: 1 << 8,
  if: 1 << 9,
  df: 1 << 10,
  of: 1 << 11,
  iopl: 3 << 12,
  nt: 1 << 14,
  rf: 1 << 16,
  vm: 1 << 17,
  ac: 1 << 18,
  vif: 1 << 19,
  vip: 1 << 20,
  id: 1 << 21,
} as const;
export const arithmeticFlags = 0x8d5;
/** Flags any IRET or POPF restores with a 16-bit operand, and those that need the 32-bit form as well. */
export const userFlags = arithmeticFlags | eflag.tf | eflag.df | eflag.nt;
export const userFlags32 = userFlags | eflag.rf | eflag.ac | eflag.id;

export const cr0bit = { pe: 1, mp: 2, em: 4, ts: 8, et: 16, ne: 32, wp: 1 << 16, am: 1 << 18, nw: 1 << 29, cd: 1 << 30, pg: 1 << 31 } as const;
export const cr4bit = { vme: 1, pvi: 2, tsd: 4, de: 8, pse: 16, pae: 32, mce: 64, pge: 128, pce: 256, osfxsr: 512, osxmmexcpt: 1024 } as const;

/** Exception vectors (SDM vol. 3, table 6-1). */
export const vector = {
  de: 0,
  db: 1,
  nmi: 2,
  bp: 3,
  of: 4,
  br: 5,
  ud: 6,
  nm: 7,
  df: 8,
  ts: 10,
  np: 11,
  ss: 12,
  gp: 13,
  pf: 14,
  mf: 16,
  ac: 17,
  mc: 18,
  xm: 19,
} as const;
