import { join } from "node:path";
import { expect, test } from "vitest";
import { sensitiveDocument } from "../../src/inspector/sensitive-document.ts";
import { root } from "../architecture/source.ts";

test("docs/SENSITIVE.md is what the rows say (-u writes it anew)", async () => {
  await expect(sensitiveDocument()).toMatchFileSnapshot(join(root, "docs/SENSITIVE.md"));
});
