import type { Command, FlagSpec } from "./command.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** A completion script for a shell, made from the command table: commands, flags, and the words a flag accepts. */
export function completionScript(
  shell: Shell,
  commands: readonly Command[],
  globals: Readonly<Record<string, FlagSpec>>,
): string {
  if (shell === "fish") return fish(commands, globals);
  const script = bash(commands, globals);
  // zsh runs bash's own completion functions.
  return shell === "bash"
    ? script
    : `autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n${script}`;
}

function bash(commands: readonly Command[], globals: Readonly<Record<string, FlagSpec>>): string {
  const all = allFlags(commands, globals);
  const valued = all.filter(([, flag]) => flag.type === "string");
  const spelled = ([name, flag]: readonly [string, FlagSpec]): string =>
    `--${name}${flag.short === undefined ? "" : `|-${flag.short}`}`;
  // A flag may accept other words under another command.
  const owned = [
    ...Object.entries(globals).map((each) => ["*", each] as const),
    ...commands.flatMap(({ name, flags = {} }) => Object.entries(flags).map((each) => [`"${name}"`, each] as const)),
  ].filter(([, [, flag]]) => flag.type === "string");
  const values = owned.map(([path, [name, flag]]) => {
    const words = [`--${name}`, ...(flag.short === undefined ? [] : [`-${flag.short}`])];
    const pattern = words.map((word) => `${path}" ${word}"`).join("|");
    if (flag.choices)
      return `    ${pattern}) COMPREPLY=($(compgen -W "${flag.choices.join(" ")}" -- "$current")); return ;;`;
    if (/<(file|folder|module)>/.test(flag.value ?? ""))
      return `    ${pattern}) COMPREPLY=($(compgen -f -- "$current")); return ;;`;
    return `    ${pattern}) return ;;`;
  });
  const cases = [...nodes(commands)].map(
    ([words, { next, flags }]) => `    "${words}") words="${[...next].join(" ")}"; flags="${flags.join(" ")}" ;;`,
  );
  const globalNames = Object.keys(globals)
    .map((name) => `--${name}`)
    .join(" ");
  return `# Completion of db for bash: source <(db completion bash)
_db() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}" path="" words="" flags="" i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      ${valued.map(spelled).join("|")}) i=$((i + 1)) ;;
      -*) ;;
      *) path="\${path:+$path }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path $previous" in
${values.join("\n")}
  esac
  case "$path" in
${cases.join("\n")}
    *) return ;;
  esac
  if [[ "$current" == -* ]]; then words="$flags ${globalNames}"; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _db db
`;
}

function fish(commands: readonly Command[], globals: Readonly<Record<string, FlagSpec>>): string {
  const lines = ["# Completion of db for fish: db completion fish | source", "complete -c db -f"];
  const flagLine = (condition: string, name: string, flag: FlagSpec): string =>
    [
      "complete -c db",
      condition === "" ? "" : `-n ${quote(condition)}`,
      `-l ${name}`,
      flag.short === undefined ? "" : `-s ${flag.short}`,
      flag.type === "boolean" ? "" : flag.choices ? `-x -a ${quote(flag.choices.join(" "))}` : "-r -F",
      `-d ${quote(flag.summary)}`,
    ]
      .filter((part) => part !== "")
      .join(" ");
  const firsts = [...new Set(commands.map(({ name }) => name.split(" ")[0]!))];
  for (const first of firsts) {
    const summary = commands.find(({ name }) => name === first)?.summary ?? `${first} commands`;
    lines.push(`complete -c db -n __fish_use_subcommand -a ${first} -d ${quote(summary)}`);
  }
  for (const { name, summary, flags = {} } of commands) {
    const [first, second] = name.split(" ");
    const under = `__fish_seen_subcommand_from ${first}`;
    if (second !== undefined) lines.push(`complete -c db -n ${quote(under)} -a ${second} -d ${quote(summary)}`);
    const condition = second === undefined ? under : `${under}; and __fish_seen_subcommand_from ${second}`;
    for (const [flag, spec] of Object.entries(flags)) lines.push(flagLine(condition, flag, spec));
  }
  for (const [flag, spec] of Object.entries(globals)) lines.push(flagLine("", flag, spec));
  return `${lines.join("\n")}\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

function allFlags(
  commands: readonly Command[],
  globals: Readonly<Record<string, FlagSpec>>,
): readonly (readonly [string, FlagSpec])[] {
  const byName = new Map(Object.entries(globals));
  for (const { flags = {} } of commands) for (const [name, flag] of Object.entries(flags)) byName.set(name, flag);
  return [...byName];
}

// What may follow each beginning of a command: the next words, and the command's own flags.
function nodes(commands: readonly Command[]): ReadonlyMap<string, { next: Set<string>; flags: readonly string[] }> {
  const found = new Map<string, { next: Set<string>; flags: readonly string[] }>();
  const node = (words: string): { next: Set<string>; flags: readonly string[] } => {
    if (!found.has(words)) found.set(words, { next: new Set(), flags: [] });
    return found.get(words)!;
  };
  for (const { name, flags = {}, arguments: positionals = [] } of commands) {
    const words = name.split(" ");
    for (const [index, word] of words.entries()) node(words.slice(0, index).join(" ")).next.add(word);
    const own = node(name);
    own.flags = Object.keys(flags).map((flag) => `--${flag}`);
    for (const { choices = [] } of positionals) for (const choice of choices) own.next.add(choice);
  }
  return found;
}
