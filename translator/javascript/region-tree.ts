/** A region as it is made, and what is kept of it. */
import type { RegionCode, RegionFacts } from "../contract/translator.ts";
import type { MicroBlock } from "../ir/block.ts";
import type { Statement } from "./estree.ts";
import * as js from "./estree.ts";
import { print } from "./print.ts";

export interface RegionParts extends RegionFacts {
  readonly statements: readonly Statement[];
}

/**
 * The region as a tree, too: WebAssembly is made from it as well (../wasm). A tree takes ten times the memory of its text, and few are ever looked at: once released it is
 * made again for whoever asks.
 */
export class RegionTree implements RegionCode {
  readonly name: string;
  readonly size: number;
  readonly freeNames: readonly string[];
  readonly exits: readonly number[];
  readonly wrapping: ReadonlySet<number>;
  readonly ranges: RegionCode["ranges"];
  readonly soft: ReadonlySet<number>;
  readonly doubtful: ReadonlySet<number>;
  readonly instructions: number;
  readonly isCallable: boolean;
  private made: readonly Statement[] | undefined;
  private readonly again: () => readonly Statement[];

  /** @param again the same statements once more */
  constructor(parts: RegionParts, again: () => readonly Statement[]) {
    this.name = parts.name;
    this.size = parts.size;
    this.freeNames = parts.freeNames;
    this.exits = parts.exits;
    this.wrapping = parts.wrapping;
    this.ranges = parts.ranges;
    this.soft = parts.soft;
    this.doubtful = parts.doubtful;
    this.instructions = parts.instructions;
    this.isCallable = parts.isCallable;
    this.made = parts.statements;
    this.again = again;
  }

  get statements(): readonly Statement[] {
    return this.made ?? this.again();
  }
  get text(): string {
    return print(js.functionExpression(this.name, [], [...this.statements]));
  }
  release(): void {
    this.made = undefined;
  }
}

/** Characters that the text of a region will have, about: what its statements come to on the average. */
export function estimatedSize(blocks: readonly MicroBlock[]): number {
  let size = 1800;
  for (const { statements } of blocks) {
    size += 180;
    for (const { s } of statements) size += charactersOf[s.kind];
  }
  return size;
}
const charactersOf = Object.freeze({ get: 12, set: 30, fetch: 30, load: 180, store: 290, segment: 145, call: 850 });
