/** When SIMD instructions are available, what they raise, and what a fault leaves unchanged (SDM vol. 3, tables 2-2 and 13-1; vol. 1, 11.5). */
import { beforeEach, describe, expect, it } from "vitest";
import { GuestFault } from "../../runtime/cpu/cpu.ts";
import { updateMode } from "../../runtime/cpu/mode.ts";
import { cr0bit, cr4bit, eflag, slot, vector } from "../../translator/contract/slots.ts";
import { extensionRows } from "../../translator/decode/tables/extensions.ts";
import { groupRows } from "../../translator/decode/tables/groups.ts";
import { mmxRows } from "../../translator/decode/tables/mmx.ts";
import { sseRows } from "../../translator/decode/tables/sse.ts";
import { sse2IntegerRows } from "../../translator/decode/tables/sse2-integer.ts";
import { simdLifts } from "../../translator/lift/simd/index.ts";
import { Engine } from "./engine.ts";

let engine: Engine;
let R: Int32Array;
let ram: Uint8Array;

beforeEach(() => {
  engine = new Engine();
  R = engine.cpu.R;
  ram = engine.cpu.memory.physical.u8;
});

/** Executes the bytes; the vector of the exception raised, or -1; the error code goes to `errorCode`. */
let errorCode = -1;
function execute(...code: number[]): number {
  try {
    engine.execute(Uint8Array.from(code));
    return -1;
  } catch (e) {
    if (!(e instanceof GuestFault)) throw e;
    errorCode = e.errorCode;
    return e.vector;
  }
}
const set = (place: number, ...words: number[]) =>
  words.forEach((w, k) => {
    R[place + k] = w;
  });
const get = (place: number, count: number) => Array.from(R.subarray(place, place + count), (w) => w >>> 0);

const addps = [0x0f, 0x58, 0xc1];
const paddbMmx = [0x0f, 0xfc, 0xc1];
const paddbXmm = [0x66, 0x0f, 0xfc, 0xc1];
const pshufbMmx = [0x0f, 0x38, 0x00, 0xc1];
const pshufbXmm = [0x66, 0x0f, 0x38, 0x00, 0xc1];

describe("every row has a lift", () => {
  it("MMX, SSE to SSE4.2, AES, SHA and the cache control of group 15 and 16", () => {
    const names = [...mmxRows, ...sseRows, ...sse2IntegerRows, ...extensionRows].map((row) => row[1]).filter((name) => name !== "fisttp");
    const others = groupRows.map((row) => row[1]).filter((name) => /fence|mxcsr|clflush|prefetch/.test(name));
    expect(others.length).toBeGreaterThanOrEqual(10);
    expect([...names, ...others].filter((name) => !(name in simdLifts))).toEqual([]);
  });
});

