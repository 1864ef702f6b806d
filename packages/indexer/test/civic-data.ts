import type { Pool } from "pg";

/** Tables with enough rows that reading them whole costs something: 50,000 bills by 400 sponsors. */
export async function loadCivicData(pool: Pool): Promise<void> {
  await pool.query("create extension if not exists pg_stat_statements");
  await pool.query(`
    create table sponsors (id int primary key, name text not null);
    create table bills (
      id          int primary key,
      sponsor_id  int not null references sponsors (id),
      number      text not null unique,
      status      text not null,
      title       text not null,
      tags        text[] not null,
      details     jsonb not null,
      introduced  timestamptz not null,
      withdrawn   timestamptz,
      search      tsvector
    );
    insert into sponsors select i, 'sponsor ' || i from generate_series(1, 400) i;
    insert into bills
    select i, i % 400 + 1, 'B-' || i, (array['draft','committee','passed','lost'])[i % 4 + 1],
           md5(i::text) || ' bill about ' || md5((i % 977)::text), array['t' || i % 300, 't' || i % 500],
           jsonb_build_object('county', i % 47, 'word', md5(i::text)),
           timestamptz '2020-01-01' + (i || ' minutes')::interval,
           case when i % 1000 = 0 then timestamptz '2021-01-01' end,
           to_tsvector('simple', 'w' || i % 5000 || ' x' || i % 3001)
      from generate_series(1, 50000) i;
    analyze`);
}
