/**
 * Interrupts and exceptions delivered, and returned from, in WebAssembly: where code, stack and data are flat 32-bit segments before and after, and the handler in ring 0, as systems with paging have
 * them. What it all means is in runtime/cpu (interrupts.ts, interrupt-return.ts) and runtime/callouts/far-transfers.ts. Nothing is remembered: gate,
 * descriptors and TSS are read each time. Whatever is not as foreseen changes nothing and is left to the host's function.
 */
import { linearCode, mode } from "../../translator/contract/mode-key.ts";
import { attention, eflag, jsCall, segment, slot, userFlags32 } from "../../translator/contract/slots.ts";
import { dispatchBlock, pseudo } from "../code/pseudo-shapes.ts";
import { systemBits } from "../cpu/flags.ts";
import { supervisorFlags32 } from "../cpu/interrupt-return.ts";
import { eventKind } from "../cpu/interrupts.ts";

const { tf, rf, nt, vm, ac, cf, pf, af, zf, sf, of } = eflag;
const { cs, ss, ds, es, fs, gs, tr } = segment;

const flatSupervisor = mode.protected | mode.code32 | mode.stack32 | mode.flat;
const flatUser = flatSupervisor | mode.user;
const flags = `R[${slot.eflags}]`;
const key = `R[${slot.mode}]`;
const ring = `R[${slot.cpl}]`;
const userHalf = 1 << 20;
/** The key is that of rings 1 and 2, too. */
const inSupervisor = `(((${key} ^ ${flatSupervisor}) | ${ring}) === 0)`;

/** High words of the descriptors of flat segments, accessed; their low word. `segmentAccess` keeps those bits but for the limit's. */
const flatCode = 0x00cf9b00;
const flatData = 0x00cf9300;
const dpl3 = 3 << 13;
const flatLow = 0xffff;
const rights = (high: number): number => high & ~0x000f0000;

/** Fills CS or SS of `ring` with what the descriptor of that kind has. */
const enterCode = (selector: string, privilege: number): string => setFlat(cs, selector, rights(flatCode | privilege), 1);
const enterStack = (selector: string, privilege: number): string => setFlat(ss, selector, rights(flatData | privilege), 0);
const setFlat = (s: number, selector: string, access: number, checked: 0 | 1): string => `
      R[${slot.selector + s}] = ${selector};
      R[${slot.segmentBase + s}] = 0;
      R[${slot.segmentLimit + s}] = -1;
      R[${slot.segmentAccess + s}] = ${access};
      R[${slot.segmentChecked + s}] = ${checked};`;
const supervisorMode = `
      ${ring} = 0;
      ${key} = ${flatSupervisor};
      R[${slot.tlbHalf}] = 0;`;
const userMode = `
      ${ring} = 3;
      ${key} = ${flatUser};
      R[${slot.tlbHalf}] = ${userHalf};`;

/** All of EFLAGS (cpu/flags.ts, getEflags). */
const eflagsImage = `
    const c = R[${slot.flagCarry}];
    const s = R[${slot.flagSign}];
    const even = (38505 >>> ((s ^ (s >>> 4)) & 15)) & 1;
    const zero = R[${slot.flagZero}] === 0 ? ${zf} : 0;
    const arithmetic = (c >>> 31) | (even << 2) | ((c & 8) << 1) | zero | ((s >>> 31) << 7) | (((c ^ (c << 1)) >>> 31) << 11);
    const all = ${flags} | 2 | arithmetic;`;
/** A return to ring 3 leaves this data segment as it is: it may use it, or cannot lose it. */
const staysUsable = (s: number): string =>
  `((R[${slot.segmentAccess + s}] & ${dpl3}) === ${dpl3} || (R[${slot.segmentAccess + s}] | R[${slot.selector + s}]) === 0)`;
/** Nobody waits for the dispatcher to look around. */
const undisturbed = `EV[${attention.look}] === 0 && EV[${attention.refused}] === 0`;

/** Where the guest goes on at R[eip] in the present mode: `dispatch` of the dispatcher, where nothing asks for its attention. */
const goOn = (otherwise: string): string => `
      const quiet = R[${slot.interruptShadow}] | R[${slot.halted}] | R[${slot.leave}] | ((${key} & ${mode.singleStep | linearCode}) ^ ${linearCode});
      if (R[${slot.budget}] >= 0 && quiet === 0 && ${undisturbed}) {
        EV[${attention.eipIsCurrent}] = 0;
        return jump(R[${slot.eip}]);
      }
      ${otherwise}`;

