/** Flags as a page fault behind some instructions shows them, for pairs of numbers in EAX and EBX. */
import { slot } from "../../translator/contract/slots.ts";
import { assemble } from "./assembler.ts";
import { type Core, place, pte, type tiers } from "./core.ts";

/** The page that goes away. */
const away = 0x50000;
const warmUp = 200;

export interface FaultRequest {
  /** Between the loads of EAX and EBX and the access that faults; [EDI] can be read. */
  readonly text: string;
  readonly pairs: readonly (readonly [number, number])[];
  /** The access that faults, at [EDX]; absent: a load. */
  readonly access?: "mov ecx, [edx]" | "mov [edx], ecx" | "add [edx], ecx";
  /** Of the numbers in memory, in bytes; EAX and EBX are zero-extended. */
  readonly size: 2 | 4;
}

/**
 * Runs the instructions often, so that there are regions where the tier has such, then once for each pair with the access behind them faulting.
 * @returns of each run the vector of the exception, 14, and EFLAGS there. Throws if the first runs do not end as they should
 */
export function flagsAtFault(
  tier: (typeof tiers)[number],
  { text, pairs, size, access = "mov ecx, [edx]" }: FaultRequest,
): { vector: number; eflags: number }[] {
  const load = size === 2 ? "movzx" : "mov";
  const word = size === 2 ? "word ptr " : "";
  const program = assemble(`
          again:
            ${load} eax, ${word}[esi]
            ${load} ebx, ${word}[esi + ${size}]
            ${text}
            ${access}
            dec ebp
            jnz again
            int3`);
  const core: Core = tier.core().protectedMode(tier.ring).load(program);
  const { physical, R } = core;
  const write = (at: number, value: number): void => (size === 2 ? physical.write2(at, value) : physical.write4(at, value));
  pairs.forEach(([a, b], k) => {
    write(place.data + 2 * size * k, a);
    write(place.data + 2 * size * k + size, b);
  });
  R[slot.eip] = program.origin;
  R[slot.esi] = place.data;
  R[slot.edi] = place.data;
  R[slot.edx] = away;
  R[slot.ebp] = warmUp;
  core.map(away, away, pte.present | pte.writable | pte.user);
  core.flush();
  const end = core.run(20_000);
  if (end.vector !== 3) throw new Error(`the runs before the faults ended with ${end.kind}, vector ${end.vector}`);
  core.map(away, 0, 0);
  core.flush();
  R[slot.ebp] = 1;
  return pairs.map((_, k) => {
    R[slot.esi] = place.data + 2 * size * k;
    core.resume(program.origin);
    const { vector, eflags } = core.run(1000);
    return { vector, eflags };
  });
}
