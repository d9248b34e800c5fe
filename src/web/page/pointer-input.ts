/**
 * Mouse and fingers. A PS/2 mouse knows only movements: the mouse is given to the guest by pointer lock, a finger moves it like a touch pad. Movements are gathered and sent
 * once for each frame.
 */
import type { MouseButtonName } from "../protocol.ts";

export interface PointerTarget {
  move(dx: number, dy: number, notches: number): void;
  button(button: MouseButtonName, isDown: boolean): void;
}

const buttonNames: readonly MouseButtonName[] = ["left", "middle", "right"];
/** A finger that moved less, in pixels, and was there for less time, in milliseconds, has tapped. */
const tap = { distance: 10, time: 300 } as const;
const pixelsPerNotch = 60;

export class PointerInput {
  private readonly surface: HTMLElement;
  private readonly target: PointerTarget;
  private dx = 0;
  private dy = 0;
  private wheel = 0;
  private isWaiting = false;
  private readonly fingers = new Map<number, { x: number; y: number }>();
  private gesture: { readonly start: number; fingers: number; distance: number } | undefined;
  private readonly pressed = new Set<MouseButtonName>();

  constructor(surface: HTMLElement, target: PointerTarget) {
    this.surface = surface;
    this.target = target;
    surface.addEventListener("contextmenu", (event) => event.preventDefault());
    surface.addEventListener("pointerdown", (event) => (event.pointerType === "touch" ? this.fingerDown(event) : this.mouseButton(event, true)));
    surface.addEventListener("pointerup", (event) => (event.pointerType === "touch" ? this.fingerUp(event) : this.mouseButton(event, false)));
    surface.addEventListener("pointercancel", (event) => this.fingers.delete(event.pointerId));
    surface.addEventListener("pointermove", (event) => (event.pointerType === "touch" ? this.fingerMove(event) : this.mouseMove(event)));
    surface.addEventListener("wheel", (event) => this.wheelTurned(event), { passive: false });
    document.addEventListener("pointerlockchange", () => {
      if (!this.isGrabbed) this.releaseButtons();
    });
  }

  get isGrabbed(): boolean {
    return document.pointerLockElement === this.surface;
  }

  /** Gives the mouse to the guest, where the device has one. */
  grab(): void {
    // Some browsers return a promise, which rejects when Esc was pressed a moment ago.
    const locking = this.surface.requestPointerLock?.() as Promise<void> | undefined;
    locking?.catch?.(() => {});
  }

  // ---- mouse ----

  private mouseButton(event: PointerEvent, isDown: boolean): void {
    if (!this.isGrabbed) return;
    event.preventDefault();
    const button = buttonNames[event.button];
    if (button) this.press(button, isDown);
  }

  private mouseMove(event: PointerEvent): void {
    if (!this.isGrabbed) return;
    // A second button while one is held comes as a movement.
    if (event.button > 0 && buttonNames[event.button]) this.press(buttonNames[event.button]!, (event.buttons & [1, 4, 2][event.button]!) !== 0);
    this.move(event.movementX, event.movementY);
  }

  private wheelTurned(event: WheelEvent): void {
    if (!this.isGrabbed) return;
    event.preventDefault();
    this.wheel += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY / pixelsPerNotch : Math.sign(event.deltaY);
    this.later();
  }

  private press(button: MouseButtonName, isDown: boolean): void {
    this.flush();
    if (isDown) this.pressed.add(button);
    else this.pressed.delete(button);
    this.target.button(button, isDown);
  }

  private releaseButtons(): void {
    for (const button of this.pressed) this.target.button(button, false);
    this.pressed.clear();
  }

  // ---- fingers: one moves, two turn the wheel, a tap clicks, a tap of two clicks right ----

  private fingerDown(event: PointerEvent): void {
    event.preventDefault();
    this.surface.focus({ preventScroll: true });
    this.surface.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.gesture ??= { start: event.timeStamp, fingers: 0, distance: 0 };
    this.gesture.fingers = Math.max(this.gesture.fingers, this.fingers.size);
  }

  private fingerMove(event: PointerEvent): void {
    const finger = this.fingers.get(event.pointerId);
    if (!finger || !this.gesture) return;
    event.preventDefault();
    const dx = event.clientX - finger.x;
    const dy = event.clientY - finger.y;
    this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.gesture.distance += Math.abs(dx) + Math.abs(dy);
    if (this.fingers.size === 1) return this.move(dx, dy);
    this.wheel -= dy / pixelsPerNotch;
    this.later();
  }

  private fingerUp(event: PointerEvent): void {
    if (!this.fingers.delete(event.pointerId) || this.fingers.size > 0 || !this.gesture) return;
    event.preventDefault();
    const { start, fingers, distance } = this.gesture;
    this.gesture = undefined;
    if (distance > tap.distance || event.timeStamp - start > tap.time) return;
    const button = fingers > 1 ? "right" : "left";
    this.press(button, true);
    this.press(button, false);
  }

  // ---- gathering ----

  private move(dx: number, dy: number): void {
    this.dx += dx;
    this.dy += dy;
    this.later();
  }

  private later(): void {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.flush();
    });
  }

  /** Whole counts go; what is left of them stays for the next time. */
  private flush(): void {
    const [dx, dy, notches] = [Math.trunc(this.dx), Math.trunc(this.dy), Math.trunc(this.wheel)];
    this.dx -= dx;
    this.dy -= dy;
    this.wheel -= notches;
    if (dx !== 0 || dy !== 0 || notches !== 0) this.target.move(dx, dy, notches);
  }
}
