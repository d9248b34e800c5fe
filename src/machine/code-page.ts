/** Code page 437, the characters in the font of a PC's display (IBM Code Page 437), as Unicode. */

const lowGlyphs = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
const highGlyphs = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";

/** By code. 0 and 255 are blanks like 32, and read as such. */
export const codePage437: readonly string[] = [
  ...lowGlyphs,
  ...Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n)),
  "⌂",
  ...highGlyphs,
];
