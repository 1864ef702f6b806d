import type { Part } from "@db/dashboard";
import { seriesChart } from "./charts.ts";
import { daysText, resourceNames } from "./days-left.ts";
import type { PageContext } from "./known.ts";
import { inspectPart } from "./tables.ts";

/** Growth, days left, cache and I/O. */
export async function storagePage(context: PageContext): Promise<readonly Part[]> {
  const { orchestrator, snapshot } = context;
  const [databases, cache, io] = await Promise.all([
    context.inspect("databases"),
    context.inspect("cache"),
    context.inspect("io"),
  ]);
  const forecasts = orchestrator.monitor.forecasts().filter(({ days }) => days !== null);
  const filesystems = snapshot.host?.filesystems ?? [];
  return [
    {
      id: "growth",
      title: "Size of databases",
      charts: seriesChart(context, {
        title: "Size",
        unit: "bytes",
        kind: "bytes",
        stacked: true,
        lines: [{ name: "database.bytes", label: ({ datname }) => datname || "database" }],
      }),
      facts: filesystems.map((each) => ({
        label: `disk at ${each.mountpoint}, used`,
        value: 1 - each.availableBytes / each.sizeBytes,
        kind: "share",
      })),
    },
    {
      id: "days",
      title: "Days left",
      note: "if it goes on as it did",
      ...(forecasts.length > 0
        ? {
            table: {
              caption: "What is used up first",
              columns: [
                { key: "resource", label: "Resource", kind: "text" },
                { key: "subject", label: "Of", kind: "text" },
                { key: "days", label: "Days left", kind: "days" },
                { key: "band", label: "Four times of five", kind: "text" },
              ],
              rows: forecasts.slice(0, 12).map((each) => ({
                key: `${each.resource}:${each.subject}`,
                cells: {
                  resource: resourceNames[each.resource],
                  subject: each.subject,
                  days: each.days,
                  band: `${daysText(each.earliestDays)} to ${daysText(each.latestDays)}`,
                },
              })),
            },
          }
        : {
            empty: {
              text: "Nothing is foreseen to run out. A forecast looks thirty times as far ahead as what is known reaches back.",
            },
          }),
    },
    inspectPart("databases", databases, {}, { title: "Databases" }),
    {
      id: "hits",
      title: "Blocks from shared buffers",
      note: "a hint, never an alarm",
      charts: seriesChart(context, {
        title: "From shared buffers",
        unit: "of blocks",
        kind: "ratio",
        lines: [{ name: "cache.hits", label: () => "found" }],
      }),
    },
    inspectPart(
      "cache",
      cache,
      { columns: ["table", "readBytes", "hitRatio"], most: 15 },
      { title: "Reads past the cache", wide: false },
    ),
    inspectPart("io", io, { most: 40 }, { title: "I/O by who did it", note: "since the counters began" }),
  ];
}
