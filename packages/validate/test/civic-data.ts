import type { Pool } from "pg";

/** 1,000 bills by 100 sponsors, with faults whose numbers the tests know. */
export async function loadFaultyData(pool: Pool): Promise<void> {
  await pool.query(`
    create type stage as enum ('draft', 'passed');
    create table sponsors (id int primary key, name text not null, email text);
    create table bills (
      id int primary key, sponsor_id int, title text, status text, amount numeric,
      introduced timestamptz, updated timestamptz, town text, postcode text, stage stage not null
    );
    create table "Odd Names" ("The Key" int primary key, "a""b" text);
    create table keyless (a int, b int);
    create view passed_bills as select * from bills where status = 'passed';
    insert into sponsors select i, 'sponsor ' || i, 's' || i || '@example.org' from generate_series(1, 100) i;
    insert into bills
    select i, i % 100 + 1, 'bill ' || i, (array['draft', 'passed'])[i % 2 + 1], i,
           timestamptz '2024-01-01' + (i || ' minutes')::interval, timestamptz '2025-01-01',
           'town ' || i % 10, 'z' || i % 10, 'draft'
      from generate_series(1, 1000) i;
    insert into "Odd Names" select i, case when i = 3 then null else 'v' end from generate_series(1, 10) i;
    update sponsors set email = 'bad ' || id where id <= 3;
    update bills set sponsor_id = 999 where id <= 7;
    update bills set title = null where id <= 5;
    update bills set title = 'bill 1000' where id in (10, 11);
    update bills set amount = -1 where id = 1;
    update bills set status = 'lost' where id = 2;
    update bills set updated = introduced - interval '1 hour' where id = 4;
    update bills set town = 'elsewhere' where id = 30;
    alter table bills add constraint amount_positive check (amount > 0) not valid;
    alter table bills add constraint amount_small check (amount < 1000000)`);
}
