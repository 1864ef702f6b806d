import type { ArgumentSpec, Command, FlagSpec } from "./command.ts";

const repo: FlagSpec = {
  type: "string",
  value: "<location>",
  summary: "backup repository: a folder or a URL; default from the configuration",
};
const label: ArgumentSpec = { name: "label", summary: "a backup's name, as db backup list shows it", required: true };
const reason: FlagSpec = { type: "string", value: "<text>", summary: "why, for whoever finds it" };
const release: FlagSpec = { type: "boolean", summary: "take the mark off" };
const socket: FlagSpec = {
  type: "string",
  value: "<path>",
  summary: "Unix socket of db wal serve; without a daemon there, it is done here",
};
const jobs: FlagSpec = { type: "string", value: "<count>", summary: "of a dump: tables at a time, 1 to 64; default 2" };
const restoreFlags: Readonly<Record<string, FlagSpec>> = {
  repo,
  to: { type: "string", value: "<folder>", summary: "data directory to be made; absent or empty" },
  label: { type: "string", value: "<label>", summary: "backup; default the newest that reaches the target" },
  target: {
    type: "string",
    value: "<target>",
    multiple: true,
    summary: "immediate (default), latest, or time=…, lsn=…, xid=…, name=…",
  },
  exclusive: { type: "boolean", summary: "stop just before the target, not just after it" },
  timeline: { type: "string", value: "<timeline>", summary: "latest (default), current, or its number" },
  action: {
    type: "string",
    value: "<action>",
    choices: ["promote", "pause", "shutdown"],
    summary: "what the server does at the target; default promote",
  },
  tablespace: {
    type: "string",
    value: "<from=to>",
    multiple: true,
    summary: "a tablespace's oid or folder on the server, and its new folder",
  },
  cluster: {
    type: "string",
    value: "<id>",
    summary: "system identifier, where the repository holds backups of several clusters",
  },
  replace: {
    type: "boolean",
    summary: "over the stopped cluster in --to, which is kept beside it; asks for its folder, or --confirm <folder>",
  },
  delta: {
    type: "boolean",
    summary: "with --replace: files the cluster has already are taken from it; on by default",
  },
  "to-database": {
    type: "string",
    value: "<name>",
    summary: "of a dump: the database to make on the configured server",
  },
  owners: {
    type: "boolean",
    summary: "of a dump: on by default; --no-owners gives all of it to the role that restores",
  },
  "pg-version": { type: "string", value: "<major>", summary: "the server that will run it; another one is refused" },
};

const compressionFlags: Readonly<Record<string, FlagSpec>> = {
  compression: {
    type: "string",
    value: "<algorithm[:level]>",
    summary: "zstd, gzip or none, with a level: zstd:3; default as configured, level 1",
  },
  "server-compression": {
    type: "boolean",
    summary: "the server compresses (15 and newer): a third of the bytes on the wire, by its processor",
  },
  checkpoint: {
    type: "string",
    value: "<how>",
    choices: ["fast", "spread"],
    summary: "begin at once (default), or spread the checkpoint over the server's usual time",
  },
  "max-rate": { type: "string", value: "<size>", summary: 'most bytes a second the server sends, "100MB"' },
};

const count = (summary: string): FlagSpec => ({ type: "string", value: "<count>", summary });
/** Any of them replaces the whole configured policy. */
const retentionFlags: Readonly<Record<string, FlagSpec>> = {
  "keep-full": count("newest full backups that stay; with any of these the configured policy does not count"),
  "keep-days": count("days of which everything stays"),
  hourly: count("hours of which one backup each stays"),
  daily: count("days, the same"),
  weekly: count("weeks, the same"),
  monthly: count("months, the same"),
  "min-verified": count("verified backups that stay whatever their age; default 1"),
};

