/** xlat86: whole x86 guests in Node.js and browsers, by translating guest machine code to JavaScript. */

export { type OptimisationName, optimisations } from "../translator/contract/optimisations.ts";
export { BootError, type BootProblem } from "./boot/error.ts";
export type { GuestFile } from "./boot/plan.ts";
export { type BisectOptions, type BisectResult, bisect, type Difference, type Parting, type Verdict } from "./inspector/bisect.ts";
export { renderBisection } from "./inspector/bisect-report.ts";
export { inspectAt, inspectHottest } from "./inspector/machine.ts";
export { type CpuProfile, GuestTrace, guestProfile } from "./inspector/profile.ts";
export { type RenderOptions, renderText } from "./inspector/render.ts";
export { type GuestSymbol, readSymbols, Symbols } from "./inspector/symbols.ts";
export type {
  InspectedBlock,
  InspectedExit,
  InspectedHandler,
  InspectedInstruction,
  InspectedMicroBlock,
  InspectedPass,
  InspectedRegion,
} from "./inspector/types.ts";
export type { Keyboard } from "./machine/keyboard.ts";
export { createMachine, type Machine, type RunControl, type SerialPort } from "./machine/machine.ts";
export type { Mouse, MouseButton } from "./machine/mouse.ts";
export {
  type DebugCategory,
  type Drive,
  type Drives,
  debugCategories,
  type EmptyDrive,
  type GuestImage,
  MachineError,
  type MachineOptions,
  type ModuleOptions,
} from "./machine/options.ts";
export type { RegionWorker, RegionWorkerEvent } from "./machine/region-worker.ts";
export { type RegisterName, registerNames, type SegmentInfo } from "./machine/registers.ts";
export type { Medium, RemovableDrive, RemovableDrives, RemovablePlace } from "./machine/removable-drives.ts";
export type { Sampler } from "./machine/sampler.ts";
export type { SavedMachine } from "./machine/saved-machine.ts";
export type { Screen, ScreenCell, ScreenText } from "./machine/screen.ts";
export type { BlockInfo, ExitInfo, MachineEvents, MachineStats, PortCount, RegionInfo, VmExitCount } from "./machine/types.ts";
export type { WaitOptions } from "./machine/wait.ts";
export { type DiskImage, type ImageDescription, MemoryStore, type OpenImageOptions, openImage, StorageError } from "./storage/index.ts";
