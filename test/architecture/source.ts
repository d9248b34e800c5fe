/** The source tree as data: files, their imports, their text without comments and strings. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

export interface SourceFile {
  /** From the project's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments blanked out. */
  readonly code: string;
  /** Project files as paths from the root, packages as they are written. */
  readonly imports: readonly string[];
}

export function sources(...folders: readonly string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
      .map((entry) => read(relative(root, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))),
  );
}

export function read(path: string): SourceFile {
  const text = readFileSync(join(root, path), "utf8");
  const code = withoutComments(text);
  return { path, text, code, imports: importsOf(path, code) };
}

/** Every file reachable by static imports from `path`. */
export function closure(path: string, seen = new Map<string, SourceFile>()): Map<string, SourceFile> {
  if (seen.has(path)) return seen;
  const file = read(path);
  seen.set(path, file);
  for (const target of file.imports) if (target.endsWith(".ts")) closure(target, seen);
  return seen;
}

function importsOf(path: string, code: string): string[] {
  const found = [
    ...code.matchAll(/^\s*(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"']+)["']/gm),
    ...code.matchAll(/^\s*import\s*["']([^"']+)["']/gm),
    ...code.matchAll(/\bimport\(\s*["']([^"']+)["']/g),
  ].map((match) => match[1]!);
  return found.map((name) => (name.startsWith(".") ? join(dirname(path), name).replaceAll("\\", "/") : name));
}

/** Blanks comments, knowing strings, templates and (well enough) regular expressions. */
function withoutComments(text: string): string {
  return text.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`|(?<=[=(,:!&|?{};\n]\s*)\/(?![*/])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (whole, literal: string | undefined) => literal ?? whole.replace(/[^\n]/g, " "),
  );
}
