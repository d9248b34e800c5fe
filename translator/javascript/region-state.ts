/**
 * Where a region has the guest's state: general registers, flags and vectors that it uses in locals, the rest in R; and how it goes from one to the other. The budget is state, too.
 *
 * Around a selector (region/plan.ts) part of it is in memory, and in locals only once it is written (region/homes.ts).
 */
import { type SlotName, slot } from "../contract/slots.ts";
import { type MicroBlock, slotNumber } from "../ir/block.ts";
import { Homes, slotsIn } from "../region/homes.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";
import { LazyCarry } from "./lazy-carry.ts";
import type { PureTemplates } from "./pure-templates.ts";
import type { RegionInput } from "./region-input.ts";
import { mayAccessVectors } from "./simd/accesses.ts";
import { MmxRegisters } from "./simd/mmx.ts";
import { VectorPlaces } from "./simd/places.ts";
import { WholeVectors } from "./simd/whole.ts";

/** Slots that live in locals: general registers and flag words. */
const localNames: Partial<Record<number, string>> = {};
for (const name of ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "flagZero", "flagSign", "flagCarry"] satisfies SlotName[]) {
  localNames[slot[name]] = name.replace("flag", "f");
}
Object.freeze(localNames);

export const register = (n: number): Expression => js.index("R", js.literal(n));

export class RegionState {
  /** Slots that have locals, and those of them that are written. */
  private readonly used = new Set<number>();
  readonly dirty = new Set<number>();
  readonly vectors: VectorPlaces;
  readonly whole: WholeVectors | undefined;
  /** MMX registers, if they are in locals. */
  readonly mmx: MmxRegisters | undefined;
  readonly carry: LazyCarry;
  private readonly isCarryLazy: boolean;
  /** Where state is around the selector, if there is one; and which slots are at home where the text is being printed. */
  readonly homes: Homes | undefined;
  atHome = 0;

  /** @param inside successors in the region by number */
  constructor(input: RegionInput, inside: readonly (readonly number[])[], templates: PureTemplates) {
    const { blocks, plan } = input;
    const hasVectors = this.noteLocals(blocks);
    const hasHomes = input.hasHomes && plan.first === 1 && !plan.isNest;
    this.carry = new LazyCarry(blocks, hasHomes);
    this.isCarryLazy = input.isCarryLazy && this.dirty.has(slot.flagCarry);
    const graph = inside.map((list, k) => (plan.usesSelector(k) ? plan.selected : list));
    const [vectorBlocks, edges] = input.inLineVectors && hasVectors ? [blocks, graph] : [[], []];
    this.whole = input.hasWholeVectors ? new WholeVectors(vectorBlocks, edges, templates) : undefined;
    this.vectors = this.whole ?? new VectorPlaces(vectorBlocks, edges, templates);
    this.mmx = input.inLineVectors ? MmxRegisters.of(blocks) : undefined;
    for (const { used, dirty } of this.mmx === undefined ? [this.vectors] : [this.vectors, this.mmx]) {
      for (const n of used) this.used.add(n);
      for (const n of dirty) this.dirty.add(n);
    }
    if (hasHomes) {
      const carryStays = this.isCarryLazy && !this.carry.isPlain;
      const written = [...this.dirty].filter((n) => !(carryStays && n === slot.flagCarry));
      this.homes = new Homes(blocks, inside, plan, written);
    }
  }

  /** @returns whether there are vectors */
  private noteLocals(blocks: readonly MicroBlock[]): boolean {
    let hasVectors = false;
    for (const { statements } of blocks) {
      for (const { s } of statements) {
        if (!hasVectors && mayAccessVectors(s)) hasVectors = true;
        if (s.kind !== "get" && s.kind !== "set") continue;
        const n = slotNumber(s.slot);
        if (localNames[n] === undefined) continue;
        this.used.add(n);
        if (s.kind === "set") this.dirty.add(n);
      }
    }
    return hasVectors;
  }

