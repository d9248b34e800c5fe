/** What a case number means: a file for the loaders, a kernel of random bytes, random code in a random world, or a soup of instructions. */
import { planBoot } from "../../src/boot/detect.ts";
import { BootError } from "../../src/boot/error.ts";
import type { BootPlan } from "../../src/boot/plan.ts";
import { Firmware } from "../../src/machine/firmware.ts";
import { applyCpuState } from "../../src/machine/initial-state.ts";
import { mutatedImage, randomKernel } from "./files.ts";
import { memorySize, place } from "./layout.ts";
import { Random } from "./random.ts";
import { type EngineName, type Limits, type Outcome, Rig } from "./rig.ts";
import { background, buildWorld, startModes, writeSoup } from "./world.ts";

export const caseKinds = ["file", "kernel", "bytes", "soup"] as const;
export type CaseKind = (typeof caseKinds)[number];

/** In a hundred cases: files are cheap, soup goes deepest. */
const schedule: readonly CaseKind[] = Array.from({ length: 100 }, (_, i) =>
  i % 4 === 0 ? "file" : i % 4 === 1 ? "kernel" : i % 4 === 2 ? "bytes" : "soup",
);

export interface CaseResult {
  readonly kind: CaseKind;
  readonly engine: EngineName;
  /** What happened, in one comparable string. */
  readonly summary: string;
  readonly end: string;
  readonly outcome?: Outcome;
}

/** A host failure: anything the product must never do, whatever the guest does. */
export class FuzzFailure extends Error {
  override readonly name = "FuzzFailure";
}

export class Fuzzer {
  readonly seed: number;
  readonly limits: Limits;
  private readonly firmware = new Firmware(memorySize);
  private readonly filler: Uint8Array;
  private rigs = new Map<EngineName, Rig>();

  constructor(seed: number, limits: Limits) {
    this.seed = seed;
    this.limits = limits;
    this.filler = background(new Random(seed, 0x7fffffff));
  }

  rig(engine: EngineName): Rig {
    let rig = this.rigs.get(engine);
    // A small code cache for one of them: flushing it in the middle of everything is part of the test.
    if (!rig) this.rigs.set(engine, (rig = new Rig(engine, memorySize, engine === "translate" ? 1 << 16 : 1 << 18)));
    return rig;
  }

  /** Drops the machines. */
  release(): void {
    this.rigs = new Map();
  }

  run(number: number): CaseResult {
    const random = new Random(this.seed, number);
    const kind = schedule[number % schedule.length];
    const engine: EngineName = random.once(3) ? "interpret" : "translate";
    if (kind === "file") {
      const end = this.file(random);
      return { kind, engine, end: end.split(":")[0], summary: `${kind} ${end}` };
    }
    const rig = this.rig(engine);
    if (kind === "kernel") this.kernel(rig, random);
    else this.code(rig, random, kind);
    const outcome = rig.run(this.limits);
    return { kind, engine, end: outcome.end, summary: `${kind} ${engine} ${JSON.stringify(outcome)}`, outcome };
  }

  /** Bytes given to the loaders: a BootError, or a plan that fits. */
  private file(random: Random): string {
    const { bytes, initrd, modules, append } = mutatedImage(random);
    let plan: BootPlan;
    try {
      plan = planBoot({
        kernel: { name: "fuzz", bytes },
        ...(initrd ? { initrd: { name: "initrd", bytes: initrd } } : {}),
        append,
        modules: modules.map((module) => ({ file: { name: "module", bytes: module }, commandLine: "module" })),
        memorySize,
        memoryMap: this.firmware.memoryMap,
        rsdp: this.firmware.rsdp,
      });
    } catch (error) {
      if (!(error instanceof BootError)) throw error;
      if (/\n|undefined|NaN|Infinity/.test(error.message)) throw new FuzzFailure(`not one clear line: ${error.message}`);
      return `error: ${error.message}`;
    }
    checkPlan(plan);
    return `plan: ${plan.protocol} ${plan.writes.length} ${plan.cpu.eip.toString(16)}`;
  }

  /** A valid header in front of random bytes, started as the machine starts it. */
  private kernel(rig: Rig, random: Random): void {
    const bytes = randomKernel(random);
    const plan = planBoot({
      kernel: { name: "fuzz", bytes },
      append: "fuzz",
      modules: [],
      memorySize,
      memoryMap: this.firmware.memoryMap,
      rsdp: this.firmware.rsdp,
    });
    checkPlan(plan);
    rig.reset(random.once(2) ? this.filler : undefined);
    for (const { address, bytes: data } of this.firmware.writes) rig.physical.writeBytes(address, data);
    for (const { address, bytes: data } of plan.writes) rig.physical.writeBytes(address, data);
    applyCpuState(rig.cpu, plan.cpu);
  }

  private code(rig: Rig, random: Random, kind: "bytes" | "soup"): void {
    const mode = random.pick(startModes);
    rig.reset(random.once(2) ? this.filler : undefined);
    buildWorld(rig, random, mode);
    if (kind === "soup") writeSoup(rig, random, mode);
    else rig.physical.writeBytes(place.code, random.bytes(random.pick([0x400, 0x2000])));
  }
}

/** What every plan must keep to: writes inside memory, none over another. */
function checkPlan(plan: BootPlan): void {
  const spans = plan.writes.map(({ address, bytes, what }) => ({ address, end: address + bytes.length, what }));
  for (const [i, a] of spans.entries()) {
    if (!Number.isInteger(a.address) || a.address < 0 || a.end > memorySize)
      throw new FuzzFailure(`${a.what} at ${a.address}-${a.end} is outside memory`);
    for (const b of spans.slice(0, i)) if (a.address < b.end && b.address < a.end) throw new FuzzFailure(`${a.what} lies over ${b.what}`);
  }
}
