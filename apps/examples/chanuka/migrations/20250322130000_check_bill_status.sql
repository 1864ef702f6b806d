-- migrate:up
-- Checked for new rows at once, for old ones by the next migration: no scan under a strong lock.
alter table bills add constraint bills_status_check check (
  status in (
    'drafted', 'introduced', 'committee', 'second_reading', 'third_reading',
    'passed', 'assented', 'rejected', 'withdrawn', 'lapsed'
  )
) not valid;

-- migrate:down
alter table bills drop constraint bills_status_check;
