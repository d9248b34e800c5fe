/**
 * MMX registers of regions: their words, and TOP and the tags, which every MMX instruction sets, are in locals like the general registers. They are so in regions with no x87 instruction
 * but EMMS: those have the same registers in another form (x87/region-stack.ts).
 */
import { type CalloutName, type CalloutRow, callouts } from "../../contract/callouts.ts";
import { slot } from "../../contract/slots.ts";
import { type MicroBlock, slotNumber } from "../../ir/block.ts";

/** MMX instructions' own callouts: they look at the registers and change them, but not if they fault. */
const ownCallouts: ReadonlySet<CalloutName> = new Set(["mmxAvailable", "pendingFloatException", "enterMmx", "emms"]);
/** Callouts that have nothing to do with x87 state. */
const harmless: ReadonlySet<CalloutName> = new Set([
  "checkDivide",
  "checkDivideSigned",
  "checkCodeLimit",
  "sseAvailable",
  "storePair",
  "storeMaskedPair",
]);

const names: ReadonlyMap<number, string> = new Map([
  ...Array.from({ length: 8 }, (_, k) => [
    [slot.fpuMantissaLow + k, `m${k}_0`] as const,
    [slot.fpuMantissaHigh + k, `m${k}_1`] as const,
    [slot.fpuSignExponent + k, `m${k}_2`] as const,
  ]).flat(),
  [slot.fpuTop, "top"],
  [slot.fpuEmpty, "empty"],
]);

export class MmxRegisters {
  /** Slots that have locals, and those of them that are written. */
  readonly used = new Set<number>();
  readonly dirty = new Set<number>();
  /** Nothing in the region could make MMX instructions unavailable again. */
  readonly isSteady: boolean;

  /** @returns undefined if none are to be in locals */
  static of(blocks: readonly MicroBlock[]): MmxRegisters | undefined {
    const registers = new MmxRegisters(blocks);
    return registers.used.size === 0 ? undefined : registers;
  }

  private constructor(blocks: readonly MicroBlock[]) {
    let isSteady = true;
    for (const { statements } of blocks) {
      for (const { s } of statements) {
        if (s.kind === "call") {
          const row: CalloutRow = callouts[s.callout];
          if (row.general !== false) isSteady = false;
          else if (!ownCallouts.has(s.callout) && row.slots === undefined && !harmless.has(s.callout)) {
            this.used.clear();
            this.dirty.clear();
            this.isSteady = false;
            return;
          }
        }
        if (s.kind !== "get" && s.kind !== "set") continue;
        const n = slotNumber(s.slot);
        if (!names.has(n)) continue;
        this.used.add(n);
        if (s.kind === "set") this.dirty.add(n);
      }
    }
    this.isSteady = isSteady;
  }

  /** The local of a slot. */
  nameOf(n: number): string | undefined {
    return this.used.has(n) ? names.get(n) : undefined;
  }

  /** Whether a callout that is not general looks at the registers in the state array. */
  isSeenBy(callout: CalloutName): boolean {
    return ownCallouts.has(callout);
  }
}