/** The commands of backups, WAL and restores. */
export const backupCommands: readonly Command[] = [
  {
    name: "backup run",
    summary: "a physical base backup through the replication protocol, with its WAL",
    effect: "changes",
    examples: [
      ["db backup run --repo /srv/backups", "encrypted when BACKUP_ENCRYPTION_KEY is set"],
      ["db backup run --server-compression --max-rate 50MB", "over a slow network, without crowding it"],
      ["db backup run --logical --jobs 4", "pg_dump of this one database, where a host gives no replication"],
    ],
    flags: {
      repo,
      logical: {
        type: "boolean",
        summary: "a dump of the one database by pg_dump, which must be as new as the server",
      },
      jobs,
      ...compressionFlags,
    },
    load: async () => (await import("./commands/backup.ts")).runBackup,
  },
  {
    name: "backup list",
    summary: "what the repository holds",
    effect: "reads",
    examples: [["db backup list --json", "as JSON"]],
    flags: { repo },
    load: async () => (await import("./commands/backup.ts")).list,
  },
  {
    name: "backup show",
    summary: "everything one backup's record says",
    effect: "reads",
    examples: [["db backup show 20261110-030000F", "sizes, positions, tablespaces, marks"]],
    arguments: [label],
    flags: { repo },
    load: async () => (await import("./commands/backup.ts")).show,
  },
  {
    name: "backup verify",
    summary: "reads backups and the WAL archive back and compares them with their checksums",
    effect: "reads",
    examples: [
      ["db backup verify", "every stored byte of every backup and of the WAL; needs no key"],
      ["db backup verify 20261110-030000F --depth deep", "decrypted, unpacked, each file, each page and its WAL"],
    ],
    arguments: [{ name: "label", summary: "backup to check; default all" }],
    flags: {
      repo,
      depth: {
        type: "string",
        value: "<depth>",
        choices: ["listing", "checksums", "deep"],
        summary: "how much is read; default checksums",
      },
    },
    load: async () => (await import("./commands/backup.ts")).verify,
  },
  {
    name: "backup expire",
    summary: "removes what the retention policy lets go",
    effect: "destroys",
    examples: [
      ["db backup expire --dry-run", "what would go, what stays, and why"],
      ["db backup expire --dry-run --explain --keep-days 14", "object by object, by another policy"],
    ],
    flags: {
      repo,
      explain: { type: "boolean", summary: "every object with its reason, and what can be restored before and after" },
      ...retentionFlags,
    },
    load: async () => (await import("./commands/expire.ts")).expire,
  },
  {
    name: "backup keep",
    summary: "makes a backup stay until a time, or for good, whatever the retention says",
    effect: "changes",
    examples: [
      ["db backup keep 20261110-030000F --until 2027-01-01T00:00:00Z --reason audit", "until then"],
      ["db backup keep 20261110-030000F --release", "no longer"],
    ],
    arguments: [label],
    flags: {
      repo,
      until: { type: "string", value: "<time>", summary: "ISO 8601 with its zone; default for good" },
      reason,
      release,
    },
    load: async () => (await import("./commands/backup-mark.ts")).keep,
  },
  {
    name: "backup hold",
    summary: "lets nothing remove a backup until it is released, not even a plan made earlier",
    effect: "changes",
    examples: [
      ["db backup hold 20261110-030000F --reason 'case 4711'", "until it is released"],
      ["db backup hold 20261110-030000F --release", "free again"],
    ],
    arguments: [label],
    flags: { repo, reason, release },
    load: async () => (await import("./commands/backup-mark.ts")).hold,
  },
  {
    name: "backup rotate-key",
    summary: "gives an encrypted repository another key; no backup is written again",
    effect: "changes",
    examples: [["db backup rotate-key --new-key-file /run/secrets/new-key", "from the configured key to that one"]],
    flags: {
      repo,
      "new-key-file": { type: "string", value: "<file>", summary: "file that holds the new key; - is standard input" },
    },
    load: async () => (await import("./commands/rotate-key.ts")).rotate,
  },
  {
    name: "wal receive",
    summary: "receives WAL through a replication slot without end; after a gap it takes a full backup",
    effect: "changes",
    staysUp: true,
    examples: [["db wal receive --repo /srv/backups", "until Ctrl-C; what is not stored yet stays on the server"]],
    flags: {
      repo,
      slot: { type: "string", value: "<name>", summary: "physical slot, made when it is not there; default db_backup" },
      spool: {
        type: "string",
        value: "<folder>",
        summary: "where WAL waits for the repository; default a temporary one",
      },
      "spool-size": {
        type: "string",
        value: "<size>",
        summary: 'most that waits, then the server waits; default "1GB"',
      },
      tail: { type: "string", value: "<duration>", summary: "how often the unfinished segment is stored" },
      "backup-after-gap": { type: "boolean", summary: "on by default; --no-backup-after-gap only tells of the gap" },
    },
    load: async () => (await import("./commands/wal-receive.ts")).receive,
  },
  {
    name: "wal serve",
    summary: "answers wal push and wal fetch from one warm process that has the key",
    effect: "changes",
    staysUp: true,
    examples: [["db wal serve --repo /srv/backups --socket /run/db-wal.sock", "until Ctrl-C"]],
    flags: { repo, socket: { type: "string", value: "<path>", summary: "Unix socket to listen on" } },
    load: async () => (await import("./commands/wal-receive.ts")).serve,
  },
  {
    name: "wal push",
    summary: "stores one WAL file; for archive_command. 0 when it is durable, 1 to 125 to be asked again",
    effect: "changes",
    failureCode: 2,
    examples: [["archive_command = 'db wal push %p --repo /srv/backups'", "in postgresql.conf"]],
    arguments: [{ name: "file", summary: "the file, as %p gives it", required: true }],
    flags: { repo, socket },
    load: async () => (await import("./commands/wal-file.ts")).push,
  },
  {
    name: "wal fetch",
    summary: "brings one WAL file back; for restore_command. 1 when it is not there, 255 for any failure",
    effect: "changes",
    failureCode: 255,
    examples: [["restore_command = 'db wal fetch %f %p --repo /srv/backups'", "in postgresql.conf"]],
    arguments: [
      { name: "name", summary: "the file's name, as %f gives it", required: true },
      { name: "file", summary: "where to put it, as %p gives it", required: true },
    ],
    flags: {
      repo,
      socket,
      tails: {
        type: "boolean",
        summary: "also the tail of a segment that was never finished; for recovery to the end",
      },
    },
    load: async () => (await import("./commands/wal-file.ts")).fetch,
  },
  {
    name: "wal status",
    summary: "how far the WAL in the repository reaches, and what is wrong with it",
    effect: "reads",
    examples: [["db wal status --fail-on critical", "for a check: exit code 4 on a gap or a receiver that is late"]],
    flags: { repo },
    load: async () => (await import("./commands/wal-status.ts")).status,
  },
  {
    name: "wal gaps",
    summary: "WAL that is lost, and whether a full backup stands behind it",
    effect: "reads",
    examples: [["db wal gaps", "exit code 4 while recovery cannot pass one"]],
    flags: { repo },
    load: async () => (await import("./commands/wal-status.ts")).gaps,
  },
  {
    name: "restore plan",
    summary: "what a restore would do: chain, WAL, bytes, settings",
    effect: "reads",
    examples: [
      ["db restore plan --to /srv/restored", "nothing is written"],
      ["db restore plan --to /srv/restored --target time=2026-11-10T03:00:00Z --out plan.json", "kept for approval"],
    ],
    flags: {
      ...restoreFlags,
      out: { type: "string", short: "o", value: "<file>", summary: "write the plan to a file" },
    },
    load: async () => (await import("./commands/restore.ts")).plan,
  },
  {
    name: "restore run",
    summary: "restores a backup into an empty folder, or over a stopped cluster",
    effect: "changes",
    examples: [
      ["db restore run --to /srv/restored", "the newest backup"],
      [
        "db restore run --to /srv/data --replace --confirm /srv/data",
        "over the cluster there, which is kept beside it",
      ],
      ["db restore run --plan plan.json", "exactly what was planned, or a refusal"],
    ],
    flags: {
      ...restoreFlags,
      jobs,
      plan: { type: "string", value: "<file>", summary: "do this plan; - is standard input" },
    },
    load: async () => (await import("./commands/restore.ts")).runRestore,
  },
  {
    name: "restore drill",
    summary: "restores into a temporary cluster, starts it and compares it table by table",
    effect: "reads",
    examples: [["db restore drill", "proves the newest backup"]],
    flags: {
      repo,
      label: { type: "string", value: "<label>", summary: "backup; default the newest" },
      cluster: restoreFlags["cluster"]!,
    },
    load: async () => (await import("./commands/restore.ts")).drill,
  },
];
