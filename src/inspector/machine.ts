/** The inspector on a machine: the block at an address, or the blocks that do most of the work. */
import { type ModeKey, mode } from "../../translator/contract/mode-key.ts";
import type { RegionPage } from "../../translator/contract/translator.ts";
import type { Machine } from "../machine/machine.ts";
import { MachineError } from "../machine/options.ts";
import type { BlockInfo } from "../machine/types.ts";
import { inspectBlock } from "./inspect.ts";
import type { InspectedBlock } from "./types.ts";

const pageSize = 4096;
const pages = 2 ** 20;

/**
 * The block at `address`: a linear address where the guest has mapped one, else a guest-physical one. If code there has run, in the mode it ran in, otherwise
 * in the mode the guest is in. Errors: `MachineError` outside RAM.
 */
export function inspectAt(machine: Machine, address: number): InspectedBlock {
  const mapped = machine.memory.translate(address);
  const physical = mapped !== undefined && mapped < machine.memory.size ? mapped : address;
  if (physical >= machine.memory.size) throw new MachineError(`inspect: no RAM behind address 0x${address.toString(16)}`);
  const known = machine.blocks();
  const block = known.filter((b) => b.address === physical && (b.mode & mode.singleStep) === 0).reduce<BlockInfo | undefined>(busier, undefined);
  return inspect(machine, known, { address, physical, mode: block?.mode ?? machine.mode, block });
}

/** The `count` blocks that retired most instructions in tier 0 (a region's own instructions are not counted), busiest first. */
export function inspectHottest(machine: Machine, count: number): InspectedBlock[] {
  const known = machine.blocks();
  const work = (b: BlockInfo): number => b.executions * b.instructions;
  const hottest = [...known].sort((a, b) => work(b) - work(a)).slice(0, count);
  const linear = new LinearAddresses(machine);
  return hottest.map((block) => inspect(machine, known, { address: linear.of(block), physical: block.address, mode: block.mode, block }));
}

interface Place {
  readonly address: number;
  readonly physical: number;
  readonly mode: ModeKey;
  readonly block: BlockInfo | undefined;
}

function inspect(machine: Machine, known: readonly BlockInfo[], { address, physical, mode: key, block }: Place): InspectedBlock {
  const offset = physical % pageSize;
  const page = physical - offset;
  const pages = new LinearPages(machine, address - offset, page);
  const heat = new Map(known.filter((b) => b.mode === key).map((b) => [b.address, b.executions]));
  const heatAt = (at: number): number => {
    const around = pages.page(Math.floor(at / pageSize));
    return around === undefined ? 0 : (heat.get(around.address + (at & (pageSize - 1))) ?? 0);
  };
  const inspected = inspectBlock(
    {
      bytes: bytesFrom(machine, page, address - offset),
      offset,
      address,
      mode: key,
      // Of code that never ran all is shown that can be reached.
      heat: block === undefined ? () => 1 : heatAt,
      page: (k) => pages.page(k),
      word: (linear) => pages.word(linear),
      ...(block?.region
        ? { installed: { ...block.region, isInstalled: true, exits: block.region.exits.map((exit) => (address - offset + exit) >>> 0) } }
        : {}),
    },
    machine.newTranslator(),
  );
  return { ...inspected, physical, ...(block ? { executions: block.executions } : {}) };
}

function busier(a: BlockInfo | undefined, b: BlockInfo): BlockInfo {
  return a !== undefined && a.executions >= b.executions ? a : b;
}

/** A page of RAM, and the next one of the address space if it is there: an instruction may go on in it. */
function bytesFrom(machine: Machine, page: number, linearPage: number): Uint8Array {
  const first = machine.memory.readPhysical(page, pageSize);
  const next = machine.memory.translate((linearPage + pageSize) >>> 0);
  if (next === undefined || next + pageSize > machine.memory.size) return first;
  const both = new Uint8Array(2 * pageSize);
  both.set(first);
  both.set(machine.memory.readPhysical(next - (next % pageSize), pageSize), pageSize);
  return both;
}

/** The pages around a block's, as the guest has them mapped now. */
class LinearPages {
  private readonly machine: Machine;
  private readonly linear: number;
  private readonly physical: number;
  private readonly seen = new Map<number, RegionPage | undefined>();

  /** @param linear address of the block's page; @param physical where it lies, mapped or not */
  constructor(machine: Machine, linear: number, physical: number) {
    this.machine = machine;
    this.linear = linear;
    this.physical = physical;
  }

  /** The page `k` pages behind the block's. */
  page(k: number): RegionPage | undefined {
    if (!this.seen.has(k)) this.seen.set(k, this.read(k));
    return this.seen.get(k);
  }

  private read(k: number): RegionPage | undefined {
    const { memory } = this.machine;
    const address = k === 0 ? this.physical : memory.translate((this.linear + k * pageSize) >>> 0);
    if (address === undefined || address + pageSize > memory.size) return undefined;
    return { bytes: memory.readPhysical(address, pageSize), address };
  }

  /** The word at a linear address. */
  word(linear: number): number | undefined {
    const { memory } = this.machine;
    const address = memory.translate(linear >>> 0);
    if (address === undefined || address + 4 > memory.size || (address & 3) !== 0) return undefined;
    return new DataView(memory.readPhysical(address, 4).buffer).getInt32(0, true);
  }
}

/** Where physical pages are in the address space the guest is in now. Blocks are kept by physical address; people know code by its linear one. */
class LinearAddresses {
  private readonly machine: Machine;
  private byPage: Map<number, { lowest: number; highest: number }> | undefined;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** A linear address of the block, or its physical one if it is not mapped or its segments are not flat. */
  of({ address, mode: key }: BlockInfo): number {
    if ((key & mode.flat) === 0 || this.machine.memory.translate(address) === address) return address;
    this.byPage ??= this.scan();
    const found = this.byPage.get(address - (address % pageSize));
    if (found === undefined) return address;
    // Systems keep themselves at the top of the address space and programs below.
    return ((key & mode.user ? found.lowest : found.highest) + (address % pageSize)) >>> 0;
  }

  private scan(): Map<number, { lowest: number; highest: number }> {
    const { memory } = this.machine;
    const byPage = new Map<number, { lowest: number; highest: number }>();
    for (let page = 0; page < pages; page++) {
      const linear = page * pageSize;
      const physical = memory.translate(linear);
      if (physical === undefined || physical >= memory.size) continue;
      const known = byPage.get(physical);
      if (known === undefined) byPage.set(physical, { lowest: linear, highest: linear });
      else known.highest = linear;
    }
    return byPage;
  }
}
