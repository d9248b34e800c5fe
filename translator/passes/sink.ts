/**
 * Sinking: flags that a block sets last and that nothing sees where its back edge leads. A loop sets them anew in each round, and only who leaves it needs them. They are set there (javascript/region.ts), with
 * what is computed for them alone.
 */
import { slot } from "../contract/slots.ts";
import { type MicroBlock, slotNumber } from "../ir/block.ts";
import type { SetStatement } from "../ir/micro.ts";

const flags = (1 << slot.flagZero) | (1 << slot.flagSign) | (1 << slot.flagCarry);

/** @param live bit set of slots that are seen where the back edge leads (dead.ts) */
export function sunkSets({ statements }: MicroBlock, live: number): readonly SetStatement[] {
  let unseen = flags & ~live;
  for (const { s } of statements) {
    // What a callout sees is its own affair; a flag that is read may have to be read before it is set.
    if (s.kind === "call") return [];
    if (s.kind === "get") unseen &= ~(1 << slotNumber(s.slot));
  }
  const found: SetStatement[] = [];
  for (let k = statements.length - 1; k >= 0 && unseen !== 0; k--) {
    const { s } = statements[k];
    if (s.kind === "set") {
      const n = slotNumber(s.slot);
      const bit = s.type === "i32" && n < 32 ? 1 << n : 0;
      if ((unseen & bit) !== 0) found.unshift(s);
      unseen &= ~bit;
    } else if (s.kind !== "get" && s.kind !== "fetch") break;
  }
  return found;
}
