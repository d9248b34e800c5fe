/** JavaScript in colours: enough of a lexer for what the translator writes. */
import { make } from "./dom.ts";

const token =
  /(\/\/[^\n]*|\/\*[\s\S]*?\*\/)|\b(const|let|var|function|return|if|else|for|while|do|switch|case|default|break|continue|throw|try|catch|finally|new)\b|\b(0x[\da-fA-F]+|\d[\d.]*)\b|\b([A-Za-z_$][\w$]*)(?=\()/g;
const classes = ["comment", "keyword", "number", "call"] as const;

export function colourJavaScript(text: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  let at = 0;
  for (const match of text.matchAll(token)) {
    const kind = classes.find((_, k) => match[k + 1] !== undefined);
    if (!kind) continue;
    fragment.append(text.slice(at, match.index), make("span", { className: kind }, match[0]));
    at = match.index + match[0].length;
  }
  fragment.append(text.slice(at));
  return fragment;
}
