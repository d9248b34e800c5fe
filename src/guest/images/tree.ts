/** Files to be put on a medium, by path: "BOOT/GRUB/GRUB.CFG". Directories are made as paths need them. */
export type FileTree = Readonly<Record<string, Uint8Array | string>>;

export interface TreeFile {
  readonly name: string;
  readonly data: Uint8Array;
}

export interface TreeDirectory {
  readonly name: string;
  readonly directories: readonly TreeDirectory[];
  readonly files: readonly TreeFile[];
}

interface Node {
  readonly directories: Map<string, Node>;
  readonly files: Map<string, Uint8Array>;
}

/** A DOS name of eight and three characters, which both ISO 9660 (level 1) and FAT take without extensions. */
const dosName = /^[A-Z0-9_+~-]{1,8}(\.[A-Z0-9_+~-]{1,3})?$/;

function checkName(name: string): string {
  const upper = name.toUpperCase();
  if (!dosName.test(upper)) throw new Error(`${name}: not a name of 8.3 characters`);
  return upper;
}

/** The tree behind the paths, every directory sorted by name as ISO 9660 wants it. */
export function directoryTree(files: FileTree): TreeDirectory {
  const root: Node = { directories: new Map(), files: new Map() };
  for (const [path, data] of Object.entries(files)) {
    const names = path.split("/").map(checkName);
    let at = root;
    for (const name of names.slice(0, -1)) {
      let next = at.directories.get(name);
      if (next === undefined) {
        next = { directories: new Map(), files: new Map() };
        at.directories.set(name, next);
      }
      at = next;
    }
    at.files.set(names.at(-1)!, typeof data === "string" ? new TextEncoder().encode(data) : data);
  }
  return frozen("", root);
}

function byName<T>([a]: readonly [string, T], [b]: readonly [string, T]): number {
  return a < b ? -1 : 1;
}

function frozen(name: string, node: Node): TreeDirectory {
  return {
    name,
    directories: [...node.directories].sort(byName).map(([child, directory]) => frozen(child, directory)),
    files: [...node.files].sort(byName).map(([child, data]) => ({ name: child, data })),
  };
}
