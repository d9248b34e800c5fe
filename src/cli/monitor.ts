/**
 * Ctrl-A C: a line of commands to the machine itself, as in QEMU's monitor; media are changed here. QEMU's names for the commands do as well. The guest runs on meanwhile.
 */
import type { MediaChanger, OpenMedium } from "../machine/media-changer.ts";
import type { RemovablePlace } from "../machine/removable-drives.ts";

export interface MonitorHost {
  readonly media: MediaChanger;
  /** Errors: `UsageError`, `StorageError`. */
  openMedium(place: RemovablePlace, path: string): Promise<OpenMedium>;
  leave(): void;
}

const help = "drives | insert DRIVE FILE | eject DRIVE [-f] | quit";
/** QEMU's. */
const otherNames: Readonly<Record<string, string>> = { change: "insert", q: "quit", "?": "help", info: "drives", block: "drives" };

/** Executes one line; returns what to tell the person, a line each. Never rejects. */
export async function runMonitorCommand(host: MonitorHost, line: string): Promise<string[]> {
  const [word = "", place = "", ...rest] = line.trim().split(/\s+/);
  const command = otherNames[word] ?? word;
  try {
    switch (command) {
      case "":
        return [];
      case "help":
        return [help];
      case "quit":
        host.leave();
        return [];
      case "drives":
        return describeDrives(host.media);
      case "eject":
        return await eject(host.media, rest.includes("-f") ? place : place === "-f" ? (rest[0] ?? "") : place, [place, ...rest].includes("-f"));
      case "insert": {
        // A file's name may have spaces in it.
        const path = line.trim().replace(/^\S+\s+\S+\s*/, "");
        if (path === "") return [`insert DRIVE FILE, as in: insert ${host.media.list()[0]?.place ?? "hdc"} disc2.iso`];
        const known = knownPlace(host.media, place);
        const notes = await host.media.insert(known, () => host.openMedium(known, path));
        return [`${place}: ${path}`, ...notes];
      }
      default:
        return [`no command "${word}"; there are: ${help}`];
    }
  } catch (error) {
    return [(error as Error).message.replaceAll("\n", " ")];
  }
}

async function eject(media: MediaChanger, place: string, force: boolean): Promise<string[]> {
  if (await media.eject(knownPlace(media, place), { force })) return [`${place}: empty`];
  return [`${place}: the guest has locked it, and was told that you want it; eject -f ${place} does not ask`];
}

function describeDrives(media: MediaChanger): string[] {
  const drives = media.list();
  if (drives.length === 0) return ["no floppy or CD drive"];
  return drives.map(({ place, kind, medium }) => `${place} (${kind === "cdrom" ? "CD" : "floppy"}): ${medium ?? "empty"}`);
}

/** Errors: `Error` with the drives that there are. */
function knownPlace(media: MediaChanger, place: string): RemovablePlace {
  const drives = media.list().map((drive) => drive.place);
  const found = drives.find((name) => name === place);
  if (found !== undefined) return found;
  throw new Error(`${place === "" ? "which drive?" : `no floppy or CD drive "${place}"`}; there are: ${drives.join(", ") || "none"}`);
}

const controlC = "\x03";
const longestLine = 4096;

/** One line, typed at a raw terminal. */
export class LineEditor {
  readonly #decoder = new TextDecoder();
  #line = "";

  get line(): string {
    return this.#line;
  }

  /** Adds what was typed; "done" and "cancelled" end the line, and what is typed behind them is not looked at. */
  feed(bytes: Uint8Array): "done" | "cancelled" | undefined {
    const text = this.#decoder.decode(bytes, { stream: true });
    // An Escape alone cancels; arrow keys and the like are not for a line without a history.
    if (text === "\x1b") return "cancelled";
    for (const character of text.replaceAll(/\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])/g, "")) {
      if (character === "\r" || character === "\n") return "done";
      if (character === controlC) return "cancelled";
      if (character === "\x7f" || character === "\b") this.#line = [...this.#line].slice(0, -1).join("");
      else if (character === "\x15") this.#line = "";
      else if (character >= " " && this.#line.length < longestLine) this.#line += character;
    }
    return undefined;
  }
}
