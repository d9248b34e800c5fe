/** Help texts, made from the option and command rows. */
import { type CommandName, type CommandRow, commandRows, type OptionRow, optionRows } from "./options.ts";

const rows: readonly OptionRow[] = optionRows;
const commands: readonly CommandRow[] = commandRows;

function spelling(row: OptionRow): string {
  const value = row.choices?.join("|") ?? row.value;
  const main = `--${row.name}${row.optionalValue ? `[=${row.optionalValue.join("|")}]` : value ? ` ${value}` : ""}`;
  return row.aliases ? `${main}, ${row.aliases.join(", ")}` : main;
}

function columns(lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([left]) => left.length)) + 2;
  return lines.map(([left, right]) => `  ${left.padEnd(width)}${right}`).join("\n");
}

export function generalHelp(): string {
  return `xlat86 runs whole x86 guests by translating their machine code to JavaScript.

Usage: xlat86 [COMMAND] [OPTIONS]

Commands:
${columns(commands.map((c) => [c.operands ? `${c.name} ${c.operands}` : c.name, c.summary]))}

"xlat86 COMMAND --help" lists a command's options. --version prints the version.
On the serial console: Ctrl-A X leaves, Ctrl-A Ctrl-A sends Ctrl-A, Ctrl-A H prints this list.
Exit code: 0 when the guest powers off or reboots; (v<<1)|1 when it writes v to port 0xf4; 3 after a triple fault; 124 at the
timeout; 2 when a file or an option is wrong.
`;
}

export function commandHelp(name: CommandName): string {
  const row = commands.find((c) => c.name === name)!;
  const options = row.options.map((option) => rows.find((r) => r.name === option)!);
  return `Usage: xlat86 ${row.name}${row.operands ? ` ${row.operands}` : ""} [OPTIONS]

${row.detail}

Options:
${columns(options.map((o) => [spelling(o), o.help]))}
`;
}
