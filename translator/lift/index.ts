/** All lifts by row name, and the one function that turns a shape into micro-ops. */
import type { MicroTemplate } from "../ir/micro.ts";
import { arithmeticLifts } from "./arithmetic.ts";
import { Builder, type LiftFunction } from "./builder.ts";
import { controlFlowLifts } from "./control-flow.ts";
import { dataTransferLifts } from "./data-transfer.ts";
import { decimalLifts } from "./decimal.ts";
import { logicLifts } from "./logic.ts";
import type { Shape } from "./shape.ts";
import { shiftLifts } from "./shifts.ts";
import { simdLifts } from "./simd/index.ts";
import { stringLifts } from "./strings.ts";
import { systemLifts } from "./system.ts";
import { x87Lifts } from "./x87.ts";

export const lifts: Readonly<Record<string, LiftFunction>> = {
  ...dataTransferLifts,
  ...arithmeticLifts,
  ...logicLifts,
  ...shiftLifts,
  ...stringLifts,
  ...controlFlowLifts,
  ...decimalLifts,
  ...systemLifts,
  ...x87Lifts,
  ...simdLifts,
};

/** The meaning of an instruction of this shape. @param hasVectors XMM registers as a whole, and not word by word */
export function lift(shape: Shape, hasVectors = false): MicroTemplate {
  const b = new Builder(shape, hasVectors);
  const f = lifts[shape.row.name];
  if (f === undefined) throw new Error(`no lift for ${shape.row.name} ${shape.row.operands}`);
  f(b, shape);
  return b.finish();
}
