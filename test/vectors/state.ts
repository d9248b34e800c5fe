/** The values a vector is made of: CPU and memory before an instruction, and what the instruction did to them. */
import { layout, selectors } from "./layout.ts";

/** Bytes at an offset from the start of the data pages. */
export interface Chunk {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface CpuState {
  /** EAX ECX EDX EBX ESP EBP ESI EDI, unsigned. */
  gpr: number[];
  eflags: number;
  /** Selectors of ES, DS, FS, GS. */
  segments: number[];
  /** The first 288 bytes of an FXSAVE image: control words, ST0-7, XMM0-7. */
  fpu: Uint8Array;
  /** What the data pages hold where they differ from the background pattern. */
  memory: Chunk[];
}

export interface Trap {
  readonly vector: number;
  /** 0 where the exception has none. */
  readonly error: number;
  /** Meaningful for #PF. */
  readonly cr2: number;
}

export interface Outcome {
  /** The exception, unless the instruction completed. A branch reports its target in `eip` and no trap. */
  trap?: Trap;
  eip: number;
  gpr: number[];
  eflags: number;
  segments: number[];
  fpu: Uint8Array;
  /** What changed in the data pages relative to the input. */
  memory: Chunk[];
}

export interface VectorCase {
  readonly family: string;
  /** Mnemonic and operand forms, as in "add Ev,Gv 2". */
  readonly name: string;
  /** Which encoding of the family, and which state of that encoding. */
  readonly group: number;
  readonly index: number;
  readonly bytes: Uint8Array;
  /** What follows the instruction is INT3, and so is everything it may reach. */
  readonly branch: boolean;
  /** x87, MMX or SSE state takes part. */
  readonly usesFpu: boolean;
  readonly input: CpuState;
  readonly expected: Outcome;
}

/** An instruction encoding with the states it is to be run in; what the generator makes. */
export interface CaseGroup {
  name: string;
  bytes: number[];
  branch: boolean;
  usesFpu: boolean;
  states: CpuState[];
}

export const fpuImageSize = 288;
/** Offsets in the FXSAVE image (SDM vol. 1, table 10-2). */
export const fx = { control: 0, status: 2, tag: 4, opcode: 6, ip: 8, cs: 12, dp: 16, ds: 20, mxcsr: 24, st: 32, xmm: 160 } as const;

/** What a case does not care about holds this, so that a stray write shows. */
export function defaultState(): CpuState {
  const fpu = new Uint8Array(fpuImageSize);
  const view = new DataView(fpu.buffer);
  view.setUint16(fx.control, 0x37f, true);
  view.setUint32(fx.mxcsr, 0x1f80, true);
  for (let i = 0; i < 8; i++) {
    view.setUint32(fx.st + 16 * i, 0x01020304 * (i + 1), true);
    view.setUint32(fx.st + 16 * i + 4, 0x80000000 + i, true);
    view.setUint16(fx.st + 16 * i + 8, 0x3fff + i, true);
    for (let j = 0; j < 4; j++) view.setUint32(fx.xmm + 16 * i + 4 * j, 0x3f810203 + 0x01010101 * i + 0x10 * j, true);
  }
  return {
    gpr: [0xa1b2c3d4, 0x0badcafe, 0x76543210, 0x5a5aa5a5, layout.data + 0x1840, 0xbabe0042, 0x13579bdf, 0xfeedf00d],
    eflags: 0x202,
    segments: [selectors.data, selectors.data, 0x07, 0x0f],
    fpu,
    memory: [],
  };
}

export function cloneState(state: CpuState): CpuState {
  return { gpr: [...state.gpr], eflags: state.eflags, segments: [...state.segments], fpu: state.fpu.slice(), memory: [...state.memory] };
}

export const register = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 } as const;
