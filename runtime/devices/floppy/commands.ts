/** The 82077AA's command set (datasheet 290166, table 5-1): how many bytes each command takes and which of the first byte's bits are options. */

export type CommandName =
  | "readData"
  | "readDeletedData"
  | "writeData"
  | "writeDeletedData"
  | "readTrack"
  | "verify"
  | "version"
  | "formatTrack"
  | "scanEqual"
  | "scanLowOrEqual"
  | "scanHighOrEqual"
  | "recalibrate"
  | "senseInterrupt"
  | "specify"
  | "senseDrive"
  | "configure"
  | "seek"
  | "relativeSeek"
  | "dumpRegisters"
  | "readId"
  | "perpendicular"
  | "lock";

export interface Command {
  readonly name: CommandName;
  readonly code: number;
  /** Bits of the first byte that are options, not code. */
  readonly options: number;
  /** Bytes that follow the first. */
  readonly parameters: number;
}

/** Options in the first byte. */
export const option = { multiTrack: 0x80, mfm: 0x40, skip: 0x20, lock: 0x80, inwards: 0x40 } as const;

const { multiTrack, mfm, skip, lock, inwards } = option;

export const commands: readonly Command[] = [
  { name: "readTrack", code: 0x02, options: mfm | skip, parameters: 8 },
  { name: "specify", code: 0x03, options: 0, parameters: 2 },
  { name: "senseDrive", code: 0x04, options: 0, parameters: 1 },
  { name: "writeData", code: 0x05, options: multiTrack | mfm, parameters: 8 },
  { name: "readData", code: 0x06, options: multiTrack | mfm | skip, parameters: 8 },
  { name: "recalibrate", code: 0x07, options: 0, parameters: 1 },
  { name: "senseInterrupt", code: 0x08, options: 0, parameters: 0 },
  { name: "writeDeletedData", code: 0x09, options: multiTrack | mfm, parameters: 8 },
  { name: "readId", code: 0x0a, options: mfm, parameters: 1 },
  { name: "readDeletedData", code: 0x0c, options: multiTrack | mfm | skip, parameters: 8 },
  { name: "formatTrack", code: 0x0d, options: mfm, parameters: 5 },
  { name: "dumpRegisters", code: 0x0e, options: 0, parameters: 0 },
  { name: "seek", code: 0x0f, options: 0, parameters: 2 },
  { name: "version", code: 0x10, options: 0, parameters: 0 },
  { name: "scanEqual", code: 0x11, options: multiTrack | mfm | skip, parameters: 8 },
  { name: "perpendicular", code: 0x12, options: 0, parameters: 1 },
  { name: "configure", code: 0x13, options: 0, parameters: 3 },
  { name: "lock", code: 0x14, options: lock, parameters: 0 },
  { name: "verify", code: 0x16, options: multiTrack | mfm | skip, parameters: 8 },
  { name: "scanLowOrEqual", code: 0x19, options: multiTrack | mfm | skip, parameters: 8 },
  { name: "scanHighOrEqual", code: 0x1d, options: multiTrack | mfm | skip, parameters: 8 },
  { name: "relativeSeek", code: 0x8f, options: inwards, parameters: 2 },
];

const byFirstByte: readonly (Command | null)[] = Array.from(
  { length: 256 },
  (_, byte) => commands.find(({ code, options }) => (byte & ~options) === code) ?? null,
);

/** The command a first byte begins; null for an invalid one. */
export function commandOf(firstByte: number): Command | null {
  return byFirstByte[firstByte];
}
