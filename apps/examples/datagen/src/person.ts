import type { Random } from "./random.ts";

/**
 * Names as they are met in Kenya, by community, diacritics included. Combined at random: a likeness to a living
 * person is chance, and no family name of a national politician is in the lists.
 */
const given: readonly string[] = list(`
  Achieng Adhiambo Aisha Akinyi Amina Anyango Atieno Barasa Beatrice Brian Chebet Chepkoech Cynthia Daniel Dekha
  Esther Faith Fatuma Gathoni Grace Halima Hassan Ibrahim Ivy Jepchirchir Joseph Joyce Juma Kagendo Kamau Kendi
  Kevin Khadija Kibet Kiprono Kĩmani Lekishon Linet Lokiru Makena Mary Mercy Moraa Mũgambi Mũthoni Mwende Naisula
  Nasimiyu Njeri Nyaboke Nyokabi Ochieng Omar Otieno Peter Priya Rehema Ruth Saitoti Salma Samuel Sanjay Sharon
  Simiyu Syokau Tabitha Wairimũ Wafula Wanjirũ Wambũi Wanza Yusuf Zainab Zawadi
`);
const family: readonly string[] = list(`
  Abdi Adan Akoth Amollo Barako Bett Boinett Chelimo Cherono Dida Ekai Farah Galgalo Gathogo Gĩchũhĩ Gĩthĩnji Guyo
  Hussein Ikiara Juma Kaingu Karanja Kariũki Katana Keitany Kemboi Kimutai Kinyua Kirui Koech Korir Lekuton
  Letoyie Lokwang Macharia Maina Makori Masinde Mbũgua Mogaka Momanyi Mulei Munyao Mũriithi Mutiso Mutua Mwangangi
  Mwangi Mwanyumba Naibei Nanyama Ndirangũ Ndũng'ũ Ng'ang'a Ng'eno Njogu Nyakundi Nyamweya Nzioka Obura Odhiambo
  Okello Olouch Omondi Onyango Opiyo Osoro Patel Rotich Saina Shah Shariff Sigei Tanui Wachira Waweru Wekesa Were
  Yego
`);

/** A full name, sometimes with two given names. */
export function personName(random: Random): string {
  const first = random.pick(given);
  return random.chance(0.3)
    ? `${first} ${random.pick(given)} ${random.pick(family)}`
    : `${first} ${random.pick(family)}`;
}

/** A name as the local part of an address: ASCII, lower case, dots between. */
export function addressName(name: string): string {
  return name.toLowerCase().replaceAll("ĩ", "i").replaceAll("ũ", "u").replaceAll("'", "").replaceAll(" ", ".");
}

function list(words: string): string[] {
  return words.trim().split(/\s+/);
}
