/** A drive's storage that tells how much goes through it: the page's lights. */
import type { Drive } from "../../machine/options.ts";

export type ReportActivity = (read: number, written: number) => void;

export function watched(storage: Drive["storage"], report: ReportActivity): Drive["storage"] {
  return {
    size: storage.size,
    readOnly: storage.readOnly,
    read(offset, into) {
      report(into.length, 0);
      return storage.read(offset, into);
    },
    write(offset, from) {
      report(0, from.length);
      return storage.write(offset, from);
    },
    flush: () => storage.flush(),
  };
}
