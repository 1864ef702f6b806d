import { connectionOf } from "../pool-options.ts";
import type { Step } from "./step.ts";

export const dataStep: Step = {
  name: "data",
  title: "Example data",
  needs: ["connect", "schema"],
  async run({ orchestrator, readOnly, scale, onProgress, signal, done }) {
    const { application, audit, config } = orchestrator;
    const seed = application?.seed;
    if (!seed) return { status: "skipped", detail: "the application brings none" };
    if (readOnly) return { status: "skipped", detail: "nothing is written in a read-only run" };
    if (done.get("connect")?.facts["standby"] === true)
      return { status: "skipped", detail: "the database is in recovery" };
    const url = connectionOf(config).primaryUrl.reveal();
    const report = await audit.run(
      "data.seed",
      () => seed({ url, scale, onProgress, signal }),
      ({ rows, skipped }) => ({ rows, skipped }),
    );
    const total = Object.values(report.rows).reduce((sum, count) => sum + count, 0);
    const size = `${total.toLocaleString("en")} rows in ${Object.keys(report.rows).length} tables`;
    return report.skipped
      ? { status: "skipped", detail: `already loaded: ${size}`, facts: { rows: report.rows } }
      : { detail: `${size} loaded by COPY`, facts: { rows: report.rows, loaded: true } };
  },
};
