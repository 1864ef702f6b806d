import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Access } from "../access.ts";
import { ActionRefusedError } from "../errors.ts";
import type { ResolvedServerOptions } from "../options.ts";
import { problem, scrub } from "../problem.ts";
import { anything, listOf, nullable, object, problemAnswer, type RouteDoc, string } from "../route-doc.ts";
import { type ActionJob, type ActionJobs, createActionJobs } from "./action-jobs.ts";
import type { ActionArguments, AdminAction } from "./action.ts";
import { createPlanTokens, hashOfPlan, type PlanTokens } from "./plan-tokens.ts";

const jobSchema = object(
  {
    id: string,
    action: string,
    state: { type: "string", enum: ["running", "done", "failed"] },
    startedAt: string,
    endedAt: nullable("string"),
    progress: anything,
    result: anything,
    error: anything,
  },
  ["id", "action", "state", "startedAt", "endedAt"],
);
const planSchema = object({
  token: string,
  expiresAt: string,
  plan: object({ title: string, facts: listOf(string), sql: listOf(string), hash: string }),
});
const waitMs = 1_000;

/** Why a token was not taken. */
const refusals = {
  unknown: "the token is unknown or used up: plan again",
  expired: "the plan is older than five minutes: plan again",
  another: "the token is for another plan",
} as const;

/**
 * The actions that are turned on: each a route that plans it and one that executes a plan. What is not turned on has
 * no route; nor has anything while no token of its scope exists.
 */
export function registerActions(app: FastifyInstance, options: ResolvedServerOptions, access: Access): ActionJobs {
  const jobs = createActionJobs();
  const tokens = createPlanTokens();
  const offered = offeredActions(options);
  for (const action of offered) register(app, action, { access, jobs, tokens, options });
  if (offered.length === 0) return jobs;
  app.get<{ Params: { id: string } }>(
    "/api/jobs/:id",
    {
      schema: { params: object({ id: { type: "string", maxLength: 64 } }) },
      config: {
        doc: {
          scope: "operate",
          summary: "What became of an action.",
          answers: { 200: { description: "The job", schema: jobSchema }, 404: problemAnswer("No such job") },
        },
      },
    },
    async (request, reply) => {
      const job = jobs.find(request.params.id);
      return job
        ? reply.header("cache-control", "no-store").send(shown(job))
        : problem(reply, 404, "there is no such job");
    },
  );
  app.get(
    "/api/jobs",
    {
      config: {
        doc: {
          scope: "operate",
          summary: "The last actions, newest first.",
          answers: { 200: { description: "Jobs", schema: object({ rows: listOf(jobSchema) }) } },
        },
      },
    },
    async (_request, reply) => reply.header("cache-control", "no-store").send({ rows: jobs.newestFirst.map(shown) }),
  );
  return jobs;
}

/** The actions that are named by the options, known to the source, and open to at least one token. */
export function offeredActions({ adminActions, credentials, source }: ResolvedServerOptions): readonly AdminAction[] {
  const held = new Set(credentials.map(({ scope }) => scope));
  return (source.actions ?? []).filter(
    ({ group, scope }) => adminActions.includes(group) && (held.has("admin") || held.has(scope)),
  );
}

interface Parts {
  readonly access: Access;
  readonly jobs: ActionJobs;
  readonly tokens: PlanTokens;
  readonly options: ResolvedServerOptions;
}

function register(app: FastifyInstance, action: AdminAction, { access, jobs, tokens, options }: Parts): void {
  const url = `/api/admin/${action.path}`;
  const rateLimit = { max: options.actionsPerMinute, timeWindow: 60_000 };
  const params = action.params === undefined ? {} : { params: action.params };
  const refusal = {
    404: problemAnswer("What it is about is not there"),
    409: problemAnswer("Things changed, or it is being done"),
  };

  app.post(
    `${url}/plan`,
    {
      schema: { ...params, body: action.body ?? { ...object({}), nullable: true } },
      config: {
        rateLimit,
        doc: doc(action.scope, `Plans: ${action.summary}`, {
          200: { description: "The plan and its token", schema: planSchema },
          ...refusal,
        }),
      },
    },
    async (request, reply) => {
      const args = argumentsOf(request);
      const plan = await action.plan(args);
      const hash = hashOfPlan({ action: action.name, args, ...plan });
      const { subject } = access.callerOf(request);
      const { token, expiresAt } = tokens.issue({ action: action.name, args, subject, hash });
      const { title, facts, sql } = plan;
      return reply
        .header("cache-control", "no-store")
        .send({ token, expiresAt: new Date(expiresAt).toISOString(), plan: { title, facts, sql, hash } });
    },
  );

  app.post<{ Body: { token: string } }>(
    url,
    {
      schema: { ...params, body: object({ token: { type: "string", minLength: 1, maxLength: 200 } }) },
      config: {
        rateLimit,
        doc: doc(action.scope, `Executes a plan: ${action.summary}`, {
          202: { description: "The job", schema: jobSchema },
          ...refusal,
        }),
      },
    },
    async (request, reply) => {
      const { subject } = access.callerOf(request);
      const given = (request.params ?? {}) as ActionArguments;
      const redeemed = tokens.redeem(request.body.token, { action: action.name, subject, args: given });
      if ("refused" in redeemed) {
        return problem(reply, 409, refusals[redeemed.refused], { code: "SERVER_PLAN_TOKEN" });
      }
      const { args, hash } = redeemed.plan;
      const now = await action.plan(args);
      if (hashOfPlan({ action: action.name, args, ...now }) !== hash) {
        return problem(reply, 409, "things changed since it was planned: plan again", { code: "SERVER_PLAN_CHANGED" });
      }
      const job = jobs.start(action, (run) => action.execute(args, { ...run, actor: subject, plan: hash }), subject);
      if (!job) return problem(reply, 409, "it is being done already, or the server stops");
      // Most are done at once; what takes longer is asked for under its id.
      const settled = (await jobs.settled(job.id, waitMs)) ?? job;
      return reply
        .code(202)
        .header("location", `/api/jobs/${job.id}`)
        .header("cache-control", "no-store")
        .send(shown(settled));
    },
  );
}

function doc(scope: AdminAction["scope"], summary: string, answers: RouteDoc["answers"]): RouteDoc {
  return { scope, summary, answers, changes: true };
}

function shown({ subject: _subject, ...job }: ActionJob): Omit<ActionJob, "subject"> {
  return job;
}

function argumentsOf(request: FastifyRequest): ActionArguments {
  return { ...((request.body ?? {}) as ActionArguments), ...((request.params ?? {}) as ActionArguments) };
}

/** Answers for an action that refuses; undefined for any other error. */
export function refusalAnswer(error: unknown, reply: FastifyReply): FastifyReply | undefined {
  if (!(error instanceof ActionRefusedError)) return undefined;
  return problem(reply, error.status, scrub(error.message), { code: error.code, hint: error.hint });
}
