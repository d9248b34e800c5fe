// An archive in the "newc" form of cpio, the one the Linux kernel unpacks as its initial RAM file system (Documentation/driver-api/early-userspace/
// buffer-format.rst in the kernel tree). Each entry is a 110-byte header of ASCII hex fields, the name with its NUL, and the data, the last two padded
// to four bytes. Device nodes are entries like any other, so none of this needs root.

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const S_IFCHR = 0o020000;

const NEWC_MAGIC = "070701";
const TRAILER_NAME = "TRAILER!!!";

/** One entry; `path` has no leading slash. Parents come before their children. */
export type ArchiveEntry =
  | { kind: "directory"; path: string; permissions?: number }
  | { kind: "file"; path: string; data: Uint8Array; permissions?: number }
  | { kind: "symlink"; path: string; target: string }
  | { kind: "character-device"; path: string; major: number; minor: number; permissions?: number };

interface RawEntry {
  mode: number;
  links: number;
  data: Uint8Array;
  major: number;
  minor: number;
}

const NO_DATA = new Uint8Array(0);
const encoder = new TextEncoder();

function rawEntry(entry: ArchiveEntry): RawEntry {
  switch (entry.kind) {
    case "directory":
      return { mode: S_IFDIR | (entry.permissions ?? 0o755), links: 2, data: NO_DATA, major: 0, minor: 0 };
    case "file":
      return { mode: S_IFREG | (entry.permissions ?? 0o644), links: 1, data: entry.data, major: 0, minor: 0 };
    case "symlink":
      return { mode: S_IFLNK | 0o777, links: 1, data: encoder.encode(entry.target), major: 0, minor: 0 };
    case "character-device":
      return { mode: S_IFCHR | (entry.permissions ?? 0o600), links: 1, data: NO_DATA, major: entry.major, minor: entry.minor };
  }
}

function hex8(value: number): string {
  return (value >>> 0).toString(16).toUpperCase().padStart(8, "0");
}

function pushPadded(chunks: Uint8Array[], bytes: Uint8Array, alreadyInRecord: number): void {
  chunks.push(bytes);
  const padding = -(alreadyInRecord + bytes.length) & 3;
  if (padding > 0) chunks.push(new Uint8Array(padding));
}

function pushEntry(chunks: Uint8Array[], inode: number, path: string, raw: RawEntry): void {
  const name = encoder.encode(`${path}\0`);
  // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check. Time 0 keeps the archive the same every time.
  const fields = [inode, raw.mode, 0, 0, raw.links, 0, raw.data.length, 0, 0, raw.major, raw.minor, name.length, 0];
  const header = encoder.encode(NEWC_MAGIC + fields.map(hex8).join(""));
  chunks.push(header);
  pushPadded(chunks, name, header.length);
  pushPadded(chunks, raw.data, 0);
}

/** The archive's bytes, uncompressed. */
export function writeCpioArchive(entries: readonly ArchiveEntry[]): Uint8Array {
  const chunks: Uint8Array[] = [];
  entries.forEach((entry, index) => {
    pushEntry(chunks, index + 1, entry.path, rawEntry(entry));
  });
  pushEntry(chunks, 0, TRAILER_NAME, { mode: 0, links: 1, data: NO_DATA, major: 0, minor: 0 });

  const archive = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    archive.set(chunk, offset);
    offset += chunk.length;
  }
  return archive;
}
