import { backupCommands } from "./backup-commands.ts";
import type { Command, FlagSpec } from "./command.ts";
import { migrationCommands } from "./migration-commands.ts";

const app: FlagSpec = {
  type: "string",
  value: "<module>",
  summary: "application module: migrations, rules, indexes and example data as data",
};
const dir: FlagSpec = {
  type: "string",
  value: "<folder>",
  summary: "folder of migrations; default from the configuration",
};
const port: FlagSpec = { type: "string", value: "<port>", summary: "port to listen on; default a free one" };

/** Every command of `db`, in the order of the help. Data only: code is loaded when a command runs. */
export const commands: readonly Command[] = Object.freeze([
  {
    name: "start",
    summary: "the main job, then the dashboard: on your database read-only, else on one of its own",
    effect: "changes",
    examples: [
      ["npm start", "an embedded PostgreSQL with the example on it, served"],
      ["DATABASE_URL=postgres://… npm start", "your own database, looked at and not touched"],
    ],
    flags: {
      app,
      example: {
        type: "string",
        value: "<module>",
        summary: "application of the embedded database; a database of your own never sees it",
      },
      port,
      fresh: { type: "boolean", summary: "begin again with an empty embedded database" },
      scale: { type: "string", value: "<factor>", summary: "size of the example data, 0.01 to 100; default 1" },
    },
    load: async () => (await import("./commands/start.ts")).start,
  },
  {
    name: "init",
    summary: "the whole tour on your database: health, migrations, backup and restore, validation, indexes, monitoring",
    aliases: ["setup"],
    effect: "changes",
    examples: [
      ["db init --read-only", "everything that only looks"],
      ["db init --app ./application.js", "with your migrations, rules and indexes"],
      ["db init --dry-run", "what each step would do"],
    ],
    flags: { app, "read-only": { type: "boolean", summary: "change nothing in the database" } },
    load: async () => (await import("./commands/init.ts")).init,
  },
  {
    name: "dev",
    summary: "a PostgreSQL with a streaming replica for this folder, kept between runs",
    effect: "changes",
    examples: [
      ["db dev", "start it and stay; Ctrl-C stops it"],
      ["db dev --fresh", "begin again with an empty one"],
    ],
    flags: {
      fresh: { type: "boolean", summary: "remove what is there and begin again" },
      directory: { type: "string", value: "<folder>", summary: "where the data lives; default .db" },
      replicas: { type: "string", value: "<count>", summary: "streaming replicas; default 1" },
      "pg-version": { type: "string", value: "<major>", summary: "PostgreSQL 12 to 18; default 18" },
    },
    load: async () => (await import("./commands/dev.ts")).dev,
  },
  {
    name: "serve",
    summary: "health endpoints, metrics and the dashboard over HTTP",
    effect: "reads",
    staysUp: true,
    examples: [["db serve --port 8787", "on http://127.0.0.1:8787"]],
    flags: {
      port,
      host: { type: "string", value: "<address>", summary: "address; default 127.0.0.1, a public one needs a token" },
      app,
    },
    load: async () => (await import("./commands/serve.ts")).serve,
  },
  {
    name: "doctor",
    summary: "what this machine has, what the role may do, what is missing and how to mend it",
    effect: "reads",
    examples: [["db doctor", "check all of it"]],
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },
  {
    name: "health",
    summary: "is it well: servers, pool, backups, migrations, worst finding first",
    aliases: ["health-check"],
    effect: "reads",
    examples: [
      ["db health", "one look; exit code 4 on a critical finding"],
      ["db health --watch --interval 5s", "again every five seconds"],
      ["db health --benchmark", "with round-trip times"],
    ],
    flags: {
      watch: { type: "boolean", summary: "again and again until Ctrl-C" },
      interval: { type: "string", value: "<duration>", summary: 'pause between two looks; default "5s"' },
      benchmark: { type: "boolean", summary: "measure acquire and query times" },
      detailed: { type: "boolean", summary: "every check, not only what is wrong" },
      format: {
        type: "string",
        value: "<form>",
        choices: ["text", "nagios"],
        summary: "text, or one line and the exit codes of a Nagios plugin",
      },
    },
    load: async () => (await import("./commands/health.ts")).health,
  },
  {
    name: "verify",
    summary: "proves the six recommendations by watching them happen, and the promised figures of each environment",
    aliases: ["verify-all", "db:verify-all"],
    effect: "reads",
    examples: [
      ["db verify", "faults are made in front of a pool of its own; the database is only read"],
      ["db verify --fail-on warn", "fail also on what cannot be observed here"],
    ],
    load: async () => (await import("./commands/verify.ts")).verify,
  },
  {
    name: "verify recommendations",
    summary: "circuit breaker, health, retry, keep-alive, slow queries, reads on replicas",
    aliases: ["validate-migration", "db:validate-migration"],
    effect: "reads",
    examples: [["db verify recommendations --json", "each with what was seen"]],
    load: async () => (await import("./commands/verify.ts")).verifyRecommended,
  },
  {
    name: "verify alignment",
    summary: "pool sizes and TLS of every environment, and bounds that fit each other",
    aliases: ["verify-alignment", "db:verify-alignment"],
    effect: "reads",
    examples: [["db verify alignment", "asks no server"]],
    load: async () => (await import("./commands/verify.ts")).verifyAlignment,
  },
  {
    name: "config show",
    summary: "the configuration in force, secrets hidden",
    effect: "reads",
    examples: [["db config show --json", "as JSON"]],
    load: async () => (await import("./commands/config.ts")).show,
  },
  {
    name: "config check",
    summary: "every problem of the configuration at once",
    effect: "reads",
    examples: [["db config check --env production", "as it would be in production"]],
    load: async () => (await import("./commands/config.ts")).check,
  },
  {
    name: "config explain",
    summary: "where a value comes from and what it beat",
    effect: "reads",
    examples: [["db config explain pool.max", "one setting"]],
    arguments: [{ name: "key", summary: "setting or variable; all without it" }],
    load: async () => (await import("./commands/config.ts")).explain,
  },
  ...migrationCommands({ app, dir }),
  ...backupCommands,
  {
    name: "validate",
    summary: "data-quality rules and constraints, with a score",
    effect: "reads",
    examples: [["db validate --app ./application.js", "the application's rules"]],
    flags: { app, rules: { type: "string", value: "<file>", summary: "rules as JSON" } },
    load: async () => (await import("./commands/validate.ts")).validate,
  },
  {
    name: "validate suggest",
    summary: "rules that this database's own data suggests",
    effect: "reads",
    examples: [["db validate suggest --json", "ready to keep as a file"]],
    load: async () => (await import("./commands/validate.ts")).suggest,
  },
  {
    name: "optimize",
    summary: "indexes missing, unused, duplicate, invalid, with what each would bring",
    effect: "reads",
    examples: [["db optimize", "the report"]],
    flags: { app },
    load: async () => (await import("./commands/optimize.ts")).report,
  },
  {
    name: "optimize apply",
    summary: "creates one recommended index concurrently and measures it",
    effect: "changes",
    examples: [["db optimize apply bill_status_idx --dry-run", "the statement, nothing done"]],
    arguments: [{ name: "index", summary: "name of the recommendation; default the best" }],
    flags: { app },
    load: async () => (await import("./commands/optimize.ts")).apply,
  },
  {
    name: "monitor scrape",
    summary: "one collection of every metric, as Prometheus text",
    effect: "reads",
    examples: [["db monitor scrape | grep pg_up", "one metric"]],
    load: async () => (await import("./commands/monitor.ts")).scrape,
  },
  {
    name: "monitor alerts",
    summary: "the alert rules and which of them fire now",
    effect: "reads",
    examples: [["db monitor alerts", "all rules"]],
    load: async () => (await import("./commands/monitor.ts")).alerts,
  },
  {
    name: "report",
    summary: "the whole state as text, JSON or one HTML page",
    effect: "reads",
    examples: [["db report --format html --out report.html", "one self-contained page"]],
    flags: {
      format: { type: "string", value: "<form>", choices: ["text", "html"], summary: "text or html" },
      out: { type: "string", short: "o", value: "<file>", summary: "write it to a file" },
      app,
    },
    load: async () => (await import("./commands/report.ts")).report,
  },
  {
    name: "completion",
    summary: "completion of commands and flags for a shell",
    effect: "reads",
    examples: [
      ["source <(db completion bash)", "in this shell; the same line in ~/.bashrc keeps it"],
      ["db completion fish | source", "for fish"],
    ],
    arguments: [{ name: "shell", summary: "bash, zsh or fish", required: true, choices: ["bash", "zsh", "fish"] }],
    load: async () => (await import("./commands/completion.ts")).completion,
  },
] satisfies Command[]);
