/**
 * Tier 0 made beforehand: handlers of the commonest shapes as WebAssembly, and all that is to be known of those shapes without lifting them. One string of bytes:
 *
 *     length of the header (4 bytes, little endian), the header (JSON), the module
 *
 * It is made by the version of the translator that reads it, so nothing here looks at versions; but for which host it was made is compared.
 */
import type { ShapeCode } from "../contract/translator.ts";
import type { PreparedTier, TierRequest, WasmImport } from "../contract/wasm.ts";
import type { Statement } from "../javascript/estree.ts";
import type { TierZeroCode } from "../javascript/tier0.ts";

/** What many shapes have in common. */
export type ShapeForm = Pick<ShapeCode, "layout" | "exits" | "endsBlock" | "instructions" | "parts">;

/** In the place of a superinstruction's key: no shape has it. */
export const notAnInstruction = -1;

interface Header {
  /** `describeRequest` of the host. */
  readonly request: string;
  readonly imports: readonly WasmImport[];
  /** By shape number: key (lift/shape.ts) or `notAnInstruction`, and which of `forms` it has. */
  readonly keys: readonly number[];
  readonly formOf: readonly number[];
  readonly forms: readonly ShapeForm[];
  /** Superinstructions: number, numbers of the first part or parts and of the last. */
  readonly fusions: readonly (readonly [number, number, number])[];
  readonly inLine: readonly number[];
}

export class PreparedData {
  readonly request: string;
  readonly keys: readonly number[];
  readonly fusions: Header["fusions"];
  readonly tier: PreparedTier;
  private readonly header: Header;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))) as Header;
    this.header = header;
    this.request = header.request;
    this.keys = header.keys;
    this.fusions = header.fusions;
    this.tier = { bytes: bytes.subarray(4 + length), imports: header.imports, shapeCount: header.keys.length, inLine: header.inLine };
  }

  /** Undefined for a shape that was not prepared. */
  formOf(shape: number): ShapeForm | undefined {
    const { forms, formOf } = this.header;
    return forms[formOf[shape]];
  }
}

export function encodePrepared(header: Header, module: Uint8Array): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(4 + text.length + module.length);
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, 4);
  bytes.set(module, 4 + text.length);
  return bytes;
}

/** All that code depends on in a request. */
export function describeRequest({ layout, helpers, own }: TierRequest): string {
  const { arrays, place, cases, firstShape, tableSize, stopBlock, faulted, faultBlock, mayFault, tailCalls, functions, doubles } = layout;
  const names = [...functions].sort();
  return JSON.stringify([
    arrays,
    [place, cases, tableSize, stopBlock, faulted, faultBlock, tailCalls, firstShape],
    names.map((name) => name + (mayFault.has(name) ? "!" : "") + (doubles.has(name) ? "." : "")).join(),
    helpers.map((group) => Object.keys(group).join()),
    own,
  ]);
}

/** A prepared shape: its handler is made in full only when somebody wants to see it, or needs it in JavaScript. */
export class PreparedShape implements TierZeroCode {
  readonly layout: ShapeForm["layout"];
  readonly exits: ShapeForm["exits"];
  readonly endsBlock: boolean;
  readonly size: number;
  readonly instructions: number;
  readonly parts: readonly number[];
  private readonly make: () => TierZeroCode;
  private made: TierZeroCode | undefined;

  constructor({ layout, exits, endsBlock, instructions, parts }: ShapeForm, make: () => TierZeroCode) {
    this.layout = layout;
    this.exits = exits;
    this.endsBlock = endsBlock;
    this.instructions = instructions;
    this.parts = parts;
    this.size = 1 + layout.length + exits.length;
    this.make = make;
  }

  private get full(): TierZeroCode {
    this.made ??= this.make();
    return this.made;
  }
  get name(): string {
    return this.full.name;
  }
  get text(): string {
    return this.full.text;
  }
  get statements(): readonly Statement[] {
    return this.full.statements;
  }
  get freeNames(): readonly string[] {
    return this.full.freeNames;
  }
}
