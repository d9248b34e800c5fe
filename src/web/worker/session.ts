/** The machine of a worker's page, from switching on to switching off: it is made as the page asks, of images that the browser has. */
import { DEMO_INTERACTIVE, demoImage } from "../../demo/image.ts";
import { createMachine, type Machine } from "../../machine/machine.ts";
import { MediaChanger } from "../../machine/media-changer.ts";
import type { Drive, Drives, MachineOptions } from "../../machine/options.ts";
import type { DiskImage } from "../../storage/index.ts";
import type { FromHost, MachineSetup, ToHost } from "../protocol.ts";
import type { Client } from "../session/client.ts";
import { HotPlaces } from "../session/hot-places.ts";
import { MachineSession } from "../session/machine-session.ts";
import { describeProblem } from "../session/problems.ts";
import { type ImageEvents, openDrive, openMedium, readWhole } from "./images.ts";

const bootMenuWait = 8000;

/** A worker of this worker's, where browsers have such. */
const regionWorker: Pick<MachineOptions, "regionWorker"> =
  typeof Worker === "undefined" ? {} : { regionWorker: () => new Worker("region-worker.js", { type: "module", name: "xlat86 regions" }) };

interface MachineThatIsOn {
  readonly machine: Machine;
  readonly session: MachineSession;
  readonly client: Client;
  /** Settles when it does not run any more; it may be run again. */
  running: Promise<void>;
}

export class WorkerSession {
  private readonly post: (message: FromHost) => void;
  private readonly images = new Map<string, DiskImage>();
  private on: MachineThatIsOn | undefined;
  private readonly events: ImageEvents = {
    download: (name, progress, isWhole) => this.post({ kind: "download", name, ...progress, isWhole }),
    activity: (place, read, written) => this.on?.session.noteActivity(place, read, written),
  };

  constructor(post: (message: FromHost) => void) {
    this.post = post;
  }

  async handle(message: ToHost): Promise<void> {
    switch (message.kind) {
      case "switchOn":
        return this.switchOn(message.setup);
      case "switchOff":
        return this.switchOff();
      case "flush":
        return this.flush();
      case "reset":
        return this.reset();
      default:
        return this.on?.client.handle(message);
    }
  }

  private async switchOn(setup: MachineSetup): Promise<void> {
    const hasDisplay = setup.kernel === undefined || setup.vga === true;
    this.post({ kind: "state", state: "starting", hasDisplay });
    try {
      const options = await this.options(setup);
      const samples = new HotPlaces();
      const machine = createMachine({ ...options, sampler: samples, ...regionWorker });
      const media = new MediaChanger(machine.drives, (place) => this.closeImage(place));
      const session = new MachineSession({
        ...{ machine, samples, media, hasDisplay },
        openMedium: (place, source) => openMedium(place, source, this.events),
      });
      const client = session.attach({ post: this.post, isRemote: false });
      for (const message of machine.warnings) this.post({ kind: "warning", message });
      this.on = { machine, session, client, running: Promise.resolve() };
      this.run(this.on);
    } catch (error) {
      await this.closeImages();
      this.post({ kind: "state", state: "off", hasDisplay, why: describeProblem(error) });
    }
  }

  private async options(setup: MachineSetup): Promise<MachineOptions> {
    const { events } = this;
    const file = async (name: "initrd" | "bios" | "vgaBios") => (setup[name] ? { [name]: await readWhole(setup[name], events) } : {});
    const { kernel } = setup;
    if (kernel === "demo") return { kernel: { name: "demo", bytes: demoImage() }, append: DEMO_INTERACTIVE, memory: setup.memory };
    // A PC has a CD drive, whether there is a CD in it or not; so has QEMU's.
    const drives: { -readonly [K in keyof Drives]: Drives[K] } = kernel === undefined ? { hdc: { storage: null, media: "cdrom" } } : {};
    const virtio: Drive[] = [];
    for (const request of setup.drives) {
      const { drive, image, description } = await openDrive(request, events);
      this.images.set(request.place === "virtio" ? `virtio ${virtio.length}` : request.place, image);
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

  // ---- running ----

  private run(on: MachineThatIsOn): void {
    on.running = on.session.power.run().then(
      (exit) => {
        // The guest is over: what it wrote is brought to where it stays.
        if (exit.reason !== "paused") this.flush().catch((error: unknown) => this.complain(error));
      },
      (error: unknown) => on.session.power.failed(describeProblem(error)),
    );
  }

  /** A guest that has ended begins anew as well. */
  private async reset(): Promise<void> {
    const { on } = this;
    if (!on) return;
    const hasEnded = on.session.power.state === "ended";
    on.session.power.reset();
    if (!hasEnded) return;
    await on.running;
    this.run(on);
  }

  private async switchOff(): Promise<void> {
    const { on } = this;
    on?.session.power.stop();
    await on?.running;
    this.on = undefined;
    on?.machine.destroy();
    let problem: string | undefined;
    const results = await Promise.allSettled([on?.session.media.close(), this.closeImages()]);
    for (const result of results) if (result.status === "rejected") problem ??= describeProblem(result.reason);
    on?.session.power.off(problem);
    on?.session.close();
    // Before it was on at all.
    if (!on) this.post({ kind: "state", state: "off", hasDisplay: false, ...(problem === undefined ? {} : { why: problem }) });
  }

  // ---- drives ----

  private async flush(): Promise<void> {
    for (const image of this.images.values()) await image.flush();
  }

  private async closeImage(place: string): Promise<void> {
    const image = this.images.get(place);
    this.images.delete(place);
    await image?.close();
  }

  /** All of them, whatever becomes of the others. */
  private async closeImages(): Promise<void> {
    const results = await Promise.allSettled([...this.images.keys()].map((place) => this.closeImage(place)));
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }

  private complain(error: unknown): void {
    this.post({ kind: "error", message: describeProblem(error) });
  }
}
