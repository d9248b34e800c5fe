/** Small pieces every device's `save` and `restore` share. */
import type { Timer } from "./device.ts";

/** The deadline as a value JSON can hold: null when the timer is not armed. */
export function savedDeadline(timer: Timer): number | null {
  return timer.deadline === Number.POSITIVE_INFINITY ? null : timer.deadline;
}

export function restoreDeadline(timer: Timer, deadline: number | null): void {
  if (deadline === null) timer.cancel();
  else timer.at(deadline);
}
