/** Regions made beside the guest: asked for, arrived, and what may have happened to the guest meanwhile. */
import { beforeEach, describe, expect, it } from "vitest";
import { shapeBits } from "../../runtime/code/code-cache.ts";
import type { RegionAnswer } from "../../runtime/code/region-thread.ts";
import { beginNodeThread } from "../../src/machine/background/node-channel.ts";
import { BackgroundThread } from "../../src/machine/background/thread.ts";
import { linearCode, mode } from "../../translator/contract/mode-key.ts";
import { changedByte, rangesOf } from "../../translator/contract/region-snapshot.ts";
import { slot } from "../../translator/contract/slots.ts";
import type { RegionRequest } from "../../translator/contract/translator.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { layOut, makeProgram } from "../differential/program.ts";
import { assemble } from "../support/assembler.ts";
import { Core, place } from "../support/core.ts";
import { HeldThread } from "../support/held-thread.ts";

const rounds = 2000;
/** Entries after which a region is made anew. */
const veryOften = 1 << 19;
/** Milliseconds in which slices end until nobody waits for another thread any more. */
const longAgo = 10_000;
/** Sums the numbers from ECX down to 1, STEP at a time. */
const loop = (step: number) => assemble(`mov eax, 0\nagain:\nadd eax, ecx\nsub ecx, ${step}\njnz again\nhlt`, place.code);

/** A loop of two blocks: counts ECX down and adds to EAX. */
const twoBlocks = (step: number) => assemble(`again:\nsub ecx, 1\njz out\nadd eax, ${step}\njmp again\nout:\nhlt`, place.code);

let thread: HeldThread;
let core: Core;

/** Runs the loop a little on tier 0, then asks for regions. */
function askFor(step = 1): void {
  core.load(loop(step));
  core.protectedMode(0);
  core.R[slot.ecx] = rounds;
  core.run(200);
  core.promote();
}

/** Runs on to HLT. @returns EAX */
function end(): number {
  expect(core.run().kind).toBe("halted");
  return core.reg("eax");
}
const sum = (rounds * (rounds + 1)) / 2;
const regions = () => core.dispatcher.regions;

beforeEach(() => {
  thread = new HeldThread();
  core = new Core({ regionThread: thread });
  thread.layout = regions().wasm?.layout;
});

