/**
 * The translator: guest bytes to JavaScript text. An instance remembers the shapes it has met until told to forget them; it knows no machine, no
 * memory, no devices.
 */
import { type ModeKey, mode } from "./contract/mode-key.ts";
import { decodeFailure, type RegionCode, type RegionRequest, type ShapeCode, type Translator } from "./contract/translator.ts";
import { decode, decodeStatus } from "./decode/decode.ts";
import { newInstruction } from "./decode/instruction.ts";
import { invalidRow } from "./decode/opcode-map.ts";
import { instantiate, type MicroBlock, type MicroStatement } from "./ir/block.ts";
import type { MicroTemplate } from "./ir/micro.ts";
import { verify } from "./ir/verify.ts";
import { PureTemplates } from "./javascript/pure-templates.ts";
import { regionCode } from "./javascript/region.ts";
import { tierZeroCode } from "./javascript/tier0.ts";
import { lift } from "./lift/index.ts";
import { describeShape, type Shape, shapeKey, shapeOf, writeFields } from "./lift/shape.ts";
import { allLive, dropDeadWrites, liveIn } from "./passes/dead.ts";
import { type PassObserver, runPasses } from "./passes/pipeline.ts";
import { type Fold, simplify } from "./passes/simplify.ts";
import { discover, type RegionBlock, type RegionInstruction } from "./region/discover.ts";
import { analyse } from "./region/structure.ts";

/** More than any instruction has. */
const maximumFields = 24;

export class JavaScriptTranslator implements Translator {
  length = 0;
  readonly fields = new Int32Array(maximumFields);
  /** The instruction last decoded; overwritten by the next. */
  readonly instruction = newInstruction(invalidRow);
  readonly pureTemplates = new PureTemplates();
  /** Sees each block of a region as it is lifted and after each pass: for the inspector and debug output. */
  observe: PassObserver | undefined;
  private readonly disabledPasses: ReadonlySet<string>;
  private readonly regionLimit: number;
  private readonly numbers = new Map<number, number>();
  private readonly shapes: Shape[] = [];
  private readonly templates: (MicroTemplate | undefined)[] = [];
  private readonly codes: (ShapeCode | undefined)[] = [];

  /** @param options.disabledPasses names of passes to leave out; @param options.regionLimit guest instructions a region may hold */
  constructor(options: { disabledPasses?: ReadonlySet<string>; regionLimit?: number } = {}) {
    this.disabledPasses = options.disabledPasses ?? new Set();
    this.regionLimit = options.regionLimit ?? 250;
  }

  get shapeCount(): number {
    return this.shapes.length;
  }

  forgetShapes(): void {
    this.numbers.clear();
    this.shapes.length = 0;
    this.templates.length = 0;
    this.codes.length = 0;
  }

  decode(bytes: Uint8Array, offset: number, end: number, key: ModeKey, pageOffset: number): number {
    const i = this.instruction;
    const status = decode(bytes, offset, end, (key & mode.code32) !== 0, i);
    this.length = i.length;
    if (status !== decodeStatus.ok) {
      if (status === decodeStatus.invalid) return decodeFailure.undefinedOpcode;
      return status === decodeStatus.truncated ? decodeFailure.truncated : decodeFailure.tooLong;
    }
    writeFields(i, pageOffset, this.fields, 0);
    const shape = shapeKey(i, key);
    let number = this.numbers.get(shape);
    if (number === undefined) {
      number = this.shapes.push(shapeOf(i, key)) - 1;
      this.numbers.set(shape, number);
    }
    return number;
  }

  shapeOf(number: number): Shape {
    return this.shapes[number];
  }

  /** The micro-ops of a shape: lifted once. */
  template(number: number): MicroTemplate {
    let template = this.templates[number];
    if (template === undefined) {
      template = lift(this.shapes[number]);
      verify(template, this.shapes[number].row.name);
      this.templates[number] = template;
    }
    return template;
  }

