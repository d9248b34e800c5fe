/**
 * INT n, IRET, SYSENTER, SYSEXIT, faults and interrupts of flat systems in WebAssembly (runtime/execute/event-helpers.ts) against the VMM's own functions, which the other files of
 * this directory hold against Bochs and hardware: random gates, descriptors, stacks, frames and flags, each mostly as systems have them and now and then with something odd.
 */
import { describe, expect, it } from "vitest";
import { walkFlag } from "../../runtime/memory/page-walk.ts";
import { segment, slot } from "../../translator/contract/slots.ts";
import { Core, differences, place, pte, selector } from "../support/core.ts";

const unmapped = 0x50000;
/** A page that not even ring 0 may write, and the one behind it. */
const readOnly = 0x51000;
const behindReadOnly = 0x52000;
const loneHandler = place.handlers + 16 * 0x20;

/** Numbers in [0, n), the same for a seed everywhere. */
function generator(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39) | 0;
    state ^= state >>> 12;
    return (state >>> 0) % n;
  };
}

const instructions: readonly (readonly number[])[] = [
  [0xcd, 0x80],
  [0x66, 0xcf],
  [0x0f, 0x34],
  [0x0f, 0x35],
  // UD2; DIV ECX; MOV EAX, [unmapped]; HLT, which faults in ring 3; STI and NOP.
  [0x0f, 0x0b],
  [0xf7, 0xf1],
  [0xa1, 0x00, 0x00, 0x05, 0x00],
  [0xf4],
  [0xfb, 0x90],
];

/** One case: state and memory, the same in every core for a seed. */
function prepare(core: Core, seed: number): Core {
  const next = generator(seed);
  const rarely = (n = 12): boolean => next(n) === 0;
  const returns = next(2) === 0;
  const ring = (next(4) === 0) === returns ? 3 : 0;
  core.reset().protectedMode(ring);
  const { R, physical } = core;
  core.map(unmapped, 0, 0);
  core.map(readOnly, readOnly, pte.present | pte.user);
  R[slot.gdtLimit] = rarely(8) ? 0x17 : 0x2f;
  // Where nobody may look: the null descriptor and what is behind the table.
  const flat = [selector.code0, selector.data0, selector.code3 & ~3, selector.data3 & ~3][next(4)];
  for (const k of [0, 4]) {
    physical.write4(place.gdt + k, physical.read4(place.gdt + flat + k));
    physical.write4(place.gdt + 0x30 + k, physical.read4(place.gdt + flat + k));
  }
  if (rarely(20)) R[slot.idtLimit] = 0x3ff;
  if (rarely(20)) R[slot.segmentLimit + segment.tr] = 8 + next(8);
  if (rarely(20)) R[slot.segmentAccess + segment.tr] = 0x8300;
  // Descriptors: bits that change what they are, their limits and bases.
  if (rarely(4)) {
    const at = place.gdt + 8 * (1 + next(4)) + 4;
    physical.write4(at, physical.read4(at) ^ (1 << [8, 9, 10, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24][next(14)]));
  }
  if (rarely(30)) physical.write4(place.gdt + 8 * (1 + next(4)), next(0x10000));
  // Gates.
  for (const v of [0x80, 0x20, 0, 6, 13, 14]) {
    const at = place.idt + 8 * v;
    const handler = place.handlers + 16 * v;
    const target = rarely() ? [0, 0x0c, selector.code3, selector.data0, 0x30, selector.code0 | 1][next(6)] : selector.code0;
    physical.write4(at, (target << 16) | handler);
    const type = rarely() ? [6, 7, 12, 2, 0x1e][next(5)] : 14 + next(2);
    const high = rarely() ? next(0x10000) << 16 : 0;
    physical.write4(at + 4, high | ((rarely() ? 0 : 0x8000) | (next(4) << 13) | (type << 8)));
  }
  // What a table that cannot be read in one piece must not be taken for.
  physical.write4(1, (selector.code0 << 16) | loneHandler);
  physical.write4(5, 0xee00);
  if (rarely()) R[slot.idtBase] = place.idt + 4 * next(3) - 2;
  // Stacks.
  const someStack = (): number =>
    rarely(3)
      ? [
          place.stack0 + 0x101 + next(3),
          0x21000 + 4 * next(8),
          unmapped + 4 * next(6),
          readOnly + 0x80,
          behindReadOnly + 4 * next(8),
          place.code + 0x80,
        ][next(6)]
      : place.stack0 + 4 * next(64);
  physical.write4(place.tss + 4, someStack());
  physical.write4(place.tss + 8, rarely() ? [0, 0x0c, selector.data3, selector.code0, 0x30, selector.data0 | 1][next(6)] : selector.data0);
  R[slot.esp] = someStack();
  const someFlags = (): number =>
    (rarely(3) ? next(0x400000) : (next(0x1000) & 0xed5) | (next(4) << 12)) & ~(rarely(16) ? 0 : (1 << 17) | (1 << 8) | (1 << 14));
  // A frame for IRET.
  const frame = R[slot.esp];
  const code = rarely(5)
    ? [0, 0x0c, selector.code0 | 3, selector.code3 & ~3, (selector.code3 & ~3) | (1 + next(2)), 0x30, selector.data0][next(7)]
    : next(2) === 0
      ? selector.code0
      : selector.code3;
  const words = [loneHandler, code | (next(0x10000) << 16), someFlags(), someStack(), rarely(5) ? next(0x40) : selector.data3];
  words.forEach((word, k) => {
    physical.write4((frame + 4 * k) & ~0, word);
  });
  // Data segments of ring 0 in ring 0, mostly; FS and GS often null.
  for (const s of [segment.es, segment.ds, segment.fs, segment.gs]) {
    const isData = s === segment.es || s === segment.ds;
    if (ring === 0 && next(3) !== 0) {
      R[slot.selector + s] = selector.data3;
      R[slot.segmentAccess + s] = 0xc0f300;
    }
    if (rarely(isData ? 30 : 2)) {
      R[slot.selector + s] = next(4);
      R[slot.segmentBase + s] = 0;
      R[slot.segmentLimit + s] = 0;
      R[slot.segmentAccess + s] = 0;
      R[slot.segmentChecked + s] = 1;
    }
  }
  if (rarely(16)) R[slot.cpl] = next(3);
  if (rarely(4)) R[slot.cr0] |= 1 << 18;
  R[slot.sysenterCs] = rarely(4) ? next(4) : [8, 0x10][next(2)];
  R[slot.sysenterEsp] = place.stack0;
  R[slot.sysenterEip] = loneHandler;
  R[slot.ecx] = rarely(2) ? 0 : place.stack;
  R[slot.edx] = loneHandler;
  core.load({
    origin: place.code,
    bytes: Uint8Array.from([...(returns ? [0xcf] : instructions[next(instructions.length)]), 0xcc, 0xf4]),
  } as Parameters<Core["load"]>[0]);
  // MOV EAX, [20001h], which is #AC at times; HLT.
  core.load({ origin: loneHandler, bytes: Uint8Array.from([0xa1, 0x01, 0x00, 0x02, 0x00, 0xf4]) } as Parameters<Core["load"]>[0]);
  core.eflags = someFlags() & ~(1 << 17);
  core.interrupts.pending = next(6) === 0;
  core.cpu.nmiBlocked = rarely();
  core.flush();
  // Translations that the guest met before.
  for (const page of [place.gdt, place.idt, place.tss, place.stack0, 0x21000, behindReadOnly, unmapped - 0x1000, place.stack - 0x1000]) {
    if (!rarely(40)) {
      core.cpu.memory.systemRead4(page);
      core.cpu.memory.systemWrite4(page + 0xff8, core.cpu.memory.systemRead4(page + 0xff8));
    }
  }
  core.cpu.memory.tryTranslate(0x20000, walkFlag.user);
  return core;
}

