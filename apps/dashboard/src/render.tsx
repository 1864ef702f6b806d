import { renderToString } from "preact-render-to-string";
import { readAssets } from "./assets.ts";
import { Page } from "./page.tsx";
import type { StatusView } from "./view.ts";

/**
 * The whole document for a view: complete without scripts, live with them. Holds no inline script or style, so it
 * runs under `default-src 'self'`; the view rides along as data.
 * @throws {AssetsMissingError} before the first build
 */
export function renderPage(view: StatusView): string {
  const { script, styles } = readAssets();
  const links = styles.map((style) => `<link rel="stylesheet" href="assets/${style}">`).join("");
  // "<" is the only character that could end the data block early.
  const data = JSON.stringify(view).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${view.status === "pass" ? "Well" : view.status === "warn" ? "To look at" : "Not well"}: ${escapeText(view.title)}</title>
<link rel="icon" href="data:,">
${links}
<script type="module" src="assets/${script}"></script>
</head>
<body>
<div id="page">${renderToString(<Page view={view} />)}</div>
<script type="application/json" id="view">${data}</script>
</body>
</html>
`;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
