import type { FastifyInstance } from "fastify";
import { cached } from "./cached.ts";
import type { ResolvedServerOptions } from "./options.ts";
import { problem } from "./problem.ts";
import { anything, integer, listOf, nullable, number, object, problemAnswer, string } from "./route-doc.ts";
import { type ListAnswer, type ListName, listNames } from "./source.ts";

const mostRows = 1_000;

const about: Readonly<Record<ListName, string>> = {
  queries: "Statements by their share of all time.",
  locks: "Locks on tables and those waited for.",
  blocking: "Sessions that wait for a lock, and those that hold them up.",
  sessions: "Client sessions, the oldest transaction first.",
  tables: "Tables, largest first.",
  indexes: "Indexes, largest first.",
  replication: "Standbys as the server that feeds them sees them.",
  backups: "Backups, newest first.",
  migrations: "Migrations, in their order.",
  alerts: "Alerts that fire or are about to.",
};

const querystring = {
  ...object(
    {
      limit: { ...integer, minimum: 1, maximum: mostRows, default: 100, description: "Most rows" },
      cursor: { ...string, maxLength: 40, description: "Where the page before ended" },
    },
    [],
  ),
};
const answer = object({
  asOf: string,
  rows: listOf({ type: "object" }),
  total: integer,
  next: nullable("string"),
  note: nullable("string"),
});

/** Lists for programs: a page of rows and where the next one begins. */
export function registerLists(app: FastifyInstance, { source }: ResolvedServerOptions): void {
  for (const name of listNames) {
    // Pages that follow each other quickly are pages of one list.
    const list = cached<ListAnswer>(1_000, () => source.list(name));
    app.get<{ Querystring: { limit?: number; cursor?: string } }>(
      `/api/${name}`,
      {
        schema: { querystring },
        config: {
          doc: {
            scope: "read",
            summary: about[name],
            answers: { 200: { description: "A page of rows", schema: answer } },
          },
        },
      },
      async (request, reply) => {
        const { limit = 100, cursor } = request.query;
        const from = cursor === undefined ? 0 : offsetOf(cursor);
        if (from === undefined) return problem(reply, 400, "the cursor is not one that this server gave");
        const { asOf, rows, note } = await list();
        const until = from + limit;
        return reply.header("cache-control", "no-store").send({
          asOf,
          rows: rows.slice(from, until),
          total: rows.length,
          next: until < rows.length ? Buffer.from(`at:${until}`).toString("base64url") : null,
          note,
        });
      },
    );
  }

  app.get<{ Params: { id: string } }>(
    "/api/queries/:id/plan",
    {
      schema: { params: object({ id: { ...string, pattern: String.raw`^-?\d{1,20}$` } }) },
      config: {
        doc: {
          scope: "read",
          summary: "How the server runs a recorded statement, for average values. It is not run.",
          answers: {
            200: {
              description: "The plan",
              schema: object({ queryId: string, query: string, nodes: listOf(anything), note: nullable("string") }),
            },
            404: problemAnswer("No such statement is recorded"),
          },
        },
      },
    },
    async (request, reply) => {
      const plan = await source.plan(request.params.id);
      return plan
        ? reply.header("cache-control", "no-store").send(plan)
        : problem(reply, 404, "no statement with that id is recorded");
    },
  );

  app.get<{ Querystring: { name?: string; from?: string; to?: string; step?: number } }>(
    "/api/series",
    {
      schema: {
        querystring: object(
          {
            name: { ...string, maxLength: 60, description: "Which series; the names there are without it" },
            from: { ...string, format: "date-time", description: "Default an hour before `to`" },
            to: { ...string, format: "date-time", description: "Default now" },
            step: {
              ...number,
              minimum: 1,
              maximum: 86_400,
              description: "Seconds between two points; default a hundredth of the range",
            },
          },
          [],
        ),
      },
      config: {
        doc: {
          scope: "read",
          summary: "Lines over time, with the migrations applied meanwhile.",
          answers: {
            200: { description: "Series, or their names", schema: { type: "object" } },
            404: problemAnswer("No such series"),
          },
        },
      },
    },
    async (request, reply) => {
      const { name, step } = request.query;
      reply.header("cache-control", "no-store");
      if (name === undefined) return reply.send({ names: source.seriesNames });
      if (!source.seriesNames.includes(name)) return problem(reply, 404, "there is no series of that name");
      const to = request.query.to === undefined ? Date.now() : Date.parse(request.query.to);
      const from = request.query.from === undefined ? to - 3_600_000 : Date.parse(request.query.from);
      if (!(from < to)) return problem(reply, 400, "from must be before to");
      // At most ten thousand points, whatever step was asked for.
      const stepMs = Math.max((step ?? (to - from) / 100_000) * 1_000, (to - from) / 10_000);
      return reply.send(source.series({ name, from, to, stepMs }));
    },
  );
}

function offsetOf(cursor: string): number | undefined {
  const [, digits] = /^at:(\d{1,7})$/.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
