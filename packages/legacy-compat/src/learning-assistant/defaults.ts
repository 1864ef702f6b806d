import type { PlatformDefaults } from "../environment.ts";

/** Its figures: 50 connections in production, 20 elsewhere, 30 s to connect. */
export const learningDefaults: PlatformDefaults = Object.freeze({
  platform: "Learning Assistant",
  settings: (profile) => ({ pool: { max: profile === "production" ? 50 : 20, connectTimeoutMs: 30_000 } }),
} satisfies PlatformDefaults);
