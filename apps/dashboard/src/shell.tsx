import { formatDuration } from "@db/core";
import type { ComponentChildren, JSX } from "preact";
import { formatInstant } from "./format.ts";
import { Icon, toneOfStatus } from "./icon.tsx";
import { type HeadView, pages, ranges } from "./page-view.ts";

const words = { pass: "well", warn: "to look at", fail: "not well" } as const;

/** What surrounds every page: where one is, how it is, where else to look. */
export function Shell({
  head,
  children,
}: {
  readonly head: HeadView;
  readonly children: ComponentChildren;
}): JSX.Element {
  const up = head.item === undefined ? "" : "../";
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="top">
        <p class="brand">
          <a href={`${up}./`} class={`pill tone-${toneOfStatus[head.status]}`}>
            <Icon tone={toneOfStatus[head.status]} />
            <b>{head.title}</b>
            <span class="hidden">: {words[head.status]}</span>
          </a>
          <span class="tag">{head.environment}</span>
          {head.readOnly && <span class="tag">read-only</span>}
        </p>
        <p class="clock">
          <span class="muted">
            as of <time dateTime={head.asOf}>{formatInstant(head.asOf)}</time>
            {head.ageSeconds > 30 && <b> ({formatDuration(head.ageSeconds * 1_000)} old)</b>}
          </span>
          <span class="live muted" role="status" id="live" />
          <button type="button" id="pause" hidden>
            Pause
          </button>
          <button type="button" id="theme" hidden>
            Light or dark
          </button>
        </p>
        {head.signedInAs !== null && (
          <form method="post" action={`${up}sign-out`} class="sign-out">
            <button type="submit">Sign out</button>
          </form>
        )}
      </header>
      <div class="frame">
        <nav class="pages scroll" aria-label="Pages">
          <ul>
            {pages.map(({ name, path, title }) => (
              <li key={name}>
                <a
                  href={`${up}${path === "" ? "./" : path}`}
                  {...(name === head.page && { "aria-current": "page" as const })}
                >
                  {title}
                  <Count head={head} page={name} />
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <main id="main">{children}</main>
      </div>
      <footer class="muted">
        <p>
          <a href={`${up}api/health/database`}>health</a> <a href={`${up}metrics`}>metrics</a>{" "}
          <a href={`${up}api/health/database/metrics?detailed=true`}>metrics as JSON</a>{" "}
          <a href={`${up}openapi.json`}>API</a>
        </p>
      </footer>
    </>
  );
}

/** How many things want attention there. */
function Count({ head, page }: { readonly head: HeadView; readonly page: string }): JSX.Element | null {
  const urgent = page === "status" ? head.critical : page === "locks" ? head.blocked : 0;
  const soon = page === "status" ? head.warnings : 0;
  if (urgent + soon === 0) return null;
  const what = page === "locks" ? "waiting" : urgent > 0 ? "critical" : "warnings";
  return (
    <span class={`count tone-${urgent > 0 ? "bad" : "warn"}`}>
      {urgent > 0 ? urgent : soon}
      <span class="hidden"> {what}</span>
    </span>
  );
}

/** Which page it is, and how far back its charts go. */
export function PageHead({ head, ranged }: { readonly head: HeadView; readonly ranged: boolean }): JSX.Element {
  const page = pages.find(({ name }) => name === head.page)!;
  return (
    <div class="page-head">
      <div>
        <h1>{page.title}</h1>
        <p class="muted">{page.about}</p>
      </div>
      {ranged && (
        <nav class="ranges" aria-label="How far back">
          {ranges.map(({ name, title }) => (
            <a
              key={name}
              href={`?range=${name}`}
              title={title}
              {...(name === head.range && { "aria-current": "true" as const })}
            >
              {name}
            </a>
          ))}
        </nav>
      )}
    </div>
  );
}
