/** SSE3's moves and SSSE3 (SDM vol. 1, 5.7 and 5.8): sums of neighbours, signs, and bytes picked by number. What has no whole form worth its while is a callout. */
import type { CalloutName } from "../../contract/callouts.ts";
import { slot } from "../../contract/slots.ts";
import { operandKind } from "../../decode/instruction.ts";
import type { Value } from "../../ir/micro.ts";
import type { PureOp } from "../../ir/pure-ops.ts";
import type { Builder, LiftFunction } from "../builder.ts";
import { asFunction, type Whole } from "./integer.ts";
import { isMemory, isWhole, readVector, readWords, requireSse, requireVector, slotOf, sourceSlot, writeVector, writeWords } from "./operands.ts";

/** What an MMX instruction's callout, which works on sixteen bytes, finds in the staging areas: its result is the low half of the target. */
type Staging = (b: Builder, x: Value[], y: Value[]) => readonly [target: readonly Value[], source: readonly Value[]];
const asTheyAre: Staging = (_b, x, y) => [x, y];
/** Neighbours of both operands side by side. */
const sideBySide: Staging = (_b, x, y) => [[...x, ...y], y];
/** Only the low three bits of a number count, not four. */
const eightBytes: Staging = (b, x, y) => [x, y.map((word) => b.and(word, 0x87878787))];

function stage(b: Builder, place: number, words: readonly Value[]): void {
  for (const [k, word] of words.entries()) b.set(place + k, word);
}

function both(callout: CalloutName, whole: Whole, staging = asTheyAre): LiftFunction {
  const computeWhole = asFunction(whole);
  return (b, i) => {
    const [target, source] = i.operands;
    requireVector(b, target);
    if (target.kind === operandKind.mmx) {
      const y = readWords(b, source, 2);
      const [to, from] = staging(b, readWords(b, target, 2), y);
      stage(b, slot.scratch2, to);
      stage(b, slot.scratch, from);
      b.call(callout, b.constant(slot.scratch2), b.constant(slot.scratch));
      writeWords(b, target, [b.get(slot.scratch2), b.get(slot.scratch2 + 1)]);
    } else if (isWhole(b, target)) {
      const from = readVector(b, source);
      writeVector(b, target, computeWhole(b, readVector(b, target), from));
    } else b.call(callout, slotOf(b, target), sourceSlot(b, source));
  };
}
const ofSource =
  (op: PureOp): Whole =>
  (b, _x, y) =>
    b.pure(op, y);

/** PALIGNR: the bytes of both, shifted. */
const liftAlign: LiftFunction = (b, i) => {
  const [target, source, immediate] = i.operands;
  requireVector(b, target);
  if (target.kind === operandKind.mmx) {
    const y = readWords(b, source, 2);
    stage(b, slot.scratch2, [...y, ...readWords(b, target, 2)]);
    b.call("shiftRightBytes", b.constant(slot.scratch2), b.read(immediate));
    writeWords(b, target, [b.get(slot.scratch2), b.get(slot.scratch2 + 1)]);
  } else if (isWhole(b, target)) {
    const from = readVector(b, source);
    writeVector(b, target, b.pure("alignedBytes", readVector(b, target), from, b.read(immediate)));
  } else b.call("palignr", slotOf(b, target), sourceSlot(b, source), b.read(immediate));
};

/** Words of the source doubled: a whole register is shuffled by `order`, an immediate of PSHUFD's. */
function duplicate(from: readonly number[], order: number): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireSse(b);
    // MOVDDUP reads eight bytes.
    const count = Math.max(...from) < 2 ? 2 : 4;
    if (isWhole(b, target)) {
      let vector: Value;
      if (isMemory(source) && count === 2) {
        b.call("load64", b.address(source, 8), slot.scratch);
        vector = b.getAt(b.constant(slot.scratch), 0, "v128");
      } else vector = readVector(b, source);
      return writeVector(b, target, b.pure("shuffleDoublewords", vector, b.constant(order)));
    }
    const y = readWords(b, source, count);
    writeWords(
      b,
      target,
      from.map((k) => y[k]),
    );
  };
}

export const ssse3Lifts: Record<string, LiftFunction> = {
  movsldup: duplicate([0, 0, 2, 2], 0xa0),
  movshdup: duplicate([1, 1, 3, 3], 0xf5),
  movddup: duplicate([0, 1, 0, 1], 0x44),

  pshufb: both("pshufb", "pickBytes", eightBytes),
  phaddw: both("phaddw", "addPairs16", sideBySide),
  phaddd: both("phaddd", "addPairs32", sideBySide),
  phaddsw: both("phaddsw", "addPairsSaturated", sideBySide),
  phsubw: both("phsubw", "subPairs16", sideBySide),
  phsubd: both("phsubd", "subPairs32", sideBySide),
  phsubsw: both("phsubsw", "subPairsSaturated", sideBySide),
  pmaddubsw: both("pmaddubsw", (b, x, y) => b.pure("addPairsSaturated", b.pure("mulLowMixed", x, y), b.pure("mulHighMixed", x, y))),
  pmulhrsw: both("pmulhrsw", "mulRounded"),
  psignb: both("psignb", "withSign8"),
  psignw: both("psignw", "withSign16"),
  psignd: both("psignd", "withSign32"),
  pabsb: both("pabsb", ofSource("magnitude8")),
  pabsw: both("pabsw", ofSource("magnitude16")),
  pabsd: both("pabsd", ofSource("magnitude32")),
  palignr: liftAlign,
};
