-- migrate:up
-- A constant default: PostgreSQL 11 and later write it into the catalog and leave the rows alone.
alter table users add column language text not null default 'en';
alter table users add column verified_at timestamptz;

-- migrate:down
alter table users drop column verified_at;
alter table users drop column language;
