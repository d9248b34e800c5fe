/** One machine from switching on to switching off, and everything around it that the page asked for. */
import { DEMO_INTERACTIVE, demoImage } from "../../demo/image.ts";
import { createMachine, type Machine } from "../../machine/machine.ts";
import { type Drive, type Drives, MachineError, type MachineOptions } from "../../machine/options.ts";
import type { ExitInfo } from "../../machine/types.ts";
import type { DiskImage } from "../../storage/index.ts";
import type { FromWorker, MachineSetup, PowerState, ToWorker } from "../protocol.ts";
import { Frames } from "./frames.ts";
import { HotPlaces } from "./hot-places.ts";
import { type ImageEvents, openDrive, readWhole } from "./images.ts";
import { describeProblem } from "./problems.ts";
import { SerialOutput } from "./serial-output.ts";
import { Speedometer } from "./speed.ts";
import { TranslatorView } from "./translator-view.ts";

const frameInterval = 1000 / 60;
const reportInterval = 500;
const hotInterval = 1500;
const bootMenuWait = 8000;

export class Session {
  private readonly post: (message: FromWorker) => void;
  private readonly serial: SerialOutput;
  private readonly samples = new HotPlaces();
  private readonly speed = new Speedometer();
  private readonly images: DiskImage[] = [];
  private readonly activity = new Map<string, { read: number; written: number }>();
  private machine: Machine | undefined;
  private frames: Frames | undefined;
  private view: TranslatorView | undefined;
  private hasDisplay = false;
  private state: PowerState = "off";
  private running: Promise<void> | undefined;
  private frameTimer: ReturnType<typeof setInterval> | undefined;
  private reportTimer: ReturnType<typeof setInterval> | undefined;
  private hotTimer: ReturnType<typeof setInterval> | undefined;

  constructor(post: (message: FromWorker) => void) {
    this.post = post;
    this.serial = new SerialOutput((bytes) => post({ kind: "serial", bytes }));
  }

  async handle(message: ToWorker): Promise<void> {
    const { machine } = this;
    switch (message.kind) {
      case "switchOn":
        return this.switchOn(message.setup);
      case "pause":
        return machine?.pause();
      case "resume":
        return this.resume();
      case "reset":
        return this.reset();
      case "switchOff":
        return this.switchOff();
      case "flush":
        return this.flush();
      case "serial":
        return machine?.serial.write(message.text);
      case "key":
        return this.key(message.code, message.isDown);
      case "chord":
        return machine?.keyboard.press(...message.codes);
      case "type":
        return machine?.keyboard.type(message.text);
      case "mouseMove":
        if (message.dx !== 0 || message.dy !== 0) machine?.mouse.move(message.dx, message.dy);
        if (message.notches !== 0) machine?.mouse.wheel(message.notches);
        return;
      case "mouseButton":
        return machine?.mouse.button(message.button, message.isDown);
      case "frameDrawn":
        return this.frames?.drawn(message.buffer);
      case "serialShown":
        return this.serial.shown();
      case "watchTranslator":
        return this.watch(message.isWatched);
      case "inspect":
        if (this.view) this.post({ kind: "inspected", place: this.view.inspect(message.address) });
        return;
      case "screenshot":
        if (machine) this.post({ kind: "screenshot", png: machine.screen.png() });
        return;
    }
  }

  private async switchOn(setup: MachineSetup): Promise<void> {
    this.setState("starting");
    try {
      const options = await this.options(setup);
      const machine = createMachine({ ...options, sampler: this.samples });
      this.machine = machine;
      this.hasDisplay = setup.kernel === undefined || setup.vga === true;
      this.frames = new Frames(machine.screen, {
        frame: (frame) => this.post({ kind: "frame", ...frame }),
        text: (lines) => this.post({ kind: "screenText", lines }),
      });
      this.view = new TranslatorView(machine, this.samples);
      for (const message of machine.warnings) this.post({ kind: "warning", message });
      machine.on("serial", (bytes) => this.serial.add(bytes));
      this.resume();
    } catch (error) {
      await this.closeImages();
      this.setState("off", describeProblem(error));
    }
  }

