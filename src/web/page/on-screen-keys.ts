/** Keys to tap: those that browsers and phones keep for themselves or do not have, modifiers that stay down for the next key, and a text field that brings up the phone's own keyboard. */
import { byId, make } from "./dom.ts";

export interface OnScreenTarget {
  chord(codes: readonly string[]): void;
  type(text: string): void;
}

const modifiers: readonly (readonly [label: string, code: string])[] = [
  ["Ctrl", "ControlLeft"],
  ["Alt", "AltLeft"],
  ["Shift", "ShiftLeft"],
  ["Win", "MetaLeft"],
];

const keys: readonly (readonly [label: string, ...codes: string[]])[] = [
  ["Esc", "Escape"],
  ["Tab", "Tab"],
  ["Enter", "Enter"],
  ["⌫", "Backspace"],
  ["Del", "Delete"],
  ["Ins", "Insert"],
  ["Home", "Home"],
  ["End", "End"],
  ["PgUp", "PageUp"],
  ["PgDn", "PageDown"],
  ["←", "ArrowLeft"],
  ["↑", "ArrowUp"],
  ["↓", "ArrowDown"],
  ["→", "ArrowRight"],
  ...Array.from({ length: 12 }, (_, k) => [`F${k + 1}`, `F${k + 1}`] as const),
  ["PrtSc", "PrintScreen"],
  ["Ctrl-Alt-Del", "ControlLeft", "AltLeft", "Delete"],
];

export class OnScreenKeys {
  private readonly target: OnScreenTarget;
  private readonly held = new Map<string, HTMLButtonElement>();

  constructor(target: OnScreenTarget) {
    this.target = target;
    const panel = byId("keys");
    const toggle = byId<HTMLButtonElement>("show-keys");
    const input = byId<HTMLTextAreaElement>("phone-input");
    toggle.addEventListener("click", () => {
      panel.hidden = !panel.hidden;
      toggle.setAttribute("aria-expanded", String(!panel.hidden));
      if (!panel.hidden) input.focus();
    });
    byId("key-buttons").append(
      ...modifiers.map(([label, code]) => this.modifier(label, code)),
      ...keys.map(([label, ...codes]) => this.key(label, codes)),
    );
    this.listen(input);
  }

  private key(label: string, codes: readonly string[]): HTMLButtonElement {
    const button = make("button", { type: "button" }, label);
    button.addEventListener("click", () => this.strike(codes));
    return keepFocus(button);
  }

  private modifier(label: string, code: string): HTMLButtonElement {
    const button = make("button", { type: "button", className: "modifier", ariaPressed: "false" }, label);
    button.addEventListener("click", () => {
      if (this.held.delete(code)) button.ariaPressed = "false";
      else {
        this.held.set(code, button);
        button.ariaPressed = "true";
      }
    });
    return keepFocus(button);
  }

  /** With the modifiers, which are thereby used up. */
  private strike(codes: readonly string[]): void {
    this.target.chord([...this.held.keys(), ...codes]);
    for (const button of this.held.values()) button.ariaPressed = "false";
    this.held.clear();
  }

  /** Phones' keyboards change text rather than press keys: what has come in is typed, and the field is emptied. */
  private listen(input: HTMLTextAreaElement): void {
    const empty = (): void => {
      input.value = "";
    };
    input.addEventListener("keydown", (event) => {
      const codes: Record<string, string> = { Backspace: "Backspace", Enter: "Enter", Tab: "Tab", Escape: "Escape" };
      const code = codes[event.key];
      if (code === undefined || event.isComposing || (code === "Backspace" && input.value !== "")) return;
      event.preventDefault();
      this.strike([code]);
    });
    const take = (): void => {
      const text = input.value;
      empty();
      if (text === "") return;
      if (this.held.size > 0 && /^[a-z0-9]$/i.test(text)) this.strike([/\d/.test(text) ? `Digit${text}` : `Key${text.toUpperCase()}`]);
      else this.target.type(text);
    };
    input.addEventListener("input", (event) => {
      if (!(event as InputEvent).isComposing) take();
    });
    input.addEventListener("compositionend", take);
  }
}

/** The phone's keyboard stays up while buttons are tapped. */
function keepFocus(button: HTMLButtonElement): HTMLButtonElement {
  button.addEventListener("pointerdown", (event) => event.preventDefault());
  return button;
}
