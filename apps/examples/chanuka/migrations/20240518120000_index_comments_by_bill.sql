-- migrate:up transaction=false lock_timeout=3s
create index concurrently bill_comments_bill_id_created_at_idx on bill_comments (bill_id, created_at);

-- migrate:verify
select 1 / count(*) from pg_index
 where indexrelid = 'bill_comments_bill_id_created_at_idx'::regclass and indisvalid;

-- migrate:down transaction=false
drop index concurrently bill_comments_bill_id_created_at_idx;
