/** What the translator's panel shows of guest code: the hottest places, and one place as guest code beside its JavaScript. */
import { describeMode, type ModeKey } from "../../../translator/contract/mode-key.ts";
import { formatInstruction } from "../../../translator/decode/format.ts";
import type { JavaScriptTranslator } from "../../../translator/index.ts";
import { inspectAt } from "../../inspector/machine.ts";
import type { InspectedBlock, InspectedInstruction } from "../../inspector/types.ts";
import type { Machine } from "../../machine/machine.ts";
import type { HotPlace, InspectedPlace } from "../protocol.ts";
import type { HotPlaces } from "./hot-places.ts";

const placesShown = 14;
const longestInstruction = 15;
/** Where a region is looked for that an address may be in the middle of: bytes before and behind, and how many are looked at. */
const regionReach = 4096;
const regionsTried = 4;

export class TranslatorView {
  private readonly machine: Machine;
  private readonly samples: HotPlaces;
  private readonly translator: JavaScriptTranslator;

  constructor(machine: Machine, samples: HotPlaces) {
    this.machine = machine;
    this.samples = samples;
    this.translator = machine.newTranslator();
  }

  /** Of the time since this was last asked. */
  hottest(): HotPlace[] {
    const { places, total } = this.samples.take(placesShown);
    return places.map(({ address, mode, instructions, inRegion }) => ({
      address,
      share: instructions / Math.max(total, 1),
      tier: inRegion ? "region" : "tier 0",
      text: this.instructionAt(address, mode),
    }));
  }

  /** Errors: `MachineError` where there is no memory. */
  inspect(address: number): InspectedPlace {
    const block = this.regionAround(address) ?? inspectAt(this.machine, address);
    const { region } = block;
    const places = [`physical ${hex(block.physical ?? address)}`, describeMode(block.mode)];
    const length = region?.instructions ?? block.instructions.length;
    const counts = [`${length} instruction${length === 1 ? "" : "s"}${region ? " in the region" : ""}`];
    const parts = region && block.blocks.length > 0 ? block.blocks.map((b) => b.instructions) : [block.instructions];
    const code = region
      ? [{ title: region.isInstalled ? "The region's JavaScript, as it runs" : "What it would be translated to when hot", text: region.text }]
      : [];
    const handlers = block.handlers.map(({ shape, text }) => `// ${shape}\n${text.trim()}`);
    return {
      address: block.address,
      heading: [...places, ...counts].join(" · "),
      listing: parts.flatMap((instructions) => instructions.map((instruction, k) => listingLine(instruction, k === 0))),
      code: [...code, { title: "Tier 0: the handler of each instruction shape", text: handlers.join("\n\n") }],
    };
  }

  /** The region that the machine has for code at `address`, which is not always the region's first. */
  private regionAround(address: number): InspectedBlock | undefined {
    const { machine } = this;
    const physical = machine.memory.translate(address) ?? address;
    const near = machine
      .blocks()
      .filter((block) => block.region !== undefined && Math.abs(block.address - physical) < regionReach)
      .sort((a, b) => Math.abs(a.address - physical) - Math.abs(b.address - physical));
    if (near[0]?.address === physical) return inspectAt(machine, address);
    for (const { address: entry } of near.slice(0, regionsTried)) {
      const block = inspectAt(machine, address + entry - physical);
      const covers = block.blocks.some(({ instructions }) => instructions.some((instruction) => instruction.address === address));
      if (covers && block.region?.isInstalled) return block;
    }
    return undefined;
  }

  private instructionAt(address: number, mode: ModeKey): string {
    const { machine, translator } = this;
    try {
      // An instruction may go on behind what is mapped.
      const toPageEnd = 4096 - (address & 4095);
      const bytes = machine.memory.readLinear(address, Math.min(longestInstruction, toPageEnd));
      const shape = translator.decode(bytes, 0, bytes.length, mode, address & 4095);
      return shape < 0 ? "" : formatInstruction(translator.instruction, address);
    } catch {
      // The address space it was in is not the one that is there now.
      return "";
    }
  }
}

function listingLine({ address, bytes, text, exit }: InspectedInstruction, isFirst: boolean): InspectedPlace["listing"][number] {
  const line = { address, bytes: [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" "), text, isFirst };
  return exit === undefined ? line : { ...line, exit: `${exit.reason}: ${exit.why}` };
}

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");