describe("availability", () => {
  it("SSE: #UD with EM or without OSFXSR, else #NM with TS", () => {
    for (const code of [addps, paddbXmm, pshufbXmm, [0x0f, 0x28, 0xc1], [0x0f, 0xae, 0x19]]) {
      R[slot.cr0] = cr0bit.pe | cr0bit.ts;
      expect(execute(...code)).toBe(vector.nm);
      R[slot.cr0] = cr0bit.pe | cr0bit.em | cr0bit.ts;
      expect(execute(...code)).toBe(vector.ud);
      R[slot.cr0] = cr0bit.pe | cr0bit.ts;
      R[slot.cr4] = cr4bit.osxmmexcpt;
      expect(execute(...code)).toBe(vector.ud);
      R[slot.cr4] = cr4bit.osfxsr;
      R[slot.cr0] = cr0bit.pe;
    }
  });

  it("MMX: #UD with EM, #NM with TS, #MF with an exception pending; OSFXSR does not matter", () => {
    for (const code of [paddbMmx, pshufbMmx]) {
      R[slot.cr0] = cr0bit.pe | cr0bit.ne;
      R[slot.cr4] = 0;
      R[slot.fpuStatus] = 0;
      R[slot.fpuTop] = 3;
      expect(execute(...code)).toBe(-1);
      expect([R[slot.fpuTop], R[slot.fpuEmpty]]).toEqual([0, 0]);
      R[slot.fpuStatus] = 0x81;
      R[slot.fpuControl] = 0x37e;
      R[slot.fpuTop] = 3;
      expect(execute(...code)).toBe(vector.mf);
      expect(R[slot.fpuTop]).toBe(3);
      R[slot.cr0] = cr0bit.pe | cr0bit.ts;
      expect(execute(...code)).toBe(vector.nm);
      R[slot.cr0] = cr0bit.pe | cr0bit.ts | cr0bit.em;
      expect(execute(...code)).toBe(vector.ud);
    }
  });

  it("instructions on both register files see a pending x87 exception", () => {
    R[slot.fpuStatus] = 0x81;
    R[slot.fpuControl] = 0x37e;
    // movdq2q mm0, xmm1; movq2dq xmm0, mm1; cvtps2pi mm0, xmm1; cvtpi2pd xmm0, mm1
    for (const code of [
      [0xf2, 0x0f, 0xd6, 0xc1],
      [0xf3, 0x0f, 0xd6, 0xc1],
      [0x0f, 0x2d, 0xc1],
      [0x66, 0x0f, 0x2a, 0xc1],
    ]) {
      expect(execute(...code)).toBe(vector.mf);
    }
    expect(execute(...addps)).toBe(-1);
    expect(execute(...paddbXmm)).toBe(-1);
  });

  it("EMMS empties the register file", () => {
    execute(...paddbMmx);
    expect(R[slot.fpuEmpty]).toBe(0);
    expect(execute(0x0f, 0x77)).toBe(-1);
    expect(R[slot.fpuEmpty]).toBe(0xff);
  });

  it("fences, hints and CLFLUSH do not need it", () => {
    R[slot.cr0] = cr0bit.pe | cr0bit.em | cr0bit.ts;
    R[slot.ecx] = 0x2000;
    for (const code of [
      [0x0f, 0xae, 0xe8],
      [0x0f, 0xae, 0xf0],
      [0x0f, 0xae, 0xf8],
      [0x0f, 0xae, 0x39],
      [0x0f, 0x18, 0x01],
      [0x0f, 0x18, 0x09],
      [0xf3, 0x90],
      [0x0f, 0xc3, 0x01],
    ]) {
      expect(execute(...code)).toBe(-1);
    }
  });

  it("CRC32, POPCNT and MOVBE do not need it", () => {
    R[slot.cr0] = cr0bit.pe | cr0bit.em | cr0bit.ts;
    R[slot.cr4] = 0;
    R[slot.ecx] = 0x2000;
    for (const code of [
      [0xf2, 0x0f, 0x38, 0xf0, 0xc1],
      [0xf2, 0x0f, 0x38, 0xf1, 0x01],
      [0xf3, 0x0f, 0xb8, 0xc1],
      [0x0f, 0x38, 0xf0, 0x01],
      [0x0f, 0x38, 0xf1, 0x01],
    ]) {
      expect(execute(...code)).toBe(-1);
    }
  });
});

describe("MXCSR", () => {
  it("LDMXCSR refuses reserved bits and leaves the old value", () => {
    R[slot.ecx] = 0x2000;
    const load = (value: number) => {
      new DataView(ram.buffer, ram.byteOffset).setUint32(0x2000, value, true);
      return execute(0x0f, 0xae, 0x11);
    };
    expect(load(0xffbf)).toBe(-1);
    expect(R[slot.mxcsr]).toBe(0xffbf);
    for (const bit of [16, 17, 31]) {
      expect(load(2 ** bit)).toBe(vector.gp);
      expect(errorCode).toBe(0);
    }
    expect(R[slot.mxcsr]).toBe(0xffbf);
    expect(execute(0x0f, 0xae, 0x19)).toBe(-1);
    expect(new DataView(ram.buffer, ram.byteOffset).getUint32(0x2000, true)).toBe(0xffbf);
  });

  it("an unmasked exception is #XM, or #UD without OSXMMEXCPT; the flag is set and the target unchanged", () => {
    for (const [cr4, expected] of [
      [cr4bit.osfxsr | cr4bit.osxmmexcpt, vector.xm],
      [cr4bit.osfxsr, vector.ud],
    ]) {
      R[slot.cr4] = cr4;
      R[slot.mxcsr] = 0x1f80 & ~(4 << 7);
      set(slot.xmm, 0x3f800000, 0x40000000, 0, 0);
      set(slot.xmm + 4, 0x3f800000, 0, 0x3f800000, 0x3f800000);
      expect(execute(0x0f, 0x5e, 0xc1)).toBe(expected);
      expect(get(slot.xmm, 4)).toEqual([0x3f800000, 0x40000000, 0, 0]);
      expect(R[slot.mxcsr] & 0x3f).toBe(4);
    }
  });
});

