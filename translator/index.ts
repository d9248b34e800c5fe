/**
 * The translator: guest bytes to JavaScript text. An instance remembers the shapes it has met until told to forget them; it knows no machine, no
 * memory, no devices.
 */
import type { X87Arithmetic } from "./contract/callouts/x87.ts";
import { type ModeKey, mode } from "./contract/mode-key.ts";
import type { OptimisationName } from "./contract/optimisations.ts";
import type { RegionSnapshot } from "./contract/region-snapshot.ts";
import { decodeFailure, type PlacedRegion, type RegionPage, type RegionRequest, type Translator } from "./contract/translator.ts";
import type { HostHandler, PreparedTier, TierRequest, WasmLayout, WasmModule } from "./contract/wasm.ts";
import { decode, decodeStatus } from "./decode/decode.ts";
import { type DecodedInstruction, newInstruction, operandKind } from "./decode/instruction.ts";
import { invalidRow } from "./decode/opcode-map.ts";
import type { MicroBlock, MicroStatement } from "./ir/block.ts";
import { Instantiator } from "./ir/instantiate.ts";
import type { MicroTemplate, Value } from "./ir/micro.ts";
import { verify } from "./ir/verify.ts";
import { PureTemplates } from "./javascript/pure-templates.ts";
import { regionParts } from "./javascript/region.ts";
import { type RegionParts, RegionTree } from "./javascript/region-tree.ts";
import { type TierZeroCode, tierZeroCode } from "./javascript/tier0.ts";
import { FusionNumbers } from "./lift/fusion-numbers.ts";
import { lift } from "./lift/index.ts";
import { KnownEncodings } from "./lift/known-encodings.ts";
import { describeShape, type Shape, shapeKey, shapeOf, writeFields } from "./lift/shape.ts";
import { ShapeNumbers } from "./lift/shape-numbers.ts";
import { allLive, dropDeadWrites, livenessOf } from "./passes/dead.ts";
import { bodyOf, canFuse, fuse, type HandlerBody } from "./passes/fuse.ts";
import { blockPasses, type Pass, type PassObserver, runPasses } from "./passes/pipeline.ts";
import type { Fold } from "./passes/simplify.ts";
import { describeRequest, notAnInstruction, type PreparedData, PreparedShape } from "./prepared/data.ts";
import { RegionDecoder } from "./region/decoder.ts";
import { discover, isTableJump, type RegionBlock } from "./region/discover.ts";
import { plan, type RegionPlan } from "./region/plan.ts";
import { softBytes } from "./region/soft-fields.ts";
import { type RegionSource, snapshotOf, sourceOf } from "./region/source.ts";
import { type HandlerTree, handlersModule, helpersModule, loopModule, regionsModule } from "./wasm/module.ts";

/** A superinstruction's handler costs about 20 KiB of host memory, and time until V8 has optimised it. */
const maximumSuperinstructions = 4096;

/** In the place of a superinstruction's number. */
const cannotFuse = -2;

/** V8 never optimises a function of more than 61,440 bytes of bytecode; a character of text comes to 0.3 to 0.6 bytes. */
const maximumText = 90_000;
/** A region of so few is let be. */
const fewInstructions = 30;
/** More than any instruction has. */
const maximumFields = 24;
const noOffsets: ReadonlySet<number> = new Set();

export interface TranslatorOptions {
  readonly disabledPasses?: ReadonlySet<string>;
  readonly regionLimit?: number;
  readonly passes?: readonly Pass[];
  readonly x87?: X87Arithmetic;
  readonly prepared?: PreparedData | undefined;
}

