import { toDatabase } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Catalog,
  collectCatalog,
  diffCatalogs,
  fingerprintCatalog,
  formatCatalogDifferences,
} from "../src/index.ts";

const setup = `
  create table public.owner (id int primary key, name text);
  create table public.pet (id int, owner_id int references public.owner);
  create view public.pets as select id from public.pet;
  create function public.touch() returns trigger language plpgsql as 'begin return new; end';
  create domain public.grade as int check (value > 0);`;

let cluster: TestCluster<0>;
let client: Client;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
  client = await cluster.connect();
  await client.query(`${setup} do $$ begin create role catalog_reader; end $$`);
});
afterAll(async () => {
  await client.end();
  await cluster.stop();
});

const read = (): Promise<Catalog> => toDatabase(client).withSession((session) => collectCatalog(session, "db_migrate"));

describe("collectCatalog", () => {
  test("reads everything in one round trip", async () => {
    let statements = 0;
    await toDatabase(client).withSession((session) =>
      collectCatalog(
        {
          query: (text, values) => {
            statements++;
            return session.query(text, values);
          },
        },
        "db_migrate",
      ),
    );
    expect(statements).toBe(1);
  });

  test("is the same whatever the session's search path, and leaves path and time-out of a transaction alone", async () => {
    const expected = fingerprintCatalog(await read());
    await client.query("begin; set local search_path = public, pg_catalog; set local lock_timeout = '7s'");
    try {
      const catalog = await read();
      expect(fingerprintCatalog(catalog)).toBe(expected);
      expect(catalog.searchPath).toEqual(["public", "pg_catalog"]);
      const { rows } = await client.query(
        "select current_setting('search_path') as path, current_setting('lock_timeout') as timeout",
      );
      expect(rows).toEqual([{ path: "public, pg_catalog", timeout: "7s" }]);
    } finally {
      await client.query("rollback");
    }
  });

  test("gives up on a table that stays locked exclusively", async () => {
    const other = await cluster.connect();
    try {
      await other.query("begin; lock table public.pet in access exclusive mode");
      await expect(read()).rejects.toMatchObject({ code: "MIGRATE_CATALOG_BUSY", retryable: true });
    } finally {
      await other.query("rollback");
      await other.end();
    }
  });
});

describe("diffCatalogs", () => {
  const changes: readonly (readonly [string, readonly string[]])[] = [
    ["create trigger t before insert on pet for each row execute function touch()", ["+ trigger t on public.pet"]],
    ["alter table pet enable row level security", ["+ property of public.pet: row level security"]],
    ["create policy mine on pet for select using (id > 0)", ["+ policy mine on public.pet  for select to public"]],
    ["create or replace view pets as select id from pet where id > 1", ["~ definition of public.pets"]],
    ["grant select on pet to catalog_reader", ["+ privilege on public.pet: catalog_reader SELECT"]],
    ["revoke execute on function touch() from public", ["- privilege on function public.touch(): public EXECUTE"]],
    ["comment on column pet.id is 'key'", ["+ comment on table column public.pet.id  'key'"]],
    ["create sequence s increment 5", ["+ sequence public.s  bigint start 1 increment 5"]],
    ["create schema more", ["+ schema more"]],
    ["alter domain grade add constraint low check (value < 9)", ["~ type public.grade"]],
    ["create or replace function touch() returns trigger language plpgsql as 'begin return null; end'", ["~ function"]],
    ["alter table pet set (fillfactor = 70)", ["+ property of public.pet: with {fillfactor=70}"]],
    [
      "alter table pet drop constraint pet_owner_id_fkey",
      ["- constraint pet_owner_id_fkey on public.pet  FOREIGN KEY"],
    ],
    ["drop view pets", ["- view public.pets", "- column public.pets.id"]],
    ["create type pair as (a int, b text)", ["+ type public.pair  composite a integer, b text"]],
  ];
  test.each(changes)("tells of %s", async (sql, lines) => {
    const before = await read();
    await client.query("begin");
    try {
      await client.query(sql);
      const told = formatCatalogDifferences(diffCatalogs(before, await read())).split("\n");
      expect(told, told.join("\n")).toHaveLength(lines.length);
      for (const line of lines)
        expect(
          told.some((one) => one.startsWith(line)),
          told.join("\n"),
        ).toBe(true);
      expect(fingerprintCatalog(await read())).not.toBe(fingerprintCatalog(before));
    } finally {
      await client.query("rollback");
    }
  });
});
