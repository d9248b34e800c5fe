/**
 * The one list of what makes guests faster and can be left out. Each row has a name that `--opt=-name` and the option `disabled` of translator and dispatcher
 * know; whoever implements an optimisation asks `disabled.has(name)` in one place. Without all of them a guest runs on tier 0 as it was lifted: the reference
 * that `xlat86 bisect` compares with. In the order in which they act on code.
 */
export const optimisations = {
  encodings: "what was found out about an instruction's opcode, ModRM and SIB is not found out again for the next one with the same",
  wasm: "generated code runs as WebAssembly; without, as JavaScript",
  wasmRegions: "regions do, too; without, as JavaScript called from WebAssembly",
  prepared: "tier 0: the commonest handlers are those made when xlat86 was built; without, as they are met",
  fuse: "tier 0: neighbouring instructions as one handler",
  links: "blocks name the blocks behind them; without, the dispatcher looks up each one",
  jumps: "computed jumps look into a cache of targets before the dispatcher's table",
  regions: "hot code becomes JavaScript; without, tier 0 runs everything",
  background: "regions are made on another thread, where the host has a core to spare; without, the guest waits for them",
  pages: "regions take code from the pages around their entry's",
  calls: "functions called belong to the caller's region: small ones at once, others when it is entered very often",
  returns: "regions call the regions of functions as JavaScript functions, whose RET returns to the caller",
  targets: "regions: calls, jumps and returns find the region that they lead to in a table, by themselves; without, and in JavaScript, by a function",
  vectors: "regions: MMX and SSE in line, on registers in locals; without, by callouts",
  simd: "regions: XMM registers are vectors of WebAssembly; without, and in JavaScript, words and doubles",
  carries: "regions: the vector of carries is computed only where it is seen",
  shortcuts: "regions: CLI, STI, PUSHF and POPF in line where they have nothing more to do than to change IF; without, by callouts",
  tables: "regions: computed jumps to many places in the region find theirs in a table; without, by bisection",
  nests: "regions: an inner loop that is entered first and the loop around it are told apart; without, they are one loop with two ways back",
  homes: "regions: what computed jumps leave behind and none of their targets reads is in memory in between; without, in locals",
  sites: "regions: accesses that stay on one page for long remember where that is; without, and in JavaScript, each asks the TLB",
  neighbours: "regions: accesses near each other behind one pointer ask the TLB once (with sites)",
  giveUp: "regions: accesses that ask together are not looked at one by one: where they cannot be made in line, tier 0 goes on (with sites)",
  immediates: "regions: immediates and displacements that were written over before are read from memory, so that the region lives on",
  entries: "regions of ring 0: loads from memory that is mapped as most is do not wait for the TLB",
  places:
    "regions: where all memory lies below 2 GiB, one test of an access's place says whether it can be made in line; without, entry and address are looked at",
  forward: "pass: reads of state become the values written before, inside a block",
  simplify: "pass: algebra on values (in tier 0 too)",
  dead: "pass: writes of state that nothing sees are dropped (in fused handlers too), and flags that only who leaves a loop sees are written there",
  idle: "a guest that waits in a loop is put to sleep as by HLT; without, and with virtual time, it keeps the host busy",
} as const satisfies Record<string, string>;

export type OptimisationName = keyof typeof optimisations;
export const optimisationNames = Object.freeze(Object.keys(optimisations)) as readonly OptimisationName[];

/** The value of `--opt` that asks for the list. */
export const optimisationHelp = "help";

/**
 * Reads a list such as "-simplify,-dead", "none" or "none,+regions": words apply from left to right, beginning with all optimisations on.
 * @returns the names that are off; or, for a word that is none, that word as `unknown`
 */
export function parseOptimisations(text: string): { disabled: ReadonlySet<OptimisationName> } | { unknown: string } {
  const disabled = new Set<OptimisationName>();
  for (const word of text.split(",").filter((w) => w !== "")) {
    const name = word.replace(/^[-+]/, "") as OptimisationName;
    if (word === "none") for (const each of optimisationNames) disabled.add(each);
    else if (word === "all") disabled.clear();
    else if (!optimisationNames.includes(name)) return { unknown: word };
    else if (word.startsWith("-")) disabled.add(name);
    else disabled.delete(name);
  }
  return { disabled };
}

/** The shortest list that `parseOptimisations` reads as `disabled`: "all", "none", "-a,-b" or "none,+a". */
export function describeOptimisations(disabled: ReadonlySet<string>): string {
  const off = optimisationNames.filter((name) => disabled.has(name));
  const on = optimisationNames.filter((name) => !disabled.has(name));
  if (off.length === 0) return "all";
  if (on.length === 0) return "none";
  return off.length <= on.length ? off.map((name) => `-${name}`).join(",") : ["none", ...on.map((name) => `+${name}`)].join(",");
}
