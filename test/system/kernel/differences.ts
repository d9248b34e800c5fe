/** Where this CPU and Bochs may differ, each with the reason why neither is wrong or why Bochs is. */
export interface Difference {
  readonly lines: RegExp;
  readonly why: string;
  /** Whether our outcome `ours` in place of Bochs' `theirs` is this difference. */
  readonly allows: (ours: string, theirs: string) => boolean;
}

export const differences: readonly Difference[] = [
  {
    lines: /^limit up full /,
    why:
      "an access that wraps at 4 GiB in a segment whose limit is 4 GiB: implementation-specific (SDM vol. 3, 5.3); flat code makes no check here, so " +
      "it goes through everywhere",
    allows: (ours, theirs) => ours.startsWith("06(00)") && /^0[cd]\(00\)@c\+00$/.test(theirs),
  },
  {
    lines: /^debug .* tf at /,
    why:
      "a single-step trap where the next instruction has a breakpoint: the trap on the previous instruction comes first and alone (SDM vol. 3, table 6-2); " +
      "Bochs reports both in DR6",
    allows: (ours, theirs) => ours.replace(/4000$/, "4001") === theirs,
  },
  {
    lines: /^task field 14 ring 0 type 97$/,
    why: "a double fault is an abort, not a fault: RF is not set in the saved EFLAGS (SDM vol. 3, 17.3.1.1)",
    allows: (ours, theirs) => ours.replace(/\/02$/, "/00010002") === theirs,
  },
];
