-- migrate:up
alter table "Patient" add column "region" text not null default 'unknown';

-- migrate:down
alter table "Patient" drop column "region";
