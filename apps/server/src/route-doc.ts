import type { Scope } from "./scope.ts";

/** A JSON schema, as Fastify checks requests with and OpenAPI 3.1 shows. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** What a route says of itself: who may call it, and what the generated description tells. */
export interface RouteDoc {
  /** `public` routes tell a stranger nothing but status. */
  readonly scope: Scope | "public";
  readonly summary: string;
  readonly answers: Readonly<Record<number, Answer>>;
  /** True for a page that a browser opens: a stranger gets the form to sign in. */
  readonly page?: true;
  /** True where a browser's cookie counts only with proof that this site's own page asked. */
  readonly changes?: true;
}

export interface Answer {
  readonly description: string;
  /** Default `application/json`. */
  readonly type?: string;
  readonly schema?: JsonSchema;
}

declare module "fastify" {
  interface FastifyContextConfig {
    readonly doc?: RouteDoc;
  }
}

/** Shorthands for schemas. */
export const object = (
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[] = Object.keys(properties),
): JsonSchema => ({
  type: "object",
  properties,
  required,
});
export const string: JsonSchema = { type: "string" };
export const number: JsonSchema = { type: "number" };
export const integer: JsonSchema = { type: "integer" };
export const listOf = (items: JsonSchema): JsonSchema => ({ type: "array", items });
export const nullable = (type: string): JsonSchema => ({ type: [type, "null"] });
/** Any value: what it is, is described elsewhere. */
export const anything: JsonSchema = {};

export const problemSchema: JsonSchema = object(
  { type: string, title: string, status: integer, detail: string, code: string, hint: string },
  ["type", "title", "status", "detail"],
);
export const problemAnswer = (description: string): Answer => ({
  description,
  type: "application/problem+json",
  schema: problemSchema,
});
