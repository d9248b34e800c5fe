/**
 * The keyboard while the screen has the focus: every key by its place (KeyboardEvent.code) goes to the guest. Keys that are down when the focus goes are released, or they
 * would be stuck in the guest. Ctrl+Alt+G gives the keyboard back, for Tab belongs to the guest too.
 */

export interface KeyTarget {
  key(code: string, isDown: boolean): void;
}

export class KeyboardInput {
  private readonly held = new Set<string>();
  private readonly target: KeyTarget;

  /** @param leave where the focus goes on Ctrl+Alt+G */
  constructor(surface: HTMLElement, target: KeyTarget, leave: () => void) {
    this.target = target;
    surface.addEventListener("keydown", (event) => {
      if (event.ctrlKey && event.altKey && event.code === "KeyG") {
        event.preventDefault();
        this.releaseAll();
        leave();
        return;
      }
      // The phone's own keyboard names no places; its text comes through the text field.
      if (event.code === "" || event.isComposing) return;
      event.preventDefault();
      // The guest's keyboard repeats by itself.
      if (event.repeat || this.held.has(event.code)) return;
      this.held.add(event.code);
      target.key(event.code, true);
    });
    surface.addEventListener("keyup", (event) => {
      if (event.code === "") return;
      event.preventDefault();
      this.release(event.code);
      // macOS tells of no key that is released while Command is held.
      if (event.code.startsWith("Meta")) this.releaseAll();
    });
    surface.addEventListener("blur", () => this.releaseAll());
    window.addEventListener("blur", () => this.releaseAll());
  }

  releaseAll(): void {
    for (const code of [...this.held]) this.release(code);
  }

  private release(code: string): void {
    if (this.held.delete(code)) this.target.key(code, false);
  }
}
