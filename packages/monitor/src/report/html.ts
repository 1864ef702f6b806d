import type { Finding } from "@db/core";
import type { MonitorReport } from "./report.ts";
import { type Section, sectionsOf, verdictText } from "./sections.ts";
import { amount } from "./text.ts";

/** A report as one page that needs nothing else: no script, no font, no image from anywhere. */
export function renderReportHtml(report: MonitorReport): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escape(report.title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escape(report.title)}</h1>
<p><time datetime="${escape(report.generatedAt)}">${escape(report.generatedAt)}</time></p>
<p class="verdict ${report.verdict}">${icons[report.verdict]} ${escape(verdictText(report))}</p>
<h2>Findings</h2>
${findingsHtml(report.findings)}
${sectionsOf(report).map(sectionHtml).join("\n")}
</main>
</body>
</html>
`;
}

const icons = { pass: "✓", warn: "▲", fail: "✕" } as const;
const severityIcons = { critical: "✕", warn: "▲", info: "●" } as const;

function findingsHtml(findings: readonly Finding[]): string {
  return findings.length === 0 ? "<p>None.</p>" : `<ol class="findings">${findings.map(findingHtml).join("\n")}</ol>`;
}

function findingHtml(finding: Finding): string {
  const observed =
    finding.observed === undefined
      ? ""
      : `<p>Observed ${escape(amount(finding.observed))}${
          finding.threshold === undefined ? "" : `, threshold ${escape(amount(finding.threshold))}`
        } ${escape(finding.unit ?? "")}</p>`;
  return `<li><p><strong class="${finding.severity}">${severityIcons[finding.severity]} ${finding.severity}</strong>
${escape(finding.title)} <small>${escape(finding.id)}</small></p>${observed}
${finding.hint ? `<p>${escape(finding.hint)}</p>` : ""}
${finding.command ? `<pre><code>${escape(finding.command)}</code></pre>` : ""}</li>`;
}

function sectionHtml({ title, columns, rows, empty }: Section): string {
  if (rows.length === 0) return `<h2>${escape(title)}</h2><p>${escape(empty)}</p>`;
  const cells = (row: readonly string[]): string =>
    row.map((cell, i) => `<td class="${columns[i]?.align ?? "left"}">${escape(cell)}</td>`).join("");
  return `<h2>${escape(title)}</h2>
<div class="scroll" role="region" aria-label="${escape(title)}" tabindex="0"><table>
<thead><tr>${columns.map((c) => `<th scope="col" class="${c.align}">${escape(c.title)}</th>`).join("")}</tr></thead>
<tbody>${rows.map((row) => `<tr>${cells(row)}</tr>`).join("\n")}</tbody>
</table></div>`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}

const style = `
:root{color-scheme:light dark;--text:#1b1f24;--soft:#57606a;--ground:#fff;--line:#d0d7de;
--bad:#b3261e;--warn:#8a5300;--good:#1a7037}
@media (prefers-color-scheme:dark){:root{--text:#e6edf3;--soft:#9aa4ae;--ground:#10151b;--line:#30363d;
--bad:#ff8a80;--warn:#f0b35a;--good:#6bd68b}}
body{margin:0;background:var(--ground);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:72rem;margin:0 auto;padding:1.5rem 1rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:2rem 0 .5rem}
time,small{color:var(--soft)}
.verdict{font-size:1.15rem;font-weight:600}
.pass{color:var(--good)}.fail,.critical{color:var(--bad)}.warn{color:var(--warn)}
.findings li{margin-bottom:1rem}.findings p{margin:.2rem 0}
pre{overflow:auto;padding:.5rem;border:1px solid var(--line);border-radius:4px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
.left{text-align:left}.right{text-align:right;white-space:nowrap}
td:last-child{overflow-wrap:anywhere}`;
