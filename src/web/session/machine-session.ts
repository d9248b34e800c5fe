/**
 * One machine that is on, and the pages that look at it. While nobody does, nothing is drawn, counted or sent. It runs where the guest runs, between slices of guest time,
 * in a worker and in Node alike; what opens images there is the host's.
 */
import type { Machine } from "../../machine/machine.ts";
import type { MediaChanger, OpenMedium } from "../../machine/media-changer.ts";
import type { DrivePlace, FromHost, MediumSource } from "../protocol.ts";
import { Client, type ClientOptions } from "./client.ts";
import type { HotPlaces } from "./hot-places.ts";
import { Picture } from "./picture.ts";
import { Power } from "./power.ts";
import { SerialHistory } from "./serial-history.ts";
import { Speedometer } from "./speed.ts";
import { TranslatorView } from "./translator-view.ts";

const frameInterval = 1000 / 60;
const textInterval = 500;
const reportInterval = 500;
const hotInterval = 1500;
const activityInterval = 100;
/** Of the time, at most one part in so many goes into drawing. */
const restPerWork = 4;

export interface SessionHost {
  readonly machine: Machine;
  readonly samples: HotPlaces;
  readonly media: MediaChanger;
  readonly hasDisplay: boolean;
  /** Errors: `StorageError`. */
  openMedium(place: DrivePlace, source: MediumSource): Promise<OpenMedium>;
}

export class MachineSession {
  readonly machine: Machine;
  readonly power: Power;
  readonly media: MediaChanger;
  readonly picture: Picture;
  readonly translator: TranslatorView;
  private readonly host: SessionHost;
  private readonly clients = new Set<Client>();
  private readonly history = new SerialHistory();
  private readonly speed = new Speedometer();
  private readonly remembered: FromHost[] = [];
  private readonly activity = new Map<string, { read: number; written: number }>();
  private why: string | undefined;
  private frameTimer: ReturnType<typeof setInterval> | undefined;
  private reportTimer: ReturnType<typeof setInterval> | undefined;
  private hotTimer: ReturnType<typeof setInterval> | undefined;
  private notBefore = 0;
  private textNotBefore = 0;
  private textVersion = -1;
  private lines: readonly string[] = [];

  constructor(host: SessionHost) {
    const { machine, media, samples } = host;
    this.host = host;
    this.machine = machine;
    this.media = media;
    this.power = new Power(machine, (_, why) => this.stateChanged(why));
    this.picture = new Picture(machine.screen);
    this.translator = new TranslatorView(machine, samples);
    media.onChange(() => this.broadcast(this.mediaReport()));
    machine.on("serial", (bytes) => {
      this.history.add(bytes);
      for (const { serial } of this.clients) serial.add(bytes);
    });
  }

  /** A page that looks on from now; it is shown how things stand. */
  attach(options: ClientOptions): Client {
    const client = new Client(this, options);
    this.clients.add(client);
    client.post(this.stateReport());
    client.post(this.mediaReport());
    for (const message of this.remembered) client.post(message);
    const { bytes } = this.history;
    if (bytes.length > 0) client.serial.add(bytes);
    this.setTimers();
    this.show();
    return client;
  }

  /** Use `Client.close`. */
  detach(client: Client): void {
    this.clients.delete(client);
    this.watchersChanged();
    this.setTimers();
  }

  broadcast(message: FromHost): void {
    for (const client of this.clients) client.post(message);
  }

  /** For the pages that come later as well. */
  remember(message: FromHost): void {
    this.remembered.push(message);
    this.broadcast(message);
  }

  /** Gives pages `milliseconds` to draw the last frame. */
  async settle(milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    for (;;) {
      this.show();
      const isShown = [...this.clients].every(({ frames }) => frames.isFree);
      if (isShown || performance.now() >= end) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  reset(): void {
    this.power.reset();
  }

  /** Returns what the person should know of the medium. Errors: `StorageError`, `MachineError`. */
  insert(place: DrivePlace, source: MediumSource): Promise<string[]> {
    return this.media.insert(place, () => this.host.openMedium(place, source));
  }

  /** Brings up to date those pages that have drawn what they were sent. */
  show(now = performance.now()): void {
    const free = [...this.clients].filter(({ frames }) => frames.isFree);
    if (free.length === 0) return;
    this.picture.update(now);
    for (const { frames } of free) frames.show();
    this.notBefore = now + restPerWork * (performance.now() - now);
    this.showText(now);
  }

  noteActivity(place: string, read: number, written: number): void {
    if (this.clients.size === 0) return;
    if (this.activity.size === 0) setTimeout(() => this.reportActivity(), activityInterval);
    const entry = this.activity.get(place) ?? { read: 0, written: 0 };
    entry.read += read;
    entry.written += written;
    this.activity.set(place, entry);
  }

  watchersChanged(): void {
    const isWatched = [...this.clients].some(({ watchesTranslator }) => watchesTranslator);
    if (!isWatched) {
      clearInterval(this.hotTimer);
      this.hotTimer = undefined;
    } else if (this.hotTimer === undefined) {
      this.hotTimer = setInterval(() => this.reportHot(), hotInterval);
      this.reportHot();
    }
  }

  /** Nothing is shown any more. */
  close(): void {
    for (const client of [...this.clients]) client.close();
  }

  // ---- reports ----

  private stateChanged(why: string | undefined): void {
    this.why = why;
    const { state } = this.power;
    if (state === "paused" || state === "ended") {
      this.textNotBefore = 0;
      this.show();
      this.report();
    }
    this.broadcast(this.stateReport());
    this.setTimers();
  }

  private stateReport(): FromHost {
    const { why } = this;
    return { kind: "state", state: this.power.state, hasDisplay: this.host.hasDisplay, ...(why === undefined ? {} : { why }) };
  }

  private mediaReport(): FromHost {
    const drives = this.media.list().map(({ place, kind, medium }) => ({ place, kind, ...(medium === undefined ? {} : { medium }) }));
    return { kind: "media", drives };
  }

  /** They go while the guest runs and somebody looks. */
  private setTimers(): void {
    const isShown = this.clients.size > 0 && this.power.state === "running";
    if (isShown && this.frameTimer === undefined) {
      this.frameTimer = setInterval(() => this.tick(performance.now()), frameInterval);
      this.reportTimer = setInterval(() => this.report(), reportInterval);
    } else if (!isShown) {
      clearInterval(this.frameTimer);
      clearInterval(this.reportTimer);
      this.frameTimer = this.reportTimer = undefined;
    }
  }

  private tick(now: number): void {
    if (now >= this.notBefore) this.show(now);
  }

  /** For people who do not see the canvas: text is much less often looked at than pixels are. */
  private showText(now: number): void {
    if (now >= this.textNotBefore && this.textVersion !== this.picture.version) {
      this.textNotBefore = now + textInterval;
      this.textVersion = this.picture.version;
      this.lines = this.machine.screen.text();
    }
    for (const client of this.clients) client.showText(this.lines);
  }

  private report(): void {
    if (this.clients.size > 0) this.broadcast({ kind: "speed", report: this.speed.report(this.machine) });
  }

  private reportHot(): void {
    const places = this.translator.hottest();
    for (const client of this.clients) if (client.watchesTranslator) client.post({ kind: "hot", places });
  }

  private reportActivity(): void {
    this.broadcast({ kind: "drives", activity: Array.from(this.activity, ([place, counts]) => ({ place, ...counts })) });
    this.activity.clear();
  }
}
