/**
 * Functions of the host as WebAssembly: what generated code calls so often that the way to JavaScript would count. Texts of arrow functions in the small language that
 * generated code is made of, in groups, for a later group may call those of an earlier one. What a helper does not do it leaves to the host's function of its name.
 */

import { mode } from "../../translator/contract/mode-key.ts";
import { deepestCall, targetMask, targetShift } from "../../translator/contract/region-targets.ts";
import { siteList } from "../../translator/contract/sites.ts";
import { attention, cr0bit, eflag, farFromSliceEnd, jsCall, segment, slot, userFlags, userFlags32 } from "../../translator/contract/slots.ts";
import { modeMask, shapeBits } from "../code/code-cache.ts";
import { coverageFrames } from "../code/coverage.ts";
import { firstRegionShape, pseudo } from "../code/pseudo-shapes.ts";
import { systemBits } from "../cpu/flags.ts";
import { guarded } from "../memory/linear.ts";
import { jumpCacheMask, sharedJumpMask } from "./jump-cache.ts";

const { page, tlbHalf, mode: modeSlot, budget } = slot;
const { depth, returnTo: returnAddress, returned } = jsCall;

/** Behind a helper's name: the host's function. */
export const elsewhere = "Elsewhere";

/** The jump cache's look-up (jump-cache.ts, find) by linear address; `jumpShared` goes on by physical address. */
const found = (then: string): string => `
    const k = ((eip ^ (eip >>> 10)) & ${jumpCacheMask}) << 1;
    if (JW[k] === eip) {
      const header = JW[k + 1];
      const T = TX[R[${tlbHalf}] + (eip >>> 12)];
      if (((C[header - 2] ^ R[${modeSlot}]) & ${modeMask}) === 0 && (T & 1) === 0 && (T ^ eip) === C[header - 3]) { ${then} }
    }`;
/** Regions look there first (contract/region-targets.ts). */
const noteTarget = (eip: string, shape: string): string => `
        RJ[(${eip} ^ (${eip} >>> ${targetShift})) & ${targetMask}] = (${shape} - ${firstRegionShape}) | 0;`;
const followTo = `
      ${found(`
        R[${page}] = eip & -4096;
        const shape = C[header + 2] & ${shapeBits};
        if (shape < ${firstRegionShape} || R[${budget}] < 0) { return ~header; }
        ${noteTarget("eip", "shape")}
        C[header + 1] = (C[header + 1] + 1) | 0;
        const region = H[shape];
        return region();`)}
      return jumpShared(eip);`;
/**
 * A misaligned access within a page of RAM, in one piece, where #AC is off; what else the fast path in generated code leaves is the host's. A store needs no look at
 * translated code: a page that has some is not in TW.
 */
const misaligned = (table: "TR" | "TW", size: 2 | 4, then: string, otherwise: string): string => `
    const T = ${table}[R[${tlbHalf}] + (A >>> 12)];
    if ((T & 1) === 0 && (A & 4095) <= ${4096 - size} && (R[${slot.eflags}] & ${eflag.ac}) === 0) { ${then} }
    ${otherwise}`;
/** The same of a byte: what asks a site in vain comes here, wherever it is. */
const byte = (table: "TR" | "TW", then: string, otherwise: string): string => `
    const T = ${table}[R[${tlbHalf}] + (A >>> 12)];
    if ((T & 1) === 0) { ${then} }
    ${otherwise}`;
const loadByte = (table: "TR" | "TW", name: string): string =>
  `(A) => { ${byte(table, "return M8[(T ^ A) >>> 0] & 255;", `return ${name}Elsewhere(A);`)} }`;
const load = (table: "TR" | "TW", size: 2 | 4, name: string): string =>
  `(A) => { ${misaligned(table, size, `return ${size === 2 ? "U16[(T ^ A) >>> 0] & 65535" : "U32[(T ^ A) >>> 0]"};`, `return ${name}Elsewhere(A);`)} }`;
/**
 * A store to a page with translated code, which the TLB has all the same (memory/linear.ts, `guarded`), where none of it was made from these bytes (code/coverage.ts), or they stay
 * what they are.
 */
const besideCode = (size: 1 | 2 | 4, isSame: string, then: string): string => `
    if ((T & 1) !== 0 && (T | ${1 << 31}) !== -1${size === 1 ? "" : ` && (A & 4095) <= ${4096 - size} && (R[${slot.eflags}] & ${eflag.ac}) === 0`}) {
      const P = T ^ ${guarded} ^ A;
      const frame = (P >>> 12) & ${coverageFrames - 1};
      const bit = P & 31;
      const isBeside = KP[frame] === P >>> 12 && bit <= ${32 - size} && ((KB[(frame << 7) | ((P >>> 5) & 127)] >>> bit) & ${(1 << size) - 1}) === 0;
      if (isBeside || ${isSame}) { ${then} }
    }`;
