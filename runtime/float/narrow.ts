/**
 * Results as doubles, for a unit whose registers hold doubles (docs/X87.md, "Doubles instead"). An operation that rounds to nearest is carried out to 64 bits towards zero,
 * with its last bit set if anything was cut off ("round to odd"); rounding that to a double gives what rounding once would have given, since 64 >= 53 + 2 (Boldo and
 * Melquiond, "When double rounding is odd", 2005). Directed rounding may be done twice anyway.
 */
import { extendDouble, toDouble } from "./convert.ts";
import {
  exception as exceptionImported,
  type FloatUnit,
  isUnsupported,
  precisionControl as precisionControlImported,
  roundingControl as roundingControlImported,
} from "./unit.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const exception = exceptionImported;
const precisionControl = precisionControlImported;
const roundingControl = roundingControlImported;

const masks = 0x3f;

/** Before an operation that rounds. @returns the control word, for `endDouble` */
export function beginDouble(f: FloatUnit): number {
  const { control } = f;
  if (f.isDouble) {
    // Masked responses: the exponent's range is the wider one, and too large or too small is judged when the result is made a double.
    f.control = control | masks;
    if ((control & roundingControl.mask) === roundingControl.nearest) f.control |= precisionControl.extended | roundingControl.zero;
  }
  return control;
}

export function endDouble(f: FloatUnit, control: number): void {
  if (!f.isDouble) return;
  const wasOdd = (control & roundingControl.mask) !== (f.control & roundingControl.mask);
  f.control = control;
  const hasValue = (f.signExponent & 0x7fff) !== 0x7fff;
  if (wasOdd && hasValue && (f.flags & exception.precision) !== 0 && (f.low | f.high) !== 0) f.low |= 1;
  roundToDouble(f);
}

/** Rounds the unit's result to the nearest double, or as the control word says; underflow and overflow are noted, with the masked response. */
export function roundToDouble(f: FloatUnit): void {
  const { low, high, signExponent, control, flags } = f;
  const exponent = signExponent & 0x7fff;
  // NaNs keep their payload, and what is no number at all stays so: the first instruction that computes with it says what it thinks of it.
  if (exponent === 0x7fff || (low | high) === 0 || isUnsupported(high, signExponent)) return;
  if (high < 0 && (low & 0x7ff) === 0 && exponent >= 0x3fff - 1022 && exponent <= 0x3fff + 1023) return;
  f.control = control | masks;
  toDouble(f, low, high, signExponent);
  f.control = control;
  const raised = f.flags;
  extendDouble(f, f.low, f.high);
  // That a result is denormal is not an operand's denormal exception.
  f.flags = raised | flags;
}
