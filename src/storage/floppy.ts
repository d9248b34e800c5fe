import { StorageError } from "./error.ts";

/** Capacities in KiB of the drives of PCs: 5.25" of 8 and 9 sectors on one and two sides, 3.5" DD, 5.25" HD, 3.5" HD and ED. */
const capacities = [160, 180, 320, 360, 720, 1200, 1440, 2880].map((kib) => kib * 1024);

/** A file of another size (a boot sector alone, a file system without its free end) becomes a 1.44 MB floppy, or a 2.88 MB one if it is larger. */
export function floppyCapacity(name: string, fileSize: number): number {
  if (capacities.includes(fileSize)) return fileSize;
  const capacity = [1440, 2880].map((kib) => kib * 1024).find((size) => size >= fileSize);
  if (capacity !== undefined) return capacity;
  throw new StorageError({
    kind: "unsupported",
    file: name,
    expected: "a floppy image of at most 2,949,120 bytes (2.88 MB)",
    found: `${fileSize} bytes`,
    hint: "give it as a hard disk or CD",
  });
}
