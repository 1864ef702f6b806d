import type { DemonstrationQuery } from "@db/orchestrator";

/**
 * What Chanuka's pages ask most. The schema has no index for any of these; the pack has. The first is the one to show:
 * it reads half a million rows to count a thousand.
 */
export const demonstrationQueries: readonly DemonstrationQuery[] = [
  {
    name: "bill engagement",
    sql: `select kind, position, count(*) as events, count(distinct user_id) as people
  from bill_engagement
 where bill_id = $1 and occurred_at >= $2
 group by kind, position
 order by events desc`,
    values: [42, "2025-01-01T00:00:00Z"],
    why: "The box beside every bill: who viewed, voted and shared since the year began.",
  },
  {
    name: "bill filter",
    sql: `select id, number, title, introduced_on
  from bills
 where house = $1 and status = $2
 order by introduced_on desc
 limit 20`,
    values: ["national_assembly", "committee"],
    why: "The front page: what a house has before it, newest first.",
  },
  {
    name: "bills by sponsor",
    sql: `select id, number, title, status, introduced_on
  from bills
 where sponsor_id = $1
 order by introduced_on desc`,
    values: [1],
    why: "A member's page: the bills brought in.",
  },
  {
    name: "bills signed by a member",
    sql: `select b.id, b.title, b.status, s.role
  from bill_sponsorships s
  join bills b on b.id = s.bill_id
 where s.sponsor_id = $1
 order by b.id desc
 limit 50`,
    values: [150],
    why: "A member's page: the bills of others that were supported.",
  },
  {
    name: "bill search",
    sql: `select id, number, title
  from bills
 where to_tsvector('english'::regconfig, title || ' ' || summary) @@ websearch_to_tsquery('english', $1)
 order by introduced_on desc
 limit 20`,
    values: ["fisheries fund"],
    why: "The search box, by words.",
  },
  {
    name: "bill title fragment",
    sql: `select id, number, title
  from bills
 where title ilike $1
 order by id desc
 limit 20`,
    values: ["%turkana county geotherm%"],
    why: "The search box while one is typing.",
  },
  {
    name: "county bills",
    sql: `select id, number, title, status
  from bills
 where county_id = $1 and introduced_on is not null
 order by introduced_on desc
 limit 20`,
    values: [32],
    why: "A county's page: what its assembly does.",
  },
  {
    name: "user activity",
    sql: `select bill_id, kind, occurred_at
  from bill_engagement
 where user_id = $1
 order by occurred_at desc
 limit 50`,
    values: [97],
    why: "A user's own page.",
  },
  {
    name: "trending bills",
    sql: `select bill_id, count(*) as events
  from bill_engagement
 where occurred_at >= $1
 group by bill_id
 order by events desc
 limit 10`,
    values: ["2026-06-28T00:00:00Z"],
    why: "The list of what the country reads today.",
  },
];
