/** Messages for the person: errors stay until they are closed, the rest goes by itself. */
import { byId, make } from "./dom.ts";

export type NoticeKind = "error" | "warning" | "note";

const shownMilliseconds = 12_000;
const most = 4;

export class Notices {
  private readonly list = byId("notices");

  show(kind: NoticeKind, text: string): void {
    const known = [...this.list.children].find((child) => child.querySelector("p")?.textContent === text);
    known?.remove();
    const close = make("button", { type: "button", className: "quiet", ariaLabel: "Close this message" }, "✕");
    const notice = make("div", { className: `notice ${kind}` }, make("p", {}, text), close);
    close.addEventListener("click", () => notice.remove());
    this.list.append(notice);
    while (this.list.children.length > most) this.list.firstElementChild?.remove();
    if (kind !== "error") setTimeout(() => notice.remove(), shownMilliseconds);
  }

  clear(): void {
    this.list.replaceChildren();
  }
}
