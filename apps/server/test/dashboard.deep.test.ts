import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { loadConfig } from "@db/config";
import { createOrchestrator, type Orchestrator, runMainJob } from "@db/orchestrator";
import { sourceFromOrchestrator, startServer, type StatusServer } from "@db/server";
import { startCluster, type TestCluster } from "@db/testkit";
import { noLogger } from "@db/core";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const browsers = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = browsers.find((path) => existsSync(path));
if (executablePath === undefined) console.log(`skipped: no browser at ${browsers.join(", ")}`);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const screenshots = join(process.cwd(), ".cache", "screenshots");

describe.skipIf(executablePath === undefined)("dashboard in a browser", () => {
  let cluster: TestCluster<1>;
  let orchestrator: Orchestrator;
  let server: StatusServer;
  let browser: Browser;

  beforeAll(async () => {
    mkdirSync(screenshots, { recursive: true });
    cluster = await startCluster({
      replicas: 1,
      settings: { shared_preload_libraries: "pg_stat_statements", fsync: "on" },
    });
    await using client = await connected(cluster);
    await client.query(`create extension pg_stat_statements;
      create table bills (id int, title text); insert into bills select i, 'Bill ' || i from generate_series(1, 20000) i`);
    const { config } = await loadConfig({
      env: { DATABASE_URL: cluster.primary.url, READ_REPLICA_URLS: cluster.replicas[0].url },
      readFiles: false,
      overrides: { "monitor.intervalMs": 1_000, "backup.repository": join(screenshots, "no-backups") },
    });
    orchestrator = createOrchestrator(config, { readOnly: true });
    for (let id = 0; id < 40; id += 1)
      await orchestrator.pool.query("select title from bills where id = $1 order by title", [id]);
    const mainJob = await runMainJob(orchestrator);
    await orchestrator.start(["pool", "monitoring"]);
    server = await startServer({
      source: sourceFromOrchestrator(orchestrator, { mainJob: () => mainJob, logger: noLogger }),
      updateIntervalMs: 500,
    });
    browser = await chromium.launch({
      executablePath: executablePath!,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
      ],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await orchestrator?.close();
    await cluster?.stop();
  });

  async function open(options: Parameters<Browser["newPage"]>[0]): Promise<{ page: Page; problems: string[] }> {
    const page = await browser.newPage(options);
    const problems: string[] = [];
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(error.message));
    await page.goto(server.url, { waitUntil: "domcontentloaded" });
    return { page, problems };
  }

  test.each([
    { width: 1280, colorScheme: "light" },
    { width: 1280, colorScheme: "dark" },
    { width: 375, colorScheme: "light" },
    { width: 375, colorScheme: "dark" },
  ] as const)("is accessible and fits at $width px, $colorScheme", async ({ width, colorScheme }) => {
    const { page, problems } = await open({ viewport: { width, height: 900 }, colorScheme });
    await page.locator("#live", { hasText: "live" }).waitFor();
    await page.screenshot({ path: join(screenshots, `dashboard-${width}-${colorScheme}.png`), fullPage: true });
    await page.evaluate(() => {
      for (const details of document.querySelectorAll("details")) details.open = true;
    });
    const tooWide = await page.evaluate(() =>
      [...document.querySelectorAll("main *")]
        .filter(
          (element) => !element.closest(".scroll, .hidden") && element.getBoundingClientRect().right > innerWidth + 1,
        )
        .map((element) => `${element.tagName} ${element.className} ${element.textContent.slice(0, 60)}`),
    );
    expect(tooWide).toEqual([]);
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
  });

  test("is whole with scripts turned off", async () => {
    const { page } = await open({ javaScriptEnabled: false, viewport: { width: 1280, height: 900 } });
    expect(await page.locator("h1").innerText()).not.toBe("");
    expect(await page.getByText("Top queries").count()).toBeGreaterThan(0);
    expect(await page.locator("#queries tbody tr").count()).toBeGreaterThan(0);
    await page.close();
  });

  test("is sorted, paused and re-themed from the keyboard alone", async () => {
    const { page } = await open({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
    await page.locator("#live", { hasText: "live" }).waitFor();
    const press = async (name: string): Promise<void> => {
      await page.getByRole("button", { name, exact: true }).focus();
      await page.keyboard.press("Enter");
    };
    await press("Pause");
    await press("Calls");
    expect(await page.locator('th[aria-sort="descending"]').innerText()).toContain("Calls");
    const calls = await page.locator("#queries tbody tr td:nth-child(5)").allInnerTexts();
    const numbers = calls.map((text) => Number(text.replaceAll(",", "")));
    expect(numbers).toEqual(numbers.toSorted((a, b) => b - a));
    await press("Light or dark");
    expect(await page.locator("html").getAttribute("data-theme")).toBe("dark");
    await page.close();
  });

  test("says when the database is gone, and when it is back", async () => {
    const { page } = await open({ viewport: { width: 1280, height: 900 } });
    await cluster.primary.stop("immediate");
    await page.locator("h1", { hasText: "Not well" }).waitFor({ timeout: 30_000 });
    await cluster.primary.start();
    await expect.poll(() => page.locator("#status").innerText(), { timeout: 30_000 }).not.toContain("Not well");
    await page.close();
  });

  async function violations(page: Page): Promise<readonly string[]> {
    // The page's own policy lets no foreign script in; a tool of the test comes through the debugger instead.
    await page.evaluate(axe);
    const { violations: found } = await page.evaluate(() =>
      (
        globalThis as unknown as {
          axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
        }
      ).axe.run(),
    );
    return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
  }
});

async function connected(cluster: TestCluster<1>) {
  const client = await cluster.connect();
  return { query: (sql: string) => client.query(sql), [Symbol.asyncDispose]: () => client.end() };
}
