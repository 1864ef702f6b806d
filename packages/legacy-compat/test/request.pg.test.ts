import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import {
  BaseRepository,
  getDatabaseIntegration,
  getRequestContext,
  type OutgoingResponse,
  requestContext,
  runWithRequestContext,
  transactionMiddleware,
  withRequestTransaction,
} from "@db/legacy-compat/chanuka";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { environmentOf, useEnvironment } from "./old-environment.ts";

let cluster: TestCluster<1>;

class UsersRepository extends BaseRepository {
  add(name: string): Promise<{ id: number }[]> {
    return this.write<{ id: number }>("insert into users (name) values ($1) returning id", [name]);
  }

  names(): Promise<{ name: string }[]> {
    return this.read<{ name: string }>("select name from users order by id");
  }

  addTwo(first: string, second: string): Promise<void> {
    return this.transaction(async () => {
      await this.add(first);
      await this.add(second);
    });
  }
}

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
  useEnvironment(environmentOf(cluster));
  await getDatabaseIntegration().query("create table users (id serial primary key, name text not null)");
});
afterAll(async () => {
  await getDatabaseIntegration().shutdown();
  await cluster?.stop();
});

async function names(): Promise<string[]> {
  return (await new UsersRepository().names()).map(({ name }) => name);
}

describe("a repository", () => {
  test("writes, reads what it wrote, and does several things or none", async () => {
    const users = new UsersRepository();
    await users.add("Wanjiru");
    expect(await names()).toEqual(["Wanjiru"]);
    await expect(users.addTwo("Otieno", null as unknown as string)).rejects.toMatchObject({ code: "23502" });
    expect(await names()).toEqual(["Wanjiru"]);
  });

  test("works in the transaction around its handler", async () => {
    const users = new UsersRepository();
    const handler = withRequestTransaction(async (name: string) => {
      await users.add(name);
      const seen = await users.names();
      expect(await names()).toEqual(seen.map((each) => each.name));
      if (name === "refused") throw new Error("no");
      return getRequestContext().transaction !== undefined;
    });
    expect(await handler("Achieng")).toBe(true);
    await expect(handler("refused")).rejects.toThrow("no");
    expect(await names()).toEqual(["Wanjiru", "Achieng"]);
  });
});

describe("a request", () => {
  test("has its context, and nothing else has", async () => {
    expect(() => getRequestContext()).toThrow(expect.objectContaining({ code: "LEGACY_NO_REQUEST" }));
    const seen = await runWithRequestContext({ requestId: "r1", userId: "u1" }, async () => {
      await Promise.resolve();
      return getRequestContext();
    });
    expect(seen).toMatchObject({ requestId: "r1", userId: "u1", transaction: undefined });
  });

  test("is answered when the transaction has ended: a COMMIT that fails is an error, a caller that leaves a rollback", async () => {
    await getDatabaseIntegration().query(
      "create table once (id int, constraint once_only unique (id) deferrable initially deferred)",
    );
    const transaction = transactionMiddleware();
    const arrived: (() => void)[] = [];
    const ended: Promise<void>[] = [];
    const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      await getRequestContext().transaction!.query("insert into once values (1)");
      if (request.url === "/waits") return arrived.pop()!();
      response.statusCode = 200;
      response.end("done");
    };
    const server = createServer((request, response) => {
      const done = transaction(request, response as unknown as OutgoingResponse, (error) => {
        if (error === undefined) return handle(request, response);
        response.statusCode = 500;
        return response.end((error as { code: string }).code);
      });
      ended.push(done);
    });
    await new Promise<void>((done) => void server.listen(0, "127.0.0.1", done));
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    expect(await (await fetch(`${url}/first`)).text()).toBe("done");
    // The constraint is checked at COMMIT, after the handler has answered.
    const second = await fetch(`${url}/second`);
    expect([second.status, await second.text()]).toEqual([500, "23505"]);

    await getDatabaseIntegration().query("delete from once");
    const leaving = new AbortController();
    arrived.push(() => leaving.abort());
    await expect(fetch(`${url}/waits`, { signal: leaving.signal })).rejects.toThrow(/abort/);
    await Promise.all(ended);
    expect((await getDatabaseIntegration().query("select id from once", [], false)).rows).toEqual([]);
    await new Promise<void>((done) => void server.close(() => done()));
  });

  test("is one transaction: an answer below 400 commits, any other and an error roll back", async () => {
    const users = new UsersRepository();
    const context = requestContext();
    const transaction = transactionMiddleware();
    const failures: unknown[] = [];
    const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const name = request.url!.slice(1);
      await users.add(name);
      if (name === "throws") throw new Error("in the handler");
      response.statusCode = name === "bad" ? 422 : 200;
      response.end(getRequestContext().requestId);
    };
    const server: Server = createServer((request, response) => {
      context(request, response, () => {
        void transaction(request, response as unknown as OutgoingResponse, (error) => {
          if (error === undefined) return handle(request, response);
          failures.push(error);
          response.statusCode = 500;
          return response.end();
        });
      });
    });
    await new Promise<void>((done) => void server.listen(0, "127.0.0.1", done));
    const { port } = server.address() as { port: number };
    const get = (name: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}/${name}`, { headers: { "x-request-id": `id-${name}` } });
    const before = await names();
    const good = await get("good");
    expect([good.status, await good.text()]).toEqual([200, "id-good"]);
    expect((await get("bad")).status).toBe(422);
    expect((await get("throws")).status).toBe(500);
    expect(failures).toMatchObject([{ message: "in the handler" }]);
    expect(await names()).toEqual([...before, "good"]);
    await new Promise<void>((done) => void server.close(() => done()));
  });
});
