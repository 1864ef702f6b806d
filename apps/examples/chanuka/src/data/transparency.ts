import { copyRow, createRandom, dateText, dayOf, type GeneratedTable } from "@db/example-datagen";
import { firmName } from "../text/firm.ts";
import { sectors } from "../text/parliament.ts";
import { subjects } from "../text/subject.ts";
import type { Bills } from "./bill.ts";
import { faultPositions } from "./fault.ts";
import { type Grouped, grouped } from "./grouped.ts";
import { lastDay, type Size } from "./size.ts";
import { type Members, yearsOfTerms } from "./sponsor.ts";

/** Firms, whom a bill affects, what members own, and which conflicts they declared. */
export function transparencyTables(seed: number, size: Size, bills: Bills, members: Members): GeneratedTable[] {
  const holdings = makeHoldings(seed, size);
  const affected = makeAffected(seed, size, bills, holdings);
  return [
    organizationTable(seed, size),
    affectedTable(seed, bills, affected),
    disclosureTable(seed, size, members, holdings),
    conflictTable(seed, size, bills, holdings, affected),
  ];
}

// Firm ids go round the sectors: firm n is of sector (n - 1) mod 12.
const firmsOf = (size: Size): number => Math.floor(size.organizations / sectors.length);

function organizationTable(seed: number, size: Size): GeneratedTable {
  function* lines(): Generator<string> {
    const random = createRandom(seed, "organizations");
    for (let id = 1; id <= size.organizations; id++) {
      const sector = sectors[(id - 1) % sectors.length]!;
      yield copyRow([id, firmName(random, sector, Math.floor((id - 1) / sectors.length)), sector]);
    }
  }
  return { name: "organizations", columns: ["id", "name", "sector"], rows: size.organizations, lines };
}

/** The firms each member holds shares in: none for two in five. */
function makeHoldings(seed: number, size: Size): Grouped {
  const random = createRandom(seed, "holdings");
  return grouped(size.sponsors + 1, (id, push) => {
    if (id === 0 || random.chance(0.4)) return;
    for (const firm of random.distinct(random.between(1, 4), size.organizations)) push(firm + 1);
  });
}

function makeAffected(seed: number, size: Size, bills: Bills, holdings: Grouped): Grouped {
  const random = createRandom(seed, "affected organizations");
  return grouped(bills.count + 1, (id, push) => {
    if (id === 0 || random.chance(0.6)) return;
    const firms = new Set<number>();
    const sector = sectors.indexOf(subjects[bills.subject[id]!]!.sector);
    for (let n = random.between(1, 3); n > 0; n--) firms.add(random.below(firmsOf(size)) * sectors.length + sector + 1);
    // Members care about the trade they are in.
    const first = holdings.start(bills.sponsor[id]!);
    const held = holdings.start(bills.sponsor[id]! + 1) - first;
    if (held > 0 && random.chance(0.06)) firms.add(holdings.value(first + random.below(held)));
    for (const firm of firms) push(firm);
  });
}

function affectedTable(seed: number, bills: Bills, affected: Grouped): GeneratedTable {
  const effects = ["regulated", "taxed", "licensed", "subsidised", "dissolved"];
  function* lines(): Generator<string> {
    const random = createRandom(seed, "effects");
    for (let id = 1; id <= bills.count; id++) {
      for (let i = affected.start(id); i < affected.start(id + 1); i++) {
        yield copyRow([id, affected.value(i), effects[random.skewed(effects.length, 2)]!]);
      }
    }
  }
  const columns = ["bill_id", "organization_id", "effect"];
  return { name: "bill_affected_organizations", columns, rows: affected.total, lines };
}

const otherKinds: readonly (readonly [kind: string, description: string])[] = [
  ["property", "Agricultural land"],
  ["property", "Rental houses"],
  ["salary", "Parliamentary salary and allowances"],
  ["gift", "Gift from a constituent"],
  ["loan", "Mortgage, staff scheme"],
  ["directorship", "Board allowance"],
];

