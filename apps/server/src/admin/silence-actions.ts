import { formatDuration } from "@db/core";
import type { Alert, Orchestrator } from "@db/orchestrator";
import { ActionRefusedError } from "../errors.ts";
import { integer, object, string } from "../route-doc.ts";
import type { AdminAction, Audited } from "./action.ts";

const minuteMs = 60_000;

/** Keeping alerts quiet, and ending that. */
export function silenceActions({ alerts, monitor }: Orchestrator, audited: Audited): readonly AdminAction[] {
  const find = (id: string): Alert => {
    const found = monitor.alerts().find((alert) => alert.id === id);
    if (!found) throw new ActionRefusedError(404, "that alert has ended, or there never was one");
    return found;
  };
  const lasts = (minutes: unknown): number => Number(minutes) * minuteMs;
  return [
    {
      name: "alerts.silence",
      group: "alerts",
      path: "alerts/:id/silence",
      scope: "operate",
      summary: "keep an alert quiet for a while, or until it ends",
      params: object({ id: { ...string, pattern: "^[0-9a-f]{16}$", description: "As `/api/alerts` lists it" } }),
      body: object({
        reason: { ...string, minLength: 1, maxLength: 500, pattern: String.raw`\S`, description: "For whoever looks" },
        minutes: { ...integer, minimum: 0, maximum: 43_200, description: "How long; 0 until the alert ends" },
      }),
      async plan({ id, reason, minutes }) {
        const { rule, server, title, silence } = find(String(id));
        if (silence) throw new ActionRefusedError(409, `${silence.by} silenced it already: ${silence.reason}`);
        return {
          title: `Silence ${rule}${server === "" ? "" : ` on ${server}`}`,
          facts: [
            title,
            Number(minutes) === 0
              ? "Nobody is told until it ends, at most for seven days; the next time is told again."
              : `Nobody is told for ${formatDuration(lasts(minutes))}; what still holds then is told.`,
            `Reason: ${String(reason)}`,
          ],
          sql: [],
          identity: id,
        };
      },
      execute: ({ id, reason, minutes }, run) =>
        audited(run, async () => {
          const { rule, labels } = find(String(id));
          const forMs = lasts(minutes);
          const request = { rule, labels, reason: String(reason), by: run.actor, ...(forMs > 0 && { forMs }) };
          const { id: silence, until, endsWithAlert } = await alerts.silence(request);
          return { silence, until, endsWithAlert };
        }),
    },
    {
      name: "alerts.unsilence",
      group: "alerts",
      path: "silences/:id/end",
      scope: "operate",
      summary: "end a silence before its time",
      params: object({ id: { ...string, pattern: "^[0-9a-f-]{36}$" } }),
      async plan({ id }) {
        const found = (await alerts.silences()).find((silence) => silence.id === id);
        if (!found) throw new ActionRefusedError(404, "that silence has ended, or there never was one");
        return {
          title: `Tell of ${found.rule} again`,
          facts: [`${found.by} silenced it: ${found.reason}`, "What still holds is told with the next collection."],
          sql: [],
          identity: id,
        };
      },
      execute: ({ id }, run) => audited(run, async () => ({ ended: await alerts.unsilence(String(id)) })),
    },
  ];
}
