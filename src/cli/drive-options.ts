/**
 * Drives as they are written on the command line, QEMU's ways included: `--hda FILE`, `--virtio FILE,readonly`, `-drive file=FILE,if=virtio,format=raw`.
 * Errors: `UsageError`.
 */
import { UsageError } from "./error.ts";

export type DrivePlace = "hda" | "hdb" | "hdc" | "hdd" | "fda" | "fdb" | "virtio";

export interface DriveRequest {
  /** As the person wrote it, for messages. */
  readonly option: string;
  readonly place: DrivePlace;
  /** Empty: an empty drive. */
  readonly path: string;
  readonly media: "disk" | "cdrom";
  readonly format?: "raw" | "qcow2";
  readonly readOnly: boolean;
  readonly snapshot: boolean;
}

const idePlaces: readonly DrivePlace[] = ["hda", "hdb", "hdc", "hdd"];
const floppyPlaces: readonly DrivePlace[] = ["fda", "fdb"];
/** How people call the places. */
export const placeNames: Readonly<Record<DrivePlace, string>> = {
  ...{ hda: "the first IDE drive", hdb: "the second IDE drive", hdc: "the third IDE drive", hdd: "the fourth IDE drive" },
  ...{ fda: "the first floppy drive", fdb: "the second floppy drive", virtio: "a virtio drive" },
};
/** Words of -drive that change how QEMU does it, not what the guest sees. */
const ignoredKeys: readonly string[] = ["id", "cache", "aio", "discard", "detect-zeroes"];

/** The options that name a drive, in the order they were given. */
export function parseDrives(given: readonly { readonly name: string; readonly value: string }[]): DriveRequest[] {
  const requests: DriveRequest[] = [];
  const free = (places: readonly DrivePlace[], option: string): DrivePlace => {
    const place = places.find((candidate) => requests.every((request) => request.place !== candidate));
    if (place === undefined) throw new UsageError(`${option}: ${places.join(", ")} are all taken`);
    return place;
  };
  const add = (request: DriveRequest): void => {
    const other = requests.find(({ place }) => place === request.place && place !== "virtio");
    if (other !== undefined) throw new UsageError(`${request.option}: ${other.option} is ${placeNames[request.place]} (${request.place}) already`);
    requests.push(request);
  };
  // Fixed places first: what takes the next free one goes around them, whatever the order on the command line.
  for (const { name, value } of given) if (name !== "drive") add(simpleDrive(name, value));
  for (const { name, value } of given) if (name === "drive") add(generalDrive(value, free));
  return requests;
}

/** `--hda FILE[,format=raw|qcow2][,readonly][,snapshot]` and its like. */
function simpleDrive(name: string, value: string): DriveRequest {
  const option = `--${name} ${value}`;
  const [path, ...words] = splitAtCommas(value);
  // A drive whose medium can be changed may begin empty.
  const isRemovable = name === "cdrom" || name === "fda" || name === "fdb";
  if (path === undefined || (path === "" && !isRemovable)) throw new UsageError(`${option}: expected a file`);
  const place = (name === "cdrom" ? "hdc" : name) as DrivePlace;
  const media = name === "cdrom" ? "cdrom" : "disk";
  return { option, place, path, media, ...commonWords(option, pairs(words, option)) };
}

function generalDrive(value: string, free: (places: readonly DrivePlace[], option: string) => DrivePlace): DriveRequest {
  const option = `--drive ${value}`;
  const words = pairs(splitAtCommas(value), option);
  const take = (key: string): string | undefined => {
    const found = words.get(key);
    words.delete(key);
    return found;
  };
  const path = take("file");
  if (path === undefined || path === "") throw new UsageError(`${option}: expected file=FILE among its words`);
  const bus = take("if") ?? "ide";
  const media = take("media") ?? "disk";
  if (media !== "disk" && media !== "cdrom") throw new UsageError(`${option}: media=${media}: expected disk or cdrom`);
  const index = driveIndex(option, take("index"), take("bus"), take("unit"), bus);
  for (const key of ignoredKeys) take(key);
  const common = commonWords(option, words);
  if (media === "cdrom" && bus !== "ide") throw new UsageError(`${option}: media=cdrom: a CD drive is on if=ide`);
  if (bus === "virtio") return { option, place: "virtio", path, media, ...common };
  if (bus !== "ide" && bus !== "floppy") throw new UsageError(`${option}: if=${bus}: expected ide, virtio or floppy`);
  const places = bus === "ide" ? idePlaces : floppyPlaces;
  if (index !== undefined && places[index] === undefined)
    throw new UsageError(`${option}: index=${index}: expected 0 to ${places.length - 1} for if=${bus}`);
  return { option, place: index === undefined ? free(places, option) : places[index]!, path, media, ...common };
}

