/**
 * The rule that makes faults exact, checked on every template: no architectural state is written before the last statement that may fault. (Stores
 * count as memory, not as state: an instruction with several must probe them first.) A violation is a defect of a lift.
 */
import { type CalloutRow, callouts } from "../contract/callouts.ts";
import { slot } from "../contract/slots.ts";
import type { MicroTemplate, SetStatement, Statement } from "./micro.ts";

function mayFault(s: Statement): boolean {
  if (s.kind === "call") {
    const row: CalloutRow = callouts[s.callout];
    return row.neverFaults !== true;
  }
  return s.kind === "load" || s.kind === "store" || s.kind === "segment";
}

/** Staging areas of vector operands hold no state. */
function isStaging(s: SetStatement): boolean {
  if (s.slot.base.kind !== "constant") return false;
  const n = s.slot.base.value + s.slot.offset;
  return (n >= slot.scratch && n < slot.xmm) || n >= slot.scratch2;
}

export function verify(template: MicroTemplate, name: string): void {
  let written = false;
  for (const s of template.statements) {
    if (s.kind === "set") written ||= !isStaging(s);
    else if (written && mayFault(s)) {
      throw new Error(`lift of ${name}: ${s.kind === "call" ? s.callout : s.kind} may fault after state was written`);
    }
  }
}
