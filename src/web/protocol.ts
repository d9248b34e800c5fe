/**
 * What a page and the host of its machine say to each other. A host is a worker of the page, which has one machine in its life, or a process of Node that several pages
 * look at (`--display web`). The page knows no machine and the host no document. Messages are plain values: structured cloning carries them to a worker, wire.ts over a
 * WebSocket. What is costly to show is acknowledged (frames, serial output), so that a page that is busy or hidden is not flooded.
 */

/** Where bytes come from. Files are passed as they are: nothing is read before it is needed. */
export type ImageSource =
  | { readonly kind: "file"; readonly file: File }
  | { readonly kind: "url"; readonly url: string }
  /** A disk in the browser's private file system, made when it is not there and a size is given. */
  | { readonly kind: "stored"; readonly name: string; readonly size?: number };

/** For a drive of a machine that is on. */
export type MediumSource =
  | ImageSource
  /** A file that the page has sent to a host in another process, which calls it `id`. */
  | { readonly kind: "upload"; readonly name: string; readonly id: string };

/** As the machine's options name them. */
export type DrivePlace = "hda" | "hdb" | "hdc" | "hdd" | "fda" | "fdb";

export interface DriveSetup {
  readonly place: DrivePlace | "virtio";
  readonly source: ImageSource;
  /** What the guest writes stays in the browser's private file system; otherwise it is gone when the machine is switched off. */
  readonly keep: boolean;
}

/** What is switched on. */
export interface MachineSetup {
  /** For the title. */
  readonly name: string;
  /** "demo" is the embedded guest. */
  readonly kernel?: ImageSource | "demo";
  readonly initrd?: ImageSource;
  readonly append?: string;
  readonly bios?: ImageSource;
  readonly vgaBios?: ImageSource;
  readonly drives: readonly DriveSetup[];
  readonly boot?: string;
  readonly bootMenu?: boolean;
  /** RAM in bytes. */
  readonly memory: number;
  /** A graphics adapter although a kernel is booted directly. */
  readonly vga?: boolean;
}

export type MouseButtonName = "left" | "middle" | "right";

export type ToHost =
  | { readonly kind: "switchOn"; readonly setup: MachineSetup }
  /** "flush": the page may be closed soon, what was written to drives is brought to where it stays. */
  | { readonly kind: "pause" | "resume" | "reset" | "switchOff" | "flush" }
  | { readonly kind: "serial"; readonly text: string }
  | { readonly kind: "key"; readonly code: string; readonly isDown: boolean }
  /** Pressed together and released. */
  | { readonly kind: "chord"; readonly codes: readonly string[] }
  | { readonly kind: "type"; readonly text: string }
  | { readonly kind: "mouseMove"; readonly dx: number; readonly dy: number; readonly notches: number }
  | { readonly kind: "mouseButton"; readonly button: MouseButtonName; readonly isDown: boolean }
  /** A frame was drawn; where buffers are moved rather than copied, its own comes back to be used again. */
  | { readonly kind: "frameDrawn"; readonly buffer?: ArrayBuffer }
  | { readonly kind: "serialShown" }
  /** Whether somebody looks at the translator's panel. */
  | { readonly kind: "watchTranslator"; readonly isWatched: boolean }
  | { readonly kind: "inspect"; readonly address: number }
  | { readonly kind: "screenshot" }
  /** Into a floppy or CD drive of a machine that is on. */
  | { readonly kind: "insert"; readonly place: DrivePlace; readonly source: MediumSource }
  | { readonly kind: "eject"; readonly place: DrivePlace; readonly force: boolean };

/** "off" is final. "ended": the guest is over, as `why` says; it can be reset. */
export type PowerState = "starting" | "running" | "paused" | "ended" | "off";

