import type { ArgumentSpec, Command, FlagSpec } from "./command.ts";

const target: FlagSpec = { type: "string", value: "<version>", summary: "the version to end at" };
const safety = {
  backup: { type: "boolean", summary: "take a full backup first, under the migration lock" },
} as const satisfies Readonly<Record<string, FlagSpec>>;
const maxAge: FlagSpec = { type: "string", value: "<duration>", summary: "refuse a plan made longer ago: 24h" };
const online: ArgumentSpec = { name: "migration", summary: "id or version; default the oldest that is not finished" };

/** The commands of `db migrate`, and `db reset`. */
export function migrationCommands({ app, dir }: Readonly<Record<"app" | "dir", FlagSpec>>): readonly Command[] {
  const folder: Readonly<Record<string, FlagSpec>> = {
    dir,
    app,
    set: { type: "string", value: "<name=value>", multiple: true, summary: "value of a ${placeholder} in the files" },
  };
  return [
    {
      name: "migrate status",
      summary: "what is applied, pending, changed or missing",
      effect: "reads",
      examples: [["db migrate status", "the whole history"]],
      flags: folder,
      load: async () => (await import("./commands/migrate.ts")).status,
    },
    {
      name: "migrate plan",
      summary: "what `up` would do: statements, locks, findings",
      effect: "reads",
      examples: [
        ["db migrate plan -o plan.json", "kept for approval"],
        ["db migrate plan --rehearse", "run in a transaction that is rolled back: the locks really taken"],
      ],
      flags: {
        ...folder,
        out: { type: "string", short: "o", value: "<file>", summary: "write the plan to a file" },
        to: target,
        rehearse: { type: "boolean", summary: "run it and roll it back: holds its locks as long as it takes" },
      },
      load: async () => (await import("./commands/migrate.ts")).plan,
    },
    {
      name: "migrate up",
      summary: "apply what is pending",
      effect: "changes",
      examples: [
        ["db migrate up", "plan, lint, apply"],
        ["db migrate up --backup", "after a full backup"],
      ],
      flags: {
        ...folder,
        ...safety,
        plan: { type: "string", value: "<file>", summary: "apply this plan, refuse when anything moved since" },
        "max-age": maxAge,
        to: target,
      },
      load: async () => (await import("./commands/migrate.ts")).up,
    },
    {
      name: "migrate apply",
      summary: "exactly what was approved; refused when a file or the catalog moved since",
      effect: "changes",
      examples: [["db migrate apply plan.json", "made by db migrate plan -o plan.json"]],
      arguments: [{ name: "plan", summary: "file of the plan", required: true }],
      flags: { dir, ...safety, "max-age": maxAge },
      load: async () => (await import("./commands/migrate.ts")).up,
    },
    {
      name: "migrate down",
      summary: "take back the newest migration, or down to a version",
      effect: "destroys",
      examples: [["db migrate down --to 20260101000000", "everything after that version"]],
      flags: { ...folder, ...safety, to: target },
      load: async () => (await import("./commands/migrate.ts")).down,
    },
    {
      name: "migrate to",
      summary: "forward or back, to one version",
      effect: "destroys",
      examples: [["db migrate to 0007", "apply up to it, or undo what came after it"]],
      arguments: [{ name: "version", summary: "id or version that is the newest afterwards", required: true }],
      flags: { ...folder, ...safety },
      load: async () => (await import("./commands/migrate.ts")).to,
    },
    {
      name: "migrate redo",
      summary: "take back the newest migration and apply it again",
      effect: "destroys",
      examples: [["db migrate redo", "while writing it"]],
      flags: { ...folder, ...safety },
      load: async () => (await import("./commands/migrate.ts")).redo,
    },
    {
      name: "migrate lint",
      summary: "dangerous statements in pending migrations, with safe rewrites",
      effect: "reads",
      examples: [["db migrate lint --fail-on warn", "for a pull request"]],
      flags: {
        ...folder,
        all: { type: "boolean", summary: "the whole folder, without asking a database" },
        advice: { type: "boolean", summary: "matters of taste too: types, names, keys" },
        format: { type: "string", value: "<people|sarif|github>", summary: "how to print it; default people" },
        sizes: { type: "string", value: "<file>", summary: "table sizes from a catalog read in production, as JSON" },
      },
      load: async () => (await import("./commands/migrate-files.ts")).lint,
    },
    {
      name: "migrate squash",
      summary: "put many migrations into one file, proved equal in empty databases",
      effect: "changes",
      examples: [["db migrate squash --to 0042", "databases that ran the old files know the new one"]],
      flags: { ...folder, to: target },
      load: async () => (await import("./commands/migrate-files.ts")).squash,
    },
    {
      name: "migrate new",
      summary: "a new migration file with the next version",
      effect: "changes",
      examples: [
        ["db migrate new add_bill_summary", "migrations/<version>_add_bill_summary.sql"],
        ["db migrate new age --change app.users.age --type integer --back new_value::text", "an online one"],
      ],
      arguments: [{ name: "name", summary: "words for the file name", required: true }],
      flags: {
        dir,
        app,
        change: { type: "string", value: "<table.column>", summary: "write an online migration that changes it" },
        add: { type: "string", value: "<table.column>", summary: "write an online migration that adds it" },
        type: { type: "string", value: "<type>", summary: "type of the column afterwards" },
        rename: { type: "string", value: "<name>", summary: "name of the column afterwards" },
        value: { type: "string", value: "<sql>", summary: "the new value, over the row's columns" },
        back: { type: "string", value: "<sql>", summary: "the old value; the new one goes by new_value" },
        "not-null": { type: "boolean", summary: "whether it is NOT NULL afterwards" },
      },
      load: async () => (await import("./commands/migrate.ts")).create,
    },
    {
      name: "migrate verify",
      summary: "verify sections of what is applied, run again",
      effect: "reads",
      examples: [
        ["db migrate verify", "exit code 4 when one no longer holds"],
        ["db migrate verify --shadow", "proves that every down restores the schema"],
      ],
      flags: {
        ...folder,
        shadow: { type: "boolean", summary: "run every file up, down, up in empty databases and compare" },
      },
      load: async () => (await import("./commands/migrate-care.ts")).verify,
    },
    {
      name: "migrate drift",
      summary: "what the schema lost or gained since the last migration",
      effect: "reads",
      examples: [
        ["db migrate drift", "for a nightly check: exit code 4 when it drifted"],
        ["db migrate drift --shadow", "compare with what the files make in an empty database beside it"],
      ],
      flags: {
        ...folder,
        shadow: { type: "boolean", summary: "compare with what the files up to the newest applied one make" },
        ignore: { type: "string", value: "<pattern>", multiple: true, summary: "what may differ: public.tmp_*" },
      },
      load: async () => (await import("./commands/migrate-care.ts")).drift,
    },
    {
      name: "migrate baseline",
      summary: "declare applied what a database already has, after proof that it has it",
      effect: "changes",
      examples: [["db migrate baseline 0042", "run up to 0042 in an empty database beside it, compare, record"]],
      arguments: [{ name: "version", summary: "the last migration the database has", required: true }],
      flags: { ...folder, proof: { type: "boolean", summary: "--no-proof believes it" } },
      load: async () => (await import("./commands/migrate-care.ts")).baseline,
    },
    {
      name: "migrate repair",
      summary: "put the history right: edited, renamed, missing and failed migrations, invalid indexes",
      effect: "changes",
      examples: [
        ["db migrate repair --dry-run", "what could be done"],
        ["db migrate repair --only accept-change:0003_email", "one thing"],
      ],
      flags: {
        ...folder,
        only: {
          type: "string",
          value: "<action>",
          multiple: true,
          summary: "do these; else what cannot hide anything",
        },
      },
      load: async () => (await import("./commands/migrate-care.ts")).repair,
    },
    {
      name: "migrate import",
      summary: "another tool's folder as migrations of this one; its history is taken over by the next plan",
      effect: "changes",
      examples: [["db migrate import prisma/migrations --dir migrations", "the files; then db migrate status"]],
      arguments: [{ name: "source", summary: "folder of the other tool", required: true }],
      flags: { dir, tool: { type: "string", value: "<name>", summary: "whose folder it is; default recognised" } },
      load: async () => (await import("./commands/migrate-import.ts")).importFolder,
    },
    {
      name: "migrate expand",
      summary: "first phase of an online migration: what old and new application versions both work with",
      effect: "changes",
      examples: [["db migrate expand", "then deploy the new version, backfill, contract"]],
      arguments: [online],
      flags: { ...folder, ...safety },
      load: async () => (await import("./commands/migrate-online.ts")).expand,
    },
    {
      name: "migrate backfill",
      summary: "second phase: fill in small batches, with a checkpoint",
      effect: "changes",
      examples: [
        ["db migrate backfill", "begin, or go on where it stopped"],
        ["db migrate backfill --pause", "ask the one under way to stop"],
      ],
      arguments: [online],
      flags: {
        ...folder,
        ...safety,
        pause: { type: "boolean", summary: "ask the one under way to stop after its batch" },
      },
      load: async () => (await import("./commands/migrate-online.ts")).backfill,
    },
    {
      name: "migrate contract",
      summary: "last phase: remove what only the old application version needs",
      effect: "changes",
      examples: [["db migrate contract", "once no old version runs any more"]],
      arguments: [online],
      flags: { ...folder, ...safety },
      load: async () => (await import("./commands/migrate-online.ts")).contract,
    },
    {
      name: "migrate cancel",
      summary: "take back an online migration before it is contracted",
      effect: "changes",
      examples: [["db migrate cancel", "by its cancel section"]],
      arguments: [online],
      flags: folder,
      load: async () => (await import("./commands/migrate-online.ts")).cancel,
    },
    {
      name: "migrate switch",
      summary: "point new sessions at another version of the schema, as blue-green deployments do",
      effect: "changes",
      examples: [["db migrate switch app_v0007 --base app", "and back with: db migrate switch app --base app"]],
      arguments: [{ name: "schema", summary: "schema of the views, or the base schema to go back", required: true }],
      flags: {
        base: { type: "string", value: "<schema>", summary: "schema of the tables; default public" },
        role: { type: "string", value: "<role>", summary: "only for this role" },
      },
      load: async () => (await import("./commands/migrate-online.ts")).switchTo,
    },
    {
      name: "reset",
      summary: "empty the database: every schema goes, the history of migrations with it",
      effect: "destroys",
      examples: [["db reset --force --migrate --seed", "a fresh development database"]],
      flags: {
        ...folder,
        force: { type: "boolean", summary: "do not ask; production is asked about all the same" },
        migrate: { type: "boolean", summary: "apply the migrations afterwards" },
        seed: { type: "boolean", summary: "migrate, then load the application's example data" },
        scale: { type: "string", value: "<factor>", summary: "size of the example data, 0.01 to 100; default 1" },
      },
      load: async () => (await import("./commands/reset.ts")).reset,
    },
  ];
}
