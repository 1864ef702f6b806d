import { describe, expect, it } from "vitest";
import { capacityFindings, forecastCapacity } from "../src/forecast/capacity.ts";
import type { Series } from "../src/series.ts";
import { snapshotOf } from "./snapshot-of.ts";

const hourMs = 3_600_000;
const from = Date.UTC(2026, 0, 1);

function line(name: string, labels: Series["labels"], value: (hour: number) => number, hours = 240): Series {
  return {
    name,
    labels,
    unit: "count",
    title: name,
    points: Array.from({ length: hours }, (_, hour) => [from + hour * hourMs, value(hour)] as const),
  };
}

function foresee(series: readonly Series[]): ReturnType<typeof forecastCapacity> {
  const snapshot = {
    ...snapshotOf({ primary: { pg_connections_usable: 100 } }),
    host: { filesystems: [{ mountpoint: "/data", sizeBytes: 1_000, availableBytes: 500 }] },
  };
  return forecastCapacity((name) => series.filter((each) => each.name === name), snapshot);
}

describe("forecastCapacity", () => {
  it("foresees a full disk by its size and connections by what the server allows, soonest first", () => {
    const told = foresee([
      line("disk.used", { mountpoint: "/data" }, (hour) => 400 + hour),
      line("connections.used", { server: "primary" }, (hour) => 20 + hour / 4),
    ]);
    expect(told.map(({ resource, subject }) => [resource, subject])).toEqual([
      ["connections", "primary"],
      ["storage", "/data"],
    ]);
    expect(told[0]?.days).toBeCloseTo(81 / 24, 0);
    expect(told[1]?.days).toBeCloseTo(361 / 24, 0);
    expect(told[1]?.perDay).toBeCloseTo(24);
  });

  it("counts ids that were used, whatever freezing sets back", () => {
    const labels = { server: "primary", datname: "app" };
    const [told] = foresee([line("xid.age", labels, (hour) => 50e6 + (hour % 48) * 1e6)]);
    expect(told).toMatchObject({ resource: "transaction-ids", subject: "primary/app", limit: 2 ** 31 - 3e6 });
    expect(told?.perDay).toBeGreaterThan(23e6);
    expect(told?.days).toBeCloseTo((2 ** 31 - 3e6 - 97e6) / 24e6, -1);
  });

  it("looks ahead no further than thirty times what it knows", () => {
    const [told] = foresee([line("sequences.used", { sequencename: "s" }, (hour) => 0.1 + hour / 1e6, 20)]);
    expect(told).toMatchObject({ resource: "sequence", verdict: "unlikely", days: null });
  });

  it("says nothing about a disk whose size it does not know", () => {
    expect(foresee([line("disk.used", { mountpoint: "/elsewhere" }, (hour) => hour)])).toEqual([]);
  });
});

describe("capacityFindings", () => {
  it("tells what is used up within a month, and calls it critical within three days", () => {
    const forecasts = foresee([
      line("disk.used", { mountpoint: "/data" }, (hour) => 700 + hour),
      line("connections.used", { server: "primary" }, (hour) => 20 + hour / 8),
      line("sequences.used", { sequencename: "far" }, (hour) => 0.1 + hour / 10_000),
    ]);
    expect(capacityFindings(forecasts)).toMatchObject([
      { id: "PG-FORECAST-STORAGE", severity: "critical", subject: "/data", unit: "days" },
      { id: "PG-FORECAST-CONNECTIONS", severity: "warn", title: "primary runs out of connections in about 17 days" },
    ]);
  });
});
