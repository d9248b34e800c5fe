/** Captures vectors.bin.br from this machine's CPU: `node test/float/capture.ts`. */
import { buildHardware, runHardware } from "./hardware.ts";
import { vectorGroups, writeVectors } from "./vectors.ts";

const built = buildHardware();
if ("reason" in built) {
  console.error(`cannot capture: ${built.reason}`);
  process.exit(2);
}
const size = writeVectors(vectorGroups.map((g) => runHardware(built.program, g.make(g.seed, g.count, g.codes))));
console.log(`${vectorGroups.reduce((n, g) => n + g.count, 0)} cases, ${size} bytes`);
