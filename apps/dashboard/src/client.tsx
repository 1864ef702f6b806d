import { render } from "preact";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/card.css";
import "./styles/status.css";
import "./styles/table.css";
import "./styles/chart.css";
import "./styles/dialog.css";
import "./styles/print.css";
import { plotWith } from "./chart.tsx";
import { confirmAction } from "./confirm.ts";
import { Page } from "./page.tsx";
import type { PageView } from "./page-view.ts";
import { plotLive, refit, replot } from "./plot.ts";
import { type Sorting, Sortings } from "./table.tsx";

// The page arrives complete. This makes it live: updates, charts, sorting, copying, theme, actions. Nothing here is
// needed to read it.
const root = document.getElementById("page")!;
const staleAfterMs = 20_000;
let paused = false;
let latest: PageView = JSON.parse(document.getElementById("view")!.textContent) as PageView;
let sortings: Readonly<Record<string, Sorting>> = {};
let heardAt = Date.now();
const base = latest.head.item === undefined ? "" : "../";

function draw(): void {
  render(
    <Sortings.Provider value={sortings}>
      <Page view={latest} />
    </Sortings.Provider>,
    root,
  );
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

document.documentElement.classList.add("js");
applyTheme(localStorage.getItem("theme"));
plotWith(plotLive);
draw();
root.querySelector("nav.pages [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", replot);
new ResizeObserver(refit).observe(root);

const { page, item, range } = latest.head;
const query = new URLSearchParams({ page, range, ...(item !== undefined && { item }) });
const events = new EventSource(`${base}api/events?${query}`);
events.addEventListener("view", (event) => {
  heardAt = Date.now();
  latest = JSON.parse((event as MessageEvent<string>).data) as PageView;
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
    replot();
  } else if (button.classList.contains("sort")) {
    sortBy(button.dataset["table"]!, button.dataset["sort"]!, button);
  } else if (button.classList.contains("copy")) {
    void copy(button);
  } else if (button.classList.contains("act")) {
    void confirmAction(button, base);
  }
});

function sortBy(table: string, key: string, button: HTMLButtonElement): void {
  const now = button.closest("th")!.getAttribute("aria-sort");
  sortings = { ...sortings, [table]: { key, descending: now !== "descending" } };
  draw();
}

async function copy(button: HTMLButtonElement): Promise<void> {
  await navigator.clipboard.writeText(button.dataset["copy"]!);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1_500);
}