export class JavaScriptTranslator implements Translator {
  length = 0;
  fieldCount = 0;
  readonly fields = new Int32Array(maximumFields);
  readonly pureTemplates = new PureTemplates();
  /** Sees each block of a region as it is lifted and after each pass: for the inspector and debug output. */
  observe: PassObserver | undefined;
  private readonly disabledPasses: ReadonlySet<string>;
  private readonly passes: readonly Pass[];
  /** Of these, what can do something for an instruction alone. */
  private readonly tierZeroPasses: readonly Pass[];
  private readonly regionLimit: number;
  private readonly x87InDoubles: boolean;
  /** Regions keep XMM registers in vectors of WebAssembly. */
  private readonly hasWholeVectors: boolean;
  private readonly numbers = new ShapeNumbers();
  private readonly known: KnownEncodings | undefined;
  /** The instruction last decoded; or that is yet to be done, where it was known: of which bytes, from where to where. */
  private readonly decoded = newInstruction(invalidRow);
  private knownBytes: Uint8Array | undefined;
  private knownAt = 0;
  private knownEnd = 0;
  private knownMode: ModeKey = 0;
  /** Shapes of the numbers that were given; a prepared one is known by its number before it is met. */
  private readonly shapes: (Shape | undefined)[] = [];
  private readonly preparedData: PreparedData | undefined;
  private met = 0;
  private readonly templates: (MicroTemplate | undefined)[] = [];
  private readonly instantiators: (Instantiator | undefined)[] = [];
  private readonly codes: (TierZeroCode | undefined)[] = [];
  private readonly bodies: (HandlerBody | undefined)[] = [];
  /** `cannotFuse` among them. */
  private readonly fused = new FusionNumbers();
  private superinstructions = 0;
  /** What superinstructions were fused of. */
  private readonly fusions: (readonly [number, number] | undefined)[] = [];

  /**
   * @param options.disabledPasses names of optimisations to leave out (contract/optimisations.ts); @param options.regionLimit guest instructions a region may hold;
   * @param options.passes others than the usual ones, for tests; @param options.x87 must be what the callouts do as well (runtime/float/unit.ts);
   * @param options.prepared what was prepared by this very version of the translator; not used where the other options make handlers that differ
   */
  constructor(options: TranslatorOptions = {}) {
    this.disabledPasses = options.disabledPasses ?? new Set();
    this.passes = options.passes ?? blockPasses;
    this.tierZeroPasses = this.passes.filter((pass) => pass.name === "simplify");
    this.regionLimit = options.regionLimit ?? 400;
    this.x87InDoubles = options.x87 === "double";
    this.hasWholeVectors = (["vectors", "simd", "wasm", "wasmRegions"] as const).every((name) => this.does(name));
    const isUsual =
      this.does("prepared") &&
      options.passes === undefined &&
      !this.x87InDoubles &&
      this.tierZeroPasses.every(({ name }) => this.does(name as OptimisationName));
    this.preparedData = isUsual ? options.prepared : undefined;
    this.known = this.does("encodings") ? new KnownEncodings(this.fields) : undefined;
    this.forgetShapes();
  }

  /** Whether an optimisation is on. */
  does(name: OptimisationName): boolean {
    return !this.disabledPasses.has(name);
  }

  get shapeCount(): number {
    return this.met;
  }

  forgetShapes(): void {
    this.numbers.clear();
    this.known?.clear();
    this.shapes.length = 0;
    this.templates.length = 0;
    this.instantiators.length = 0;
    this.codes.length = 0;
    this.bodies.length = 0;
    this.fused.clear();
    this.superinstructions = 0;
    this.fusions.length = 0;
    this.met = 0;
    const { keys = [] } = this.preparedData ?? {};
    keys.forEach((key, number) => {
      if (key !== notAnInstruction) this.numbers.set(key, number);
    });
    this.shapes.length = keys.length;
    if (this.does("fuse")) for (const [number, first, second] of this.preparedData?.fusions ?? []) this.fused.set(first, second, number);
  }

  private addShape(shape: Shape, number = this.shapes.length): number {
    this.shapes[number] = shape;
    this.met++;
    return number;
  }

  decode(bytes: Uint8Array, offset: number, end: number, key: ModeKey, pageOffset: number): number {
    const { known } = this;
    if (known !== undefined) {
      const number = known.find(bytes, offset, end, key, pageOffset);
      if (number >= 0) {
        this.length = known.length;
        this.fieldCount = known.fieldCount;
        this.knownBytes = bytes;
        this.knownAt = offset;
        this.knownEnd = end;
        this.knownMode = key;
        return number;
      }
      this.knownBytes = undefined;
    }
    return this.decodeNew(bytes, offset, end, key, pageOffset);
  }

  private decodeNew(bytes: Uint8Array, offset: number, end: number, key: ModeKey, pageOffset: number): number {
    const i = this.decoded;
    const status = decode(bytes, offset, end, (key & mode.code32) !== 0, i);
    this.length = i.length;
    if (status !== decodeStatus.ok) {
      if (status === decodeStatus.invalid) return decodeFailure.undefinedOpcode;
      return status === decodeStatus.truncated ? decodeFailure.truncated : decodeFailure.tooLong;
    }
    this.fieldCount = writeFields(i, pageOffset, this.fields, 0);
    const shape = shapeKey(i, key, pageOffset);
    let number = this.numbers.get(shape);
    if (number < 0) {
      number = this.addShape(shapeOf(i, key, pageOffset));
      this.numbers.set(shape, number);
    } else if (this.shapes[number] === undefined) this.addShape(shapeOf(i, key, pageOffset), number);
    this.known?.add(i, bytes, offset, end, key, number, this.fieldCount);
    return number;
  }

