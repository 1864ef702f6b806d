// One statement, so one round trip and one view of the catalog. Extension members are left out except types, which
// columns use. Sizes come from pg_class where the table was ever vacuumed or analysed; the others, usually new and
// few, are measured.
//
// Printed names are qualified by the search path, so it is pinned for the fingerprint to be the same in every session;
// definitions of views take a share lock on their tables, which behind a stuck ALTER TABLE would wait for ever. Both
// settings come first, in the row the result is computed from, and end with the statement's transaction; a caller's own
// transaction gets its path back.
/** Everything a plan knows of a database, as one JSON text; `$1` is the history's schema. */
export const catalogSql = /* sql */ `
  with settings as materialized (
    select array_to_json(current_schemas(false)) as path, current_setting('search_path') as search_path,
           current_setting('lock_timeout') as lock_timeout,
           set_config('search_path', 'pg_catalog', true), set_config('lock_timeout', '2s', true)
  ), spaces as (
    select n.oid, n.nspname
      from pg_catalog.pg_namespace n
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and n.nspname <> $1
  ), members as (
    select d.classid, d.objid from pg_catalog.pg_depend d where d.deptype = 'e'
  ), relations as (
    select c.*, s.nspname
      from pg_catalog.pg_class c join spaces s on s.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f')
       and not exists (select from members m where m.classid = 'pg_catalog.pg_class'::regclass and m.objid = c.oid)
  ), columns as (
    select a.attrelid,
           json_agg(json_build_object(
             'name', a.attname,
             'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
             'base', case when n.nspname = 'pg_catalog' then t.typname else n.nspname || '.' || t.typname end,
             'array', e.oid is not null,
             'notNull', a.attnotnull,
             'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid),
             'generated', a.attgenerated,
             'identity', a.attidentity <> ''
           ) order by a.attnum) as list
      from pg_catalog.pg_attribute a
      join relations r on r.oid = a.attrelid
      left join pg_catalog.pg_type e on e.typarray = a.atttypid
      join pg_catalog.pg_type t on t.oid = coalesce(e.oid, a.atttypid)
      join pg_catalog.pg_namespace n on n.oid = t.typnamespace
      left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attnum > 0 and not a.attisdropped
     group by a.attrelid
  ), constraints as (
    select c.conrelid,
           json_agg(json_build_object(
             'name', c.conname,
             'type', c.contype,
             'columns', (select coalesce(json_agg(a.attname order by k.position), '[]')
                           from unnest(c.conkey) with ordinality as k(attnum, position)
                           join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum),
             'validated', c.convalidated,
             'definition', pg_catalog.pg_get_constraintdef(c.oid),
             'references', (select fn.nspname || '.' || f.relname
                              from pg_catalog.pg_class f join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
                             where f.oid = c.confrelid)
           ) order by c.conname) as list
      from pg_catalog.pg_constraint c join relations r on r.oid = c.conrelid
     group by c.conrelid
  ), indexes as (
    select i.indrelid,
           json_agg(json_build_object(
             'name', c.relname,
             'columns', (select coalesce(json_agg(a.attname order by k.position), '[]')
                           from unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality as k(attnum, position)
                           left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
                                                              and k.attnum > 0),
             'unique', i.indisunique,
             'valid', i.indisvalid,
             'constraint', exists (select from pg_catalog.pg_constraint o where o.conindid = i.indexrelid
                                      and o.contype in ('p', 'u', 'x')),
             'method', m.amname,
             'partial', i.indpred is not null,
             'definition', pg_catalog.pg_get_indexdef(i.indexrelid)
           ) order by c.relname) as list
      from pg_catalog.pg_index i
      join relations r on r.oid = i.indrelid
      join pg_catalog.pg_class c on c.oid = i.indexrelid
      join pg_catalog.pg_am m on m.oid = c.relam
     group by i.indrelid
  ), triggers as (
    select g.tgrelid,
           json_agg(json_build_object(
             'name', g.tgname,
             'definition', pg_catalog.pg_get_triggerdef(g.oid)
                           || case g.tgenabled when 'O' then '' when 'D' then ' (disabled)' else ' (' || g.tgenabled::text || ')' end
           ) order by g.tgname) as list
      from pg_catalog.pg_trigger g join relations r on r.oid = g.tgrelid
     where not g.tgisinternal
     group by g.tgrelid
  ), policies as (
    select p.polrelid,
           json_agg(json_build_object(
             'name', p.polname,
             'definition', concat_ws(' ', case when not p.polpermissive then 'restrictive' end,
               'for', case p.polcmd when '*' then 'all' when 'r' then 'select' when 'a' then 'insert'
                                    when 'w' then 'update' else 'delete' end,
               'to', (select string_agg(case o when 0 then 'public' else o::regrole::text end, ', ' order by o)
                        from unnest(p.polroles) as o),
               'using (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
               'with check (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')')
           ) order by p.polname) as list
      from pg_catalog.pg_policy p join relations r on r.oid = p.polrelid
     group by p.polrelid
  )
  select catalog::text as catalog, set_config('search_path', made.search_path, true),
         set_config('lock_timeout', made.lock_timeout, true)
    from (select x.search_path, x.lock_timeout, json_build_object(
    'serverVersion', current_setting('server_version_num')::int,
    'timeZone', current_setting('TimeZone'),
    'searchPath', x.path,
    'tables', (
      select coalesce(json_agg(json_build_object(
               'schema', r.nspname, 'name', r.relname, 'kind', r.relkind, 'rows', r.reltuples,
               'bytes', case when r.reltuples < 0 and r.relkind in ('r', 'm') then pg_catalog.pg_relation_size(r.oid) end,
               'columns', coalesce(c.list, '[]'), 'constraints', coalesce(k.list, '[]'),
               'indexes', coalesce(i.list, '[]'),
               'definition', case when r.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(r.oid) end,
               'triggers', coalesce(t.list, '[]'), 'policies', coalesce(p.list, '[]'),
               'properties', (select coalesce(json_agg(v), '[]') from unnest(array[
                 case when r.relrowsecurity then 'row level security' end,
                 case when r.relforcerowsecurity then 'row level security forced on the owner' end,
                 case r.relpersistence when 'u' then 'unlogged' end,
                 'with ' || r.reloptions::text,
                 'partition by ' || pg_catalog.pg_get_partkeydef(r.oid),
                 pg_catalog.pg_get_expr(r.relpartbound, r.oid),
                 (select 'inherits ' || string_agg(h.inhparent::regclass::text, ', ' order by h.inhseqno)
                    from pg_catalog.pg_inherits h where h.inhrelid = r.oid),
                 case when r.relkind not in ('r', 'p') or r.relreplident = 'd' then null else case r.relreplident when 'n' then 'replica identity nothing'
                      when 'f' then 'replica identity full' else 'replica identity using an index' end end]) as v
                where v is not null),
               'privileges', (select coalesce(json_agg(v order by v), '[]') from (
                 select distinct case a.grantee when 0 then 'public' else a.grantee::regrole::text end
                        || ' ' || a.privilege_type as v
                   from pg_catalog.aclexplode(r.relacl) a where a.grantee <> r.relowner) g)
             ) order by r.nspname, r.relname), '[]')
        from relations r
        left join columns c on c.attrelid = r.oid
        left join constraints k on k.conrelid = r.oid
        left join indexes i on i.indrelid = r.oid
        left join triggers t on t.tgrelid = r.oid
        left join policies p on p.polrelid = r.oid),
    'types', (
      select coalesce(json_agg(json_build_object(
               'schema', s.nspname, 'name', t.typname, 'kind', t.typtype,
               'base', pg_catalog.format_type(t.typbasetype, t.typtypmod),
               'baseName', case when bn.nspname = 'pg_catalog' then b.typname else bn.nspname || '.' || b.typname end,
               'constrained', t.typnotnull or exists (select from pg_catalog.pg_constraint o where o.contypid = t.oid),
               'labels', (select coalesce(json_agg(l.enumlabel order by l.enumsortorder), '[]')
                            from pg_catalog.pg_enum l where l.enumtypid = t.oid),
               'details', (select coalesce(json_agg(v), '[]') from (
                 select 'default ' || t.typdefault as v where t.typdefault is not null
                 union all select 'not null' where t.typnotnull
                 union all (select o.conname || ' ' || pg_catalog.pg_get_constraintdef(o.oid)
                              from pg_catalog.pg_constraint o
                             where o.contypid = t.oid and o.contype = 'c' order by o.conname)
                 union all (select a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
                              from pg_catalog.pg_attribute a
                             where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
                             order by a.attnum)) d)
             ) order by s.nspname, t.typname), '[]')
        from pg_catalog.pg_type t
        join spaces s on s.oid = t.typnamespace
        left join pg_catalog.pg_type b on b.oid = t.typbasetype
        left join pg_catalog.pg_namespace bn on bn.oid = b.typnamespace
       where t.typcategory <> 'A'
         and (t.typrelid = 0 or exists (select from pg_catalog.pg_class c where c.oid = t.typrelid and c.relkind = 'c'))),
    'functions', (
      select coalesce(json_agg(json_build_object(
               'schema', s.nspname, 'name', f.proname, 'volatile', f.provolatile = 'v',
               'arguments', pg_catalog.pg_get_function_identity_arguments(f.oid),
               'hash', md5(concat_ws('|', pg_catalog.pg_get_function_arguments(f.oid),
                 pg_catalog.pg_get_function_result(f.oid), f.prosrc, f.provolatile, f.prosecdef, f.proconfig::text,
                 f.proisstrict, f.proleakproof, f.proparallel, f.prolang::text)),
               'privileges', (select coalesce(json_agg(v order by v), '[]') from (
                 select distinct case a.grantee when 0 then 'public' else a.grantee::regrole::text end
                        || ' ' || a.privilege_type as v
                   from pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) a
                  where a.grantee <> f.proowner) g))
             order by s.nspname, f.proname, pg_catalog.pg_get_function_identity_arguments(f.oid)), '[]')
        from pg_catalog.pg_proc f join spaces s on s.oid = f.pronamespace
       where not exists (select from members m where m.classid = 'pg_catalog.pg_proc'::regclass and m.objid = f.oid)
          or f.provolatile = 'v'),
    'sequences', (
      select coalesce(json_agg(json_build_object('name', s.nspname || '.' || c.relname,
               'definition', concat_ws(' ', pg_catalog.format_type(q.seqtypid, null), 'start', q.seqstart,
                 'increment', q.seqincrement, 'from', q.seqmin, 'to', q.seqmax, case when q.seqcycle then 'cycle' end,
                 (select 'owned by ' || d.refobjid::regclass::text || '.' || a.attname
                    from pg_catalog.pg_depend d
                    join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                   where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')
                   limit 1))
             ) order by s.nspname, c.relname), '[]')
        from pg_catalog.pg_class c join spaces s on s.oid = c.relnamespace
        join pg_catalog.pg_sequence q on q.seqrelid = c.oid
       where not exists (select from members m where m.classid = 'pg_catalog.pg_class'::regclass and m.objid = c.oid)),
    'schemas', (select coalesce(json_agg(s.nspname order by s.nspname), '[]') from spaces s where s.nspname <> 'public'),
    'extensions', (select coalesce(json_agg(json_build_object('name', e.extname, 'definition', e.extversion)
                          order by e.extname), '[]') from pg_catalog.pg_extension e where e.extname <> 'plpgsql'),
    'comments', (
      select coalesce(json_agg(json_build_object('name', i.type || ' ' || i.identity, 'definition', d.description)
                      order by i.type, i.identity), '[]')
        from pg_catalog.pg_description d
        cross join lateral pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid) i
       where d.objoid >= 16384 and i.schema in (select s.nspname from spaces s)
         and not exists (select from members m where m.classid = d.classoid and m.objid = d.objoid))
  ) as catalog from settings x offset 0) made`;