function driveIndex(option: string, index: string | undefined, bus: string | undefined, unit: string | undefined, kind: string): number | undefined {
  for (const [name, value] of Object.entries({ index, bus, unit })) {
    if (value !== undefined && !/^\d+$/.test(value)) throw new UsageError(`${option}: ${name}=${value}: expected a number`);
  }
  if (index !== undefined) return Number(index);
  if (bus === undefined && unit === undefined) return undefined;
  return Number(bus ?? 0) * (kind === "ide" ? 2 : 1) + Number(unit ?? 0);
}

function commonWords(option: string, words: ReadonlyMap<string, string>): Pick<DriveRequest, "format" | "readOnly" | "snapshot"> {
  const isOn = (key: string): boolean => {
    const value = words.get(key) ?? "off";
    if (["on", "yes", "true"].includes(value)) return true;
    if (["off", "no", "false"].includes(value)) return false;
    throw new UsageError(`${option}: ${key}=${value}: expected on or off`);
  };
  for (const key of words.keys()) {
    if (!["format", "readonly", "read-only", "snapshot"].includes(key))
      throw new UsageError(`${option}: unknown word "${key}"; write a comma in a file's name twice`);
  }
  const format = words.get("format");
  if (format !== undefined && format !== "raw" && format !== "qcow2") throw new UsageError(`${option}: format=${format}: expected raw or qcow2`);
  return { ...(format === undefined ? {} : { format }), readOnly: isOn("readonly") || isOn("read-only"), snapshot: isOn("snapshot") };
}

/** Two commas stand for one. */
function splitAtCommas(text: string): string[] {
  return text.split(/(?<!,),(?!,)|(?<=,,),(?!,)/).map((word) => word.replaceAll(",,", ","));
}

/** "key=value" and "key", which means on. */
function pairs(words: readonly string[], option: string, such = "readonly or format=raw"): Map<string, string> {
  const map = new Map<string, string>();
  for (const word of words) {
    const equals = word.indexOf("=");
    const key = equals < 0 ? word : word.slice(0, equals);
    if (key === "") throw new UsageError(`${option}: expected words such as ${such} between the commas`);
    map.set(key, equals < 0 ? "on" : word.slice(equals + 1));
  }
  return map;
}

export interface BootRequest {
  readonly order?: string;
  /** Milliseconds that the BIOS waits for the menu's key. */
  readonly menuWait?: number;
}

/** What SeaBIOS waits for the menu's key when it is not told. */
const defaultMenuWait = 2500;

/** `--boot dca`, `--boot order=dc,menu=on,splash-time=5000`. Which letters there are is the machine's business. */
export function parseBoot(text: string): BootRequest {
  const words = text.includes("=") ? pairs(text.split(","), `--boot ${text}`, "order=dc or menu=on") : new Map([["order", text]]);
  const unknown = [...words.keys()].find((key) => !["order", "menu", "splash-time", "strict"].includes(key));
  if (unknown !== undefined) throw new UsageError(`--boot ${text}: unknown word "${unknown}"; expected order=, menu=on or splash-time=`);
  const order = words.get("order");
  if (order !== undefined && (!/^[acdn]{1,4}$/.test(order) || new Set(order).size !== order.length)) {
    throw new UsageError(`--boot ${text}: expected the letters c (hard disk), d (CD), a (floppy), n (network) in the order to try, each once`);
  }
  const menu = words.get("menu") ?? "off";
  if (menu !== "on" && menu !== "off") throw new UsageError(`--boot ${text}: menu=${menu}: expected on or off`);
  const wait = words.get("splash-time");
  if (wait !== undefined && !/^\d{1,5}$/.test(wait)) throw new UsageError(`--boot ${text}: splash-time=${wait}: expected milliseconds up to 65535`);
  return { ...(order === undefined ? {} : { order }), ...(menu === "on" ? { menuWait: Number(wait ?? defaultMenuWait) } : {}) };
}
