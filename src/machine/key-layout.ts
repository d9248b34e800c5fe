/** What a US keyboard's keys are called and which of them make a character. Keys go by KeyboardEvent.code (W3C UI Events KeyboardEvent code Values). */
import { MachineError } from "./options.ts";

export interface Stroke {
  readonly code: string;
  readonly shift: boolean;
}

const characters: ReadonlyMap<string, Stroke> = (() => {
  const map = new Map<string, Stroke>();
  const add = (codes: readonly string[], plain: string, shifted: string): void => {
    for (const [i, code] of codes.entries()) {
      map.set(plain[i]!, { code, shift: false });
      if (shifted[i] !== undefined) map.set(shifted[i]!, { code, shift: true });
    }
  };
  const letters = [..."abcdefghijklmnopqrstuvwxyz"];
  const prefixed = (prefix: string, suffixes: readonly string[]): string[] => suffixes.map((suffix) => prefix + suffix);
  add(prefixed("Key", letters.map((letter) => letter.toUpperCase())), letters.join(""), letters.join("").toUpperCase()); // biome-ignore format: one thought
  add(prefixed("Digit", [..."1234567890"]), "1234567890", "!@#$%^&*()");
  add(["Minus", "Equal", "BracketLeft", "BracketRight", "Backslash", "Semicolon", "Quote", "Backquote"], "-=[]\\;'`", '_+{}|:"~');
  add(["Comma", "Period", "Slash"], ",./", "<>?");
  add(["Space", "Enter", "Tab", "Backspace", "Escape"], " \n\t\b\x1b", "");
  map.set("\r", { code: "Enter", shift: false });
  map.set("\x7f", { code: "Backspace", shift: false });
  return map;
})();

/** The key, and whether with Shift, that makes a character; undefined if none does. */
export function strokeOf(character: string): Stroke | undefined {
  return characters.get(character);
}

/** Short names of keys, as people write them between braces; any KeyboardEvent.code does too. */
const shortNames: Readonly<Record<string, string>> = {
  ...{ ctrl: "ControlLeft", control: "ControlLeft", alt: "AltLeft", shift: "ShiftLeft", meta: "MetaLeft", win: "MetaLeft", super: "MetaLeft" },
  ...{ esc: "Escape", return: "Enter", ret: "Enter", del: "Delete", ins: "Insert", bs: "Backspace", spc: "Space", menu: "ContextMenu" },
  ...{ up: "ArrowUp", down: "ArrowDown", left: "ArrowLeft", right: "ArrowRight", pgup: "PageUp", pgdn: "PageDown" },
  ...{ print: "PrintScreen", break: "Pause", altgr: "AltRight" },
};

/**
 * Text with keys between braces as a list of chords: "ls{Enter}", "{F12}", "{Ctrl-Alt-Delete}"; "{{" is a brace. A chord is pressed in order and released in
 * reverse. Errors: `MachineError` naming what has no key.
 */
export function parseKeys(text: string, known: (code: string) => boolean): string[][] {
  const chords: string[][] = [];
  for (const [piece, name] of text.matchAll(/\{\{|\{([^{}]*)\}|[\s\S]/gu)) {
    if (name !== undefined) chords.push(parseChord(name, known));
    else chords.push(chordOf(piece === "{{" ? "{" : piece));
  }
  return chords;
}

/** The keys for plain text. Errors: `MachineError` for a character that a US keyboard lacks. */
export function parseText(text: string): string[][] {
  return [...text.replaceAll("\r\n", "\n")].map(chordOf);
}

function chordOf(character: string): string[] {
  const stroke = strokeOf(character);
  if (stroke === undefined) {
    throw new MachineError(`no key of a US keyboard makes ${JSON.stringify(character)}; expected ASCII, or key names such as {Enter}`);
  }
  return stroke.shift ? ["ShiftLeft", stroke.code] : [stroke.code];
}

function parseChord(name: string, known: (code: string) => boolean): string[] {
  // "-" between keys, and as the last one a key itself: {Ctrl--}.
  const parts = name.endsWith("--") ? [...name.slice(0, -2).split("-"), "-"] : name.split("-");
  return parts.flatMap((part) => {
    const code = shortNames[part.toLowerCase()] ?? part;
    if (known(code)) return [code];
    const capitalized = code.charAt(0).toUpperCase() + code.slice(1);
    if (known(capitalized)) return [capitalized];
    const upper = code.toUpperCase();
    if (known(upper)) return [upper];
    const stroke = code.length === 1 ? strokeOf(code.toLowerCase()) : undefined;
    if (stroke !== undefined) return stroke.shift ? ["ShiftLeft", stroke.code] : [stroke.code];
    throw new MachineError(`{${name}}: no key "${part}"; expected names such as Enter, F12, Esc, Ctrl-Alt-Delete, or KeyboardEvent codes`);
  });
}
