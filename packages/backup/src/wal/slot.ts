import { quoteLiteral } from "@db/core";
import { InvalidBackupOptionsError } from "../errors.ts";
import type { ReplicationSession } from "../replication/session.ts";

/** What the server says of a physical slot. */
export interface SlotState {
  readonly name: string;
  /** The oldest WAL it holds; undefined before its first use or when it is lost. */
  readonly restartLsn: string | undefined;
  /** True when WAL it should hold is gone. */
  readonly lost: boolean;
  /** True when it was made just now. */
  readonly created: boolean;
}

const slotSql = (name: string): string => /* sql */ `
  select slot_type, restart_lsn, pg_catalog.to_jsonb(s) ->> 'wal_status'
    from pg_catalog.pg_replication_slots s
   where slot_name = ${quoteLiteral(name)}`;

/** @throws {InvalidBackupOptionsError} when the slot is a logical one */
export async function ensureSlot(session: ReplicationSession, name: string): Promise<SlotState> {
  const row = await session.queryRow(slotSql(name));
  if (!row) {
    await session.query(`CREATE_REPLICATION_SLOT ${name} PHYSICAL RESERVE_WAL`);
    const [, restartLsn] = (await session.queryRow(slotSql(name))) ?? [];
    return { name, restartLsn: restartLsn ?? undefined, lost: false, created: true };
  }
  const [type, restartLsn, status] = row;
  if (type !== "physical") {
    throw new InvalidBackupOptionsError(`replication slot ${name} is ${type}`, { hint: "Name another slot." });
  }
  return { name, restartLsn: restartLsn ?? undefined, lost: status === "lost", created: false };
}

/** Drops a slot that lost its WAL and makes it anew. */
export async function renewSlot(session: ReplicationSession, name: string): Promise<SlotState> {
  await session.query(`DROP_REPLICATION_SLOT ${name}`);
  return ensureSlot(session, name);
}
