-- migrate:up
alter table bills validate constraint bills_status_check;

-- migrate:verify
select 1 / count(*) from pg_constraint where conname = 'bills_status_check' and convalidated;

-- migrate:down
-- A validated constraint stays true: nothing to undo.