function disclosureTable(seed: number, size: Size, members: Members, holdings: Grouped): GeneratedTable {
  // The rows in brief first, since their number is not known before: sponsor, year, and firm or kind.
  const brief: { sponsor: number; year: number; firm: number; kind: number }[] = [];
  const random = createRandom(seed, "disclosures");
  const others: number[] = [];
  for (let sponsor = 1; sponsor <= members.count; sponsor++) {
    const [from, to] = yearsOfTerms(members.firstTerm[sponsor]!, members.lastTerm[sponsor]!);
    for (let year = from; year <= to; year++) {
      for (let i = holdings.start(sponsor); i < holdings.start(sponsor + 1); i++) {
        brief.push({ sponsor, year, firm: holdings.value(i), kind: -1 });
      }
      if (!random.chance(0.7)) continue;
      others.push(brief.length);
      brief.push({ sponsor, year, firm: 0, kind: random.below(otherKinds.length) });
    }
  }
  function* lines(): Generator<string> {
    const random = createRandom(seed, "disclosure amounts");
    // Only rows that are no shares lose their sponsor, so that this fault hides no conflict of interest.
    const orphaned = new Set(
      [...faultPositions("disclosure-without-sponsor", seed, size.scale, others.length)].map((i) => others[i]!),
    );
    const negative = faultPositions("negative-disclosure", seed, size.scale, brief.length);
    for (const [i, row] of brief.entries()) {
      const shillings = 20_000 + random.skewed(40_000_000, 4);
      const [kind, description] = otherKinds[row.kind] ?? ["shares", "Ordinary shares"];
      yield copyRow([
        i + 1,
        orphaned.has(i) ? null : row.sponsor,
        row.firm === 0 ? null : row.firm,
        kind,
        description,
        `${negative.has(i) ? "-" : ""}${shillings}.${random.between(10, 99)}`,
        row.year,
        dateText(dayOf(`${row.year}-12-31`) - random.below(60)),
      ]);
    }
  }
  const columns = ["id", "sponsor_id", "organization_id", "kind", "description", "amount_kes", "year", "disclosed_on"];
  return { name: "financial_disclosures", columns, rows: brief.length, lines };
}

function conflictTable(seed: number, size: Size, bills: Bills, holdings: Grouped, affected: Grouped): GeneratedTable {
  // Whoever signed a bill and holds shares in a firm it affects: [bill, sponsor, firm].
  const conflicts: (readonly [number, number, number])[] = [];
  for (let bill = 1; bill <= bills.count; bill++) {
    if (affected.start(bill) === affected.start(bill + 1)) continue;
    const signers = [bills.sponsor[bill]!];
    for (let i = bills.coSponsors.start(bill); i < bills.coSponsors.start(bill + 1); i++) {
      signers.push(bills.coSponsors.value(i));
    }
    for (const signer of signers) {
      for (let h = holdings.start(signer); h < holdings.start(signer + 1); h++) {
        for (let a = affected.start(bill); a < affected.start(bill + 1); a++) {
          if (holdings.value(h) === affected.value(a)) conflicts.push([bill, signer, affected.value(a)]);
        }
      }
    }
  }
  const silent = faultPositions("undeclared-conflict", seed, size.scale, conflicts.length);
  const declared = conflicts.filter((_, i) => !silent.has(i));
  function* lines(): Generator<string> {
    const random = createRandom(seed, "conflicts");
    const resolutions = ["declared", "declared", "recused", "divested", "under_review"];
    for (const [i, [bill, sponsor, firm]] of declared.entries()) {
      const day = Math.min(lastDay, bills.introducedDay[bill]! + random.below(40));
      yield copyRow([i + 1, bill, sponsor, firm, "shareholding", random.pick(resolutions), dateText(day)]);
    }
  }
  const columns = ["id", "bill_id", "sponsor_id", "organization_id", "nature", "resolution", "declared_on"];
  return { name: "conflicts_of_interest", columns, rows: declared.length, lines };
}
