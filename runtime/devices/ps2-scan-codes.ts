/**
 * Scan codes of the PS/2 keyboard (IBM PS/2 Hardware Interface Technical Reference, "Keyboards"). A key is named by its set 2 make code,
 * with E0h above it for the keys that have that prefix.
 */

/** Pause sends E1 14 77 E1 F0 14 F0 77 when pressed and nothing when released. */
export const pauseKey = 0xe11477;

/** The 8042's translation of set 2 codes 00h-84h to set 1; codes above pass through. */
export const set2ToSet1: Uint8Array = (() => {
  const table = Uint8Array.from({ length: 256 }, (_, code) => code);
  const rows = [
    "ff 43 41 3f 3d 3b 3c 58 64 44 42 40 3e 0f 29 59",
    "65 38 2a 70 1d 10 02 5a 66 71 2c 1f 1e 11 03 5b",
    "67 2e 2d 20 12 05 04 5c 68 39 2f 21 14 13 06 5d",
    "69 31 30 23 22 15 07 5e 6a 72 32 24 16 08 09 5f",
    "6b 33 25 17 18 0b 0a 60 6c 34 35 26 27 19 0c 61",
    "6d 73 28 74 1a 0d 62 6e 3a 36 1c 1b 75 2b 63 76",
    "55 56 77 78 79 7a 0e 7b 7c 4f 7d 4b 47 7e 7f 6f",
    "52 53 50 4c 4d 48 01 45 57 4e 51 4a 37 49 46 54",
    "80 81 82 41 54",
  ];
  rows.forEach((row, high) => {
    row.split(" ").forEach((code, low) => {
      table[high * 16 + low] = Number.parseInt(code, 16);
    });
  });
  return table;
})();

/** Set 3 codes of the keys whose code is not their set 2 code. */
const set3ByKey: ReadonlyMap<number, number> = new Map(
  [
    ["58 14 11 7e 77 5d 61 76", "14 11 19 5f 76 5c 13 08"],
    ["05 06 04 0c 03 0b 83 0a 01 09 78 07", "07 0f 17 1f 27 2f 37 3f 47 4f 56 5e"],
    ["7c 7b 79 e05a e04a", "7e 84 7c 79 77"],
    ["6a 13 64 67 e023 e021 e032", "5d 87 86 85 9c 9d 95"],
    ["e014 e011 e01f e027 e02f e07c e11477", "58 39 8b 8c 8d 57 62"],
    ["e070 e071 e06c e069 e07d e07a e075 e06b e072 e074", "67 64 6e 65 6f 6d 63 61 60 6a"],
  ].flatMap(([keys, codes]) => {
    const values = codes.split(" ");
    return keys.split(" ").map((key, n): [number, number] => [Number.parseInt(key, 16), Number.parseInt(values[n], 16)]);
  }),
);

/** A key's set 3 code: one byte for every key. */
export function set3Code(key: number): number {
  return set3ByKey.get(key) ?? key & 0xff;
}

/** Keys that another key changes: Print Screen is a shifted * that some programs look for, and SysRq with Alt; Pause with Ctrl is Break. */
const printScreen = 0xe07c;
const sysRq = 0x84;
const breakKey = 0xe07e;
const [leftShift, rightShift, leftControl, rightControl, leftAlt, rightAlt] = [0x12, 0x59, 0x14, 0xe014, 0x11, 0xe011];

/** Bytes of a key's make or break code. `held`: the keys that are down, which change the codes of a few keys in sets 1 and 2. */
export function scanCodes(key: number, pressed: boolean, set: 1 | 2 | 3, held: readonly number[] = []): number[] {
  if (set === 3) return pressed ? [set3Code(key)] : [0xf0, set3Code(key)];
  const holds = (...keys: number[]): boolean => keys.some((other) => held.includes(other));
  if (key === pauseKey) {
    if (!pressed) return [];
    if (holds(leftControl, rightControl)) return [...plain(breakKey, true, set), ...plain(breakKey, false, set)];
    return set === 2 ? [0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77] : [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5];
  }
  if (key === printScreen) {
    if (holds(leftAlt, rightAlt)) return plain(sysRq, pressed, set);
    if (!holds(leftShift, rightShift, leftControl, rightControl)) {
      const shift = plain(0xe000 | leftShift, pressed, set);
      return pressed ? [...shift, ...plain(key, true, set)] : [...plain(key, false, set), ...shift];
    }
  }
  return plain(key, pressed, set);
}

function plain(key: number, pressed: boolean, set: 1 | 2): number[] {
  const code = key & 0xff;
  const prefix = key > 0xff ? [key >> 8] : [];
  if (set === 1) return [...prefix, set2ToSet1[code] | (pressed ? 0 : 0x80)];
  return pressed ? [...prefix, code] : [...prefix, 0xf0, code];
}

/** Set 2 keys by the `code` of a browser's KeyboardEvent (W3C UI Events KeyboardEvent code Values). */
export const keyByCode: ReadonlyMap<string, number> = (() => {
  const keys = new Map<string, number>();
  const add = (names: string, codes: string) => {
    const values = codes.split(" ");
    names.split(" ").forEach((name, n) => {
      keys.set(name, Number.parseInt(values[n], 16));
    });
  };
  const prefixed = (prefix: string, suffixes: string) => [...suffixes].map((suffix) => prefix + suffix).join(" ");
  add(prefixed("Key", "ABCDEFGHIJKLM"), "1c 32 21 23 24 2b 34 33 43 3b 42 4b 3a");
  add(prefixed("Key", "NOPQRSTUVWXYZ"), "31 44 4d 15 2d 1b 2c 3c 2a 1d 22 35 1a");
  add(prefixed("Digit", "1234567890"), "16 1e 26 25 2e 36 3d 3e 46 45");
  add("F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 F11 F12", "05 06 04 0c 03 0b 83 0a 01 09 78 07");
  add("Backquote Minus Equal Backspace Tab BracketLeft BracketRight Backslash", "0e 4e 55 66 0d 54 5b 5d");
  add("CapsLock Semicolon Quote Enter IntlBackslash Comma Period Slash", "58 4c 52 5a 61 41 49 4a");
  add("ShiftLeft ShiftRight ControlLeft AltLeft Space Escape NumLock ScrollLock", "12 59 14 11 29 76 77 7e");
  add(prefixed("Numpad", "1234567890"), "69 72 7a 6b 73 74 6c 75 7d 70");
  add("NumpadDecimal NumpadAdd NumpadSubtract NumpadMultiply NumpadDivide NumpadEnter", "71 79 7b 7c e04a e05a");
  add("ControlRight AltRight MetaLeft MetaRight ContextMenu PrintScreen Pause", "e014 e011 e01f e027 e02f e07c e11477");
  add("NumpadEqual NumpadComma IntlRo IntlYen KanaMode Convert NonConvert", "0f 6d 51 6a 13 64 67");
  add("F13 F14 F15 F16 F17 F18 F19 F20 F21 F22 F23 F24", "08 10 18 20 28 30 38 40 48 50 57 5f");
  add("AudioVolumeMute AudioVolumeDown AudioVolumeUp Power Sleep WakeUp", "e023 e021 e032 e037 e03f e05e");
  add("Insert Delete Home End PageUp PageDown", "e070 e071 e06c e069 e07d e07a");
  add("ArrowUp ArrowDown ArrowLeft ArrowRight", "e075 e072 e06b e074");
  return keys;
})();