export interface SpeedReport {
  /** Guest instructions in all. */
  readonly instructions: number;
  /** Of the time since the last report: guest instructions a second, the share of them that tier 0 executed, the share of the time the guest was halted. */
  readonly perSecond: number;
  readonly tierZeroShare: number;
  readonly idleShare: number;
  /** Of the whole run. */
  readonly tierZeroShareOfAll: number;
  readonly blocks: number;
  readonly regions: number;
  /** Of these, the ones made on the thread beside the guest's. */
  readonly backgroundRegions: number;
  readonly regionsLive: number;
  readonly regionTextLength: number;
  /** Host seconds spent making regions, and their share of the time the machine ran. */
  readonly regionSeconds: number;
  readonly regionShare: number;
  readonly codeCacheShare: number;
  readonly invalidations: number;
  readonly guestSeconds: number;
  /** Most frequent reasons first, of the time since the last report and in all. */
  readonly exits: readonly { readonly reason: string; readonly perSecond: number; readonly total: number }[];
  readonly lights: { readonly scrollLock: boolean; readonly numLock: boolean; readonly capsLock: boolean };
}

/** A place in guest code where the guest was found in the last seconds. */
export interface HotPlace {
  /** Linear address. */
  readonly address: number;
  /** Of the instructions executed, 0 to 1. */
  readonly share: number;
  readonly tier: "region" | "tier 0";
  /** The first instruction there. */
  readonly text: string;
}

export interface InspectedPlace {
  readonly address: number;
  readonly heading: string;
  /** Instructions, those that are first in their basic block marked; `exit` is why a sensitive one leaves for the monitor. */
  readonly listing: readonly {
    readonly address: number;
    readonly bytes: string;
    readonly text: string;
    readonly isFirst: boolean;
    readonly exit?: string;
  }[];
  /** JavaScript, and what it is. */
  readonly code: readonly { readonly title: string; readonly text: string }[];
}

/** A floppy or CD drive and what is in it. */
export interface MediumReport {
  readonly place: DrivePlace;
  readonly kind: "floppy" | "cdrom";
  /** Absent: nothing. */
  readonly medium?: string;
}

/** Where the pixels of a frame's part go. */
export interface FramePart {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export type FromHost =
  /** The host listens. `name`: the machine that it has already. */
  | { readonly kind: "ready"; readonly name?: string }
  | { readonly kind: "state"; readonly state: PowerState; readonly why?: string; readonly hasDisplay: boolean }
  | { readonly kind: "error" | "warning"; readonly message: string }
  /** The screen's size and the parts of it that have changed since the last frame: the RGBA pixels of one after those of the other. */
  | {
      readonly kind: "frame";
      readonly width: number;
      readonly height: number;
      readonly mode: "text" | "graphics" | "blank";
      readonly parts: readonly FramePart[];
      readonly buffer: ArrayBuffer;
    }
  | { readonly kind: "serial"; readonly bytes: Uint8Array }
  | { readonly kind: "speed"; readonly report: SpeedReport }
  /** Bytes of an image on their way over the network; `size` is 0 while it is not known. */
  | {
      readonly kind: "download";
      readonly name: string;
      readonly received: number;
      readonly size: number;
      readonly isWhole: boolean;
      readonly problem?: string;
    }
  /** Bytes that drives read and wrote since the last message. */
  | { readonly kind: "drives"; readonly activity: readonly { readonly place: string; readonly read: number; readonly written: number }[] }
  | { readonly kind: "media"; readonly drives: readonly MediumReport[] }
  /** The guest has locked the tray. */
  | { readonly kind: "ejectRefused"; readonly place: DrivePlace }
  | { readonly kind: "hot"; readonly places: readonly HotPlace[] }
  | { readonly kind: "inspected"; readonly place: InspectedPlace }
  | { readonly kind: "screenshot"; readonly png: Uint8Array }
  /** The lines of a text screen when they have changed, for people who do not see the canvas; none in graphics modes. */
  | { readonly kind: "screenText"; readonly lines: readonly string[] };
