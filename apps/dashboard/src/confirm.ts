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
  dialog.say("Asking what it would do …");
  dialog.open();
  const planned = await post<Plan>(`${path}/plan`, JSON.parse(button.dataset["args"]!) as object);
  if ("problem" in planned) return dialog.end("Not possible", planned.problem);
  const { token, plan } = planned.answer;
  const agreed = await dialog.ask(plan, button.textContent);
  if (!agreed) return undefined;
  dialog.say("Under way …");
  const started = await post<Job>(path, { token });
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

async function post<T>(url: string, body: object): Promise<{ answer: T } | { problem: string }> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "x-requested-with": "dashboard" },
      body: JSON.stringify(body),
    });
    if (response.ok) return { answer: (await response.json()) as T };
    const { detail = `the server answered ${response.status}`, hint = "" } = (await response.json()) as Problem;
    return { problem: `${detail}. ${hint}`.trim() };
  } catch {
    return { problem: "The server does not answer." };
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
