import type { Fact } from "@db/dashboard";
import type { PageContext } from "./known.ts";

type Forecast = ReturnType<PageContext["orchestrator"]["monitor"]["forecasts"]>[number];

/** Resources in words. */
export const resourceNames: Readonly<Record<Forecast["resource"], string>> = {
  storage: "storage",
  connections: "connections",
  sequence: "sequence",
  "transaction-ids": "transaction ids",
  "multixact-ids": "multixact ids",
};

/** When something is used up, as a fact of a card. */
export function daysFact(forecast: Forecast): Fact {
  const { days } = forecast;
  return {
    label: `${resourceNames[forecast.resource]} of ${forecast.subject.split("/").slice(1).join("/") || forecast.subject}`,
    value: days,
    kind: "days",
    ...(days !== null && days < 30 && { tone: days < 7 ? ("bad" as const) : ("warn" as const) }),
  };
}

/** A number of days as people say it. */
export function daysText(days: number | null): string {
  return days === null ? "never" : days > 3_650 ? "10 years" : days.toLocaleString("en", { maximumFractionDigits: 0 });
}
