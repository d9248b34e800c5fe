// What samples of memory over time say: does it stay, or grow?
//
// The rule: the first 30 % of the time are warm-up. Over the rest a straight line is fitted (least squares); memory GROWS when, along that line, it would grow
// over the rest by more than 5 % of its mean. A saw tooth of garbage collection has no slope, a leak has one.

export interface Sample {
  /** Seconds since the start. */
  readonly at: number;
  readonly value: number;
}

export interface Verdict {
  readonly first: number;
  readonly last: number;
  readonly most: number;
  /** Of the fitted line, a minute. */
  readonly perMinute: number;
  /** Growth along the line over the time judged, as a part of the mean. */
  readonly growth: number;
  readonly grows: boolean;
}

const warmUp = 0.3;
const tolerated = 0.05;
/** Fewer samples have no slope worth the name. */
const fewest = 5;

/** Null for too few samples to judge. */
export function judge(samples: readonly Sample[]): Verdict | null {
  const end = samples.at(-1)?.at ?? 0;
  const judged = samples.filter(({ at }) => at >= warmUp * end);
  if (judged.length < fewest) return null;
  const mean = (f: (s: Sample) => number): number => judged.reduce((sum, s) => sum + f(s), 0) / judged.length;
  const at = mean((s) => s.at);
  const value = mean((s) => s.value);
  const slope = mean((s) => (s.at - at) * (s.value - value)) / mean((s) => (s.at - at) ** 2);
  const growth = value === 0 ? 0 : (slope * (end - judged[0].at)) / value;
  return {
    first: judged[0].value,
    last: judged[judged.length - 1].value,
    most: Math.max(...judged.map((s) => s.value)),
    perMinute: slope * 60,
    growth,
    grows: growth > tolerated,
  };
}