  /** The instruction last decoded; overwritten by the next. */
  get instruction(): DecodedInstruction {
    if (this.knownBytes !== undefined) {
      decode(this.knownBytes, this.knownAt, this.knownEnd, (this.knownMode & mode.code32) !== 0, this.decoded);
      this.knownBytes = undefined;
    }
    return this.decoded;
  }

  wasMet(number: number): boolean {
    return this.shapes[number] !== undefined;
  }

  /** Of a shape that was met. */
  shapeOf(number: number): Shape {
    const shape = this.shapes[number];
    if (shape === undefined) throw new Error(`shape ${number} was not met`);
    return shape;
  }

  /** The micro-ops of a shape: lifted once. */
  template(number: number): MicroTemplate {
    let template = this.templates[number];
    if (template === undefined) {
      const shape = this.shapeOf(number);
      template = lift(shape);
      verify(template, shape.row.name);
      this.templates[number] = template;
    }
    return template;
  }

  /** What a region makes of it. */
  private regionTemplate(number: number): MicroTemplate {
    const shape = this.shapeOf(number);
    if (!this.hasWholeVectors || !shape.operands.some((o) => o.kind === operandKind.xmm)) return this.template(number);
    const template = lift(shape, true);
    verify(template, shape.row.name);
    return template;
  }

  private instantiator(number: number): Instantiator {
    let instantiator = this.instantiators[number];
    if (instantiator === undefined) {
      instantiator = new Instantiator(this.regionTemplate(number));
      this.instantiators[number] = instantiator;
    }
    return instantiator;
  }

  private body(number: number): HandlerBody {
    let body = this.bodies[number];
    if (body === undefined) {
      const fusion = this.fusions[number];
      body = fusion === undefined ? bodyOf(this.template(number), this.shapeOf(number).nextField) : fuse(this.body(fusion[0]), this.body(fusion[1]));
      this.bodies[number] = body;
    }
    return body;
  }

  /** The passes of the region tier, as far as they go with fields unknown. */
  private simplified(body: HandlerBody): HandlerBody {
    const { statements, terminator } = body;
    const block: MicroBlock = { offset: 0, instructions: [], statements, terminator };
    if (body.nextFields.length > 1) {
      const passed = this.passOver(block, this.passes);
      return { ...body, ...(this.disabledPasses.has("dead") ? passed : dropDeadWrites(passed, allLive)) };
    }
    return { ...body, ...this.passOver(block, this.tierZeroPasses) };
  }

  private nameOf(number: number): string {
    const fusion = this.fusions[number];
    return fusion === undefined ? describeShape(this.shapeOf(number)) : `${this.nameOf(fusion[0])}; ${this.nameOf(fusion[1])}`;
  }

  fuse(first: number, second: number): number {
    if (this.fused.get(first, second) === -1 && this.does("fuse")) this.fused.set(first, second, this.newFusion(first, second));
    return this.fusionOf(first, second);
  }

  fusionOf(first: number, second: number): number {
    const number = this.fused.get(first, second);
    if (number < 0) return -1;
    if (this.shapes[number] === undefined) this.addFusion(first, second, number);
    return number;
  }

  private newFusion(first: number, second: number): number {
    if (this.superinstructions === maximumSuperinstructions || !canFuse(this.body(first), this.body(second))) return cannotFuse;
    this.superinstructions++;
    return this.addFusion(first, second);
  }

  private addFusion(first: number, second: number, number = this.shapes.length): number {
    this.addShape(this.shapeOf(second), number);
    this.fusions[number] = [first, second];
    return number;
  }

  shape(number: number): TierZeroCode {
    let code = this.codes[number];
    if (code === undefined) {
      const make = (): TierZeroCode => tierZeroCode(this.simplified(this.body(number)), this.pureTemplates, this.nameOf(number), this.x87InDoubles);
      const form = this.preparedData?.formOf(number);
      code = form === undefined ? make() : new PreparedShape(form, make);
      this.codes[number] = code;
    }
    return code;
  }

  prepared(request: TierRequest): PreparedTier | undefined {
    const data = this.preparedData;
    return data?.request === describeRequest(request) ? data.tier : undefined;
  }

