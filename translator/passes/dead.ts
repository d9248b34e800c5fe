/**
 * Drops writes of slots that are written again before anything can see them. What can see them: a read, a callout, the end of the block (as far as `liveOut`
 * says), every statement that may fault, for then the guest's handler sees all state, and the end of an instruction with a callout behind which a region may leave.
 */
import { x87Callouts } from "../contract/callouts/x87.ts";
import { type CalloutRow, callouts } from "../contract/callouts.ts";
import { slot } from "../contract/slots.ts";
import { type MicroBlock, type MicroStatement, slotNumberIfKnown } from "../ir/block.ts";

/** Slots whose liveness is tracked: general registers and flag words. Others always stay. */
export const trackedSlots = slot.flagCarry + 1;
const all = (1 << trackedSlots) - 1;

/** What a read makes live: the slot, or all general registers if a field names one. */
function readBits(n: number): number {
  return n < 0 ? (1 << slot.eip) - 1 : n < trackedSlots ? 1 << n : 0;
}

/** Instructions with a callout that may write over code, or find x87 state other than expected: the region may go on behind them through the dispatcher. */
function instructionsToLeaveBehind(block: MicroBlock): ReadonlySet<number> | undefined {
  let found: Set<number> | undefined;
  for (const { s, instruction } of block.statements) {
    if (s.kind !== "call") continue;
    const row: CalloutRow = callouts[s.callout];
    if (row.neverFaults !== true && (row.writesMemory !== false || s.callout in x87Callouts)) {
      found ??= new Set();
      found.add(instruction);
    }
  }
  return found;
}

function isLastOf(block: MicroBlock, k: number): boolean {
  return k + 1 === block.statements.length || block.statements[k + 1].instruction !== block.statements[k].instruction;
}

/** @param liveOut bit set of slots seen after the block */
export function dropDeadWrites(block: MicroBlock, liveOut: number): MicroBlock {
  let live = liveOut;
  const out: MicroStatement[] = [];
  const leaving = instructionsToLeaveBehind(block);
  for (let k = block.statements.length - 1; k >= 0; k--) {
    const statement = block.statements[k];
    const { s } = statement;
    if (leaving?.has(statement.instruction) && isLastOf(block, k)) live = all;
    if (s.kind === "set" && s.type === "i32") {
      const n = slotNumberIfKnown(s.slot);
      if (n >= 0 && n < trackedSlots) {
        if ((live & (1 << n)) === 0) continue;
        live &= ~(1 << n);
      }
    } else if (s.kind === "get") {
      live |= readBits(slotNumberIfKnown(s.slot));
    } else if (s.kind !== "set" && s.kind !== "fetch") live = all;
    out.push(statement);
  }
  return { ...block, statements: out.reverse() };
}

/** Slots seen by the block before it writes them: of those live at its end, those that live on through it, and what it reads itself. */
export interface Liveness {
  readonly reads: number;
  readonly through: number;
}

export function livenessOf(block: MicroBlock): Liveness {
  let reads = 0;
  let through = all;
  const leaving = instructionsToLeaveBehind(block);
  for (let k = block.statements.length - 1; k >= 0; k--) {
    const { s, instruction } = block.statements[k];
    if (leaving?.has(instruction) && isLastOf(block, k)) reads = all;
    if (s.kind === "set") {
      const n = slotNumberIfKnown(s.slot);
      if (n < 0 || n >= trackedSlots) continue;
      reads &= ~(1 << n);
      through &= ~(1 << n);
    } else if (s.kind === "get") reads |= readBits(slotNumberIfKnown(s.slot));
    else if (s.kind !== "fetch") reads = all;
  }
  return { reads, through };
}

export const allLive = all;
