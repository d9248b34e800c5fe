/** The dialog in which media are changed while the machine runs: what its floppy and CD drives hold, something else for them, and what to do with a file that was dropped. */
import type { DrivePlace, MediumReport, MediumSource } from "../protocol.ts";
import { classify } from "./classify.ts";
import { byId, make } from "./dom.ts";

export interface MediaTarget {
  insert(place: DrivePlace, source: MediumSource): void;
  eject(place: DrivePlace, force: boolean): void;
  /** Absent where the page boots no machines. */
  readonly boot?: (files: readonly File[]) => void;
}

const driveNames: Readonly<Record<DrivePlace, string>> = {
  ...{ fda: "Floppy A", fdb: "Floppy B", hda: "CD-ROM (hda)", hdb: "CD-ROM (hdb)", hdc: "CD-ROM", hdd: "CD-ROM (hdd)" },
};
const accepted = { floppy: ".img,.ima,.flp,.vfd,.bin", cdrom: ".iso,.img" } as const;

export class MediaDialog {
  private readonly dialog = byId<HTMLDialogElement>("media");
  private readonly target: MediaTarget;
  private readonly refused = new Set<DrivePlace>();
  private drives: readonly MediumReport[] = [];

  constructor(target: MediaTarget) {
    this.target = target;
    byId("media-open").addEventListener("click", () => this.open());
    byId("media-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    this.show([]);
  }

  /** What there is now; no drives where nothing is on. */
  show(drives: readonly MediumReport[]): void {
    this.drives = drives;
    this.refused.clear();
    byId("media-open").hidden = drives.length === 0;
    this.showRows();
    if (drives.length === 0) this.dialog.close();
  }

  /** The guest has locked the tray of its drive. */
  refuse(place: DrivePlace): void {
    this.refused.add(place);
    this.showRows();
    this.open();
  }

  /** Asks where a dropped file goes. False: there is no drive for it. */
  async offer(files: readonly File[]): Promise<boolean> {
    const [file] = files;
    if (file === undefined || files.length > 1) return false;
    const role = await classify(file);
    const kind = role === "hdc" ? "cdrom" : role === "fda" ? "floppy" : undefined;
    const drives = this.drives.filter((drive) => drive.kind === kind);
    if (drives.length === 0) return false;
    const choice = (label: string, isFirst: boolean, act: () => void): HTMLButtonElement => {
      const button = make("button", { type: "button", className: isFirst ? "primary" : "" }, label);
      button.addEventListener("click", () => {
        this.dialog.close();
        act();
      });
      return button;
    };
    const { boot } = this.target;
    byId("media-offer").replaceChildren(
      make("p", {}, make("b", {}, file.name)),
      ...drives.map(({ place }, k) => choice(`Insert into ${driveNames[place]}`, k === 0, () => this.target.insert(place, { kind: "file", file }))),
      ...(boot ? [choice("Boot a new machine with it", false, () => boot(files))] : []),
    );
    byId("media-offer").hidden = false;
    this.dialog.showModal();
    return true;
  }

  private open(): void {
    byId("media-offer").hidden = true;
    if (!this.dialog.open) this.dialog.showModal();
  }

  private showRows(): void {
    byId("media-list").replaceChildren(...this.drives.map((drive) => this.row(drive)));
  }

  private row({ place, kind, medium }: MediumReport): HTMLElement {
    const name = driveNames[place];
    const insert = (file: File | undefined): void => {
      if (file) this.target.insert(place, { kind: "file", file });
    };
    const file = make("input", { type: "file", accept: accepted[kind], hidden: true, ariaLabel: `File for ${name}` });
    file.addEventListener("change", () => insert(file.files?.[0]));
    const choose = make("button", { type: "button", ariaLabel: `Insert a file into ${name}` }, "Insert a file…");
    choose.addEventListener("click", () => file.click());

    const url = make("input", { type: "url", placeholder: "or an address: https://…", ariaLabel: `Address for ${name}` });
    const go = make("button", { type: "button", ariaLabel: `Insert what is at the address into ${name}` }, "Insert");
    const insertUrl = (): void => {
      if (url.value !== "" && URL.canParse(url.value, location.href))
        this.target.insert(place, { kind: "url", url: new URL(url.value, location.href).href });
      else url.focus();
    };
    go.addEventListener("click", insertUrl);
    url.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      insertUrl();
    });

    const isLocked = this.refused.has(place);
    const eject = make("button", { type: "button", disabled: medium === undefined }, isLocked ? "Eject all the same" : "Eject");
    eject.ariaLabel = `${eject.textContent}: ${name}`;
    eject.addEventListener("click", () => this.target.eject(place, isLocked));

    const what = make("span", { className: medium === undefined ? "muted" : "medium" }, medium ?? "empty");
    const lock = isLocked ? [make("p", { className: "problem" }, "The guest has locked this drive; it was told that you want the disc.")] : [];
    const row = make(
      "li",
      { dataset: { place } },
      make("div", { className: "medium-drive" }, make("b", {}, name), what, eject),
      ...lock,
      make("div", { className: "medium-choice" }, choose, file, make("span", { className: "medium-address" }, url, go)),
    );
    row.addEventListener("dragover", (event) => event.preventDefault());
    row.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      insert(event.dataTransfer?.files[0]);
    });
    return row;
  }
}
