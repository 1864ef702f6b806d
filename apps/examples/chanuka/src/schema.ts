import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  check,
  date,
  foreignKey,
  index,
  integer,
  numeric,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  unique,
} from "drizzle-orm/pg-core";

// The same tables as in ../migrations; a test holds both against one database. Where the migrations gave a constraint
// no name, PostgreSQL's own name stands here, so that drizzle-kit finds no difference either.

const id = () => bigint({ mode: "number" }).generatedByDefaultAsIdentity().primaryKey();
const reference = <Name extends string>(name: Name) => bigint(name, { mode: "number" });
const instant = <Name extends string>(name: Name) => timestamp(name, { withTimezone: true });

export const counties = pgTable(
  "counties",
  { id: smallint().primaryKey(), name: text().notNull(), region: text().notNull() },
  (t) => [unique("counties_name_key").on(t.name)],
);

export const parties = pgTable(
  "parties",
  { id: smallint().primaryKey(), name: text().notNull(), abbreviation: text().notNull() },
  (t) => [unique("parties_name_key").on(t.name), unique("parties_abbreviation_key").on(t.abbreviation)],
);

export const committees = pgTable(
  "committees",
  { id: smallint().primaryKey(), name: text().notNull(), house: text().notNull() },
  (t) => [unique("committees_name_house_key").on(t.name, t.house)],
);

export const sponsors = pgTable(
  "sponsors",
  {
    id: id(),
    name: text().notNull(),
    house: text().notNull(),
    countyId: smallint("county_id"),
    partyId: smallint("party_id"),
    electedOn: date("elected_on"),
    leftOn: date("left_on"),
  },
  (t) => [
    foreignKey({ name: "sponsors_county_id_fkey", columns: [t.countyId], foreignColumns: [counties.id] }),
    foreignKey({ name: "sponsors_party_id_fkey", columns: [t.partyId], foreignColumns: [parties.id] }),
    check("sponsors_house_check", sql`${t.house} in ('national_assembly', 'senate', 'county_assembly')`),
  ],
);

export const users = pgTable(
  "users",
  {
    id: id(),
    email: text().notNull(),
    displayName: text("display_name").notNull(),
    role: text().notNull().default("citizen"),
    countyId: smallint("county_id"),
    ageBand: text("age_band"),
    registeredAt: instant("registered_at").notNull().defaultNow(),
    language: text().notNull().default("en"),
    verifiedAt: instant("verified_at"),
  },
  (t) => [
    unique("users_email_key").on(t.email),
    index("users_display_name_idx").on(t.displayName),
    foreignKey({ name: "users_county_id_fkey", columns: [t.countyId], foreignColumns: [counties.id] }),
  ],
);

export const bills = pgTable(
  "bills",
  {
    id: id(),
    number: text(),
    title: text().notNull(),
    summary: text().notNull().default(""),
    body: text().notNull().default(""),
    house: text().notNull().default("national_assembly"),
    status: text().notNull().default("drafted"),
    sponsorId: reference("sponsor_id"),
    committeeId: smallint("committee_id"),
    countyId: smallint("county_id"),
    introducedOn: date("introduced_on"),
    assentedOn: date("assented_on"),
    updatedAt: instant("updated_at").notNull().defaultNow(),
  },
  (t) => [
    unique("bills_number_key").on(t.number),
    foreignKey({ name: "bills_sponsor_id_fkey", columns: [t.sponsorId], foreignColumns: [sponsors.id] }),
    foreignKey({ name: "bills_committee_id_fkey", columns: [t.committeeId], foreignColumns: [committees.id] }),
    foreignKey({ name: "bills_county_id_fkey", columns: [t.countyId], foreignColumns: [counties.id] }),
    check(
      "bills_status_check",
      sql`${t.status} in (
        'drafted', 'introduced', 'committee', 'second_reading', 'third_reading',
        'passed', 'assented', 'rejected', 'withdrawn', 'lapsed')`,
    ),
  ],
);

export const billSponsorships = pgTable(
  "bill_sponsorships",
  {
    billId: reference("bill_id").notNull(),
    sponsorId: reference("sponsor_id").notNull(),
    role: text().notNull().default("co_sponsor"),
    signedOn: date("signed_on"),
  },
  (t) => [
    primaryKey({ name: "bill_sponsorships_pkey", columns: [t.billId, t.sponsorId] }),
    index("bill_sponsorships_bill_id_idx").on(t.billId),
    foreignKey({
      name: "bill_sponsorships_bill_id_fkey",
      columns: [t.billId],
      foreignColumns: [bills.id],
    }).onDelete("cascade"),
    foreignKey({ name: "bill_sponsorships_sponsor_id_fkey", columns: [t.sponsorId], foreignColumns: [sponsors.id] }),
  ],
);

export const billStatusChanges = pgTable(
  "bill_status_changes",
  {
    id: id(),
    billId: reference("bill_id").notNull(),
    status: text().notNull(),
    changedOn: date("changed_on").notNull(),
    note: text(),
  },
  (t) => [
    index("bill_status_changes_bill_id_changed_on_idx").on(t.billId, t.changedOn),
    foreignKey({
      name: "bill_status_changes_bill_id_fkey",
      columns: [t.billId],
      foreignColumns: [bills.id],
    }).onDelete("cascade"),
  ],
);

