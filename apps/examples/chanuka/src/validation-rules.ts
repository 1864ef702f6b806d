import type { ValidationRule } from "@db/validate";
import { statuses } from "./data/lifecycle.ts";
import { houses } from "./text/parliament.ts";

/** What must hold for people, bills and what happens on the platform. */
const platformRules: readonly ValidationRule[] = [
  {
    id: "malformed-email",
    kind: "pattern",
    table: "users",
    column: "email",
    pattern: "^[^@[:space:]]+@[^@[:space:]]+\\.[^@[:space:]]+$",
    description: "an e-mail address can be written to",
    hint: "Ask these users for their address at the next sign-in.",
  },
  {
    id: "email-twice-by-case",
    kind: "custom-sql",
    table: "users",
    dimension: "uniqueness",
    sql: `select id from (
  select id, row_number() over (partition by lower(email) order by id) as copy from users
) numbered where copy > 1`,
    keys: ["id"],
    description: "an address belongs to one user, whatever the case of its letters",
    hint: "Merge the accounts, then make lower(email) unique.",
  },
  { id: "user-language", kind: "accepted-values", table: "users", column: "language", values: ["en", "sw"] },
  {
    id: "user-verified-after-registration",
    kind: "expression",
    table: "users",
    expression: "verified_at >= registered_at",
    columns: ["verified_at", "registered_at"],
  },
  {
    id: "malformed-bill-number",
    kind: "pattern",
    table: "bills",
    column: "number",
    pattern: "^(National Assembly|Senate|.+ County Assembly) Bill No\\. [0-9]+ of [0-9]{4}$",
    description: "a bill is numbered within its house and year",
    hint: "Take the number from the Gazette.",
  },
  { id: "bill-status", kind: "accepted-values", table: "bills", column: "status", values: [...statuses] },
  { id: "bill-house", kind: "accepted-values", table: "bills", column: "house", values: [...houses] },
  { id: "bill-title-length", kind: "length", table: "bills", column: "title", min: 10, max: 200 },
  {
    id: "county-bill-has-county",
    kind: "expression",
    table: "bills",
    expression: "(house = 'county_assembly') = (county_id is not null)",
    columns: ["house", "county_id"],
    description: "bills of county assemblies, and only those, name their county",
  },
  {
    id: "assented-before-introduced",
    kind: "expression",
    table: "bills",
    expression: "assented_on >= introduced_on",
    columns: ["assented_on", "introduced_on"],
    description: "a bill is introduced before it is signed into law",
    hint: "Compare both dates with the Gazette.",
  },
  {
    id: "status-behind-history",
    kind: "custom-sql",
    table: "bills",
    sql: `select b.id
  from bills b
 cross join lateral (
   select c.status from bill_status_changes c where c.bill_id = b.id order by c.changed_on desc, c.id desc limit 1
 ) last
 where b.status <> last.status`,
    keys: ["id"],
    description: "a bill's status is the one of its last recorded change",
    hint: "Set the status from bill_status_changes.",
  },
  {
    id: "primary-sponsor-signed",
    kind: "custom-sql",
    table: "bills",
    sql: `select b.id
  from bills b
 where b.sponsor_id is not null
   and not exists (
     select from bill_sponsorships s
      where s.bill_id = b.id and s.sponsor_id = b.sponsor_id and s.role = 'primary')`,
    keys: ["id"],
    description: "a bill's first sponsor is among those who signed it",
  },
  {
    id: "engagement-without-bill",
    kind: "foreign-key",
    table: "bill_engagement",
    columns: ["bill_id"],
    references: { table: "bills", columns: ["id"] },
    description: "engagement is with a bill that exists",
    hint: "Move these rows aside; then a foreign key can be added NOT VALID and validated.",
  },
  {
    id: "engagement-without-user",
    kind: "foreign-key",
    table: "bill_engagement",
    columns: ["user_id"],
    references: { table: "users", columns: ["id"] },
    description: "engagement is by a user who exists",
    hint: "Move these rows aside; then a foreign key can be added NOT VALID and validated.",
  },
  {
    id: "engagement-kind",
    kind: "accepted-values",
    table: "bill_engagement",
    column: "kind",
    values: ["view", "vote", "share", "bookmark"],
  },
  {
    id: "vote-without-position",
    kind: "not-null",
    table: "bill_engagement",
    column: "position",
    where: "kind = 'vote'",
    description: "a vote is for, against or neutral",
    hint: "Find the client that sends votes without a position; the channel column tells.",
  },
  {
    id: "reply-across-bills",
    kind: "custom-sql",
    table: "bill_comments",
    sql: `select c.id
  from bill_comments c
  join bill_comments parent on parent.id = c.parent_id
 where parent.bill_id <> c.bill_id`,
    keys: ["id"],
    description: "an answer is about the same bill as the comment it answers",
    hint: "Detach these answers: set their parent_id to null.",
  },
];

/** What openness of public office asks for: financial disclosures and conflicts of interest. */
const transparencyRules: readonly ValidationRule[] = [
  {
    id: "undeclared-conflict",
    kind: "custom-sql",
    table: "bill_sponsorships",
    severity: "critical",
    sql: `select distinct s.bill_id, s.sponsor_id, a.organization_id
  from bill_sponsorships s
  join bill_affected_organizations a on a.bill_id = s.bill_id
  join financial_disclosures d
    on d.sponsor_id = s.sponsor_id and d.organization_id = a.organization_id and d.kind = 'shares'
 where not exists (
   select from conflicts_of_interest c
    where c.bill_id = s.bill_id and c.sponsor_id = s.sponsor_id and c.organization_id = a.organization_id)`,
    keys: ["bill_id", "sponsor_id", "organization_id"],
    description: "who sponsors a bill declares the shares held in a firm it affects",
    hint: "Ask the members for a declaration, or record that they withdrew.",
  },
  {
    id: "declared-conflict-is-real",
    kind: "custom-sql",
    table: "conflicts_of_interest",
    sql: `select c.id
  from conflicts_of_interest c
 where not exists (
   select from bill_sponsorships s where s.bill_id = c.bill_id and s.sponsor_id = c.sponsor_id)`,
    keys: ["id"],
    description: "a declared conflict is about a bill the member sponsors",
  },
  {
    id: "disclosure-without-sponsor",
    kind: "not-null",
    table: "financial_disclosures",
    column: "sponsor_id",
    description: "a disclosure says whose it is",
    hint: "Look for the paper form by year and amount.",
  },
  {
    id: "negative-disclosure",
    kind: "range",
    table: "financial_disclosures",
    column: "amount_kes",
    min: 0,
    description: "a disclosed amount is not below zero",
    hint: "Check the sign against the form.",
  },
  {
    id: "disclosure-kind",
    kind: "accepted-values",
    table: "financial_disclosures",
    column: "kind",
    values: ["shares", "directorship", "property", "salary", "gift", "loan"],
  },
  {
    id: "shares-name-the-firm",
    kind: "not-null",
    table: "financial_disclosures",
    column: "organization_id",
    where: "kind = 'shares'",
    description: "disclosed shares are in a named firm",
  },
  {
    id: "disclosed-within-year",
    kind: "expression",
    table: "financial_disclosures",
    expression: "extract(year from disclosed_on) = year",
    columns: ["disclosed_on", "year"],
  },
];

/** Chanuka's rules. Those that a deliberate fault breaks have the fault's id. */
export const chanukaValidationRules: readonly ValidationRule[] = [...platformRules, ...transparencyRules];
