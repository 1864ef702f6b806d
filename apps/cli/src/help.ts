import type { Command, FlagSpec } from "./command.ts";
import { globalFlags } from "./parse.ts";

/** The page for `db --help`, `db migrate --help` or `db migrate up --help`: examples first, then what there is. */
export function helpText(commands: readonly Command[], topic: readonly string[]): string {
  // The longest beginning of the words that names a command: the rest are its arguments.
  const exact = topic
    .map((_, index) => topic.slice(0, topic.length - index).join(" "))
    .map((name) => commands.find((command) => command.name === name || command.aliases?.includes(name)))
    .find((command) => command !== undefined);
  const group = commands.filter((command) => topic.length > 0 && command.name.startsWith(`${topic[0]} `));
  if (!exact) return group.length > 0 ? groupHelp(topic[0]!, group) : overview(commands);
  const more = exact.name === topic[0] ? group : [];
  if (more.length === 0) return commandHelp(exact);
  return `${commandHelp(exact)}\n\nSee also\n${table(more.map((command) => [`  ${usage(command)}`, command.summary]))}`;
}

function overview(commands: readonly Command[]): string {
  const rows = groups(commands).map(([group, members]): [string, string] => [
    `db ${group}`,
    members.length === 1 && members[0]!.name === group ? members[0]!.summary : verbs(group, members),
  ]);
  return [
    "db: PostgreSQL in production from one command line",
    "",
    "Examples",
    table([
      ["  db dev", "a PostgreSQL with a replica, here, now"],
      ["  db init", "the whole tour on your database: health, migrations, backup, validation, indexes"],
      ["  db health --watch", "is it well, again every few seconds"],
      ["  db migrate plan", "what would be applied, with the locks it takes"],
      ["  db backup run", "an encrypted physical backup, and db restore drill to prove it"],
    ]),
    "",
    "Commands",
    table(rows.map(([left, right]) => [`  ${left}`, right])),
    "",
    "Every command takes --json, --dry-run, --timeout and --help. The database comes from DATABASE_URL, --url-file or db.config.*.",
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 warnings (--fail-on warn), 4 critical findings, 5 not confirmed, 6 cannot connect, 7 locked or timed out, 8 partly done.",
  ].join("\n");
}

function groupHelp(group: string, members: readonly Command[]): string {
  return [
    `db ${group}`,
    "",
    "Commands",
    table(members.map((command) => [`  ${usage(command)}`, command.summary])),
    "",
    "Examples",
    table(members.flatMap((command) => command.examples.slice(0, 1)).map(([command, does]) => [`  ${command}`, does])),
    "",
    `Run db ${members.at(-1)!.name} --help for one command's flags.`,
  ].join("\n");
}

function commandHelp(command: Command): string {
  const lines = [
    `db ${command.name}: ${command.summary}`,
    "",
    "Examples",
    table(command.examples.map(([example, does]) => [`  ${example}`, does])),
    "",
    `Usage: ${usage(command)} [flags]`,
  ];
  if (command.aliases) lines.push(`Also: ${command.aliases.map((alias) => `db ${alias}`).join(", ")}`);
  if (command.arguments?.length)
    lines.push("", "Arguments", table(command.arguments.map((each) => [`  <${each.name}>`, each.summary])));
  if (command.flags) lines.push("", "Flags", flagTable(command.flags));
  lines.push("", "Flags of every command", flagTable(globalFlags));
  return lines.join("\n");
}

function usage(command: Command): string {
  const words = (command.arguments ?? []).map((each) => (each.required ? `<${each.name}>` : `[${each.name}]`));
  return ["db", command.name, ...words].join(" ");
}

function flagTable(flags: Readonly<Record<string, FlagSpec>>): string {
  return table(
    Object.entries(flags).map(([name, flag]) => [
      `  ${flag.short === undefined ? "    " : `-${flag.short}, `}--${name}${flag.type === "string" ? ` ${flag.value ?? "<value>"}` : ""}`,
      flag.choices ? `${flag.summary} (${flag.choices.join(", ")})` : flag.summary,
    ]),
  );
}

function groups(commands: readonly Command[]): readonly (readonly [string, readonly Command[]])[] {
  const byGroup = Map.groupBy(commands, (command) => command.name.split(" ")[0]!);
  return [...byGroup];
}

function verbs(group: string, members: readonly Command[]): string {
  const own = members.find((command) => command.name === group);
  const rest = members.filter((command) => command !== own).map((command) => command.name.slice(group.length + 1));
  return `${own ? `${own.summary}; ` : ""}${rest.join(", ")}`;
}

/** Two columns; the right one starts where the widest left one ends. */
export function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.min(46, Math.max(...rows.map(([left]) => left.length)) + 2);
  return rows
    .map(([left, right]) => `${left.padEnd(width)}${left.length >= width ? `\n${" ".repeat(width)}` : ""}${right}`)
    .join("\n");
}
