/** Puts the page together: what the person does goes to the machine, what the machine says is shown. */
import { assetsFile, type WebAssets } from "../assets.ts";
import type { FromHost, MachineSetup, PowerState } from "../protocol.ts";
import { byId, describeBytes, make, saveFile } from "./dom.ts";
import { KeyboardInput } from "./keyboard-input.ts";
import type { MachineHost } from "./machine-host.ts";
import { MediaDialog } from "./media-dialog.ts";
import { Notices } from "./notices.ts";
import { OnScreenKeys } from "./on-screen-keys.ts";
import { PointerInput } from "./pointer-input.ts";
import { loadPreferences, type Preferences, savePreferences } from "./preferences.ts";
import { RemoteHost } from "./remote-host.ts";
import { ScreenView } from "./screen-view.ts";
import { demoSetup, SetupDialog } from "./setup-dialog.ts";
import { TerminalView } from "./terminal-view.ts";
import { millions, TranslatorPanel } from "./translator-panel.ts";
import { WorkerHost } from "./worker-host.ts";

const lightMilliseconds = 150;
const wordsForState: Readonly<Record<PowerState, string>> = {
  starting: "starting",
  running: "running",
  paused: "paused",
  ended: "ended",
  off: "off",
};

class Page {
  private readonly notices = new Notices();
  /** The server says so where the machine is a process of its own. */
  private readonly isRemote = document.documentElement.dataset["host"] === "remote";
  private readonly host: MachineHost = this.isRemote
    ? new RemoteHost((message) => this.receive(message))
    : new WorkerHost((message) => this.receive(message));
  private readonly screen = new ScreenView((buffer) => this.host.send({ kind: "frameDrawn", buffer }, [buffer]));
  private readonly terminal = new TerminalView((text) => this.host.send({ kind: "serial", text }));
  private readonly panel = new TranslatorPanel((address) => this.host.send({ kind: "inspect", address }));
  private readonly setup = new SetupDialog((setup) => void this.switchOn(setup));
  private readonly media = new MediaDialog({
    insert: (place, source) => this.host.send({ kind: "insert", place, source }),
    eject: (place, force) => this.host.send({ kind: "eject", place, force }),
    ...(this.isRemote ? {} : { boot: (files) => void this.place(files, (setup) => this.switchOn(setup)) }),
  });
  private readonly lights = new Map<string, { element: HTMLElement; timer: ReturnType<typeof setTimeout> | undefined }>();
  private preferences: Preferences = loadPreferences();
  private current: MachineSetup = demoSetup;
  private name = "";
  private isWatched = false;
  private isNew = false;

  constructor() {
    this.listenToControls();
    this.listenToInput();
    this.listenToFiles();
    this.showPreferences();
    // Somebody looks at the translator only while its card is on view.
    new IntersectionObserver((entries) => {
      const isWatched = entries.at(-1)!.isIntersecting;
      this.isWatched = isWatched;
      this.host.send({ kind: "watchTranslator", isWatched });
    }).observe(byId("translator-card"));
    if (this.isRemote) {
      byId("setup-open").hidden = true;
      byId("drop-text").textContent = "Drop to insert: CD or floppy";
    } else {
      void this.switchOn(demoSetup);
      void this.loadAssets();
    }
  }

  private async loadAssets(): Promise<void> {
    try {
      const response = await fetch(assetsFile);
      if (response.ok) this.setup.setAssets((await response.json()) as WebAssets);
    } catch {
      // A page without a server's help: people bring their own files.
    }
  }

  private async switchOn(setup: MachineSetup): Promise<void> {
    this.current = setup;
    this.notices.clear();
    this.showName(setup.name);
    await this.host.switchOn?.(setup);
    this.clear();
    this.showDisplay(setup.kernel === undefined || setup.vga === true);
  }

  private showName(name: string): void {
    this.name = name;
    byId("machine-name").textContent = name;
    document.title = `${name} – xlat86`;
  }

  /** Nothing of the machine before. */
  private clear(): void {
    this.terminal.clear();
    this.screen.clear();
    this.panel.reset();
    this.media.show([]);
    this.hideLights();
    byId("download").hidden = true;
  }

  private showDisplay(hasDisplay: boolean): void {
    document.body.dataset["display"] = hasDisplay ? "yes" : "none";
    this.showTab(hasDisplay ? "screen" : "serial");
    if (hasDisplay) this.screen.canvas.focus({ preventScroll: true });
    else if (matchMedia("(pointer: fine)").matches) this.terminal.focus();
  }

  // ---- from the machine ----

