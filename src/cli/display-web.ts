/**
 * `--display web`: the machine of this process on the page that a browser opens at the address printed. The drives are the command's own; the page has the screen, keyboard,
 * mouse, serial line, the switches and the translator's panel. The run ends as with any other display; a page that closes ends nothing.
 */
import { basename } from "node:path";
import type { Machine, RunControl } from "../machine/machine.ts";
import type { MediaChanger } from "../machine/media-changer.ts";
import type { Drive, Drives, EmptyDrive } from "../machine/options.ts";
import type { Sampler } from "../machine/sampler.ts";
import type { ExitInfo } from "../machine/types.ts";
import { ServeError } from "../web/host/listen.ts";
import { openRemoteMedium } from "../web/remote/media.ts";
import { RemoteServer } from "../web/remote/remote-server.ts";
import { HotPlaces } from "../web/session/hot-places.ts";
import { MachineSession } from "../web/session/machine-session.ts";
import { watched } from "../web/session/watched-drive.ts";
import type { RunOptions } from "./arguments.ts";
import { openPageFolder, type PageFolder } from "./display-web-page.ts";
import { UsageError } from "./error.ts";

const defaultHost = "127.0.0.1";
/** What pages get to draw the last frame. */
const lastLook = 300;

export interface ShowOptions {
  readonly machine: Machine;
  readonly media: MediaChanger;
  readonly hasDisplay: boolean;
  /** The power button. */
  readonly leave: () => void;
}

export class WebDisplay {
  readonly #samples = new HotPlaces();
  readonly #page: PageFolder;
  readonly #server: RemoteServer;
  readonly #name: string;
  #session: MachineSession | undefined;

  /** Builds the page if need be, and takes the address. Errors: `UsageError`. */
  static async open(options: RunOptions): Promise<WebDisplay> {
    const page = await openPageFolder();
    try {
      const names = { host: "--web-host", port: "--web-port" };
      const address = { host: options.webHost ?? defaultHost, port: options.webPort ?? 0, options: names };
      return new WebDisplay(page, await RemoteServer.open({ folder: page.folder, ...address }), nameOf(options));
    } catch (error) {
      await page.close();
      if (error instanceof ServeError) throw new UsageError(error.message);
      throw error;
    }
  }

  private constructor(page: PageFolder, server: RemoteServer, name: string) {
    this.#page = page;
    this.#server = server;
    this.#name = name;
  }

  get url(): string {
    return this.#server.url;
  }

  /** For the machine; tells the other one as well. */
  sampler(other: Sampler | undefined): Sampler {
    const samples = this.#samples;
    if (other === undefined) return samples;
    return {
      sliceEnded(R, inRegion, retired) {
        samples.sliceEnded(R, inRegion, retired);
        other.sliceEnded(R, inRegion, retired);
      },
    };
  }

  /** The same drives, with lights. */
  watch(drives: Drives): Drives {
    const watch = <D extends Drive | EmptyDrive>(drive: D, place: string): D => {
      if (drive.storage === null) return drive;
      return { ...drive, storage: watched(drive.storage, (read, written) => this.#session?.noteActivity(place, read, written)) };
    };
    const { virtio = [], ...placed } = drives;
    const entries = Object.entries(placed).flatMap(([place, drive]) => (drive === undefined ? [] : [[place, watch(drive, place)] as const]));
    return { ...Object.fromEntries(entries), virtio: virtio.map((drive, k) => watch(drive, virtio.length === 1 ? "virtio" : `virtio ${k}`)) };
  }

  /** From here on pages see the machine. */
  show({ machine, media, hasDisplay, leave }: ShowOptions): void {
    const { uploads } = this.#server;
    const session: MachineSession = new MachineSession({
      ...{ machine, media, hasDisplay, samples: this.#samples },
      openMedium: async (place, source) => {
        const onProgress = (name: string, progress: { readonly received: number; readonly size: number }): void =>
          session.broadcast({ kind: "download", name, ...progress, isWhole: false });
        const medium = await openRemoteMedium(place, source, { uploads, onProgress });
        return { ...medium, storage: watched(medium.storage, (read, written) => session.noteActivity(place, read, written)) };
      },
    });
    this.#session = session;
    for (const message of machine.warnings) session.remember({ kind: "warning", message });
    machine.on("warning", (message) => session.broadcast({ kind: "warning", message }));
    this.#server.show({ session, name: this.#name, switchOff: leave });
  }

  /** As `Machine.run`, with pauses and resets in between as pages ask for them. */
  run(control: Pick<RunControl, "timeout">): Promise<ExitInfo> {
    return this.#session!.power.run(control);
  }

  /** Makes `run` return with reason "paused". */
  stop(): void {
    this.#session?.power.stop();
  }

  /** Pages are shown the last frame and told that this is the end. */
  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session) {
      await session.settle(lastLook);
      session.power.off();
    }
    await this.#server.close();
    await this.#page.close();
  }
}

/** What the page calls the machine. */
function nameOf({ kernel, drives, bios }: RunOptions): string {
  return basename(drives.find(({ path }) => path !== "")?.path ?? kernel ?? bios ?? "xlat86");
}