const storeByte = (then: string, otherwise: string): string =>
  `(A, v) => { ${byte(
    "TW",
    `M8[(T ^ A) >>> 0] = v; ${then}`,
    `${besideCode(1, "(M8[P >>> 0] & 255) === (v & 255)", `M8[P >>> 0] = v; ${then}`)} ${otherwise}`,
  )} }`;
const storeWord = (size: 2 | 4, otherwise: string): string => {
  const isSame = size === 2 ? "(U16[P >>> 0] & 65535) === (v & 65535)" : "U32[P >>> 0] === v";
  const write = (place: string): string => `U${8 * size}[${place}] = v; return 0;`;
  return `(A, v) => { ${misaligned("TW", size, write("(T ^ A) >>> 0"), `${besideCode(size, isSame, write("P >>> 0"))} ${otherwise}`)} }`;
};
const guardedStore = (size: 2 | 4): string => storeWord(size, `return sg${size}Elsewhere(A, v);`);
const store = (size: 2 | 4): string => storeWord(size, `st${size}Elsewhere(A, v); return 0;`);

/** The place of byte `A`, if it and `bytes` - 1 behind it lie in one page that the TLB has; else -1. Site `k` remembers it. */
const site = (table: "TR" | "TW"): string => `(k, A, bytes) => {
      const T = ${table}[R[${tlbHalf}] + (A >>> 12)];
      const end = ((A & 4095) + bytes) | 0;
      SW[k + 3] = (SW[k + 3] + 1) | 0;
      if ((T & 1) !== 0 || end > 4096) { return -1; }
      const P = T ^ A;
      const state = SL[${siteList.state} + (k >>> 2)];
      if ((state & ${siteList.listed}) === 0) {
        const n = (SL[0] + 1) | 0;
        SL[0] = n;
        SL[n] = k;
        SL[${siteList.state} + (k >>> 2)] = state | ${siteList.listed};
      }
      SL[${siteList.marks} + ((A >>> 12) & ${siteList.markMask})] = 1;
      SW[k] = A & -4096;
      SW[k + 1] = 0;
      SW[k + 2] = (P - A) | 0;
      return P;
    }`;

/** Vectors between memory and the slots from `at` on, which tier 0 calls: in a page of RAM, with #AC off. @param test beside that */
const vectorAccess = (table: "TR" | "TW", size: 8 | 16, name: string, test = ""): string => {
  const isStore = table === "TW";
  const place = "(T ^ A)";
  const word = (k: number): string => (isStore ? `U32[(T ^ A) + ${4 * k} >>> 0] = R[at + ${k}];` : `R[at + ${k}] = U32[(T ^ A) + ${4 * k} >>> 0];`);
  const whole = isStore ? `v128.storePlace(${place}, v128.loadSlot(at));` : `v128.storeSlot(at, v128.loadPlace(${place}));`;
  return `(A, at) => {
      const T = ${table}[R[${tlbHalf}] + (A >>> 12)];
      if ((T & 1) === 0 && (A & 4095) <= ${4096 - size} && (R[${slot.eflags}] & ${eflag.ac}) === 0${test}) {
        ${size === 16 ? whole : word(0) + word(1)}
        return 0;
      }
      return ${name}${elsewhere}(A, at);
    }`;
};

