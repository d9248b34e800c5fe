/** Writes to an image until it is killed or the host is full: writer.ts IMAGE SEED. What it is about to do goes to standard output first, at once. */
import { writeSync } from "node:fs";
import { StorageError } from "../../src/storage/index.ts";
import { openImageFile } from "../../src/storage/node.ts";
import { Random } from "../fuzz/random.ts";
import { randomRequest } from "./requests.ts";

const [path, seed] = process.argv.slice(2);
const disk = await openImageFile(path!);
const places = new Random(Number(seed), 1);
const contents = new Random(Number(seed));
const say = (text: string): void => {
  writeSync(1, `${text}\n`);
};
try {
  for (;;) {
    const { offset, length } = randomRequest(places, disk.size);
    say(`write ${offset} ${length}`);
    await disk.write(offset, contents.bytes(length));
    if (!places.once(6)) continue;
    await disk.flush();
    say("flushed");
  }
} catch (error) {
  if (!(error instanceof StorageError)) throw error;
  say(error.kind);
  process.exit(3);
}
