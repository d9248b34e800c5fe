/**
 * Callouts of MMX, SSE and what came after it (to SSE4.2, AES and SHA). Vector operands are named by *slot*: the index of their first word in `R`, which is a register's or a
 * staging area's (`slot.scratch`, `slot.scratch2`). None touches general registers or the flag words.
 *
 * Those that take (target, source) write the target only after everything that may raise #XM, so that an exception leaves it unchanged.
 */
import type { CalloutRow } from "../callouts.ts";

/** Works on slots alone. */
const registers = { general: false, writesMemory: false } as const;
/** (target, source) */
const binary = { args: 2, ...registers, slots: [0, 1] } as const;
/** (target, int32 value) */
const fromInteger = { args: 2, ...registers, slots: [0] } as const;
/** (source): an int32 result. */
const toInteger = { args: 1, returns: true, ...registers, slots: [0] } as const;
/** (left, right): EFLAGS-shaped result, CF PF ZF. */
const compare = { args: 2, returns: true, ...registers, slots: [0, 1] } as const;
/** (target, source, predicate) */
const predicate = { args: 3, ...registers, slots: [0, 1] } as const;
/** Cannot raise an exception. */
const plain = { ...registers, neverFaults: true } as const;
/** (linear, target slot) */
const load = { args: 2, ...registers, slots: [1] } as const;
/** (linear, source slot): all or nothing. */
const store = { args: 2, general: false, slots: [1] } as const;

export const simdCallouts = {
  /** #UD with CR0.EM or without CR4.OSFXSR, #NM with CR0.TS. */
  sseAvailable: { args: 0, ...registers, slots: [], oncePerBlock: true },
  /** #UD with CR0.EM, #NM with CR0.TS, #MF when an x87 exception is pending. */
  mmxAvailable: { args: 0, ...registers, oncePerBlock: true, onX87State: true },
  /** #MF alone, for SSE instructions that also use MMX registers. */
  pendingFloatException: { args: 0, ...registers },
  /** All x87 registers valid, TOP 0: what instructions do that switch to MMX before they may fault. */
  enterMmx: { args: 0, ...plain },

  /** The -Aligned forms raise #GP(0) unless the address is a multiple of 16. */
  load64: load,
  load128: load,
  load128Aligned: load,
  store64: store,
  store128: store,
  store128Aligned: store,
  /** (linear, low word, high word) */
  storePair: { args: 3, general: false },
  /** (linear, data slot, mask slot): MASKMOVDQU. */
  storeMasked: { args: 3, general: false, slots: [1, 2] },
  /** (linear, data low, data high, mask low, mask high): MASKMOVQ. */
  storeMaskedPair: { args: 5, general: false },
  /** (target, source): register moves that keep whatever bits there are. */
  copy64: { ...binary, ...plain },
  copy128: { ...binary, ...plain },
  /** (target, bytes): PSLLDQ and PSRLDQ. */
  shiftLeftBytes: { ...fromInteger, ...plain },
  shiftRightBytes: { ...fromInteger, ...plain },
  /** (value): #GP(0) for reserved bits. */
  ldmxcsr: { args: 1, ...registers, vectors: true },

  addss: binary,
  addsd: binary,
  addps: binary,
  addpd: binary,
  subss: binary,
  subsd: binary,
  subps: binary,
  subpd: binary,
  mulss: binary,
  mulsd: binary,
  mulps: binary,
  mulpd: binary,
  divss: binary,
  divsd: binary,
  divps: binary,
  divpd: binary,
  minss: binary,
  minsd: binary,
  minps: binary,
  minpd: binary,
  maxss: binary,
  maxsd: binary,
  maxps: binary,
  maxpd: binary,
  sqrtss: binary,
  sqrtsd: binary,
  sqrtps: binary,
  sqrtpd: binary,
  rcpss: { ...binary, ...plain },
  rcpps: { ...binary, ...plain },
  rsqrtss: { ...binary, ...plain },
  rsqrtps: { ...binary, ...plain },
  cmpss: predicate,
  cmpsd: predicate,
  cmpps: predicate,
  cmppd: predicate,
  comiss: compare,
  comisd: compare,
  ucomiss: compare,
  ucomisd: compare,

  cvtss2si: toInteger,
  cvttss2si: toInteger,
  cvtsd2si: toInteger,
  cvttsd2si: toInteger,
  cvtsi2ss: fromInteger,
  cvtsi2sd: { ...fromInteger, ...plain },
  cvtss2sd: binary,
  cvtsd2ss: binary,
  cvtps2pd: binary,
  cvtpd2ps: binary,
  cvtdq2ps: binary,
  cvtps2dq: binary,
  cvttps2dq: binary,
  cvtdq2pd: { ...binary, ...plain },
  cvtpd2dq: binary,
  cvttpd2dq: binary,
  /** (target, first int32, second int32) */
  cvtpi2ps: { args: 3, ...registers, slots: [0] },
  cvtpi2pd: { args: 3, ...plain, slots: [0] },
  /** (target, source): the two int32 results go to the target's first two words. */
  cvtps2pi: binary,
  cvttps2pi: binary,
  cvtpd2pi: binary,
  cvttpd2pi: binary,

  // SSE3 and SSE4.1: floating point.
  addsubps: binary,
  addsubpd: binary,
  haddps: binary,
  haddpd: binary,
  hsubps: binary,
  hsubpd: binary,
  roundss: predicate,
  roundsd: predicate,
  roundps: predicate,
  roundpd: predicate,
  dpps: predicate,
  dppd: predicate,

  // SSSE3 and SSE4.1: integers.
  pshufb: { ...binary, ...plain },
  phaddw: { ...binary, ...plain },
  phaddd: { ...binary, ...plain },
  phaddsw: { ...binary, ...plain },
  phsubw: { ...binary, ...plain },
  phsubd: { ...binary, ...plain },
  phsubsw: { ...binary, ...plain },
  pmaddubsw: { ...binary, ...plain },
  pmulhrsw: { ...binary, ...plain },
  psignb: { ...binary, ...plain },
  psignw: { ...binary, ...plain },
  psignd: { ...binary, ...plain },
  pabsb: { ...binary, ...plain },
  pabsw: { ...binary, ...plain },
  pabsd: { ...binary, ...plain },
  palignr: { ...predicate, ...plain },
  mpsadbw: { ...predicate, ...plain },
  phminposuw: { ...binary, ...plain },

  /**
   * SSE4.2's comparison of strings (SDM vol. 2, 4.1): (left, right, immediate), and the lengths as EAX and EDX have them. The result: IntRes2 in bits 0 to 15, CF in 16, ZF in 17, SF in 18,
   * OF in 19.
   */
  compareText: { args: 3, returns: true, ...plain, slots: [0, 1] },
  compareTextOfLength: { args: 5, returns: true, ...plain, slots: [0, 1] },
  /** (crc, value, bytes): CRC-32C. */
  crc32: { args: 3, returns: true, ...plain },

  aesimc: { ...binary, ...plain },
  aeskeygenassist: { ...predicate, ...plain },
} as const satisfies Record<string, CalloutRow>;