export const tags = pgTable("tags", { id: smallint().primaryKey(), name: text().notNull() }, (t) => [
  unique("tags_name_key").on(t.name),
]);

export const billTags = pgTable(
  "bill_tags",
  { billId: reference("bill_id").notNull(), tagId: smallint("tag_id").notNull() },
  (t) => [
    primaryKey({ name: "bill_tags_pkey", columns: [t.billId, t.tagId] }),
    foreignKey({ name: "bill_tags_bill_id_fkey", columns: [t.billId], foreignColumns: [bills.id] }).onDelete("cascade"),
    foreignKey({ name: "bill_tags_tag_id_fkey", columns: [t.tagId], foreignColumns: [tags.id] }),
  ],
);

export const billEngagement = pgTable("bill_engagement", {
  id: id(),
  billId: reference("bill_id").notNull(),
  userId: reference("user_id").notNull(),
  kind: text().notNull().default("view"),
  position: text(),
  channel: text().notNull().default("web"),
  occurredAt: instant("occurred_at").notNull().defaultNow(),
});

export const billComments = pgTable(
  "bill_comments",
  {
    id: id(),
    billId: reference("bill_id").notNull(),
    userId: reference("user_id").notNull(),
    parentId: reference("parent_id"),
    body: text().notNull(),
    createdAt: instant("created_at").notNull().defaultNow(),
    hidden: boolean().notNull().default(false),
  },
  (t) => [
    index("bill_comments_bill_id_created_at_idx").on(t.billId, t.createdAt),
    foreignKey({
      name: "bill_comments_bill_id_fkey",
      columns: [t.billId],
      foreignColumns: [bills.id],
    }).onDelete("cascade"),
    foreignKey({ name: "bill_comments_user_id_fkey", columns: [t.userId], foreignColumns: [users.id] }),
    foreignKey({ name: "bill_comments_parent_id_fkey", columns: [t.parentId], foreignColumns: [t.id] }).onDelete(
      "cascade",
    ),
  ],
);

export const organizations = pgTable(
  "organizations",
  { id: id(), name: text().notNull(), sector: text().notNull() },
  (t) => [unique("organizations_name_key").on(t.name)],
);

export const billAffectedOrganizations = pgTable(
  "bill_affected_organizations",
  {
    billId: reference("bill_id").notNull(),
    organizationId: reference("organization_id").notNull(),
    effect: text().notNull(),
  },
  (t) => [
    primaryKey({ name: "bill_affected_organizations_pkey", columns: [t.billId, t.organizationId] }),
    foreignKey({
      name: "bill_affected_organizations_bill_id_fkey",
      columns: [t.billId],
      foreignColumns: [bills.id],
    }).onDelete("cascade"),
    foreignKey({
      name: "bill_affected_organizations_organization_id_fkey",
      columns: [t.organizationId],
      foreignColumns: [organizations.id],
    }),
  ],
);

export const financialDisclosures = pgTable(
  "financial_disclosures",
  {
    id: id(),
    sponsorId: reference("sponsor_id"),
    organizationId: reference("organization_id"),
    kind: text().notNull(),
    description: text().notNull(),
    amountKes: numeric("amount_kes", { precision: 14, scale: 2 }).notNull(),
    year: integer().notNull(),
    disclosedOn: date("disclosed_on").notNull(),
  },
  (t) => [
    index("financial_disclosures_sponsor_id_idx").on(t.sponsorId),
    foreignKey({
      name: "financial_disclosures_sponsor_id_fkey",
      columns: [t.sponsorId],
      foreignColumns: [sponsors.id],
    }),
    foreignKey({
      name: "financial_disclosures_organization_id_fkey",
      columns: [t.organizationId],
      foreignColumns: [organizations.id],
    }),
  ],
);

export const conflictsOfInterest = pgTable(
  "conflicts_of_interest",
  {
    id: id(),
    billId: reference("bill_id").notNull(),
    sponsorId: reference("sponsor_id").notNull(),
    organizationId: reference("organization_id").notNull(),
    nature: text().notNull(),
    resolution: text().notNull().default("declared"),
    declaredOn: date("declared_on").notNull(),
  },
  (t) => [
    unique("conflicts_of_interest_bill_sponsor_organization_key").on(t.billId, t.sponsorId, t.organizationId),
    foreignKey({
      name: "conflicts_of_interest_bill_id_fkey",
      columns: [t.billId],
      foreignColumns: [bills.id],
    }).onDelete("cascade"),
    foreignKey({
      name: "conflicts_of_interest_sponsor_id_fkey",
      columns: [t.sponsorId],
      foreignColumns: [sponsors.id],
    }),
    foreignKey({
      name: "conflicts_of_interest_organization_id_fkey",
      columns: [t.organizationId],
      foreignColumns: [organizations.id],
    }),
  ],
);
