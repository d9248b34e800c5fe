/**
 * ESTree to text. By itself astring appends piece to piece, which leaves a string that V8 keeps as a tree of its pieces, ten times the size of the text.
 * Text made here is kept for as long as the code is, so it is joined once.
 */
import { generate } from "astring";

export function print(node: Parameters<typeof generate>[0]): string {
  const pieces: string[] = [];
  const output = { write: (piece: string) => void pieces.push(piece) };
  // All that astring uses of a stream is `write`.
  generate(node, { output: output as never });
  return pieces.join("");
}
