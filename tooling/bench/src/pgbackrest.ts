import { execFile } from "node:child_process";
import { chown, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Account } from "@db/embedded";

const execute = promisify(execFile);

/** pgBackRest with one repository, run as the server's account, as it has to be. */
export class Pgbackrest {
  readonly #directory: string;
  readonly #account: Account | undefined;

  /** @param directory is made, and holds everything of it */
  constructor(directory: string, account: Account | undefined) {
    this.#directory = directory;
    this.#account = account;
  }

  /** What is there, or undefined. */
  static async version(): Promise<string | undefined> {
    return execute("pgbackrest", ["version"]).then(
      ({ stdout }) => stdout.trim(),
      () => undefined,
    );
  }

  get repository(): string {
    return join(this.#directory, "repository");
  }

  /** For the server's `archive_command`. */
  get archiveCommand(): string {
    return `test ! -e ${join(this.#directory, "archiving")} || pgbackrest ${this.#options().join(" ")} archive-push %p`;
  }

  /** Zstd 1, two processes, encrypted: what ours does by default on two processors. */
  async configure(dataDirectory: string, port: number, password: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const lines = [
      "[global]",
      `repo1-path=${this.repository}`,
      "repo1-cipher-type=aes-256-cbc",
      "repo1-cipher-pass=correct-horse-battery-staple",
      "repo1-retention-full=9",
      "compress-type=zst",
      "compress-level=1",
      "process-max=2",
      "start-fast=y",
      "log-level-file=off",
      `lock-path=${join(this.#directory, "lock")}`,
      `spool-path=${join(this.#directory, "spool")}`,
      "[bench]",
      `pg1-path=${dataDirectory}`,
      `pg1-port=${port}`,
      "pg1-user=postgres",
    ];
    await writeFile(join(this.#directory, "pgbackrest.conf"), `${lines.join("\n")}\n`);
    await writeFile(join(this.#directory, "pgpass"), `*:*:*:*:${password}\n`, { mode: 0o600 });
    await this.#own(this.#directory, join(this.#directory, "pgbackrest.conf"), join(this.#directory, "pgpass"));
  }

  /** An empty repository, and WAL goes there. */
  async begin(): Promise<void> {
    await rm(this.repository, { recursive: true, force: true });
    await mkdir(this.repository, { mode: 0o700 });
    await this.#own(this.repository);
    await this.run(["stanza-create"]);
    await writeFile(join(this.#directory, "archiving"), "");
  }

  /** WAL goes nowhere, so that it costs nobody else time. */
  async end(): Promise<void> {
    await rm(join(this.#directory, "archiving"), { force: true });
  }

  async run(words: readonly string[]): Promise<string> {
    const env = { PATH: process.env["PATH"], PGHOST: "127.0.0.1", PGPASSFILE: join(this.#directory, "pgpass") };
    const { stdout } = await execute("pgbackrest", [...this.#options(), ...words], {
      cwd: this.#directory,
      env,
      ...(this.#account === undefined ? {} : { uid: this.#account.uid, gid: this.#account.gid }),
    });
    return stdout;
  }

  /** An empty directory of the server's account. */
  async makeDirectory(directory: string): Promise<void> {
    await mkdir(directory, { mode: 0o700 });
    await this.#own(directory);
  }

  #options(): string[] {
    return [`--config=${join(this.#directory, "pgbackrest.conf")}`, "--stanza=bench"];
  }

  async #own(...paths: readonly string[]): Promise<void> {
    if (this.#account === undefined) return;
    for (const path of paths) await chown(path, this.#account.uid, this.#account.gid);
  }
}
