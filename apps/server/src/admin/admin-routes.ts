import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Access } from "../access.ts";
import { ActionRefusedError } from "../errors.ts";
import type { ResolvedServerOptions } from "../options.ts";
import { problem, scrub } from "../problem.ts";
import { anything, listOf, nullable, object, problemAnswer, type RouteDoc, string } from "../route-doc.ts";
import { type ActionJob, type ActionJobs, createActionJobs } from "./action-jobs.ts";
import type { ActionArguments, AdminAction } from "./action.ts";
import { createIdempotencyKeys, type IdempotencyKeys, type Repeated } from "./idempotency-keys.ts";
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
  const keys = createIdempotencyKeys();
  const offered = offeredActions(options);
  for (const action of offered) register(app, action, { access, jobs, tokens, keys, options });
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
  readonly keys: IdempotencyKeys;
  readonly options: ResolvedServerOptions;
}

function register(app: FastifyInstance, action: AdminAction, { access, jobs, tokens, keys, options }: Parts): void {
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
      schema: { ...params, ...keyed, body: object({ token: { type: "string", minLength: 1, maxLength: 200 } }) },
      config: {
        rateLimit,
        doc: doc(action.scope, `Executes a plan: ${action.summary}`, {
          202: { description: "The job", schema: jobSchema },
          ...refusal,
          422: problemAnswer("The key was used for another execution"),
        }),
      },
    },
    async (request, reply) => {
      const { subject } = access.callerOf(request);
      const given = (request.params ?? {}) as ActionArguments;
      const answer = async (job: ActionJob): Promise<FastifyReply> =>
        reply
          .code(202)
          .header("location", `/api/jobs/${job.id}`)
          .header("cache-control", "no-store")
          // Most are done at once; what takes longer is asked for under its id.
          .send(shown((await jobs.settled(job.id, waitMs)) ?? job));

      const key = request.headers["idempotency-key"];
      const name = key === undefined ? undefined : [subject, action.name, key].join("\n");
      const before = name === undefined ? undefined : keys.take(name, [given, request.body.token]);
      if (before !== undefined) return repeated(reply, before, jobs, answer);
      const started = await execute({ action, subject, given, token: request.body.token, jobs, tokens }).catch(
        (error: unknown) => {
          if (name !== undefined) keys.giveBack(name);
          throw error;
        },
      );
      if ("refused" in started) {
        if (name !== undefined) keys.giveBack(name);
        return problem(reply, 409, started.refused, started.code === undefined ? {} : { code: started.code });
      }
      if (name !== undefined) keys.started(name, started.job.id);
      return answer(started.job);
    },
  );
}

/** Redeems a token, looks whether its plan still holds, and begins. */
async function execute(of: {
  readonly action: AdminAction;
  readonly subject: string;
  readonly given: ActionArguments;
  readonly token: string;
  readonly jobs: ActionJobs;
  readonly tokens: PlanTokens;
}): Promise<{ readonly job: ActionJob } | { readonly refused: string; readonly code?: string }> {
  const { action, subject, given, token, jobs, tokens } = of;
  const redeemed = tokens.redeem(token, { action: action.name, subject, args: given });
  if ("refused" in redeemed) return { refused: refusals[redeemed.refused], code: "SERVER_PLAN_TOKEN" };
  const { args, hash } = redeemed.plan;
  const now = await action.plan(args);
  if (hashOfPlan({ action: action.name, args, ...now }) !== hash) {
    return { refused: "things changed since it was planned: plan again", code: "SERVER_PLAN_CHANGED" };
  }
  const job = jobs.start(action, (run) => action.execute(args, { ...run, actor: subject, plan: hash }), subject);
  return job ? { job } : { refused: "it is being done already, or the server stops" };
}

/** The answer to an execution that was asked for before under the same key. */
async function repeated(
  reply: FastifyReply,
  before: Repeated,
  jobs: ActionJobs,
  answer: (job: ActionJob) => Promise<FastifyReply>,
): Promise<FastifyReply> {
  const code = "SERVER_IDEMPOTENCY_KEY";
  if (before === "another") return problem(reply, 422, "the key was used for another execution", { code });
  if (before === "starting") return problem(reply, 409, "it is being started under that key", { code });
  const job = jobs.find(before.job);
  return job ? answer(job) : problem(reply, 409, "it was done under that key, and its job is forgotten", { code });
}

const keyed = {
  headers: {
    type: "object",
    properties: {
      "idempotency-key": {
        type: "string",
        minLength: 1,
        maxLength: 255,
        description: "An execution repeated under the same key is not done again: the answer is the same job",
      },
    },
  },
} as const;

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
