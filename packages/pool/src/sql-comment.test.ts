import { describe, expect, test } from "vitest";
import { Annotator, sqlComment, withComment } from "./sql-comment.ts";

describe("sqlComment", () => {
  test("sorts, encodes and quotes as sqlcommenter does", () => {
    // The exhibit of its specification.
    const tags = {
      tracestate: "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7",
      traceparent: "00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01",
      route: "/polls 1000",
      "name''": "DROP TABLE FOO'--",
    };
    expect(sqlComment(tags)).toBe(
      "/*name%27%27='DROP%20TABLE%20FOO%27--',route='%2Fpolls%201000'," +
        "traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'," +
        "tracestate='congo%3Dt61rcWkgMzE%2Crojo%3D00f067aa0ba902b7'*/",
    );
    expect(sqlComment({ a: "*/ drop table t; /*" })).toBe("/*a='%2A%2F%20drop%20table%20t%3B%20%2F%2A'*/");
    expect(sqlComment({})).toBe("");
  });
});

describe("withComment", () => {
  test("goes behind the statement, before its semicolon, and beside no other comment", () => {
    expect(withComment("select 1", "/*a='1'*/")).toBe("select 1 /*a='1'*/");
    expect(withComment("select 1;\n", "/*a='1'*/")).toBe("select 1 /*a='1'*/;");
    expect(withComment("select 1 -- one", "/*a='1'*/")).toBe("select 1 -- one");
  });
});

describe("Annotator", () => {
  const statement = { config: "select 1", values: undefined, signal: undefined, timeoutMs: false } as const;

  test("writes constant tags always, changing ones only where nothing is prepared", () => {
    expect(new Annotator({ app: "a" }, true).annotate(statement, {}).config).toBe("select 1 /*app='a'*/");
    let n = 0;
    const changing = (): Record<string, string> => ({ n: String((n += 1)) });
    expect(new Annotator(changing, true).annotate(statement, {})).toBe(statement);
    expect(new Annotator(changing, false).annotate(statement, {})).toMatchObject({
      config: "select 1 /*n='1'*/",
      untagged: "select 1",
    });
    const mixed = new Annotator({ app: "a" }, true);
    expect(mixed.annotate(statement, { tags: { route: "r" }, prepare: false }).config).toBe(
      "select 1 /*app='a',route='r'*/",
    );
    expect(mixed.annotate(statement, { tags: { route: "r" } }).config).toBe("select 1 /*app='a'*/");
  });

  test("leaves a statement alone that has no tags, or that its caller named", () => {
    expect(new Annotator({}, false).annotate(statement, {})).toBe(statement);
    const named = { ...statement, config: { name: "n", text: "select 1" } };
    expect(new Annotator(() => ({ a: "1" }), false).annotate(named, {})).toBe(named);
  });
});
