/**
 * Calls of regions by regions. A region that meets a CALL calls the region of the function called, if it has one, as a JavaScript function; that one's RET makes it
 * return. So calls and returns cost no way through the dispatcher's loop, and V8 learns at each place which function is called.
 *
 * All state is in R when a region is called and when it returns. `J` notes the return address that the innermost caller waits for: nothing is assumed of what
 * the guest does with its stack, for a RET to anywhere else, like all that ends a region otherwise, returns the link to follow instead, and every caller passes that on to
 * the dispatcher's loop. There `J[depth]` is 0.
 */
import { deepestCall } from "../../translator/contract/region-targets.ts";
import { jsCall, slot } from "../../translator/contract/slots.ts";
import { shapeBits as shapeBitsImported } from "../code/code-cache.ts";
import { firstRegionShape as firstRegionImported, type Handler, pseudo } from "../code/pseudo-shapes.ts";
import type { JumpCache } from "./jump-cache.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const { depth, returnTo: returnAddress, returned } = jsCall;
const { budget, page: pageSlot, tlbHalf } = slot;
const { crossPage } = pseudo;
const shapeBits = shapeBitsImported;
const firstRegion = firstRegionImported;

export interface RegionCallHost {
  readonly C: Int32Array;
  readonly H: readonly Handler[];
  readonly J: Int32Array;
  readonly R: Int32Array;
  readonly TX: Int32Array;
  readonly jumps: JumpCache;
  /** A computed jump through the dispatcher: the link to follow. */
  readonly jump: (eip: number) => number;
}

export interface RegionCalls {
  /** A region's static exit: the link to follow. If a caller waits and there is a region, that is run at once. */
  follow(link: number): number;
  /** The same for a computed jump. */
  followTo(eip: number): number;
  /** A RET to `eip`: `jsCall.returned` if that is where the region's caller waits, else the link to follow. */
  returnTo(eip: number): number;
  /** Shape number of the region that a link leads to, with R[page] made its page; 0 if there is none to be called now. */
  callee(link: number): number;
  /** The same for the function at `eip`. */
  calleeAt(eip: number): number;
}

/** The functions of host-names.ts, `Returns`, that are about calls. */
export function regionCalls({ C, H, J, R, TX, jumps, jump }: RegionCallHost): RegionCalls {
  const callee = (link: number): number => {
    if (R[budget] < 0 || J[depth] >= deepestCall) return 0;
    let header = ~link;
    let shape = C[header + 2] & shapeBits;
    if (shape === crossPage) {
      const eip = (R[pageSlot] + C[header + 3]) | 0;
      const page = eip & ~0xfff;
      if ((TX[R[tlbHalf] + (eip >>> 12)] ^ page) !== C[header + 5]) return 0;
      header = C[header + 6];
      shape = C[header + 2] & shapeBits;
      if (shape < firstRegion) return 0;
      R[pageSlot] = page;
    } else if (shape < firstRegion) return 0;
    C[header + 1]++;
    return shape;
  };
  const calleeAt = (eip: number): number => {
    if (R[budget] < 0 || J[depth] >= deepestCall) return 0;
    const header = jumps.find(eip);
    if (header === 0) return 0;
    const shape = C[header + 2] & shapeBits;
    if (shape < firstRegion) return 0;
    R[pageSlot] = eip & ~0xfff;
    C[header + 1]++;
    return shape;
  };
  /** The region of that shape on behalf of the same caller. */
  const goOn = (shape: number): number => {
    J[depth]++;
    const run = H[shape];
    const link = run(0);
    J[depth]--;
    return link;
  };
  return {
    callee,
    calleeAt,
    follow(link) {
      if (J[depth] === 0) return link;
      const shape = callee(link);
      return shape === 0 ? link : goOn(shape);
    },
    followTo(eip) {
      if (J[depth] !== 0) {
        const shape = calleeAt(eip);
        if (shape !== 0) return goOn(shape);
      }
      return jump(eip);
    },
    returnTo(eip) {
      return J[depth] !== 0 && J[returnAddress] === eip ? returned : jump(eip);
    },
  };
}
