import type { Step } from "./step.ts";

export const healthStep: Step = {
  name: "health",
  title: "Health of every service",
  needs: ["connect"],
  async run({ orchestrator, signal }) {
    await orchestrator.start(["monitoring"], signal);
    const { status, checks } = await orchestrator.health();
    const wrong = checks.filter((check) => check.status !== "pass");
    const detail =
      wrong.length === 0
        ? `${checks.length} checks pass`
        : `${checks.length} checks, ${wrong.length} not passing: ${wrong.map(({ name }) => name).join(", ")}`;
    return { detail, facts: { status, checks } };
  },
};
