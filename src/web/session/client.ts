/** One page that looks at a machine: what it is shown at the speed it can take, and what it holds down. */
import { MachineError } from "../../machine/options.ts";
import type { DrivePlace, FromHost, MouseButtonName, ToHost } from "../protocol.ts";
import { Frames } from "./frames.ts";
import type { MachineSession } from "./machine-session.ts";
import { SerialOutput } from "./serial-output.ts";

export interface ClientOptions {
  readonly post: (message: FromHost) => void;
  /** Every byte to this page is a copy: it gets the parts of a frame that have changed. */
  readonly isRemote: boolean;
}

export class Client {
  readonly post: (message: FromHost) => void;
  readonly frames: Frames;
  readonly serial: SerialOutput;
  /** Somebody looks at the translator's panel. */
  watchesTranslator = false;
  private readonly session: MachineSession;
  private text: string | undefined;
  private readonly keys = new Set<string>();
  private readonly buttons = new Set<MouseButtonName>();

  constructor(session: MachineSession, { post, isRemote }: ClientOptions) {
    this.session = session;
    this.post = post;
    this.frames = new Frames(session.picture, isRemote, (frame) => post({ kind: "frame", ...frame }));
    this.serial = new SerialOutput((bytes) => post({ kind: "serial", bytes }));
  }

  /** The lines of the screen, if they are news. */
  showText(lines: readonly string[]): void {
    const text = lines.join("\n");
    if (text === this.text) return;
    this.text = text;
    this.post({ kind: "screenText", lines });
  }

  /** What a page says to a machine that is on. Errors: what is wrong with a medium. */
  async handle(message: ToHost): Promise<void> {
    const { session } = this;
    const { machine, power } = session;
    switch (message.kind) {
      case "pause":
        return power.pause();
      case "resume":
        return power.resume();
      case "reset":
        return session.reset();
      case "serial":
        return machine.serial.write(message.text);
      case "key":
        return this.key(message.code, message.isDown);
      case "chord":
        return machine.keyboard.press(...message.codes);
      case "type":
        return machine.keyboard.type(message.text);
      case "mouseMove":
        if (message.dx !== 0 || message.dy !== 0) machine.mouse.move(message.dx, message.dy);
        if (message.notches !== 0) machine.mouse.wheel(message.notches);
        return;
      case "mouseButton":
        return this.button(message.button, message.isDown);
      case "frameDrawn":
        this.frames.drawn(message.buffer);
        // A paused machine has no next time.
        if (power.state !== "running") session.show();
        return;
      case "serialShown":
        return this.serial.shown();
      case "watchTranslator":
        this.watchesTranslator = message.isWatched;
        return session.watchersChanged();
      case "inspect":
        return this.post({ kind: "inspected", place: session.translator.inspect(message.address) });
      case "screenshot":
        return this.post({ kind: "screenshot", png: machine.screen.png() });
      case "insert":
        for (const warning of await session.insert(message.place, message.source)) this.post({ kind: "warning", message: warning });
        return;
      case "eject":
        return this.eject(message.place, message.force);
    }
  }

  /** The page is gone: what it held down is let go. */
  close(): void {
    for (const code of [...this.keys]) this.key(code, false);
    for (const button of [...this.buttons]) this.button(button, false);
    this.session.detach(this);
  }

  private async eject(place: DrivePlace, force: boolean): Promise<void> {
    if (!(await this.session.media.eject(place, { force }))) this.post({ kind: "ejectRefused", place });
  }

  private key(code: string, isDown: boolean): void {
    const { keyboard } = this.session.machine;
    try {
      if (isDown) keyboard.down(code);
      else keyboard.up(code);
    } catch (error) {
      // People have keys that no PC keyboard of the time had: the guest does not hear of them.
      if (error instanceof MachineError) return;
      throw error;
    }
    if (isDown) this.keys.add(code);
    else this.keys.delete(code);
  }

  private button(button: MouseButtonName, isDown: boolean): void {
    if (isDown) this.buttons.add(button);
    else this.buttons.delete(button);
    this.session.machine.mouse.button(button, isDown);
  }
}
