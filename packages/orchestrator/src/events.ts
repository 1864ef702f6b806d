import type { HealthStatus } from "@db/core";

/** Every event by name, with what it carries. Plain data: an event can be written to a log as it is. */
export interface OrchestratorEvents {
  "service:started": { readonly service: string; readonly durationMs: number };
  "service:stopped": { readonly service: string; readonly durationMs: number };
  "service:failed": { readonly service: string; readonly message: string };
  "health:changed": { readonly from: HealthStatus | undefined; readonly to: HealthStatus };
  "alert:firing": { readonly rule: string; readonly severity: string; readonly summary: string };
  "alert:cleared": { readonly rule: string; readonly severity: string; readonly summary: string };
  "operation:recorded": { readonly operation: string; readonly outcome: "ok" | "failed"; readonly durationMs: number };
  "job:finished": { readonly job: string; readonly outcome: "ok" | "failed" | "skipped"; readonly durationMs: number };
}

export type EventName = keyof OrchestratorEvents;
type Listener<Name extends EventName> = (event: OrchestratorEvents[Name]) => void;

/** Delivers events in order, to listeners in order of registration. A listener that throws harms nobody else. */
export interface Events {
  /** @returns a function that removes the listener */
  on<Name extends EventName>(name: Name, listener: Listener<Name>): () => void;
  emit<Name extends EventName>(name: Name, event: OrchestratorEvents[Name]): void;
}

export function createEvents(onListenerError: (error: unknown, name: EventName) => void): Events {
  const listeners = new Map<EventName, Set<Listener<never>>>();
  return {
    on(name, listener) {
      const registered = listeners.get(name) ?? new Set();
      listeners.set(name, registered);
      registered.add(listener as Listener<never>);
      return () => registered.delete(listener as Listener<never>);
    },
    emit(name, event) {
      for (const listener of listeners.get(name) ?? []) {
        try {
          (listener as Listener<typeof name>)(event);
        } catch (error) {
          onListenerError(error, name);
        }
      }
    },
  };
}
