/** One place for an image in the dialog: nothing, a file, an address, or a disk that is kept in the browser. */
import type { ImageSource } from "../protocol.ts";
import type { StoredDisk } from "../stored-disks.ts";
import { make } from "./dom.ts";

export interface SlotOptions {
  readonly id: string;
  readonly label: string;
  /** For the file dialog. */
  readonly accept?: string;
  /** Writes can be kept; and disks can be made here. */
  readonly isDisk?: boolean;
  /** What "none" means here. */
  readonly noneLabel?: string;
}

type Kind = "none" | "file" | "url" | "stored" | "new";

export class ImageSlot {
  readonly element: HTMLElement;
  private readonly kind: HTMLSelectElement;
  private readonly detail = make("span", { className: "detail" });
  private readonly keepBox = make("input", { type: "checkbox" });
  private readonly keepLabel: HTMLLabelElement;
  private readonly file: HTMLInputElement;
  private readonly fileButton = make("button", { type: "button" }, "Choose a file…");
  private readonly url: HTMLInputElement;
  private readonly stored = make("select", { ariaLabel: "Which disk" });
  private readonly newName = make("input", { type: "text", value: "disk", ariaLabel: "Name of the new disk", size: 10 });
  private readonly newSize = make("input", { type: "number", value: "2", min: "0.1", max: "64", step: "0.1", ariaLabel: "Size in GB" });
  private readonly options: SlotOptions;
  private chosen: File | undefined;

  constructor(options: SlotOptions) {
    this.options = options;
    const { id, label, accept = "" } = options;
    this.kind = make("select", { id: `slot-${id}` });
    this.file = make("input", { type: "file", accept, hidden: true, ariaLabel: `File for ${label}` });
    this.url = make("input", { type: "url", placeholder: "https://…", ariaLabel: `Address for ${label}` });
    this.keepLabel = make(
      "label",
      { className: "check", title: "What the guest writes stays in this browser; the file itself is not changed" },
      this.keepBox,
      " keep changes",
    );
    this.fillKinds([]);
    this.kind.addEventListener("change", () => {
      this.update();
      if (this.kind.value === "file" && !this.chosen) this.file.click();
    });
    this.fileButton.addEventListener("click", () => this.file.click());
    this.file.addEventListener("change", () => {
      const file = this.file.files?.[0];
      if (file) this.choose(file);
    });
    this.element = make("div", { className: "slot" }, make("label", { htmlFor: this.kind.id }, label), this.kind, this.detail, this.file);
    this.element.addEventListener("dragover", (event) => event.preventDefault());
    this.element.addEventListener("drop", (event) => {
      const file = event.dataTransfer?.files[0];
      if (!file) return;
      event.preventDefault();
      event.stopPropagation();
      this.choose(file);
    });
    this.update();
  }

  choose(file: File): void {
    this.chosen = file;
    this.kind.value = "file";
    this.update();
  }

  clear(): void {
    this.kind.value = "none";
    this.chosen = undefined;
    this.file.value = "";
    this.update();
  }

  setStored(disks: readonly StoredDisk[]): void {
    const { value } = this.kind;
    const chosen = this.stored.value;
    this.stored.replaceChildren(...disks.map(({ name }) => make("option", { value: name }, name)));
    if (disks.some(({ name }) => name === chosen)) this.stored.value = chosen;
    this.fillKinds(disks);
    this.kind.value = value === "stored" && disks.length === 0 ? "none" : value;
    this.update();
  }

  get keep(): boolean {
    return this.keepBox.checked;
  }

  /** Errors: `Error` with a message for the person when something is missing. */
  get source(): ImageSource | undefined {
    const { label } = this.options;
    switch (this.kind.value as Kind) {
      case "file":
        if (!this.chosen) throw new Error(`${label}: choose a file`);
        return { kind: "file", file: this.chosen };
      case "url": {
        const { value } = this.url;
        if (!URL.canParse(value, location.href)) throw new Error(`${label}: "${value}" is no address`);
        return { kind: "url", url: new URL(value, location.href).href };
      }
      case "stored":
        return { kind: "stored", name: this.stored.value };
      case "new": {
        const size = Math.round(Number(this.newSize.value) * 1e9);
        const name = this.newName.value.trim();
        if (!(size >= 1e6)) throw new Error(`${label}: how large shall the new disk be?`);
        if (name === "") throw new Error(`${label}: give the new disk a name`);
        return { kind: "stored", name, size: size - (size % 512) };
      }
      default:
        return undefined;
    }
  }

  private fillKinds(disks: readonly StoredDisk[]): void {
    const { isDisk, noneLabel = "none" } = this.options;
    const kinds: (readonly [Kind, string])[] = [
      ["none", noneLabel],
      ["file", "a file"],
      ["url", "an address"],
    ];
    if (isDisk) {
      if (disks.length > 0) kinds.push(["stored", "kept in this browser"]);
      kinds.push(["new", "a new, empty disk"]);
    }
    this.kind.replaceChildren(...kinds.map(([value, text]) => make("option", { value }, text)));
  }

  private update(): void {
    const kind = this.kind.value as Kind;
    this.fileButton.textContent = this.chosen?.name ?? "Choose a file…";
    const keep = this.options.isDisk ? [this.keepLabel] : [];
    const details: Record<Kind, readonly (Node | string)[]> = {
      none: [],
      file: [this.fileButton, ...keep],
      url: [this.url, ...keep],
      stored: [this.stored],
      new: [this.newName, this.newSize, "GB"],
    };
    this.detail.replaceChildren(...details[kind]);
    this.element.classList.toggle("empty", kind === "none");
  }
}