const kinds = ["exception", "halted", "limit", "shutdown"];
const limit = kinds.indexOf("limit");

function outcome(core: Core): Record<string, number> {
  core.cpu.deliveredInterrupt = false;
  const { kind } = core.run(40);
  const { R, dispatcher } = core;
  const hidden = [0, 1, 2, 3, 4, 5].flatMap((s) =>
    (["segmentBase", "segmentLimit", "segmentAccess", "segmentChecked"] as const).map((name) => [`${name}${s}`, R[slot[name] + s]] as const),
  );
  const more = {
    mode: R[slot.mode],
    half: R[slot.tlbHalf],
    codeEnd: R[slot.codeEnd],
    shadow: R[slot.interruptShadow],
    halted: R[slot.halted],
    nmiBlocked: Number(core.cpu.nmiBlocked),
  };
  return { ...core.state(), ...Object.fromEntries(hidden), ...more, kind: kinds.indexOf(kind), retired: dispatcher.retired };
}

it("are seen by an observer", () => {
  const core = new Core().protectedMode(3);
  const seen: number[] = [];
  core.load({ origin: place.code, bytes: Uint8Array.from([0xcd, 0x80]) } as Parameters<Core["load"]>[0]);
  for (const observes of [false, false, true, true, false]) {
    core.cpu.eventObserver = observes ? (number) => seen.push(number) : undefined;
    expect(core.run(10).vector).toBe(0x80);
    core.resume(place.code);
  }
  expect(seen).toEqual([0x80, 0x80]);
});

describe.each([
  ["tier 0", {}],
  ["regions", { hot: true, step: 1 }],
] as const)("events in %s", (_name, options) => {
  it("are those of the VMM's own functions", () => {
    const fast = new Core(options);
    const plain = new Core({ disabled: new Set(["wasm"]) });
    let inWebAssembly = 0;
    const cases = 12_000;
    for (let seed = 1; seed <= cases; seed++) {
      const before = fast.dispatcher.retired - plain.dispatcher.retired;
      const wanted = outcome(prepare(plain, seed));
      const found = outcome(prepare(fast, seed));
      // Rounds of making regions end runs, and each run has its own idea of the event before.
      found.retired = "hot" in options ? wanted.retired : found.retired - before;
      // A chain of faults without end is left somewhere.
      if (wanted.kind === limit && found.kind === limit) continue;
      expect(differences(found, wanted), `seed ${seed}`).toBe("");
      expect(Buffer.compare(fast.physical.u8, plain.physical.u8), `seed ${seed}: memory`).toBe(0);
      if (plain.cpu.deliveredInterrupt && !fast.cpu.deliveredInterrupt) inWebAssembly++;
    }
    // What would say that all went to the host's functions.
    expect(inWebAssembly).toBeGreaterThan(cases / 5);
  }, 120_000);
});
