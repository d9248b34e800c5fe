/**
 * What the writers of expressions share. Each extends the one before: conditions.ts, vector-expressions.ts, calls.ts, arithmetic.ts, expressions.ts. What all of them have others push is
 * abstract here.
 */
import type { Expression } from "estree";
import type { ArrayPlace } from "../contract/wasm.ts";
import { Emitter } from "./emitter.ts";
import type { WasmHost } from "./host.ts";
import { literalOf, Names, Refused, type Type } from "./names.ts";

export abstract class TreeWriter extends Emitter {
  protected readonly host: WasmHost;
  protected names: Names;

  /** @param parameters names of the int32 parameters */
  constructor(host: WasmHost, parameters: readonly string[]) {
    super(parameters.length);
    this.host = host;
    this.names = new Names(host, parameters, []);
  }

  /** Pushes the value modulo 2^32. */
  protected abstract int(e: Expression): void;
  /** Pushes a double. */
  protected abstract double(e: Expression): void;
  /** Pushes the value as it is. */
  protected abstract value(e: Expression): Type;

  protected place(array: string): ArrayPlace {
    const place = this.host.arrays[array];
    if (place === undefined) throw new Refused(`array ${array}`);
    return place;
  }

  /** The number that an expression is known to be. */
  protected constantOf(e: Expression): number | undefined {
    return e.type === "Identifier" ? this.names.of(e.name).constant : literalOf(e);
  }
}
