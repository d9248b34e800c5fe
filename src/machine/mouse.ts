/** The machine's PS/2 mouse for programs. The mouse itself gathers what moves until the guest takes it, so nothing needs to wait here. */
import { mouseButtons, type Ps2Mouse } from "../../runtime/devices/ps2-mouse.ts";
import { MachineError } from "./options.ts";

export type MouseButton = keyof typeof mouseButtons;

export class Mouse {
  readonly #mouse: Ps2Mouse;
  readonly #wake: () => void;

  /** @param wake guest time has something to wait for that it did not have before */
  constructor(mouse: Ps2Mouse, wake: () => void) {
    this.#mouse = mouse;
    this.#wake = wake;
  }

  /** Moves by counts to the right and downwards; a guest without a driver takes no notice. */
  move(dx: number, dy: number): void {
    this.#mouse.move(dx, dy);
    this.#wake();
  }

  /** Presses or releases a button. Errors: `MachineError`. */
  button(button: MouseButton, pressed: boolean): void {
    const bit = mouseButtons[button];
    if (bit === undefined) throw new MachineError(`no mouse button "${button}"; expected ${Object.keys(mouseButtons).join(", ")}`);
    this.#mouse.buttons = pressed ? this.#mouse.buttons | bit : this.#mouse.buttons & ~bit;
    this.#wake();
  }

  /** Presses and releases a button. Errors: `MachineError`. */
  click(button: MouseButton = "left"): void {
    this.button(button, true);
    this.button(button, false);
  }

  /** Turns the wheel by notches, towards the person (down) when positive. */
  wheel(notches: number): void {
    this.#mouse.wheel(notches);
    this.#wake();
  }
}
