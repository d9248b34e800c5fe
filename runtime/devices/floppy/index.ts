/** Floppy disk controller, drives and media. */
export { FloppyController, type FloppyOptions } from "./controller.ts";
export { type FloppyMedium, FloppyMediumError, floppyMedium } from "./drive.ts";
export type { FloppyTiming } from "./execution.ts";
export {
  driveTraits,
  type FloppyDriveType,
  type FloppyFormat,
  type FloppyLayout,
  FloppySizeError,
  floppyCmos,
  floppyDriveFor,
  floppyFormat,
  floppyFormats,
  formatBytes,
} from "./formats.ts";