describe("a region made beside the guest", () => {
  it("is asked for once, and comes when it comes", () => {
    askFor();
    const asked = thread.jobs.length;
    expect(asked).toBeGreaterThan(0);
    core.promote();
    expect(thread.jobs.length).toBe(asked);
    expect(regions().live.size).toBe(0);
    thread.finish();
    core.promote();
    expect(regions().live.size).toBe(asked);
    expect(end()).toBe(sum);
    expect(regions().entries).toBeGreaterThan(0);
  });

  it("has a text for people all the same", () => {
    askFor();
    thread.finish();
    core.dispatcher.making.receive();
    for (const { code } of regions().live.values()) expect(code.text).toContain(`function ${code.name}`);
  });

  it("is not put in place over other code", () => {
    askFor();
    thread.finish();
    core.load(loop(2));
    core.dispatcher.making.receive();
    expect(regions().live.size).toBe(0);
    // From an even number on.
    core.R[slot.eax] = 0;
    core.R[slot.ecx] = rounds;
    core.R[slot.eip] = place.code;
    expect(end()).toBe((rounds / 2) * (rounds / 2 + 1));
  });

  it("nor where only its second block was overwritten", () => {
    core.load(twoBlocks(0));
    core.protectedMode(0);
    core.R[slot.ecx] = rounds;
    core.run(200);
    const { cache, promotion } = core.dispatcher;
    const header = cache.find(place.code, core.R[slot.mode]);
    promotion.makeRegion(header, place.code);
    thread.finish();
    const before = core.reg("eax");
    const left = core.reg("ecx");
    const changed = twoBlocks(3);
    const at = changed.bytes.findIndex((byte, k) => byte !== twoBlocks(0).bytes[k]);
    core.load({ ...changed, origin: place.code + at, bytes: changed.bytes.subarray(at, at + 1) });
    expect(cache.C[header - 3]).toBe(place.code);
    core.dispatcher.making.receive();
    expect(regions().live.size).toBe(0);
    expect(end()).toBeGreaterThanOrEqual(before + 3 * (left - 2));
  });

  it("is watched where nothing else of a page is code any more", () => {
    // The second block is on another page.
    const source = `again:\nsub ecx, 1\njz out\njmp other\nout:\nhlt\n.org 0x1000\nother:\nadd eax, 1\njmp again`;
    const program = assemble(source, place.code);
    const { other } = program.labels;
    core.load(program);
    core.protectedMode(0);
    core.R[slot.ecx] = rounds;
    core.run(200);
    const { cache, promotion } = core.dispatcher;
    promotion.makeRegion(cache.find(place.code, core.R[slot.mode]), place.code);
    // Gone, and there again.
    for (const byte of [0x90, core.physical.read1(other)]) core.physical.write1(other, byte);
    for (let k = 1; k < 40; k++) core.physical.write1(other + 0x100, k);
    expect(core.physical.codePages[other >>> 12]).toBe(0);
    thread.finish();
    core.dispatcher.making.receive();
    expect(regions().live.size).toBe(1);
    core.flush();
    const [before, left] = [core.reg("eax"), core.reg("ecx")];
    core.run(50);
    // ADD EAX, 3
    core.physical.write1(other + 2, 3);
    expect(regions().live.size).toBe(0);
    expect(end()).toBeGreaterThan(before + left);
  });

  it("nor where the code was there, gone, and is there again, but its block is another", () => {
    askFor();
    const headers = [...core.dispatcher.cache.live()].map(({ header }) => header);
    thread.finish();
    core.load(loop(2));
    core.load(loop(1));
    core.dispatcher.making.receive();
    expect(regions().live.size).toBe(0);
    for (const header of headers) expect(core.dispatcher.cache.C[header - 3]).toBe(-1);
    expect(end()).toBe(sum);
  });

  it("nor after the code cache was flushed", () => {
    askFor();
    thread.finish();
    core.dispatcher.forget();
    core.dispatcher.making.receive();
    expect(regions().live.size).toBe(0);
    expect(end()).toBe(sum);
    expect(regions().translated).toBe(0);
  });

  it("is made here if it cannot be made there", () => {
    askFor();
    thread.refuse();
    core.dispatcher.making.receive();
    expect(regions().live.size).toBe(0);
    core.promote();
    expect(thread.jobs).toEqual([]);
    expect(regions().live.size).toBeGreaterThan(0);
    expect(thread.madeElsewhere).toBe(regions().live.size);
    expect(end()).toBe(sum);
  });

  it("is made here if the thread has died", () => {
    askFor();
    thread.state = "absent";
    core.dispatcher.making.receive();
    core.promote();
    expect(regions().live.size).toBeGreaterThan(0);
    expect(end()).toBe(sum);
  });

  it("is made here if slices keep ending in its code, and the answer comes too late then", () => {
    core = new Core({ regionThread: thread, regionThreshold: veryOften });
    askFor();
    const asked = [...thread.jobs];
    const { cache, promotion } = core.dispatcher;
    const header = [...cache.live()].find(({ executions }) => executions > 10)?.header ?? 0;
    cache.C[header + 1] = veryOften;
    core.R[slot.page] = place.code;
    promotion.sample(header, 0);
    expect(regions().live.size).toBe(0);
    for (const end = performance.now() + longAgo; performance.now() < end && regions().live.size === 0; ) promotion.sample(header, 0);
    expect([...regions().live.values()].map((region) => region.header)).toEqual([header]);
    // Not to be made there as well.
    const [late] = asked.filter((job) => !thread.jobs.includes(job));
    expect(late).toBeDefined();
    thread.jobs.push(late);
    thread.finish();
    core.dispatcher.making.receive();
    expect([...regions().live.values()].filter((region) => region.header === header).length).toBe(1);
    expect(end()).toBe(sum);
  });

  it("but not over other code", () => {
    askFor();
    const [{ id }] = thread.jobs;
    const { cache } = core.dispatcher;
    const header = [...cache.live()].find(({ address }) => address === place.code)?.header ?? 0;
    // ADD EAX, EDX: memory without its block having been told.
    const at = loop(1).bytes.findIndex((byte, k) => byte === 0x01 && loop(1).bytes[k + 1] === 0xc8);
    expect(at).toBeGreaterThan(0);
    core.physical.u8[place.code + at + 1] = 0xd0;
    const isWaiting = (): boolean => thread.jobs.some((job) => job.id === id);
    for (const end = performance.now() + longAgo; performance.now() < end && isWaiting(); ) core.dispatcher.making.isOnItsWay(header);
    expect(isWaiting()).toBe(false);
    expect(regions().live.size).toBe(0);
  });

  it("comes in the place of the one that it is to be better than, which lives until then", () => {
    core.load(loop(1));
    core.protectedMode(0);
    core.R[slot.ecx] = rounds;
    core.run(200);
    const { cache, promotion } = core.dispatcher;
    const header = [...cache.live()].find(({ executions }) => executions > 10)?.header ?? 0;
    promotion.makeRegion(header, place.code);
    thread.finish();
    core.dispatcher.making.receive();
    const shallow = [...regions().live.values()];
    expect(shallow.map(({ isDeep }) => isDeep)).toEqual([false]);
    cache.C[header + 1] = veryOften;
    core.R[slot.page] = place.code;
    promotion.sample(header, 0);
    promotion.sample(header, 0);
    expect(thread.jobs.length).toBe(1);
    expect([...regions().live.values()]).toEqual(shallow);
    thread.finish();
    core.dispatcher.making.receive();
    expect([...regions().live.values()].map(({ isDeep }) => isDeep)).toEqual([true]);
    expect(cache.C[header + 2] & shapeBits).toBe([...regions().live.keys()][0]);
    // Nor were entries of the first one executions on tier 0.
    expect(regions().tierZeroInstructions).toBeLessThan(veryOften);
    expect(end()).toBe(sum);
  });

  it("is practised while the thread learns, but made here", () => {
    thread.state = "learning";
    askFor();
    const live = regions().live.size;
    expect(live).toBeGreaterThan(0);
    expect(thread.jobs.length).toBe(live);
    thread.finish();
    core.dispatcher.making.receive();
    expect(regions().translated).toBe(live);
    expect(end()).toBe(sum);
  });
});

