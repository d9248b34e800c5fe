/**
 * The translator: guest bytes to JavaScript text. An instance remembers the shapes it has met (a table that only grows, bounded by the instruction
 * set); it knows no machine, no memory, no devices.
 */
import { type ModeKey, mode } from "./contract/mode-key.ts";
import { decodeFailure, type RegionCode, type RegionRequest, type ShapeCode, type Translator } from "./contract/translator.ts";
import { decode, decodeStatus } from "./decode/decode.ts";
import { newInstruction } from "./decode/instruction.ts";
import { invalidRow } from "./decode/opcode-map.ts";
import type { MicroTemplate } from "./ir/micro.ts";
import { verify } from "./ir/verify.ts";
import { PureTemplates } from "./javascript/pure-templates.ts";
import { tierZeroCode } from "./javascript/tier0.ts";
import { lift } from "./lift/index.ts";
import { describeShape, type Shape, shapeKey, shapeOf, writeFields } from "./lift/shape.ts";

/** More than any instruction has. */
const maximumFields = 24;

export class JavaScriptTranslator implements Translator {
  length = 0;
  readonly fields = new Int32Array(maximumFields);
  /** The instruction last decoded; overwritten by the next. */
  readonly instruction = newInstruction(invalidRow);
  readonly pureTemplates = new PureTemplates();
  private readonly numbers = new Map<number, number>();
  private readonly shapes: Shape[] = [];
  private readonly templates: (MicroTemplate | undefined)[] = [];
  private readonly codes: (ShapeCode | undefined)[] = [];

  get shapeCount(): number {
    return this.shapes.length;
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

  shape(number: number): ShapeCode {
    let code = this.codes[number];
    if (code === undefined) {
      const shape = this.shapes[number];
      code = tierZeroCode(shape, this.template(number), this.pureTemplates, describeShape(shape));
      this.codes[number] = code;
    }
    return code;
  }

  region(request: RegionRequest): RegionCode | undefined {
    void request;
    return undefined;
  }
}