  handlers(shapes: readonly number[], layout: WasmLayout): WasmModule {
    return handlersModule(this.trees(shapes), layout);
  }

  loop(shapes: readonly number[], own: readonly HostHandler[], layout: WasmLayout): WasmModule {
    return loopModule(this.trees(shapes), own, layout);
  }

  helpers(functions: Readonly<Record<string, string>>, layout: WasmLayout): WasmModule {
    return helpersModule(functions, layout);
  }

  private trees(shapes: readonly number[]): HandlerTree[] {
    return shapes.map((shape) => {
      const { name, statements, endsBlock } = this.shape(shape);
      return { shape, name, statements, endsBlock };
    });
  }

  region(request: RegionRequest): RegionTree | undefined {
    let code = this.regionWithin(request, this.regionLimit);
    // Floating point takes several times the text of anything else.
    while (code !== undefined && code.size > maximumText && code.instructions > fewInstructions) {
      code = this.regionWithin(request, Math.floor((0.9 * code.instructions * maximumText) / code.size));
    }
    return code;
  }

  regionsModule(regions: readonly PlacedRegion[], layout: WasmLayout): WasmModule {
    return regionsModule(regions as readonly { code: RegionTree; links: number }[], layout);
  }

  private regionWithin(request: RegionRequest, limit: number): RegionTree | undefined {
    const source = this.discovered(request, limit);
    return source && keepRegion(this, source);
  }

  snapshot(request: RegionRequest): RegionSnapshot | undefined {
    const source = this.discovered(request, this.regionLimit);
    return source && snapshotOf(source, (k) => request.page(k));
  }

  regionFrom(snapshot: RegionSnapshot): RegionTree | undefined {
    const parts = this.regionOf(sourceOf(snapshot, this));
    if (parts.size > maximumText && parts.instructions > fewInstructions) return undefined;
    return new RegionTree(parts, () => this.regionOf(sourceOf(snapshot, this), true).statements);
  }

  /** What belongs to the region, in shapes of this translator. */
  private discovered(request: RegionRequest, limit: number): RegionSource | undefined {
    const { mode: key } = request;
    const found = discover(new RegionDecoder(this, request), request.entry, limit);
    const entry = found.get(request.entry);
    if (entry === undefined) return undefined;
    const ordered = [entry, ...[...found.values()].filter((block) => block !== entry)];
    const addresses = new Map<number, number>();
    for (const { offset, instructions } of ordered) {
      // No page lies between those of its first byte and its last.
      for (const k of [offset >> 12, (instructions[instructions.length - 1].next - 1) >> 12])
        if (!addresses.has(k)) addresses.set(k, (request.page(k) as RegionPage).address);
    }
    return {
      name: request.name,
      key,
      ordered,
      addresses,
      usualEntry: this.does("entries") ? request.usualEntry : undefined,
      hasLowPlaces: this.does("places") && request.hasLowPlaces === true,
      doubtful: doubtfulIn(ordered, request),
    };
  }

  /** @param isSilent nobody observes it */
  regionOf({ name, key, ordered, addresses, usualEntry, hasLowPlaces, doubtful }: RegionSource, isSilent = false): RegionParts {
    const observe = isSilent ? undefined : this.observe;
    const successors = ordered.map((block) => block.successors);
    const numbers = new Map(ordered.map((block, k) => [block.offset, k]));
    const inside = successors.map((list) => list.map((to) => numbers.get(to) ?? -1).filter((to) => to >= 0));
    const passed = ordered.map((block) => {
      const micro = this.microBlock(block, observe);
      return block.isSubroutineCall ? callSubroutine(micro) : micro;
    });
    const nesting = plan(inside, (k) => isTableJump(passed[k].terminator), this.does("nests"));
    const { blocks, liveAtEntry } = this.disabledPasses.has("dead") ? { blocks: passed } : dropDead(passed, successors, numbers, nesting);
    if (observe !== undefined && blocks !== passed) for (const block of blocks) observe("dead", block);
    return regionParts(
      {
        name,
        mode: key,
        blocks,
        successors,
        plan: nesting,
        liveAtEntry,
        pageAddress: (k) => addresses.get(k) as number,
        inLineVectors: this.does("vectors"),
        hasWholeVectors: this.hasWholeVectors,
        isCarryLazy: this.does("carries"),
        hasShortcuts: this.does("shortcuts"),
        hasTables: this.does("tables"),
        hasHomes: this.does("homes"),
        hasTargets: this.does("targets") && this.does("wasm") && this.does("wasmRegions"),
        hasSites: this.does("sites") && this.does("wasm") && this.does("wasmRegions"),
        hasNeighbours: this.does("neighbours"),
        givesUp: this.does("giveUp"),
        doubtful,
        x87InDoubles: this.x87InDoubles,
        usualEntry,
        hasLowPlaces,
        soft: softBytes(ordered),
      },
      this.pureTemplates,
    );
  }