  private async options(setup: MachineSetup): Promise<MachineOptions> {
    const events: ImageEvents = {
      download: (name, progress, isWhole) => this.post({ kind: "download", name, ...progress, isWhole }),
      activity: (place, read, written) => this.noteActivity(place, read, written),
    };
    const file = async (name: "initrd" | "bios" | "vgaBios") => (setup[name] ? { [name]: await readWhole(setup[name], events) } : {});
    const { kernel } = setup;
    if (kernel === "demo") return { kernel: { name: "demo", bytes: demoImage() }, append: DEMO_INTERACTIVE, memory: setup.memory };
    const drives: { -readonly [K in keyof Drives]: Drives[K] } = {};
    const virtio: Drive[] = [];
    for (const request of setup.drives) {
      const { drive, image, description } = await openDrive(request, events);
      this.images.push(image);
      for (const warning of description.warnings) this.post({ kind: "warning", message: `${drive.name}: ${warning}` });
      if (request.place === "virtio") virtio.push(drive);
      else drives[request.place] = drive;
    }
    return {
      memory: setup.memory,
      drives: { ...drives, virtio },
      ...(setup.boot === undefined ? {} : { boot: setup.boot }),
      ...(setup.bootMenu === true ? { bootMenu: { wait: bootMenuWait } } : {}),
      ...(kernel === undefined
        ? { ...(await file("bios")), ...(await file("vgaBios")) }
        : {
            kernel: await readWhole(kernel, events),
            append: setup.append ?? "",
            ...(await file("initrd")),
            ...(setup.vga === true ? { vga: true, ...(await file("vgaBios")) } : {}),
          }),
    };
  }

  private key(code: string, isDown: boolean): void {
    const keyboard = this.machine?.keyboard;
    try {
      if (isDown) keyboard?.down(code);
      else keyboard?.up(code);
    } catch (error) {
      // People have keys that no PC keyboard of the time had: the guest does not hear of them.
      if (!(error instanceof MachineError)) throw error;
    }
  }

  // ---- running ----

  private resume(): void {
    const { machine } = this;
    if (!machine || this.running || machine.ended) return;
    this.setState("running");
    this.frameTimer = setInterval(() => this.frames?.tick(performance.now()), frameInterval);
    this.reportTimer = setInterval(() => this.report(), reportInterval);
    this.running = machine.run().then(
      (exit) => this.stopped(exit),
      (error: unknown) => this.stopped({ reason: "destroyed" }, describeProblem(error)),
    );
  }

  private stopped(exit: ExitInfo, problem?: string): void {
    this.running = undefined;
    clearInterval(this.frameTimer);
    clearInterval(this.reportTimer);
    if (this.state === "off") return;
    this.frames?.tick(performance.now());
    this.report();
    if (problem !== undefined) this.setState("ended", problem);
    else if (exit.reason === "paused") this.setState("paused");
    else if (exit.reason !== "destroyed") {
      this.setState("ended", describeEnd(exit));
      this.flush().catch((error: unknown) => this.post({ kind: "error", message: describeProblem(error) }));
    }
  }

  private async reset(): Promise<void> {
    const { machine } = this;
    if (!machine) return;
    machine.pause();
    await this.running;
    machine.reset();
    this.resume();
  }

  private async switchOff(): Promise<void> {
    this.machine?.pause();
    await this.running;
    clearInterval(this.hotTimer);
    this.machine?.destroy();
    this.machine = undefined;
    let problem: string | undefined;
    await this.closeImages().catch((error: unknown) => {
      problem = describeProblem(error);
    });
    this.setState("off", problem);
  }

  // ---- drives ----

  private async flush(): Promise<void> {
    for (const image of this.images) await image.flush();
  }

  /** All of them, whatever becomes of the others. */
  private async closeImages(): Promise<void> {
    const results = await Promise.allSettled(this.images.splice(0).map(async (image) => image.close()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }

  private noteActivity(place: string, read: number, written: number): void {
    if (this.activity.size === 0) setTimeout(() => this.reportActivity(), 100);
    const entry = this.activity.get(place) ?? { read: 0, written: 0 };
    entry.read += read;
    entry.written += written;
    this.activity.set(place, entry);
  }

  private reportActivity(): void {
    this.post({ kind: "drives", activity: Array.from(this.activity, ([place, counts]) => ({ place, ...counts })) });
    this.activity.clear();
  }

  // ---- reports ----

  private report(): void {
    if (this.machine) this.post({ kind: "speed", report: this.speed.report(this.machine) });
  }

  private watch(isWatched: boolean): void {
    clearInterval(this.hotTimer);
    if (!isWatched) return;
    this.hotTimer = setInterval(() => this.reportHot(), hotInterval);
    this.reportHot();
  }

  private reportHot(): void {
    if (this.view) this.post({ kind: "hot", places: this.view.hottest() });
  }

  private setState(state: PowerState, why?: string): void {
    this.state = state;
    this.post({ kind: "state", state, hasDisplay: this.hasDisplay, ...(why === undefined ? {} : { why }) });
  }
}

function describeEnd(exit: ExitInfo): string {
  switch (exit.reason) {
    case "power-off":
      return "the guest powered off";
    case "reset":
      return "the guest asked for a reset";
    case "debug-exit":
      return `the guest ended with the value ${exit.value}`;
    case "triple-fault":
      return "triple fault: an exception while delivering a double fault";
    default:
      return exit.reason;
  }
}