  private receive(message: FromHost): void {
    switch (message.kind) {
      case "ready":
        if (this.isRemote) {
          this.notices.clear();
          this.clear();
          this.isNew = true;
          this.showName(message.name ?? "");
        }
        return this.host.send({ kind: "watchTranslator", isWatched: this.isWatched });
      case "state":
        // The first state of a machine elsewhere says what there is to see of it.
        if (this.isRemote && this.isNew) this.showDisplay(message.hasDisplay);
        this.isNew = false;
        return this.showState(message.state, message.why);
      case "error":
      case "warning":
        return this.notices.show(message.kind, message.message);
      case "frame":
        byId("screen-mode").textContent =
          message.mode === "blank" ? "off" : `${message.width} × ${message.height}${message.mode === "text" ? ", text" : ""}`;
        document.body.dataset["mode"] = message.mode;
        return this.screen.show(message);
      case "serial":
        return this.terminal.write(message.bytes, () => this.host.send({ kind: "serialShown" }));
      case "speed":
        byId("mips").textContent = millions(message.report.perSecond);
        byId("idle").textContent = `${Math.round(100 * message.report.idleShare)} %`;
        return this.panel.showSpeed(message.report);
      case "download":
        return this.showDownload(message);
      case "drives":
        for (const { place, read, written } of message.activity) this.flash(place, read, written);
        return;
      case "media":
        return this.media.show(message.drives);
      case "ejectRefused":
        return this.media.refuse(message.place);
      case "hot":
        return this.panel.showHot(message.places);
      case "inspected":
        return this.panel.showInspected(message.place);
      case "screenshot":
        return saveFile(`${this.name.split("/").at(-1)}.png`, new Blob([message.png as Uint8Array<ArrayBuffer>], { type: "image/png" }));
      case "screenText":
        return this.screen.setText(message.lines);
    }
  }

  private showState(state: PowerState, why: string | undefined): void {
    document.body.dataset["state"] = state;
    byId("state").textContent = wordsForState[state];
    const pause = byId<HTMLButtonElement>("pause");
    pause.textContent = state === "paused" ? "Resume" : state === "off" || state === "ended" ? "Start" : "Pause";
    // A process that ran a machine elsewhere has ended with it.
    const isGone = this.isRemote && (state === "off" || state === "ended");
    pause.disabled = state === "starting" || isGone;
    byId<HTMLButtonElement>("reset").disabled = state === "off" || state === "starting" || isGone;
    byId<HTMLButtonElement>("power").disabled = state === "off" || isGone;
    if (state === "running") byId("download").hidden = true;
    else {
      byId("mips").textContent = "–";
      byId("idle").textContent = "–";
    }
    if (why !== undefined) this.notices.show(state === "off" ? "error" : "note", why);
    if (state === "off") {
      if (this.isRemote) this.notices.show("note", "The machine's process has ended. The command starts it again, at a new address.");
      byId("download").hidden = true;
      this.media.show([]);
    }
  }

  private showDownload({ name, received, size, isWhole, problem }: Extract<FromHost, { kind: "download" }>): void {
    const box = byId("download");
    // Of a disk only what the guest reads is fetched: that is never the whole of it.
    const isDone = size > 0 && received >= size;
    box.hidden = isDone || (!isWhole && this.host.state === "running" && problem === undefined);
    const bar = byId<HTMLProgressElement>("download-bar");
    if (size > 0) bar.value = received / size;
    else bar.removeAttribute("value");
    const file = name.split(/[?#]/, 1)[0]!.split("/").at(-1) || name;
    const amount = size > 0 ? `${describeBytes(received)} of ${describeBytes(size)}` : describeBytes(received);
    byId("download-text").textContent = problem === undefined ? `${file}: ${amount}` : `${file}: ${problem}; trying again`;
  }

  // ---- lights of the drives ----

  private flash(place: string, read: number, written: number): void {
    let light = this.lights.get(place);
    if (!light) {
      light = { element: make("span", { className: "light" }, place), timer: undefined };
      this.lights.set(place, light);
      byId("drive-lights").append(light.element);
    }
    const { element } = light;
    clearTimeout(light.timer);
    element.dataset["activity"] = written > 0 ? "write" : "read";
    element.title = `${place}: ${written > 0 ? `${describeBytes(written)} written` : `${describeBytes(read)} read`}`;
    light.timer = setTimeout(() => {
      element.dataset["activity"] = "";
    }, lightMilliseconds);
  }

  private hideLights(): void {
    this.lights.clear();
    byId("drive-lights").replaceChildren();
  }

  // ---- from the person ----

  private listenToControls(): void {
    const on = (id: string, act: () => void): void => byId(id).addEventListener("click", act);
    on("pause", () => {
      const { state } = this.host;
      if (state === "running") this.host.send({ kind: "pause" });
      else if (state === "paused") this.host.send({ kind: "resume" });
      else if (state === "ended") this.host.send({ kind: "reset" });
      else void this.switchOn(this.current);
    });
    on("reset", () => this.host.send({ kind: "reset" }));
    on("power", () => {
      void this.host.switchOff().then(() => this.isRemote || this.showState("off", undefined));
    });
    on("screenshot", () => this.host.send({ kind: "screenshot" }));
    on("serial-clear", () => {
      this.terminal.clear();
      this.terminal.focus();
    });
    on("sharp", () => this.prefer({ sharp: !this.preferences.sharp }));
    on("aspect", () => this.prefer({ aspect: !this.preferences.aspect }));
    on("full-screen", () => this.toggleFullScreen());
    for (const button of document.querySelectorAll<HTMLButtonElement>(".tabs button")) {
      button.addEventListener("click", () => this.showTab(button.dataset["tab"] ?? "screen"));
    }
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") this.host.send({ kind: "flush" });
    });
  }

