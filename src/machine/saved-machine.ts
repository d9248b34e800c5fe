/**
 * The whole machine as a value: CPU, memory, devices and guest time, to be kept and taken up again by a machine built from the same options. What is on drives is
 * not in it (images are the caller's to keep as they are), nor is translated code, which is made anew. A structured clone of it is as good, so it can be sent to a
 * worker or put into IndexedDB.
 *
 * Order matters when it is restored: the clock before the devices, whose timers it disarms; devices before the CPU, because they map memory and drive lines on the way.
 */
import type { Cpu } from "../../runtime/cpu/cpu.ts";
import type { MachineClock } from "../../runtime/devices/clock.ts";
import type { SavedState } from "../../runtime/devices/device.ts";
import type { PhysicalMemory } from "../../runtime/memory/physical.ts";
import type { Board } from "./board.ts";
import { MachineError } from "./options.ts";

/** Changes when what is in it does. */
const format = 1;

export interface SavedMachine {
  readonly format: number;
  /** What the machine is made of; one that it is restored into must be the same. */
  readonly machine: {
    readonly memory: number;
    readonly deviceMemory: number;
    readonly clock: "host" | "virtual";
    readonly devices: readonly string[];
  };
  /** Guest instructions retired. */
  readonly instructions: number;
  readonly memory: SavedState;
  readonly clock: SavedState;
  readonly board: SavedState;
  readonly cpu: SavedState;
}

export interface MachineParts {
  readonly cpu: Cpu;
  readonly physical: PhysicalMemory;
  readonly clock: MachineClock;
  readonly board: Board;
  readonly clockKind: "host" | "virtual";
}

function describe({ physical, board, clockKind }: MachineParts): SavedMachine["machine"] {
  return {
    ...{ memory: physical.size, deviceMemory: physical.bytes - physical.size, clock: clockKind },
    devices: board.deviceNames(),
  };
}

export function saveMachine(parts: MachineParts, instructions: number): SavedMachine {
  const { cpu, physical, clock, board } = parts;
  const states = { memory: physical.save(), clock: clock.save(), board: board.save(), cpu: cpu.save() };
  return { format, machine: describe(parts), instructions, ...states };
}

/** Errors: `MachineError` for a state of another machine; nothing has changed then. */
export function restoreMachine(parts: MachineParts, saved: SavedMachine): void {
  if (saved?.format !== format)
    throw new MachineError(`restore: expected what save() of this version returned (format ${format}), found ${saved?.format}`);
  const own = describe(parts);
  for (const name of ["memory", "deviceMemory", "clock"] as const) {
    if (saved.machine[name] !== own[name]) {
      throw new MachineError(
        `restore: ${name}: the saved machine had ${saved.machine[name]}, this one has ${own[name]}; build it from the same options`,
      );
    }
  }
  const [missing, more] = [without(saved.machine.devices, own.devices), without(own.devices, saved.machine.devices)];
  if (missing.length + more.length > 0) {
    const differences = [...missing.map((name) => `without ${name}`), ...more.map((name) => `with ${name} too`)];
    throw new MachineError(`restore: this machine is ${differences.join(", ")}; build it from the same options`);
  }
  const { cpu, physical, clock, board } = parts;
  clock.restore(saved.clock);
  physical.restore(saved.memory);
  board.restore(saved.board);
  cpu.restore(saved.cpu);
}

function without(names: readonly string[], others: readonly string[]): string[] {
  return names.filter((name) => !others.includes(name));
}
