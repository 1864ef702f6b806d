import type { Random } from "@db/example-datagen";

const aims: readonly string[] = [
  "to provide for the regulation and promotion of",
  "to give effect to Article 201 of the Constitution in matters of",
  "to establish a fund for",
  "to streamline the licensing of",
  "to protect those who depend on",
  "to set standards of accountability for",
  "to repeal outdated provisions on",
  "to devolve functions relating to",
];
const purposes: readonly string[] = [
  "and for connected purposes",
  "and to provide for public participation in its administration",
  "so that services reach every ward",
  "and to improve the openness of public spending",
  "while safeguarding the rights of small holders",
];
const actors: readonly string[] = [
  "The Cabinet Secretary",
  "The County Executive Committee Member",
  "The Authority",
  "The Board",
  "The Controller of Budget",
  "The Auditor-General",
  "Every licensee",
  "A public officer",
  "The Director-General",
  "A county government",
];
const duties: readonly string[] = [
  "shall publish the register of beneficial owners in the Gazette and on its website within thirty days",
  "shall, before making regulations, conduct public participation in every affected ward",
  "may issue, vary, suspend or revoke a licence in the prescribed manner and upon payment of the prescribed fee",
  "shall keep proper books of account and submit audited statements not later than three months after the financial year",
  "commits an offence and is liable, on conviction, to a fine not exceeding five hundred thousand shillings",
  "shall set aside not less than two per cent of the revenue so collected for persons with disabilities and youth",
  "shall not hold shares in an undertaking that is affected by a decision in which that person takes part",
  "shall table a report on the implementation of this Act before the relevant House once in every financial year",
  "shall give reasons in writing for a decision, in English and in Kiswahili, to any person aggrieved by it",
  "may delegate to an officer any function under this section, except the function of making regulations",
  "shall ensure that no more than two-thirds of the members of a body under this Act are of the same gender",
  "shall protect personal data obtained under this section and use it only for the purpose it was given for",
];

/** One sentence below the title, as on the cover of a bill. */
export function billSummary(random: Random, subject: string, place: string): string {
  return `A Bill for an Act ${place}${random.pick(aims)} ${subject.toLowerCase()} ${random.pick(purposes)}.`;
}

/** The operative text: numbered sections, a paragraph each. */
export function billBody(random: Random, title: string): string {
  const sections = random.between(4, 9);
  let text = `ENACTED by Parliament as follows —\n1. This Act may be cited as ${title}.`;
  for (let section = 2; section <= sections; section++) {
    text += `\n${section}. (1) ${random.pick(actors)} ${random.pick(duties)}.`;
    if (random.chance(0.4)) text += `\n(2) ${random.pick(actors)} ${random.pick(duties)}.`;
  }
  return text;
}