  private listenToInput(): void {
    const { canvas } = this.screen;
    new KeyboardInput(canvas, { key: (code, isDown) => this.host.send({ kind: "key", code, isDown }) }, () => {
      document.exitPointerLock?.();
      byId("grab-mouse").focus();
    });
    const pointer = new PointerInput(canvas, {
      move: (dx, dy, notches) => this.host.send({ kind: "mouseMove", dx, dy, notches }),
      button: (button, isDown) => this.host.send({ kind: "mouseButton", button, isDown }),
    });
    canvas.addEventListener("click", () => {
      canvas.focus({ preventScroll: true });
      // A text screen rarely wants the mouse, and people select what is beside it.
      if (document.body.dataset["mode"] === "graphics" && matchMedia("(pointer: fine)").matches && !pointer.isGrabbed) pointer.grab();
    });
    byId("grab-mouse").addEventListener("click", () => {
      canvas.focus({ preventScroll: true });
      pointer.grab();
    });
    new OnScreenKeys({
      chord: (codes) => this.host.send({ kind: "chord", codes }),
      type: (text) => this.host.send({ kind: "type", text }),
    });
  }

  private listenToFiles(): void {
    const veil = byId("drop");
    const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") === true;
    const isInDialog = (event: DragEvent): boolean => (event.target as Element | null)?.closest?.("dialog") != null;
    document.addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      veil.hidden = isInDialog(event);
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) veil.hidden = true;
    });
    document.addEventListener("drop", (event) => {
      veil.hidden = true;
      if (!hasFiles(event)) return;
      event.preventDefault();
      if (!isInDialog(event)) void this.takeFiles([...(event.dataTransfer?.files ?? [])]);
    });
  }

  /** Into a drive of the machine that runs, if the person says so; at once where nothing is lost; where the person's own machine runs, the dialog asks. */
  private async takeFiles(files: readonly File[]): Promise<void> {
    const isOn = this.host.state === "running" || this.host.state === "paused";
    const isBusy = isOn && (this.isRemote || this.current !== demoSetup);
    if (isBusy && (await this.media.offer(files))) return;
    if (this.isRemote) this.notices.show("error", "This machine has no drive for that; its command was given the others.");
    else await this.place(files, (setup) => (isBusy ? this.setup.open() : this.switchOn(setup)));
  }

  private async place(files: readonly File[], go: (setup: MachineSetup) => Promise<void>): Promise<void> {
    try {
      await go(await this.setup.place(files));
    } catch (error) {
      this.notices.show("error", error instanceof Error ? error.message : String(error));
      await this.setup.open();
    }
  }

  private prefer(change: Partial<Preferences>): void {
    this.preferences = { ...this.preferences, ...change };
    savePreferences(this.preferences);
    this.showPreferences();
  }

  private showPreferences(): void {
    const { sharp, aspect } = this.preferences;
    this.screen.setSharp(sharp);
    this.screen.setAspect(aspect);
    byId("sharp").ariaPressed = String(sharp);
    byId("aspect").ariaPressed = String(aspect);
  }

  /** Only where there is no room for all of them; see the style sheet. */
  private showTab(tab: string): void {
    document.body.dataset["tab"] = tab;
    for (const button of document.querySelectorAll<HTMLButtonElement>(".tabs button")) {
      button.setAttribute("aria-current", button.dataset["tab"] === tab ? "true" : "false");
    }
  }

  /** Phones that know no full screen for elements get the whole window. */
  private toggleFullScreen(): void {
    const card = byId("screen-card");
    if (document.fullscreenElement) void document.exitFullscreen();
    else if (card.requestFullscreen) card.requestFullscreen().catch(() => card.classList.toggle("whole-window"));
    else card.classList.toggle("whole-window");
    this.screen.canvas.focus({ preventScroll: true });
  }
}

new Page();