export const eventHelpers: readonly Readonly<Record<string, string>>[] = [
  {
    /** The place of `bytes` bytes at linear address A, multiples of four, as ring 0 reads or writes them, where that is one page of RAM; else something odd. */
    systemWords: "(A, bytes) => { const T = TR[A >>> 12]; return ((T | A) & 3) === 0 && (A & 4095) <= ((4096 - bytes) | 0) ? T ^ A : 1; }",
    systemWordsToWrite: "(A, bytes) => { const T = TW[A >>> 12]; return ((T | A) & 3) === 0 && (A & 4095) <= ((4096 - bytes) | 0) ? T ^ A : 1; }",
    dispatch: `() => {
      if (J[${jsCall.depth}] !== 0) { return ${~dispatchBlock}; }
      ${goOn("return dispatchElsewhere();")}
    }`,
  },
  {
    /** Whether a selector is that of a flat segment of the GDT whose descriptor has this high word. */
    isFlat: `(selector, high) => {
      if ((selector & 65532) === 0 || (selector & 4) !== 0 || (selector & 65528) + 7 > (R[${slot.gdtLimit}] & 65535)) { return 0; }
      const P = systemWords((R[${slot.gdtBase}] + (selector & 65528)) | 0, 8);
      if ((P & 1) !== 0) { return 0; }
      return M32[P >>> 2] === ${flatLow} && M32[(P + 4) >>> 2] === high ? 1 : 0;
    }`,
  },
  {
    /** Delivers event `number` of a kind (interrupts.ts), faults being the only exceptions; errorCode -1: none. 0: nothing was done. */
    enterHandler: `(number, kind, errorCode) => {
      if ((${key} & ${~mode.user}) !== ${flatSupervisor} || EV[${attention.observed}] !== 0 || (number << 3) + 7 > (R[${slot.idtLimit}] & 65535)) { return 0; }
      const G = systemWords((R[${slot.idtBase}] + (number << 3)) | 0, 8);
      if ((G & 1) !== 0) { return 0; }
      const low = M32[G >>> 2];
      const high = M32[(G + 4) >>> 2];
      if ((high & 0x9e00) !== 0x8e00 || (kind === ${eventKind.software} && ((high >>> 13) & 3) < ${ring})) { return 0; }
      if (isFlat(low >>> 16, ${flatCode}) === 0) { return 0; }
      ${eflagsImage}
      const image = kind === ${eventKind.hardware} ? all : kind === ${eventKind.exception} ? all | ${rf} : all & ${~rf};
      const extra = errorCode < 0 ? 0 : 4;
      let top = R[${slot.esp}];
      let stack = 0;
      let bytes = (12 + extra) | 0;
      if (${ring} !== 0) {
        if ((R[${slot.segmentAccess + tr}] & ${1 << 11}) === 0 || R[${slot.segmentLimit + tr}] >>> 0 < 11) { return 0; }
        const S = systemWords((R[${slot.segmentBase + tr}] + 4) | 0, 8);
        if ((S & 1) !== 0) { return 0; }
        top = M32[S >>> 2];
        stack = M32[(S + 4) >>> 2] & 65535;
        if ((stack & 3) !== 0 || isFlat(stack, ${flatData}) === 0) { return 0; }
        bytes = (20 + extra) | 0;
      }
      top = (top - bytes) | 0;
      const F = systemWordsToWrite(top, bytes);
      if ((F & 1) !== 0) { return 0; }
      if (extra !== 0) { M32[F >>> 2] = errorCode; }
      const at = (F + extra) | 0;
      M32[at >>> 2] = R[${slot.eip}];
      M32[(at + 4) >>> 2] = R[${slot.selector + cs}];
      M32[(at + 8) >>> 2] = image;
      if (${ring} !== 0) {
        M32[(at + 12) >>> 2] = R[${slot.esp}];
        M32[(at + 16) >>> 2] = R[${slot.selector + ss}];
        ${enterStack("stack", 0)}
        ${supervisorMode}
      }
      R[${slot.esp}] = top;
      ${enterCode("(low >>> 16) & 65532", 0)}
      R[${slot.eip}] = (low & 65535) | (high & -65536);
      ${flags} = ${flags} & (${~(tf | vm | rf | nt)} ^ ((high & 256) === 0 ? ${eflag.if} : 0));
      R[${slot.halted}] = 0;
      R[${slot.interruptShadow}] = 0;
      return 1;
    }`,
  },
];

