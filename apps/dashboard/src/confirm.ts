import type { ActionQuestion } from "./page-view.ts";

interface Plan {
  readonly token: string;
  readonly plan: { readonly title: string; readonly facts: readonly string[]; readonly sql: readonly string[] };
}

interface Job {
  readonly id: string;
  readonly state: "running" | "done" | "failed";
  readonly progress: { readonly phase: string; readonly current: number; readonly total: number | null } | null;
  readonly result: unknown;
  readonly error: { readonly code: string; readonly detail: string } | null;
}

interface Problem {
  readonly detail?: string;
  readonly hint?: string;
}

/** Asks the server what an action would do, shows it, and does it when the reader says so. */
export async function confirmAction(button: HTMLButtonElement, base: string): Promise<void> {
  const path = base + button.dataset["path"]!;
  const dialog = makeDialog();
  dialog.open();
  const asks = JSON.parse(button.dataset["asks"] ?? "[]") as readonly ActionQuestion[];
  const answers = asks.length === 0 ? {} : await dialog.question(button.getAttribute("aria-label")!, asks);
  if (answers === undefined) return undefined;
  dialog.say("Asking what it would do …");
  const args = { ...(JSON.parse(button.dataset["args"]!) as object), ...answers };
  const planned = await post<Plan>(`${path}/plan`, args);
  if ("problem" in planned) return dialog.end("Not possible", planned.problem);
  const { token, plan } = planned.answer;
  const agreed = await dialog.ask(plan, button.textContent);
  if (!agreed) return undefined;
  dialog.say("Under way …");
  // The key makes it safe to ask once more where the answer was lost on its way.
  const execution = { "idempotency-key": token };
  let started = await post<Job>(path, { token }, execution);
  if ("lost" in started) started = await post<Job>(path, { token }, execution);
  if ("problem" in started) return dialog.end("Not done", started.problem);
  let job = started.answer;
  while (job.state === "running") {
    const { progress } = job;
    dialog.say(progress ? `${progress.phase} ${share(progress)}` : "Under way …");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const response = await fetch(`${base}api/jobs/${job.id}`);
    if (!response.ok)
      return dialog.end("Its outcome is unknown", "The server no longer tells. Look again in a moment.");
    job = (await response.json()) as Job;
  }
  return job.error ? dialog.end("Failed", job.error.detail) : dialog.end("Done", outcome(job.result));
}

function share({ current, total }: NonNullable<Job["progress"]>): string {
  return total === null || total === 0 ? "" : `${Math.floor((current / total) * 100)} %`;
}

function outcome(result: unknown): string {
  if (typeof result !== "object" || result === null) return "";
  return Object.entries(result)
    .map(([name, value]) => `${name.replaceAll(/([A-Z])/g, " $1").toLowerCase()}: ${String(value)}`)
    .join(", ");
}

async function post<T>(
  url: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ answer: T } | { problem: string; lost?: true }> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "x-requested-with": "dashboard", ...headers },
      body: JSON.stringify(body),
    });
    if (response.ok) return { answer: (await response.json()) as T };
    const { detail = `the server answered ${response.status}`, hint = "" } = (await response.json()) as Problem;
    return { problem: `${detail}. ${hint}`.trim() };
  } catch {
    return { problem: "The server does not answer.", lost: true };
  }
}

function makeDialog() {
  const make = <Name extends keyof HTMLElementTagNameMap>(name: Name, text = ""): HTMLElementTagNameMap[Name] => {
    const element = document.createElement(name);
    element.textContent = text;
    return element;
  };
  const dialog = make("dialog");
  const title = make("h2");
  title.id = "confirm-title";
  dialog.setAttribute("aria-labelledby", title.id);
  const body = make("div");
  body.setAttribute("role", "status");
  const buttons = make("p");
  buttons.className = "do";
  const close = make("button", "Close");
  close.type = "button";
  close.addEventListener("click", () => dialog.close());
  buttons.append(close);
  dialog.append(title, body, buttons);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  const say = (text: string): void => body.replaceChildren(make("p", text));
  return {
    open: () => dialog.showModal(),
    say,
    end(heading: string, text: string): void {
      title.textContent = heading;
      say(text);
      close.textContent = "Close";
      close.focus();
    },
    question(
      heading: string,
      asks: readonly ActionQuestion[],
    ): Promise<Readonly<Record<string, string | number>> | undefined> {
      title.textContent = heading;
      const form = make("form");
      form.id = "confirm-form";
      form.append(
        ...asks.map(({ name, label, choices }) => {
          const field = make("label", label);
          const input = choices ? make("select") : make("input");
          input.name = name;
          input.required = true;
          if (input instanceof HTMLInputElement) {
            input.maxLength = 500;
            input.autocomplete = "off";
          }
          for (const choice of choices ?? []) {
            const option = make("option", choice.label);
            option.value = String(choice.value);
            input.append(option);
          }
          field.append(input);
          return field;
        }),
      );
      body.replaceChildren(form);
      const go = make("button", "Go on");
      go.setAttribute("form", form.id);
      buttons.append(go);
      form.querySelector("input")?.focus();
      return new Promise((resolve) => {
        form.addEventListener("submit", (event) => {
          event.preventDefault();
          const given = new FormData(form);
          go.remove();
          resolve(
            Object.fromEntries(
              asks.map(({ name, choices }) => {
                const value = given.get(name) as string;
                return [name, choices ? Number(value) : value];
              }),
            ),
          );
        });
        dialog.addEventListener("close", () => resolve(undefined));
      });
    },
    ask(plan: Plan["plan"], label: string): Promise<boolean> {
      title.textContent = plan.title;
      body.replaceChildren(
        ...plan.facts.map((fact) => make("p", fact)),
        ...plan.sql.map((sql) => {
          const block = make("pre");
          block.append(make("code", sql));
          return block;
        }),
      );
      close.textContent = "Leave it";
      const go = make("button", label);
      go.type = "button";
      go.className = "act-now";
      buttons.append(go);
      // Enter does nothing by mistake: leaving it is what has the focus.
      close.focus();
      return new Promise((resolve) => {
        go.addEventListener("click", () => {
          go.remove();
          resolve(true);
        });
        dialog.addEventListener("close", () => resolve(false));
      });
    },
  };
}
