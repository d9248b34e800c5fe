/** What the machine did since the last look, from its counters. */
import type { Machine } from "../../machine/machine.ts";
import type { MachineStats } from "../../machine/types.ts";
import type { SpeedReport } from "../protocol.ts";

const exitsShown = 8;

export class Speedometer {
  private last: MachineStats | undefined;

  report(machine: Machine): SpeedReport {
    const stats = machine.stats();
    const { last } = this;
    // The counters begin anew with a reset.
    const before = last !== undefined && last.instructions <= stats.instructions ? last : undefined;
    this.last = stats;
    const since = (count: (stats: MachineStats) => number): number => count(stats) - (before === undefined ? 0 : count(before));
    const seconds = Math.max(
      since((s) => s.hostSeconds),
      1e-6,
    );
    const instructions = since((s) => s.instructions);
    const exitsBefore = new Map(before?.exits.map(({ reason, total }) => [reason, total]));
    const exits = stats.exits.map(({ reason, total }) => ({ reason, total, perSecond: (total - (exitsBefore.get(reason) ?? 0)) / seconds }));
    return {
      instructions: stats.instructions,
      perSecond: instructions / seconds,
      tierZeroShare: share(
        since((s) => s.tierZeroInstructions),
        instructions,
      ),
      idleShare: share(
        since((s) => s.idleSeconds),
        seconds,
      ),
      tierZeroShareOfAll: share(stats.tierZeroInstructions, stats.instructions),
      blocks: stats.blocks,
      regions: stats.regions,
      backgroundRegions: stats.backgroundRegions,
      regionsLive: stats.regionsLive,
      regionTextLength: stats.regionTextLength,
      regionSeconds: stats.regionSeconds,
      regionShare: share(stats.regionSeconds, stats.hostSeconds),
      codeCacheShare: share(stats.codeCacheBytes, stats.codeCacheCapacity),
      invalidations: stats.invalidations,
      guestSeconds: stats.guestSeconds,
      exits: exits.sort((a, b) => b.perSecond - a.perSecond || b.total - a.total).slice(0, exitsShown),
      lights: machine.keyboard.lights,
    };
  }
}

const share = (part: number, whole: number): number => (whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0);
