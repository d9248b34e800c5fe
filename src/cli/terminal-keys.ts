/**
 * What a terminal sends when a key is pressed, as keys of a PC's keyboard (ECMA-48; xterm's control sequences, "PC-Style Function Keys"). A terminal knows characters
 * and sequences, not keys: a letter comes as if typed on a US keyboard, Ctrl-C as one byte, Alt as an Escape in front.
 */
import { strokeOf } from "../machine/key-layout.ts";

/** Keys pressed together. */
export type Chord = readonly string[];

const finals: Readonly<Record<string, string>> = {
  ...{ A: "ArrowUp", B: "ArrowDown", C: "ArrowRight", D: "ArrowLeft", H: "Home", F: "End", E: "Numpad5", P: "F1", Q: "F2", R: "F3", S: "F4" },
  M: "NumpadEnter",
};
/** CSI number ~. */
const numbered: Readonly<Record<number, string>> = {
  ...{ 1: "Home", 2: "Insert", 3: "Delete", 4: "End", 5: "PageUp", 6: "PageDown", 7: "Home", 8: "End" },
  ...{ 11: "F1", 12: "F2", 13: "F3", 14: "F4", 15: "F5", 17: "F6", 18: "F7", 19: "F8", 20: "F9", 21: "F10", 23: "F11", 24: "F12" },
};
/** Of the Linux console: CSI [ A to E are F1 to F5. */
const consoleFunctionKeys = "ABCDE";

const escapeByte = "\x1b";

export class TerminalKeys {
  readonly #decoder = new TextDecoder();
  #pending = "";

  /** Adds what was typed; returns the chords that are complete. */
  feed(bytes: Uint8Array): Chord[] {
    this.#pending += this.#decoder.decode(bytes, { stream: true });
    return this.#take(false);
  }

  /** An Escape waits for what may follow it. */
  get isWaiting(): boolean {
    return this.#pending !== "";
  }

  /** Nothing followed: an Escape was the key itself. */
  flush(): Chord[] {
    return this.#take(true);
  }

  #take(isComplete: boolean): Chord[] {
    const chords: Chord[] = [];
    while (this.#pending !== "") {
      const found = parse(this.#pending, isComplete);
      if (found === undefined) break;
      this.#pending = this.#pending.slice(found.length);
      if (found.chord.length > 0) chords.push(found.chord);
    }
    return chords;
  }
}

interface Parsed {
  readonly length: number;
  readonly chord: Chord;
}

/** The first key of the text; undefined when more has to come. An unknown sequence is taken and is no key. */
function parse(text: string, isComplete: boolean): Parsed | undefined {
  if (!text.startsWith(escapeByte)) {
    const character = String.fromCodePoint(text.codePointAt(0)!);
    return { length: character.length, chord: chordOf(character) };
  }
  const sequence = /^\x1b(?:\[\[([A-E])|\[([0-9;]*)([A-Za-z~])|O([0-9]*)([A-Za-z]))/.exec(text);
  if (sequence !== null) return { length: sequence[0].length, chord: sequenceChord(sequence) };
  const isBegun = /^\x1b(?:\[\[?[0-9;]*|O[0-9]*)?$/.test(text);
  if (isBegun && !isComplete) return undefined;
  if (text.length === 1 || text[1] === escapeByte) return { length: 1, chord: ["Escape"] };
  // Escape and a character: Alt held.
  const character = String.fromCodePoint(text.codePointAt(1)!);
  const chord = chordOf(character);
  return { length: 1 + character.length, chord: chord.length === 0 ? [] : ["AltLeft", ...chord] };
}

function sequenceChord([, consoleKey, parameters, final, ssModifier, ssFinal]: RegExpExecArray): Chord {
  if (consoleKey !== undefined) return [`F${consoleFunctionKeys.indexOf(consoleKey) + 1}`];
  if (ssFinal !== undefined) return withModifiers(finals[ssFinal], Number(ssModifier || 1));
  const [first = "", modifiers = "1"] = parameters!.split(";");
  if (final === "Z") return ["ShiftLeft", "Tab"];
  return withModifiers(final === "~" ? numbered[Number(first)] : finals[final!], Number(modifiers));
}

/** 1 and a bit for each of Shift, Alt, Control. */
function withModifiers(code: string | undefined, parameter: number): Chord {
  if (code === undefined) return [];
  const bits = parameter - 1;
  return [...(bits & 4 ? ["ControlLeft"] : []), ...(bits & 2 ? ["AltLeft"] : []), ...(bits & 1 ? ["ShiftLeft"] : []), code];
}

function chordOf(character: string): Chord {
  const code = character.codePointAt(0)!;
  const stroke = strokeOf(character);
  if (stroke !== undefined) return stroke.shift ? ["ShiftLeft", stroke.code] : [stroke.code];
  if (code === 0) return ["ControlLeft", "Space"];
  // ^A to ^Z and ^\ ^] ^^ ^_: the character 40h above.
  if (code >= 32) return [];
  const plain = strokeOf(String.fromCharCode(code + 0x40).toLowerCase());
  return plain === undefined ? [] : ["ControlLeft", ...(plain.shift ? ["ShiftLeft"] : []), plain.code];
}