const takenAsFrame = ~(tf | rf | vm);

export const eventCallouts: Readonly<Record<string, string>> = {
  v_softwareInterrupt: `(number) => {
    if (enterHandler(number, ${eventKind.software}, -1) !== 0) { return 0; }
    v_softwareInterruptElsewhere(number);
    return 0;
  }`,
  v_interruptReturn: `(size) => {
    const before = ${flags};
    if (size === 4 && ${inSupervisor} && (before & ${nt}) === 0 && ${undisturbed}) {
      const A = R[${slot.esp}];
      const F = systemWords(A, 12);
      if ((F & 1) === 0) {
        const selector = M32[(F + 4) >>> 2] & 65535;
        const image = M32[(F + 8) >>> 2];
        const mask = ${userFlags32 | supervisorFlags32 | eflag.if | eflag.iopl};
        if ((image & ${tf | vm | supervisorFlags32}) === 0 && ((image ^ before) & ${ac}) === 0) {
          let done = 0;
          if ((selector & 3) === 0) {
            if (isFlat(selector, ${flatCode}) !== 0) {
              ${enterCode("selector", 0)}
              R[${slot.esp}] = (A + 12) | 0;
              done = 1;
            }
          } else {
            const P = systemWords(A, 20);
            if ((P & 1) === 0 && (selector & 3) === 3 && ${[es, ds, fs, gs].map(staysUsable).join(" && ")}) {
              const stack = M32[(F + 16) >>> 2] & 65535;
              if ((stack & 3) === 3 && isFlat(selector, ${flatCode | dpl3}) !== 0 && isFlat(stack, ${flatData | dpl3}) !== 0) {
                ${enterCode("selector", dpl3)}
                ${enterStack("stack", dpl3)}
                ${userMode}
                R[${slot.esp}] = M32[(F + 12) >>> 2];
                done = 1;
              }
            }
          }
          if (done !== 0) {
            R[${slot.eip}] = M32[F >>> 2];
            ${flags} = (((before & ~mask) | (image & mask)) & ${takenAsFrame & systemBits}) | 2;
            const carry = image & ${cf};
            R[${slot.flagCarry}] = (carry << 31) | ((carry ^ ((image & ${of}) >>> 11)) << 30) | ((image & ${af}) >>> 1);
            R[${slot.flagSign}] = ((image & ${sf}) << 24) | ((image & ${pf}) === 0 ? 1 : 0);
            R[${slot.flagZero}] = (image & ${zf}) === 0 ? 1 : 0;
            return 0;
          }
        }
      }
    }
    v_interruptReturnElsewhere(size);
    return 0;
  }`,
  v_sysenter: `() => {
    const selector = R[${slot.sysenterCs}] & 65532;
    if ((${key} & ${~mode.user}) === ${flatSupervisor} && selector !== 0) {
      ${flags} = ${flags} & ${~(vm | eflag.if | rf)};
      ${enterCode("selector", 0)}
      ${enterStack("(selector + 8) | 0", 0)}
      ${supervisorMode}
      R[${slot.esp}] = R[${slot.sysenterEsp}];
      R[${slot.eip}] = R[${slot.sysenterEip}];
      return 0;
    }
    v_sysenterElsewhere();
    return 0;
  }`,
  v_sysexit: `() => {
    const selector = R[${slot.sysenterCs}] & 65532;
    if (${inSupervisor} && selector !== 0) {
      ${enterCode("(selector + 16) | 3", dpl3)}
      ${enterStack("(selector + 24) | 3", dpl3)}
      ${userMode}
      R[${slot.esp}] = R[${slot.ecx}];
      R[${slot.eip}] = R[${slot.edx}];
      return 0;
    }
    v_sysexitElsewhere();
    return 0;
  }`,
};

/** The instruction `pseudo.dispatch` in the loop. */
export const dispatchHandler = { number: pseudo.dispatch, text: `(p) => { ${goOn("return slow(p);")} }` };
