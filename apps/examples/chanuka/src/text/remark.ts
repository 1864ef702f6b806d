import type { Random } from "@db/example-datagen";

const openings: readonly string[] = [
  "Clause {n} needs more work.",
  "I support this bill.",
  "Who asked for this?",
  "Naunga mkono mswada huu.",
  "Hii itaumiza mwananchi wa kawaida.",
  "Asante kwa kushirikisha umma.",
  "Sioni bajeti ya kifungu cha {n}.",
  "Maze hii bill ni noma 🔥",
  "Please read section {n} before you vote.",
  "The timelines in clause {n} are not realistic.",
  "My county assembly never came to our ward.",
  "Good intention, bad drafting.",
  "Wapi public participation? 🤔",
  "Hatutaki ushuru mpya!",
  "As a small trader I welcome section {n}.",
  "Hongera 👏🏾🇰🇪",
];
const reasons: readonly string[] = [
  "The fee is too high for a kiosk owner.",
  "It repeats what the 2012 Act already says.",
  "We were given three days to comment on 84 pages.",
  "The penalty in the schedule is larger than a year's income.",
  "Wakulima wadogo hawajatajwa popote.",
  "There is no date by which the report must be published.",
  "Compare it with what Makueni did: it works.",
  "Data of patients should never leave the country without consent.",
  "Mheshimiwa, tafadhali soma maoni yetu.",
  "The sponsor sits on the board of a firm that gains from this.",
  "Water is a right, not a favour.",
  "Let us see the register of owners first.",
];

/** A citizen's comment, in English, Kiswahili or Sheng. */
export function remark(random: Random): string {
  let text = random.pick(openings).replace("{n}", String(random.between(2, 19)));
  const more = random.below(3);
  for (let i = 0; i < more; i++) text += `${random.chance(0.15) ? "\n\n" : " "}${random.pick(reasons)}`;
  return text;
}