  /** Locals, with the state in them. */
  declarations(): Statement[] {
    return [
      ...[...this.used].flatMap((n) =>
        this.isLazy(n) ? this.carry.declarations(register(n)) : [js.declare("let", this.local(n).name, register(n))],
      ),
      ...this.vectors.declarations(),
    ];
  }
  /** In R all is at home, but for the carries. */
  storeCarries(): Statement[] {
    return this.isCarryLazy ? this.storeHome((this.homes?.all ?? 0) & (1 << slot.flagCarry)) : [];
  }

  /** The local that holds a slot. */
  private local(n: number): { type: "Identifier"; name: string } {
    const name = this.nameOf(n);
    return name === undefined ? this.vectors.local(n) : { type: "Identifier", name };
  }
  /** Of the locals of general registers, flags and MMX registers. */
  nameOf(n: number): string | undefined {
    return localNames[n] ?? this.mmx?.nameOf(n);
  }
  /** Kept as what it can be computed from: see lazy-carry.ts. */
  isLazy(n: number): boolean {
    return n === slot.flagCarry && this.isCarryLazy;
  }

  /** Locals to R: all that were written, and vector registers that are in locals at times. */
  writeBack(): Statement[] {
    return [...this.write(this.dirty), ...this.vectors.spill()];
  }
  writeVectors(): Statement[] {
    return [...this.write(this.vectors.dirty), ...this.vectors.spill()];
  }
  writeMmx(): Statement[] {
    return this.mmx === undefined ? [] : this.write(this.mmx.dirty);
  }
  private write(slots: Iterable<number>): Statement[] {
    return [...slots].map((n) => js.set(register(n), this.isLazy(n) ? this.carry.vector() : this.local(n)));
  }

  /** Locals from R, after something may have changed it; with the budget. */
  reload(): Statement[] {
    return [...this.read(this.used), ...this.readBudget()];
  }
  readVectors(): Statement[] {
    return this.read(this.vectors.used);
  }
  readMmx(): Statement[] {
    return this.mmx === undefined ? [] : this.read(this.mmx.used);
  }
  private read(slots: Iterable<number>): Statement[] {
    return [...slots].flatMap((n) => (this.isLazy(n) ? this.carry.setBoth(register(n)) : [js.set(this.local(n), register(n))]));
  }

  // ---- homes

  /** To memory from locals. */
  storeHome(set: number): Statement[] {
    return [...slotsIn(set)].flatMap((n) => (this.isLazy(n) ? this.carry.store(carryHome) : [js.set(register(n), this.local(n))]));
  }
  /** To locals what is at home here. */
  loadHome(set = this.atHome): Expression[] {
    return [...slotsIn(set)].flatMap((n) => (this.isLazy(n) ? this.carry.load(carryHome) : [js.assign(this.local(n), register(n))]));
  }
  /** A slot is in its local from here on. */
  noteSet(n: number): void {
    if (n <= slot.flagCarry) this.atHome &= ~(1 << n);
  }

  // ---- the budget

  /** What the budget was when it was read last: it has a home as well. (Everywhere it would have calls of regions wait for what the one before wrote.) */
  get budgetNoted(): Expression {
    return this.homes === undefined ? js.identifier("n0") : register(slot.budgetNoted);
  }
  noteBudget(): Statement {
    return js.set(this.budgetNoted, js.identifier("n"));
  }
  readBudget(): Statement[] {
    return [js.set(js.identifier("n"), register(slot.budget)), this.noteBudget()];
  }
  declareBudget(): Statement[] {
    const noted = this.homes === undefined ? js.declare("let", "n0", js.identifier("n")) : this.noteBudget();
    return [js.declare("let", "n", register(slot.budget)), noted];
  }
  /** R[budget] may have been changed under us (attention requested): subtract what was used since. */
  spillBudget(): Statement {
    const usedUp = js.binary("-", this.budgetNoted, js.identifier("n"));
    return js.set(register(slot.budget), js.toInt32(js.binary("-", register(slot.budget), usedUp)));
  }
}

const carryHome: readonly [Expression, Expression] = [register(slot.carryAddends), register(slot.carryAddends + 1)];
