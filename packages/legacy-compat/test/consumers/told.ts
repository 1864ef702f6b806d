// How a program of a consumer tells the test what it saw, and hears that the primary has changed.
export function told(phase: string, facts: object): void {
  process.send!({ phase, facts });
}

export function failover(): Promise<void> {
  process.send!({ phase: "ready for a failover" });
  return new Promise((done) => process.once("message", () => done()));
}
