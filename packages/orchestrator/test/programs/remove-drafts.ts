// A team's script as a whole program, for the tests that run it as a process.
import { defineScript } from "@db/orchestrator";

const script = defineScript({
  name: "remove-drafts",
  description: "Removes drafts that nobody touched",
  arguments: [{ name: "table", summary: "where the drafts are", required: true }],
  flags: {
    keep: { type: "string", short: "k", value: "<count>", summary: "how many to keep" },
    mode: { type: "string", summary: "how", choices: ["count", "hang", "fail", "break"] },
    tag: { type: "string", multiple: true, summary: "only these" },
    archive: { type: "boolean", summary: "archive them first" },
  },
  async run({ orchestrator, options, logger, progress, print, defer, signal }) {
    const { table = "" } = options.arguments;
    const { mode = "count", keep = "0", tag = [], archive } = options.flags;
    defer(async () => logger.warn({}, "cleaned up"));
    if (options.dryRun) return { message: `would count ${table}`, data: { keep, tag, archive } };
    if (mode === "break") throw new Error("cannot reach postgres://app:secret@host/app");
    if (mode === "fail") return { success: false, message: "2 rows are left", data: { left: 2n }, warnings: ["odd"] };
    const { pool } = await orchestrator();
    progress(0, 2, "connected");
    if (mode === "hang") {
      logger.warn({}, "hanging");
      await pool.query("select pg_sleep(600) /* remove-drafts */", [], { signal });
    }
    const { rows } = await pool.query("select count(*)::int as drafts from drafts");
    progress(2, 2, "counted");
    print(`counted ${table}`);
    return { message: `${rows[0].drafts} drafts`, data: { ...rows[0], keep, tag, archive } };
  },
});
await script.main(process);
