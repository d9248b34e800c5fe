/** All regions together have a limit: beyond it, those used least are dropped, and the rest stays. */
import { expect, it } from "vitest";
import { assemble } from "../support/assembler.ts";
import { Core } from "../support/core.ts";

const functions = 60;
const limit = 60_000;

/** Sixty functions, each a loop; function 0 is called between any two others. They add up what they are. */
const source = `
    mov edi, 6
    xor eax, eax
  again:
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

const run = (options: ConstructorParameters<typeof Core>[0]): { core: Core; most: number; entry: number } => {
  const core = new Core({ ...options, step: 200 });
  core.protectedMode(0);
  const program = assemble(source);
  core.load(program);
  let most = 0;
  core.dispatcher.regions.made = () => {
    const text = [...core.dispatcher.regions.live.values()].reduce((sum, { code }) => sum + code.size, 0);
    most = Math.max(most, text);
  };
  const stop = core.run(1_000_000);
  expect(stop).toMatchObject({ kind: "exception", vector: 3 });
  return { core, most, entry: program.labels["f0"] };
};

it("keeps all regions within the limit, and those that are used", () => {
  const cold = run({ hot: false });
  const unlimited = run({ hot: true });
  const limited = run({ hot: true, regionText: limit });
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
  const { core } = run({ hot: true, regionText: 1 });
  expect(core.dispatcher.regions.live.size).toBe(1);
  expect(core.state()).toEqual(run({ hot: false }).core.state());
});
