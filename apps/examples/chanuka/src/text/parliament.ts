/** Invented parties: no real one is meant. */
export const parties: readonly (readonly [name: string, abbreviation: string])[] = [
  ["Umoja Democratic Front", "UDF-K"],
  ["Jamii National Party", "JNP"],
  ["Uwazi Reform Movement", "URM"],
  ["Maendeleo Alliance", "MA"],
  ["Green Highlands Party", "GHP"],
  ["Pwani Progressive Party", "PPP-K"],
  ["Ziwa Social Democrats", "ZSD"],
  ["Pastoralist Congress", "PC"],
  ["Workers and Farmers Union", "WFU"],
  ["Vijana Tomorrow", "VT"],
  ["Haki na Usawa Party", "HUP"],
  ["Independent", "IND"],
];

export const houses = ["national_assembly", "senate", "county_assembly"] as const;

/** General elections with a new house: the day it first sat. */
export const termStarts: readonly string[] = ["2013-03-28", "2017-08-31", "2022-09-08"];

/** The day the house was dissolved: what was still open lapsed. */
export const termEnds: readonly string[] = ["2017-08-07", "2022-08-08"];

export const committees: readonly string[] = [
  "Finance and National Planning",
  "Health",
  "Education",
  "Agriculture and Livestock",
  "Environment, Forestry and Mining",
  "Transport and Infrastructure",
  "Energy",
  "Lands",
  "Justice and Legal Affairs",
  "Communication, Information and Innovation",
  "Labour",
  "Trade, Industry and Cooperatives",
  "Blue Economy, Water and Irrigation",
  "Sports, Culture and Tourism",
  "Administration and Internal Security",
];

export const tags: readonly string[] = `
  taxation budget health education agriculture livestock environment climate mining roads rail aviation energy
  land housing courts elections devolution data-protection telecoms media labour pensions trade cooperatives
  small-business fisheries water irrigation sports culture tourism security policing youth gender disability
  children anti-corruption public-participation
`
  .trim()
  .split(/\s+/);

export const sectors = [
  "finance",
  "health",
  "education",
  "agriculture",
  "environment",
  "transport",
  "energy",
  "property",
  "technology",
  "trade",
  "water",
  "tourism",
] as const;
export type Sector = (typeof sectors)[number];
