import type { IndexPack } from "@db/indexer";

/** The indexes Chanuka's pages want, each for one demonstration query at least. */
export const chanukaIndexPack: IndexPack = {
  name: "chanuka",
  description: "Bill filtering, search, sponsors and engagement",
  indexes: [
    {
      name: "bill_engagement_bill_id_occurred_at_idx",
      table: "bill_engagement",
      keys: [{ column: "bill_id" }, { column: "occurred_at" }],
      why: "Counts what a bill's readers did since a day, without reading everybody else's clicks.",
    },
    {
      name: "bill_engagement_user_id_occurred_at_idx",
      table: "bill_engagement",
      keys: [{ column: "user_id" }, { column: "occurred_at" }],
      why: "Lists a user's latest activity newest first.",
    },
    {
      name: "bill_engagement_occurred_at_idx",
      table: "bill_engagement",
      method: "brin",
      keys: [{ column: "occurred_at" }],
      with: { pages_per_range: 16 },
      why: "Finds the last days in a log that only grows, at a thousandth of a B-tree's size.",
    },
    {
      name: "bills_house_status_introduced_on_idx",
      table: "bills",
      keys: [{ column: "house" }, { column: "status" }, { column: "introduced_on" }],
      why: "Filters the list of bills by house and status and returns it newest first without a sort.",
    },
    {
      name: "bills_county_id_introduced_on_idx",
      table: "bills",
      keys: [{ column: "county_id" }, { column: "introduced_on" }],
      where: "introduced_on is not null",
      why: "Lists what one county's assembly has before it.",
    },
    {
      name: "bills_sponsor_id_introduced_on_idx",
      table: "bills",
      keys: [{ column: "sponsor_id" }, { column: "introduced_on" }],
      why: "Lists a member's own bills, and lets a member be deleted without reading every bill.",
    },
    {
      name: "bill_sponsorships_sponsor_id_idx",
      table: "bill_sponsorships",
      keys: [{ column: "sponsor_id" }],
      include: ["bill_id"],
      why: "Finds the bills a member signed; the primary key begins with the bill and cannot.",
    },
    {
      name: "bills_search_idx",
      table: "bills",
      method: "gin",
      keys: [{ expression: "to_tsvector('english'::regconfig, title || ' ' || summary)" }],
      why: "Searches titles and summaries by words.",
    },
    {
      name: "bills_title_trgm_idx",
      table: "bills",
      method: "gin",
      keys: [{ column: "title", opclass: "gin_trgm_ops" }],
      requires: ["pg_trgm"],
      why: "Finds a part of a title anywhere in it, misspelt places included.",
    },
    {
      name: "bill_comments_user_id_idx",
      table: "bill_comments",
      keys: [{ column: "user_id" }],
      why: "Lists a user's comments, and lets a user be deleted without reading every comment.",
    },
  ],
};