  private readonly fold: Fold = (op, args) => this.pureTemplates.evaluate(op, args);

  /** Instantiates a block's templates and runs the passes over it. */
  microBlock(block: RegionBlock, observe = this.observe): MicroBlock {
    const raw = this.rawBlock(block);
    observe?.("lifted", raw);
    return this.passOver(raw, this.passes, observe);
  }

  private passOver(block: MicroBlock, passes: readonly Pass[], observe?: PassObserver): MicroBlock {
    return runPasses(block, this.fold, this.disabledPasses, observe, passes);
  }

  rawBlock(block: RegionBlock): MicroBlock {
    const statements: MicroStatement[] = [];
    let terminator: MicroBlock["terminator"];
    for (let k = 0; k < block.instructions.length; k++) {
      const { shape, fields, soft } = block.instructions[k];
      terminator = this.instantiator(shape).instantiate(fields, k, statements, soft);
    }
    return { offset: block.offset, instructions: block.instructions, statements, terminator };
  }
}

/** A function of its own, for what is kept holds on to all that functions made beside it see. */
function keepRegion(translator: JavaScriptTranslator, source: RegionSource): RegionTree {
  return new RegionTree(translator.regionOf(source), () => translator.regionOf(source, true).statements);
}

/** Page offsets of the instructions that regions gave up at too often. */
function doubtfulIn(blocks: readonly RegionBlock[], { isDoubtful }: RegionRequest): ReadonlySet<number> {
  if (isDoubtful === undefined) return noOffsets;
  const offsets = blocks.flatMap(({ instructions }) => instructions.map(({ offset }) => offset)).filter(isDoubtful);
  return offsets.length === 0 ? noOffsets : new Set(offsets);
}

/** A block that ends in a CALL, as one that makes a callout for the function and goes on behind. */
function callSubroutine(block: MicroBlock): MicroBlock {
  const { terminator: call, instructions, statements } = block;
  if (call?.kind !== "call" && call?.kind !== "indirect") throw new Error("no call");
  const instruction = instructions.length - 1;
  const target: Value = call.kind === "call" ? { kind: "codeAddress", offset: call.target } : call.target;
  const s = { kind: "call", callout: "subroutine", args: [target] } as const;
  return {
    ...block,
    statements: [...statements, { s, instruction }],
    terminator: { kind: "jump", target: { kind: "constant", value: instructions[instruction].next } },
  };
}

/** Liveness of registers and flag words over the region, which is given back, too; then dead writes dropped block by block. At an exit everything lives. */
function dropDead(
  blocks: readonly MicroBlock[],
  successors: readonly (readonly number[])[],
  numbers: ReadonlyMap<number, number>,
  { analysis, first, isRedirected }: RegionPlan,
): { readonly blocks: MicroBlock[]; readonly liveAtEntry?: readonly number[] } {
  const live = blocks.map(() => 0);
  const { order } = analysis;
  // A back edge may leave to the dispatcher, as may an edge through the selector.
  const mayLeave = (from: number, to: number): boolean => order[to + first] <= order[from + first] || isRedirected(from, to);
  const own = blocks.map(livenessOf);
  /** Blocks that are next for certain; undefined: everything lives at the end. */
  const next = blocks.map(({ terminator }, k) => {
    const isStatic = terminator === undefined || terminator.kind === "jump" || terminator.kind === "branch" || terminator.kind === "call";
    const list = successors[k].map((offset) => numbers.get(offset));
    return isStatic && list.every((to) => to !== undefined && !mayLeave(k, to)) ? (list as number[]) : undefined;
  });
  const out = (k: number): number => next[k]?.reduce((bits, to) => bits | live[to], 0) ?? allLive;
  for (let changed = true; changed; ) {
    changed = false;
    for (let k = blocks.length - 1; k >= 0; k--) {
      const bits = own[k].reads | (out(k) & own[k].through);
      if (bits === live[k]) continue;
      live[k] = bits;
      changed = true;
    }
  }
  return { blocks: blocks.map((block, k) => dropDeadWrites(block, out(k))), liveAtEntry: live };
}
