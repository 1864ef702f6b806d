import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pages } from "@db/dashboard";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type LoadedPlatform, scopedTokens, startLoadedPlatform, tokens } from "./loaded-platform.ts";

const browsers = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = browsers.find((path) => existsSync(path));
if (executablePath === undefined) console.log(`skipped: no browser at ${browsers.join(", ")}`);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const screenshots = join(process.cwd(), ".cache", "screenshots");
// A chart begins with the first collections; more of them make better pictures.
const collections = Number(process.env["DASHBOARD_COLLECTIONS"] ?? 5);

const looks = [
  { width: 1280, colorScheme: "light" },
  { width: 1280, colorScheme: "dark" },
  { width: 375, colorScheme: "light" },
  { width: 375, colorScheme: "dark" },
] as const;
type Look = (typeof looks)[number];

describe.skipIf(executablePath === undefined)("dashboard in a browser", () => {
  let platform: LoadedPlatform;
  let browser: Browser;
  let release: () => Promise<void>;

  beforeAll(async () => {
    mkdirSync(screenshots, { recursive: true });
    platform = await startLoadedPlatform({
      tokens: scopedTokens,
      adminActions: ["sessions", "statements", "backups", "drills", "alerts"],
      signInsPerMinute: 1_000,
      actionsPerMinute: 1_000,
    });
    release = await platform.block();
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
    const { monitor } = platform.orchestrator;
    const seen = (): number =>
      monitor
        .series("commits", { from: Date.now() - 600_000, to: Date.now(), stepMs: 1_000 })[0]
        ?.points.filter(([, value]) => value !== null).length ?? 0;
    await vi.waitFor(() => expect(seen()).toBeGreaterThan(collections), {
      timeout: collections * 5_000,
      interval: 500,
    });
  });
  afterAll(async () => {
    await browser?.close();
    await release?.();
    await platform?.[Symbol.asyncDispose]();
  });

  async function open(
    path: string,
    options: Parameters<Browser["newPage"]>[0] & { readonly token?: string } = {},
  ): Promise<{ page: Page; problems: string[] }> {
    const { token = tokens.operate, ...look } = options;
    const page = await browser.newPage({ ...look, extraHTTPHeaders: { authorization: `Bearer ${token}` } });
    page.setDefaultTimeout(15_000);
    const problems: string[] = [];
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(error.message));
    await page.goto(`${platform.server.url}/${path}`, { waitUntil: "domcontentloaded" });
    return { page, problems };
  }

  const live = (page: Page): Promise<void> => page.locator("#live", { hasText: "live" }).waitFor();

  async function examine(
    page: Page,
    problems: readonly string[],
    name: string,
    { width, colorScheme }: Look,
  ): Promise<void> {
    await live(page);
    await page.screenshot({ path: join(screenshots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
    await page.evaluate(() => {
      for (const details of document.querySelectorAll("details")) details.open = true;
    });
    const tooWide = await page.evaluate(() =>
      [...document.querySelectorAll("body *")]
        .filter(
          (element) =>
            !element.closest(".scroll, .hidden, .skip, dialog") &&
            element.getBoundingClientRect().right > innerWidth + 1,
        )
        .map((element) => `${element.tagName} ${element.className} ${element.textContent.slice(0, 60)}`),
    );
    expect(tooWide).toEqual([]);
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
  }

  describe.each(looks)("at $width px, $colorScheme", (look) => {
    const options = { viewport: { width: look.width, height: 900 }, colorScheme: look.colorScheme };

    test.each(pages.map(({ name, path }) => ({ name, path })))(
      "$name is accessible and fits",
      async ({ name, path }) => {
        const { page, problems } = await open(`${path}?range=15min`, options);
        await examine(page, problems, name, look);
        await page.close();
      },
    );

    test("a statement, its plan and its course are accessible and fit", async () => {
      const { page, problems } = await open("queries?range=15min", options);
      await page.locator("a.open").first().click();
      await page.locator("h2", { hasText: "Plan" }).waitFor();
      await examine(page, problems, "query", look);
      await page.close();
    });

    test("the form to sign in is accessible and fits", async () => {
      const page = await browser.newPage(options);
      await page.goto(platform.server.url);
      await page.screenshot({ path: join(screenshots, `sign-in-${look.width}-${look.colorScheme}.png`) });
      expect(await page.locator("body").innerText()).not.toMatch(/postgres|shop|accounts/i);
      expect(await violations(page)).toEqual([]);
      await page.close();
    });
  });

  test("every page is whole with scripts turned off", async () => {
    const context = await browser.newContext({
      javaScriptEnabled: false,
      extraHTTPHeaders: { authorization: `Bearer ${tokens.read}` },
    });
    const page = await context.newPage();
    for (const { path, title } of pages) {
      await page.goto(`${platform.server.url}/${path}`);
      expect(await page.locator("h1").innerText(), path).not.toBe("");
      expect(await page.locator("nav.pages a[aria-current=page]").innerText()).toContain(title);
      expect(await page.locator("section.card, section.verdict").count(), path).toBeGreaterThan(0);
      expect(await page.locator("button.act:visible").count(), path).toBe(0);
    }
    await context.close();
  });

  test("is sorted, paused, re-themed and read as a table from the keyboard alone", async () => {
    const { page } = await open("queries?range=15min", {
      viewport: { width: 1280, height: 900 },
      colorScheme: "light",
    });
    await live(page);
    const press = async (name: string): Promise<void> => {
      await page.getByRole("button", { name, exact: true }).focus();
      await page.keyboard.press("Enter");
    };
    await press("Pause");
    await press("Mean");
    expect(await page.locator('th[aria-sort="descending"]').innerText()).toContain("Mean");
    const means = await page.locator("#queries tbody tr td:nth-child(4)").allInnerTexts();
    const factor = (text: string): number => (text.includes("µs") ? 0.001 : /\d s/.test(text) ? 1_000 : 1);
    const inMs = means.map((text) => parseFloat(text) * factor(text));
    expect(inMs).toEqual(inMs.toSorted((a, b) => b - a));
    await press("Light or dark");
    expect(await page.locator("html").getAttribute("data-theme")).toBe("dark");
    await page.goto(`${platform.server.url}/throughput?range=15min`);
    await live(page);
    await page.locator("summary", { hasText: "Show as table" }).first().focus();
    await page.keyboard.press("Enter");
    expect(await page.locator("details.as-table[open] tbody tr").count()).toBeGreaterThan(0);
    await page.close();
  });

  test("charts are live, and migrations stand on them as marks", async () => {
    const { page } = await open("throughput?range=1h", { viewport: { width: 1280, height: 900 } });
    await live(page);
    expect(await page.locator(".plot.is-live canvas").count()).toBeGreaterThan(1);
    await page.goto(`${platform.server.url}/storage?range=1h`);
    expect(await page.locator(".markers li").first().innerText()).toContain("migration 2026");
    await page.close();
  });

  test("cancels the statement of a session that waits, after showing what that does", async () => {
    // By the cookie of the form, as people do: an action needs more proof of a browser than a token does.
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(15_000);
    await page.goto(`${platform.server.url}/locks`);
    await page.getByLabel("Token").fill(tokens.operate);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator("h1#status-title").waitFor();
    await page.goto(`${platform.server.url}/locks`);
    await live(page);
    const waiter = page.locator(".tree ul li").filter({ hasText: "update payments" }).last();
    const pid = /pid (\d+)/.exec(await waiter.innerText())![1]!;
    await page
      .getByRole("button", { name: `Cancel session ${pid}` })
      .first()
      .click();
    await page.locator("dialog h2", { hasText: `Cancel the statement of session ${pid}` }).waitFor();
    await page.screenshot({ path: join(screenshots, "cancel-1280-light.png") });
    expect(await page.locator("dialog").innerText()).toContain(`select pg_cancel_backend(${pid})`);
    expect(await violations(page)).toEqual([]);
    await page.locator("dialog button.act-now").click();
    await page.locator("dialog h2", { hasText: "Done" }).waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await expect.poll(() => page.locator(".tree").innerText(), { timeout: 30_000 }).not.toContain(`pid ${pid}`);
    const last = (await platform.orchestrator.audit.entries()).at(-1)!;
    expect(last).toMatchObject({
      operation: "session.cancel",
      outcome: "ok",
      details: { pid: Number(pid), signalled: true },
    });
    expect(last.actor).toMatch(/^token:[0-9a-f]{8}$/);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    await page.close();
  });

  test("silences an alert with a reason, and tells of it again", async () => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(15_000);
    await page.goto(platform.server.url);
    await page.getByLabel("Token").fill(tokens.operate);
    await page.getByRole("button", { name: "Sign in" }).click();
    await live(page);
    await page.locator("button.act", { hasText: "Silence" }).first().click();
    await page.getByLabel("Why, for whoever looks").fill("a drill");
    await page.screenshot({ path: join(screenshots, "silence-1280-light.png") });
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press("Enter");
    await page.locator("dialog", { hasText: "Reason: a drill" }).waitFor();
    await page.locator("dialog button.act-now").click();
    await page.locator("dialog h2", { hasText: "Done" }).waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    // It is a note now, and notes are folded.
    await expect.poll(() => page.locator("#status").textContent(), { timeout: 30_000 }).toContain("Silenced:");
    await page.locator("details.notes").evaluateAll((all) => all.forEach((each) => each.setAttribute("open", "")));
    await page.locator("button.act", { hasText: "End silence" }).first().click();
    await page.locator("dialog button.act-now").click();
    await page.locator("dialog h2", { hasText: "Done" }).waitFor();
    const operations = (await platform.orchestrator.audit.entries()).map(({ operation }) => operation);
    expect(operations.slice(-2)).toEqual(["alert.silence", "alert.unsilence"]);
    await page.close();
  });

  test("offers no action to whoever may only read", async () => {
    const { page } = await open("locks", { token: tokens.read });
    await live(page);
    expect(await page.locator("button.act").count()).toBe(0);
    await page.close();
  });

  test("says when the database is gone, and when it is back", async () => {
    const { page } = await open("", { viewport: { width: 1280, height: 900 } });
    await platform.cluster.primary.stop("immediate");
    await page.locator("h1", { hasText: "Not well" }).waitFor({ timeout: 30_000 });
    await page.locator("#status", { hasText: "not reachable" }).waitFor({ timeout: 30_000 });
    await page.screenshot({ path: join(screenshots, "gone-1280-light.png"), fullPage: true });
    for (const { path } of pages) {
      const answer = await page.goto(`${platform.server.url}/${path}`);
      expect(answer!.status(), path).toBe(200);
    }
    await platform.cluster.primary.start();
    await page.goto(platform.server.url);
    await expect.poll(() => page.locator("#status").innerText(), { timeout: 60_000 }).not.toContain("not reachable");
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