export const helperTexts: readonly Readonly<Record<string, string>>[] = [
  {
    ld1: loadByte("TR", "ld1"),
    ldw1: loadByte("TW", "ldw1"),
    sg1: storeByte("return 0;", "return sg1Elsewhere(A, v);"),
    st1: storeByte("return 0;", "st1Elsewhere(A, v); return 0;"),
    ld2: load("TR", 2, "ld2"),
    ld4: load("TR", 4, "ld4"),
    ldw2: load("TW", 2, "ldw2"),
    ldw4: load("TW", 4, "ldw4"),
    sg2: guardedStore(2),
    sg4: guardedStore(4),
    st2: store(2),
    st4: store(4),
    readSite: site("TR"),
    writeSite: site("TW"),
    jumpShared: `(eip) => {
      const T = TX[R[${tlbHalf}] + (eip >>> 12)];
      const P = T ^ eip;
      const header = JP[(P ^ (P >>> 12)) & ${sharedJumpMask}];
      if (C[header - 3] === P && (T & 1) === 0 && ((C[header - 2] ^ R[${modeSlot}]) & ${modeMask}) === 0) {
        const k = ((eip ^ (eip >>> 10)) & ${jumpCacheMask}) << 1;
        JW[k] = eip;
        JW[k + 1] = header;
        R[${page}] = eip & -4096;
        return ~header;
      }
      return jumpElsewhere(eip);
    }`,
  },
  {
    jump: `(eip) => {
      ${found(`R[${page}] = eip & -4096; return ~header;`)}
      return jumpShared(eip);
    }`,
    callee: `(link) => {
      if (R[${budget}] < 0 || J[${depth}] >= ${deepestCall}) { return 0; }
      const header = ~link;
      const shape = C[header + 2] & ${shapeBits};
      if (shape === ${pseudo.crossPage}) {
        const eip = (R[${page}] + C[header + 3]) | 0;
        if ((TX[R[${tlbHalf}] + (eip >>> 12)] ^ (eip & -4096)) !== C[header + 5]) { return 0; }
        const target = C[header + 6];
        const region = C[target + 2] & ${shapeBits};
        if (region < ${firstRegionShape}) { return 0; }
        R[${page}] = eip & -4096;
        ${noteTarget("eip", "region")}
        C[target + 1] = (C[target + 1] + 1) | 0;
        return region;
      }
      if (shape < ${firstRegionShape}) { return 0; }
      const near = (R[${page}] + (C[header + 2] >>> 16)) | 0;
      ${noteTarget("near", "shape")}
      C[header + 1] = (C[header + 1] + 1) | 0;
      return shape;
    }`,
    calleeAt: `(eip) => {
      if (R[${budget}] < 0 || J[${depth}] >= ${deepestCall}) { return 0; }
      ${found(`
        const shape = C[header + 2] & ${shapeBits};
        if (shape < ${firstRegionShape}) { return 0; }
        R[${page}] = eip & -4096;
        ${noteTarget("eip", "shape")}
        C[header + 1] = (C[header + 1] + 1) | 0;
        return shape;`)}
      return 0;
    }`,
  },
  {
    follow: `(link) => {
      if (R[${budget}] < 0) { return link; }
      const header = ~link;
      const shape = C[header + 2] & ${shapeBits};
      if (shape >= ${firstRegionShape}) {
        const near = (R[${page}] + (C[header + 2] >>> 16)) | 0;
        ${noteTarget("near", "shape")}
        C[header + 1] = (C[header + 1] + 1) | 0;
        const region = H[shape];
        return region();
      }
      if (shape !== ${pseudo.crossPage}) { return link; }
      const eip = (R[${page}] + C[header + 3]) | 0;
      if ((TX[R[${tlbHalf}] + (eip >>> 12)] ^ (eip & -4096)) !== C[header + 5]) { return link; }
      const target = C[header + 6];
      const beyond = C[target + 2] & ${shapeBits};
      if (beyond < ${firstRegionShape}) { return link; }
      ${noteTarget("eip", "beyond")}
      R[${page}] = eip & -4096;
      C[target + 1] = (C[target + 1] + 1) | 0;
      const next = H[beyond];
      return next();
    }`,
    followTo: `(eip) => { ${followTo} }`,
    returnTo: `(eip) => {
      if (J[${depth}] !== 0 && J[${returnAddress}] === eip) { return ${returned}; }
      ${followTo}
    }`,
  },
];

/** A string instruction that goes up, has its counter and index in 32 bits, and segments without checks. */
const isPlain = `addressSize === 4 && (R[${slot.eflags}] & ${eflag.df | eflag.ac}) === 0 && (R[${modeSlot}] & ${mode.singleStep}) === 0`;
const isUnchecked = (s: string | number): string => `R[${typeof s === "number" ? slot.segmentChecked + s : `${slot.segmentChecked} + ${s}`}] === 0`;
/** Takes `n` elements off the budget as the callouts do (strings.ts, mustStop). */
const pay = (shift: number): string => `R[${budget}] = (R[${budget}] - (n >>> ${shift}) - 1) | 0;`;
const advance = (register: number): string => `R[${register}] = (R[${register}] + bytes) | 0;`;
const { es } = segment;

const { vm, tf, rf, ac } = eflag;
const flags = `R[${slot.eflags}]`;
const ring = `R[${slot.cpl}]`;
/** No interrupt is pending, nor can one become so within so many instructions. */
const nothingWaits = (instructions: number): string => `EV[${attention.look}] === 0 && R[${budget}] > ${instructions}`;

