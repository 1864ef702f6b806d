-- migrate:up
create table orders (
  id       bigint generated always as identity primary key,
  customer integer not null,
  amount   integer not null
);

-- migrate:down
drop table orders;
