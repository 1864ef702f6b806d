import { inspect } from "node:util";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigError, type ConfigSources, parseConfig } from "../src/index.ts";
import { settingOfVariable, settings, variableNames } from "../src/settings.ts";

/** Values that no setting of the kind takes, written by hand: the code under test is not asked. */
const refused: Readonly<Record<string, readonly string[]>> = {
  integer: ["abc", "1.5", "-7", "99999999", "1e3", "0x1f", "NaN", "Infinity", "١٢"],
  number: ["abc", "-1", "1,5", "NaN", "1e999"],
  boolean: ["maybe", "2", "tru", "{}"],
  duration: ["soon", "-1s", "1.5s", "10 fortnights", "99999999999999999999", "3000000000000ms"],
  bytes: ["much", "-1kB", "10", "1.5GB", "99999999TB"],
  choice: ["none of them", "__proto__", "toString", "42"],
  port: ["0", "65536", "http", "-1", "5432,x", ","],
  hours: ["24", "noon", "2;14", "-1", ",", "1.5"],
  cron: ["daily", "* * * *", "60 * * * *", "*/0 * * * *", "5-1 * * * *"],
  url: ["nowhere", "file:///etc/passwd", "//x"],
  "postgres URL": ["nowhere", "mysql://db/app", "postgres://db:port/app", "postgres://db/%zz"],
  "postgres URLs": ["nowhere", "postgres://db/app,nowhere", "postgres://db:0/app"],
  identifier: ["a-b", "1a", "a b", "x".repeat(64), "é"],
};

const core = "5ec12e7c0de"; // what must never be seen again
const secretTexts = [
  core,
  `p@${core}/x`,
  `${core}%`,
  `  ${core}  `,
  `"${core}"\n`,
  `${core}ü\\`,
  `postgres://u:${core}@h/d`,
];
const secretUrls = [
  `postgres://app:${core}@db.example.com:5432/app`,
  `postgres://app:${core}/x@db/app`,
  `postgres://app:${core}%zz@db/app`,
  `postgres://app:${core}@db:99999/app`,
  `postgres://db/app?user=u&password=${core}`,
  `postgres://app:${core}@h1,h2:1/app?sslmode=require&unknown=${core}`,
  `mysql://app:${core}@db/app`,
  `postgres://:${core}@/`,
  `app:${core}@db`,
  `smtp://u:${core}@mail`,
  `https://hooks.example.com/${core}`,
];
const secretNames = variableNames.filter((name) => settingOfVariable(name)?.secret === true);

const anyText = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom(
    "",
    " ",
    "0",
    "-1",
    "true",
    "null",
    "__proto__",
    "constructor",
    "%",
    "\u0000",
    "\ud800",
    "a,b,,",
    "1e400",
  ),
  fc.constantFrom(...settings.map(({ example }) => example)),
  fc.integer().map(String),
);
const name = fc.oneof(
  { arbitrary: fc.constantFrom(...variableNames), weight: 12 },
  {
    arbitrary: fc.constantFrom("DB_POOL", "DB_HOTS", "BACKUP_PATHS", "__proto__", "toString", "PGSYSCONFDIR", "PATH"),
    weight: 1,
  },
);
const refusedVariable = fc
  .constantFrom(
    ...settings.flatMap(({ variables, kind }) =>
      kind.name in refused ? variables.map((v) => [v.name, kind.name] as const) : [],
    ),
  )
  .chain(([variable, kind]) => fc.constantFrom(...refused[kind]!).map((text) => [variable, text] as const))
  .filter(([variable]) => variable !== "NODE_ENV");
const goodVariable = fc
  .constantFrom(...settings.flatMap(({ variables, example }) => variables.map((v) => [v.name, example] as const)))
  .filter(([variable]) => !/PROFILE|NODE_ENV|SSL_(CERT|KEY|ROOT)|TOKENS|WEBHOOK|_URLS?$/.test(variable));
const maybe = <T>(values: fc.Arbitrary<T>, maxLength: number): fc.Arbitrary<T[]> =>
  fc.oneof(fc.constant<T[]>([]), fc.array(values, { maxLength }));
const secretVariable = fc.tuple(fc.constantFrom(...secretNames), fc.constantFrom(...secretTexts, ...secretUrls));

