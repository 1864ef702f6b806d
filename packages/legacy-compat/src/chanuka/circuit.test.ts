import { describe, expect, test } from "vitest";
import { Circuit } from "./circuit.ts";

function circuitAt(start: number) {
  let now = start;
  const clock = { now: () => now, sleep: () => Promise.resolve() };
  return { circuit: new Circuit(clock), pass: (ms: number) => (now += ms) };
}

describe("Circuit", () => {
  test("opens after five failures in a row, not five in all", () => {
    const { circuit } = circuitAt(0);
    for (let i = 0; i < 4; i += 1) circuit.failed("down");
    circuit.succeeded();
    for (let i = 0; i < 4; i += 1) circuit.failed("down");
    expect(circuit.state).toBe("CLOSED");
    circuit.failed("down");
    expect(circuit.state).toBe("OPEN");
    expect(circuit.admit()).toBe(false);
  });

  test("lets one attempt through after 5 s and closes after two good ones", () => {
    const { circuit, pass } = circuitAt(0);
    for (let i = 0; i < 5; i += 1) circuit.failed("down");
    pass(4_999);
    expect(circuit.admit()).toBe(false);
    pass(1);
    expect(circuit.admit()).toBe(true);
    expect(circuit.admit()).toBe(false);
    circuit.succeeded();
    expect(circuit.state).toBe("HALF_OPEN");
    expect(circuit.admit()).toBe(true);
    circuit.succeeded();
    expect(circuit.state).toBe("CLOSED");
  });

  test("opens again at the first failure of a trial", () => {
    const { circuit, pass } = circuitAt(0);
    for (let i = 0; i < 5; i += 1) circuit.failed("down");
    pass(5_000);
    expect(circuit.admit()).toBe(true);
    circuit.failed("still down");
    expect(circuit.state).toBe("OPEN");
    expect(circuit.admit()).toBe(false);
  });
});