describe("memory", () => {
  const page = (n: number) => 0x4000 + 0x1000 * n;

  /** Identity-maps the first 64 KiB but for the page at 5000h, which is read-only or absent. */
  function enablePaging(entry5: number): void {
    const view = new DataView(ram.buffer, ram.byteOffset);
    view.setUint32(0x8000, 0x9003, true);
    for (let k = 0; k < 16; k++) view.setUint32(0x9000 + 4 * k, k === 5 ? entry5 : (k << 12) | 3, true);
    R[slot.cr3] = 0x8000;
    R[slot.cr0] |= cr0bit.pg | cr0bit.wp;
    updateMode(engine.cpu);
    engine.cpu.memory.flush(true);
  }

  it("misaligned 16-byte operands are #GP(0); the unaligned forms take them", () => {
    R[slot.ecx] = 0x2008;
    const misaligned = [
      [0x0f, 0x28, 0x01],
      [0x0f, 0x29, 0x01],
      [0x66, 0x0f, 0x6f, 0x01],
      [0x66, 0x0f, 0x7f, 0x01],
      [0x0f, 0x2b, 0x01],
      [0x66, 0x0f, 0xe7, 0x01],
      [0x0f, 0x58, 0x01],
      [0x66, 0x0f, 0xfc, 0x01],
      [0x66, 0x0f, 0xf1, 0x01],
      [0x0f, 0x14, 0x01],
      [0x66, 0x0f, 0x70, 0x01, 0],
      [0x66, 0x0f, 0x2d, 0x01],
      [0x66, 0x0f, 0x38, 0x00, 0x01],
      [0x66, 0x0f, 0x38, 0x2a, 0x01],
      [0x66, 0x0f, 0x38, 0xdc, 0x01],
      [0x0f, 0x38, 0xc8, 0x01],
      [0x66, 0x0f, 0x3a, 0x08, 0x01, 0],
      [0xf2, 0x0f, 0x7c, 0x01],
    ];
    for (const code of misaligned) {
      errorCode = -1;
      expect([execute(...code), errorCode]).toEqual([vector.gp, 0]);
    }
    for (const code of [
      [0x0f, 0x10, 0x01],
      [0x0f, 0x11, 0x01],
      [0xf3, 0x0f, 0x6f, 0x01],
      [0xf3, 0x0f, 0x7f, 0x01],
      [0xf3, 0x0f, 0x58, 0x01],
      [0xf2, 0x0f, 0x58, 0x01],
      [0xf2, 0x0f, 0xf0, 0x01],
      [0x66, 0x0f, 0x38, 0x20, 0x01],
      [0x66, 0x0f, 0x3a, 0x62, 0x01, 0],
      [0xf2, 0x0f, 0x12, 0x01],
    ]) {
      expect(execute(...code)).toBe(-1);
    }
  });

  it("alignment checking in ring 3 is of the whole operand, like an AMD CPU's", () => {
    R[slot.cr0] |= cr0bit.am;
    R[slot.eflags] |= eflag.ac;
    engine.cpu.memory.checkAlignment();
    // movq mm, movsd, movddup, pmovsxbw; movq from mm, movsd, movq from xmm; lddqu, pcmpistri, movdqu; movdqu
    const eight = [
      [0x0f, 0x6f, 0x01],
      [0xf2, 0x0f, 0x10, 0x01],
      [0xf2, 0x0f, 0x12, 0x01],
      [0x66, 0x0f, 0x38, 0x20, 0x01],
      [0x0f, 0x7f, 0x01],
      [0xf2, 0x0f, 0x11, 0x01],
      [0x66, 0x0f, 0xd6, 0x01],
    ];
    const sixteen = [
      [0xf2, 0x0f, 0xf0, 0x01],
      [0x66, 0x0f, 0x3a, 0x63, 0x01, 0],
      [0xf3, 0x0f, 0x6f, 0x01],
      [0xf3, 0x0f, 0x7f, 0x01],
    ];
    for (const [forms, size] of [
      [eight, 8],
      [sixteen, 16],
    ] as const) {
      for (const code of forms) {
        const at = (address: number, cpl: number): number => {
          R[slot.cpl] = cpl;
          updateMode(engine.cpu);
          R[slot.ecx] = address;
          return execute(...code);
        };
        expect(at(0x2000 + size / 2, 3)).toBe(vector.ac);
        expect(at(0x2000 + size / 2, 0)).toBe(-1);
        expect(at(0x2000 + size, 3)).toBe(-1);
      }
    }
  });

  it("stores that straddle into a page they may not write change nothing", () => {
    enablePaging(0x5001);
    set(slot.xmm, 0x11111111, 0x22222222, 0x33333333, 0x44444444);
    set(slot.fpuMantissaLow, 0x11111111);
    set(slot.fpuMantissaHigh, 0x22222222);
    ram.fill(0xee, page(0), page(2));
    // movups, movdqu, movsd, movlps, movhps, movq (XMM), movq (MMX), movntq, pextrd
    const stores = [
      [0x0f, 0x11, 0x01],
      [0xf3, 0x0f, 0x7f, 0x01],
      [0xf2, 0x0f, 0x11, 0x01],
      [0x0f, 0x13, 0x01],
      [0x0f, 0x17, 0x01],
      [0x66, 0x0f, 0xd6, 0x01],
      [0x0f, 0x7f, 0x01],
      [0x0f, 0xe7, 0x01],
    ].map((code) => ({ code, distances: [4, 7, 1] }));
    const narrow = { code: [0x66, 0x0f, 0x3a, 0x16, 0x01, 1], distances: [3, 2, 1] };
    for (const { code, distances } of [...stores, narrow]) {
      for (const before of distances) {
        R[slot.ecx] = page(1) - before;
        expect([execute(...code), errorCode, R[slot.cr2]]).toEqual([vector.pf, 3, page(1)]);
        expect(ram.subarray(page(1) - 16, page(1) + 16).every((byte) => byte === 0xee)).toBe(true);
      }
    }
  });

  it("loads that straddle into an absent page leave the register", () => {
    enablePaging(0);
    // movups, movsd, movlps, movhps, movq mm, addsd, paddb mm, lddqu, pmovsxbw, pcmpistrm
    const loads = [
      [0x0f, 0x10, 0x01],
      [0xf2, 0x0f, 0x10, 0x01],
      [0x0f, 0x12, 0x01],
      [0x0f, 0x16, 0x01],
      [0x0f, 0x6f, 0x01],
      [0xf2, 0x0f, 0x58, 0x01],
      [0x0f, 0xfc, 0x01],
      [0xf2, 0x0f, 0xf0, 0x01],
      [0x66, 0x0f, 0x38, 0x20, 0x01],
      [0x66, 0x0f, 0x3a, 0x62, 0x01, 0],
    ];
    for (const code of loads) {
      set(slot.xmm, 1, 2, 3, 4);
      set(slot.fpuMantissaLow, 5);
      set(slot.fpuMantissaHigh, 6);
      R[slot.fpuTop] = 3;
      R[slot.ecx] = page(1) - 4;
      expect([execute(...code), errorCode, R[slot.cr2]]).toEqual([vector.pf, 0, page(1)]);
      expect(get(slot.xmm, 4)).toEqual([1, 2, 3, 4]);
      expect([R[slot.fpuMantissaLow], R[slot.fpuMantissaHigh], R[slot.fpuTop]]).toEqual([5, 6, 3]);
    }
  });

  it("masked stores touch only the selected bytes, but fault for all of them", () => {
    enablePaging(0x5001);
    ram.fill(0xee, page(0), page(2));
    set(slot.xmm, 0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c);
    R[slot.edi] = page(1) - 16;
    set(slot.xmm + 4, 0, 0, 0, 0x80008000 | 0);
    expect(execute(0x66, 0x0f, 0xf7, 0xc1)).toBe(-1);
    expect([...ram.subarray(page(1) - 4, page(1))]).toEqual([0xee, 0xd, 0xee, 0xf]);
    R[slot.edi] = page(1) - 15;
    for (const mask of [0x80, 0]) {
      set(slot.xmm + 4, mask, 0, 0, 0);
      expect([execute(0x66, 0x0f, 0xf7, 0xc1), errorCode, R[slot.cr2]]).toEqual([vector.pf, 3, page(1)]);
    }
    expect(ram[page(1) - 15]).toBe(0xee);
  });

  it("NaN bits survive moves between registers and memory", () => {
    const words = [0xdeadbeef, 0xfff00001, 0x00000001, 0x7ff00000];
    set(slot.xmm + 4, ...words);
    // movaps xmm0, xmm1; movsd xmm2, xmm1; movups [ecx], xmm0; movapd xmm3, [ecx]
    R[slot.ecx] = 0x2000;
    for (const code of [
      [0x0f, 0x28, 0xc1],
      [0xf2, 0x0f, 0x10, 0xd1],
      [0x0f, 0x11, 0x01],
      [0x66, 0x0f, 0x28, 0x19],
    ])
      expect(execute(...code)).toBe(-1);
    expect(get(slot.xmm, 4)).toEqual(words);
    expect(get(slot.xmm + 8, 2)).toEqual(words.slice(0, 2));
    expect(get(slot.xmm + 12, 4)).toEqual(words);
  });
});

describe("approximations", () => {
  it("stay within 1.5 * 2^-12 of the true value", () => {
    const S = engine.cpu.simd.S;
    let worst = 0;
    for (let k = 0; k < 1 << 16; k++) {
      const bits = 0x3f000000 + (k << 8);
      R[slot.xmm + 4] = bits;
      const x = S[slot.xmm + 4];
      execute(0xf3, 0x0f, 0x53, 0xc1);
      worst = Math.max(worst, Math.abs(S[slot.xmm] * x - 1));
      execute(0xf3, 0x0f, 0x52, 0xc1);
      worst = Math.max(worst, Math.abs(S[slot.xmm] * Math.sqrt(x) - 1));
    }
    expect(worst).toBeLessThanOrEqual(1.5 * 2 ** -12);
  });
});
