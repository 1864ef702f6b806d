import { countFaultRows, type Fault, pickFaultPositions } from "@db/example-datagen";

export type FaultId =
  | "engagement-without-bill"
  | "engagement-without-user"
  | "vote-without-position"
  | "malformed-email"
  | "email-twice-by-case"
  | "malformed-bill-number"
  | "status-behind-history"
  | "assented-before-introduced"
  | "reply-across-bills"
  | "disclosure-without-sponsor"
  | "negative-disclosure"
  | "undeclared-conflict";

/** Every deliberate fault. The numbers hold for every seed. */
export const faults: readonly Fault<FaultId>[] = [
  fault("engagement-without-bill", "bill_engagement", 125, true, "the bill it names does not exist"),
  fault("engagement-without-user", "bill_engagement", 60, true, "the user it names does not exist"),
  fault("vote-without-position", "bill_engagement", 80, true, "a vote that is neither for nor against"),
  fault("malformed-email", "users", 40, true, "no address: two @, no domain, or a space in it"),
  fault("email-twice-by-case", "users", 9, true, "the address of another user in upper case"),
  fault("malformed-bill-number", "bills", 7, true, "not of the form “… Bill No. 12 of 2024”"),
  fault("status-behind-history", "bills", 22, true, "the status is not the one of the last change"),
  fault("assented-before-introduced", "bills", 14, true, "signed into law before it was brought in"),
  fault("reply-across-bills", "bill_comments", 15, true, "answers a comment on another bill"),
  fault("disclosure-without-sponsor", "financial_disclosures", 18, false, "nobody disclosed it"),
  fault("negative-disclosure", "financial_disclosures", 12, false, "an amount below zero"),
  fault("undeclared-conflict", "bill_sponsorships", 31, true, "sponsors a bill on a firm it holds, undeclared"),
];

/** How many rows have a fault, at a scale. */
export function faultRows(id: FaultId, scale: number): number {
  return countFaultRows(faults, id, scale);
}

/** Which of `total` candidates have the fault: a set of positions, the same for the same seed. */
export function faultPositions(id: FaultId, seed: number, scale: number, total: number): ReadonlySet<number> {
  return pickFaultPositions(faults, id, { seed, scale }, total);
}

function fault(id: FaultId, table: string, rows: number, grows: boolean, what: string): Fault<FaultId> {
  return { id, table, rows, grows, what };
}
