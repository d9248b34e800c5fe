/** Several regions in one module: each is a function of its own, with its own links, and what is not for WebAssembly leaves the others alone. */
import { expect, it } from "vitest";
import { usualRequest } from "../../src/machine/tier-request.ts";
import * as js from "../../translator/javascript/estree.ts";
import { regionsModule } from "../../translator/wasm/module.ts";

const { layout } = usualRequest();
const links = js.returnStatement(js.binary("+", js.identifier("L"), js.identifier("p")));
const nothingForWasm = js.returnStatement(js.call("nobodyKnowsThis", []));

it("each function has its own links; one that is refused is missing", () => {
  const codes = [links, nothingForWasm, links, links].map((s, k) => ({ code: { name: `f${k}`, statements: [s] }, links: 1000 * k }));
  const { bytes, imports, shapes } = regionsModule(codes, layout);
  expect(shapes).toEqual([0, 2, 3]);
  expect(imports).toEqual([]);
  const names = WebAssembly.Module.exports(new WebAssembly.Module(bytes)).map(({ name }) => name);
  expect(names).toEqual(["r0", "r2", "r3"]);
  const memory = new WebAssembly.Memory({ initial: layout.pages, maximum: layout.pages });
  const table = new WebAssembly.Table({ initial: layout.tableSize, maximum: layout.tableSize, element: "anyfunc" });
  const run = new WebAssembly.Instance(new WebAssembly.Module(bytes), { m: { memory, table } }).exports as Record<string, (p: number) => number>;
  expect([run.r0(7), run.r2(7), run.r3(7)]).toEqual([7, 2007, 3007]);
});
