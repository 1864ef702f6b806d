import { noLogger, type Service } from "@db/core";
import { describe, expect, test } from "vitest";
import { createEvents } from "./events.ts";
import { createLifecycle, type ServiceNode, startOrder } from "./lifecycle.ts";

const log: string[] = [];

function node(name: string, dependsOn: readonly string[] = [], behaviour: Partial<Service> = {}): ServiceNode {
  const service: Service = {
    name,
    start: async () => void log.push(`start ${name}`),
    stop: async () => void log.push(`stop ${name}`),
    health: () => ({ status: "pass", checks: [] }),
    [Symbol.asyncDispose]: async () => undefined,
    ...behaviour,
  };
  return { name, dependsOn, create: () => (log.push(`make ${name}`), service) };
}

function lifecycle(...nodes: ServiceNode[]) {
  log.length = 0;
  const events = createEvents(() => undefined);
  return createLifecycle(nodes, { events, logger: noLogger, startTimeoutMs: 50, stopTimeoutMs: 20 });
}

describe("lifecycle", () => {
  test("starts dependencies first and stops in the reverse order", async () => {
    const it = lifecycle(node("monitor", ["pool"]), node("pool"));
    await it.start(["monitor"]);
    await it.stop();
    expect(log).toEqual(["make pool", "start pool", "make monitor", "start monitor", "stop monitor", "stop pool"]);
  });

  test("never makes a service that nobody starts", async () => {
    const it = lifecycle(node("pool"), node("backup", ["pool"]));
    await it.start(["pool"]);
    expect(log).not.toContain("make backup");
    await it.stop();
  });

  test("stops what one call started when a later service fails, and keeps what ran before", async () => {
    const failing = node("backup", ["pool", "queue"], { start: () => Promise.reject(new Error("no repository")) });
    const it = lifecycle(node("pool"), node("queue"), failing);
    await it.start(["pool"]);
    await expect(it.start(["backup"])).rejects.toMatchObject({ code: "ORCHESTRATOR_SERVICE_START", service: "backup" });
    expect(it.running.map((service) => service.name)).toEqual(["pool"]);
    expect(log).toContain("stop queue");
  });

  test("stops the first of two asked for together when the second fails", async () => {
    const it = lifecycle(node("pool"), node("jobs", [], { start: () => Promise.reject(new Error("no clock")) }));
    await expect(it.start(["pool", "jobs"])).rejects.toMatchObject({ service: "jobs" });
    expect(it.running).toEqual([]);
  });

  test("bounds a start that hangs", async () => {
    const it = lifecycle(node("pool", [], { start: () => new Promise(() => undefined) }));
    await expect(it.start(["pool"])).rejects.toThrow("no answer after 50 ms");
  });

  test("asks every service to stop even when one fails, then reports it", async () => {
    const it = lifecycle(node("pool"), node("monitor", ["pool"], { stop: () => Promise.reject(new Error("stuck")) }));
    await it.start(["monitor"]);
    await expect(it.stop()).rejects.toMatchObject({ code: "ORCHESTRATOR_SERVICE_STOP" });
    expect(log.at(-1)).toBe("stop pool");
  });

  test("shares one start between concurrent callers", async () => {
    const it = lifecycle(node("pool"));
    await Promise.all([it.start(["pool"]), it.start(["pool"])]);
    expect(log).toEqual(["make pool", "start pool"]);
  });

  test("names the circle when services depend on each other", () => {
    const nodes = new Map([node("a", ["b"]), node("b", ["a"])].map((each) => [each.name, each]));
    expect(() => startOrder(nodes, "a")).toThrow("a → b → a");
  });
});
