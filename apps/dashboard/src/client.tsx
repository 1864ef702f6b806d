import { render } from "preact";
import "./page.css";
import { Page } from "./page.tsx";
import type { StatusView, TopQuery } from "./view.ts";

// The page arrives complete. This makes it live: updates, sorting, copying, theme. Nothing here is needed to read it.
const root = document.getElementById("page")!;
const staleAfterMs = 20_000;
let paused = false;
let latest: StatusView = JSON.parse(document.getElementById("view")!.textContent!) as StatusView;
let sortBy: { key: keyof TopQuery; descending: boolean } = { key: "share", descending: true };
let heardAt = Date.now();

function draw(): void {
  const rows = latest.topQueries?.rows.toSorted(
    (a, b) => (Number(a[sortBy.key]) - Number(b[sortBy.key])) * (sortBy.descending ? -1 : 1),
  );
  render(<Page view={rows ? { ...latest, topQueries: { ...latest.topQueries!, rows } } : latest} />, root);
  for (const button of root.querySelectorAll<HTMLButtonElement>("button.sort")) {
    const sorted = button.dataset["sort"] === sortBy.key ? (sortBy.descending ? "descending" : "ascending") : "none";
    button.closest("th")!.setAttribute("aria-sort", sorted);
  }
  pauseButton().hidden = false;
  pauseButton().textContent = paused ? "Resume" : "Pause";
  document.getElementById("theme")!.hidden = false;
}

const pauseButton = (): HTMLButtonElement => document.getElementById("pause") as HTMLButtonElement;

function say(text: string): void {
  const live = document.getElementById("live")!;
  if (live.textContent !== text) live.textContent = text;
}

function applyTheme(theme: string | null): void {
  if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;
}

applyTheme(localStorage.getItem("theme"));
draw();

const events = new EventSource("api/events");
events.addEventListener("view", (event) => {
  heardAt = Date.now();
  latest = JSON.parse((event as MessageEvent<string>).data) as StatusView;
  if (paused) return;
  draw();
  say("live");
});
events.addEventListener("error", () => say("connection lost, trying again"));
setInterval(() => {
  if (!paused && Date.now() - heardAt > staleAfterMs) say("no update for a while");
}, 5_000);

root.addEventListener("click", (event) => {
  const button = (event.target as Element).closest("button");
  if (!button) return;
  if (button.id === "pause") {
    paused = !paused;
    say(paused ? "paused" : "live");
    draw();
  } else if (button.id === "theme") {
    const shown = document.documentElement.dataset["theme"];
    const dark = shown === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : shown === "dark";
    localStorage.setItem("theme", dark ? "light" : "dark");
    applyTheme(dark ? "light" : "dark");
  } else if (button.classList.contains("sort")) {
    const key = button.dataset["sort"] as keyof TopQuery;
    sortBy = { key, descending: sortBy.key === key ? !sortBy.descending : true };
    draw();
  } else if (button.classList.contains("copy")) {
    void copy(button);
  }
});

async function copy(button: HTMLButtonElement): Promise<void> {
  await navigator.clipboard.writeText(button.dataset["copy"]!);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1_500);
}
