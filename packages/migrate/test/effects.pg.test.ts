import { toDatabase } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Catalog, collectCatalog } from "../src/catalog.ts";
import { predictEffects } from "../src/effects.ts";
import { loadParser } from "../src/parser.ts";
import { lockModes, type TableLock } from "../src/table-lock.ts";
import { replay } from "../src/replay.ts";
import { WorkingCatalog } from "../src/working-catalog.ts";
import { observe } from "./observe.ts";

const setup = `
  create table owner (id int primary key, name text);
  create table pet (
    id bigint primary key,
    owner_id int constraint pet_owner references owner (id),
    "Name" varchar(40) not null,
    tags varchar(10)[],
    weight numeric(8, 2),
    born timestamp(3),
    chip bit varying(16),
    note text,
    age int constraint age_set check (age is not null and age > 0),
    constraint loose foreign key (id) references owner (id) not valid
  );
  alter table pet drop constraint loose;
  alter table pet add constraint loose check (weight > 0) not valid;
  insert into owner select g, 'o' from generate_series(1, 50) g;
  insert into pet select g, 1 + g % 50, 'n', '{a}', 1, now(), b'1', 'x', 1 from generate_series(1, 500) g;
  create index pet_note on pet (note);
  create unique index pet_key on pet (id, owner_id);
  create table vet (id int primary key);
  create table shift (vet_id int references vet (id));
  create table visit (id int, at date) partition by range (at);
  create table visit_2025 partition of visit for values from ('2025-01-01') to ('2026-01-01');
  create table visit_2026 (id int, at date);
  create domain short as varchar(40);
  create domain grade as int check (value between 1 and 5);
  create view pets as select id, born from owner, (select now() as born) n;
  create function fresh() returns int language plpgsql volatile as 'begin return 1; end';
  create function steady() returns int language sql stable as 'select 1';`;

// The last statement of each is the one judged; those before it only prepare.
const statements: readonly string[] = [
  "alter table pet add column a int default fresh()",
  "alter table pet add column a int default steady()",
  "alter table pet add column a int default (random() * 10)::int",
  "alter table pet add column a int default 1 references owner (id)",
  "alter table pet add column a int references owner (id)",
  "alter table pet add column a short",
  "alter table pet add column a grade default 1",
  "alter table pet add column a int generated always as (age * 2) virtual",
  "alter table pet add column a int, add column b serial",
  "alter table pet add column if not exists note text",
  'alter table pet alter column "Name" type short',
  'alter table pet alter column "Name" type varchar(39)',
  'alter table pet alter column "Name" type text using "Name"::text',
  'alter table pet alter column "Name" type text using upper("Name")',
  "alter table pet alter column tags type text[]",
  "alter table pet alter column tags type varchar(20)[]",
  "alter table pet alter column tags type varchar[]",
  "alter table pet alter column weight type numeric(9, 2)",
  "alter table pet alter column weight type numeric(7, 2)",
  "alter table pet alter column born type timestamp",
  "alter table pet alter column born type timestamptz(2)",
  "alter table pet alter column chip type bit varying(20)",
  "alter table pet alter column age type grade",
  "alter table pet alter column age set not null",
  "alter table pet alter column age drop not null, alter column age set default 3",
  "alter table pet add constraint c check (age < 90) not valid; alter table pet validate constraint c",
  "alter table pet validate constraint loose",
  "alter table pet validate constraint pet_owner",
  "alter table pet add constraint c not null owner_id not valid",
  "alter table pet add constraint c not null owner_id",
  "alter table pet add constraint c check (note is not null) not valid; alter table pet alter column note set not null",
  "alter table pet add constraint c check (note is not null); alter table pet alter column note set not null",
  "alter table pet drop constraint pet_owner",
  "alter table pet drop constraint pet_pkey, add constraint pet_new primary key using index pet_key",
  "alter table pet drop column owner_id",
  "alter table pet rename column note to remark; alter table pet alter column remark set not null",
  "alter table pet rename to animal",
  "alter table pet rename constraint loose to tight",
  "alter table pet disable trigger user",
  "alter table pet set (autovacuum_enabled = false)",
  "alter table pet alter column note set statistics 500",
  "alter table pet alter column note set storage external",
  "alter table pet cluster on pet_note",
  "alter table pet force row level security",
  "alter table pet owner to current_user",
  "alter table pet replica identity using index pet_pkey",
  "alter table visit attach partition visit_2026 for values from ('2026-01-01') to ('2027-01-01')",
  "alter table visit detach partition visit_2025",
  "create table visit_2027 partition of visit for values from ('2027-01-01') to ('2028-01-01')",
  "create table toy (pet_id bigint references pet (id))",
  "create index on pet (weight)",
  "create unique index on pet (id)",
  "drop index pet_note",
  "drop view pets",
  "drop table pet cascade",
  "drop table vet cascade",
  "truncate pet",
  "truncate owner cascade",
  "reindex index pet_note",
  "create policy mine on pet using (true)",
  "create rule quiet as on insert to owner do also nothing",
  "create statistics s on age, weight from pet",
  "comment on column pet.age is 'years'",
  "lock table pet in share row exclusive mode",
  "create view old as select * from pet where age > 3",
  "create table copy as select * from owner",
  "insert into owner select 100 + id, note from pet where id < 3",
  "update pet set note = 'y' from owner where owner.id = pet.owner_id and pet.id = 1",
  "delete from pet where id in (select id from owner where id = 1)",
  "with o as (select id from owner) select count(*) from o",
  "select * from pet where id = 1 for update",
];

let cluster: TestCluster;
let client: Client;
let catalog: Catalog;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
  client = await cluster.connect();
  await client.query(`set timezone = 'UTC'; ${setup}`);
  catalog = await toDatabase(client).withSession((session) => collectCatalog(session, "db_migrate"));
});
afterAll(async () => {
  await client.end();
  await cluster.stop();
});

describe("predicted effects are what the server does", () => {
  for (const sql of statements) {
    test(sql, async () => {
      const parsed = (await loadParser()).parse(sql);
      const working = new WorkingCatalog(catalog);
      const last = parsed.at(-1);
      if (!last) throw new Error("no statement");
      const locks: TableLock[] = [];
      for (const { node } of parsed.slice(0, -1)) {
        locks.push(...predictEffects(node, working).locks);
        replay(node, working);
      }
      const { rewrites, scans, locks: lastLocks } = predictEffects(last.node, working);
      locks.push(...lastLocks);

      const preparation = parsed.slice(0, -1).map((one) => one.sql);
      const real = await observe(client, last.sql, preparation);
      expect(
        { rewrites: [...rewrites].sort(), scanned: scans.length > 0 },
        `the server: ${JSON.stringify(real)}`,
      ).toEqual({ rewrites: [...real.rewrites].sort(), scanned: real.scans.length > 0 });
      const predicted: Record<string, string> = {};
      locks.sort((a, b) => lockModes.indexOf(a.mode) - lockModes.indexOf(b.mode));
      for (const { relation, mode } of locks) predicted[relation] = mode;
      expect(predicted).toEqual(real.locks);
    });
  }
});
