/** xlat86: whole x86 guests in Node.js and browsers, by translating guest machine code to JavaScript. */
export { BootError, type BootProblem } from "./boot/error.ts";
export type { GuestFile } from "./boot/plan.ts";
export { inspectAt, inspectHottest } from "./inspector/machine.ts";
export { type RenderOptions, renderText } from "./inspector/render.ts";
export type {
  InspectedBlock,
  InspectedExit,
  InspectedHandler,
  InspectedInstruction,
  InspectedMicroBlock,
  InspectedPass,
  InspectedRegion,
} from "./inspector/types.ts";
export { createMachine, type Machine, type RunControl, type SerialPort } from "./machine/machine.ts";
export {
  type DebugCategory,
  debugCategories,
  type GuestImage,
  MachineError,
  type MachineOptions,
  type ModuleOptions,
} from "./machine/options.ts";
export { type RegisterName, registerNames, type SegmentInfo } from "./machine/registers.ts";
export type { BlockInfo, ExitInfo, MachineEvents, MachineStats, PortCount, RegionInfo, VmExitCount } from "./machine/types.ts";
