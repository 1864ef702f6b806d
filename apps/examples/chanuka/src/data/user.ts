import {
  addressName,
  copyRow,
  createRandom,
  type GeneratedTable,
  instantText,
  spread,
  weighted,
  personName,
} from "@db/example-datagen";
import { counties } from "../text/county.ts";
import { faultPositions, faultRows } from "./fault.ts";
import { lastDay, launchDay, type Size } from "./size.ts";

/** The audience, in the order of registration. */
export interface Users {
  readonly table: GeneratedTable;
  readonly count: number;
  /** How many had registered by the end of a day. At least one from launch on. */
  registeredBy(day: number): number;
}

const mailHosts = ["mail.example.com", "posta.example.org", "simu.example.net", "chuo.example.edu"];
const roles = weighted([
  ["citizen", 88],
  ["advocate", 6],
  ["journalist", 3],
  ["researcher", 2],
  ["official", 1],
]);
const ages = weighted([
  ["18-24", 22],
  ["25-34", 37],
  ["35-44", 21],
  ["45-54", 11],
  ["55-64", 6],
  ["65+", 3],
]);
// People live in towns: Nairobi, Mombasa, Kiambu, Nakuru, Kisumu and Uasin Gishu weigh more.
const homes = weighted(
  counties.map(([name], i) => {
    const town: Readonly<Record<string, number>> = {
      "Nairobi City": 24,
      Mombasa: 8,
      Kiambu: 9,
      Nakuru: 8,
      Kisumu: 6,
      "Uasin Gishu": 5,
    };
    return [i + 1, town[name] ?? 1] as const;
  }),
);

export function makeUsers(seed: number, size: Size): Users {
  const count = size.users;
  const days = lastDay - launchDay + 1;
  // The first twentieth was invited before launch; registrations then grow over the years.
  const invited = Math.max(1, Math.floor(count / 20));
  const perDay = spread(
    count - invited,
    Array.from({ length: days }, (_, day) => 1 + (3 * day) / days),
  );
  const registered = new Uint32Array(days);
  let sum = invited;
  for (let day = 0; day < days; day++) registered[day] = sum += perDay[day]!;
  const registeredBy = (day: number): number => registered[Math.min(days - 1, Math.max(0, day - launchDay))]!;

  function* lines(): Generator<string> {
    const random = createRandom(seed, "users");
    // The last ones repeat an address, so both positions of a pair stay in range and apart from the malformed.
    const twice = faultRows("email-twice-by-case", size.scale);
    const malformed = faultPositions("malformed-email", seed, size.scale, Math.floor((count - twice) / 2));
    const shouted: string[] = [];
    let day = launchDay - 1;
    let left = invited;
    for (let id = 1; id <= count; id++) {
      while (left === 0) left = perDay[++day - launchDay]!;
      left--;
      const name = personName(random);
      const at = day * 86_400 + random.below(86_400);
      let email = `${addressName(name)}${id}@${random.pick(mailHosts)}`;
      if (malformed.has(id - 1)) email = spoil(email, id);
      else if (id > count / 2 && shouted.length < twice) shouted.push(email.toUpperCase());
      if (id > count - twice) email = shouted[id - (count - twice) - 1]!;
      yield copyRow([
        id,
        email,
        name,
        random.pick(roles),
        random.pick(homes),
        random.chance(0.93) ? random.pick(ages) : null,
        instantText(at),
        random.chance(0.3) ? "sw" : "en",
        random.chance(0.8) ? instantText(at + random.between(30, 90_000)) : null,
      ]);
    }
  }
  const columns = [
    "id",
    "email",
    "display_name",
    "role",
    "county_id",
    "age_band",
    "registered_at",
    "language",
    "verified_at",
  ];
  return { table: { name: "users", columns, rows: count, lines }, count, registeredBy };
}

function spoil(email: string, id: number): string {
  const [local, host] = email.split("@");
  return id % 3 === 0 ? `${local}@@${host}` : id % 3 === 1 ? `${local}@` : `${local} @${host}`;
}
