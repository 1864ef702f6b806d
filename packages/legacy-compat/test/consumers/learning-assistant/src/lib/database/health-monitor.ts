export * from "@db/legacy-compat/learning-assistant/health-monitor";
