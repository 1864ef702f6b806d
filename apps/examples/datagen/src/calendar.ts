/** Days are whole numbers since 1970-01-01, seconds likewise; all of UTC. Nothing here reads the clock. */
const names = new Map<number, string>();

/** The day number of a calendar date: `dayOf("2024-06-25")`. */
export function dayOf(date: string): number {
  return Date.parse(`${date}T00:00:00Z`) / 86_400_000;
}

/** A day number as `2024-06-25`. */
export function dateText(day: number): string {
  let text = names.get(day);
  if (text === undefined) {
    text = new Date(day * 86_400_000).toISOString().slice(0, 10);
    names.set(day, text);
  }
  return text;
}

/** An instant as `2024-06-25 17:04:09+00`. */
export function instantText(second: number): string {
  const day = Math.floor(second / 86_400);
  const rest = second - day * 86_400;
  return `${dateText(day)} ${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}+00`;
}

/** 1 to 12. */
export function monthOf(day: number): number {
  return Number(dateText(day).slice(5, 7));
}

export function yearOf(day: number): number {
  return Number(dateText(day).slice(0, 4));
}

/** 0 is Sunday; 1970-01-01 was a Thursday. */
export function weekdayOf(day: number): number {
  return (day + 4) % 7;
}

const two = (n: number): string => (n < 10 ? `0${n}` : String(n));
