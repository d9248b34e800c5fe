/** All regions together have a limit: beyond it, those used least are dropped, and the rest stays. Those that nobody enters any more go before. */
import { describe, expect, it } from "vitest";
import { type Evictable, Eviction } from "../../runtime/code/eviction.ts";
import { assemble } from "../support/assembler.ts";
import { Core } from "../support/core.ts";

const functions = 60;
const limit = 60_000;

/** Sixty functions, each a loop; function 0 is called between any two others, and alone in the middle. They add up what they are. */
const source = `
    mov edi, 6
    xor eax, eax
  again:
    cmp edi, 3
    jne round
    mov esi, 400000
  alone:
    call f0
    dec esi
    jnz alone
  round:
    mov esi, offset f1
  each:
    call f0
    call esi
    add esi, 64
    cmp esi, offset f1 + 64 * ${functions - 1}
    jne each
    dec edi
    jnz again
    int3
    ${Array.from(
      { length: functions },
      (_, k) => `.balign 64
  f${k}:
    mov ecx, 20
  l${k}:
    add eax, ${k}
    rol eax, 1
    xor eax, [esp]
    dec ecx
    jnz l${k}
    ret`,
    ).join("\n")}`;

const run = (options: ConstructorParameters<typeof Core>[0]): { core: Core; most: number; entry: number; loop: number } => {
  const core = new Core({ ...options, step: 200 });
  core.protectedMode(0);
  const program = assemble(source);
  core.load(program);
  let most = 0;
  core.dispatcher.regions.made = () => {
    const text = [...core.dispatcher.regions.live.values()].reduce((sum, { code }) => sum + code.size, 0);
    most = Math.max(most, text);
  };
  const stop = core.run(100_000_000);
  expect(stop).toMatchObject({ kind: "exception", vector: 3 });
  return { core, most, entry: program.labels["f0"], loop: program.labels["alone"] };
};

it("keeps all regions within the limit, and those that are used", () => {
  const cold = run({ hot: false });
  const unlimited = run({ hot: true });
  const limited = run({ hot: true, regionLimits: { text: limit } });
  expect(unlimited.core.dispatcher.regions.evicted).toBe(0);
  expect(unlimited.most).toBeGreaterThan(2 * limit);
  expect(limited.most).toBeLessThanOrEqual(limit);
  expect(limited.core.dispatcher.regions.evicted).toBeGreaterThan(10);
  // What was evicted was made again when it was hot again.
  const { live, translated } = limited.core.dispatcher.regions;
  expect(translated).toBeGreaterThan(unlimited.core.dispatcher.regions.translated);
  expect([...live.values()].some(({ header }) => limited.core.dispatcher.cache.C[header - 3] === limited.entry)).toBe(true);
  for (const { core } of [unlimited, limited]) expect(core.state()).toEqual(cold.core.state());
  expect(limited.core.dispatcher.cache.flushes).toBe(0);
});

it("keeps the one that was made last, however large it is", () => {
  const { core } = run({ hot: true, regionLimits: { text: 1 } });
  expect(core.dispatcher.regions.live.size).toBe(1);
  expect(core.state()).toEqual(run({ hot: false }).core.state());
});

it("drops what is not entered any more, and makes it again when it is hot again", () => {
  const cold = run({ hot: false });
  const resting = run({ hot: true, regionLimits: { idleText: 1, period: 4_000_000 } });
  const { evicted, translated, live } = resting.core.dispatcher.regions;
  expect(evicted).toBeGreaterThanOrEqual(functions - 1);
  expect(translated).toBeGreaterThan(functions + evicted / 2);
  const { C } = resting.core.dispatcher.cache;
  expect([...live.values()].some(({ header }) => C[header - 3] >= resting.loop && C[header - 3] < resting.loop + 8)).toBe(true);
  expect(resting.core.state()).toEqual(cold.core.state());
  const patience = ({ core: { dispatcher } }: typeof cold): number[] =>
    [...dispatcher.cache.live()].map(({ header }) => dispatcher.policy.patience(header) % 16).filter((times) => times !== 0);
  // The next region must be earned by twice as many executions.
  expect(Math.max(...patience(cold))).toBe(1);
  expect(patience(resting).filter((times) => times > 1).length).toBeGreaterThan(functions / 2);
  expect(run({ hot: true, regionLimits: { idleText: 1 << 24, period: 4_000_000 } }).core.dispatcher.regions.evicted).toBe(0);
});

describe("idle regions", () => {
  interface Fake extends Evictable {
    readonly name: string;
    entered: number;
  }
  const period = 1000;
  const fake = (name: string, module?: object): Fake => ({
    name,
    entered: 2 ** 32 - 100,
    code: { size: 10 },
    module: module as WebAssembly.Module | undefined,
    executionsSeen: 2 ** 32 - 100,
    slices: 0,
    use: 0,
    idlePeriods: 0,
  });
  /** Names of those that go at the end of each period, `busy` being entered 3,000 times in each. */
  const evictions = (live: readonly Fake[], busy: readonly string[], periods: number, idleText = 0): string[] => {
    const eviction = new Eviction<Fake>({ idleText, period }, ({ entered }) => entered);
    const left = new Set(live);
    return Array.from({ length: periods }, (_, k) => {
      for (const region of left) region.entered = (region.entered + (busy.includes(region.name) ? 3000 : 1000)) % 2 ** 32;
      expect(eviction.idle(left, k * period + period - 1, 10 * left.size)).toEqual([]);
      const gone = eviction.idle(left, (k + 1) * period, 10 * left.size);
      for (const region of gone) left.delete(region);
      return gone.map(({ name }) => name).join("");
    });
  };

  it("go after two periods, whatever their counters come from", () => {
    expect(evictions([fake("a"), fake("b"), fake("c")], ["b"], 5)).toEqual(["", "ac", "", "", ""]);
  });
  it("are not those that slices end in", () => {
    const loop = fake("a");
    const eviction = new Eviction<Fake>({ idleText: 0, period }, ({ entered }) => entered);
    for (let k = 1; k < 6; k++) {
      loop.slices = 8;
      expect(eviction.idle([loop], k * period, 10)).toEqual([]);
    }
    for (let k = 6; k < 8; k++) expect(eviction.idle([loop], k * period, 10)).toEqual(k < 7 ? [] : [loop]);
  });
  it("stay where there is room", () => {
    expect(evictions([fake("a"), fake("b")], [], 5, 20)).toEqual(["", "", "", "", ""]);
  });
  it("go with all that share their module, or not at all", () => {
    const [one, other] = [{}, {}];
    expect(evictions([fake("a", one), fake("b", one), fake("c", other), fake("d", other)], ["d"], 4)).toEqual(["", "ab", "", ""]);
  });
});
