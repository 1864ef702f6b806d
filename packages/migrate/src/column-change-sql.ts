import { quoteIdentifier, quoteLiteral, quoteQualified } from "@db/core";
import type { ChangedTable, ColumnChange } from "./column-change.ts";

interface Names {
  /** Keeps the names of two changes of one table apart. */
  readonly suffix: string;
  /** Schema of the views in which the new version sees the table; null without one. */
  readonly viewSchema: string | null;
}

/** The text of an online migration for a column. Pure. */
export function columnChangeSql(change: ColumnChange, table: ChangedTable, names: Names): string {
  return change.kind === "add" ? addColumnSql(change, table, names) : changeColumnSql(change, table, names);
}

// An exclusive lock is asked for again and again for a moment each: whoever waits for one makes all others wait.
const briefLocks = "lock_timeout=50ms retries=200";

function addColumnSql(change: ColumnChange, table: ChangedTable, { suffix }: Names): string {
  const target = quoteQualified(table.schema, table.name);
  const column = quoteIdentifier(change.column);
  const trigger = quoteIdentifier(`${table.name}_${change.column}_${suffix}`);
  const triggerFunction = quoteQualified(table.schema, `${table.name}_${change.column}_${suffix}`);
  const value = change.up ?? "null";
  return `-- Adds ${change.column} to ${table.schema}.${table.name} while it is in use.
-- migrate:expand ${briefLocks}
alter table ${target} add column ${column} ${change.type};
create function ${triggerFunction}() returns trigger language plpgsql as $$
begin
  if new.${column} is null then
    new.${column} := (select ${value} from (select new.*) as this);
  end if;
  return new;
end $$;
create trigger ${trigger} before insert or update on ${target} for each row execute function ${triggerFunction}();

-- migrate:backfill table=${target} key=${table.key.join(",")} ${briefLocks}
update ${target} set ${column} = ${value} where :batch and ${column} is null;

-- migrate:contract ${briefLocks}
${change.notNull === true ? notNullSql(target, column, `${table.name}_${change.column}_set`) : ""}drop trigger ${trigger} on ${target};
-- migrate:allow drop-object reason="the trigger function of this migration"
drop function ${triggerFunction}();

-- migrate:cancel ${briefLocks}
drop trigger if exists ${trigger} on ${target};
drop function if exists ${triggerFunction}();
alter table ${target} drop column if exists ${column};

-- migrate:down ${briefLocks}
alter table ${target} drop column ${column};
`;
}

function changeColumnSql(change: ColumnChange, table: ChangedTable, { suffix, viewSchema }: Names): string {
  const old = table.columns.find(({ name }) => name === change.column);
  const oldType = old?.type ?? "text";
  const type = change.type ?? oldType;
  const target = quoteQualified(table.schema, table.name);
  const column = quoteIdentifier(change.column);
  const made = quoteIdentifier(`${change.column}_${suffix}`);
  const name = quoteIdentifier(change.rename ?? change.column);
  const trigger = quoteIdentifier(`${table.name}_${change.column}_${suffix}`);
  const triggerFunction = quoteQualified(table.schema, `${table.name}_${change.column}_${suffix}`);
  const views = quoteIdentifier(viewSchema ?? "");
  const view = quoteQualified(viewSchema ?? "", table.name);
  const up = change.up ?? `${column}::${type}`;
  const down = change.down ?? `new_value::${oldType}`;
  const listed = table.columns.map((one) =>
    one.name === change.column ? `${made} as ${name}` : quoteIdentifier(one.name),
  );
  const asCaller = table.serverVersion >= 150_000 ? " with (security_invoker = true)" : "";
  const grants = table.grants.flatMap(({ privileges, role }) => [
    `grant usage on schema ${views} to ${role};`,
    `grant ${privileges} on ${view} to ${role};`,
  ]);
  const isRequired = change.notNull ?? old?.notNull ?? false;
  return `-- Changes ${change.column} of ${table.schema}.${table.name} while it is in use.
-- The new version of the application uses search_path "${viewSchema}, ${table.schema}", the old one goes on as it was.
${table.dependents.map((dependent) => `-- Not carried over: ${dependent}. Make its like on ${made} in the contract section.\n`).join("")}-- migrate:expand ${briefLocks}
alter table ${target} add column ${made} ${type};
create function ${triggerFunction}() returns trigger language plpgsql as $$
begin
  if current_setting('db_migrate.backfill', true) = 'on' then
    return new;
  elsif current_schema() = ${quoteLiteral(viewSchema ?? "")} and (new.${made} is not null or tg_op = 'UPDATE') then
    new.${column} := (select ${down} from (select new.*, new.${made} as new_value) as this);
  else
    new.${made} := (select ${up} from (select new.*) as this);
  end if;
  return new;
end $$;
create trigger ${trigger} before insert or update on ${target} for each row execute function ${triggerFunction}();
create schema ${views};
create view ${view}${asCaller} as select ${listed.join(", ")} from ${target};
${grants.map((grant) => `${grant}\n`).join("")}
-- migrate:backfill table=${target} key=${table.key.join(",")} ${briefLocks}
update ${target} set ${made} = ${up} where :batch and ${made} is null;

-- migrate:contract ${briefLocks}
${isRequired ? notNullSql(target, made, `${table.name}_${change.column}_set`) : ""}do $$
begin
  drop trigger ${trigger} on ${target};
  drop function ${triggerFunction}();
  alter table ${target} drop column ${column};
  alter table ${target} rename column ${made} to ${name};
end $$;

-- migrate:cancel ${briefLocks}
drop view if exists ${view};
drop schema if exists ${views};
drop trigger if exists ${trigger} on ${target};
drop function if exists ${triggerFunction}();
alter table ${target} drop column if exists ${made};

-- migrate:down ${briefLocks}
drop view if exists ${view};
drop schema if exists ${views};
alter table ${target} add column ${made} ${oldType};
update ${target} set ${made} = ${down.replaceAll("new_value", name)};
alter table ${target} drop column ${name};
alter table ${target} rename column ${made} to ${column};
${old?.notNull === true ? `alter table ${target} alter column ${column} set not null;\n` : ""}`;
}

// A valid CHECK spares SET NOT NULL its scan (since PostgreSQL 12), and VALIDATE lets reads and writes through.
function notNullSql(target: string, column: string, constraint: string): string {
  const name = quoteIdentifier(constraint);
  return `alter table ${target} add constraint ${name} check (${column} is not null) not valid;
alter table ${target} validate constraint ${name};
alter table ${target} alter column ${column} set not null;
alter table ${target} drop constraint ${name};
`;
}
