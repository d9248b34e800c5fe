/** The dialog in which a machine is put together. */
import type { WebAssets } from "../assets.ts";
import type { DriveSetup, ImageSource, MachineSetup } from "../protocol.ts";
import { listStoredDisks, removeStoredDisk, type StoredDisk, storedFile } from "../stored-disks.ts";
import { classify, type FileRole } from "./classify.ts";
import { byId, describeBytes, make, saveFile } from "./dom.ts";
import { ImageSlot, type SlotOptions } from "./image-slot.ts";

const mebibyte = 2 ** 20;
const demoMemory = 64 * mebibyte;
const linuxMemory = 256 * mebibyte;

const diskFiles = ".img,.qcow2,.raw,.dd,.bin";
const drivePlaces = ["hda", "hdc", "fda", "hdb", "virtio"] as const;
const slotOptions: readonly SlotOptions[] = [
  { id: "hda", label: "Hard disk", accept: diskFiles, isDisk: true },
  { id: "hdc", label: "CD-ROM", accept: ".iso,.img" },
  { id: "fda", label: "Floppy", accept: ".img,.ima,.flp,.vfd,.bin" },
  { id: "hdb", label: "Second disk", accept: diskFiles, isDisk: true },
  { id: "virtio", label: "Virtio disk", accept: diskFiles, isDisk: true },
];
const kernelOptions: readonly SlotOptions[] = [
  { id: "kernel", label: "Kernel" },
  { id: "initrd", label: "Initial RAM disk" },
];
const firmwareOptions: readonly SlotOptions[] = [
  { id: "bios", label: "BIOS", noneLabel: "SeaBIOS of this server" },
  { id: "vgaBios", label: "VGA BIOS", noneLabel: "SeaBIOS's, of this server" },
];

export const demoSetup: MachineSetup = { name: "Embedded guest", kernel: "demo", drives: [], memory: demoMemory };

export class SetupDialog {
  private readonly dialog = byId<HTMLDialogElement>("setup");
  private readonly slots = new Map<string, ImageSlot>();
  private readonly start: (setup: MachineSetup) => void;
  private assets: WebAssets = { guests: [] };