/**
 * Callouts in the cases that are met all the time: runtime/callouts has what they mean. Repeated string instructions that end within the pages they begin on (strings.ts), and the search for a byte; CLI and
 * STI, PUSHF, and POPF that has nothing to do with TF and AC and lets no interrupt in (cpu/eflags.ts).
 */
const calloutHelpers: Readonly<Record<string, string>> = {
  v_clearInterruptFlag: `() => {
    if ((R[${slot.cr0}] & ${cr0bit.pe}) === 0 || ((${flags} >>> 12) & 3) >= ${ring}) {
      ${flags} = ${flags} & ${~eflag.if};
      return 0;
    }
    v_clearInterruptFlag${elsewhere}();
    return 0;
  }`,
  v_setInterruptFlag: `() => {
    if (${nothingWaits(farFromSliceEnd)} && (R[${modeSlot}] & ${mode.singleStep}) === 0 && ((R[${slot.cr0}] & ${cr0bit.pe}) === 0 || ((${flags} >>> 12) & 3) >= ${ring})) {
      ${flags} = ${flags} | ${eflag.if};
      return 0;
    }
    return v_setInterruptFlag${elsewhere}();
  }`,
  v_systemFlags: `() => { return (${flags} & ${~(vm | rf)}) | 2; }`,
  v_restoreFlags: `(image, size) => {
    const before = ${flags};
    const iopl = (before >>> 12) & 3;
    const mask = (size === 4 ? ${userFlags32} : ${userFlags}) | (${ring} <= iopl ? ${eflag.if} : 0) | (${ring} === 0 ? ${eflag.iopl} : 0);
    const after = (((before & ~mask) | (image & mask & ${~rf})) & ${systemBits}) | 2;
    if (((after ^ before) & ${tf | ac}) === 0 && ((after & ~before & ${eflag.if}) === 0 || (${nothingWaits(0)}))) {
      ${flags} = after;
      return 0;
    }
    return v_restoreFlags${elsewhere}(image, size);
  }`,
  v_readSegment: `(s) => { return R[${slot.selector} + s]; }`,
  v_readSegmentToPush: `(s) => { return R[${slot.selector} + s]; }`,
  v_readControl: `(number) => {
    if (R[${slot.cpl}] !== 0 || number === 1 || number > 4) { return v_readControl${elsewhere}(number); }
    return number === 0 ? R[${slot.cr0}] : R[${slot.cr2 - 2} + number];
  }`,
  v_cmpxchg8b: `(A) => {
    const T = TW[R[${tlbHalf}] + (A >>> 12)];
    if ((T & 1) !== 0 || (A & 4095) > 4088 || (R[${slot.eflags}] & ${eflag.ac}) !== 0) {
      v_cmpxchg8b${elsewhere}(A);
      return 0;
    }
    const P = T ^ A;
    const low = U32[P >>> 0];
    const high = U32[P + 4 >>> 0];
    if (low === R[${slot.eax}] && high === R[${slot.edx}]) {
      U32[P >>> 0] = R[${slot.ebx}];
      U32[P + 4 >>> 0] = R[${slot.ecx}];
      R[${slot.flagZero}] = 0;
    } else {
      R[${slot.eax}] = low;
      R[${slot.edx}] = high;
      R[${slot.flagZero}] = 1;
    }
    return 0;
  }`,
  v_load64: vectorAccess("TR", 8, "v_load64"),
  v_load128: vectorAccess("TR", 16, "v_load128"),
  v_load128Aligned: vectorAccess("TR", 16, "v_load128Aligned", " && (A & 15) === 0"),
  v_store64: vectorAccess("TW", 8, "v_store64"),
  v_store128: vectorAccess("TW", 16, "v_store128"),
  v_store128Aligned: vectorAccess("TW", 16, "v_store128Aligned", " && (A & 15) === 0"),
  v_copy64: "(to, from) => { const high = R[from + 1]; R[to] = R[from]; R[to + 1] = high; return 0; }",
  v_copy128: "(to, from) => { v128.storeSlot(to, v128.loadSlot(from)); return 0; }",
  v_movs: `(size, addressSize, source, repeat) => {
    const n = R[${slot.ecx}];
    if (${isPlain} && n >>> 0 <= 4096 && n !== 0 && ${isUnchecked("source")} && ${isUnchecked(es)}) {
      const from = (R[${slot.esi}] + R[${slot.segmentBase} + source]) | 0;
      const to = (R[${slot.edi}] + R[${slot.segmentBase + es}]) | 0;
      const TF = TR[R[${tlbHalf}] + (from >>> 12)];
      const TT = TW[R[${tlbHalf}] + (to >>> 12)];
      const bytes = Math.imul(n, size);
      const distance = ((TT ^ to) - (TF ^ from)) | 0;
      if (((TF | TT) & 1) === 0 && (((from & 4095) + bytes) | 0) <= 4096 && (((to & 4095) + bytes) | 0) <= 4096 && distance >>> 0 >= bytes >>> 0) {
        copyRam(TT ^ to, TF ^ from, bytes);
        R[${slot.ecx}] = 0;
        ${advance(slot.esi)}
        ${advance(slot.edi)}
        ${pay(3)}
        return 0;
      }
    }
    return v_movs${elsewhere}(size, addressSize, source, repeat);
  }`,
  v_stos: `(size, addressSize, repeat) => {
    const n = R[${slot.ecx}];
    if (${isPlain} && n >>> 0 <= 4096 && n !== 0 && ${isUnchecked(es)}) {
      const to = (R[${slot.edi}] + R[${slot.segmentBase + es}]) | 0;
      const T = TW[R[${tlbHalf}] + (to >>> 12)];
      const bytes = Math.imul(n, size);
      const value = R[${slot.eax}];
      if ((T & 1) === 0 && (((to & 4095) + bytes) | 0) <= 4096 && (size === 1 || value === Math.imul(value & 255, 16843009))) {
        fillRam(T ^ to, value, bytes);
        R[${slot.ecx}] = 0;
        ${advance(slot.edi)}
        ${pay(3)}
        return 0;
      }
    }
    return v_stos${elsewhere}(size, addressSize, repeat);
  }`,
  v_scas: `(size, addressSize, repeat) => {
    if (${isPlain} && size === 1 && repeat !== 1 && ${isUnchecked(es)}) {
      const x = R[${slot.eax}] & 255;
      const wanted = i8x16.splat(x);
      L: for (;;) {
        const count = R[${slot.ecx}];
        const from = (R[${slot.edi}] + R[${slot.segmentBase + es}]) | 0;
        const T = TR[R[${tlbHalf}] + (from >>> 12)];
        if (count === 0 || (T & 1) !== 0 || R[${budget}] < 0) { return v_scas${elsewhere}(size, addressSize, repeat); }
        const P = T ^ from;
        const room = (4096 - (from & 4095)) | 0;
        const limit = count >>> 0 < room >>> 0 ? count : room;
        let k = 0;
        let m = 0;
        X: {
          V: for (;;) {
            if (limit < ((k + 16) | 0)) { break X; }
            m = i8x16.bitmask(i8x16.eq(v128.loadPlace((P + k) | 0), wanted));
            if (m !== 0) { break X; }
            k = (k + 16) | 0;
            continue V;
          }
        }
        if (m !== 0) {
          k = (k + 31 - Math.clz32(m & (0 - m))) | 0;
        } else {
          Y: {
            B: for (;;) {
              if (k === limit) { break Y; }
              if ((M8[(P + k) >>> 0] & 255) === x) { break Y; }
              k = (k + 1) | 0;
              continue B;
            }
          }
        }
        if (k < limit) {
          k = (k + 1) | 0;
          R[${slot.ecx}] = (count - k) | 0;
          R[${slot.edi}] = (R[${slot.edi}] + k) | 0;
          R[${slot.flagCarry}] = 0;
          R[${slot.flagZero}] = 0;
          R[${slot.flagSign}] = 0;
          return 0;
        }
        if (limit === count) { return v_scas${elsewhere}(size, addressSize, repeat); }
        const n = room;
        const y = M8[(P + room - 1) >>> 0] & 255;
        const r = (x - y) | 0;
        const borrows = (~x & y) | (~(x ^ y) & r);
        R[${slot.ecx}] = (count - n) | 0;
        R[${slot.edi}] = (R[${slot.edi}] + n) | 0;
        R[${slot.flagCarry}] = (borrows << 24) | (borrows & 8);
        R[${slot.flagZero}] = (r << 24) >> 24;
        R[${slot.flagSign}] = (r << 24) >> 24;
        ${pay(2)}
        continue L;
      }
    }
    return v_scas${elsewhere}(size, addressSize, repeat);
  }`,
};

/** Those that the host's WebAssembly can have. */
export function calloutHelpersFor(hasVectors: boolean): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(calloutHelpers).filter(([, text]) => hasVectors || !text.includes("v128.")));
}
