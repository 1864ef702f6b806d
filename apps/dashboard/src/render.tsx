import type { HealthStatus } from "@db/core";
import { renderToString } from "preact-render-to-string";
import { readAssets } from "./assets.ts";
import { Page } from "./page.tsx";
import { pages, type PageView } from "./page-view.ts";

const words: Readonly<Record<HealthStatus, string>> = { pass: "Well", warn: "To look at", fail: "Not well" };

/**
 * The whole document for a page: complete without scripts, live with them. Holds no inline script or style, so it
 * runs under `default-src 'self'`; the view rides along as data.
 * @throws {AssetsMissingError} before the first build
 */
export function renderPage(view: PageView): string {
  const { head } = view;
  const page = pages.find(({ name }) => name === head.page)!;
  // "<" is the only character that could end the data block early.
  const data = JSON.stringify(view).replaceAll("<", "\\u003c");
  return document({
    title: `${words[head.status]}: ${head.title}${head.page === "status" ? "" : `, ${page.title}`}`,
    up: head.item === undefined ? "" : "../",
    scripted: true,
    body: `<div id="page">${renderToString(<Page view={view} />)}</div>
<script type="application/json" id="view">${data}</script>`,
  });
}

/** The form that a stranger sees: the status, and a field for a token. */
export function renderSignIn({
  status,
  refused,
}: {
  readonly status: HealthStatus;
  readonly refused: boolean;
}): string {
  return document({
    title: "Sign in",
    up: "",
    scripted: false,
    body: renderToString(
      <main class="sign-in">
        <h1>Database status: {words[status].toLowerCase()}</h1>
        <p class="muted">The details are for those with a token.</p>
        <form method="post" action="/sign-in">
          <label for="token">Token</label>
          <input
            id="token"
            name="token"
            type="password"
            required
            autocomplete="current-password"
            {...(refused && { "aria-describedby": "refused" })}
          />
          {refused && (
            <p id="refused" role="alert">
              That token is not known here, or may not read.
            </p>
          )}
          <button type="submit">Sign in</button>
        </form>
      </main>,
    ),
  });
}

function document(of: {
  readonly title: string;
  readonly up: string;
  readonly scripted: boolean;
  readonly body: string;
}): string {
  const { script, styles } = readAssets();
  const links = styles.map((style) => `<link rel="stylesheet" href="${of.up}assets/${style}">`).join("");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeText(of.title)}</title>
<link rel="icon" href="data:,">
${links}
${of.scripted ? `<script type="module" src="${of.up}assets/${script}"></script>` : ""}
</head>
<body>
${of.body}
</body>
</html>
`;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
