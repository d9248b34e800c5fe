/** What the translator's panel shows of guest code: the hottest places, and one place as guest code beside its JavaScript. */
import type { JavaScriptTranslator } from "../../../translator/index.ts";
import { formatInstruction } from "../../../translator/decode/format.ts";
import { inspectAt } from "../../inspector/machine.ts";
import { describeMode } from "../../../translator/contract/mode-key.ts";
import type { InspectedInstruction } from "../../inspector/types.ts";
import type { Machine } from "../../machine/machine.ts";
import type { HotPlace, InspectedPlace } from "../protocol.ts";
import type { HotPlaces } from "./hot-places.ts";

const placesShown = 14;
const longestInstruction = 15;

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
    return places.map(({ address, samples, inRegion }) => ({
      address,
      share: samples / total,
      tier: inRegion ? "region" : "tier 0",
      text: this.instructionAt(address),
    }));
  }

  /** Errors: `MachineError` where there is no memory. */
  inspect(address: number): InspectedPlace {
    const block = inspectAt(this.machine, address);
    const { region } = block;
    const places = [`physical ${hex(block.physical ?? address)}`, describeMode(block.mode)];
    const counts = region ? [`${region.instructions} instructions in the region`] : [`${block.instructions.length} instructions`];
    const inRegion = region && block.blocks.length > 0 ? block.blocks.flatMap((b) => [...b.instructions]) : block.instructions;
    const code = region
      ? [{ title: region.isInstalled ? "The region's JavaScript, as it runs" : "What it would be translated to when hot", text: region.text }]
      : [];
    const handlers = block.handlers.map(({ shape, text }) => `// ${shape}\n${text.trim()}`);
    return {
      address: block.address,
      heading: [...places, ...counts].join(" · "),
      listing: inRegion.map(listingLine),
      code: [...code, { title: "Tier 0: the handler of each instruction shape", text: handlers.join("\n\n") }],
    };
  }

  private instructionAt(address: number): string {
    const { machine, translator } = this;
    try {
      // An instruction may go on behind what is mapped.
      const toPageEnd = 4096 - (address & 4095);
      const bytes = machine.memory.readLinear(address, Math.min(longestInstruction, toPageEnd));
      const shape = translator.decode(bytes, 0, bytes.length, machine.mode, address & 4095);
      return shape < 0 ? "" : formatInstruction(translator.instruction, address);
    } catch {
      // The address space it was in is not the one that is there now.
      return "";
    }
  }
}

function listingLine({ address, bytes, text, exit }: InspectedInstruction): InspectedPlace["listing"][number] {
  const line = { address, bytes: [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" "), text };
  return exit === undefined ? line : { ...line, exit: `${exit.reason}: ${exit.why}` };
}

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");