/** An environment, with the variables in it that hold a refused value. */
const generated = fc
  .record({
    good: fc.array(goodVariable, { maxLength: 12 }),
    noise: maybe(fc.tuple(name, anyText), 8),
    bad: maybe(refusedVariable, 4),
    secrets: maybe(secretVariable, 4),
    // A secret that was pasted into the wrong variable as well.
    misplaced: fc.option(fc.constantFrom("DB_PORT", "DB_POOL_MAX", "DB_QUERY_TIMEOUT", "DB_SSL_MODE")),
    profile: fc.constantFrom(undefined, "development", "test", "staging", "production"),
  })
  .map(({ good, noise, bad, secrets, misplaced, profile }) => {
    const environment: Record<string, string> = Object.create(null) as Record<string, string>;
    for (const [key, text] of [...good, ...noise, ...secrets, ...bad]) environment[key] = text;
    if (profile !== undefined) environment["DB_PROFILE"] = profile;
    const secret = secrets.find(([key, text]) => environment[key] === text && !key.endsWith("_FILE"));
    if (misplaced !== null && secret !== undefined) environment[misplaced] = secret[1];
    const refusals = bad.filter(([key, text]) => environment[key] === text).map(([key]) => key);
    return { environment, refusals };
  });

/** The place where a secret shows, for the report of a failure. */
function around(shown: string): string {
  const index = shown.indexOf(core);
  return index === -1 ? "no secret is shown" : shown.slice(Math.max(0, index - 80), index + 40);
}

function shownBy(sources: ConfigSources): { readonly shown: string; readonly named: ReadonlySet<string> | undefined } {
  try {
    const loaded = parseConfig(sources);
    const { config } = loaded;
    expect(config.pool.min).toBeLessThanOrEqual(config.pool.max);
    expect(Object.isFrozen(config.pool)).toBe(true);
    const shown = [
      JSON.stringify(loaded),
      inspect(loaded, { depth: 9, showHidden: true }),
      JSON.stringify(loaded.explain()),
    ];
    return { shown: shown.join("\n"), named: undefined };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const shown = [
      String(error),
      error.stack,
      error.hint,
      JSON.stringify(error),
      JSON.stringify(error.problems),
      inspect(error, { depth: 9, showHidden: true }),
    ];
    for (const { message, expected, example, variable } of error.problems) {
      expect([message, expected, example, variable].every((text) => text.length > 0)).toBe(true);
    }
    return { shown: shown.join("\n"), named: new Set(error.problems.map(({ variable }) => variable)) };
  }
}

test(
  "10,000 generated environments: no crash, no secret shown, every refused value named",
  { timeout: 120_000 },
  () => {
    let accepted = 0;
    let rejected = 0;
    fc.assert(
      fc.property(generated, fc.boolean(), ({ environment, refusals }, requireConnection) => {
        const files = (path: string): { text: string } | undefined =>
          path.includes(core) ? { text: core } : undefined;
        const { shown, named } = shownBy({
          environment,
          requireConnection,
          readFile: files,
          homeDirectory: "/home/u",
          userName: "u",
        });
        if (named === undefined) accepted += 1;
        else rejected += 1;
        expect(shown.includes(core), around(shown)).toBe(false);
        for (const variable of refusals) expect(named ?? "accepted", `${variable} is named`).toContain(variable);
      }),
      { numRuns: 10_000 },
    );
    // Both outcomes are well represented, so neither half of the property is idle.
    expect(accepted).toBeGreaterThan(500);
    expect(rejected).toBeGreaterThan(500);
  },
);

test("2,000 generated files and .env texts: no crash, no secret shown", { timeout: 60_000 }, () => {
  const leaf = fc.oneof(anyText, fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.constant(undefined));
  const key = fc.constantFrom(
    "pool",
    "max",
    "min",
    "retry",
    "connection",
    "url",
    "tls",
    "backup",
    "remote",
    "profile",
    "x",
    "password",
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: "small" },
      leaf,
      fc.dictionary(key, tie("tree"), { maxKeys: 5 }),
      fc.array(tie("tree"), { maxLength: 2 }),
    ),
  }));
  const line = fc.oneof(
    fc.tuple(name, anyText).map(([variable, text]) => `${variable}=${text}`),
    fc.string({ maxLength: 20 }),
    fc.constantFrom(...secretTexts).map((text) => `DB_PASSWORD="${text}"`),
    fc.constantFrom(...secretUrls).map((url) => `DATABASE_URL=${url}`),
  );
  fc.assert(
    fc.property(tree, fc.array(line, { maxLength: 8 }), (value, lines) => {
      const { shown } = shownBy({
        file: { path: "/p/db.config.json", value },
        dotenv: { path: "/p/.env", text: lines.join("\n") },
        flags: { "connection.password": core },
        requireConnection: false,
      });
      expect(shown.includes(core), around(shown)).toBe(false);
    }),
    { numRuns: 2_000 },
  );
});
