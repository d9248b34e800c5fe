/**
 * The machine: the one place where CPU, memory, devices, translator and boot loader are put together, and what a program sees of
 * them. Guest code runs in slices, and the host's event loop gets a turn after each, so that input arrives and other machines run;
 * a halted guest sleeps until its next timer or until input.
 */

import { Cpu } from "../../runtime/cpu/cpu.ts";
import { HostClock, type MachineClock, VirtualClock } from "../../runtime/devices/clock.ts";
import type { StopReason } from "../../runtime/execute/dispatcher.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import type { ModeKey } from "../../translator/contract/mode-key.ts";
import { slot } from "../../translator/contract/slots.ts";
import type { JavaScriptTranslator } from "../../translator/index.ts";
import { planBoot } from "../boot/detect.ts";
import { describeSize } from "../boot/error.ts";
import type { BootPlan, GuestFile } from "../boot/plan.ts";
import { Board, type BoardSignals } from "./board.ts";
import { allowBranchHints } from "./branch-hints.ts";
import { Engine } from "./engine.ts";
import { Events, type Listener } from "./events.ts";
import { Firmware } from "./firmware.ts";
import { GuestMemory } from "./guest-memory.ts";
import { hostTurn, Sleeper } from "./host.ts";
import { IdleLoops } from "./idle-loops.ts";
import { applyCpuState } from "./initial-state.ts";
import { type BiosKeyBuffer, Keyboard } from "./keyboard.ts";
import { InterruptGate, Lockstep } from "./lockstep.ts";
import { Mouse } from "./mouse.ts";
import { MachineError, type MachineOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import { Registers } from "./registers.ts";
import { RemovableDrives } from "./removable-drives.ts";
import { type MachineParts, restoreMachine, type SavedMachine, saveMachine } from "./saved-machine.ts";
import { Screen } from "./screen.ts";
import { SerialLog } from "./serial-log.ts";
import type { BlockInfo, ExitInfo, MachineEvents, MachineStats } from "./types.ts";
import type { WaitOptions } from "./wait.ts";

/** Host time between two turns of the host's event loop. */
const sliceMilliseconds = 10;
/** Nanoseconds that are not worth a turn of the host's event loop, which takes as long. */
const briefWait = 20_000;
/** Below this a sleep would overshoot more than it saves: host timers tick in milliseconds. */
const shortestSleep = 0.2;
const statsInterval = 1000;

export interface RunControl {
  /** Host seconds after which `run` returns with reason "timeout". */
  readonly timeout?: number;
  /** Guest instructions after which it does so too; blocks are not split, so a few more may retire. */
  readonly instructions?: number;
}

export interface SerialPort {
  /** Sends bytes (or a string as UTF-8) to the guest; they wait until its receiver takes them. */
  write(data: Uint8Array | string): void;
  /** How many bytes wait: for programs that would send without end to a guest that does not listen. */
  waiting(): number;
}

/** Builds a machine and loads its kernel. Errors: `MachineError`, `BootError`; nothing is left behind then. */
export function createMachine(options: MachineOptions): Machine {
  return new Machine(resolveOptions(options));
}

/**
 * A machine that `lockstep` drives instead of `run`. Errors: as for `createMachine`.
 * @internal
 */
export function createLockstepMachine(options: Omit<MachineOptions, "clock">): Machine & { readonly lockstep: Lockstep } {
  return new Machine(resolveOptions({ ...options, clock: "virtual" }), true) as Machine & { readonly lockstep: Lockstep };
}

export class Machine {
  readonly registers: Registers;
  readonly memory: GuestMemory;
  readonly serial: SerialPort;
  readonly screen: Screen;
  readonly keyboard: Keyboard;
  readonly mouse: Mouse;
  /** Floppy and CD drives, and what is in them. */
  readonly drives: RemovableDrives;
  /** What the kernel asked for and does not get, and what is odd about a drive. What comes later is the event "warning". */
  readonly warnings: readonly string[];

  readonly #options: ResolvedOptions;
  readonly #events = new Events<MachineEvents>();
  readonly #sleeper = new Sleeper();
  readonly #serialLog = new SerialLog();
  readonly #clock: MachineClock;
  readonly #physical: PhysicalMemory;
  readonly #cpu: Cpu;
  readonly #board: Board;
  readonly #engine: Engine;
  readonly #idleLoops: IdleLoops | undefined;
  /** How the kernel is started; undefined where a BIOS does it. */
  readonly #directBoot: DirectBoot | undefined;
  #exit: ExitInfo | undefined;
  #state: "ready" | "running" | "destroyed" = "ready";
  #pauseRequested = false;
  #hostSeconds = 0;
  #idleSeconds = 0;
  #runStarted = 0;
  /** In lockstep: the instructions that guest time has taken note of. */
  #time = 0;
  /** Instructions that a restored machine had retired before, less those that this one had. */
  #instructionsBefore = 0;
  /**
   * Runs the guest in steps that other machines can follow; only there if the machine was made for that.
   * @internal
   */
  readonly lockstep: Lockstep | undefined;

  /** Use `createMachine`. */
  constructor(options: ResolvedOptions, inLockstep = false) {
    allowBranchHints();
    this.#options = options;
    this.#directBoot = options.kernel && planDirectBoot(options.kernel, options);
    const warnings = [...(this.#directBoot?.plan.warnings ?? [])];
    this.warnings = warnings;

    this.#physical = allocate(options.memory, Board.deviceBytes(options));
    const instructions = inLockstep ? () => this.#time : () => this.#engine?.instructions ?? 0;
    const virtualTime = (): number => instructions() + this.#instructionsBefore;
    this.#clock =
      options.clock === "host" ? new HostClock(() => performance.now()) : new VirtualClock(virtualTime, options.nanosecondsPerInstruction);
    const signals: BoardSignals = {
      // Devices drive their lines while they are built, before there is a CPU.
      interrupt: () => {
        this.#cpu?.requestAttention();
        // A transfer that waited for the host may have ended while the guest is halted.
        this.#sleeper.wakeIfAsleep();
      },
      gateA20: (open) => this.#setA20(open),
      exit: (exit) => this.#stop(exit),
      serial: (bytes) => {
        this.#serialLog.add(bytes);
        this.#events.emit("serial", bytes);
      },
      warning: (message) => {
        if (this.#engine === undefined) warnings.push(message);
        else this.#events.emit("warning", message);
      },
      ...(options.debug?.categories.includes("firmware") ? { firmware: (line: string) => options.debug?.write("firmware", line) } : {}),
    };
    this.#board = new Board(this.#physical, this.#clock, signals, options);
    const gate = new InterruptGate();
    this.#cpu = new Cpu(inLockstep ? gate.gate(this.#board.cpuBoard) : this.#board.cpuBoard);
    this.#engine = new Engine(this.#cpu, this.#clock, options, inLockstep);
    this.lockstep = inLockstep ? this.#lockstep(gate) : undefined;
    this.#idleLoops = this.#watchForIdleLoops();
    this.registers = new Registers(this.#cpu);
    this.memory = new GuestMemory(this.#physical, this.#cpu);
    const wake = (): void => this.#sleeper.wake();
    this.screen = new Screen(this.#board.display);
    this.keyboard = new Keyboard({
      keyboard: this.#board.keyboard,
      isControllerIdle: () => this.#board.keyboardController.idle,
      clock: this.#clock,
      biosBuffer: () => biosKeyBuffer(this.#physical),
      wake,
    });
    this.mouse = new Mouse(this.#board.mouse, wake);
    this.drives = new RemovableDrives(this.#board.drives, options.drives);
    this.serial = {
      write: (data) => {
        this.#board.serial.receive(typeof data === "string" ? new TextEncoder().encode(data) : data);
        this.#sleeper.wake();
      },
      waiting: () => this.#board.serial.waiting,
    };
    this.#boot();
  }

  #lockstep(gate: InterruptGate): Lockstep {
    return new Lockstep({
      cpu: this.#cpu,
      board: this.#board,
      engine: this.#engine,
      clock: this.#clock as VirtualClock,
      gate,
      setTime: (instructions) => {
        this.#time = instructions;
      },
      hasEnded: () => this.#exit !== undefined,
      shutDown: () => this.#tripleFault(),
      hasRegions: this.#options.engine === "translate" && !this.#options.disable.has("regions"),
    });
  }

  /** Not with virtual time, which each time around the loop moves, nor for who watches what is executed. */
  #watchForIdleLoops(): IdleLoops | undefined {
    const { clock, disable, debug } = this.#options;
    if (clock === "virtual" || disable.has("idle") || debug) return undefined;
    const loops = new IdleLoops({ cpu: this.#cpu, physical: this.#physical, clock: this.#clock, engine: this.#engine });
    this.#physical.writtenFromOutside = () => {
      loops.outsideWrites++;
      this.#sleeper.wakeIfAsleep();
    };
    return loops;
  }

  on<K extends keyof MachineEvents>(name: K, listener: Listener<MachineEvents[K]>): this {
    this.#events.on(name, listener);
    return this;
  }

  off<K extends keyof MachineEvents>(name: K, listener: Listener<MachineEvents[K]>): this {
    this.#events.off(name, listener);
    return this;
  }

  /**
   * Resolves to what the guest sent on serial port 0, up to and with the first match of `pattern` after the last one waited for. Waits while the machine
   * runs; rejects after `timeout` host seconds (60 if not told) or when the run ends, with the last lines in the message.
   */
  waitForSerial(pattern: string | RegExp, options: WaitOptions = {}): Promise<string> {
    return this.#serialLog.waitFor(pattern, options);
  }

  /**
   * Runs until the guest ends, `pause` is called or the timeout is over. After "paused" and "timeout" it can be called again; after any
   * other reason only once `reset` was called. Errors: `MachineError` when it is running already or destroyed.
   */
  async run(control: RunControl = {}): Promise<ExitInfo> {
    for (const name of ["timeout", "instructions"] as const) {
      const limit = control[name];
      if (limit !== undefined && !(typeof limit === "number" && limit >= 0)) {
        throw new MachineError(`run: ${name}: expected a number from 0 up, found ${String(limit)}`);
      }
    }
    this.#claim();
    this.#runStarted = performance.now();
    const end = control.timeout === undefined ? Number.POSITIVE_INFINITY : this.#runStarted + control.timeout * 1000;
    const clock = this.#clock;
    if (clock instanceof HostClock) clock.resume();
    try {
      const exit = await this.#loop(end, this.#engine.instructions + (control.instructions ?? Number.POSITIVE_INFINITY));
      if (exit.reason !== "paused") this.#endWaiting(exit);
      this.#events.emit("exit", exit);
      return exit;
    } finally {
      if (clock instanceof HostClock) clock.pause();
      this.#hostSeconds += (performance.now() - this.#runStarted) / 1000;
      if (this.#state === "running") this.#state = "ready";
    }
  }

  /** Makes `run` return with reason "paused" after the current slice. */
  pause(): void {
    this.#pauseRequested = this.#state === "running";
    this.#sleeper.wake();
  }

  /** Executes `count` guest instructions here and now; fewer when the guest ends or halts. Returns how it ended, if it did. */
  step(count = 1): ExitInfo | undefined {
    this.#claim();
    const clock = this.#clock;
    if (clock instanceof HostClock) clock.resume();
    try {
      for (let i = 0; i < count && !this.#exit; i++) {
        const result = this.#engine.step();
        if (result === "shutdown") this.#tripleFault();
        this.#rebootIfAsked();
        if (result === "halted") break;
      }
      this.#board.flush();
      if (this.#exit) this.#events.emit("exit", this.#exit);
      return this.#exit;
    } finally {
      if (clock instanceof HostClock) clock.pause();
      this.#state = "ready";
    }
  }

  /** Power-on again with the same images. Errors: `MachineError` while running. */
  reset(): void {
    this.#requirePaused("reset");
    this.keyboard.clear();
    this.#powerOn(true);
  }

  /**
   * The machine as a value that `restore` takes, of this machine or of another one built from the same options: memory, CPU, devices and guest time. What is on its
   * drives is not in it. Errors: `MachineError` while running.
   */
  save(): SavedMachine {
    this.#requirePaused("save");
    this.#board.flush();
    return saveMachine(this.#parts(), this.#engine.instructions + this.#instructionsBefore);
  }

  /** Takes up what `save` returned. Drives must hold what they held then. Errors: `MachineError` while running, and for a state of another machine. */
  restore(saved: SavedMachine): void {
    this.#requirePaused("restore");
    this.keyboard.clear();
    restoreMachine(this.#parts(), saved);
    this.#instructionsBefore = saved.instructions - this.#engine.instructions;
    this.#time = this.#engine.instructions;
    this.#engine.reset();
    this.#idleLoops?.forget();
    this.#exit = undefined;
  }

  #parts(): MachineParts {
    return { cpu: this.#cpu, physical: this.#physical, clock: this.#clock, board: this.#board, clockKind: this.#options.clock };
  }

  /** Stops for good and drops listeners and code. A `run` under way returns with reason "destroyed". */
  destroy(): void {
    if (this.#state === "destroyed") return;
    const wasRunning = this.#state === "running";
    this.#state = "destroyed";
    this.#endWaiting(this.#exit ?? { reason: "destroyed" });
    this.keyboard.close();
    this.screen.close();
    this.#serialLog.close();
    this.#engine.close();
    this.#sleeper.wake();
    if (!wasRunning) this.#events.clear();
  }

  /** The mode bits code is translated for now (translator/contract/mode-key.ts). */
  get mode(): ModeKey {
    return this.#cpu.R[slot.mode];
  }

  /** How the guest ended, if it did. */
  get ended(): ExitInfo | undefined {
    return this.#exit;
  }

  /**
   * A translator like the machine's own, for a look at what it does.
   * @internal
   */
  newTranslator(): JavaScriptTranslator {
    return this.#engine.newTranslator();
  }

  get running(): boolean {
    return this.#state === "running";
  }

  /** Blocks known to the translator, most executed first. */
  blocks(): BlockInfo[] {
    return this.#engine.blocks();
  }

  stats(): MachineStats {
    const running = this.#state === "running" ? (performance.now() - this.#runStarted) / 1000 : 0;
    return {
      engine: this.#options.engine,
      clock: this.#options.clock,
      x87: this.#options.x87,
      ...this.#engine.stats(),
      tlbMisses: this.#cpu.memory.misses,
      siteMisses: this.#cpu.memory.siteMisses,
      tlbFlushes: this.#cpu.memory.flushes,
      hostSeconds: this.#hostSeconds + running,
      idleSeconds: this.#idleSeconds,
      idleLoops: this.#idleLoops?.found ?? 0,
      guestSeconds: this.#clock.now() / 1e9,
    };
  }

  async #loop(end: number, lastInstruction: number): Promise<ExitInfo> {
    let lastTurn = performance.now();
    let nextStats = lastTurn + statsInterval;
    for (;;) {
      if (this.#state === "destroyed") return { reason: "destroyed" };
      if (this.#exit) return this.#exit;
      if (this.#pauseRequested) return { reason: "paused" };
      const now = performance.now();
      if (now >= end || this.#engine.instructions >= lastInstruction) return { reason: "timeout" };
      if (now >= nextStats) {
        nextStats = now + statsInterval;
        if (this.#events.has("stats")) this.#events.emit("stats", this.stats());
      }
      const result = this.#runSlice(lastInstruction);
      this.#board.flush();
      this.screen.poll();
      if (result === "shutdown") this.#tripleFault();
      this.#rebootIfAsked();
      if (this.#exit) continue;
      if (result === "halted") {
        if (this.#waitsBriefly(lastTurn)) continue;
        await this.#idle(end);
      } else await hostTurn();
      lastTurn = performance.now();
    }
  }

  /** A guest that waits in a loop is as good as halted, where nobody counts its instructions. */
  #runSlice(lastInstruction: number): StopReason {
    const loops = lastInstruction === Number.POSITIVE_INFINITY ? this.#idleLoops : undefined;
    if (loops?.goesOn()) return "halted";
    const result = this.#engine.run(sliceMilliseconds, Math.min(lastInstruction - this.#engine.instructions, loops?.slice ?? lastInstruction));
    return result === "slice" && loops?.isFound() ? "halted" : result;
  }

  /** Waits here for a deadline that is nearer than the host's event loop could take us to. False: it is not, or the host has waited long enough for its turn. */
  #waitsBriefly(lastTurn: number): boolean {
    const clock = this.#clock;
    if (clock instanceof VirtualClock) return false;
    const deadline = clock.nextDeadline();
    if (deadline - clock.now() > briefWait || performance.now() - lastTurn > sliceMilliseconds) return false;
    while (clock.now() < deadline);
    return true;
  }

  /** The guest halted: until its next deadline nothing can happen but input. */
  async #idle(end: number): Promise<void> {
    const clock = this.#clock;
    const deadline = clock.nextDeadline();
    if (clock instanceof VirtualClock && deadline !== Number.POSITIVE_INFINITY) {
      clock.skipTo(deadline);
      return hostTurn();
    }
    const started = performance.now();
    const wait = Math.min((deadline - clock.now()) / 1e6, end - started);
    if (wait < shortestSleep) return hostTurn();
    await this.#sleeper.sleep(wait);
    this.#idleSeconds += (performance.now() - started) / 1000;
  }

  /** Where there is a BIOS the reset vector leads to it, and nothing is left to do. */
  #boot(): void {
    if (!this.#directBoot) return;
    const { firmware, plan } = this.#directBoot;
    this.#board.handOver();
    for (const { address, bytes } of [...firmware.writes, ...plan.writes]) this.#physical.writeBytes(address, bytes);
    applyCpuState(this.#cpu, plan.cpu);
  }

  #setA20(open: boolean): void {
    const mask = open ? -1 : ~(1 << 20);
    // Before there is a CPU the gate does not matter: `handOver` opens it.
    if (!this.#cpu || this.#cpu.walker.a20Mask === mask) return;
    this.#cpu.walker.a20Mask = mask;
    this.#cpu.memory.flush(true);
  }

  /** What people wait for will not come, and nobody reads what they typed. */
  #endWaiting(exit: ExitInfo): void {
    const why = `the run ended (${exit.reason})`;
    this.screen.ended(why);
    this.#serialLog.ended(why);
    if (exit.reason !== "timeout") this.keyboard.clear();
  }

  /** The guest has asked for a reset, or shut its CPU down, which resets a PC as well: RAM stays as it is where a BIOS starts again. */
  #rebootIfAsked(): void {
    const reason = this.#exit?.reason;
    if (this.#options.onReset !== "reboot" || this.lockstep || (reason !== "reset" && reason !== "triple-fault")) return;
    this.#events.emit("reset", this.#exit!);
    this.#powerOn(this.#directBoot !== undefined);
  }

  #powerOn(clearsRam: boolean): void {
    this.#exit = undefined;
    if (clearsRam) this.#physical.clearRam();
    this.#board.reset();
    this.#engine.reset();
    this.#idleLoops?.forget();
    this.#cpu.reset();
    this.#boot();
  }

  #stop(exit: ExitInfo): void {
    this.#exit ??= exit;
    this.#engine.stop();
  }

  #tripleFault(): void {
    this.#exit ??= { reason: "triple-fault", state: this.registers.describe() };
  }

  #requirePaused(what: string): void {
    if (this.#state === "running") throw new MachineError(`${what}: the machine is running; pause it first`);
    if (this.#state === "destroyed") throw new MachineError(`${what}: the machine is destroyed`);
  }

  #claim(): void {
    if (this.#state !== "ready") throw new MachineError(`run: the machine is ${this.#state === "running" ? "running already" : "destroyed"}`);
    if (this.#exit) throw new MachineError(`run: the guest ended (${this.#exit.reason}); call reset to start it again`);
    this.#state = "running";
    this.#pauseRequested = false;
  }
}

/** IBM PC/AT BIOS data area, 40:1Ah: offsets of the first key and of the place behind the last. */
function biosKeyBuffer(physical: PhysicalMemory): BiosKeyBuffer {
  const [headLow, headHigh, tailLow, tailHigh] = physical.readBytes(0x41a, 4);
  return { head: headLow! | (headHigh! << 8), tail: tailLow! | (tailHigh! << 8) };
}

interface DirectBoot {
  readonly firmware: Firmware;
  readonly plan: BootPlan;
}

function planDirectBoot(kernel: GuestFile, options: ResolvedOptions): DirectBoot {
  const firmware = new Firmware(options.memory, options.vga);
  const plan = planBoot({
    kernel,
    ...(options.initrd ? { initrd: options.initrd } : {}),
    append: options.append,
    modules: options.modules,
    memorySize: options.memory,
    memoryMap: firmware.memoryMap,
    rsdp: firmware.rsdp,
    hasTextScreen: options.vga,
  });
  return { firmware, plan };
}

function allocate(size: number, deviceBytes: number): PhysicalMemory {
  try {
    return new PhysicalMemory(size, deviceBytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new MachineError(`memory: this host cannot provide ${describeSize(size)} in one ArrayBuffer; ask for less`);
  }
}
