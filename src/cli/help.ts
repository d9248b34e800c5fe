/** Help texts, made from the option and command rows. */
import { type CommandName, type CommandRow, commandRows, type OptionGroup, type OptionRow, optionGroups, optionRows } from "./options.ts";

const rows: readonly OptionRow[] = optionRows;
const commands: readonly CommandRow[] = commandRows;

function spelling(row: OptionRow): string {
  const value = row.choices?.join("|") ?? row.value;
  const main = `--${row.name}${row.optionalValue ? `[=${row.optionalValue.join("|")}]` : value ? ` ${value}` : ""}`;
  // One dash for two is said once, for all of them.
  const others = row.aliases?.filter((alias) => alias !== `-${row.name}`) ?? [];
  return [main, ...others].join(", ");
}

/** A terminal of this many columns or more gets the right column in lines of its own length; elsewhere each text is one line. */
const narrowest = 60;

function columns(lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([left]) => left.length)) + 2;
  const terminal = process.stdout.isTTY === true ? process.stdout.columns : 0;
  const room = terminal < narrowest ? Number.POSITIVE_INFINITY : Math.max(terminal - width - 3, narrowest / 2);
  return lines.map(([left, right]) => `  ${left.padEnd(width)}${wrap(right, room).join(`\n${" ".repeat(width + 2)}`)}`).join("\n");
}

/** Lines of whole words. */
function wrap(text: string, room: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > room) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

export function generalHelp(): string {
  return `xlat86 runs whole x86 guests by translating their machine code to JavaScript.

Usage: xlat86 [COMMAND] [OPTIONS]

Commands:
${columns(commands.map((c) => [c.operands ? `${c.name} ${c.operands}` : c.name, c.summary]))}

"xlat86 COMMAND --help" lists a command's options; QEMU's spellings with one dash (-kernel, -hda, -m) do as well. --version prints the version.
At the terminal: Ctrl-A X leaves, Ctrl-A C changes media, Ctrl-A Ctrl-A sends Ctrl-A, Ctrl-A H prints this list.
Exit code: 0 when the guest powers off or reboots; (v<<1)|1 when it writes v to port 0xf4; 3 after a triple fault; 124 at the
timeout; 1 when a --type or --after was never reached; 2 when a file or an option is wrong; 128 and the signal's number after a signal.
`;
}

export function commandHelp(name: CommandName): string {
  const row = commands.find((c) => c.name === name)!;
  const options = rows.filter((r) => row.options.includes(r.name as never) && (r.of === undefined || r.of.includes(name)));
  const width = Math.max(...options.map((o) => spelling(o).length));
  const groups = (Object.keys(optionGroups) as OptionGroup[]).flatMap((group) => {
    const members = options.filter((o) => o.group === group);
    return members.length === 0 ? [] : [`${optionGroups[group]}:\n${columns(members.map((o) => [spelling(o).padEnd(width), o.help]))}\n`];
  });
  return `Usage: xlat86 ${row.name}${row.operands ? ` ${row.operands}` : ""} [OPTIONS]

${row.detail}

${groups.join("\n")}`;
}
