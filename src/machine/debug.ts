/**
 * Debug output. What the translator does is seen by standing between it and the dispatcher: `in_asm` every instruction decoded; `ir` every shape's
 * micro-ops, and a region's as lifted and after each pass; `js` the text of both. What the machine does is seen through hooks that are only there when
 * asked for: `exec` every block before it runs (on tier 0, one block a slice), `int` every interrupt and exception, `callout` every call of the VMM.
 */
import { calloutImplementations } from "../../runtime/callouts/index.ts";
import type { Cpu } from "../../runtime/cpu/cpu.ts";
import { eventKind } from "../../runtime/cpu/interrupts.ts";
import type { DispatcherOptions } from "../../runtime/execute/dispatcher-options.ts";
import type { Callout } from "../../runtime/execute/host-names.ts";
import { type CalloutName, type CalloutRow, callouts } from "../../translator/contract/callouts.ts";
import { describeMode, type ModeKey } from "../../translator/contract/mode-key.ts";
import { segment, slot, vector } from "../../translator/contract/slots.ts";
import type { RegionCode, RegionRequest, ShapeCode, Translator } from "../../translator/contract/translator.ts";
import { formatInstruction } from "../../translator/decode/format.ts";
import type { JavaScriptTranslator } from "../../translator/index.ts";
import { printBlock, printTemplate } from "../../translator/ir/print.ts";
import { describeFields } from "../../translator/lift/shape.ts";
import type { DebugCategory, MachineOptions } from "./options.ts";
import { exceptionName } from "./vm-exits.ts";

type Debug = NonNullable<MachineOptions["debug"]>;

const hex = (value: number, digits = 8): string => (value >>> 0).toString(16).padStart(digits, "0");

/** The translator with its work written to `debug`. @param pageEip EIP of the first byte of the page being decoded */
export function observeTranslator(translator: JavaScriptTranslator, debug: Debug, pageEip: () => number): Translator {
  const wants = (category: DebugCategory): boolean => debug.categories.includes(category);
  if (!wants("in_asm") && !wants("ir") && !wants("js")) return translator;
  const seen = new Set<number>();
  let next = -1;

  if (wants("ir")) {
    translator.observe = (pass, block) => {
      const lines = printBlock(block).map(({ text }) => `  ${text}`);
      debug.write("ir", `IR of the block at page offset ${block.offset.toString(16)}, ${pass}\n${lines.join("\n")}`);
    };
  }
  return {
    decode(bytes: Uint8Array, offset: number, end: number, mode: ModeKey, pageOffset: number): number {
      const shape = translator.decode(bytes, offset, end, mode, pageOffset);
      if (wants("in_asm")) {
        const eip = pageEip() + pageOffset;
        if (eip !== next) debug.write("in_asm", `IN: ${describeMode(mode)}`);
        const text = shape < 0 ? "(not an instruction)" : formatInstruction(translator.instruction, eip);
        debug.write("in_asm", `${hex(eip)}  ${text}`);
        next = eip + translator.length;
      }
      return shape;
    },
    get length(): number {
      return translator.length;
    },
    get fields(): Int32Array {
      return translator.fields;
    },
    get fieldCount(): number {
      return translator.fieldCount;
    },
    shape(number: number): ShapeCode {
      const code = translator.shape(number);
      if (seen.has(number)) return code;
      seen.add(number);
      if (wants("ir"))
        debug.write(
          "ir",
          `IR of ${code.name}\n  ${printTemplate(translator.template(number), describeFields(translator.shapeOf(number))).join("\n  ")}`,
        );
      if (wants("js")) debug.write("js", `JS of ${code.name}\n${code.text}`);
      return code;
    },
    // Instruction by instruction is what people want to see.
    fuse: () => -1,
    fusionOf: () => -1,
    snapshot: (request) => translator.snapshot(request),
    regionFrom: (snapshot) => translator.regionFrom(snapshot),
    regionsModule: (regions, layout) => translator.regionsModule(regions, layout),
    handlers: (shapes, layout) => translator.handlers(shapes, layout),
    loop: (shapes, own, layout) => translator.loop(shapes, own, layout),
    helpers: (functions, layout) => translator.helpers(functions, layout),
    prepared: (request) => translator.prepared(request),
    get shapeCount(): number {
      return translator.shapeCount;
    },
    forgetShapes(): void {
      seen.clear();
      translator.forgetShapes();
    },
    region(request: RegionRequest): RegionCode | undefined {
      const code = translator.region(request);
      if (code && wants("js")) debug.write("js", `JS of region ${request.name}, ${code.instructions} instructions\n${code.text}`);
      return code;
    },
  };
}

/** Hooks of the dispatcher and the CPU for the categories asked for; none of the others. */
export function observeExecution(cpu: Cpu, debug: Debug): Pick<DispatcherOptions, "callouts" | "traceBlock"> {
  const wants = (category: DebugCategory): boolean => debug.categories.includes(category);
  if (wants("int")) cpu.eventObserver = (number, kind, errorCode) => debug.write("int", describeEvent(cpu, number, kind, errorCode));
  return {
    ...(wants("exec") ? { traceBlock: (eip: number, mode: ModeKey) => debug.write("exec", `exec ${hex(eip)}  ${describeMode(mode)}`) } : {}),
    ...(wants("callout") ? { callouts: observedCallouts(debug) } : {}),
  };
}

const kindNames: Readonly<Record<number, string>> = {
  [eventKind.hardware]: "external",
  [eventKind.software]: "INT n",
  [eventKind.exception]: "exception",
  [eventKind.breakpoint]: "INT3 or INTO",
};

/** Before delivery: CS:EIP is where the handler will return to. */
function describeEvent(cpu: Cpu, number: number, kind: number, errorCode: number): string {
  const { R } = cpu;
  const name = kind === eventKind.exception ? ` ${exceptionName(number)}` : "";
  const code = errorCode < 0 ? "" : ` error ${hex(errorCode, 4)}`;
  const cr2 = kind === eventKind.exception && number === vector.pf ? ` CR2 ${hex(R[slot.cr2])}` : "";
  const at = `${hex(R[slot.selector + segment.cs], 4)}:${hex(R[slot.eip])}`;
  return `int ${hex(number, 2)}${name}${code}${cr2}  at ${at} ring ${R[slot.cpl]}, ${kindNames[kind]}`;
}

/** The callouts, each writing a line with its arguments; one that returns something is called first, to show it. */
function observedCallouts(debug: Debug): Record<CalloutName, Callout> {
  const observe = ([name, f]: [string, Callout]): [string, Callout] => {
    const row: CalloutRow = callouts[name as CalloutName];
    const written = (args: readonly number[]): string =>
      `callout ${name}(${args.map((a) => (a >= 0 && a < 10 ? `${a}` : `0x${(a >>> 0).toString(16)}`)).join(", ")})`;
    if (row.returns !== true) {
      return [
        name,
        (cpu, ...args) => {
          debug.write("callout", written(args));
          return f(cpu, ...args);
        },
      ];
    }
    return [
      name,
      (cpu, ...args) => {
        let result = "raises";
        try {
          const value = f(cpu, ...args) as number;
          result = `= 0x${(value >>> 0).toString(16)}`;
          return value;
        } finally {
          debug.write("callout", `${written(args)} ${result}`);
        }
      },
    ];
  };
  return Object.fromEntries(Object.entries(calloutImplementations as Record<string, Callout>).map(observe)) as Record<CalloutName, Callout>;
}