/** Asks for the region from the beginning of some bytes. */
function requestOf(bytes: Uint8Array, entry: number): RegionRequest {
  const whole = new Uint8Array(0x3000);
  whole.set(bytes.subarray(0, whole.length));
  return {
    page: (k) => (k >= 0 && k < 3 ? { bytes: whole.subarray(k << 12, (k + 1) << 12), address: 0x40000 + (k << 12) } : undefined),
    entry,
    mode: linearCode | mode.stack32 | mode.protected,
    followsCalls: true,
    hotCall: 1,
    name: "f_40000",
    base: 0x40000,
    heat: () => 1000,
    word: () => undefined,
    segmentBase: () => 0,
  };
}

describe("a snapshot", () => {
  it("makes another translator's region the same", () => {
    const here = new JavaScriptTranslator();
    const there = new JavaScriptTranslator();
    let compared = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const { bytes, addresses } = layOut(makeProgram(seed));
      const request = requestOf(bytes, 0);
      const code = here.region(request);
      const snapshot = here.snapshot(request);
      if (code === undefined || snapshot === undefined) continue;
      const other = there.regionFrom(structuredClone(snapshot));
      if (other === undefined) {
        // Too much text: the region has less code then.
        expect(code.instructions).toBeLessThan(snapshot.instructions);
        continue;
      }
      expect(other.text, `seed ${seed}, ${addresses.length} instructions`).toBe(code.text);
      expect(other.exits).toEqual(code.exits);
      expect(other.ranges).toEqual(code.ranges);
      expect(rangesOf(snapshot)).toEqual(code.ranges);
      expect(snapshot.instructions).toBe(code.instructions);
      expect(snapshot.mostExits).toBeGreaterThanOrEqual(code.exits.length);
      compared++;
    }
    expect(compared).toBeGreaterThan(30);
  });

  it("holds an instruction that lies on two pages", () => {
    const bytes = new Uint8Array(0x2000).fill(0x90);
    // MOV EAX, 12345678h across the page's end; then RET.
    bytes.set([0xb8, 0x78, 0x56, 0x34, 0x12, 0xc3], 0xffd);
    const request = requestOf(bytes, 0xff8);
    const here = new JavaScriptTranslator();
    const snapshot = here.snapshot(request);
    if (snapshot === undefined) throw new Error("no snapshot");
    expect(new JavaScriptTranslator().regionFrom(snapshot)?.text).toBe(here.region(request)?.text);
    const bytesOf = (k: number) => bytes.subarray(k << 12, (k + 1) << 12);
    expect(changedByte(snapshot, bytesOf, new Set())).toBe(undefined);
    bytes[0x1001]++;
    expect(changedByte(snapshot, bytesOf, new Set())).toBe(0x1001);
    expect(changedByte(snapshot, bytesOf, new Set([0x1001]))).toBe(undefined);
  });
});

describe("the thread itself", () => {
  it("makes what it is sent once it has begun and learned", async () => {
    const { layout } = regions().wasm ?? {};
    if (layout === undefined) throw new Error("no WebAssembly here");
    const real = new BackgroundThread({ disabled: [], x87: "exact" }, beginNodeThread);
    try {
      expect(real.state).toBe("absent");
      const snapshot = new JavaScriptTranslator().snapshot(requestOf(Uint8Array.of(0x40, 0x40, 0x40, 0xc3), 0));
      if (snapshot === undefined) throw new Error("no snapshot");
      while (real.state === "absent") {
        real.madeHere(layout);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      expect(real.state).toBe("learning");
      const answers: RegionAnswer[] = [];
      for (let id = 0; real.state === "learning"; id++) {
        real.send({ id, snapshot, links: 5000 });
        for (let answer = real.receive(); answer === undefined; answer = real.receive()) await new Promise((resolve) => setTimeout(resolve, 1));
        answers.push({ id, milliseconds: 0 });
      }
      real.forget(76);
      real.send({ id: 76, snapshot, links: 5000 });
      real.send({ id: 77, snapshot, links: 5000 });
      let last = real.receive();
      while (last === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        last = real.receive();
      }
      expect(last.id).toBe(77);
      expect(last.made?.module).toBeInstanceOf(WebAssembly.Module);
      expect(last.made?.facts.instructions).toBe(4);
      expect(last.made?.facts.isCallable).toBe(true);
    } finally {
      real.close();
    }
    expect(real.state).toBe("absent");
  });
});
