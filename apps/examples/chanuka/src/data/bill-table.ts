import { copyRow, createRandom, dateText, type GeneratedTable, yearOf } from "@db/example-datagen";
import { counties } from "../text/county.ts";
import { billBody, billSummary } from "../text/clause.ts";
import { committees, houses } from "../text/parliament.ts";
import { subjects } from "../text/subject.ts";
import type { Bills } from "./bill.ts";
import { faultPositions } from "./fault.ts";
import { assented, drafted, statuses } from "./lifecycle.ts";
import type { Size } from "./size.ts";

/** The bills with their texts, and the three tables of what hangs on them. */
export function billTables(seed: number, size: Size, bills: Bills): GeneratedTable[] {
  return [billTable(seed, size, bills), sponsorships(bills), statusChanges(seed, bills), billTags(bills)];
}

function billTable(seed: number, size: Size, bills: Bills): GeneratedTable {
  function* lines(): Generator<string> {
    const random = createRandom(seed, "bill texts");
    const misnumbered = faultPositions("malformed-bill-number", seed, size.scale, bills.count);
    // Candidates for the next two: bills with a history of several steps, and bills that became law.
    const moved = faultIds(
      "status-behind-history",
      seed,
      size,
      bills,
      (id) => bills.status[id]! >= 3 && !isLaw(bills, id),
    );
    const early = faultIds("assented-before-introduced", seed, size, bills, (id) => isLaw(bills, id));
    for (let id = 1; id <= bills.count; id++) {
      const day = bills.introducedDay[id]!;
      const subject = subjects[bills.subject[id]!]!;
      const status = bills.status[id]!;
      const county = bills.county[id]!;
      const place = county === 0 ? "" : `of ${counties[county - 1]![0]} County `;
      const title = billTitle(bills, id);
      const last = bills.changes.start(id + 1) - 1;
      const changedOn = dateText(Math.floor(bills.changes.value(last) / 16));
      const assentedDay = early.has(id) ? day - random.between(5, 300) : bills.assentedDay[id]!;
      yield copyRow([
        id,
        misnumbered.has(id - 1) ? `${houses[bills.house[id]!]!}/${id}/${yearOf(day) % 100}` : billNumber(bills, id),
        title,
        billSummary(random, subject.words, place),
        billBody(random, title),
        houses[bills.house[id]!]!,
        statuses[moved.has(id) ? 2 : status]!,
        bills.sponsor[id]!,
        random.chance(0.9) ? subject.committee + 1 + bills.house[id]! * committees.length : null,
        county === 0 ? null : county,
        status === drafted ? null : dateText(day),
        status === assented ? dateText(assentedDay) : null,
        `${changedOn} ${random.between(10, 17)}:00:00+03`,
      ]);
    }
  }
  const columns = [
    "id",
    "number",
    "title",
    "summary",
    "body",
    "house",
    "status",
    "sponsor_id",
    "committee_id",
    "county_id",
    "introduced_on",
    "assented_on",
    "updated_at",
  ];
  return { name: "bills", columns, rows: bills.count, lines };
}

/** “The Nakuru County Water (Amendment) Bill, 2024”. */
export function billTitle(bills: Bills, id: number): string {
  const county = bills.county[id]!;
  const place = county === 0 ? "" : `${counties[county - 1]![0]} County `;
  const amends = bills.amends[id] === 1 && bills.subject[id] !== 0 ? " (Amendment)" : "";
  return `The ${place}${subjects[bills.subject[id]!]!.words}${amends} Bill, ${yearOf(bills.introducedDay[id]!)}`;
}

function billNumber(bills: Bills, id: number): string {
  const county = bills.county[id]!;
  const house = ["National Assembly", "Senate", county === 0 ? "" : `${counties[county - 1]![0]} County Assembly`];
  return `${house[bills.house[id]!]} Bill No. ${bills.ordinal[id]} of ${yearOf(bills.introducedDay[id]!)}`;
}

const isLaw = (bills: Bills, id: number): boolean => bills.status[id] === assented;

function faultIds(
  fault: Parameters<typeof faultPositions>[0],
  seed: number,
  size: Size,
  bills: Bills,
  candidate: (id: number) => boolean,
): ReadonlySet<number> {
  const candidates: number[] = [];
  for (let id = 1; id <= bills.count; id++) if (candidate(id)) candidates.push(id);
  const positions = faultPositions(fault, seed, size.scale, candidates.length);
  return new Set([...positions].map((position) => candidates[position]!));
}

function sponsorships(bills: Bills): GeneratedTable {
  function* lines(): Generator<string> {
    for (let id = 1; id <= bills.count; id++) {
      const day = bills.introducedDay[id]!;
      yield copyRow([id, bills.sponsor[id]!, "primary", dateText(day)]);
      for (let i = bills.coSponsors.start(id); i < bills.coSponsors.start(id + 1); i++) {
        yield copyRow([id, bills.coSponsors.value(i), "co_sponsor", dateText(day + ((i * 7) % 20))]);
      }
    }
  }
  const columns = ["bill_id", "sponsor_id", "role", "signed_on"];
  return { name: "bill_sponsorships", columns, rows: bills.count + bills.coSponsors.total, lines };
}

function statusChanges(seed: number, bills: Bills): GeneratedTable {
  const notes = [
    "Read a first time and committed.",
    "Debate adjourned.",
    "Amendments proposed at the Committee stage.",
  ];
  function* lines(): Generator<string> {
    const random = createRandom(seed, "status notes");
    let changeId = 0;
    for (let id = 1; id <= bills.count; id++) {
      for (let i = bills.changes.start(id); i < bills.changes.start(id + 1); i++) {
        const change = bills.changes.value(i);
        const note = random.chance(0.25) ? random.pick(notes) : null;
        yield copyRow([++changeId, id, statuses[change % 16]!, dateText(Math.floor(change / 16)), note]);
      }
    }
  }
  const columns = ["id", "bill_id", "status", "changed_on", "note"];
  return { name: "bill_status_changes", columns, rows: bills.changes.total, lines };
}

function billTags(bills: Bills): GeneratedTable {
  function* lines(): Generator<string> {
    for (let id = 1; id <= bills.count; id++) {
      for (let i = bills.tags.start(id); i < bills.tags.start(id + 1); i++) yield copyRow([id, bills.tags.value(i)]);
    }
  }
  return { name: "bill_tags", columns: ["bill_id", "tag_id"], rows: bills.tags.total, lines };
}
