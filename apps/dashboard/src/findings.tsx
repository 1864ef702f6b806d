import type { Finding } from "@db/core";
import type { JSX } from "preact";
import { Actions } from "./action.tsx";
import { formatAgo } from "./format.ts";
import { Badge, toneOfSeverity, wordOfSeverity } from "./icon.tsx";
import type { StatusFinding } from "./view.ts";

const shownAtOnce = 6;

/** What is wrong, worst first, each with why, since when and the command that mends it. */
export function Findings({
  findings,
  asOf,
}: {
  readonly findings: readonly StatusFinding[];
  readonly asOf: string;
}): JSX.Element {
  if (findings.length === 0) return <p class="calm">Nothing to act on: every check passes.</p>;
  const notes = findings.filter((finding) => finding.severity === "info");
  const pressing = findings.filter((finding) => finding.severity !== "info");
  const first = pressing.slice(0, shownAtOnce);
  const rest = pressing.slice(shownAtOnce);
  return (
    <>
      {first.length > 0 && <List findings={first} asOf={asOf} />}
      {rest.length > 0 && (
        <details class="notes">
          <summary>{rest.length} more to look at</summary>
          <List findings={rest} asOf={asOf} />
        </details>
      )}
      {notes.length > 0 && (
        <details class="notes" open={pressing.length === 0 && notes.length <= 4}>
          <summary>
            {notes.length} {notes.length === 1 ? "note" : "notes"}
          </summary>
          <List findings={notes} asOf={asOf} />
        </details>
      )}
    </>
  );
}

function List({ findings, asOf }: { readonly findings: readonly StatusFinding[]; readonly asOf: string }): JSX.Element {
  return (
    <ol class="findings">
      {findings.map((finding) => (
        <li key={`${finding.id}:${finding.subject ?? ""}`} class={`finding tone-${toneOfSeverity[finding.severity]}`}>
          <div class="finding-head">
            <Badge tone={toneOfSeverity[finding.severity]}>{wordOfSeverity[finding.severity]}</Badge>
            <h3>{finding.title}</h3>
            <span class="muted finding-id">
              {finding.id}
              {finding.since === undefined ? "" : `, for ${formatAgo(finding.since, asOf).replace(" ago", "")}`}
            </span>
          </div>
          {finding.hint !== undefined && <p>{finding.hint}</p>}
          <div class="finding-do">
            {finding.command !== undefined && <Command text={finding.command} />}
            {finding.actions && <Actions actions={finding.actions} />}
          </div>
        </li>
      ))}
    </ol>
  );
}

/** Findings in one line each, for a card: the hint opens under its line. */
export function FindingLines({
  findings,
  label,
}: {
  readonly findings: readonly Finding[];
  readonly label: string;
}): JSX.Element | null {
  if (findings.length === 0) return null;
  return (
    <ul class="finding-lines" aria-label={label}>
      {findings.map((finding) => (
        <li key={`${finding.id}:${finding.subject ?? ""}:${finding.title}`}>
          <Badge tone={toneOfSeverity[finding.severity]}>{wordOfSeverity[finding.severity]}</Badge>
          {finding.hint === undefined && finding.command === undefined ? (
            <span>{finding.title}</span>
          ) : (
            <details>
              <summary>{finding.title}</summary>
              {finding.hint !== undefined && <p>{finding.hint}</p>}
              {finding.command !== undefined && <Command text={finding.command} />}
            </details>
          )}
        </li>
      ))}
    </ul>
  );
}

/** A command to copy. Without scripts it is still there to select. */
export function Command({ text: given }: { readonly text: string }): JSX.Element {
  const text = given.replace(/\s+/g, " ").trim();
  return (
    <p class="command">
      <code>{text}</code>
      <button type="button" class="copy" data-copy={text} aria-label={`Copy: ${text}`}>
        Copy
      </button>
    </p>
  );
}
