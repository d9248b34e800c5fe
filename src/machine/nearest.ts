/** What somebody who mistyped a name may have meant. */

/** The candidate within two edits (one for a short word), or undefined. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const limit = word.length < 4 ? 1 : 2;
  const ranked = candidates.map((c) => [editDistance(word, c), c] as const).sort(([a], [b]) => a - b);
  return ranked[0] && ranked[0][0] <= limit ? ranked[0][1] : undefined;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
