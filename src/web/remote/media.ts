/** Media for the drives of a machine in this process, as its pages ask for them: files that they sent, and images on servers. What a guest writes to them stays in memory. */
import type { OpenMedium } from "../../machine/media-changer.ts";
import { type HttpProgress, HttpStore, httpBacking, openImage, StorageError } from "../../storage/index.ts";
import { FileStore } from "../../storage/node.ts";
import type { DrivePlace, MediumSource } from "../protocol.ts";
import type { Uploads } from "./uploads.ts";

export interface RemoteMediaOptions {
  readonly uploads: Uploads;
  readonly onProgress: (name: string, progress: HttpProgress) => void;
}

/** Errors: `StorageError`. */
export async function openRemoteMedium(place: DrivePlace, source: MediumSource, { uploads, onProgress }: RemoteMediaOptions): Promise<OpenMedium> {
  const media = place.startsWith("fd") ? ("floppy" as const) : ("cdrom" as const);
  switch (source.kind) {
    case "url": {
      if (!/^https?:/i.test(source.url)) throw problem(source.url, "an address that begins with http: or https:", "another one");
      const store = await HttpStore.open(source.url, { onProgress: (progress) => onProgress(source.url, progress) });
      const image = await openImage(store, { media, snapshot: true, openBacking: httpBacking() });
      return { storage: image, name: source.url, warnings: image.describe().warnings, close: () => image.close() };
    }
    case "upload": {
      const path = uploads.take(source.id);
      if (path === undefined) throw problem(source.name, "a file that was sent before", "none");
      try {
        // No backing files: an image from a page must not name files of this computer.
        const image = await openImage(FileStore.open(path, { readOnly: true }), { media, snapshot: true });
        const close = async (): Promise<void> => {
          await image.close();
          await uploads.discard(path);
        };
        return { storage: image, name: source.name, warnings: image.describe().warnings, close };
      } catch (error) {
        await uploads.discard(path);
        throw error;
      }
    }
    default:
      throw problem(source.kind, "a file that was sent, or an address", "what only a browser can open");
  }
}

function problem(file: string, expected: string, found: string): StorageError {
  return new StorageError({ kind: "request", file, expected, found, hint: "choose the medium on the page again" });
}