  /** The algebra of the region tier, as far as it goes with fields unknown. */
  private simplified(template: MicroTemplate): MicroTemplate {
    if (this.disabledPasses.has("simplify")) return template;
    const statements = template.statements.map((s) => ({ s, instruction: 0 }));
    const block = simplify({ offset: 0, instructions: [], statements, terminator: template.terminator }, this.fold);
    return { ...template, statements: block.statements.map(({ s }) => s), terminator: block.terminator };
  }

  shape(number: number): ShapeCode {
    let code = this.codes[number];
    if (code === undefined) {
      const shape = this.shapes[number];
      code = tierZeroCode(shape, this.simplified(this.template(number)), this.pureTemplates, describeShape(shape));
      this.codes[number] = code;
    }
    return code;
  }

  region(request: RegionRequest): RegionCode | undefined {
    const { mode: key } = request;
    // Segment limits to check and 16-bit wrap-around at every jump leave nothing to gain.
    if ((key & mode.flat) === 0) return undefined;
    const decoder = {
      instruction: (offset: number): RegionInstruction | undefined => {
        const shape = this.decode(request.page, offset, 0x1000, key, offset);
        return shape < 0 ? undefined : { offset, next: offset + this.length, shape, fields: this.fields.slice() };
      },
      template: (shape: number) => this.template(shape),
    };
    const found = discover(decoder, request.entry, (offset) => request.heat(offset) > 0, this.regionLimit);
    const entry = found.get(request.entry);
    if (entry === undefined) return undefined;
    const ordered = [entry, ...[...found.values()].filter((block) => block !== entry)];
    const blocks = dropDead(
      ordered.map((block) => this.microBlock(block)),
      ordered.map((block) => block.successors),
    );
    if (this.observe !== undefined) for (const block of blocks) this.observe("dead", block);
    return regionCode({ name: request.name, mode: key, blocks, successors: ordered.map((block) => block.successors) }, this.pureTemplates);
  }

  private readonly fold: Fold = (op, args) => this.pureTemplates.evaluate(op, args);

  /** Instantiates a block's templates and runs the passes over it. */
  microBlock(block: RegionBlock): MicroBlock {
    const raw = this.rawBlock(block);
    this.observe?.("lifted", raw);
    return runPasses(raw, this.fold, this.disabledPasses, this.observe);
  }

  rawBlock(block: RegionBlock): MicroBlock {
    const statements: MicroStatement[] = [];
    let terminator: MicroBlock["terminator"];
    block.instructions.forEach((i, instruction) => {
      const micro = instantiate(this.template(i.shape), i.fields);
      for (const s of micro.statements) statements.push({ s, instruction });
      terminator = micro.terminator;
    });
    return { offset: block.offset, instructions: block.instructions, statements, terminator };
  }
}

/** Liveness of registers and flag words over the region, then dead writes dropped block by block. At an exit everything lives. */
function dropDead(blocks: readonly MicroBlock[], successors: readonly (readonly number[])[]): MicroBlock[] {
  const numbers = new Map(blocks.map((block, k) => [block.offset, k]));
  const live = blocks.map(() => 0);
  const { order } = analyse({ successors: successors.map((list) => list.map((to) => numbers.get(to) ?? -1).filter((to) => to >= 0)) });
  const out = (k: number): number => {
    const { terminator } = blocks[k];
    const isStatic = terminator === undefined || terminator.kind === "jump" || terminator.kind === "branch";
    if (!isStatic) return allLive;
    return successors[k].reduce((bits, offset) => {
      const to = numbers.get(offset);
      // A back edge may leave to the dispatcher, as may an edge that is cut.
      return bits | (to === undefined || order[to] <= order[k] ? allLive : live[to]);
    }, 0);
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (let k = blocks.length - 1; k >= 0; k--) {
      const bits = liveIn(blocks[k], out(k));
      if (bits === live[k]) continue;
      live[k] = bits;
      changed = true;
    }
  }
  return blocks.map((block, k) => dropDeadWrites(block, out(k)));
}