  constructor(start: (setup: MachineSetup) => void) {
    this.start = start;
    for (const [id, list] of [
      ["drive-slots", slotOptions],
      ["kernel-slots", kernelOptions],
      ["firmware-slots", firmwareOptions],
    ] as const) {
      for (const options of list) {
        const slot = new ImageSlot(options);
        this.slots.set(options.id, slot);
        byId(id).append(slot.element);
      }
    }
    byId("setup-open").addEventListener("click", () => void this.open());
    byId("setup-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    byId("setup-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.showExamples();
    this.showFirmware();
  }

  setAssets(assets: WebAssets): void {
    this.assets = assets;
    this.showExamples();
    this.showFirmware();
  }

  async open(): Promise<void> {
    this.complain("");
    if (!this.dialog.open) this.dialog.showModal();
    await this.showStored();
  }

  /** What was dropped, in its places; the machine that boots it. Errors: `Error` with a message for the person. */
  async place(files: readonly File[]): Promise<MachineSetup> {
    for (const slot of this.slots.values()) slot.clear();
    const roles = await Promise.all(files.map(async (file): Promise<[File, FileRole]> => [file, await classify(file)]));
    for (const [file, role] of roles) {
      const places = role === "hda" ? ["hda", "hdb", "virtio"] : [role];
      const slot = places.map((place) => this.slots.get(place)!).find((candidate) => candidate.source === undefined);
      if (!slot) throw new Error(`${file.name}: there is no place left for it`);
      slot.choose(file);
    }
    return this.setup();
  }

  /** Errors: `Error` with a message for the person. */
  setup(): MachineSetup {
    const source = (id: string): ImageSource | undefined => this.slots.get(id)!.source;
    const drives = drivePlaces.flatMap((place): DriveSetup[] => {
      const chosen = source(place);
      return chosen ? [{ place, source: chosen, keep: this.slots.get(place)!.keep }] : [];
    });
    const kernel = source("kernel");
    const initrd = source("initrd");
    if (!kernel && initrd) throw new Error("an initial RAM disk goes with a kernel: choose that too");
    if (!kernel && drives.length === 0) throw new Error("choose something to boot");
    const memory = Number(byId<HTMLSelectElement>("memory").value) * mebibyte;
    const first = kernel ?? drives[0]!.source;
    const common = { name: shortName(first), drives, memory };
    const vga = byId<HTMLInputElement>("vga").checked;
    if (kernel) {
      const vgaBios = vga ? this.firmware("vgaBios") : undefined;
      const append = byId<HTMLInputElement>("append").value;
      return { ...common, kernel, append, ...(initrd ? { initrd } : {}), ...(vga ? { vga } : {}), ...(vgaBios ? { vgaBios } : {}) };
    }
    const bios = this.firmware("bios");
    const vgaBios = this.firmware("vgaBios");
    if (!bios) {
      byId<HTMLDetailsElement>("firmware-details").open = true;
      throw new Error("a BIOS boots from drives, and this server has none: choose SeaBIOS's bios-256k.bin and vgabios-stdvga.bin under Firmware");
    }
    const bootMenu = byId<HTMLInputElement>("boot-menu").checked;
    return { ...common, bios, ...(vgaBios ? { vgaBios } : {}), boot: this.bootOrder(drives), ...(bootMenu ? { bootMenu } : {}) };
  }

  private firmware(id: "bios" | "vgaBios"): ImageSource | undefined {
    const path = this.assets.firmware?.[id];
    return this.slots.get(id)!.source ?? (path === undefined ? undefined : { kind: "url", url: new URL(path, location.href).href });
  }

  /** Nobody said: what was put in by hand comes before the hard disk. */
  private bootOrder(drives: readonly DriveSetup[]): string {
    const chosen = byId<HTMLSelectElement>("boot").value;
    if (chosen !== "") return chosen;
    const has = (place: string): boolean => drives.some((drive) => drive.place === place);
    return [has("hdc") ? "d" : "", has("fda") ? "a" : "", "c"].join("");
  }

  private submit(): void {
    try {
      const setup = this.setup();
      this.dialog.close();
      this.start(setup);
    } catch (error) {
      this.complain((error as Error).message);
    }
  }

  private complain(message: string): void {
    byId("setup-problem").textContent = message;
  }

  private showExamples(): void {
    const guests: readonly (readonly [string, string, MachineSetup])[] = [
      ["Embedded guest", "A small kernel of our own with a prompt", demoSetup],
      ...this.assets.guests.map(({ name, kernel, initrd, append }) => {
        const url = (path: string): ImageSource => ({ kind: "url", url: new URL(path, location.href).href });
        return [name, "On the serial port", { name, kernel: url(kernel), initrd: url(initrd), append, drives: [], memory: linuxMemory }] as const;
      }),
    ];
    byId("examples").replaceChildren(
      ...guests.map(([name, text, setup]) => {
        const button = make("button", { type: "button", className: "example" }, make("b", {}, name), make("span", { className: "muted" }, text));
        button.addEventListener("click", () => {
          this.dialog.close();
          this.start(setup);
        });
        return button;
      }),
    );
  }

  private showFirmware(): void {
    byId("firmware-note").textContent = this.assets.firmware ? "SeaBIOS is there" : "none on this server: choose files to boot drives";
  }

  // ---- kept in this browser ----

  private async showStored(): Promise<void> {
    const disks = await listStoredDisks();
    for (const id of ["hda", "hdb", "virtio"]) this.slots.get(id)!.setStored(disks.filter(({ folder }) => folder === "disks"));
    byId("stored-note").textContent = disks.length === 0 ? "nothing yet" : describeBytes(disks.reduce((sum, { size }) => sum + size, 0));
    byId("stored").replaceChildren(...disks.map((disk) => this.storedItem(disk)));
  }

  private storedItem(disk: StoredDisk): HTMLElement {
    const what = disk.folder === "disks" ? disk.name : `changes to ${disk.name.replace(/ \w{16}$/, "")}`;
    const remove = make("button", { type: "button" }, "Delete");
    remove.addEventListener("click", () => {
      if (!confirm(`Delete ${what}? What the guest wrote there is gone then.`)) return;
      removeStoredDisk(disk).then(
        () => this.showStored(),
        () => this.complain(`${what} is in use: power off the machine first`),
      );
    });
    const save = make("button", { type: "button" }, "Save as file");
    save.addEventListener("click", () => {
      storedFile(disk).then(
        (file) => saveFile(`${disk.name}.qcow2`, file),
        () => this.complain(`${what} could not be read: power off the machine first`),
      );
    });
    return make(
      "li",
      {},
      make("span", {}, what),
      make("span", { className: "muted" }, describeBytes(disk.size)),
      ...(disk.folder === "disks" ? [save] : []),
      remove,
    );
  }
}

function shortName(source: ImageSource): string {
  if (source.kind === "file") return source.file.name;
  return source.kind === "stored" ? source.name : decodeURIComponent(source.url.split(/[?#]/, 1)[0]!.split("/").at(-1) || source.url);
}
