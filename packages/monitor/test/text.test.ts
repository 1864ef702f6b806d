import { renderOpenMetrics, renderPrometheus, type Snapshot, writeOpenMetrics, writePrometheus } from "@db/monitor";
import { describe, expect, test } from "vitest";
import { snapshotOf } from "./snapshot-of.ts";

const snapshot: Snapshot = {
  ...snapshotOf({
    primary: {
      pg_up: 1,
      pg_stat_wal_bytes_total: 5,
      pg_stat_database_xact_commit: [[{ datid: "1", datname: 'a"b\\c\nd' }, 7]],
    },
    "replica-1": { pg_up: 0 },
  }),
  families: [
    {
      name: "wait_seconds",
      help: "Waits",
      type: "histogram",
      samples: [{ labels: { pool: "p" }, buckets: [{ le: 0.5, count: 1 }], sum: 3, count: 2 }],
    },
  ],
};

describe("the text formats", () => {
  test("give one header per metric, its series together, and escape label values", () => {
    expect(renderPrometheus(snapshot)).toBe(
      String.raw`# HELP pg_up 1 when the server answered the last collection
# TYPE pg_up gauge
pg_up{server="primary"} 1
pg_up{server="replica-1"} 0
# HELP pg_stat_wal_bytes_total Bytes of WAL written
# TYPE pg_stat_wal_bytes_total counter
pg_stat_wal_bytes_total{server="primary"} 5
# HELP pg_stat_database_xact_commit Transactions committed
# TYPE pg_stat_database_xact_commit counter
pg_stat_database_xact_commit{server="primary",datid="1",datname="a\"b\\c\nd"} 7
# HELP wait_seconds Waits
# TYPE wait_seconds histogram
wait_seconds_bucket{pool="p",le="0.5"} 1
wait_seconds_bucket{pool="p",le="+Inf"} 2
wait_seconds_sum{pool="p"} 3
wait_seconds_count{pool="p"} 2
`,
    );
  });

  test("in OpenMetrics name the family of a counter without _total, keep old names, and end", () => {
    const text = renderOpenMetrics(snapshot);
    expect(text).toContain("# TYPE pg_stat_wal_bytes counter\npg_stat_wal_bytes_total{");
    expect(text).toContain("# TYPE pg_stat_database_xact_commit unknown\n");
    expect(text.endsWith("# EOF\n")).toBe(true);
  });

  test("write every number as JavaScript does, and infinities as Prometheus does", () => {
    const numbers = [
      0,
      -0,
      7,
      10,
      99,
      100,
      -1,
      -10,
      1_000_000,
      2 ** 53 - 1,
      -(2 ** 53 - 1),
      2 ** 53,
      1e21,
      0.1,
      -2.5,
      1e-7,
    ];
    const values = [...numbers, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    const rows = values.map((value, n) => [{ datid: String(n) }, value] as const);
    const text = renderPrometheus(snapshotOf({ primary: { pg_stat_database_xact_commit: rows } }));
    const written = text
      .split("\n")
      .flatMap((line) => (line === "" || line.startsWith("#") ? [] : line.split(" ").at(-1)!));
    expect(written).toEqual([...numbers.map(String), "+Inf", "-Inf"]);
  });

  test("are the same in pieces, whatever characters labels have and however many lines there are", async () => {
    const rows = Array.from(
      { length: 15_000 },
      (_, n) => [{ datname: `größe-${n}-日本-${"x".repeat(n % 90)}` }, n] as const,
    );
    const large = snapshotOf({ primary: { pg_stat_database_xact_commit: rows } });
    const pieces: Buffer[] = [];
    const sink = {
      write(bytes: Uint8Array, done: () => void): void {
        pieces.push(Buffer.from(bytes));
        setImmediate(done);
      },
    };
    await writePrometheus(large, sink);
    expect(pieces.length).toBeGreaterThan(5);
    expect(Buffer.concat(pieces).toString()).toBe(renderPrometheus(large));
    const line = (n: number): string => `{server="primary",datname="größe-${n}-日本-${"x".repeat(n % 90)}"} ${n}\n`;
    for (const n of [0, 7_500, 14_999]) expect(Buffer.concat(pieces).toString()).toContain(line(n));
  });

  test("follow what changes from one snapshot to the next, whether values, labels, rows or tables", () => {
    const commits = (rows: readonly (readonly [name: string, value: number])[]): Snapshot =>
      snapshotOf({ primary: { pg_stat_database_xact_commit: rows.map(([datname, n]) => [{ datname }, n] as const) } });
    const still = snapshotOf({ primary: { pg_stat_wal_bytes_total: 5 } }).servers[0]!.blocks;
    const of = (changing: Snapshot): Snapshot => ({
      ...changing,
      servers: changing.servers.map((server) => ({ ...server, blocks: [...still, ...server.blocks, ...still] })),
    });
    const told = (snapshot: Snapshot): readonly string[] =>
      renderPrometheus(snapshot)
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"));
    const wal = `pg_stat_wal_bytes_total{server="primary"} 5`;
    const courses = [
      [["a", 1]],
      [["a", 200]],
      [["b", 200]],
      [
        ["b", 7],
        ["a", 8],
      ],
      [["a", 8]],
      [],
    ] as const;
    for (const rows of courses) {
      const lines = rows.map(([name, n]) => `pg_stat_database_xact_commit{server="primary",datname="${name}"} ${n}`);
      expect(told(of(commits(rows)))).toEqual([wal, wal, ...lines]);
    }
    expect(told(of(snapshotOf({ primary: { pg_up: 1 } })))).toEqual([wal, wal, `pg_up{server="primary"} 1`]);
    const stopped = snapshotOf({ primary: { pg_stat_wal_bytes_total: 6 } });
    expect(told(of(stopped))).toEqual([wal, wal.replace("5", "6"), wal]);
    expect(told(of(stopped))).toEqual([wal, wal.replace("5", "6"), wal]);
  });

  test("leave alone what is still being sent", async () => {
    const of = (value: number): Snapshot => snapshotOf({ primary: { pg_stat_wal_bytes_total: value } });
    const sent: { readonly bytes: Uint8Array; readonly done: () => void }[] = [];
    const sink = { write: (bytes: Uint8Array, done: () => void) => sent.push({ bytes, done }) };
    const writing = [1, 2, 3, 4].map((value) => writePrometheus(of(value), sink));
    renderPrometheus(of(5));
    for (const [i, { bytes }] of sent.entries()) expect(Buffer.from(bytes).toString()).toContain(`} ${i + 1}\n`);
    for (const { done } of sent) done();
    await Promise.all(writing);
    expect(sent).toHaveLength(4);
  });

  test("end the sink with the last piece when asked to", async () => {
    const calls: string[] = [];
    const note =
      (kind: string) =>
      (bytes: Uint8Array, done: () => void): void => {
        calls.push(`${kind} ${Buffer.from(bytes).toString().split("\n").at(-2)}`);
        done();
      };
    const sink = { write: note("write"), end: note("end") };
    await writePrometheus(snapshot, sink);
    await writePrometheus(snapshot, sink, { end: true });
    expect(calls).toEqual([`write wait_seconds_count{pool="p"} 2`, `end wait_seconds_count{pool="p"} 2`]);
    const rows = Array.from({ length: 15_000 }, (_, n) => [{ datname: String(n) }, n] as const);
    calls.length = 0;
    await writeOpenMetrics(snapshotOf({ primary: { pg_stat_database_xact_commit: rows } }), sink, { end: true });
    expect(calls.filter((call) => call.startsWith("end"))).toEqual(["end # EOF"]);
  });

  test("stop when the sink fails", async () => {
    const sink = { write: (_bytes: Uint8Array, done: (error: Error) => void) => done(new Error("gone")) };
    await expect(writePrometheus(snapshot, sink)).rejects.toThrow("gone");
  });

  test("leave the server's label out, or other servers, when asked to", () => {
    const text = renderPrometheus(snapshot, { serverLabel: false, server: "primary" });
    expect(text).toContain("\npg_up 1\n");
    expect(text).not.toContain("replica-1");
  });
});
